//! `bench net`: frames of one VF and of eight, to the wire, from it, and from VF to VF.
//!
//! The driver runs between the clocks: it fills the rings as far as they go and takes what came, every few clocks, so that what is
//! measured is the card. A rate counts from when the pipelines are full.

use azote_dma::Dma;
use azote_manage::{Mac, Manager, Port};
use azote_net::{Batch, Net, Options as NetOptions, Packet, Segment, SegmentKind};
use azote_regs::function::{FunctionId, Kind, Role};
use azote_sim::{Card, Options, Plug, cable};
use azote_tests::figures::Figure;
use azote_tests::rig::{Setup, function};
use azote_tests::{Error, Result};

use crate::{Arguments, bounds};

/// Clocks from one look of the driver to the next.
const STEP: u64 = 64;
/// Looks after which a measurement is given up.
const PATIENCE: u64 = 20_000;
/// VFs that are driven at once, where it is not one.
const TOGETHER: u8 = 8;
/// The part of a bound that must be reached, one way and both ways at once.
const ONE_WAY: f64 = 0.92;
const BOTH_WAYS: f64 = 0.90;
/// Clocks that a frame of 64 bytes may take.
const SHORT: f64 = 20.0;
/// Clocks from a doorbell to the wire.
const LATENCY: f64 = 160.0;

/// A card, its wire, and a driver on each of some VFs.
struct Bench {
    card: Card,
    wire: Plug,
    nets: Vec<Net>,
}

/// What goes on in a measurement: who sends frames of how many bytes to whom, and what the wire sends.
struct Flow {
    /// Of each sender, the frame.
    out: Vec<Option<Vec<u8>>>,
    segment: Option<Segment>,
    /// What the wire offers, as often as there is room.
    inward: Option<Vec<u8>>,
}

/// What had passed at a clock.
#[derive(Clone, Copy, Default)]
struct Passed {
    clocks: u64,
    sent: u64,
    sent_bytes: u64,
    received: u64,
    received_bytes: u64,
}

fn mac(vf: u8) -> [u8; 6] {
    [2, 0x41, 0x5a, 0, 0, vf]
}

/// The address behind the wire.
const BEYOND: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];

impl Bench {
    fn new(arguments: &Arguments, options: Options, vfs: u8) -> Result<Bench> {
        let card = Setup { model: arguments.model(), vfs: arguments.vfs, options, ..Setup::default() }.card()?;
        let (wire, there) = cable();
        card.root().ethernet().connect(Box::new(there));
        card.set_vfs(FunctionId::pf(Kind::Net).number(), u16::from(vfs))?;
        let manager = Manager::open(&*function(&card, FunctionId::pf(Kind::Trust))?)?;
        for vf in 0..vfs {
            let port = Port {
                mac: Mac(mac(vf)),
                vni: 1,
                vlan: 0,
                priority: 0,
                mtu: 1500,
                link: true,
                uplink: true,
                anti_spoof: true,
                trusted: false,
                promiscuous: false,
            };
            manager.connect(Role::Vf(vf), port)?;
        }
        let open = |vf| -> Result<Net> {
            let id = FunctionId::vf(Kind::Net, vf).ok_or_else(|| Error::Wrong(format!("no net VF {vf}")))?;
            let options = NetOptions::default();
            Ok(Net::open(function(&card, id)?, Dma::new(options.memory())?, options)?)
        };
        let nets = (0..vfs).map(open).collect::<Result<_>>()?;
        Ok(Bench { card, wire, nets })
    }

    /// The driver's turn, and some clocks of the card.
    fn step(&mut self, flow: &Flow, batch: &mut Batch, passed: &mut Passed) -> Result<()> {
        for (net, frame) in self.nets.iter_mut().zip(&flow.out) {
            if let Some(frame) = frame {
                let mut packet = Packet::from(&frame[..]);
                if let Some(segment) = flow.segment {
                    packet.segment = Some(segment);
                    packet.checksum = Some(azote_net::Checksum { start: 34, offset: 16 });
                }
                net.send(0, &vec![packet; 32])?;
            }
            net.receive(0, batch, 256)?;
            passed.received += batch.frames().len() as u64;
            passed.received_bytes += batch.frames().iter().map(|f| f.bytes.len() as u64).sum::<u64>();
        }
        if let Some(frame) = &flow.inward {
            while self.wire.send(frame) {}
        }
        while self.wire.receive().is_some() {}
        self.card.run_idle(STEP);
        let stats = self.card.root().ethernet().stats();
        (passed.clocks, passed.sent, passed.sent_bytes) = (self.card.clocks(), stats.sent, stats.sent_bytes);
        Ok(())
    }

    /// What passes in `frames` frames of the slower way, from when a tenth of that has.
    fn run(&mut self, flow: &Flow, frames: u64, both: bool) -> Result<Passed> {
        let (mut batch, mut passed) = (Batch::default(), Passed::default());
        let mut begun: Option<Passed> = None;
        let mut start = None;
        for _ in 0..PATIENCE {
            self.step(flow, &mut batch, &mut passed)?;
            let start = *start.get_or_insert(passed);
            let (sent, received) = (passed.sent - start.sent, passed.received - start.received);
            let so_far = if both { sent.min(received) } else { sent.max(received) };
            if begun.is_none() && so_far >= frames / 10 {
                begun = Some(passed);
            }
            if let Some(begun) = begun.filter(|_| so_far >= frames) {
                return Ok(Passed {
                    clocks: passed.clocks - begun.clocks,
                    sent: passed.sent - begun.sent,
                    sent_bytes: passed.sent_bytes - begun.sent_bytes,
                    received: passed.received - begun.received,
                    received_bytes: passed.received_bytes - begun.received_bytes,
                });
            }
        }
        Err(Error::Wrong(format!("{frames} frames did not pass in {} clocks", PATIENCE * STEP)))
    }

