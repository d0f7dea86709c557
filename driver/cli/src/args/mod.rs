//! The command line.

mod card;
mod eth;
pub mod host;
pub mod net;
mod wave;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use self::card::CardArgs;
pub use self::eth::EthSpec;
pub use self::wave::Window;
use crate::{Error, Result, nbd::Listen, number, target::Target};

/// What stands behind the help of every command.
const EXIT: &str = "\
Exit status: 0 if it did what was asked for, 1 if it failed, 2 if the command line is wrong, 128 and the signal's number if a \
signal ended it. `azote run` ends with 0 when the guest has powered off or reset, with 1 when it crashed, with 70 when the \
hypervisor itself failed, and with 71 when its jail ended it.

Numbers may be hexadecimal (0x1000). Times of a simulated card are in clocks, and in microseconds as if the card ran at 80 MHz.";

/// The version with the commit that it was built from.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("AZOTE_COMMIT"), ")");

/// Drives Azote cards: real ones behind VFIO, or one simulated from its RTL in this process.
#[derive(Debug, Parser)]
#[command(name = "azote", version = VERSION, arg_required_else_help = true, after_help = EXIT)]
pub struct Cli {
    /// Say more on stderr (-v: what is recovered from, -vv: everything).
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Which card, said before the command.
    #[command(flatten)]
    pub card: CardArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Which card the command is about, from both sides of it; an option that would have no effect is an error.
    pub fn card(&self) -> Result<CardArgs> {
        let on = match &self.command {
            Command::List(List { card, .. })
            | Command::Id(Facts { card, .. })
            | Command::Stats(Facts { card, .. })
            | Command::Read(Read { card, .. })
            | Command::Write(Write { card, .. })
            | Command::Copy(Copy { card, .. })
            | Command::Serve(Serve { card, .. })
            | Command::Nbd(Nbd { card, .. }) => card,
            Command::Net(command) => command.card(),
            Command::Model(_) => {
                self.card.unused("model", "; what it is compiled from stands behind the command")?;
                return Ok(CardArgs::default());
            }
            Command::Run(_) => {
                let remedy = ": a guest's simulated card is --card volume=FILE, and one function of a card is `azote serve` and \
                              --user-device";
                self.card.unused("run", remedy)?;
                return Ok(CardArgs::default());
            }
            Command::Vf(_) => {
                return self.card.unused("vf", ": it is about real devices").map(|()| CardArgs::default());
            }
            Command::Verilog { .. } => {
                return self.card.unused("verilog", "; --vfs stands behind the command").map(|()| CardArgs::default());
            }
            Command::Ctl { .. } => return self.card.unused("ctl", "").map(|()| CardArgs::default()),
            Command::Completions { .. } => return self.card.unused("completions", "").map(|()| CardArgs::default()),
            Command::Man { .. } => return self.card.unused("man", "").map(|()| CardArgs::default()),
        };
        let card = self.card.with(on)?;
        if !card.eth.is_empty() && !matches!(self.command, Command::Net(_) | Command::Serve(_)) {
            let what = "--eth has no effect on this command: frames pass the port with `azote net` and `azote serve`";
            return Err(Error::Usage(what.into()));
        }
        card.check()?;
        Ok(card)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List functions: address, kind, PF or VF, state, volume.
    List(List),
    /// Show what a controller and its namespace say of themselves.
    Id(Facts),
    /// Read blocks to a file or to stdout.
    Read(Read),
    /// Write blocks from a file or from stdin.
    Write(Write),
    /// Copy a whole namespace to a file, or a file to a namespace.
    Copy(Copy),
    /// Show a controller's health, firmware and error logs.
    Stats(Facts),
    /// Drive a net function: ping, capture, stats.
    #[command(subcommand)]
    Net(net::NetCommand),
    /// Serve functions of a simulated card as PCI devices, at vfio-user sockets, for QEMU and `azote run`, until interrupted.
    Serve(Serve),
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
    Model(Model),
    /// Print the card's Verilog: to change it and run it with --verilog, or to put the core elsewhere.
    Verilog {
        /// VFs of each kind that it is built with.
        #[arg(long, value_name = "N", default_value_t = 4, value_parser = number::vfs)]
        vfs: u8,
        /// Where to, in place of stdout.
        #[arg(short, long, value_name = "FILE.v")]
        output: Option<PathBuf>,
    },
    /// Make, bind, list and release virtual functions of this machine's cards, or of any device with SR-IOV.
    #[command(subcommand)]
    Vf(VfCommand),
    /// Export namespaces over NBD until interrupted.
    Nbd(Nbd),
    /// Print a shell's completions: `azote completions bash > /etc/bash_completion.d/azote`.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Write manual pages, one a command, to a folder: `azote man /usr/local/share/man/man1`.
    Man {
        /// The folder; it is made if need be.
        folder: PathBuf,
    },
}

/// `azote list`.
#[derive(Debug, Args)]
pub struct List {
    /// One JSON object a function.
    #[arg(long)]
    pub json: bool,
    /// Which card.
    #[command(flatten)]
    pub card: CardArgs,
}

/// `azote id` and `azote stats`.
#[derive(Debug, Args)]
pub struct Facts {
    /// pf, vf0, vf1, …, a PCI address, or vfio-user:SOCKET.
    pub target: Target,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
    /// Which card.
    #[command(flatten)]
    pub card: CardArgs,
}

/// `azote read`.
#[derive(Debug, Args)]
pub struct Read {
    /// pf, vf0, vf1, …, a PCI address, or vfio-user:SOCKET.
    pub target: Target,
    /// First block.
    #[arg(long, default_value = "0", value_parser = number::whole)]
    pub lba: u64,
    /// Number of blocks.
    #[arg(long, default_value = "1", value_parser = number::positive)]
    pub blocks: u64,
    /// Where to; a hexadecimal dump on stdout without it, raw bytes with `-`.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Which card.
    #[command(flatten)]
    pub card: CardArgs,
}

/// `azote write`.
#[derive(Debug, Args)]
pub struct Write {
    /// pf, vf0, vf1, …, a PCI address, or vfio-user:SOCKET.
    pub target: Target,
    /// First block.
    #[arg(long, default_value = "0", value_parser = number::whole)]
    pub lba: u64,
    /// Where from; `-` is stdin. Whole blocks.
    #[arg(value_name = "FILE")]
    pub input: PathBuf,
    /// Which card.
    #[command(flatten)]
    pub card: CardArgs,
}

/// `azote copy`.
#[derive(Debug, Args)]
pub struct Copy {
    /// pf, vf0, …, a PCI address, or vfio-user:SOCKET; or a file (./vf0 if it has such a name), or
    /// a server's export (nbd://HOST/EXPORT, nbd+unix:///EXPORT?socket=PATH).
    pub source: String,
    /// The same.
    pub destination: String,
    /// Copy a file that is shorter than the namespace, and leave the rest as it is.
    #[arg(long)]
    pub partial: bool,
    /// Copy the bytes of a file as they are, even if they look like an image format (qcow2, …) that is no disk's bytes.
    #[arg(long)]
    pub raw: bool,
    /// No progress bar.
    #[arg(short, long)]
    pub quiet: bool,
    /// Which card.
    #[command(flatten)]
    pub card: CardArgs,
}

/// `azote serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Functions to serve; all VFs with a volume, if none is given.
    pub target: Vec<Target>,
    /// Where the sockets go: vf0.sock, vf1.sock, … It is made if need be.
    #[arg(long, value_name = "FOLDER", required_unless_present = "socket")]
    pub socket_dir: Option<PathBuf>,
    /// A function's socket by its own path; may be given several times.
    #[arg(long, value_name = "vf0=PATH")]
    pub socket: Vec<SocketSpec>,
    /// One JSON object a function when it is served ("event": "start"), and one at the end.
    #[arg(long)]
    pub json: bool,
    /// Which card.
    #[command(flatten)]
    pub card: CardArgs,
}

