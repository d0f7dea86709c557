//! `azote run`: a guest of the thin hypervisor. The words are Cloud Hypervisor's where it has them.
//!
//! The hypervisor itself is `azote-vmm`, a small program beside this one, so that a running guest does not keep the printer of
//! the RTL in memory. It takes over this process; only a leased virtual function needs somebody who stays to give it back.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use azote_hypervisor::{Config, Handover, config, signals, supervise};
use azote_regs::function::Role;
use azote_vf::{Host, Kind, Lease};
use clap::Args;

use crate::{Error, Result, args::CardArgs, image::VolumeSpec, limit::LimitSpec, nbd::Stop, number, sim};

/// A guest.
#[derive(Debug, Args)]
pub struct Run {
    /// A kernel: a bzImage, or a vmlinux with a PVH entry, which boots faster.
    #[arg(long, value_name = "FILE", required_unless_present = "machine")]
    pub kernel: Option<PathBuf>,
    /// An initramfs.
    #[arg(long, value_name = "FILE")]
    pub initramfs: Option<PathBuf>,
    /// The kernel's command line.
    #[arg(long, default_value = "console=ttyS0")]
    pub cmdline: String,
    /// Leave out the words that the hypervisor puts before it to spare the guest probes of what is not there.
    #[arg(long)]
    pub bare_cmdline: bool,
    /// Virtual processors: N, or boot=N.
    #[arg(long, default_value = "1", value_parser = cpus)]
    pub cpus: u8,
    /// size=SIZE[,hugepages=on]; SIZE with K, M or G.
    #[arg(long, default_value = "size=512M", value_parser = memory)]
    pub memory: config::Memory,
    /// A function bound to vfio-pci: path=/sys/bus/pci/devices/BDF. May be given several times.
    #[arg(long, value_name = "path=…", value_parser = |t: &str| one(t, "path"))]
    pub device: Vec<PathBuf>,
    /// A function of `azote serve`, or of another vfio-user server: socket=PATH[,timeout=SECONDS]. A server that takes longer
    /// for an answer (10 s) counts as dead. May be given several times.
    #[arg(long, value_name = "socket=…", value_parser = user_device)]
    pub user_device: Vec<config::UserDevice>,
    /// Make (if need be), bind and assign a free virtual function, and give it back at the end: storage, net or trust,
    /// storage=PF to choose the card. May be given several times.
    #[arg(long, value_name = "KIND[=PF]", value_parser = vf)]
    pub vf: Vec<(Kind, Option<String>)>,
    /// A whole simulated card on the guest's bus, its physical functions with SR-IOV included:
    /// volume=FILE[:ro],volume=…,limit=vf0:iops=N:mbps=N:weight=N:timeout=TIME,limit=…,vfs=N,soft=on,model=FILE.so
    #[arg(long, value_name = "volume=…", value_parser = card)]
    pub card: Option<CardArgs>,
    /// The serial port: tty, null or file=PATH.
    #[arg(long, default_value = "tty", value_parser = serial)]
    pub serial: config::Serial,
    /// Take commands at this socket while the guest runs (`azote ctl`).
    #[arg(long, value_name = "PATH")]
    pub api_socket: Option<PathBuf>,
    /// At the end, say how often the guest left the processor and why.
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, default_missing_value = "text", value_parser = ["text", "json"])]
    pub counters: Option<String>,
    /// The machine as JSON, as azote-vmm takes it, in place of all options but --vf: for programs, and for what must not stand
    /// in a process's arguments.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kernel", "initramfs", "cmdline", "bare_cmdline", "cpus",
        "memory", "device", "user_device", "card", "serial", "api_socket", "counters", "no_jail"])]
    pub machine: Option<PathBuf>,
    /// Let the hypervisor keep the rights that it starts with (no seccomp filter, no Landlock): for debuggers.
    #[arg(long)]
    pub no_jail: bool,
}

