//! What the card must not do at the port.

use super::*;

const READ: MediaRequest = MediaRequest { tag: 7, op: MediaOp::Read, volume: 3, fua: false, lba: 0, blocks: 1 };

fn broken(bench: &mut Bench, outputs: Outputs) -> Option<String> {
    bench.clock(outputs);
    bench.media.take_broken()
}

fn asks(mreq: MediaRequest) -> Outputs {
    Outputs { mreq: Some(mreq), ..Outputs::default() }
}

#[test]
fn requests_have_the_length_of_their_kind() {
    use MediaOp::{Compare, Deallocate, Flush, Ranges, Read, Verify, Write, WriteZeroes};
    for (op, least, most) in [
        (Read, 1, 8),
        (Write, 1, 8),
        (Compare, 1, 8),
        (Verify, 1, 2048),
        (WriteZeroes, 1, 2048),
        (Ranges, 1, 256),
        (Flush, 0, 0),
    ] {
        for (blocks, right) in [(0, least == 0), (1, most > 0), (most, true), (most + 1, false), (1 << 47, false)] {
            let mut bench = Bench::new(MediaOptions { latency: 9999, ..MediaOptions::default() }, false);
            let said = broken(&mut bench, asks(MediaRequest { op, blocks, ..READ }));
            assert_eq!(said.is_none(), right, "{op:?} {blocks}");
            assert!(said.is_none_or(|said| said.contains(&format!("for {blocks} blocks"))));
        }
    }
    // As many as there are.
    for blocks in [0, 1, 2049, (1 << 48) - 1] {
        let mut bench = Bench::new(MediaOptions { latency: 9999, ..MediaOptions::default() }, false);
        let said = broken(&mut bench, asks(MediaRequest { op: Deallocate, blocks, ..READ }));
        assert_eq!(said.is_none(), blocks > 0, "{blocks}");
    }
}

#[test]
fn a_tag_is_used_again_only_after_its_answer() {
    let mut bench = Bench::new(MediaOptions { latency: 10, ..MediaOptions::default() }, false);
    (bench.calls, bench.asked) = (false, HashMap::from([(7, 1)]));
    bench.free.remove(&7);
    assert_eq!(broken(&mut bench, asks(READ)), None);
    let said = broken(&mut bench, asks(MediaRequest { lba: 5, ..READ })).unwrap();
    assert!(said.contains("under way") && said.contains("lba: 5") && said.contains("lba: 0"), "{said}");
    bench.idle(20);
    let said = broken(&mut bench, asks(READ)).unwrap();
    assert!(bench.offered == [7] && said.contains("under way"), "the answer of a read is not its end: {said}");
    bench.calls = true;
    bench.read(7);
    bench.free.remove(&7);
    assert_eq!(broken(&mut bench, asks(READ)), None);
}

#[test]
fn last_comes_with_the_last_beat_and_no_other() {
    let write = MediaRequest { op: MediaOp::Write, ..READ };
    let beat = |last| Outputs { mwr: Some(MediaBeat { last, ..MediaBeat::default() }), ..Outputs::default() };
    let mut bench = Bench::new(MediaOptions::default(), false);
    assert_eq!(broken(&mut bench, asks(write)), None);
    assert!(broken(&mut bench, beat(true)).unwrap().contains("last is true after 16 bytes"));
    (0..30).for_each(|_| assert_eq!(broken(&mut bench, beat(false)), None));
    bench.free.remove(&7);
    assert!(broken(&mut bench, beat(false)).unwrap().contains("last is false after 512 bytes"));
}

#[test]
fn spoilt_is_said_with_the_last_beat_and_no_other() {
    let write = MediaRequest { op: MediaOp::Write, ..READ };
    let beat =
        |last| Outputs { mwr: Some(MediaBeat { last, spoilt: true, ..MediaBeat::default() }), ..Outputs::default() };
    let mut bench = Bench::new(MediaOptions::default(), false);
    assert_eq!(broken(&mut bench, asks(write)), None);
    assert!(broken(&mut bench, beat(false)).unwrap().contains("spoilt is said after 16 bytes"));
    let good = Outputs { mwr: Some(MediaBeat::default()), ..Outputs::default() };
    (0..30).for_each(|_| assert_eq!(broken(&mut bench, good), None));
    bench.free.remove(&7);
    assert_eq!(broken(&mut bench, beat(true)), None);
}

#[test]
fn what_is_not_taken_stands() {
    let changed = |first: Outputs, second: Outputs| {
        let mut bench = Bench::new(MediaOptions { stall: 255, ..MediaOptions::default() }, false);
        assert!(!bench.clock(first).mreq_ready, "the first clocks of this seed");
        broken(&mut bench, second)
    };
    let other = MediaRequest { lba: 1, ..READ };
    assert_eq!(changed(asks(READ), asks(READ)), None);
    assert!(changed(asks(READ), asks(other)).unwrap().contains("changed before mreq_ready"));
    assert!(changed(asks(READ), Outputs::default()).unwrap().contains("changed before mreq_ready"));
    let beat = |last| Outputs { mwr: Some(MediaBeat { last, ..MediaBeat::default() }), ..Outputs::default() };
    assert_eq!(changed(beat(false), beat(false)), None);
    assert!(changed(beat(false), beat(true)).unwrap().contains("changed before mwr_ready"));
    let spoilt = Outputs { mwr: Some(MediaBeat { spoilt: true, ..MediaBeat::default() }), ..Outputs::default() };
    assert!(changed(beat(false), spoilt).unwrap().contains("changed before mwr_ready"));
    let call = |mget| Outputs { mget, ..Outputs::default() };
    assert_eq!(changed(call(Some(7)), call(Some(7))), None);
    assert!(changed(call(Some(7)), call(Some(8))).unwrap().contains("changed before mget_ready"));
    assert!(changed(call(Some(7)), call(None)).unwrap().contains("changed before mget_ready"));
}

#[test]
fn data_is_called_for_once_and_when_there_is_any() {
    let call = |tag| Outputs { mget: Some(tag), ..Outputs::default() };
    let mut bench = Bench::new(MediaOptions { latency: 10, ..MediaOptions::default() }, false);
    bench.calls = false;
    let none = "tag 0x7 is called for, and there is none";
    assert!(broken(&mut bench, call(7)).unwrap().contains(none), "nothing was asked for");
    bench.asked.insert(7, 1);
    bench.free.remove(&7);
    assert_eq!(broken(&mut bench, asks(READ)), None);
    assert!(broken(&mut bench, call(7)).unwrap().contains(none), "it is not answered");
    bench.idle(20);
    bench.called.extend(bench.offered.pop_front());
    assert_eq!(broken(&mut bench, call(7)), None);
    assert!(broken(&mut bench, call(7)).unwrap().contains(none), "it was called for");
    bench.read(7);
    assert!(broken(&mut bench, call(7)).unwrap().contains(none), "it has come");
    let flush = bench.request(MediaOp::Flush, 0, 0);
    bench.takes = false;
    bench.idle(20);
    assert!(broken(&mut bench, call(flush)).unwrap().contains("there is none"), "it has no data");
}
