//! The lint gates: Verilator's warnings, as errors, with the lines that caused them.

use std::path::Path;
use std::process::{Command, Output};

use crate::cache;
use crate::tools::{self, Tools};
use crate::{Error, Source};

/// How many messages a report shows; a printer's bug repeats itself.
const SHOWN: usize = 12;

/// What `-Wall` has beside correctness: names of files, ports left open on purpose, and signals that a shared
/// structure carries to a block that does not read them all. Everything else is a gate.
const ALLOWED: [&str; 5] =
    ["-Wno-UNUSEDSIGNAL", "-Wno-UNUSEDPARAM", "-Wno-UNUSEDGENVAR", "-Wno-DECLFILENAME", "-Wno-PINCONNECTEMPTY"];

/// Runs the gates alone: is the text clean Verilog with `-Wall`?
///
/// This makes the C++ and throws it away, because Verilator looks for loops (UNOPTFLAT) only when it schedules.
pub fn lint(source: &Source) -> Result<(), Error> {
    Tools::find()?;
    let folder = cache::folder()?;
    let work = tempfile::Builder::new()
        .prefix("lint-")
        .tempdir_in(&folder)
        .map_err(Error::io("create a work folder in", &folder))?;
    verilate(source, "Vlint", &[], work.path())
}

/// Writes the text to `work` and makes C++ of it in `work/obj`, with every gate on.
pub(crate) fn verilate(source: &Source, prefix: &str, extra: &[String], work: &Path) -> Result<(), Error> {
    let file = format!("{}.v", source.top);
    let path = work.join(&file);
    // The newline at the end, whose absence Verilator warns about, is not worth an error.
    std::fs::write(&path, source.text.trim_end().to_owned() + "\n").map_err(Error::io("write", &path))?;
    let mut command = Command::new("verilator");
    command.current_dir(work).args(["--cc", "--language", "1800-2017", "-Wall"]).args(ALLOWED).args([
        "-O3",
        "--x-assign",
        "unique",
        "--x-initial",
        "unique",
        "--assert",
        // Several files, so that both cores compile.
        "--output-split",
        "20000",
        "--top-module",
        &source.top,
        "--prefix",
        prefix,
        "-Mdir",
        "obj",
    ]);
    let output = tools::start("verilator", command.args(extra).arg(&file))?;
    if output.status.success() { Ok(()) } else { Err(refused(source, &output)) }
}

/// The error of a Verilator run that failed: a gate if a message names one of the text's lines.
fn refused(source: &Source, output: &Output) -> Error {
    let text = String::from_utf8_lossy(&output.stderr);
    let messages = messages(&text);
    if messages.is_empty() {
        return tools::failed("verilator", &source.top, output);
    }
    let mut report = messages.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("\n");
    if messages.len() > SHOWN {
        report += &format!("\n... and {} more", messages.len() - SHOWN);
    }
    let kept = keep(source).unwrap_or_else(|_| "(it could not be kept)".into());
    Error::Gate { top: source.top.clone(), count: messages.len(), report, kept }
}

/// Each message with its lines of Verilog, without Verilator's advice on how to silence it.
fn messages(text: &str) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with('%') {
            // The closing "%Error: Exiting due to 1 warning(s)" says nothing.
            if !line.contains("Exiting due to") {
                messages.push(line.trim_start_matches('%').to_owned());
            }
        } else if let Some(last) = messages.last_mut()
            && !line.trim_start().starts_with("...")
            && !line.trim().is_empty()
        {
            last.push('\n');
            last.push_str(line);
        }
    }
    messages
}

/// Keeps the refused text where it can be read beside the message's line numbers.
fn keep(source: &Source) -> Result<std::path::PathBuf, Error> {
    let folder = cache::folder()?.join("refused");
    std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    let path = folder.join(format!("{}.v", source.top));
    std::fs::write(&path, &source.text).map_err(Error::io("write", &path))?;
    Ok(path)
}
