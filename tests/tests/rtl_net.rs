//! The network driver on a card: driver, seam, root complex, card and wire. What runs here on the card in software runs on the
//! RTL unchanged, as far as that goes: each test is a function of the card's model.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says where

use std::collections::VecDeque;
use std::time::Duration;

use azote_dma::Dma;
use azote_manage::{Mac, Manager, Port};
use azote_net::{
    Batch, Checksum, Coalesce, Completions, Error, Net, Options as NetOptions, Packet, Received, Segment, SegmentKind,
};
use azote_regs::function::{FunctionId, Kind, Role};
use azote_regs::virtio::bit;
use azote_regs::virtio::feature as ring;
use azote_regs::virtio::net::feature;
use azote_sim::{Card, Options, Plug, cable};
use azote_tests::rig::{Model, Setup};
use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};

/// A card whose net VFs are enabled, and the other end of its wire.
fn card(model: Model, options: Options) -> (Card, Plug) {
    let card = Setup { model, options, ..Setup::default() }.card().unwrap();
    let (here, there) = cable();
    card.root().ethernet().connect(Box::new(there));
    card.set_vfs(FunctionId::pf(Kind::Net).number(), 4).unwrap();
    if model == Model::Rtl {
        let trust = card.function(FunctionId::pf(Kind::Trust).number()).unwrap();
        let manager = Manager::open(&*trust).unwrap();
        for vf in 0..4 {
            let mac = Mac([2, 0x11, 0x22, 0x33, 0x44, vf]);
            let port = Port {
                mac,
                vni: 7,
                vlan: 0,
                priority: 0,
                mtu: 9000,
                link: true,
                uplink: true,
                anti_spoof: false,
                trusted: false,
                promiscuous: false,
            };
            manager.connect(Role::Vf(vf), port).unwrap();
        }
    }
    (card, here)
}

fn open(card: &Card, vf: u8, options: NetOptions) -> Net {
    let function = card.function(FunctionId::vf(Kind::Net, vf).unwrap().number()).unwrap();
    Net::open(function, Dma::new(options.memory()).unwrap(), options).unwrap()
}

/// How a driver may drive: with everything, without what makes rings fast, and with one buffer a packet.
fn ways() -> [NetOptions; 4] {
    let without = |features: &[u32]| NetOptions {
        without: features.iter().map(|feature| bit(*feature)).sum(),
        ..NetOptions::default()
    };
    [
        NetOptions::default(),
        NetOptions { completions: Completions::Interrupts, depth: 16, ..NetOptions::default() },
        without(&[ring::EVENT_IDX, ring::INDIRECT_DESC, feature::MQ, feature::CTRL_VQ]),
        NetOptions {
            completions: Completions::Interrupts,
            depth: 64,
            ..without(&[feature::MRG_RXBUF, ring::EVENT_IDX])
        },
    ]
}

fn frame(to: [u8; 6], from: [u8; 6], len: usize) -> Vec<u8> {
    let mut frame = [&to[..], &from, &[0x88, 0xb5]].concat();
    frame.extend((14..len).map(|i| (i * 11 + len) as u8));
    frame
}

/// What comes out of the wire, as much as was asked for.
fn out(card: &Card, wire: &Plug, count: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for _ in 0..200 {
        card.run_idle(50_000);
        frames.extend(std::iter::from_fn(|| wire.receive()));
        if frames.len() >= count {
            break;
        }
    }
    frames
}

/// What comes in to a driver, as much as was asked for.
fn receive(net: &mut Net, pair: u16, count: usize) -> Vec<(Vec<u8>, Received)> {
    let (mut batch, mut frames) = (Batch::default(), Vec::new());
    while frames.len() < count && net.wait(Duration::from_millis(200)).unwrap() {
        while net.receive(pair, &mut batch, 32).unwrap() > 0 {
            frames.extend(batch.frames().iter().map(|frame| (frame.bytes.clone(), frame.checksum)));
        }
    }
    frames
}

const WIRE: [u8; 6] = [6, 5, 4, 3, 2, 0];