/// Runs a guest to its end.
pub fn run(arguments: &Run, stop: &Stop) -> Result<()> {
    // Whoever has started us may have blocked the signals that end a guest, or its end's.
    signals::as_a_parent().map_err(|source| Error::Io { what: "setting signals up".into(), source })?;
    let mut config = config(arguments)?;
    if arguments.vf.is_empty() {
        let handover = Handover::new(&config)?;
        // It only returns if it failed.
        return Err(failed(beside("azote-vmm")?.arg(handover.path()).exec()));
    }
    if arguments.machine.is_none() && !stop.is_stopped() {
        // This process stays as long as the guest, and everybody can read its arguments: it begins again, without them.
        let handover = Handover::new(&config)?;
        let mut again = Command::new(std::env::current_exe().map_err(failed)?);
        again.args(["run", "--machine"]).arg(handover.path());
        for (kind, pf) in &arguments.vf {
            let pf = pf.as_ref().map_or(String::new(), |pf| format!("={pf}"));
            again.arg("--vf").arg(format!("{}{pf}", kind.name()));
        }
        return Err(failed(again.exec()));
    }
    // From here on there is something to give back, however often the end is asked for.
    stop.set_unhurried();
    let host = Host::default();
    let mut leases = Vec::new();
    for (kind, pf) in &arguments.vf {
        if stop.is_stopped() {
            return Ok(());
        }
        let lease = Lease::take(&host, *kind, pf.as_deref())?;
        eprintln!("azote: {} is the guest's", lease.address());
        config.devices.push(lease.path());
        leases.push(lease);
    }
    config.supervisor = Some(std::process::id());
    let handover = Handover::new(&config)?;
    let mut child = beside("azote-vmm")?.arg(handover.path()).spawn().map_err(failed)?;
    drop(handover);
    let status = supervise(&mut child, || stop.is_stopped()).map_err(|e| {
        // Nobody can say how it goes on; it must not go on with what is given back.
        let _ = child.kill();
        failed(e)
    })?;
    drop(leases);
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        // It has said why.
        (Some(code), _) => std::process::exit(code),
        (None, signal) => {
            let what = format!(
                "the hypervisor was ended by signal {}; the guest's functions are given back",
                signal.unwrap_or(0)
            );
            Err(Error::Usage(what))
        }
    }
}

fn config(arguments: &Run) -> Result<Config> {
    if let Some(path) = &arguments.machine {
        return Config::read(path).map_err(|source| Error::File { path: path.clone(), source });
    }
    Ok(Config {
        kernel: arguments.kernel.clone().unwrap_or_default(),
        initramfs: arguments.initramfs.clone(),
        cmdline: arguments.cmdline.clone(),
        bare_cmdline: arguments.bare_cmdline,
        supervisor: None,
        no_jail: arguments.no_jail,
        cpus: arguments.cpus,
        memory: arguments.memory,
        devices: arguments.device.clone(),
        user_devices: arguments.user_device.clone(),
        card: arguments.card.as_ref().map(whole_card).transpose()?,
        serial: arguments.serial.clone(),
        api_socket: arguments.api_socket.clone(),
        counters: match arguments.counters.as_deref() {
            None => config::Counters::None,
            Some("json") => config::Counters::Json,
            Some(_) => config::Counters::Text,
        },
    })
}

fn failed(source: std::io::Error) -> Error {
    Error::Io { what: "starting azote-vmm, which should be beside azote".into(), source }
}

/// A program that is installed with this one.
fn beside(name: &str) -> Result<Command> {
    let here = std::env::current_exe().map_err(failed)?;
    Ok(Command::new(here.with_file_name(name)))
}

fn whole_card(args: &CardArgs) -> Result<config::Card> {
    // Cheapest first, as for every simulated card.
    args.check()?;
    // A model that was compiled elsewhere has VFs of its own; it is asked when it runs.
    let vfs = if args.model.is_some() { number::MOST_VFS } else { args.vfs() };
    crate::limit::check(&args.limit, vfs)?;
    if args.volume.len() > usize::from(vfs) {
        let what = format!("{} volumes for {vfs} VFs; give vfs={}", args.volume.len(), args.volume.len());
        return Err(Error::Usage(what));
    }
    let volume = |spec: &VolumeSpec| {
        if spec.size.is_some() {
            let path = spec.path.display();
            let what =
                format!("--card volume={path}: size= is not for a guest's card; `truncate -s SIZE` sizes the image");
            return Err(Error::Usage(what));
        }
        if spec.server.is_some() {
            let what = format!(
                "--card volume={0}: the hypervisor's jail makes no connections; serve the card by `azote --sim --volume {0} \
                 serve --socket-dir DIR` and give the guest `--user-device socket=DIR/vf0.sock`",
                spec.path.display()
            );
            return Err(Error::Usage(what));
        }
        let image = crate::image::Image::check(spec)?;
        Ok(config::Volume { path: image.path, read_only: image.read_only })
    };
    let volumes = args.volume.iter().map(volume).collect::<Result<Vec<_>>>()?;
    let library = if args.soft { None } else { Some(sim::library(args)?) };
    let limit = |spec: &LimitSpec| config::Limit {
        vf: match spec.role {
            Role::Pf => None,
            Role::Vf(i) => Some(i),
        },
        commands: spec.bounds.limits.commands,
        blocks: spec.bounds.limits.blocks,
        weight: spec.bounds.limits.weight,
        timeout_ms: spec.bounds.timeout.as_millis() as u32,
    };
    Ok(config::Card { volumes, limits: args.limit.iter().map(limit).collect(), vfs, library })
}

