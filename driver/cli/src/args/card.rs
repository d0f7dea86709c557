//! Which card, and what a simulated one is like. These options stand before the command or behind it; a command that has no
//! use for one refuses it.

use std::path::PathBuf;

use clap::Args;

use super::eth::EthSpec;
use super::host::{HostSpec, MediumSpec};
use super::wave::Window;
use crate::{Error, Result, image::VolumeSpec, limit::LimitSpec, number};

/// Which card.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Simulated card")]
pub struct CardArgs {
    /// Simulate a card in this process instead of using real functions.
    #[arg(long)]
    pub sim: bool,
    /// Back VF 0, then VF 1, … by this image: FILE[:ro][:size=SIZE][:format=raw], or by a server's export:
    /// nbd://HOST[:PORT]/EXPORT or nbd+unix:///EXPORT?socket=PATH, with [:ro][:size=SIZE][:timeout=SECONDS].
    #[arg(long, value_name = "FILE")]
    pub volume: Vec<VolumeSpec>,
    /// Limit a function: vf0:iops=5000:mbps=100:weight=4:timeout=500ms, all or some of them; once a function.
    ///
    /// IOPS and MB/s (10^6 bytes) are those of a card at 80 MHz, the clock that the core is made for: the card counts commands
    /// and 512-byte blocks in 2^24 clocks, so that n IOPS are n * 2^24 / 80,000,000 of them, rounded down. The weight (1 to 15)
    /// is how many commands a function may begin in its turn while others want theirs. What its volume has not answered after
    /// the time-out (in units of 16 ms, at most 65520ms) the card gives up, and the command fails; without one it waits for
    /// ever. A millisecond is 80,000 clocks, which take a simulated card about a tenth of a second.
    #[arg(long, value_name = "vf0:iops=N:mbps=N:weight=N:timeout=TIME")]
    pub limit: Vec<LimitSpec>,
    /// VFs of each kind that it is built with (4 unless given).
    #[arg(long, value_name = "N", value_parser = number::vfs)]
    pub vfs: Option<u8>,
    /// A model in software in place of the RTL, to try this program quickly.
    #[arg(long)]
    pub soft: bool,
    /// Its Verilog text, in place of the one that this program prints.
    #[arg(long, value_name = "FILE.v")]
    pub verilog: Option<PathBuf>,
    /// Its compiled model, from `azote model`; for machines without Verilator. Trusted: its code is run.
    #[arg(long, value_name = "FILE.so")]
    pub model: Option<PathBuf>,
    /// How the host around it behaves: latency=32 (clocks to the answer of a read), jitter=0 (up to so many more), payload=256 and
    /// read=512 (Max_Payload_Size and Max_Read_Request_Size, bytes), split=whole|random, stall=0 (beats in 256 that the link
    /// refuses); all or some of them, with colons between.
    #[arg(long, value_name = "latency=N:payload=N:…")]
    pub host: Option<HostSpec>,
    /// How its medium behaves: latency=0 (clocks to an answer), jitter=0 (up to so many more), bandwidth=16 (bytes a clock, of
    /// all volumes together), depth=4096 (requests of a volume that it works at), cache=off|on (writes wait in it for a flush),
    /// stuck=off|on (no answer at all), stall=0 (requests and beats in 256 that the port does not take at once),
    /// host=waits|passes (the clock waits for this machine's disks and servers, or goes on without their answers); all or
    /// some of them, with colons between. With volume=N, once more for each, it is about that volume alone.
    #[arg(long, value_name = "volume=N:latency=N:…")]
    pub medium: Vec<MediumSpec>,
    /// What is at the other end of its Ethernet port: tap:NAME (an interface of this machine), socket:PATH (another simulated card:
    /// the first listens, the second connects), or pcap-in:FILE (the frames of a file); nothing, if not given. Beside it,
    /// pcap-out:FILE writes every frame that passes, for Wireshark.
    #[arg(long, value_name = "tap:NAME|socket:PATH|…")]
    pub eth: Vec<EthSpec>,
    /// Seed of everything random: jitter, stalls, the splitting of answers (1 unless given).
    #[arg(long, value_name = "N", value_parser = number::whole)]
    pub seed: Option<u64>,
    /// Write every TLP to this file, a line each, with the number of its clock.
    #[arg(long, value_name = "FILE")]
    pub tlp_log: Option<PathBuf>,
    /// Write waves to this file, for GTKWave or Surfer; a clock is a nanosecond there, so that times are numbers of clocks.
    #[arg(long, value_name = "FILE.fst")]
    pub trace: Option<PathBuf>,
    /// Waves of these clocks alone: FROM..TO, FROM.. or ..TO.
    #[arg(long, value_name = "FROM..TO")]
    pub trace_clocks: Option<Window>,
    /// Waves of this block and those inside of it: storage, storage.front, transmit, …; may be given several times.
    #[arg(long, value_name = "BLOCK")]
    pub trace_block: Vec<String>,
}

