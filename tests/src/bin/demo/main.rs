//! `cargo xtask demo`: real files come off an NVMe virtual function that exists only as RTL.
//!
//! Two images become volumes of two virtual functions. Both are exported over NBD, and tools that nobody here wrote
//! read one of them while they write the other. Then every byte is compared. At last a stock Linux boots in a guest of our
//! hypervisor, and reads the same files with its own driver.

#![forbid(unsafe_code)]

mod export;
mod guest;
mod images;
mod report;
mod tools;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use azote_sim::{Card, Options};
use azote_tests::rig::{Setup, provision};
use azote_tests::{Error, Result};
use clap::Parser;

use export::Exports;

/// Copies a real directory tree out of a virtual function of the simulated card, while another is written.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask demo")]
struct Arguments {
    /// The directory tree that goes into the ext4 image.
    #[arg(long, default_value = "/usr/include/c++")]
    tree: PathBuf,
    /// Size of the image that is written to the other virtual function, in MiB.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(1..=1024))]
    raw: u64,
    /// Stop before the guest: it needs QEMU and a kernel, which are downloaded once (70 MB).
    #[arg(long)]
    no_guest: bool,
    /// Leave everything in this folder, which must not exist yet, instead of removing it.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Write waves (FST) to this file; much slower.
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Write every TLP to this file.
    #[arg(long)]
    tlp_log: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One line for each step, as it begins.
fn step(text: &str) {
    println!("==> {text}");
}

fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    // The cheapest first: a wrong path should not wait for the card.
    let files = images::check_tree(&arguments.tree)?;
    let temporary;
    let folder: &Path = match &arguments.keep {
        Some(path) => {
            std::fs::create_dir(path).map_err(io("create the folder", path))?;
            path
        }
        None => {
            temporary = tempfile::tempdir().map_err(io("create a folder in", &std::env::temp_dir()))?;
            temporary.path()
        }
    };

    step(&format!("making an ext4 image of {} ({files} files)", arguments.tree.display()));
    let image = folder.join("files.ext4");
    images::make_ext4(&arguments.tree, &image)?;
    let source = folder.join("raw.source");
    let volume = folder.join("raw.volume");
    images::make_raw(&source, arguments.raw << 20)?;
    images::make_empty(&volume, arguments.raw << 20)?;

    step("building the card from its RTL (seconds the first time, then cached)");
    let options = Options { log: arguments.tlp_log.clone(), ..Options::default() };
    let card = Setup { options, waves: arguments.trace.clone(), ..Setup::default() }.card()?;

    step("binding both images to virtual functions, enabling SR-IOV, exporting VF 0 and VF 1 over NBD");
    provision(&card, &[(&image, true), (&volume, false)])?;
    let exports = Exports::start(&card, &[0, 1], &folder.join("nbd"))?;
    let copied = copy(&card, &exports, folder, &image, &source);
    let per_vf = exports.stop();
    let run = copied?;
    let per_vf = per_vf?;

    step("comparing every byte");
    verify::same(&image, &folder.join("files.copy"))?;
    verify::same(&source, &volume)?;
    let compared = verify::tree(&folder.join("files.copy"), &arguments.tree, &folder.join("files"))?;
    rules_kept(&card)?;

    report::print(&card, &run, &per_vf);
    if !arguments.no_guest {
        println!();
        step("booting Linux in a guest of our hypervisor, with the card's VF 0 as its disk (in an emulated host)");
        guest::run(&image, &arguments.tree)?;
    }
    println!(
        "\nAll {compared} files came off VF 0 as they are in {}, and VF 1 holds what was written. {:.0} s in all.",
        arguments.tree.display(),
        start.elapsed().as_secs_f64()
    );
    if let Some(kept) = &arguments.keep {
        println!("Everything is in {}.", kept.display());
    }
    Ok(())
}

/// Copies out of VF 0 and into VF 1 at the same time, then reads VF 1 back.
fn copy(card: &Card, exports: &Exports, folder: &Path, image: &Path, source: &Path) -> Result<report::Run> {
    step("qemu-img copies VF 0 out, while nbdcopy fills VF 1");
    let (start, clocks) = (Instant::now(), card.clocks());
    let read = tools::convert(&exports.uri(0), &folder.join("files.copy"));
    let write = tools::nbdcopy(source, &exports.uri(1));
    tools::both(card, [("VF 0 out", read, images::size(image)?), ("VF 1 in", write, images::size(source)?)])?;
    let run = report::Run { clocks: card.clocks() - clocks, wall: start.elapsed() };
    step("qemu-img compares VF 1 with what was written");
    tools::compare(source, &exports.uri(1))?;
    Ok(run)
}

/// A copy that is right and a card that broke a rule would be luck.
fn rules_kept(card: &Card) -> Result<()> {
    match card.root().violations() {
        (0, _) => Ok(()),
        (count, kept) => {
            let first = kept.first().map(ToString::to_string).unwrap_or_default();
            Err(Error::Wrong(format!("the bytes are right, but {count} rule(s) were broken, first: {first}")))
        }
    }
}

/// Wraps an I/O error; made for `map_err`.
fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { what, path, source }
}
