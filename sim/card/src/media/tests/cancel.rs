//! Requests that are given up.

use azote_regs::media::CANCEL_CLOCKS;

use super::*;

/// A volume that is stuck, and another that is not.
fn stuck() -> Bench {
    let mut bench = Bench::new(MediaOptions::default(), false);
    bench.media.set_volume_options(3, Some(MediaOptions { stuck: true, ..MediaOptions::default() }));
    bench
}

#[test]
fn each_kind_has_its_one_answer_soon() {
    use MediaOp::{Compare, Deallocate, Flush, Ranges, Read, Verify, Write, WriteZeroes};
    let mut bench = stuck();
    let mut tags = Vec::new();
    for op in [Read, Write, Flush, Verify, Compare, WriteZeroes, Deallocate, Ranges] {
        let tag = bench.request(op, 0, op.most_blocks().min(2));
        match op {
            Ranges => bench.beats(&[[1, 0, 0, 0]; 2]),
            _ if op.takes_data() => bench.write(1, 2),
            _ => {}
        }
        tags.push((op, tag));
    }
    bench.idle(5000);
    assert!(bench.order.is_empty());
    let start = bench.clock;
    tags.iter().for_each(|(_, tag)| bench.cancel(*tag));
    for (op, tag) in tags {
        assert_eq!(bench.result(tag), MediaResult::Aborted, "{op:?}");
    }
    assert!(bench.clock - start < 40 && !bench.media.busy());
    // Nothing comes of them later.
    bench.media.set_volume_options(3, None);
    bench.idle(5000);
    assert_eq!(bench.order.len(), 8);
}

#[test]
fn what_is_not_under_way_cannot_be_cancelled() {
    let mut bench = Bench::new(MediaOptions::default(), false);
    let tag = bench.request(MediaOp::Flush, 0, 0);
    assert_eq!(bench.result(tag), MediaResult::Done);
    bench.cancel(tag);
    bench.cancel(0x123);
    bench.idle(100);
    assert_eq!(bench.order.len(), 1);
    // Nor twice.
    let mut bench = stuck();
    let tag = bench.request(MediaOp::Flush, 0, 0);
    bench.cancel(tag);
    bench.cancel(tag);
    bench.idle(100);
    assert_eq!(bench.order.len(), 1);
    assert!(bench.media.take_broken().is_none());
}

#[test]
fn a_read_that_was_answered_and_not_called_for_is_let_go() {
    let mut bench = Bench::new(MediaOptions::default(), false);
    bench.calls = false;
    let (first, second) = (bench.request(MediaOp::Read, 0, 8), bench.request(MediaOp::Read, 8, 8));
    bench.idle(10);
    assert_eq!(bench.offered, [first, second]);
    bench.cancel(first);
    bench.calls = true;
    assert_eq!(bench.read(second).data, std::fs::read(&bench.path).unwrap()[4096..]);
    bench.idle(2000);
    assert!(bench.reads.is_empty() && bench.ended.is_empty() && !bench.media.busy(), "no answer but the first");
    // Its tag is free, and its data is gone.
    bench.next = first;
    assert_eq!(bench.request(MediaOp::Verify, 0, 1), first);
    assert_eq!(bench.result(first), MediaResult::Done);
    bench.clock(Outputs { mget: Some(first), ..Outputs::default() });
    assert!(bench.media.take_broken().unwrap().contains("there is none"));
}

#[test]
fn an_answer_at_the_port_stays_and_its_data_is_let_go() {
    let mut bench = Bench::new(MediaOptions::default(), false);
    bench.takes = false;
    let tags = [bench.request(MediaOp::Read, 0, 8), bench.request(MediaOp::Read, 8, 8)];
    bench.idle(10);
    tags.iter().for_each(|tag| bench.cancel(*tag));
    bench.idle(10);
    bench.takes = true;
    assert_eq!(tags.map(|tag| bench.result(tag)), [MediaResult::Done, MediaResult::Aborted], "the second waited");
    assert!(!bench.media.busy());
    bench.clock(Outputs { mget: Some(tags[0]), ..Outputs::default() });
    assert!(bench.media.take_broken().unwrap().contains("there is none"));
}

#[test]
fn a_cancel_in_the_clock_of_the_answer_lets_the_data_go() {
    let mut bench = Bench::new(MediaOptions { latency: 10, ..MediaOptions::default() }, false);
    let tag = bench.request(MediaOp::Read, 0, 8);
    bench.idle(10);
    bench.cancel(tag);
    assert_eq!((bench.order.as_slice(), bench.media.busy()), ([(tag, 11)].as_slice(), false));
    assert_eq!(bench.result(tag), MediaResult::Done);
}

#[test]
fn data_that_was_called_for_comes() {
    let mut bench = Bench::new(MediaOptions { bandwidth: MediaOptions::FULL / 4, ..MediaOptions::default() }, false);
    let tags = [bench.request(MediaOp::Read, 0, 8), bench.request(MediaOp::Read, 8, 8)];
    bench.idle(10);
    assert!(bench.called == tags && bench.begun.is_none(), "neither has begun");
    tags.iter().for_each(|tag| bench.cancel(*tag));
    bench.idle(1000);
    assert!(bench.begun.is_some());
    bench.cancel(tags[0]);
    bench.cancel(tags[1]);
    let whole = std::fs::read(&bench.path).unwrap();
    assert_eq!(tags.map(|tag| bench.read(tag).data).concat(), whole);
    assert!(!bench.media.busy() && bench.media.take_broken().is_none());
}

