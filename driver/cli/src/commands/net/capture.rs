//! `azote net capture`.

use std::{io::Write, time::Duration};

use azote_net::Batch;
use azote_sim::Capture as File;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::super::print;
use crate::args::net::Capture;
use crate::{Error, Result, card::Card, nbd::Stop};

/// How long is waited at a time: who interrupts is heard after it.
const TURN: Duration = Duration::from_millis(20);

pub(super) fn run(card: &dyn Card, arguments: &Capture, out: &mut dyn Write, stop: &Stop) -> Result<()> {
    let written = |error: azote_sim::Error| Error::Simulation(error.to_string());
    let inputs = card.inputs();
    let mut file = arguments.write.as_ref().map(|path| File::create(path, &inputs)).transpose().map_err(written)?;
    let mut net = super::open(card, &arguments.target.0)?;
    if arguments.promiscuous {
        net.set_promiscuous(true)?;
    }
    stop.set_orderly();
    if let Some(path) = &arguments.write {
        print(out, &format!("capturing on {} to {}, end with Ctrl-C\n", arguments.target.0, path.display()))?;
    }
    let (mut batch, mut count) = (Batch::default(), 0);
    let begun = net.function().now();
    let mut last = begun;
    while !stop.is_stopped() && arguments.count.is_none_or(|most| count < most) {
        let came = net.wait(TURN)?;
        let now = net.function().now();
        if !came {
            if arguments.idle.is_some_and(|most| now - last >= Duration::from_millis(most)) {
                break;
            }
            continue;
        }
        last = now;
        let most = arguments.count.map_or(32, |most| (most - count).min(32));
        net.receive(0, &mut batch, most as usize)?;
        for frame in batch.frames() {
            count += 1;
            match &mut file {
                Some(file) => file.frame(now, &frame.bytes),
                None => print(out, &line((now - begun).as_secs_f64(), &frame.bytes))?,
            }
        }
    }
    drop(net);
    if let Some(file) = file {
        file.finish().map_err(written)?;
    }
    print(out, &format!("{count} packets captured\n"))?;
    match card.report() {
        Some(report) => print(out, &report),
        None => Ok(()),
    }
}

/// A frame on a line.
fn line(time: f64, frame: &[u8]) -> String {
    let mac = |at: usize| {
        let bytes = frame.get(at..at + 6).unwrap_or_default();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
    };
    let kind = frame.get(12..14).map_or(0, |kind| u16::from_be_bytes([kind[0], kind[1]]));
    format!("{time:.6} {} > {}, {}, length {}\n", mac(6), mac(0), words(frame, kind), frame.len())
}

fn words(frame: &[u8], kind: u16) -> String {
    let Ok(parsed) = SlicedPacket::from_ethernet(frame) else { return format!("ethertype {kind:#06x}, malformed") };
    let addresses = match &parsed.net {
        Some(NetSlice::Ipv4(ip)) => (ip.header().source_addr().to_string(), ip.header().destination_addr().to_string()),
        Some(NetSlice::Ipv6(ip)) => (ip.header().source_addr().to_string(), ip.header().destination_addr().to_string()),
        Some(NetSlice::Arp(_)) => return "ARP".into(),
        None => return format!("ethertype {kind:#06x}"),
    };
    let (from, to) = addresses;
    match parsed.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            format!("{from}.{} > {to}.{}: TCP", tcp.source_port(), tcp.destination_port())
        }
        Some(TransportSlice::Udp(udp)) => {
            format!("{from}.{} > {to}.{}: UDP", udp.source_port(), udp.destination_port())
        }
        Some(TransportSlice::Icmpv4(_)) => format!("{from} > {to}: ICMP"),
        Some(TransportSlice::Icmpv6(_)) => format!("{from} > {to}: ICMPv6"),
        Some(TransportSlice::Igmp(_)) => format!("{from} > {to}: IGMP"),
        None => format!("{from} > {to}: IP"),
    }
}
