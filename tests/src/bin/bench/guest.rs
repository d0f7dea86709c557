//! `bench guest`: guests of our hypervisor, in an emulated host, beside QEMU's in the same run.
//!
//! Times are an emulated processor's, several times those of a real one. What counts is their ratio.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use azote_lab::cases;
use azote_lab::machine::Outcome;
use azote_tests::figures::Figure;
use azote_tests::{Error, Result};

use crate::rounds::{Rounds, beside};
use crate::{Arguments, bounds, sim};

/// How much of QEMU's time a boot may take.
const BOOT: f64 = 0.6;
/// MiB that may be resident beyond the guest's memory: what Firecracker enforces.
const RESIDENT: f64 = 5.0;
/// Bytes of each read.
const BYTES: u64 = 4096;

/// Measures them all; the breakdowns go to stderr, for people.
pub fn measure(arguments: &Arguments) -> Result<Vec<Figure>> {
    eprintln!("bench: our hypervisor beside QEMU, some minutes");
    let beside = run("bench-nvme")?;
    let mut figures = hypervisor(&beside)?;
    eprint!("{}", exits(&beside));
    eprintln!("bench: the RTL's VF in a guest");
    let rtl = run("bench-rtl")?;
    let clocks_per_second = sim::speed(arguments)?;
    figures.extend(card(&rtl, clocks_per_second)?);
    eprint!("{}", picture(&rtl, clocks_per_second)?);
    Ok(figures)
}

fn run(case: &str) -> Result<Outcome> {
    cases::run(case).map_err(|e| Error::Wrong(e.to_string()))
}

/// The median of a value's rounds.
fn median(outcome: &Outcome, name: &str) -> Result<f64> {
    Ok(Rounds::of(outcome, name)?.median())
}

fn hypervisor(o: &Outcome) -> Result<Vec<Figure>> {
    let ours = Rounds::of(o, "boot.ours.boot_s")?;
    let theirs = [Rounds::of(o, "boot.q35.boot_s")?, Rounds::of(o, "boot.microvm.boot_s")?];
    let [q35, microvm] = theirs;
    let better = if q35.median() <= microvm.median() { q35 } else { microvm };
    let mut noise = beside("boot, s", &ours, &better);
    let resident = median(o, "boot.ours.rss_kib")? / 1024.0;
    let mut figures = vec![
        Figure::cost("guest.boot_vs_qemu", ours.median() / better.median(), "of QEMU's time", BOOT).at_least(1.0),
        Figure::cost("guest.vmm_rss", resident, "MiB", RESIDENT).at_least(1.0),
        // Nothing but registers is ever reached by an access that the processor cannot make by itself.
        Figure::cost("guest.exits_per_io.doorbell", median(o, "io.ours.qd1.exits.mmio_exits")?, "exits", 0.0)
            .at_least(1.0),
    ];
    for (name, depth) in [("guest.exits_per_io.qd1", "qd1"), ("guest.exits_per_io.qd32", "qd32")] {
        let of = |whose: &str| Rounds::of(o, &format!("io.{whose}.{depth}.exits.exits"));
        let (ours, theirs) = (of("ours")?, of("qemu")?);
        noise += &beside(&format!("exits per read, {depth}"), &ours, &theirs);
        // Not more than QEMU's, as far as these rounds can tell.
        let least = ours.within_noise_of(&theirs);
        figures.push(Figure::cost(name, ours.median(), "exits", theirs.median()).at_least(least));
    }
    eprint!("\nmedians, in turns with QEMU:\n{noise}");
    Ok(figures)
}