#[test]
fn a_slow_volume_does_not_make_it_late() {
    let mut bench = Bench::new(MediaOptions::default(), false);
    let slow = MediaOptions { bandwidth: MediaOptions::FULL / 256, ..MediaOptions::default() };
    bench.media.set_volume_options(3, Some(slow));
    let tags: Vec<_> = (0..64).map(|_| bench.request(MediaOp::Read, 0, 8)).collect();
    bench.idle(100);
    let start = bench.clock;
    tags.iter().for_each(|tag| bench.cancel(*tag));
    for tag in tags {
        bench.result(tag);
        assert!(bench.clock < start + CANCEL_CLOCKS);
    }
}

#[test]
fn the_data_of_a_cancelled_write_is_still_owed_and_then_it_ends() {
    let mut bench = Bench::new(MediaOptions::default(), false);
    let before = std::fs::read(&bench.path).unwrap();
    let (first, second) = (bench.request(MediaOp::Write, 0, 1), bench.request(MediaOp::Write, 1, 1));
    bench.cancel(first);
    bench.idle(2000);
    assert!(bench.order.is_empty());
    bench.write(0xaa, 1);
    bench.write(0xbb, 1);
    assert_eq!(bench.result(first), MediaResult::Aborted);
    assert_eq!(bench.result(second), MediaResult::Done);
    let bytes = std::fs::read(&bench.path).unwrap();
    assert_eq!((&bytes[..512], &bytes[512..1024]), (&before[..512], &[0xbb; 512][..]));
}

#[test]
fn a_place_of_the_volume_is_free_again() {
    let mut bench = Bench::new(MediaOptions { latency: 50_000, depth: 1, ..MediaOptions::default() }, false);
    let (first, second) = (bench.request(MediaOp::Verify, 0, 1), bench.request(MediaOp::Verify, 1, 1));
    bench.idle(10);
    bench.cancel(first);
    assert_eq!(bench.result(first), MediaResult::Aborted);
    bench.cancel(second);
    assert_eq!(bench.result(second), MediaResult::Aborted);
    bench.media.set_options(MediaOptions { depth: 1, ..MediaOptions::default() });
    let third = bench.request(MediaOp::Verify, 1, 1);
    assert_eq!(bench.result(third), MediaResult::Done);
    assert!(bench.clock < 1000);
}

#[test]
fn what_the_card_calls_spoilt_is_answered_so_at_once_and_nothing_of_it_is_written() {
    use MediaOp::{Compare, Write};
    // A volume that takes its time, and one that is dead.
    for stuck in [false, true] {
        let mut bench = Bench::new(MediaOptions::default(), false);
        let slow = MediaOptions { latency: 9999, depth: 1, stuck, ..MediaOptions::default() };
        bench.media.set_volume_options(3, Some(slow));
        let before = std::fs::read(&bench.path).unwrap();
        // Others of its blocks are under way, and it waits for none of them.
        let other = bench.request(MediaOp::Verify, 0, 2);
        for op in [Write, Compare] {
            let tag = bench.request(op, 0, 2);
            bench.spoil(0xaa, 2);
            let sent = bench.clock;
            assert_eq!(bench.result(tag), MediaResult::Spoilt, "{op:?}");
            assert!(bench.clock <= sent + 2, "after {} clocks", bench.clock - sent);
            // Its tag is free, and has nothing more to say.
            bench.cancel(tag);
            bench.next = tag;
            assert_eq!(bench.request(op, 0, 2), tag);
            bench.spoil(0xaa, 2);
            assert_eq!(bench.result(tag), MediaResult::Spoilt, "{op:?}");
        }
        bench.media.set_volume_options(3, None);
        bench.idle(20_000);
        assert_eq!(bench.result(other), MediaResult::Done);
        assert!(!bench.media.busy() && bench.order.len() == 5);
        assert_eq!(std::fs::read(&bench.path).unwrap(), before);
        // The data of the next is its own.
        let tag = bench.request(Write, 0, 2);
        bench.write(0xbb, 2);
        assert_eq!(bench.result(tag), MediaResult::Done);
        assert_eq!(std::fs::read(&bench.path).unwrap()[..1024], [0xbb; 1024]);
    }
}

#[test]
fn what_is_spoilt_is_answered_so_also_when_it_was_cancelled() {
    let mut bench = stuck();
    let tags = [bench.request(MediaOp::Write, 0, 1), bench.request(MediaOp::Write, 1, 1)];
    bench.cancel(tags[0]);
    bench.spoil(0xaa, 1);
    bench.spoil(0xbb, 1);
    // The answer stands already.
    bench.cancel(tags[1]);
    assert_eq!(tags.map(|tag| bench.result(tag)), [MediaResult::Spoilt; 2]);
    bench.idle(2000);
    assert!(bench.order.len() == 2 && !bench.media.busy());
    assert!(bench.media.take_broken().is_none());
}
