//! `bench driver`: what the NVMe driver itself does for an I/O, in instructions.
//!
//! The program runs itself under callgrind, with the card in software, and counts only between the calls into the driver
//! and their returns: what the driver calls of the card's side of the seam is taken out, since its registers are a function
//! call where a real card's are a store. Two runs, of which one does twice as many I/Os, differ by the I/Os alone.

use std::path::Path;
use std::process::Command;

use azote_nvme::{Completion, Controller, Io, Options as NvmeOptions};
use azote_regs::nvme::limits::LBA_SIZE;
use azote_tests::callgrind::Profile;
use azote_tests::figures::Figure;
use azote_tests::rig::{Model, Setup, controller, folder, pattern, provision};
use azote_tests::{Error, Result};

/// Instructions that an I/O may take.
const WANTED: f64 = 400.0;
/// I/Os of the shorter run.
const COUNT: u64 = 256;
const BYTES: u64 = 4096;
/// Blocks of the volume.
const BLOCKS: u64 = 2048;
/// Functions that the breakdown names.
const SHOWN: usize = 12;

/// Where counting begins and ends: the two functions below, and within them the card's side of the seam.
const COUNTED: &str = "bench::driver::counted_*";
const SEAM: [&str; 3] =
    ["*as azote_seam::function::Function>*", "*as azote_seam::function::Mmio>*", "*as azote_seam::function::Vector>*"];

/// Measures reads and writes; the breakdown goes to stderr, for people.
pub fn measure() -> Result<Vec<Figure>> {
    let read = per_io("read")?;
    let write = per_io("write")?;
    eprint!("{}", breakdown(&read));
    let instructions = read.instructions().max(write.instructions()) as f64 / COUNT as f64;
    let heap = (read.heap() + write.heap()) as f64 / COUNT as f64;
    Ok(vec![
        Figure::cost("driver.instructions_per_io", instructions, "instructions", WANTED).at_least(1.0),
        Figure::cost("driver.heap_per_io", heap, "instructions of malloc and its like", 0.0).at_least(1.0),
    ])
}

/// What [`COUNT`] I/Os take.
fn per_io(what: &str) -> Result<Profile> {
    let folder = folder()?;
    let (short, long) = (profile(folder.path(), what, COUNT)?, profile(folder.path(), what, 2 * COUNT)?);
    let difference = &long - &short;
    if difference.instructions() < COUNT {
        return Err(Error::Wrong(format!("callgrind counted nothing between calls of `{COUNTED}`: was it renamed?")));
    }
    Ok(difference)
}

fn profile(folder: &Path, what: &str, count: u64) -> Result<Profile> {
    let out = folder.join(format!("{what}-{count}"));
    let own =
        std::env::current_exe().map_err(|source| Error::Io { what: "find", path: "this program".into(), source })?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--collect-atstart=no"]).arg(format!("--toggle-collect={COUNTED}"));
    command.args(SEAM.map(|pattern| format!("--toggle-collect={pattern}")));
    command.arg(format!("--callgrind-out-file={}", out.display())).arg(own);
    command.args(["driver", "--load", what, "--commands", &count.to_string()]);
    let output =
        command.output().map_err(|e| Error::Wrong(format!("cannot run valgrind ({e}): run `cargo xtask setup`")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::Wrong(format!("valgrind failed ({}):\n{said}", output.status)));
    }
    let text = std::fs::read_to_string(&out).map_err(|source| Error::Io { what: "read", path: out, source })?;
    Ok(Profile::parse(&text))
}

/// The functions that take most, an I/O.
fn breakdown(profile: &Profile) -> String {
    let mut functions: Vec<_> = profile.0.iter().collect();
    functions.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let line = |(name, n): &(&String, &u64)| format!("{:>8.1}  {name}\n", **n as f64 / COUNT as f64);
    let lines: String = functions.iter().take(SHOWN).map(line).collect();
    format!("instructions of a 4 KiB read, by function\n{lines}\n")
}

/// What runs under callgrind: I/Os one after the other, each with its doorbell and its completion.
pub fn load(what: &str, count: u64) -> Result<()> {
    let folder = folder()?;
    let path = folder.path().join("volume");
    pattern(&path, BLOCKS)?;
    let card = Setup { model: Model::Soft, vfs: 1, ..Setup::default() }.card()?;
    provision(&card, &[(&path, false)])?;
    let mut nvme = controller(&card, 0, 4 << 20, NvmeOptions::default())?;
    let buffer = nvme.dma().alloc(BYTES, BYTES)?;
    let blocks = BYTES / LBA_SIZE;
    for i in 0..count {
        let (lba, data) = (i % (BLOCKS / blocks) * blocks, buffer.whole());
        let io = if what == "write" { Io::Write { lba, data } } else { Io::Read { lba, data } };
        counted_submit(&mut nvme, io, i)?;
        card.run_idle(100_000);
        match counted_poll(&mut nvme)? {
            Some(Completion { user, result: Ok(_) }) if user == i => {}
            other => return Err(Error::Wrong(format!("I/O {i} ended with {other:?}"))),
        }
    }
    Ok(())
}

#[inline(never)]
fn counted_submit(nvme: &mut Controller, io: Io, user: u64) -> azote_nvme::Result<()> {
    nvme.submit(0, io, user)
}

#[inline(never)]
fn counted_poll(nvme: &mut Controller) -> azote_nvme::Result<Option<Completion>> {
    nvme.poll(0)
}