/// `key=value`, where nothing else can be.
fn one(text: &str, key: &str) -> std::result::Result<PathBuf, String> {
    match text.split_once('=') {
        Some((k, value)) if k == key && !value.is_empty() => Ok(Path::new(value).to_owned()),
        _ => Err(format!("expected {key}=PATH")),
    }
}

fn user_device(text: &str) -> std::result::Result<config::UserDevice, String> {
    let mut device = config::UserDevice { socket: PathBuf::new(), timeout: config::DEFAULT_TIMEOUT };
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("socket", value)) => device.socket = value.into(),
            Some(("timeout", value)) => {
                device.timeout = number::within(value, 1, 3600, "seconds")?;
            }
            _ => return Err(format!("`{part}`: expected socket=PATH or timeout=SECONDS")),
        }
    }
    if device.socket.as_os_str().is_empty() {
        return Err("expected socket=PATH".into());
    }
    Ok(device)
}

fn cpus(text: &str) -> std::result::Result<u8, String> {
    let number = text.strip_prefix("boot=").unwrap_or(text);
    number::within(number, 1, u8::MAX.into(), "processors").map_err(|e| format!("{e}; give 2, or boot=2"))
}

fn memory(text: &str) -> std::result::Result<config::Memory, String> {
    let mut memory = config::Memory::default();
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("size", value)) => memory.size = number::bytes(value)?,
            Some(("hugepages", value)) => memory.hugepages = switch(value)?,
            Some(("shared", value)) => memory.shared = switch(value)?,
            _ => return Err(format!("`{part}`: expected size=SIZE, hugepages=on or shared=on")),
        }
    }
    Ok(memory)
}

fn switch(text: &str) -> std::result::Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        other => Err(format!("`{other}`: expected on or off")),
    }
}

fn vf(text: &str) -> std::result::Result<(Kind, Option<String>), String> {
    let (kind, pf) = text.split_once('=').map_or((text, None), |(kind, pf)| (kind, Some(pf)));
    let kind = match kind {
        "net" => Kind::Net,
        "storage" => Kind::Storage,
        "trust" => Kind::Trust,
        _ => return Err("expected storage, net or trust".into()),
    };
    let pf = pf.map(|pf| crate::target::address(pf).ok_or_else(|| format!("`{pf}` is no PCI address"))).transpose()?;
    Ok((kind, pf))
}

fn serial(text: &str) -> std::result::Result<config::Serial, String> {
    match text {
        "tty" => Ok(config::Serial::Tty),
        "null" => Ok(config::Serial::Null),
        other => match other.strip_prefix("file=") {
            Some(path) if !path.is_empty() => Ok(config::Serial::File(path.into())),
            _ => Err("expected tty, null or file=PATH".into()),
        },
    }
}