fn frames_of_every_length_pass_both_ways(model: Model) {
    for (i, way) in ways().into_iter().enumerate() {
        for options in [Options::default(), Options::rough(i as u64)] {
            let (card, wire) = card(model, options);
            let mut net = open(&card, 1, way.clone());
            let link = net.link().unwrap();
            assert!(link.up && net.mtu() == 9000, "{link:?}");
            let lengths = [14, 15, 59, 60, 61, 64, 65, 127, 128, 129, 1000, 1514, 2035, 2036, 2037, 4000, 9018];
            for len in lengths {
                let sent = frame(WIRE, net.mac(), len);
                assert_eq!(net.send(0, &[Packet::from(&sent[..])]).unwrap(), 1);
                assert!(out(&card, &wire, 1) == [sent], "way {i}, {len} bytes out");
                let given = frame(net.mac(), WIRE, len);
                wire.send(&given);
                assert!(receive(&mut net, 0, 1) == [(given, Received::Unknown)], "way {i}, {len} bytes in");
            }
            assert!(net.flush().unwrap());
            let stats = net.stats();
            let count = lengths.len() as u64;
            assert_eq!((stats.sent, stats.completed, stats.received), (count, count, count));
            drop(net);
            card.root().assert_clean();
        }
    }
}

fn bursts_keep_their_order_and_lose_nothing(model: Model) {
    for way in ways() {
        let (card, wire) = card(model, Options::default());
        let mut net = open(&card, 0, way);
        let frames: Vec<_> = (0..200).map(|i| frame(WIRE, net.mac(), 60 + 7 * i)).collect();
        let mut sent = 0;
        while sent < frames.len() {
            let packets: Vec<_> = frames[sent..].iter().take(32).map(|frame| Packet::from(&frame[..])).collect();
            sent += net.send(0, &packets).unwrap();
            card.run_idle(10_000);
        }
        assert!(out(&card, &wire, frames.len()) == frames);
        let frames: Vec<_> = (0..200).map(|i| frame(net.mac(), WIRE, 60 + 7 * i)).collect();
        // As many as a card keeps: a wire is not slowed down by who hears it.
        for frames in frames.chunks(8) {
            frames.iter().for_each(|frame| assert!(wire.send(frame)));
            let received: Vec<_> = receive(&mut net, 0, frames.len()).into_iter().map(|(frame, _)| frame).collect();
            assert!(received == frames, "{} of {}", received.len(), frames.len());
        }
        card.root().assert_clean();
    }
}

fn functions_reach_each_other_and_hear_only_what_is_theirs(model: Model) {
    let (card, wire) = card(model, Options::default());
    let mut nets: Vec<Net> = (0..3).map(|vf| open(&card, vf, NetOptions::default())).collect();
    let macs: Vec<_> = nets.iter().map(Net::mac).collect();
    assert!(macs[0] != macs[1] && macs[1] != macs[2]);
    // The first frame to an address that nobody has learned also leaves by the wire; from then on it is known.
    for round in 0..2 {
        for (from, to) in [(0, 1), (1, 0), (1, 2), (2, 1)] {
            let sent = frame(macs[to], macs[from], 100 + from);
            nets[from].send(0, &[Packet::from(&sent[..])]).unwrap();
            card.run_idle(50_000);
            let heard: Vec<_> = nets.iter_mut().map(|net| receive(net, 0, 1).len()).collect();
            assert_eq!(
                heard,
                (0..3).map(|i| usize::from(i == to)).collect::<Vec<_>>(),
                "round {round}: {from} to {to}"
            );
        }
        let leaked = out(&card, &wire, 10).len();
        assert!(round == 0 || leaked == 0, "{leaked} frames left by the wire though their addresses are known");
    }
    let broadcast = frame([0xff; 6], macs[0], 77);
    nets[0].send(0, &[Packet::from(&broadcast[..])]).unwrap();
    assert!(out(&card, &wire, 1) == std::slice::from_ref(&broadcast).to_vec());
    let heard: Vec<_> = nets.iter_mut().map(|net| receive(net, 0, 1).len()).collect();
    assert_eq!(heard, [0, 1, 1]);
    // Another's address from the wire is nobody's here, unless somebody wants everything.
    let stranger = frame(WIRE, [2; 6], 60);
    wire.send(&stranger);
    assert_eq!(nets.iter_mut().map(|net| receive(net, 0, 1).len()).sum::<usize>(), 0);
    nets[2].set_promiscuous(true).unwrap();
    wire.send(&stranger);
    assert!(receive(&mut nets[2], 0, 1)[0].0 == stranger);
    card.root().assert_clean();
}

