//! What is recorded is what the replay reads: the places of a record are those of its format.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use std::collections::HashMap;

use azote_cocotb::{Recorder, Recording, SIZE};
use azote_sim::device::{
    EthernetBeat, Inputs, MediaBeat, MediaDone, MediaOp, MediaRead, MediaRequest, MediaResult, Outputs, TlpDevice,
};
use azote_tlp::Beat;

const REPLAY: &str = include_str!("../python/replay.py");

/// What stands in the replay between these two.
fn between(from: &str, to: &str) -> &'static str {
    let (_, rest) = REPLAY.split_once(from).unwrap();
    rest.split_once(to).unwrap().0
}

fn names(list: &'static str) -> Vec<&'static str> {
    list.split(',').map(|name| name.trim().trim_matches('"')).collect()
}

/// The fields of a record by the names that the replay gives them.
fn fields(record: &[u8]) -> HashMap<&'static str, u128> {
    let (mut sizes, mut count) = (Vec::new(), 0);
    for letter in between("struct.Struct(\"<", "\")").chars() {
        match letter {
            '0'..='9' => count = 10 * count + letter as usize - '0' as usize,
            's' => sizes.push(std::mem::take(&mut count)),
            'B' => sizes.push(1),
            'H' => sizes.push(2),
            'I' => sizes.push(4),
            'Q' => sizes.push(8),
            _ => panic!("{letter}"),
        }
    }
    assert_eq!(sizes.iter().sum::<usize>(), SIZE);
    let names = names(between("    for (", ") in records"));
    assert_eq!(names.len(), sizes.len());
    let mut at = 0;
    let field = |(name, size): (&'static str, usize)| {
        let bytes = &record[at..at + size];
        at += size;
        (name, bytes.iter().rev().fold(0, |all, byte| all << 8 | u128::from(*byte)))
    };
    names.into_iter().zip(sizes).map(field).collect()
}

/// Shows the same in each clock.
struct Shows(Outputs);

impl TlpDevice for Shows {
    fn cycle(&mut self, _: &Inputs, outputs: &mut Outputs) {
        *outputs = self.0;
    }
}

/// What the replay takes apart of one clock.
fn replayed(inputs: &Inputs, outputs: Outputs) -> HashMap<&'static str, u128> {
    let folder = tempfile::tempdir().unwrap();
    let recording = Recording::create(&folder.path().join("recording")).unwrap();
    Recorder::new(Box::new(Shows(outputs)), recording.clone()).cycle(inputs, &mut Outputs::default());
    recording.end().unwrap();
    let mut fields = fields(&std::fs::read(recording.path()).unwrap());
    let bits = |flags: u128, names: Vec<&'static str>| {
        names.into_iter().enumerate().map(move |(bit, name)| (name, flags >> bit & 1)).collect::<Vec<_>>()
    };
    let (ins, outs) = (fields.remove("inputs").unwrap(), fields.remove("outputs").unwrap());
    fields.extend(bits(ins, names(between("INPUTS = [", "]"))));
    fields.extend(bits(outs, names(between("\n(", ") = range"))));
    fields
}

