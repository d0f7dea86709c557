//! A card simulated in this process from its RTL.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use azote_files::{Access, Inputs, Output};
use azote_manage::{Mac, Manager, Port, Volume};
use azote_nvme::{Completions, Options};
use azote_regs::{
    clock,
    function::{FunctionId, Kind, Role},
    nvme::limits::LBA_SIZE,
    virtio::net::MAX_MTU,
};
use azote_seam::{Function, sriov::Sriov};
use azote_sim::{
    Capture, EthernetStats, Hardware, HostTime, MediaOptions, PeerSocket, Replay, Tap, TlpDevice, Wire, soft::SoftCard,
};
use azote_verilate::Facts;

use crate::{
    Error, Result,
    args::{CardArgs, EthSpec, Model},
    card::{Bound, BoundVolume, Card, Listed, Size, provision},
    commands::human,
    image::{Image, Store},
    limit::{self, Bounds, LimitSpec},
    nbd::{Allocation, Stop},
    target::Target,
};

/// A driver's time-out on the simulated clock, where a clock counts as a microsecond: two million clocks, some seconds
/// of a person's time. The longest command takes thousands.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A simulated card with its volumes.
pub struct SimCard {
    card: azote_sim::Card,
    manager: Manager,
    /// What its Ethernet port is connected to when somebody can receive.
    wire: Mutex<Option<Box<dyn Wire>>>,
    /// The files behind the volumes.
    images: Vec<PathBuf>,
    /// Volumes whose functions have all of them, however large they become.
    whole: Vec<u8>,
    inputs: Inputs,
    /// How long a command may take beyond its time, as a volume may be gone for so long.
    patience: Duration,
    start: Instant,
}

impl SimCard {
    /// Checks the images, builds the card, starts it and binds image *k* to VF *k*.
    pub fn start(args: &CardArgs, stop: &Stop) -> Result<Self> {
        // Cheapest first: a missing file should not wait for Verilator.
        let images = args.volume.iter().map(Image::check).collect::<Result<Vec<_>>>()?;
        // A model that was compiled elsewhere has VFs of its own; it is asked when it runs.
        if args.model.is_none() {
            if images.len() > usize::from(args.vfs()) {
                let what = format!("{} volumes for {} VFs; give --vfs {}", images.len(), args.vfs(), images.len());
                return Err(Error::Usage(what));
            }
            limit::check(&args.limit, args.vfs())?;
        }
        let inputs = inputs(args);
        // Whether they can be written is known before Verilator is waited for. Waves are not written from beginning to end.
        if let Some(path) = &args.trace {
            drop(Output::create(path, &inputs)?);
        }
        if let Some(path) = &args.tlp_log {
            drop(Output::stream(path, &inputs)?);
        }
        let (wire, capture) = ethernet(args, &inputs)?;
        let device = device(args)?;
        let mut options = options(args);
        options.inputs = inputs.clone();
        options.interrupted = stop.interrupted();
        let card = match &args.trace {
            Some(waves) => azote_sim::Card::traced(device, options, waves),
            None => azote_sim::Card::over(device, options),
        };
        let card = card.map_err(simulation)?;
        for medium in &args.medium {
            if let Some(volume) = medium.volume {
                let mut own = MediaOptions { bandwidth: MediaOptions::FULL, ..card.root().options().media };
                medium.apply(&mut own);
                card.root().media().set_volume_options(volume, Some(own));
            }
        }
        let mut this = Self::over(card, images, &args.limit)?;
        this.inputs = inputs;
        this.wire = Mutex::new(wire);
        if let Some(capture) = capture {
            this.card.root().ethernet().capture(capture);
        }
        Ok(this)
    }