fn checksums_and_segments_are_the_devices_work(model: Model) {
    let (card, wire) = card(model, Options::default());
    let mut net = open(&card, 0, NetOptions::default());
    let data: Vec<u8> = (0..60_000u32).map(|i| (i * 13) as u8).collect();
    for kind in [SegmentKind::Tcp4, SegmentKind::Tcp6] {
        let builder = PacketBuilder::ethernet2(net.mac(), WIRE);
        let (builder, start) = match kind {
            SegmentKind::Tcp4 => (builder.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9), 34),
            SegmentKind::Tcp6 => (builder.ipv6([3; 16], [4; 16], 9), 54),
        };
        let mut packet = Vec::new();
        builder.tcp(80, 81, 1000, 100).psh().ack(5).write(&mut packet, &data).unwrap();
        let (checksum, headers) = (Some(Checksum { start, offset: 16 }), start + 20);
        let segment = Some(Segment { kind, headers, size: 1448, ecn: false });
        // What a kernel leaves in its place is the sum of the pseudo header; a segment's is made anew.
        packet[0..6].copy_from_slice(&WIRE);
        packet[6..12].copy_from_slice(&net.mac());
        assert_eq!(net.send(0, &[Packet { bytes: &packet, checksum, segment }]).unwrap(), 1);
        let cut = out(&card, &wire, data.len().div_ceil(1448));
        let mut back = Vec::new();
        for frame in &cut {
            let parsed = SlicedPacket::from_ethernet(frame).unwrap();
            let Some(TransportSlice::Tcp(tcp)) = parsed.transport else { panic!("no TCP") };
            assert_eq!(tcp.sequence_number(), 1000 + back.len() as u32);
            back.extend_from_slice(tcp.payload());
            // Sent back, each is verified by the device; one whose data was changed is not.
            let mut returned = frame.clone();
            returned[..6].copy_from_slice(&net.mac());
            returned[6..12].copy_from_slice(&WIRE);
            wire.send(&returned);
            assert_eq!(receive(&mut net, 0, 1)[0].1, Received::Verified);
            *returned.last_mut().unwrap() ^= 1;
            wire.send(&returned);
            assert_eq!(receive(&mut net, 0, 1)[0].1, Received::Unknown);
        }
        assert!(back == data);
    }
    card.root().assert_clean();
}

