//! The card behind the command line: a simulated one in this process, or real functions on this machine.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use azote_files::Inputs;
use azote_manage::{Manager, Volume};
use azote_nvme::{Completions, Controller, Options};
use azote_regs::function::{FunctionId, Role};
use azote_regs::nvme::limits::LBA_SIZE;
use azote_seam::{Function, sriov::Sriov};
use serde::Serialize;

use crate::{
    Error, Result,
    commands::human,
    limit::{self, Bounds, LimitSpec, Shown},
    nbd::Allocation,
    target::Target,
};

/// A function in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its PCI address.
    pub address: String,
    /// What it is, if it is one of ours.
    pub id: Option<FunctionId>,
    /// Whether it is enabled, and who has it.
    pub state: String,
    /// Its volume.
    pub volume: Bound,
}

/// What is known of a function's volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// Only who opens the management function could say.
    Unknown,
    /// It has none, or is none that could have one.
    None,
    /// This one.
    Volume(BoundVolume),
}

/// A function's volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BoundVolume {
    /// Its number at the media port.
    pub id: u8,
    /// The file behind it, where that is known.
    pub file: Option<PathBuf>,
    /// Its first block of 512 bytes.
    pub base: u64,
    /// Its size.
    pub bytes: u64,
    /// Writes are refused.
    pub read_only: bool,
    /// How fast it may be used, and how long it may take.
    pub limits: limit::Facts,
    #[serde(skip)]
    bounds: Bounds,
}

impl BoundVolume {
    /// What the card says of a binding, and the file that is known to be behind it.
    #[must_use]
    pub fn new(volume: Volume, file: Option<PathBuf>, bounds: Bounds) -> Self {
        let Volume { id, base, blocks, read_only, .. } = volume;
        Self { id, file, base, bytes: blocks * LBA_SIZE, read_only, limits: bounds.into(), bounds }
    }
}

impl fmt::Display for BoundVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "{}: {} ({}", self.id, file.display(), human(self.bytes))?,
            None => write!(f, "{}: from block {} ({}", self.id, self.base, human(self.bytes))?,
        }
        if self.read_only {
            f.write_str(", read-only")?;
        }
        let limits = Shown(self.bounds).to_string();
        if limits.is_empty() { f.write_str(")") } else { write!(f, ", {limits})") }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("?"),
            Self::None => f.write_str("-"),
            Self::Volume(volume) => volume.fmt(f),
        }
    }
}

impl Listed {
    /// It is known to have a volume.
    #[must_use]
    pub fn has_volume(&self) -> bool {
        matches!(self.volume, Bound::Volume(_))
    }

    /// For programs: one object.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let role = self.id.map(|id| match id.role {
            Role::Pf => "pf".to_owned(),
            Role::Vf(i) => format!("vf{i}"),
        });
        let volume = if let Bound::Volume(volume) = &self.volume { Some(volume) } else { None };
        serde_json::json!({
            "address": self.address,
            "kind": self.id.map(|id| id.kind.name()),
            "function": role,
            "state": self.state,
            "volume": volume,
            "volume_known": self.volume != Bound::Unknown,
        })
    }
}

/// A card, or a machine with some.
pub trait Card {
    /// Every function.
    fn list(&self) -> Result<Vec<Listed>>;
    /// One of them.
    fn open(&self, target: &Target) -> Result<Arc<dyn Function>>;
    /// How its controllers are to be driven.
    fn options(&self) -> Options {
        Options { completions: Completions::Interrupts, ..Options::default() }
    }
    /// The limits of one of them, where they can be known.
    fn bounds(&self, _target: &Target) -> Result<Option<Bounds>> {
        Ok(None)
    }
    /// What a clock of the card counts as in the drivers' time, if the card is a simulated one.
    fn clock_period(&self) -> Option<Duration> {
        None
    }
    /// The files that it is made of, which no output may replace.
    fn inputs(&self) -> Inputs {
        Inputs::new()
    }
    /// Where the volume of one of them has holes, where that can be known.
    fn allocation(&self, _target: &Target) -> Result<Option<Allocation>> {
        Ok(None)
    }
    /// From now on frames come in at its Ethernet port: who is to receive them is ready.
    fn connect(&self) -> Result<()> {
        Ok(())
    }
    /// What passed its Ethernet port, if it is a simulated one.
    fn ethernet(&self) -> Option<azote_sim::EthernetStats> {
        None
    }
    /// The end of work with it, which says what could not be kept: volumes, waves, logs.
    fn finish(&self) -> Result<()> {
        Ok(())
    }
    /// What else can be told of it after work: clocks, TLPs.
    fn report(&self) -> Option<String> {
        None
    }
}

/// Memory for a controller's queues and buffers.
const DMA: u64 = 8 << 20;

/// Opens the controller of a function.
pub fn controller(card: &dyn Card, target: &Target) -> Result<Controller> {
    let function = card.open(target)?;
    Ok(Controller::open(function, azote_dma::Dma::new(DMA)?, card.options())?)
}

/// What a card has to know of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Blocks of the volume.
    pub blocks: u64,
    /// Writes are refused.
    pub read_only: bool,
}

/// Binds each image to the VF of its place, limits who is to be limited, and enables all VFs: what a host does once, through
/// the PFs.
pub fn provision(
    trust: &dyn Function,
    storage: &dyn Function,
    images: &[Size],
    limits: &[LimitSpec],
) -> Result<Manager> {
    let manager = Manager::open(trust)?;
    let vfs = usize::from(manager.vfs());
    if images.len() > vfs {
        return Err(Error::Usage(format!("{} volumes given, the card has {vfs} VFs", images.len())));
    }
    // They count from the binding on.
    for spec in limits {
        manager.set_timeout(spec.role, spec.bounds.timeout)?;
    }
    for (i, image) in (0..).zip(images) {
        let volume = Volume { id: i, base: 0, blocks: image.blocks, read_only: image.read_only, large_blocks: false };
        manager.bind(Role::Vf(i), volume)?;
    }
    for spec in limits {
        manager.limit(spec.role, spec.bounds.limits)?;
    }
    Sriov::find(storage)?.enable(storage, vfs as u16)?;
    Ok(manager)
}

