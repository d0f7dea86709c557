//! What moves on the card's ports while it serves commands, clock by clock: the numbers of `docs/path-of-a-read.md`.

mod record;

use std::path::PathBuf;

use azote_nvme::{Completions, Options as NvmeOptions};
use azote_sim::{Card, Hardware};

use crate::load::Load;
use crate::rig::{controller, pattern, provision};
use crate::{Error, Result};
use record::Recorder;

/// Which commands.
#[derive(Debug, Clone)]
pub struct Path {
    /// Writes; else reads. 4 KiB each.
    pub write: bool,
    /// In flight.
    pub depth: usize,
    /// How many are shown, after as many that warm up.
    pub commands: u64,
    /// Waves go here.
    pub waves: Option<PathBuf>,
}

/// Blocks of the volume: 1 MiB.
const BLOCKS: u64 = 2048;

impl Path {
    /// Runs them on VF 0 and says what moved.
    pub fn run(&self) -> Result<String> {
        let folder = tempfile::tempdir().map_err(|source| Error::Io {
            what: "create a folder in",
            path: std::env::temp_dir(),
            source,
        })?;
        let image = folder.path().join("volume");
        pattern(&image, BLOCKS)?;
        let options = azote_verilate::Options::fast().with_trace(self.waves.is_some());
        let (device, record) = Recorder::new(Hardware::build(azote_rtl::card(4)?.text, &options)?);
        let card = match &self.waves {
            Some(path) => Card::traced(Box::new(device), azote_sim::Options::default(), path)?,
            None => Card::over(Box::new(device), azote_sim::Options::default())?,
        };
        provision(&card, &[(&image, false)])?;
        let options = NvmeOptions { completions: Completions::Interrupts, ..NvmeOptions::default() };
        let mut nvme = [controller(&card, 0, 8 << 20, options)?];
        let load = |seed| Load {
            bytes: 4096,
            depth: self.depth,
            commands: self.commands,
            writes: if self.write { 100 } else { 0 },
            seed,
        };
        load(1).run(&mut nvme)?;
        card.run_idle(10_000);
        record.clear();
        load(2).run(&mut nvme)?;
        card.run_idle(10_000);
        card.assert_clean();
        Ok(record.report())
    }
}
