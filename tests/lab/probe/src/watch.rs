//! Runs a hypervisor and looks at it from outside when its guest says certain words: how long it took, what it occupies, how
//! often the guest left the processor.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::patience::{LOOK, Patience};
use crate::standstill;

/// What to do when the guest has reached its first program.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Nothing; the machine ends by itself.
    End,
    /// End it: only its boot was of interest.
    Init,
}

/// The longest that a machine may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// Runs a command. Of its output:
/// - `guest init` ends the boot: prints `boot_s`, and `rss_kib`, what is resident beyond the guest's memory;
/// - between `io starts DEPTH` and `io ends DEPTH READS SECONDS` exits are counted: prints `qdDEPTH.exits.REASON` per read,
///   and `qdDEPTH.reads_s`.
pub fn run(name: &str, until: Until, guest_mib: u64, command: &[&str]) -> Result<(), Box<dyn std::error::Error>> {
    let (program, arguments) = command.split_first().ok_or("a command is needed")?;
    let start = Instant::now();
    let mut child = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let pid = child.id();
    // A guest that hangs must not take the whole machine's time.
    let whose = name.to_owned();
    std::thread::spawn(move || {
        let mut patience = Patience::new(PATIENCE);
        while patience.holds() {
            std::thread::sleep(LOOK);
        }
        standstill::report(pid, &whose, &format!("late: not at its end after {} s", PATIENCE.as_secs()));
        let _ = Command::new("kill").arg("-KILL").arg(pid.to_string()).status();
    });
    let output = child.stdout.take().ok_or("no output")?;
    let mut before = BTreeMap::new();
    let value = |what: &str, value: f64| println!("@value {name}.{what} {value:.4}");
    for line in BufReader::new(output).lines() {
        let line = line?;
        let after = |words: &str| line.find(words).map(|at| line[at + words.len()..].split_whitespace());
        if line.contains("guest init") {
            value("boot_s", start.elapsed().as_secs_f64());
            value("rss_kib", resident(pid, guest_mib)? as f64);
            if until == Until::Init {
                child.kill()?;
                child.wait()?;
                return Ok(());
            }
        } else if after("io starts ").is_some() {
            std::thread::sleep(Duration::from_millis(100));
            before = exits(pid);
        } else if let Some(mut words) = after("io ends ") {
            let now = exits(pid);
            let mut next = || words.next().unwrap_or("").parse::<f64>();
            let (depth, reads, seconds) = (next()?, next()?, next()?);
            value(&format!("qd{depth}.reads_s"), reads / seconds);
            for (reason, count) in &now {
                let n = count - before.get(reason).copied().unwrap_or(0).min(*count);
                value(&format!("qd{depth}.exits.{reason}"), n as f64 / reads);
            }
        } else {
            println!("{line}");
        }
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    standstill::epitaph(name, &format!("died: {status}"));
    Err(format!("{program}: {status}").into())
}

/// KiB that a process and its children have in memory, without mappings as large as the guest's memory. Pages that several
/// have count once: a child that was forked has next to none of its own.
fn resident(pid: u32, guest_mib: u64) -> Result<u64, Box<dyn std::error::Error>> {
    let mut total = 0;
    for pid in family(pid) {
        let mut size = 0;
        for line in fs::read_to_string(format!("/proc/{pid}/smaps"))?.lines() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next().and_then(|n| n.parse::<u64>().ok())) {
                (Some("Size:"), Some(kib)) => size = kib,
                (Some("Pss:"), Some(kib)) if size < guest_mib * 512 => total += kib,
                _ => {}
            }
        }
    }
    Ok(total)
}

/// A process and all below it.
pub fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    for child in children.split_whitespace().filter_map(|c| c.parse().ok()) {
        all.extend(family(child));
    }
    all
}

/// KVM's own statistics of the machines of a process and its children (debugfs).
fn exits(pid: u32) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for pid in family(pid) {
        for folder in machines(pid) {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let wanted = name == "exits" || name.ends_with("_exits") || WANTED.contains(&name.as_str());
                let count = fs::read_to_string(entry.path()).ok().and_then(|text| text.trim().parse::<u64>().ok());
                if let (true, Some(count)) = (wanted, count) {
                    *counts.entry(name).or_default() += count;
                }
            }
        }
    }
    counts
}

/// Statistics beside those that end in `_exits`.
const WANTED: [&str; 3] = ["irq_window", "irq_injections", "hypercalls"];

/// `/sys/kernel/debug/kvm/PID-FD`.
pub fn machines(pid: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir("/sys/kernel/debug/kvm").into_iter().flatten().flatten();
    let prefix = format!("{pid}-");
    entries.filter(|e| e.file_name().to_string_lossy().starts_with(&prefix)).map(|e| e.path()).collect()
}