/// `azote model`.
#[derive(Debug, Args)]
pub struct Model {
    /// Where to; the facts of a model that is there, without it.
    #[arg(short, long, value_name = "FILE.so", required_unless_present = "show")]
    pub output: Option<PathBuf>,
    /// Compile nothing; show what this model says of itself, and whether it is whole.
    #[arg(long, value_name = "FILE.so", conflicts_with_all = ["output", "portable", "waves", "vfs", "verilog"])]
    pub show: Option<PathBuf>,
    /// For any x86-64 processor of the last fifteen years, rather than for this one.
    #[arg(long)]
    pub portable: bool,
    /// With waves, so that --trace works with it; slower.
    #[arg(long)]
    pub waves: bool,
    /// VFs of each kind that it is built with (4 unless given).
    #[arg(long, value_name = "N", value_parser = number::vfs)]
    pub vfs: Option<u8>,
    /// Its Verilog text, in place of the one that this program prints.
    #[arg(long, value_name = "FILE.v", conflicts_with = "vfs")]
    pub verilog: Option<PathBuf>,
}

/// `azote nbd`.
#[derive(Debug, Args)]
pub struct Nbd {
    /// Functions to export; each under its own name (vf0, …). Simulated card: all VFs with a volume, if none is given.
    pub target: Vec<Target>,
    /// unix:PATH, PORT or LOOPBACK-ADDRESS:PORT; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:10809")]
    pub listen: Listen,
    /// One JSON object an export when it can be connected to ("event": "start"), and one at the end.
    #[arg(long)]
    pub json: bool,
    /// Which card.
    #[command(flatten)]
    pub card: CardArgs,
}