/// Exits per read by reason, ours beside QEMU's.
fn exits(o: &Outcome) -> String {
    let mut out = format!("\n{:<24}{:>10}{:>10}{:>12}{:>10}\n", "exits per read", "QD 1", "QEMU's", "QD 32", "QEMU's");
    let prefix = "io.ours.qd1.exits.";
    let mut reasons: Vec<&str> = o.values.iter().filter_map(|(name, _)| name.strip_prefix(prefix)).collect();
    reasons.sort_unstable();
    reasons.dedup();
    for reason in reasons {
        let of =
            |whose: &str, depth: &str| median(o, &format!("io.{whose}.{depth}.exits.{reason}")).unwrap_or(f64::NAN);
        let cells = [of("ours", "qd1"), of("qemu", "qd1"), of("ours", "qd32"), of("qemu", "qd32")];
        if cells.iter().any(|&n| n > 0.0) {
            let [a, b, c, d] = cells;
            out += &format!("{reason:<24}{a:>10.3}{b:>10.3}{c:>12.3}{d:>10.3}\n");
        }
    }
    out + "\n"
}

/// Clocks of the card for one 4 KiB read, alone and among others.
fn clocks(depth: u64) -> f64 {
    let options = azote_sim::Options::default();
    let payload = options.max_payload.into();
    let clocks = match depth {
        1 => bounds::latency(BYTES, payload, options.read_latency.into()),
        _ => bounds::read(BYTES, payload),
    };
    clocks as f64
}

fn card(o: &Outcome, clocks_per_second: f64) -> Result<Vec<Figure>> {
    let mut figures = vec![Figure::cost("guest.mmio_us", median(o, "mmio_us")?, "us", ping()?)];
    for (name, depth, key) in
        [("guest.rtl.read.4k.qd1", 1, "rtl.qd1.reads_s"), ("guest.rtl.read.4k.qd32", 32, "rtl.qd32.reads_s")]
    {
        figures.push(Figure::rate(name, median(o, key)?, "reads/s", clocks_per_second / clocks(depth)));
    }
    let bytes = median(o, "rtl.qd32.reads_s")? * BYTES as f64 / 1e6;
    figures.push(Figure::rate(
        "guest.rtl.read.mb_s",
        bytes,
        "MB/s",
        clocks_per_second / clocks(32) * BYTES as f64 / 1e6,
    ));
    Ok(figures)
}

/// What no register access through a socket can beat: a message there and one back, between two threads. Microseconds.
fn ping() -> Result<f64> {
    let failed = |source| Error::Io { what: "use a socket at", path: "socketpair".into(), source };
    let (mut here, mut there) = UnixStream::pair().map_err(failed)?;
    const ROUNDS: u32 = 20_000;
    let echo = std::thread::spawn(move || {
        let mut message = [0; 40];
        while there.read_exact(&mut message).and_then(|()| there.write_all(&message)).is_ok() {}
    });
    let mut message = [0; 40];
    let start = Instant::now();
    for _ in 0..ROUNDS {
        here.write_all(&message).and_then(|()| here.read_exact(&mut message)).map_err(failed)?;
    }
    let taken = start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS);
    drop(here);
    let _ = echo.join();
    Ok(taken)
}

/// Where the time of a guest's read goes, at depth 1, as a bar.
fn picture(o: &Outcome, clocks_per_second: f64) -> Result<String> {
    let whole = 1e6 / median(o, "rtl.qd1.reads_s")?;
    let card = clocks(1) / clocks_per_second * 1e6;
    // The tail of the submission queue and the head of the completion queue.
    let doorbells = 2.0 * median(o, "mmio_us")?;
    let rest = (whole - card - doorbells).max(0.0);
    let mut out = format!("where a guest's 4 KiB read goes, one at a time: {whole:.0} us\n");
    let parts = [
        ("two doorbells, through vfio-user", doorbells),
        ("the card, simulated", card),
        ("two Linuxes and KVM, emulated", rest),
    ];
    for (what, us) in parts {
        let cells = (us / whole * 50.0).round().clamp(0.0, 50.0) as usize;
        out += &format!("  {what:<34}{us:>8.0} us  {}\n", "#".repeat(cells.max(1)));
    }
    Ok(out + "\n")
}