/// VFs of each kind that a simulated card has unless told otherwise.
const DEFAULT_VFS: u8 = 4;

impl CardArgs {
    /// Options that were given, by name.
    #[must_use]
    pub fn given(&self) -> Vec<&'static str> {
        let all = [
            ("--sim", self.sim),
            ("--volume", !self.volume.is_empty()),
            ("--limit", !self.limit.is_empty()),
            ("--vfs", self.vfs.is_some()),
            ("--soft", self.soft),
            ("--verilog", self.verilog.is_some()),
            ("--model", self.model.is_some()),
            ("--host", self.host.is_some()),
            ("--medium", !self.medium.is_empty()),
            ("--eth", !self.eth.is_empty()),
            ("--seed", self.seed.is_some()),
            ("--tlp-log", self.tlp_log.is_some()),
            ("--trace", self.trace.is_some()),
            ("--trace-clocks", self.trace_clocks.is_some()),
            ("--trace-block", !self.trace_block.is_empty()),
        ];
        all.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }

    /// These options, from before the command, with those behind it.
    pub fn with(&self, behind: &CardArgs) -> Result<CardArgs> {
        fn one<T: Clone>(name: &str, before: &Option<T>, behind: &Option<T>) -> Result<Option<T>> {
            match (before, behind) {
                (Some(_), Some(_)) => Err(Error::Usage(format!("{name} is given before the command and behind it"))),
                (one, None) | (None, one) => Ok(one.clone()),
            }
        }
        Ok(CardArgs {
            sim: self.sim || behind.sim,
            volume: [&self.volume[..], &behind.volume].concat(),
            limit: [&self.limit[..], &behind.limit].concat(),
            vfs: one("--vfs", &self.vfs, &behind.vfs)?,
            soft: self.soft || behind.soft,
            verilog: one("--verilog", &self.verilog, &behind.verilog)?,
            model: one("--model", &self.model, &behind.model)?,
            host: one("--host", &self.host, &behind.host)?,
            medium: [&self.medium[..], &behind.medium].concat(),
            eth: [&self.eth[..], &behind.eth].concat(),
            seed: one("--seed", &self.seed, &behind.seed)?,
            tlp_log: one("--tlp-log", &self.tlp_log, &behind.tlp_log)?,
            trace: one("--trace", &self.trace, &behind.trace)?,
            trace_clocks: one("--trace-clocks", &self.trace_clocks, &behind.trace_clocks)?,
            trace_block: [&self.trace_block[..], &behind.trace_block].concat(),
        })
    }

    /// That every option has an effect: those of a simulated card with `--sim`, and none beside one that settles the same.
    pub fn check(&self) -> Result<()> {
        let given = self.given();
        let usage = |what: String| Err(Error::Usage(what));
        if let (false, Some(name)) = (self.sim, given.first()) {
            return usage(format!("{name} is for a simulated card; give --sim, too"));
        }
        for (name, other, why) in [
            ("--soft", "--verilog", "the card in software has no Verilog"),
            ("--soft", "--model", "the card in software is no compiled model"),
            ("--soft", "--trace", "the card in software has no waves"),
            ("--model", "--verilog", "a model is compiled from its own Verilog"),
            ("--model", "--vfs", "a model has the VFs that it was compiled with"),
        ] {
            if given.contains(&name) && given.contains(&other) {
                return usage(format!("{other} has no effect beside {name}: {why}"));
            }
        }
        for (i, medium) in self.medium.iter().enumerate() {
            if self.medium[..i].iter().any(|before| before.volume == medium.volume) {
                let whose = medium.volume.map_or("without volume=".into(), |volume| format!("for volume={volume}"));
                return usage(format!("--medium is given twice {whose}; put all of it in one, with colons between"));
            }
        }
        for wire in [true, false] {
            if self.eth.iter().filter(|spec| spec.is_wire() == wire).count() > 1 {
                let what =
                    if wire { "the port has one other end: tap, socket or pcap-in" } else { "pcap-out is given twice" };
                return usage(format!("--eth: {what}"));
            }
        }
        for name in ["--trace-clocks", "--trace-block"] {
            if given.contains(&name) && self.trace.is_none() {
                return usage(format!("{name} has no effect without --trace FILE.fst"));
            }
        }
        Ok(())
    }

    /// That none of these was given to a command that has no use for them.
    pub fn unused(&self, command: &str, remedy: &str) -> Result<()> {
        match self.given().first() {
            Some(name) => Err(Error::Usage(format!("{name} has no effect on `azote {command}`{remedy}"))),
            None => Ok(()),
        }
    }

    /// VFs of each kind that a simulated card is built with.
    #[must_use]
    pub fn vfs(&self) -> u8 {
        self.vfs.unwrap_or(DEFAULT_VFS)
    }
}