/// What to do with virtual functions.
#[derive(Debug, Subcommand)]
pub enum VfCommand {
    /// Make virtual functions: sriov_numvfs and, for NVMe controllers that want it, queues, interrupts and online.
    Create {
        /// The physical function's address: 0000:01:00.1.
        pf: PciAddress,
        /// How many.
        #[arg(value_parser = |text: &str| number::within::<u16>(text, 1, u16::MAX.into(), "functions"))]
        count: u16,
        /// Bind them to vfio-pci, too.
        #[arg(long)]
        bind: bool,
        /// One JSON object a function.
        #[arg(long)]
        json: bool,
    },
    /// Give functions to vfio-pci, if their IOMMU group may be given away.
    Bind {
        /// The functions' addresses.
        #[arg(required = true)]
        function: Vec<PciAddress>,
        /// One JSON object a function.
        #[arg(long)]
        json: bool,
    },
    /// List physical functions with SR-IOV, their virtual functions, and who has them.
    List {
        /// One JSON object a function.
        #[arg(long)]
        json: bool,
    },
    /// Reset a function and take it from vfio-pci; of a physical function, give up all its virtual functions.
    Release {
        /// The function's address.
        function: PciAddress,
        /// One JSON object.
        #[arg(long)]
        json: bool,
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

    fn card(line: &str) -> Result<CardArgs, String> {
        let cli = Cli::try_parse_from(line.split(' ')).map_err(|e| e.to_string())?;
        cli.card().map_err(|e| e.to_string())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_of_the_card_go_before_or_after_the_command() {
        let both = card("azote --sim --volume a:ro nbd vf0 --volume b --vfs 8").unwrap();
        assert_eq!((both.volume.len(), both.vfs(), both.volume[0].read_only), (2, 8, true));
        assert_eq!(
            card("azote --sim --vfs 4 list --vfs 8").unwrap_err(),
            "--vfs is given before the command and behind it"
        );
        let e = card("azote list --limit vf0:iops=x").unwrap_err();
        assert!(e.contains("--limit") && e.contains("iops=`x` is no whole number"), "{e}");
        assert!(card("azote id vf99").is_err());
    }

    #[test]
    fn an_option_without_an_effect_is_an_error() {
        for (line, said) in [
            ("list --volume a", "--volume is for a simulated card; give --sim, too"),
            ("stats vf0 --limit vf0:iops=9", "--limit is for a simulated card; give --sim, too"),
            ("--volume a run --kernel k", "--volume has no effect on `azote run`: a guest's simulated card is --card"),
            ("--sim vf list", "--sim has no effect on `azote vf`: it is about real devices"),
            ("--sim ctl a state", "--sim has no effect on `azote ctl`"),
            ("--sim completions bash", "--sim has no effect on `azote completions`"),
            ("--vfs 8 verilog", "--vfs has no effect on `azote verilog`; --vfs stands behind the command"),
            ("--vfs 8 model -o a.so", "--vfs has no effect on `azote model`"),
            ("--sim --soft list --trace a.fst", "--trace has no effect beside --soft"),
            ("--sim list --eth tap:a", "--eth has no effect on this command"),
            ("net stats vf0 --eth tap:a", "--eth is for a simulated card; give --sim, too"),
            ("--sim --soft list --model a.so", "--model has no effect beside --soft"),
            ("--sim list --model a.so --vfs 8", "--vfs has no effect beside --model: a model has the VFs"),
            ("--sim list --trace-clocks 1..2", "--trace-clocks has no effect without --trace FILE.fst"),
            ("model --show a.so --portable", "cannot be used with"),
            ("run --kernel k --volume a", "unexpected argument '--volume'"),
        ] {
            let e = card(&format!("azote {line}")).unwrap_err();
            assert!(e.contains(said), "{line}: {e}");
        }
    }

    #[test]
    fn numbers_may_be_hexadecimal() {
        let cli = Cli::try_parse_from("azote read vf0 --lba 0x10 --blocks 0x8".split(' ')).unwrap();
        assert!(matches!(cli.command, Command::Read(Read { lba: 16, blocks: 8, .. })));
        assert!(Cli::try_parse_from("azote read vf0 --blocks 0".split(' ')).is_err());
    }

    #[test]
    fn help_has_the_options_of_a_simulated_card_in_a_group_of_their_own() {
        let help = |name: &str| {
            let mut command = Cli::command();
            let command = command.find_subcommand_mut(name).unwrap();
            command.render_long_help().to_string()
        };
        let (read, run) = (help("read"), help("run"));
        let (before, group) = read.split_once("Simulated card:").unwrap();
        assert!(before.contains("--lba") && !before.contains("--volume") && group.contains("--volume"));
        assert!(!run.contains("Simulated card:") && !run.contains("--medium"));
    }
}
