//! The mover: segments and data in, memory writes of Max_Payload_Size out, byte for byte.

use std::collections::{HashMap, VecDeque};

use azote_regs::function::{FunctionId, Kind};
use azote_regs::nvme::status;
use azote_regs::pcie::{express, tlp};
use azote_rtl::storage::data::mover::Mover;
use rand::Rng;

use crate::bench::{self, Feed, Packets, Sink, cat};

const BUS: u64 = 0x21;

struct Command {
    slot: u64,
    qid: u64,
    cid: u64,
    broken: bool,
}

#[test]
fn data_lands_where_its_segments_say_in_whole_packets() {
    let mut dut = bench::build("mover", Mover::default);
    let mut rng = bench::rng(1);
    let (mut segments, mut data) = (Feed::new("seg_", 60), Feed::new("in_", 80));
    let (mut link, mut done) = (Packets::new("tx_", 80), Sink::new("done_", 40));
    dut.set("bus_number", BUS.into());
    // Host memory as it must become, by DW, with whose packet brings it; and the commands under way.
    let mut expected: HashMap<u64, (u32, u64)> = HashMap::new();
    let mut commands: VecDeque<Command> = VecDeque::new();
    let (mut mps, mut finished, mut started) = (0, 0, 0);
    let mut base = 1u64 << 12;
    while finished < 400 {
        if commands.is_empty() {
            mps = if rng.random() { express::MPS_256 } else { 0 };
            dut.set("mps", mps.into());
            data.percent = [20, 80, 100][rng.random_range(0..3)];
        }
        if segments.items.len() < 3
            && data.items.len() < 40
            && started < 400
            && (started % 40 != 0 || commands.is_empty())
        {
            started += 1;
            let c = Command {
                slot: rng.random_range(0..8),
                qid: rng.random_range(0..8),
                cid: rng.random_range(0..1 << 16),
                broken: rng.random_ratio(1, 8),
            };
            let n = rng.random_range(1..5);
            let mut words: Vec<u32> = Vec::new();
            for i in 0..n {
                // Each in a page of its own; anything from one DW to the whole page.
                let dws: u64 = if rng.random() { rng.random_range(1..=1024) } else { rng.random_range(1..20) };
                let offset = rng.random_range(0..=1024 - dws) * 4;
                base += 1 << 12;
                let address = base + offset + if rng.random() { 1u64 << 45 } else { 0 };
                for dw in 0..dws {
                    words.push(rng.random());
                    expected.insert(address + 4 * dw, (words[words.len() - 1], c.slot));
                }
                let (slot, qid, cid) = ((c.slot.into(), 6), (c.qid.into(), 3), (c.cid.into(), 16));
                let last = (u128::from(i + 1 == n), 1);
                segments.push("data", cat(&[slot, qid, cid, last, (dws.into(), 11), (address.into(), 64)]));
            }
            // What is left of the last row belongs to nobody.
            words.resize(words.len().next_multiple_of(4), 0xdead_beef);
            let rows = words.len() / 4;
            for (i, dws) in words.chunks(4).enumerate() {
                let row = dws.iter().rev().fold(0, |v, dw| v << 32 | u128::from(*dw));
                let last = i + 1 == rows;
                data.push("data", cat(&[((last && c.broken).into(), 1), (last.into(), 1), (row, 128)]));
            }
            commands.push_back(c);
        }
        segments.drive(&mut dut, &mut rng);
        data.drive(&mut dut, &mut rng);
        link.drive(&mut dut, &mut rng);
        done.drive(&mut dut, &mut rng);
        dut.eval();
        if let Some(p) = link.taken(&dut) {
            let dws = tlp::LENGTH.of(p.dw(0));
            let long = tlp::FMT_BIT_4DW.is_set(p.dw(0));
            let at = if long { p.dw(2) << 32 | p.dw(3) } else { p.dw(2) };
            assert_eq!(tlp::FMT_TYPE.of(p.dw(0)), if long { tlp::MWR64 } else { tlp::MWR32 });
            assert_eq!(long, at >> 32 != 0);
            assert_eq!(p.payload.len() as u64, dws);
            assert!(4 * dws <= express::payload_bytes(mps) && at % 4096 + 4 * dws <= 4096);
            assert_eq!((tlp::FIRST_BE.of(p.dw(1)), tlp::LAST_BE.of(p.dw(1))), (15, if dws == 1 { 0 } else { 15 }));
            for (i, word) in p.payload.iter().enumerate() {
                let (want, slot) =
                    expected.remove(&(at + 4 * i as u64)).expect("a DW that was not asked for, or twice");
                assert_eq!(*word, want);
                let f = if slot == 0 {
                    Some(FunctionId::pf(Kind::Storage))
                } else {
                    FunctionId::vf(Kind::Storage, slot as u8 - 1)
                };
                assert_eq!(tlp::REQUESTER_ID.of(p.dw(1)), tlp::ID_BUS.put(BUS) | u64::from(f.unwrap().number()));
                assert_eq!(u64::from(p.owner), slot << 2 | Kind::Storage.code());
            }
        }
        if done.takes(&dut) {
            let c = commands.pop_front().unwrap();
            let got = ["slot", "qid", "cid", "status"].map(|f| dut.get(&format!("done_{f}")) as u64);
            assert_eq!(got, [c.slot, c.qid, c.cid, if c.broken { status::UNRECOVERED_READ } else { status::SUCCESS }]);
            assert!(!commands.is_empty() || expected.is_empty(), "done before its data had left");
            finished += 1;
        }
        segments.taken(&dut);
        data.taken(&dut);
        dut.clock();
        assert!(dut.clocks() < 3_000_000, "stuck after {finished}");
    }
    assert!(expected.is_empty());
}

