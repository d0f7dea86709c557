//! A card simulated in this process from its RTL.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use azote_manage::{Limits, Manager};
use azote_nvme::{Completions, Options};
use azote_regs::function::{FunctionId, Kind, Role};
use azote_seam::{Function, sriov::Sriov};
use azote_sim::{Hardware, TlpDevice, soft::SoftCard};

use crate::{
    Error, Result,
    args::CardArgs,
    card::{Card, Listed, provision},
    commands::human,
    image::Image,
    limit::{self, LimitSpec, Shown},
    target::Target,
};

/// A driver's time-out on the simulated clock, where a clock counts as a microsecond: two million clocks, some seconds
/// of a person's time. The longest command takes thousands.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A simulated card with its volumes.
pub struct SimCard {
    card: azote_sim::Card,
    manager: Manager,
    images: Vec<Image>,
    start: Instant,
}

impl SimCard {
    /// Checks the images, builds the card, starts it and binds image *k* to VF *k*.
    pub fn start(args: &CardArgs) -> Result<Self> {
        // Cheapest first: a missing file should not wait for Verilator.
        let images = args.volume.iter().map(Image::check).collect::<Result<Vec<_>>>()?;
        if images.len() > usize::from(args.vfs()) {
            let what = format!("{} volumes for {} VFs; give --vfs {}", images.len(), args.vfs(), images.len());
            return Err(Error::Usage(what));
        }
        limit::check(&args.limit, args.vfs())?;
        for path in [&args.trace, &args.tlp_log].into_iter().flatten() {
            writable(path)?;
        }
        let device = device(args)?;
        let options = azote_sim::Options { log: args.tlp_log.clone(), ..Default::default() };
        let card = match &args.trace {
            Some(waves) => azote_sim::Card::traced(device, options, waves),
            None => azote_sim::Card::over(device, options),
        };
        Self::over(card.map_err(simulation)?, images, &args.limit)
    }

    /// Gives a card that has been enumerated its volumes, limits and VFs.
    pub fn over(card: azote_sim::Card, images: Vec<Image>, limits: &[LimitSpec]) -> Result<Self> {
        for (i, image) in (0..).zip(&images) {
            card.root().media().attach(i, &image.path, image.read_only).map_err(simulation)?;
        }
        let start = Instant::now();
        let function = |kind| function(&card, FunctionId::pf(kind));
        let manager = provision(&*function(Kind::Trust)?, &*function(Kind::Storage)?, &images, limits)?;
        Ok(Self { card, manager, images, start })
    }

    /// The card itself.
    #[must_use]
    pub fn card(&self) -> &azote_sim::Card {
        &self.card
    }

    fn listed(&self, id: FunctionId, state: String) -> Result<Listed> {
        let bound = if id.kind == Kind::Storage { self.manager.binding(id.role)? } else { None };
        let limits = if bound.is_some() { self.manager.limits(id.role)? } else { Limits::default() };
        let volume = bound.map(|v| {
            let path = self.images.get(usize::from(v.id)).map_or("?".into(), |i| i.path.display().to_string());
            let access = if v.read_only { ", read-only" } else { "" };
            let limits = if limits == Limits::default() { String::new() } else { format!(", {}", Shown(limits)) };
            format!("{}: {path} ({}{access}{limits})", v.id, human(v.blocks * 512))
        });
        Ok(Listed {
            address: function(&self.card, id)?.name().to_owned(),
            id: Some(id),
            state,
            has_volume: volume.is_some(),
            volume: volume.unwrap_or_else(|| "-".into()),
        })
    }
}

fn function(card: &azote_sim::Card, id: FunctionId) -> Result<Arc<dyn Function>> {
    match card.function(id.number()) {
        Some(f) => Ok(f),
        None => Err(Error::Simulation(format!("the card has no function {:#04x}", id.number()))),
    }
}

impl Card for SimCard {
    fn list(&self) -> Result<Vec<Listed>> {
        let mut list = Vec::new();
        for kind in Kind::ALL {
            let id = FunctionId::pf(kind);
            let pf = function(&self.card, id)?;
            let sriov = Sriov::find(&*pf)?;
            let (enabled, total) = (sriov.enabled(&*pf)?, sriov.total(&*pf)?);
            list.push(self.listed(id, format!("{enabled} of {total} VFs"))?);
            for i in 0..enabled.min(u8::MAX.into()) as u8 {
                if let Some(id) = FunctionId::vf(kind, i) {
                    list.push(self.listed(id, "enabled".into())?);
                }
            }
        }
        Ok(list)
    }

