//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{Error, Result, image::VolumeSpec, limit::LimitSpec, nbd::Listen, target::Target};

/// Drives Azote cards: real ones behind VFIO, or one simulated from its RTL in this process.
#[derive(Debug, Parser)]
#[command(name = "azote", version, arg_required_else_help = true)]
pub struct Cli {
    /// Which card.
    #[command(flatten)]
    pub card: CardArgs,
    /// Say more on stderr (-v: what is recovered from, -vv: everything).
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Which card.
#[derive(Debug, Clone, Default, Args)]
pub struct CardArgs {
    /// Simulate a card in this process instead of using real functions.
    #[arg(long, global = true)]
    pub sim: bool,
    /// Simulated card: back VF 0, then VF 1, … by this image: FILE[:ro][:size=SIZE].
    #[arg(long, value_name = "FILE", global = true)]
    pub volume: Vec<VolumeSpec>,
    /// Simulated card: limit a function, whatever its volume: vf0:iops=5000:mbps=100:weight=4, all or some of them. IOPS and
    /// MB/s (10^6 bytes) are those of a card at 80 MHz, the clock that the core is made for: the card counts commands and
    /// 512-byte blocks in 2^24 clocks, so that n IOPS are n * 2^24 / 80,000,000 of them, rounded down. The weight (1 to 15) is
    /// how many commands a function may begin in its turn while others want theirs. May be given once a function.
    #[arg(long, value_name = "vf0:iops=N:mbps=N:weight=N", global = true)]
    pub limit: Vec<LimitSpec>,
    /// Simulated card: VFs of each kind that it is built with (4 unless given).
    #[arg(long, value_name = "N", global = true, value_parser = clap::value_parser!(u8).range(1..=60))]
    pub vfs: Option<u8>,
    /// Simulated card: a model in software in place of the RTL, to try this program quickly.
    #[arg(long, global = true, conflicts_with_all = ["verilog", "trace"])]
    pub soft: bool,
    /// Simulated card: its Verilog text, in place of the one that this program prints.
    #[arg(long, value_name = "FILE.v", global = true)]
    pub verilog: Option<PathBuf>,
    /// Simulated card: its compiled model, from `azote model`; for machines without Verilator. Trusted: its code is run.
    #[arg(long, value_name = "FILE.so", global = true, conflicts_with_all = ["verilog", "trace", "soft"])]
    pub model: Option<PathBuf>,
    /// Simulated card: write waves to this file.
    #[arg(long, value_name = "FILE.fst", global = true)]
    pub trace: Option<PathBuf>,
    /// Simulated card: write every TLP to this file, a line each.
    #[arg(long, value_name = "FILE", global = true)]
    pub tlp_log: Option<PathBuf>,
}

impl CardArgs {
    /// That the options of a simulated card come with `--sim`. (clap cannot say so of options that may stand before or
    /// after the command.)
    pub fn check(&self) -> Result<()> {
        let given = [
            ("--volume", !self.volume.is_empty()),
            ("--limit", !self.limit.is_empty()),
            ("--vfs", self.vfs.is_some()),
            ("--soft", self.soft),
            ("--verilog", self.verilog.is_some()),
            ("--model", self.model.is_some()),
            ("--trace", self.trace.is_some()),
            ("--tlp-log", self.tlp_log.is_some()),
        ];
        match given.iter().find(|g| g.1) {
            Some((name, _)) if !self.sim => {
                Err(Error::Usage(format!("{name} is for a simulated card; give --sim, too")))
            }
            _ => Ok(()),
        }
    }