    /// Gives a card that has been enumerated its volumes, limits and VFs.
    pub fn over(card: azote_sim::Card, images: Vec<Image>, limits: &[LimitSpec]) -> Result<Self> {
        let start = Instant::now();
        let function = |kind| function(&card, FunctionId::pf(kind));
        let sizes: Vec<_> = images.iter().map(|i| Size { blocks: i.blocks, read_only: i.read_only }).collect();
        let manager = provision(&*function(Kind::Trust)?, &*function(Kind::Storage)?, &sizes, limits)?;
        connect(&manager)?;
        let paths: Vec<PathBuf> = images.iter().map(|image| image.path.clone()).collect();
        let servers = images.iter().map(Image::patience).max().unwrap_or_default();
        // The card's time-outs are of a card at its full clock; its commands may take as many clocks, and in a driver's time a clock
        // is as long as it counts.
        let timeout = limits.iter().map(|spec| spec.bounds.timeout).max().unwrap_or_default();
        let microsecond = card.root().options().clock_period * clock::MHZ as u32;
        let patience = servers + microsecond.saturating_mul(timeout.as_micros() as u32);
        let whole = (0..).zip(&images).filter(|(_, image)| !image.sized).map(|(i, _)| i).collect();
        let files = images.iter().filter(|image| matches!(image.store, Store::File(_)));
        let inputs = files.map(|image| &image.path).collect();
        for (i, image) in (0..).zip(images) {
            image.attach(card.root().media(), i).map_err(simulation)?;
        }
        let wire = Mutex::new(None);
        Ok(Self { card, manager, wire, inputs, images: paths, whole, patience, start })
    }

    /// Others will use it at their own pace: its clock need not wait for the host's disks, as it does where one driver's clocks
    /// are the same in every run.
    pub fn serves(&self) {
        self.card.root().set_options(|options| {
            if options.media.host == HostTime::AsDisk {
                options.media.host = HostTime::Passes;
            }
        });
        for volume in (0..).take(self.images.len()) {
            let own = self.card.root().media().own_options(volume);
            if let Some(own) = own.filter(|own| own.host == HostTime::AsDisk) {
                let own = MediaOptions { host: HostTime::Passes, ..own };
                self.card.root().media().set_volume_options(volume, Some(own));
            }
        }
    }

    /// Gives functions whose volumes are of another size by now, as a server said when it came again, namespaces of that size: what
    /// uses them is told by an event. One whose last change still has commands under way has to wait for the next call.
    pub fn follow_sizes(&self) -> Result<()> {
        for &volume in &self.whole {
            let role = Role::Vf(volume);
            let blocks = self.card.root().media().blocks(volume).filter(|blocks| *blocks != 0);
            let Some((blocks, bound)) = blocks.zip(self.manager.binding(role)?) else { continue };
            if blocks != bound.blocks && !self.manager.is_busy(role)? {
                tracing::info!("{}: {} blocks, was {}", Target::Storage(role), blocks, bound.blocks);
                self.manager.bind(role, Volume { blocks, ..bound })?;
            }
        }
        Ok(())
    }

    /// The card itself.
    #[must_use]
    pub fn card(&self) -> &azote_sim::Card {
        &self.card
    }