/// The table of `azote list`.
#[must_use]
pub fn table(functions: &[Listed]) -> String {
    let head = ["ADDRESS", "KIND", "FUNCTION", "STATE", "VOLUME"].map(str::to_owned);
    let row = |f: &Listed| {
        let role = match f.id.map(|id| id.role) {
            Some(Role::Pf) => "PF".to_owned(),
            Some(Role::Vf(i)) => format!("VF {i}"),
            None => "-".into(),
        };
        let kind = f.id.map_or("-", |id| id.kind.name()).to_owned();
        [f.address.clone(), kind, role, f.state.clone(), f.volume.to_string()]
    };
    let rows: Vec<_> = std::iter::once(head).chain(functions.iter().map(row)).collect();
    columns(&rows)
}

/// Rows of cells as aligned columns.
#[must_use]
pub fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..N).map(width).collect();
    let line = |r: &[String; N]| {
        let cells: Vec<_> = r.iter().zip(&widths).map(|(cell, &w)| format!("{cell:w$}")).collect();
        cells.join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use azote_regs::{function::Kind, manage};
    use azote_seam::mock::{Mock, Plain};

    #[test]
    fn the_table_is_aligned_and_says_what_is_not_there() {
        let listed =
            |address: &str, id, volume: Bound| Listed { address: address.into(), id, state: "enabled".into(), volume };
        let volume = Volume { id: 0, base: 0, blocks: 2048, read_only: true, large_blocks: false };
        let limits = "vf0:iops=5000:timeout=500ms".parse::<LimitSpec>().unwrap().bounds;
        let volume = Bound::Volume(BoundVolume::new(volume, Some("disk.img".into()), limits));
        let all = [
            listed("0000:01:00.1", Some(FunctionId::pf(Kind::Storage)), Bound::None),
            listed("0000:01:02.1", FunctionId::vf(Kind::Storage, 0), volume),
            listed("0000:02:00.1", None, Bound::Unknown),
        ];
        let json = all.each_ref().map(Listed::json);
        assert_eq!(json[1]["volume"]["bytes"], 1 << 20);
        assert_eq!(json[1]["volume"]["limits"]["iops"], 4997);
        assert_eq!(json[1]["volume"]["limits"]["timeout_ms"], 500);
        assert_eq!((&json[1]["function"], &json[0]["function"]), (&"vf0".into(), &"pf".into()));
        assert!(json[0]["volume"].is_null() && json[0]["volume_known"] == true && json[2]["volume_known"] == false);
        let text = table(&all);
        let wanted = "\
ADDRESS       KIND     FUNCTION  STATE    VOLUME
0000:01:00.1  storage  PF        enabled  -
0000:01:02.1  storage  VF 0      enabled  0: disk.img (1.00 MiB, read-only, 4997 IOPS, time-out 500 ms)
0000:02:00.1  -        -         enabled  ?
";
        assert_eq!(text, wanted);
    }

    fn pfs(vfs: u32) -> (Arc<Mock<Plain>>, Arc<Mock<Plain>>) {
        let trust = Mock::new("trust", Plain::default());
        let bar = trust.bar(2).unwrap();
        bar.write32(manage::MAGIC, manage::MAGIC_VALUE as u32).unwrap();
        bar.write32(manage::VERSION, manage::VERSION_VALUE as u32).unwrap();
        bar.write32(manage::VFS, vfs).unwrap();
        let storage = Mock::new("storage", Plain::default());
        storage.set_config32(0, 0x10f1_1af4);
        storage.set_config32(0x100, 0x0001_0010);
        storage.set_config32(0x10c, vfs << 16 | vfs);
        (trust, storage)
    }

    fn image(blocks: u64) -> Size {
        Size { blocks, read_only: blocks == 1 }
    }

    #[test]
    fn volume_k_is_bound_to_vf_k_before_the_vfs_appear() {
        let (trust, storage) = pfs(4);
        let limit: LimitSpec = "vf1:iops=5000:timeout=1s".parse().unwrap();
        let manager = provision(&*trust, &*storage, &[image(8), image(1)], &[limit]).unwrap();
        let bound = manager.bindings().unwrap();
        assert_eq!(
            bound[0],
            (Role::Vf(0), Volume { id: 0, base: 0, blocks: 8, read_only: false, large_blocks: false })
        );
        assert_eq!(bound[1], (Role::Vf(1), Volume { id: 1, base: 0, blocks: 1, read_only: true, large_blocks: false }));
        let one = Bounds { timeout: std::time::Duration::from_millis(1008), ..limit.bounds };
        assert_eq!(Bounds::of(&manager, Role::Vf(1)).unwrap(), one);
        assert_eq!(Bounds::of(&manager, Role::Vf(0)).unwrap(), Bounds::default());
        assert_eq!(Sriov::find(&*storage).unwrap().enabled(&*storage).unwrap(), 4);
    }

    #[test]
    fn more_volumes_than_vfs_are_refused() {
        let (trust, storage) = pfs(1);
        let e = provision(&*trust, &*storage, &[image(8), image(8)], &[]).err().unwrap();
        assert_eq!(e.to_string(), "2 volumes given, the card has 1 VFs");
    }
}