fn the_control_queue_obeys_and_refuses(model: Model) {
    let (card, wire) = card(model, Options::default());
    let mut net = open(&card, 3, NetOptions::default());
    let heard = |net: &mut Net, to: [u8; 6]| {
        wire.send(&frame(to, WIRE, 60));
        !receive(net, 0, 1).is_empty()
    };
    let (other, group) = ([2, 9, 9, 9, 9, 9], [0x33, 0x33, 0, 0, 0, 1]);
    assert!(!heard(&mut net, other) && heard(&mut net, group), "until a table is set, all groups are heard");
    net.set_mac_table(&[other], &[]).unwrap();
    assert!(heard(&mut net, other) && !heard(&mut net, group));
    net.set_mac_table(&[], &[group]).unwrap();
    assert!(!heard(&mut net, other) && heard(&mut net, group) && !heard(&mut net, [0x33, 0x33, 0, 0, 0, 2]));
    net.set_all_multicast(true).unwrap();
    assert!(heard(&mut net, [0x33, 0x33, 0, 0, 0, 2]));
    let was = net.mac();
    net.set_mac(other).unwrap();
    assert!(heard(&mut net, other) && !heard(&mut net, was));
    assert!(matches!(net.set_mac([1, 0, 0, 0, 0, 0]), Err(Error::Refused { .. })), "a group is nobody's address");
    let mut tagged = frame(other, WIRE, 64);
    tagged[12..16].copy_from_slice(&[0x81, 0, 0, 42]);
    let tagged = |net: &mut Net| {
        wire.send(&tagged);
        !receive(net, 0, 1).is_empty()
    };
    assert!(!tagged(&mut net));
    net.add_vlan(42).unwrap();
    assert!(tagged(&mut net));
    net.delete_vlan(42).unwrap();
    assert!(!tagged(&mut net));
    assert!(net.add_vlan(4096).is_err());
    let to = Coalesce { packets: 9, microseconds: 77 };
    net.set_queue_coalescing(1, to).unwrap();
    assert_eq!(net.queue_coalescing(1).unwrap(), to);
    assert_eq!(net.queue_coalescing(0).unwrap(), Coalesce::default());
    net.set_coalescing(false, to).unwrap();
    assert_eq!(net.queue_coalescing(0).unwrap(), to);
    assert!(matches!(net.queue_coalescing(8), Err(Error::Refused { .. })));
    net.announced().unwrap();
    assert!(matches!(net.set_pairs(5), Err(Error::Refused { .. })));
    card.root().assert_clean();
}

fn pairs_share_what_comes_in_by_flow(model: Model) {
    let (card, wire) = card(model, Options::default());
    let mut net = open(&card, 0, NetOptions { pairs: 4, ..NetOptions::default() });
    assert_eq!(net.pairs(), 4);
    let flow = |port: u16, mac| {
        let mut packet = Vec::new();
        let builder = PacketBuilder::ethernet2(WIRE, mac).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9).udp(port, 81);
        builder.write(&mut packet, &port.to_le_bytes()).unwrap();
        packet
    };
    for port in 0..64 {
        wire.send(&flow(port, net.mac()));
        wire.send(&flow(port, net.mac()));
    }
    card.run_idle(200_000);
    let counts: Vec<_> = (0..4)
        .map(|pair| {
            let mut batch = Batch::default();
            let count = net.receive(pair, &mut batch, 200).unwrap();
            let mut ports: Vec<_> = batch.frames().iter().map(|frame| frame.bytes[34..36].to_vec()).collect();
            ports.sort();
            assert!(ports.chunks(2).all(|both| both[0] == both[1]), "a flow stays in its pair");
            count
        })
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), 128, "{counts:?}");
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    // Frames leave by each.
    for pair in 0..4 {
        net.send(pair, &[Packet::from(&frame(WIRE, net.mac(), 60 + usize::from(pair))[..])]).unwrap();
    }
    let mut lengths: Vec<_> = out(&card, &wire, 4).iter().map(Vec::len).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, [60, 61, 62, 63]);
    card.root().assert_clean();
}

fn a_function_comes_back_after_every_reset(model: Model) {
    let (card, wire) = card(model, Options::default());
    for round in 0..4 {
        let mut net = open(&card, 1, NetOptions::default());
        let sent = frame(WIRE, net.mac(), 100 + round);
        net.send(0, &[Packet::from(&sent[..])]).unwrap();
        match round {
            0 => drop(net),
            1 => {
                net.function().clone().reset().unwrap();
                assert!(net.flush().is_err() || net.stats().completed <= 1, "it was reset below its driver");
                drop(net);
            }
            2 => {
                card.set_vfs(FunctionId::pf(Kind::Net).number(), 0).unwrap();
                drop(net);
                card.set_vfs(FunctionId::pf(Kind::Net).number(), 4).unwrap();
            }
            _ => assert!(out(&card, &wire, 1).contains(&sent)),
        }
    }
    card.root().assert_clean();
}

