//! What is written down of a boot that is late or dead, while it can still be looked at: whose it was, whether anything of it
//! moves, what this machine keeps time by, and what KVM says of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::watch::{family, machines};

/// Between the two sets of counters.
const APART: Duration = Duration::from_secs(5);
/// How long KVM's events are recorded, and how many of the last are shown.
const TRACED: Duration = Duration::from_millis(500);
const EVENTS: usize = 120;
/// Where the kernel shows its events.
const TRACING: &str = "/sys/kernel/tracing";

/// All of it, on the console.
pub fn report(pid: u32, whose: &str, what: &str) {
    println!("standstill: {whose}: {what}");
    println!("standstill: whose boot: {}", command(pid));
    host();
    let first = counters(pid);
    show("counters", &first);
    stacks(pid);
    // Ours also says what it counted itself, both times.
    ask(pid);
    std::thread::sleep(APART);
    ask(pid);
    let second = counters(pid);
    show(&format!("counters {} s later", APART.as_secs()), &second);
    let moved: Vec<String> = second
        .iter()
        .filter_map(|(name, now)| {
            let before = first.get(name).copied().unwrap_or(0);
            (*now != before).then(|| format!("{name} +{}", now.wrapping_sub(before)))
        })
        .collect();
    let moved = if moved.is_empty() { "nothing".to_owned() } else { moved.join(", ") };
    println!("standstill: moved in between: {moved}");
    stacks(pid);
    trace();
}

/// What can be said of one that has ended already.
pub fn epitaph(whose: &str, what: &str) {
    println!("standstill: {whose}: {what}");
    host();
    let log =
        Command::new("dmesg").output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(15)) {
        println!("standstill: dmesg: {line}");
    }
    recorded();
}

/// Lets KVM's rarer events be recorded from now on: what a guest that dies has done last.
pub fn record() {
    let _ = fs::create_dir_all(TRACING);
    // Mounted already, or not there: then nothing is recorded, and the report says so.
    let _ = Command::new("mount").args(["-t", "tracefs", "trace", TRACING]).output();
    for event in ["kvm_inj_exception", "kvm_nested_vmexit_inject", "kvm_entry_fail"] {
        let _ = fs::write(Path::new(TRACING).join("events/kvm").join(event).join("enable"), "1");
    }
}

fn host() {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_else(|e| e.to_string()).trim().to_owned();
    let clock = "/sys/devices/system/clocksource/clocksource0";
    println!(
        "standstill: this machine: clocksource {} of {}; load {}; up {} s",
        read(&format!("{clock}/current_clocksource")),
        read(&format!("{clock}/available_clocksource")),
        read("/proc/loadavg"),
        read("/proc/uptime").split(' ').next().unwrap_or_default(),
    );
}

fn command(pid: u32) -> String {
    let of = |pid: u32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line =
        of(pid).split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect::<Vec<_>>().join(" ");
    let kind = if line.contains("azote") {
        "our hypervisor"
    } else if line.contains("microvm") {
        "QEMU's microvm (which hangs in its own ACPI under nested KVM)"
    } else if line.contains("qemu") {
        "QEMU"
    } else {
        "another program"
    };
    format!("{kind}: {}", line.chars().take(160).collect::<String>())
}

/// All of KVM's statistics of a process's machines.
fn counters(pid: u32) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for folder in family(pid).into_iter().flat_map(machines) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let count = fs::read_to_string(entry.path()).ok().and_then(|text| text.trim().parse::<u64>().ok());
            if let Some(count) = count {
                *all.entry(entry.file_name().to_string_lossy().into_owned()).or_default() += count;
            }
        }
    }
    all
}

fn show(what: &str, counters: &BTreeMap<String, u64>) {
    let text: Vec<_> = counters.iter().filter(|(_, n)| **n != 0).map(|(name, n)| format!("{name} {n}")).collect();
    let text = if text.is_empty() { "none (no debugfs, or no machine any more)".to_owned() } else { text.join(", ") };
    println!("standstill: {what}: {text}");
}