#[test]
fn a_slow_medium_never_holds_the_link() {
    let mut dut = bench::build("mover", Mover::default);
    let mut rng = bench::rng(2);
    dut.set("mps", express::MPS_256.into());
    dut.set("tx_ready", 1);
    dut.set("done_ready", 1);
    let mut data = Feed::new("in_", 15);
    for at in 0..40u64 {
        dut.set("seg_valid", 1);
        let dws = 1000 - at;
        let segment = cat(&[(1, 6), (1, 3), (at.into(), 16), (1, 1), (dws.into(), 11), ((at << 12).into(), 64)]);
        bench::set(&mut dut, "seg_data", &segment);
        let rows = dws.div_ceil(4);
        for row in 0..rows {
            data.push("data", cat(&[(0, 1), ((row + 1 == rows).into(), 1), (rng.random(), 128)]));
        }
        let mut midway = false;
        loop {
            data.drive(&mut dut, &mut rng);
            dut.eval();
            let valid = dut.get("tx_valid") == 1;
            assert!(valid || !midway, "a packet that began has all of its data");
            midway = if valid { dut.get("tx_eop") == 0 } else { midway };
            let over = dut.get("seg_ready") == 1;
            data.taken(&dut);
            dut.clock();
            if over {
                break;
            }
        }
    }
}

#[test]
fn data_of_which_a_packet_was_swallowed_ends_in_a_data_transfer_error_and_the_next_does_not() {
    let mut dut = bench::build("mover", Mover::default);
    let mut rng = bench::rng(3);
    dut.set("mps", express::MPS_256.into());
    dut.set("tx_ready", 1);
    dut.set("done_ready", 1);
    let dws = 300u64;
    // Which packet of the five is swallowed, if any.
    for (n, swallowed) in (0u64..).zip([Some(0), None, Some(2), Some(4), None, None]) {
        dut.set("seg_valid", 1);
        let segment = cat(&[(1, 6), (1, 3), (n.into(), 16), (1, 1), (dws.into(), 11), ((n << 12).into(), 64)]);
        bench::set(&mut dut, "seg_data", &segment);
        let mut data = Feed::new("in_", 100);
        for row in 0..dws.div_ceil(4) {
            data.push("data", cat(&[(0, 1), ((row + 1 == dws.div_ceil(4)).into(), 1), (rng.random(), 128)]));
        }
        let mut packet = None;
        let status = loop {
            data.drive(&mut dut, &mut rng);
            dut.eval();
            if dut.get("tx_valid") == 1 && dut.get("tx_sop") == 1 {
                packet = Some(packet.map_or(0, |packet| packet + 1));
                dut.set("tx_killed", (packet == swallowed).into());
                dut.eval();
            }
            let done = (dut.get("done_valid") == 1).then(|| dut.get("done_status") as u64);
            data.taken(&dut);
            dut.clock();
            if let Some(status) = done {
                break status;
            }
            assert!(dut.clocks() < 10_000, "stuck");
        };
        assert_eq!(packet, Some(4), "five packets");
        assert_eq!(status, if swallowed.is_some() { status::DATA_TRANSFER } else { status::SUCCESS });
        dut.set("seg_valid", 0);
        dut.set("tx_killed", 0);
        dut.clock();
    }
}
