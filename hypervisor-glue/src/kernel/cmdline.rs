//! What the hypervisor puts before the user's command line.
//!
//! Each of these spares the guest a probe of something that this machine has not. They come first, and of a parameter that stands
//! twice the kernel takes the last: whatever the user writes wins. `--bare-cmdline` leaves them out.

use std::{fs, path::Path};

/// Parameters, with why.
pub const DEFAULTS: &[(&str, &str)] = &[
    ("reboot=a", "reset through the register that the FADT names, without trying the keyboard controller"),
    ("8250.nr_uarts=1", "there is one serial port; three probes of ports that nobody answers are spared"),
    ("no_timer_check", "interrupts are KVM's; there is no PIT that the I/O APIC could be tested with"),
];

/// One more, where it is true: the TSC is this machine's own, and needs no watchdog.
const RELIABLE_TSC: &str = "tsc=reliable";

/// The most bytes of a command line on x86, without its end (`COMMAND_LINE_SIZE`, arch/x86/include/asm/setup.h): what a
/// vmlinux takes, which does not say so itself. Linux cuts off what is longer without a word.
pub const MOST: usize = 2047;

/// The whole command line.
#[must_use]
pub fn with_defaults(user: &str, bare: bool) -> String {
    compose(user, bare, host_has_reliable_tsc(Path::new("/sys")))
}

fn compose(user: &str, bare: bool, reliable_tsc: bool) -> String {
    if bare {
        return user.to_owned();
    }
    let mut line: Vec<_> = DEFAULTS.iter().map(|d| d.0).collect();
    if reliable_tsc {
        line.push(RELIABLE_TSC);
    }
    if !user.is_empty() {
        line.push(user);
    }
    line.join(" ")
}

/// Whether this machine's kernel trusts its TSC: it has found it to run evenly, on all processors, and keeps time by it.
fn host_has_reliable_tsc(sys: &Path) -> bool {
    let clock = sys.join("devices/system/clocksource/clocksource0/current_clocksource");
    fs::read_to_string(clock).is_ok_and(|name| name.trim() == "tsc")
}

/// Why a kernel does not take this line, if it does not: `most` bytes are what it says to take.
pub(super) fn refuse(line: &str, most: usize) -> Option<String> {
    if let Some(at) = line.bytes().position(|b| b == 0) {
        return Some(format!("the command line has a zero byte, its number {at}; to the kernel it would end there"));
    }
    (line.len() > most).then(|| {
        format!(
            "the command line has {} bytes, with the words that azote puts first, and this kernel takes {most}; make it \
             shorter, or leave those words out with --bare-cmdline",
            line.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_words_come_last_or_alone() {
        let line = compose("console=ttyS0 reboot=t", false, true);
        assert!(line.starts_with("reboot=a ") && line.ends_with(" tsc=reliable console=ttyS0 reboot=t"));
        assert_eq!(with_defaults("quiet", true), "quiet");
        assert!(!with_defaults("", false).ends_with(' '));
    }

    #[test]
    fn the_tsc_is_reliable_where_the_host_keeps_time_by_it() {
        let sys = tempfile::tempdir().unwrap();
        assert!(!host_has_reliable_tsc(sys.path()), "no such file");
        let folder = sys.path().join("devices/system/clocksource/clocksource0");
        fs::create_dir_all(&folder).unwrap();
        for (clock, reliable) in [("tsc\n", true), ("kvm-clock\n", false), ("hpet\n", false), ("", false)] {
            fs::write(folder.join("current_clocksource"), clock).unwrap();
            assert_eq!(host_has_reliable_tsc(sys.path()), reliable, "{clock}");
        }
        assert!(!compose("", false, false).contains("tsc="));
    }

    #[test]
    fn a_line_that_would_be_cut_off_is_refused_with_the_numbers() {
        assert_eq!(refuse(&"x".repeat(MOST), MOST), None);
        let why = refuse(&"x".repeat(MOST + 1), MOST).unwrap();
        assert!(why.contains("2048 bytes") && why.contains("takes 2047"), "{why}");
        assert!(refuse("a\0b", MOST).unwrap().contains("number 1"));
    }
}