    fn open(&self, target: &Target) -> Result<Arc<dyn Function>> {
        let known = || format!("this card has pf and vf0 to vf{}", self.manager.vfs().saturating_sub(1));
        let missing = || Error::NoFunction { target: target.to_string(), known: known() };
        match target {
            Target::Storage(Role::Vf(i)) if *i >= self.manager.vfs() => Err(missing()),
            Target::Storage(role) => function(&self.card, FunctionId { kind: Kind::Storage, role: *role }),
            Target::Socket(_) => Err(Error::Usage(format!("{target} is another process's function; leave out --sim"))),
            Target::Address(address) => {
                let listed = self.list()?.into_iter().find(|f| f.address == *address);
                let id = listed.and_then(|f| f.id).ok_or_else(missing)?;
                function(&self.card, id)
            }
        }
    }

    fn options(&self) -> Options {
        Options { completions: Completions::Interrupts, timeout: TIMEOUT, ..Options::default() }
    }

    fn limits(&self, target: &Target) -> Result<Option<Limits>> {
        match target {
            Target::Storage(role) => Ok(Some(self.manager.limits(*role)?)),
            _ => Ok(None),
        }
    }

    fn report(&self) -> Option<String> {
        let clocks = self.card.clocks();
        let stats = self.card.root().stats();
        let seconds = self.start.elapsed().as_secs_f64();
        Some(format!(
            "simulated: {clocks} clocks ({seconds:.1} s since the start, waiting included), {} TLPs to the card, {} from it, {} on its \
             link to the host\n",
            stats.rx_packets,
            stats.tx_packets,
            human(16 * stats.tx_beats),
        ))
    }
}

/// What stands behind the root complex: the RTL, compiled now or before, or the model in software.
fn device(args: &CardArgs) -> Result<Box<dyn TlpDevice>> {
    if args.soft {
        return Ok(Box::new(SoftCard::new(args.vfs())));
    }
    let hardware = match &args.model {
        Some(path) => Hardware::load(path, 0),
        None => {
            let options = azote_verilate::Options::fast().with_trace(args.trace.is_some());
            Hardware::build(verilog(args)?, &options)
        }
    };
    Ok(Box::new(hardware.map_err(simulation)?))
}

/// The compiled card: the one that was given, or the RTL, compiled now unless it was before.
pub fn library(args: &CardArgs) -> Result<std::path::PathBuf> {
    match &args.model {
        Some(path) => Ok(path.clone()),
        None => Hardware::compile(verilog(args)?, &azote_verilate::Options::fast()).map_err(simulation),
    }
}

/// Compiles the card and copies the model to a file.
pub fn compile(args: &CardArgs, portable: bool, output: &Path) -> Result<()> {
    let mut options = azote_verilate::Options::fast();
    options.portable = portable;
    let made = Hardware::compile(verilog(args)?, &options).map_err(simulation)?;
    let copied = std::fs::copy(made, output);
    copied.map(drop).map_err(|source| Error::File { path: output.to_owned(), source })
}

/// That a file can be written where waves or a log are to go.
fn writable(path: &Path) -> Result<()> {
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(path);
    file.map(drop).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// The card's Verilog text.
fn verilog(args: &CardArgs) -> Result<String> {
    let read =
        |path: &Path| std::fs::read_to_string(path).map_err(|source| Error::File { path: path.to_owned(), source });
    match &args.verilog {
        Some(path) => read(path),
        None => match azote_rtl::card(args.vfs().into()) {
            Ok(design) => Ok(design.text),
            Err(e) => Err(Error::Simulation(format!("the RTL can not be printed: {e}"))),
        },
    }
}

/// One line of what the simulation says: a compiler's own words go on for pages.
fn simulation(error: azote_sim::Error) -> Error {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let first = lines.next().unwrap_or("failed").to_owned();
    tracing::debug!("{text}");
    Error::Simulation(if lines.next().is_some() { format!("{first} (-vv shows all of it)") } else { first })
}