    /// VFs of each kind that a simulated card is built with.
    #[must_use]
    pub fn vfs(&self) -> u8 {
        self.vfs.unwrap_or(DEFAULT_VFS)
    }
}

/// VFs of each kind that a simulated card has unless told otherwise.
const DEFAULT_VFS: u8 = 4;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List functions: address, kind, PF or VF, state, volume.
    List,
    /// Show what a controller and its namespace say of themselves.
    Id {
        /// pf, vf0, vf1, …, a PCI address, or vfio-user:SOCKET.
        target: Target,
    },
    /// Read blocks to a file or to stdout.
    Read {
        /// pf, vf0, vf1, …, a PCI address, or vfio-user:SOCKET.
        target: Target,
        /// First block.
        #[arg(long, default_value_t = 0)]
        lba: u64,
        /// Number of blocks.
        #[arg(long, default_value_t = 1)]
        blocks: u64,
        /// Where to; a hexadecimal dump on stdout without it, raw bytes with `-`.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Write blocks from a file or from stdin.
    Write {
        /// pf, vf0, vf1, …, a PCI address, or vfio-user:SOCKET.
        target: Target,
        /// First block.
        #[arg(long, default_value_t = 0)]
        lba: u64,
        /// Where from; `-` is stdin. Whole blocks.
        #[arg(value_name = "FILE")]
        input: PathBuf,
    },
    /// Copy a whole namespace to a file, or a file to a namespace.
    Copy {
        /// pf, vf0, …, a PCI address, or vfio-user:SOCKET; or a file (./vf0 if it has such a name).
        source: String,
        /// The same.
        destination: String,
        /// Copy a file that is shorter than the namespace, and leave the rest as it is.
        #[arg(long)]
        partial: bool,
        /// No progress bar.
        #[arg(short, long)]
        quiet: bool,
    },
    /// Show a controller's health, firmware and error logs.
    Stats {
        /// pf, vf0, vf1, …, a PCI address, or vfio-user:SOCKET.
        target: Target,
    },
    /// Serve functions of a simulated card as PCI devices, at vfio-user sockets, for QEMU and `azote run`, until interrupted.
    Serve {
        /// Functions to serve; all VFs with a volume, if none is given.
        target: Vec<Target>,
        /// Where the sockets go: vf0.sock, vf1.sock, … It is made if need be.
        #[arg(long, value_name = "FOLDER", required_unless_present = "socket")]
        socket_dir: Option<PathBuf>,
        /// A function's socket by its own path; may be given several times.
        #[arg(long, value_name = "vf0=PATH")]
        socket: Vec<SocketSpec>,
    },
    /// Run a guest under the thin hypervisor, with functions assigned to it.
    Run(Box<crate::commands::run::Run>),
    /// Ask or tell a running guest's hypervisor something, at the socket that `azote run --api-socket` has made.
    Ctl {
        /// The socket.
        socket: PathBuf,
        /// What.
        #[arg(value_enum)]
        request: crate::commands::ctl::Word,
    },
    /// Compile the card's RTL to a model that --model loads, here or on a machine without Verilator.
    Model {
        /// Where to.
        #[arg(short, long, value_name = "FILE.so")]
        output: PathBuf,
        /// For any x86-64 processor, rather than for this one.
        #[arg(long)]
        portable: bool,
    },
    /// Make, bind, list and release virtual functions of this machine's cards, or of any device with SR-IOV.
    #[command(subcommand)]
    Vf(VfCommand),
    /// Export namespaces over NBD until interrupted.
    Nbd {
        /// Functions to export; each under its own name (vf0, …). Simulated card: all VFs with a volume, if none is given.
        target: Vec<Target>,
        /// unix:PATH, PORT or LOOPBACK-ADDRESS:PORT; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:10809")]
        listen: Listen,
    },
}

/// What to do with virtual functions.
#[derive(Debug, Subcommand)]
pub enum VfCommand {
    /// Make virtual functions: sriov_numvfs and, for NVMe controllers that want it, queues, interrupts and online.
    Create {
        /// The physical function's address: 0000:01:00.1.
        pf: PciAddress,
        /// How many.
        #[arg(value_parser = clap::value_parser!(u16).range(1..))]
        count: u16,
        /// Bind them to vfio-pci, too.
        #[arg(long)]
        bind: bool,
    },
    /// Give functions to vfio-pci, if their IOMMU group may be given away.
    Bind {
        /// The functions' addresses.
        #[arg(required = true)]
        function: Vec<PciAddress>,
    },
    /// List physical functions with SR-IOV, their virtual functions, and who has them.
    List,
    /// Reset a function and take it from vfio-pci; of a physical function, give up all its virtual functions.
    Release {
        /// The function's address.
        function: PciAddress,
    },
}

/// A function and its socket: `vf0=PATH`.
#[derive(Debug, Clone)]
pub struct SocketSpec {
    /// Which function.
    pub target: Target,
    /// Where.
    pub path: PathBuf,
}

impl std::str::FromStr for SocketSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((target, path)) if !path.is_empty() => Ok(Self { target: target.parse()?, path: path.into() }),
            _ => Err("expected vf0=PATH".into()),
        }
    }
}

/// A PCI address, in its full form.
#[derive(Debug, Clone)]
pub struct PciAddress(pub String);

impl std::str::FromStr for PciAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        crate::target::address(text).map(Self).ok_or_else(|| "expected a PCI address: 0000:01:00.4 or 01:00.4".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_of_the_card_go_before_or_after_the_command() {
        let cli = Cli::try_parse_from(["azote", "--sim", "nbd", "vf0", "--volume", "a:ro", "--volume", "b"]).unwrap();
        assert_eq!(cli.card.volume.len(), 2);
        cli.card.check().unwrap();
        let e = Cli::try_parse_from(["azote", "list", "--volume", "a"]).unwrap().card.check().unwrap_err();
        assert_eq!(e.to_string(), "--volume is for a simulated card; give --sim, too");
        let limited = Cli::try_parse_from(["azote", "stats", "vf0", "--limit", "vf0:iops=9"]).unwrap();
        let e = limited.card.check().unwrap_err();
        assert_eq!(e.to_string(), "--limit is for a simulated card; give --sim, too");
        let e = Cli::try_parse_from(["azote", "list", "--limit", "vf0:iops=x"]).unwrap_err().to_string();
        assert!(e.contains("--limit") && e.contains("iops=`x` is no whole number"), "{e}");
        assert!(Cli::try_parse_from(["azote", "id", "vf99"]).is_err());
    }
}