fn ask(pid: u32) {
    if fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("azote")) {
        let _ = Command::new("kill").arg("-USR1").arg(pid.to_string()).status();
        // It prints beside us.
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Where its threads are, in the kernel's eyes.
fn stacks(pid: u32) {
    for pid in family(pid) {
        for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let stat = read("stat");
            let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |s| s.1).split_whitespace().collect();
            let field = |i: usize| fields.get(i).copied().unwrap_or("?");
            let stack: Vec<String> = read("stack").lines().take(4).map(|l| l.trim().to_owned()).collect();
            println!(
                "standstill: thread {}: {} user {} system {} ticks; {}",
                read("comm").trim(),
                field(0),
                field(11),
                field(12),
                stack.join(" | ")
            );
        }
    }
}

/// What KVM does for a moment: with each exit, where the guest was.
fn trace() {
    let write = |name: &str, value: &str| fs::write(Path::new(TRACING).join(name), value);
    if write("events/kvm/enable", "1").is_err() {
        println!("standstill: KVM's trace: this kernel shows no events");
        return;
    }
    // One comes with each entry, and says nothing here.
    let _ = write("events/kvm/kvm_pv_tlb_flush/enable", "0");
    std::thread::sleep(TRACED);
    // Held before events are switched off one by one, which takes longer than this and would fill the buffer with the last of them.
    let _ = write("tracing_on", "0");
    let _ = write("events/kvm/enable", "0");
    recorded();
    let _ = write("tracing_on", "1");
    record();
}

fn recorded() {
    let text = fs::read_to_string(Path::new(TRACING).join("trace")).unwrap_or_default();
    let events: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    places(&events);
    println!("standstill: KVM's trace: {} events, the last:", events.len());
    for event in events.iter().skip(events.len().saturating_sub(EVENTS)) {
        println!("standstill: {event}");
    }
    let _ = fs::write(Path::new(TRACING).join("trace"), "");
}

/// Where the guest was at its exits, most often first. It runs the kernel that this machine runs, and is not moved by a random
/// distance as this one may be.
fn places(events: &[&str]) {
    let mut seen: BTreeMap<u64, u32> = BTreeMap::new();
    for rip in events.iter().filter(|event| event.contains("kvm_exit")).filter_map(|event| rip(event)) {
        *seen.entry(rip).or_default() += 1;
    }
    let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let mut order: Vec<_> = seen.into_iter().collect();
    order.sort_unstable_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (rip, count) in order.iter().take(20) {
        println!("standstill: the guest was {count} times at {rip:#x}: {}", symbol(&symbols, *rip));
    }
}

/// The instruction pointer of an exit, `… rip 0xffffffff81000000 …`.
fn rip(event: &str) -> Option<u64> {
    let text = event.split("rip 0x").nth(1)?.split_whitespace().next()?;
    u64::from_str_radix(text, 16).ok()
}

/// Where a kernel that is not moved begins.
const TEXT: u64 = 0xffff_ffff_8100_0000;

/// The symbol before an address of a kernel at its usual place, by this kernel's list.
fn symbol(list: &str, rip: u64) -> String {
    let entries = || {
        list.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            words.next()?;
            Some((address, words.next()?))
        })
    };
    let Some((start, _)) = entries().find(|(address, name)| *name == "_text" && *address != 0) else {
        return "no symbols here".into();
    };
    let here = rip.wrapping_sub(TEXT).wrapping_add(start);
    match entries().filter(|(address, _)| *address <= here).max_by_key(|(address, _)| *address) {
        Some((address, name)) if here - address < 1 << 20 => format!("{name}+{:#x}", here - address),
        _ => "not in the kernel".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_names_the_guests_function_by_this_kernels_list() {
        let event = "vcpu0-1 [001] ..... 1.5: kvm_exit: vcpu 0 reason interrupt rip 0xffffffff81000234 info1 0x0";
        assert_eq!(rip(event), Some(0xffff_ffff_8100_0234));
        assert_eq!(rip("kvm_entry: vcpu 0"), None);
        let list = "ffffffff9a000000 T _text\nffffffff9a000200 T first\nffffffff9a000300 t second\n";
        assert_eq!(symbol(list, 0xffff_ffff_8100_0234), "first+0x34");
        assert_eq!(symbol(list, 0x1000), "not in the kernel");
        assert_eq!(symbol("0000000000000000 T _text\n", 0xffff_ffff_8100_0234), "no symbols here");
    }
}
