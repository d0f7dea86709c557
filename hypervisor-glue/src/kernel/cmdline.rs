//! What the hypervisor puts before the user's command line.
//!
//! Each of these spares the guest a probe of something that this machine has not. They come first, and of a parameter that stands
//! twice the kernel takes the last: whatever the user writes wins. `--bare-cmdline` leaves them out.

/// Parameters, with why.
pub const DEFAULTS: &[(&str, &str)] = &[
    ("reboot=a", "reset through the register that the FADT names, without trying the keyboard controller"),
    ("8250.nr_uarts=1", "there is one serial port; three probes of ports that nobody answers are spared"),
    ("no_timer_check", "interrupts are KVM's; there is no PIT that the I/O APIC could be tested with"),
    ("tsc=reliable", "the TSC is KVM's clock, and needs no watchdog"),
];

/// The whole command line.
#[must_use]
pub fn with_defaults(user: &str, bare: bool) -> String {
    if bare {
        return user.to_owned();
    }
    let mut line: Vec<_> = DEFAULTS.iter().map(|d| d.0).collect();
    if !user.is_empty() {
        line.push(user);
    }
    line.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_words_come_last_or_alone() {
        let line = with_defaults("console=ttyS0 reboot=t", false);
        assert!(line.starts_with("reboot=a ") && line.ends_with(" console=ttyS0 reboot=t"));
        assert_eq!(with_defaults("quiet", true), "quiet");
        assert!(!with_defaults("", false).ends_with(' '));
    }
}
