//! `azote net`.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

use azote_regs::function::{FunctionId, Kind, Role};
use clap::{Args, Subcommand};

use super::CardArgs;
use crate::{number, target::Target};

/// What to do with a net function.
#[derive(Debug, Subcommand)]
pub enum NetCommand {
    /// Ask an address for an echo (ARP and ICMP over IPv4), as `ping` does.
    ///
    /// Meanwhile the function answers who asks for its own address, and echoes. Exit status 1 if nothing was answered.
    Ping(Ping),
    /// Receive frames, and print them or write them to a file.
    Capture(Capture),
    /// Show what the device says of itself and of its link, and what passed the port of a simulated card.
    Stats(NetFacts),
}

impl NetCommand {
    /// Which card.
    #[must_use]
    pub fn card(&self) -> &CardArgs {
        match self {
            Self::Ping(Ping { card, .. })
            | Self::Capture(Capture { card, .. })
            | Self::Stats(NetFacts { card, .. }) => card,
        }
    }
}

/// A net function: `vf0` is net VF 0 here.
#[derive(Debug, Clone)]
pub struct NetTarget(pub Target);

impl FromStr for NetTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text.parse()? {
            Target::Storage(role) => Target::Net(role),
            other => other,
        }))
    }
}

/// An address of one's own and how many bits of it are the network's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The address.
    pub address: Ipv4Addr,
    /// The bits.
    pub bits: u32,
}

impl Network {
    /// Whether another address is reached without a gateway.
    #[must_use]
    pub fn holds(&self, other: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
        self.address.to_bits() & mask == other.to_bits() & mask
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected ADDRESS/BITS, such as 10.0.0.2/24".to_owned();
        let (address, bits) = text.split_once('/').unwrap_or((text, "24"));
        let address = address.parse().map_err(|_| expected())?;
        let bits = bits.parse().ok().filter(|bits| (1..=32).contains(bits)).ok_or_else(expected)?;
        Ok(Self { address, bits })
    }
}

/// `azote net ping`.
#[derive(Debug, Args)]
pub struct Ping {
    /// vf0, vf1, …, pf, a PCI address, or vfio-user:SOCKET.
    pub target: NetTarget,
    /// Whom to ask.
    pub destination: Ipv4Addr,
    /// The function's own address, with the bits that are its network's (24 unless given).
    #[arg(long, value_name = "ADDRESS/BITS")]
    pub from: Network,
    /// Who is asked to hand on what is for another network.
    #[arg(long, value_name = "ADDRESS")]
    pub gateway: Option<Ipv4Addr>,
    /// How many to send; until interrupted, if not given.
    #[arg(short, long, value_name = "N", value_parser = number::positive)]
    pub count: Option<u64>,
    /// Bytes of data in each.
    #[arg(short, long, value_name = "BYTES", default_value = "56", value_parser = |text: &str| number::within::<u16>(text, 0, 8972, "bytes"))]
    pub size: u16,
    /// Milliseconds between two.
    #[arg(short, long, value_name = "MS", default_value = "1000", value_parser = number::positive)]
    pub interval: u64,
    /// Milliseconds to wait for an answer to the last.
    #[arg(short = 'W', long, value_name = "MS", default_value = "1000", value_parser = number::positive)]
    pub timeout: u64,
    /// Which card.
    #[command(flatten)]
    pub card: CardArgs,
}

/// `azote net capture`.
#[derive(Debug, Args)]
pub struct Capture {
    /// vf0, vf1, …, pf, a PCI address, or vfio-user:SOCKET.
    pub target: NetTarget,
    /// A pcap file for the frames; a line a frame on stdout without it.
    #[arg(short, long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// How many; until interrupted, if not given.
    #[arg(short, long, value_name = "N", value_parser = number::positive)]
    pub count: Option<u64>,
    /// End after so many milliseconds without a frame.
    #[arg(long, value_name = "MS", value_parser = number::positive)]
    pub idle: Option<u64>,
    /// Not only what is addressed to the function.
    #[arg(short, long)]
    pub promiscuous: bool,
    /// Which card.
    #[command(flatten)]
    pub card: CardArgs,
}

/// `azote net stats`.
#[derive(Debug, Args)]
pub struct NetFacts {
    /// vf0, vf1, …, pf, a PCI address, or vfio-user:SOCKET.
    pub target: NetTarget,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
    /// Which card.
    #[command(flatten)]
    pub card: CardArgs,
}

/// A net function by its role.
#[must_use]
pub fn id(role: Role) -> FunctionId {
    FunctionId { kind: Kind::Net, role }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on says where

    use super::*;

    #[test]
    fn a_network_is_an_address_and_bits() {
        let network: Network = "10.1.2.3/20".parse().unwrap();
        let holds = |text: &str| network.holds(text.parse().unwrap());
        assert!(holds("10.1.15.255") && !holds("10.1.16.0") && holds("10.1.0.0"));
        assert_eq!("10.0.0.1".parse::<Network>().unwrap().bits, 24);
        for bad in ["", "10.0.0.1/", "10.0.0.1/0", "10.0.0.1/33", "x/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
