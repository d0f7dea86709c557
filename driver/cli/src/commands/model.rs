//! `azote model` and `azote verilog`.

use std::io::Write;
use std::path::Path;

use azote_files::{Inputs, Output};
use azote_verilate::Facts;

use super::{print, print_json};
use crate::{Error, Result, args::Model, sim};

/// Compiles a model to a file, or shows the facts of one.
pub fn run(arguments: &Model, out: &mut dyn Write) -> Result<()> {
    match (&arguments.show, &arguments.output) {
        (Some(path), _) => {
            let facts = read(path)?;
            print_json(out, &serde_json::json!(facts))
        }
        (None, Some(path)) => {
            let facts = sim::compile(arguments, path)?;
            let processor = if facts.processor.is_some() { "for this processor" } else { "for any x86-64 processor" };
            let waves = if facts.waves { ", with waves" } else { "" };
            print(out, &format!("{}: {} by {}, {processor}{waves}\n", path.display(), facts.top, facts.verilator))
        }
        (None, None) => Err(Error::Usage("give --output or --show".into())),
    }
}

/// Prints the card's Verilog.
pub fn verilog(vfs: u8, output: Option<&Path>, out: &mut dyn Write) -> Result<()> {
    let text = sim::verilog(None, vfs)?;
    let Some(path) = output else { return print(out, &text) };
    let mut file = Output::stream(path, &Inputs::new())?;
    file.write_all(text.as_bytes()).map_err(|source| Error::File { path: path.to_owned(), source })?;
    Ok(file.finish()?)
}

fn read(path: &Path) -> Result<Facts> {
    Facts::read(path).map_err(|e| Error::Simulation(e.to_string()))
}