fn card(text: &str) -> std::result::Result<CardArgs, String> {
    let mut card = CardArgs { sim: true, ..CardArgs::default() };
    for part in text.split(',').filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some(("volume", value)) => card.volume.push(value.parse().map_err(|e| format!("{value}: {e}"))?),
            Some(("limit", value)) => card.limit.push(value.parse().map_err(|e| format!("{value}: {e}"))?),
            Some(("vfs", value)) => card.vfs = Some(number::vfs(value)?),
            Some(("soft", value)) => card.soft = switch(value)?,
            Some(("model", value)) => card.model = Some(value.into()),
            _ => return Err(format!("`{part}`: expected volume=FILE, limit=vf0:…, vfs=N, soft=on or model=FILE.so")),
        }
    }
    Ok(card)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command line of `azote run`.
    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        run: Run,
    }

    #[test]
    fn a_machine_comes_by_options_or_as_a_file() {
        use clap::Parser;
        let parse = |words: &[&str]| Line::try_parse_from([&["run"], words].concat()).map(|line| line.run);
        assert!(parse(&[]).is_err() && parse(&["--vf", "storage"]).is_err(), "a kernel, or a machine");
        // What would have no effect is refused.
        for option in ["--kernel=k", "--cmdline=c", "--cpus=2", "--memory=size=1G", "--api-socket=s", "--no-jail"] {
            assert!(parse(&["--machine", "m", option]).is_err(), "{option}");
        }
        let by_options = parse(&["--kernel", "k", "--cmdline", "a=b"]).unwrap();
        let machine = config(&by_options).unwrap();
        assert_eq!((machine.kernel.as_path(), machine.cmdline.as_str()), (Path::new("k"), "a=b"));
        let handover = Handover::new(&machine).unwrap();
        let path = handover.path().into_string().unwrap();
        let as_a_file = parse(&["--machine", &path, "--vf", "storage=01:00.0"]).unwrap();
        assert_eq!((config(&as_a_file).unwrap(), as_a_file.vf.len()), (machine, 1));
        let e = config(&parse(&["--machine", "/no/such/machine"]).unwrap()).unwrap_err().to_string();
        assert!(e.contains("/no/such/machine"), "{e}");
    }

    #[test]
    fn words_are_understood_and_wrong_ones_are_named() {
        assert_eq!(
            memory("size=256M,hugepages=on").unwrap(),
            config::Memory { size: 256 << 20, hugepages: true, shared: false }
        );
        assert_eq!((memory("size=0x20000000").unwrap().size, memory("size=1T").unwrap().size), (512 << 20, 1 << 40));
        for bad in ["", "M", "size=", "size=x", "size=99999999999999999G", "hugepages=yes", "size=1M;"] {
            assert!(memory(bad).is_err(), "{bad}");
        }
        assert_eq!((cpus("2"), cpus("boot=4"), cpus("0x10")), (Ok(2), Ok(4), Ok(16)));
        assert_eq!(user_device("socket=a,timeout=0x1e").unwrap().timeout, 30);
        assert_eq!(user_device("socket=a,timeout=3").unwrap(), config::UserDevice { socket: "a".into(), timeout: 3 });
        assert!(user_device("a").is_err() && user_device("timeout=3").is_err());
        assert!(user_device("socket=a,timeout=0").is_err());
        assert!(cpus("0").is_err() && cpus("many").is_err());
        assert!(one("path=", "path").is_err() && one("/sys", "path").is_err() && one("path=/x", "path").is_ok());
        assert_eq!(vf("storage=01:00.0").unwrap(), (Kind::Storage, Some("0000:01:00.0".into())));
        assert!(vf("disk").is_err() && vf("storage=x").is_err());
        assert_eq!(card("volume=a:ro,volume=b,vfs=8,soft=on").unwrap().volume.len(), 2);
        assert!(card("vfs=0").is_err() && card("volumes=a").is_err());
        let limited = card("soft=on,limit=vf1:iops=5000:weight=2:timeout=3s,limit=pf:mbps=9").unwrap();
        let limits = whole_card(&limited).unwrap().limits;
        assert_eq!(limits[0], config::Limit { vf: Some(1), commands: 1048, blocks: 0, weight: 2, timeout_ms: 3000 });
        assert_eq!((limits.len(), limits[1].vf), (2, None));
        assert!(card("limit=vf0").unwrap_err().contains("vf0: expected"));
        assert_eq!(card("vfs=0x10").unwrap().vfs, Some(16));
    }

    #[test]
    fn a_whole_card_has_no_word_without_an_effect_and_counts_its_own_vfs() {
        let folder = tempfile::tempdir().unwrap();
        let [image, model] = ["image", "model.so"].map(|name| folder.path().join(name));
        std::fs::write(&image, [0; 4096]).unwrap();
        std::fs::write(&model, "").unwrap();
        let (image, model) = (image.display(), model.display());
        let said = |text: &str| whole_card(&card(text).unwrap()).unwrap_err().to_string();
        assert!(said("soft=on,limit=vf4:iops=9").contains("the card has 4 VFs"));
        assert!(said(&format!("soft=on,model={model}")).contains("--model has no effect beside --soft"));
        assert!(said(&format!("vfs=8,model={model}")).contains("--vfs has no effect beside --model"));
        let sized = said(&format!("soft=on,volume={image}:size=1K"));
        assert!(sized.contains("size= is not for a guest's card") && sized.contains("truncate"), "{sized}");
        let five = format!("volume={image}:ro,").repeat(5);
        assert!(said(&format!("{five}soft=on")).contains("5 volumes for 4 VFs"));
        // A given model may have more than the cards that are compiled here.
        let given = whole_card(&card(&format!("{five}model={model},limit=vf4:iops=9")).unwrap()).unwrap();
        assert_eq!((given.volumes.len(), given.limits[0].vf), (5, Some(4)));
    }
}