    /// Clocks from a doorbell to the first frame at the wire.
    fn latency(&mut self, frame: &[u8]) -> Result<u64> {
        while !self.card.run_idle(100_000) {}
        let before = self.card.root().ethernet().stats().sent;
        let net = self.nets.first_mut().ok_or_else(|| Error::Wrong("no driver".into()))?;
        net.send(0, &[Packet::from(frame)])?;
        let start = self.card.clocks();
        for _ in 0..PATIENCE {
            self.card.run_idle(1);
            if self.card.root().ethernet().stats().sent > before {
                return Ok(self.card.clocks() - start);
            }
        }
        Err(Error::Wrong("a frame did not reach the wire".into()))
    }
}

/// A frame of `bytes` bytes.
fn frame(to: [u8; 6], from: [u8; 6], bytes: usize) -> Vec<u8> {
    let mut frame = [&to[..], &from, &[0x88, 0xb5]].concat();
    frame.resize(bytes, 0x5a);
    frame
}

/// TCP over IPv4 of 64 KiB that the device is to segment.
fn long(from: [u8; 6]) -> Vec<u8> {
    let mut packet = [&BEYOND[..], &from, &[0x08, 0x00]].concat();
    packet.extend([0x45, 0, 0xff, 0xdc, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend([0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    packet.resize(14 + 0xffdc, 0xa5);
    packet
}

/// Measures them all.
pub fn measure(arguments: &Arguments) -> Result<Vec<Figure>> {
    let options = Options::default();
    let mut figures = Vec::new();
    let mut bench = Bench::new(arguments, options, TOGETHER)?;
    let none = || vec![None; usize::from(TOGETHER)];
    let from =
        |senders: u8, bytes| (0..TOGETHER).map(|vf| (vf < senders).then(|| frame(BEYOND, mac(vf), bytes))).collect();
    let rate = |bytes: u64, clocks: u64| bytes as f64 / clocks as f64;
    for (name, bytes, vfs) in [("net.send.1514.1vf", 1514, 1), ("net.send.1514.8vf", 1514, TOGETHER)] {
        let flow = Flow { out: from(vfs, bytes), segment: None, inward: None };
        let p = bench.run(&flow, 600, false)?;
        figures.push(
            Figure::rate(name, rate(p.sent_bytes, p.clocks), "bytes/clock", bounds::frames_out(bytes as u64))
                .at_least(ONE_WAY),
        );
    }
    let inward = |vf, bytes| Some(frame(mac(vf), BEYOND, bytes));
    let flow = Flow { out: none(), segment: None, inward: inward(0, 1514) };
    let p = bench.run(&flow, 600, false)?;
    figures.push(
        Figure::rate("net.receive.1514.1vf", rate(p.received_bytes, p.clocks), "bytes/clock", bounds::frames_in(1514))
            .at_least(ONE_WAY),
    );
    let flow = Flow { out: from(1, 1514), segment: None, inward: inward(1, 1514) };
    let p = bench.run(&flow, 600, true)?;
    let least = p.sent_bytes.min(p.received_bytes);
    figures.push(
        Figure::rate("net.both.1514.2vf", rate(least, p.clocks), "bytes/clock", bounds::frames_both(1514))
            .at_least(BOTH_WAYS),
    );
    for (name, vfs) in [("net.send.64.1vf", 1), ("net.send.64.8vf", TOGETHER)] {
        let flow = Flow { out: from(vfs, 64), segment: None, inward: None };
        let p = bench.run(&flow, 2000, false)?;
        figures.push(Figure::cost(name, p.clocks as f64 / p.sent as f64, "clocks/frame", SHORT).at_least(1.0));
    }
    let flow = Flow { out: none(), segment: None, inward: inward(0, 64) };
    let p = bench.run(&flow, 2000, false)?;
    figures.push(
        Figure::cost("net.receive.64.1vf", p.clocks as f64 / p.received as f64, "clocks/frame", SHORT).at_least(1.0),
    );
    let mut out = none();
    out[0] = Some(frame(mac(1), mac(0), 1514));
    let p = bench.run(&Flow { out, segment: None, inward: None }, 600, false)?;
    figures.push(
        Figure::rate("net.vf_to_vf.1514", rate(p.received_bytes, p.clocks), "bytes/clock", bounds::frames_across(1514))
            .at_least(ONE_WAY),
    );
    let mut out = none();
    out[0] = Some(long(mac(0)));
    let segment = Segment { kind: SegmentKind::Tcp4, headers: 54, size: 1448, ecn: false };
    let p = bench.run(&Flow { out, segment: Some(segment), inward: None }, 900, false)?;
    figures.push(
        Figure::rate(
            "net.send.tso.64k.1vf",
            rate(p.sent_bytes, p.clocks),
            "bytes/clock",
            bounds::segments_out(65_500, 1502),
        )
        .at_least(0.95),
    );
    let clocks = bench.latency(&frame(BEYOND, mac(0), 64))?;
    figures.push(Figure::cost("net.latency.send.64", clocks as f64, "clocks", LATENCY).at_least(1.0));
    Ok(figures)
}
