//! `azote net`: a net function driven from here.

mod capture;
mod ping;
mod station;
mod stats;

use std::io::Write;

use azote_net::{Completions, Net, Options};

use crate::args::net::NetCommand;
use crate::{Result, card::Card, nbd::Stop, target::Target};

/// Does what was asked for.
pub(super) fn run(card: &dyn Card, command: &NetCommand, out: &mut dyn Write, stop: &Stop) -> Result<()> {
    match command {
        NetCommand::Ping(arguments) => ping::run(card, arguments, out, stop),
        NetCommand::Capture(arguments) => capture::run(card, arguments, out, stop),
        NetCommand::Stats(facts) => stats::run(card, facts, out),
    }
}

/// Opens the device of a function; from then on frames come in.
fn open(card: &dyn Card, target: &Target) -> Result<Net> {
    let function = card.open(target)?;
    let options =
        Options { completions: Completions::Interrupts, timeout: card.options().timeout, ..Options::default() };
    let net = Net::open(function, azote_dma::Dma::new(options.memory())?, options)?;
    card.connect()?;
    Ok(net)
}
