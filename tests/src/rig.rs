//! A card with volumes on its storage VFs, ready for drivers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use azote_cocotb::{Recorder, Recording};
use azote_dma::Dma;
use azote_manage::{Manager, Volume};
use azote_nvme::{Controller, Options as NvmeOptions};
use azote_regs::function::{FunctionId, Kind, Role};
use azote_regs::nvme::limits::LBA_SIZE;
use azote_sim::{Card, Hardware, Options, SimFunction, TlpDevice, soft::SoftCard};
use tempfile::TempDir;

use crate::twin::Twin;
use crate::{Error, Result};

/// What stands behind the root complex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// The RTL.
    Rtl,
    /// The RTL twice, with engines that stand still while they are idle and with such as do not: they must be one ([`Twin`]).
    Twin,
    /// The card in software: to try a bench or a test itself.
    Soft,
}

/// How a rig is made.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What the card is.
    pub model: Model,
    /// VFs of each kind.
    pub vfs: u8,
    /// The world around it.
    pub options: Options,
    /// Waves go here.
    pub waves: Option<PathBuf>,
    /// What crosses the card's ports goes here.
    pub recording: Option<Recording>,
}

impl Default for Setup {
    fn default() -> Self {
        Setup { model: Model::Rtl, vfs: 4, options: Options::default(), waves: None, recording: None }
    }
}

impl Setup {
    /// Builds the card, resets and enumerates it.
    pub fn card(&self) -> Result<Card> {
        let device: Box<dyn TlpDevice> = match self.model {
            Model::Soft => Box::new(SoftCard::new(self.vfs)),
            Model::Twin => Box::new(Twin::new(&azote_rtl::card(self.vfs.into())?.text, self.options.seed)?),
            Model::Rtl => {
                let design = azote_rtl::card(self.vfs.into())?;
                let options = azote_verilate::Options::fast().with_trace(self.waves.is_some());
                Box::new(Hardware::build(design.text, &options)?)
            }
        };
        let device = match &self.recording {
            Some(recording) => Box::new(Recorder::new(device, recording.clone())),
            None => device,
        };
        Ok(match &self.waves {
            Some(path) => Card::traced(device, self.options.clone(), path)?,
            None => Card::over(device, self.options.clone())?,
        })
    }
}

/// A folder that is gone when it is dropped.
pub fn folder() -> Result<TempDir> {
    let failed = |source| Error::Io { what: "create a folder in", path: std::env::temp_dir(), source };
    tempfile::tempdir().map_err(failed)
}

/// A function of the card.
pub fn function(card: &Card, id: FunctionId) -> Result<Arc<SimFunction>> {
    card.function(id.number()).ok_or_else(|| Error::Wrong(format!("the card has no function {id:?}")))
}

/// Storage VF `i`.
pub fn storage_vf(i: u8) -> Result<FunctionId> {
    FunctionId::vf(Kind::Storage, i).ok_or_else(|| Error::Wrong(format!("there is no storage VF {i}")))
}

/// Binds image *i* to VF *i* as volume *i*, whole, and enables all VFs of the storage PF.
pub fn provision(card: &Card, images: &[(&Path, bool)]) -> Result<()> {
    let manager = Manager::open(&*function(card, FunctionId::pf(Kind::Trust))?)?;
    for (i, (path, read_only)) in (0u8..).zip(images) {
        let blocks = card.root().media().attach(i, path, *read_only)?;
        manager.bind(Role::Vf(i), Volume { id: i, base: 0, blocks, read_only: *read_only, large_blocks: false })?;
    }
    card.set_vfs(FunctionId::pf(Kind::Storage).number(), manager.vfs().into())?;
    Ok(())
}

/// So many images of `blocks` blocks that say where they are ([`pattern`]), each bound to its VF ([`provision`]), in a folder that
/// is gone when it is dropped.
pub fn volumes(card: &Card, count: u8, blocks: u64) -> Result<TempDir> {
    let folder = folder()?;
    let paths: Vec<_> = (0..count).map(|i| folder.path().join(format!("vf{i}"))).collect();
    paths.iter().try_for_each(|path| pattern(path, blocks))?;
    provision(card, &paths.iter().map(|path| (path.as_path(), false)).collect::<Vec<_>>())?;
    Ok(folder)
}

/// A driver on storage VF `vf`, with `dma` bytes of memory for queues and buffers.
pub fn controller(card: &Card, vf: u8, dma: u64, options: NvmeOptions) -> Result<Controller> {
    Ok(Controller::open(function(card, storage_vf(vf)?)?, Dma::new(dma)?, options)?)
}

/// Makes an image of `blocks` blocks whose contents say where they are.
pub fn pattern(path: &Path, blocks: u64) -> Result<()> {
    let bytes: Vec<u8> = (0..blocks * LBA_SIZE / 8)
        .flat_map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (i >> 6)).to_le_bytes())
        .collect();
    std::fs::write(path, bytes).map_err(|source| Error::Io { what: "write", path: path.to_owned(), source })
}