fn what_the_driver_lacks_it_says(model: Model) {
    let (card, _wire) = card(model, Options::default());
    let without = bit(feature::CTRL_VQ) | bit(feature::CSUM) | bit(feature::HOST_TSO4);
    let mut net = open(&card, 0, NetOptions { without, ..NetOptions::default() });
    assert!(matches!(net.set_promiscuous(true), Err(Error::Lacks { .. })));
    let bytes = frame(WIRE, net.mac(), 9019);
    assert!(matches!(net.send(0, &[Packet::from(&bytes[..])]), Err(Error::Packet { .. })));
    assert!(matches!(net.send(0, &[Packet::from(&bytes[..13])]), Err(Error::Packet { .. })));
    let checksum = Some(Checksum { start: 14, offset: 0 });
    assert!(matches!(net.send(0, &[Packet { checksum, ..Packet::from(&bytes[..60]) }]), Err(Error::Lacks { .. })));
    assert!(matches!(net.send(1, &[Packet::from(&bytes[..60])]), Err(Error::NoPair { pair: 1, pairs: 1 })));
}

/// Chains of several descriptors of functions with rings of different sizes, at once, on a rough host: each frame is its function's own, byte
/// by byte, and nobody's ring is judged by another's.
fn long_chains_of_two_functions_are_never_mixed(model: Model) {
    for seed in 0..3 {
        let (card, wire) = card(model, Options::rough(seed));
        let depths = [8, 256, 32];
        let mut nets: Vec<Net> = (0..3)
            .map(|vf| open(&card, vf, NetOptions { depth: depths[usize::from(vf)], ..NetOptions::default() }))
            .collect();
        let macs: Vec<_> = nets.iter().map(Net::mac).collect();
        let mut due: Vec<VecDeque<Vec<u8>>> = vec![VecDeque::new(); nets.len()];
        let mut sent = 0;
        for round in 0..200 {
            for (i, net) in nets.iter_mut().enumerate() {
                let frame = frame(WIRE, macs[i], [9018, 60, 4500, 2100][(round + i) % 4]);
                if net.send(0, &[Packet::from(&frame[..])]).unwrap() == 1 {
                    due[i].push_back(frame);
                    sent += 1;
                }
            }
            card.run_idle(300);
            while let Some(frame) = wire.receive() {
                let from = macs.iter().position(|mac| frame[6..12] == mac[..]).expect("a frame of nobody's");
                assert!(due[from].pop_front() == Some(frame), "seed {seed}: VF {from} sent something else");
            }
        }
        for frame in out(&card, &wire, due.iter().map(VecDeque::len).sum()) {
            let from = macs.iter().position(|mac| frame[6..12] == mac[..]).expect("a frame of nobody's");
            assert!(due[from].pop_front() == Some(frame), "seed {seed}: VF {from} sent something else");
        }
        assert!(due.iter().all(VecDeque::is_empty) && sent > 150, "{sent} frames, {due:?} are missing");
        nets.iter().for_each(|net| net.check().unwrap());
        drop(nets);
        card.root().assert_clean();
    }
}

/// Each test on the card in software.
macro_rules! on_soft {
    ($($name:ident),* $(,)?) => {
        mod soft {
            $(#[test] fn $name() { super::$name(super::Model::Soft); })*
        }
    };
}

on_soft!(
    frames_of_every_length_pass_both_ways,
    bursts_keep_their_order_and_lose_nothing,
    functions_reach_each_other_and_hear_only_what_is_theirs,
    checksums_and_segments_are_the_devices_work,
    the_control_queue_obeys_and_refuses,
    pairs_share_what_comes_in_by_flow,
    a_function_comes_back_after_every_reset,
    what_the_driver_lacks_it_says,
    long_chains_of_two_functions_are_never_mixed,
);

/// And on the RTL.
macro_rules! on_rtl {
    ($($name:ident),* $(,)?) => {
        mod rtl {
            $(#[test] fn $name() { super::$name(super::Model::Rtl); })*
        }
    };
}

on_rtl!(
    frames_of_every_length_pass_both_ways,
    bursts_keep_their_order_and_lose_nothing,
    checksums_and_segments_are_the_devices_work,
    a_function_comes_back_after_every_reset,
    what_the_driver_lacks_it_says,
    long_chains_of_two_functions_are_never_mixed,
);