#[test]
fn each_signal_is_where_the_replay_looks_for_it() {
    let check = |inputs: Inputs, outputs: Outputs, set: &[(&str, u128)]| {
        let fields = replayed(&inputs, outputs);
        let mut seen: Vec<_> = fields.into_iter().filter(|(_, value)| *value != 0).collect();
        seen.sort_unstable();
        let mut set = set.to_vec();
        set.sort_unstable();
        assert_eq!(seen, set, "of {inputs:?} {outputs:?}");
    };
    let (i, o) = (Inputs::default, Outputs::default);
    let data = [0x0403_0201, 2, 3, 0xf000_0004];
    let word = 0xf000_0004_0000_0003_0000_0002_0403_0201;
    check(i(), o(), &[]);
    check(Inputs { reset: true, ..i() }, o(), &[("reset", 1)]);
    check(Inputs { tx_ready: true, ..i() }, o(), &[("tx_ready", 1)]);
    check(Inputs { mreq_ready: true, ..i() }, o(), &[("mreq_ready", 1)]);
    check(Inputs { mwr_ready: true, ..i() }, o(), &[("mwr_ready", 1)]);
    check(Inputs { mget_ready: true, ..i() }, o(), &[("mget_ready", 1)]);
    check(i(), Outputs { rx_ready: true, ..o() }, &[("RX_READY", 1)]);
    check(i(), Outputs { mrd_ready: true, ..o() }, &[("MRD_READY", 1)]);
    check(i(), Outputs { mdone_ready: true, ..o() }, &[("MDONE_READY", 1)]);
    check(i(), Outputs { mget: Some(0x9bc), ..o() }, &[("MGET_VALID", 1), ("get", 0x9bc)]);
    let (first, last) = (Beat { data, keep: 9, sop: true, eop: false }, Beat { data, keep: 9, sop: false, eop: true });
    let rx = |name| [("rx_valid", 1), (name, 1), ("rx", word), ("rx_keep", 9)];
    check(Inputs { rx: Some(first), ..i() }, o(), &rx("rx_sop"));
    check(Inputs { rx: Some(last), ..i() }, o(), &rx("rx_eop"));
    let tx = |name| [("TX_VALID", 1), (name, 1), ("tx", word), ("tx_keep", 9)];
    check(i(), Outputs { tx: Some(first), ..o() }, &tx("TX_SOP"));
    check(i(), Outputs { tx: Some(last), ..o() }, &tx("TX_EOP"));
    let read = MediaRead { data, ..MediaRead::default() };
    let mrd = |name| [("mrd_valid", 1), (name, 1), ("mrd", word)];
    check(Inputs { mrd: Some(MediaRead { last: true, ..read }), ..i() }, o(), &mrd("mrd_last"));
    check(Inputs { mrd: Some(MediaRead { error: true, ..read }), ..i() }, o(), &mrd("mrd_error"));
    check(Inputs { mrd: Some(MediaRead { hole: true, ..read }), ..i() }, o(), &mrd("mrd_hole"));
    let done = Some(MediaDone { tag: 0xabc, result: MediaResult::Hole });
    check(Inputs { mdone: done, ..i() }, o(), &[("mdone_valid", 1), ("mdone_tag", 0xabc), ("result", 4)]);
    let mwr = |last, spoilt| Outputs { mwr: Some(MediaBeat { data, last, spoilt }), ..o() };
    check(i(), mwr(true, false), &[("MWR_VALID", 1), ("MWR_LAST", 1), ("mwr", word)]);
    check(i(), mwr(false, true), &[("MWR_VALID", 1), ("MWR_SPOILT", 1), ("mwr", word)]);
    check(Inputs { etx_ready: true, ..i() }, o(), &[("etx_ready", 1)]);
    check(i(), Outputs { erx_ready: true, ..o() }, &[("ERX_READY", 1)]);
    let frame = |sop, eop, error| EthernetBeat { data, bytes: 13, sop, eop, error };
    let erx = |name| [("erx_valid", 1), (name, 1), ("erx", word), ("erx_bytes", 13)];
    check(Inputs { erx: Some(frame(true, false, false)), ..i() }, o(), &erx("erx_sop"));
    check(Inputs { erx: Some(frame(false, true, false)), ..i() }, o(), &erx("erx_eop"));
    check(Inputs { erx: Some(frame(false, false, true)), ..i() }, o(), &erx("erx_error"));
    let etx = |name| [("ETX_VALID", 1), (name, 1), ("etx", word), ("etx_bytes", 13)];
    check(i(), Outputs { etx: Some(frame(true, false, false)), ..o() }, &etx("ETX_SOP"));
    check(i(), Outputs { etx: Some(frame(false, true, false)), ..o() }, &etx("ETX_EOP"));
    let (lba, blocks) = (0x1234_5678_9abc_def0, 0xfedc_ba98_7654);
    let mreq = Some(MediaRequest { tag: 0xabc, op: MediaOp::Cancel, volume: 0x5a, fua: true, lba, blocks });
    let fields =
        [("tag", 0xabc), ("op", 8), ("volume", 0x5a), ("fua", 1), ("lba", lba.into()), ("blocks", blocks.into())];
    check(i(), Outputs { mreq, ..o() }, &[&[("MREQ_VALID", 1)][..], &fields].concat());
}
