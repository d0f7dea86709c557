//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{image::VolumeSpec, nbd::Listen, target::Target};

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
    #[arg(long, value_name = "FILE", global = true, requires = "sim")]
    pub volume: Vec<VolumeSpec>,
    /// Simulated card: VFs of each kind that it is built with.
    #[arg(long, value_name = "N", global = true, requires = "sim", default_value_t = 4,
          value_parser = clap::value_parser!(u8).range(1..=60))]
    pub vfs: u8,
    /// Simulated card: write waves to this file.
    #[arg(long, value_name = "FILE.fst", global = true, requires = "sim")]
    pub trace: Option<PathBuf>,
    /// Simulated card: write every TLP to this file, a line each.
    #[arg(long, value_name = "FILE", global = true, requires = "sim")]
    pub tlp_log: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List functions: address, kind, PF or VF, state, volume.
    List,
    /// Show what a controller and its namespace say of themselves.
    Id {
        /// pf, vf0, vf1, … or a PCI address.
        target: Target,
    },
    /// Read blocks to a file or to stdout.
    Read {
        /// pf, vf0, vf1, … or a PCI address.
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
        /// pf, vf0, vf1, … or a PCI address.
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
        /// pf, vf0, … or a PCI address; or a file (./vf0 if it has such a name).
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
        /// pf, vf0, vf1, … or a PCI address.
        target: Target,
    },
    /// Export namespaces over NBD until interrupted.
    Nbd {
        /// Functions to export; each under its own name (vf0, …). Simulated card: all VFs with a volume, if none is given.
        target: Vec<Target>,
        /// unix:PATH, PORT or LOOPBACK-ADDRESS:PORT; port 0 takes a free one.
        #[arg(long, default_value = "127.0.0.1:10809")]
        listen: Listen,
    },
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
        assert!(Cli::try_parse_from(["azote", "list", "--volume", "a"]).is_err(), "without --sim");
        assert!(Cli::try_parse_from(["azote", "id", "vf99"]).is_err());
    }
}