    fn listed(&self, id: FunctionId, state: String) -> Result<Listed> {
        let bound = if id.kind == Kind::Storage { self.manager.binding(id.role)? } else { None };
        let volume = match bound {
            None => Bound::None,
            Some(volume) => {
                let file = self.images.get(usize::from(volume.id)).cloned();
                Bound::Volume(BoundVolume::new(volume, file, Bounds::of(&self.manager, id.role)?))
            }
        };
        Ok(Listed { address: function(&self.card, id)?.name().to_owned(), id: Some(id), state, volume })
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
            Target::Net(Role::Vf(i)) if *i >= self.manager.vfs() => Err(missing()),
            Target::Net(role) => {
                let pf = function(&self.card, FunctionId::pf(Kind::Net))?;
                let sriov = Sriov::find(&*pf)?;
                if *role != Role::Pf && sriov.enabled(&*pf)? == 0 {
                    sriov.enable(&*pf, self.manager.vfs().into())?;
                }
                function(&self.card, FunctionId { kind: Kind::Net, role: *role })
            }
            Target::Socket(_) => Err(Error::Usage(format!("{target} is another process's function; leave out --sim"))),
            Target::Address(address) => {
                let listed = self.list()?.into_iter().find(|f| f.address == *address);
                let id = listed.and_then(|f| f.id).ok_or_else(missing)?;
                function(&self.card, id)
            }
        }
    }

    fn options(&self) -> Options {
        Options { completions: Completions::Interrupts, timeout: TIMEOUT + self.patience, ..Options::default() }
    }

    fn clock_period(&self) -> Option<Duration> {
        Some(self.card.root().options().clock_period)
    }

    fn bounds(&self, target: &Target) -> Result<Option<Bounds>> {
        match target {
            Target::Storage(role) => Ok(Some(Bounds::of(&self.manager, *role)?)),
            _ => Ok(None),
        }
    }

    fn inputs(&self) -> Inputs {
        self.inputs.clone()
    }

    fn allocation(&self, target: &Target) -> Result<Option<Allocation>> {
        let Target::Storage(role) = target else { return Ok(None) };
        let Some(volume) = self.manager.binding(*role)? else { return Ok(None) };
        let card = self.card.clone();
        let extent = move |bytes: Range<u64>| {
            let (first, end) = (volume.base + bytes.start / LBA_SIZE, volume.base + bytes.end.div_ceil(LBA_SIZE));
            // The lock is for the question alone: a server may take its time to answer.
            let extent = card.root().media().extent(volume.id, first, end)?;
            let (hole, blocks) = extent.find()?;
            Ok((hole, (first + blocks - volume.base) * LBA_SIZE))
        };
        Ok(Some(Arc::new(extent)))
    }

    fn connect(&self) -> Result<()> {
        if let Some(wire) = self.wire.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.card.root().ethernet().connect(wire);
        }
        Ok(())
    }

    fn ethernet(&self) -> Option<EthernetStats> {
        Some(self.card.root().ethernet().stats())
    }

    fn finish(&self) -> Result<()> {
        self.card.finish().map_err(simulation)
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

/// How the world around the card is to behave.
fn options(args: &CardArgs) -> azote_sim::Options {
    let mut options = azote_sim::Options { log: args.tlp_log.clone(), ..Default::default() };
    options.seed = args.seed.unwrap_or(options.seed);
    if let Some(window) = &args.trace_clocks {
        (options.waves.from, options.waves.to) = (window.from, window.to);
    }
    options.waves.blocks.clone_from(&args.trace_block);
    if let Some(host) = &args.host {
        host.apply(&mut options);
    }
    for medium in args.medium.iter().filter(|medium| medium.volume.is_none()) {
        medium.apply(&mut options.media);
    }
    options
}

/// The tenant that all net functions of a simulated card belong to.
const TENANT: u32 = 1;

/// Connects all net functions with one another and with the Ethernet port, each with an address that no other card of this machine has.
fn connect(manager: &Manager) -> Result<()> {
    let [a, b, c, _] = std::process::id().to_le_bytes();
    let vfs = (0..manager.vfs()).map(Role::Vf);
    for (i, role) in (0..=u8::MAX).zip(std::iter::once(Role::Pf).chain(vfs)) {
        let port = Port {
            // Locally administered.
            mac: Mac([2, a, b, c, 0, i]),
            vni: TENANT,
            vlan: 0,
            priority: 0,
            mtu: MAX_MTU as u16,
            link: true,
            uplink: true,
            anti_spoof: false,
            trusted: false,
            promiscuous: false,
        };
        manager.connect(role, port)?;
    }
    Ok(())
}

/// The other end of an Ethernet port, if it has one, and what notes its frames, if anything does.
type Ends = (Option<Box<dyn Wire>>, Option<Capture>);

/// What is to be at the other end of the card's Ethernet port, and what notes the frames that pass it.
fn ethernet(args: &CardArgs, inputs: &Inputs) -> Result<Ends> {
    let (mut wire, mut capture): (Option<Box<dyn Wire>>, _) = (None, None);
    let failed = |e: azote_sim::Error| Error::Simulation(format!("--eth: {e}"));
    for spec in &args.eth {
        match spec {
            EthSpec::Tap(name) => wire = Some(Box::new(Tap::open(name).map_err(failed)?)),
            EthSpec::Socket(path) => wire = Some(Box::new(PeerSocket::open(path).map_err(failed)?)),
            EthSpec::PcapIn(path) => wire = Some(Box::new(Replay::open(path).map_err(failed)?)),
            EthSpec::PcapOut(path) => capture = Some(Capture::create(path, inputs).map_err(failed)?),
        }
    }
    Ok((wire, capture))
}

/// What stands behind the root complex: the RTL, compiled now or before, or the model in software.
fn device(args: &CardArgs) -> Result<Box<dyn TlpDevice>> {
    if args.soft {
        return Ok(Box::new(SoftCard::new(args.vfs())));
    }
    let hardware = match &args.model {
        Some(path) => {
            // The loader would wait for a FIFO.
            drop(azote_files::open(path, Access::Read)?);
            Hardware::load(path, 0)
        }
        None => {
            let options = azote_verilate::Options::fast().with_trace(args.trace.is_some());
            Hardware::build(verilog(args.verilog.as_deref(), args.vfs())?, &options)
        }
    };
    Ok(Box::new(hardware.map_err(simulation)?))
}

/// The compiled card: the one that was given, or the RTL, compiled now unless it was before.
pub fn library(args: &CardArgs) -> Result<std::path::PathBuf> {
    let text = match &args.model {
        Some(path) => {
            drop(azote_files::open(path, Access::Read)?);
            return Ok(path.clone());
        }
        None => verilog(args.verilog.as_deref(), args.vfs())?,
    };
    Hardware::compile(text, &azote_verilate::Options::fast()).map_err(simulation)
}

/// Compiles the card and copies the model to a file, whose facts are returned. What takes the file's place is whole.
pub fn compile(args: &Model, output: &Path) -> Result<Facts> {
    let mut options = azote_verilate::Options::fast().with_trace(args.waves);
    options.portable = args.portable;
    let vfs = CardArgs { vfs: args.vfs, ..CardArgs::default() }.vfs();
    let mut inputs = Inputs::new();
    args.verilog.iter().for_each(|path| inputs.add(path));
    // Whether it can be written is known before Verilator is waited for.
    drop(Output::create(output, &inputs)?);
    let made = Hardware::compile(verilog(args.verilog.as_deref(), vfs)?, &options).map_err(simulation)?;
    let mut copy = Output::create(output, &inputs)?;
    let mut file = std::fs::File::open(&made).map_err(|source| Error::File { path: made, source })?;
    io::copy(&mut file, &mut copy).map_err(|source| Error::File { path: output.to_owned(), source })?;
    let model = |e: azote_verilate::Error| Error::Simulation(e.to_string());
    let facts = Facts::read(copy.working_path()).map_err(model)?;
    copy.finish()?;
    Ok(facts)
}

/// The files that a simulated card is made of, which none of its outputs may replace.
fn inputs(args: &CardArgs) -> Inputs {
    let volumes = args.volume.iter().filter(|spec| spec.server.is_none()).map(|spec| &spec.path);
    let frames = args.eth.iter().filter_map(|spec| match spec {
        EthSpec::PcapIn(path) => Some(path),
        _ => None,
    });
    volumes.chain(&args.verilog).chain(&args.model).chain(frames).collect()
}

/// A text file that a user named.
fn text(path: &Path) -> Result<String> {
    let file = azote_files::open(path, Access::Read)?;
    io::read_to_string(file).map_err(|source| Error::File { path: path.to_owned(), source })
}

/// The card's Verilog text: one's own, or what the RTL is printed as.
pub(crate) fn verilog(own: Option<&Path>, vfs: u8) -> Result<String> {
    match own {
        Some(path) => text(path),
        None => match azote_rtl::card(vfs.into()) {
            Ok(design) => Ok(design.text),
            Err(e) => Err(Error::Simulation(format!("the RTL can not be printed: {e}"))),
        },
    }
}

/// One line of what the simulation says, a compiler's own words go on for pages; of a gate that the RTL violates also the
/// first message with its place, which is what one wants to know.
fn simulation(error: azote_sim::Error) -> Error {
    let text = error.to_string();
    tracing::debug!("{text}");
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let mut first = lines.next().unwrap_or("failed").to_owned();
    if let azote_sim::Error::Build(azote_verilate::Error::Gate { .. } | azote_verilate::Error::ToolFailed { .. }) =
        &error
        && let Some(message) = lines.next()
    {
        first = format!("{first} {message}");
    }
    Error::Simulation(if lines.next().is_some() { format!("{first} (-vv shows all of it)") } else { first })
}
