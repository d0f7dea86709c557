//! Transfers beside the medium, whose rules are kept whatever happens.

use super::*;
use crate::{Media, MediaOptions};

/// A medium whose volume 3 has 512 blocks of data, and behind them 512 that are a hole.
fn medium(options: MediaOptions) -> (tempfile::TempDir, Media) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("volume");
    std::fs::write(&path, contents(0, 512)).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1024 * 512).unwrap();
    let mut media = Media::seeded(options, 7);
    media.attach(3, &path, false).unwrap();
    (folder, media)
}

fn contents(lba: u64, blocks: u64) -> Vec<u8> {
    (lba * 512..(lba + blocks) * 512).map(|i| if i < 512 * 512 { (i / 512 * 31 + i) as u8 | 1 } else { 0 }).collect()
}

/// Runs it to its end; `cancel`: it is given up before that clock. Gives its result, and how many clocks it took.
fn run(media: &mut Media, transfer: &mut Transfer, from: u64, cancel: u64) -> (MediaResult, u64) {
    for clock in from.. {
        if clock - from == cancel {
            transfer.cancel();
        }
        let (mut inputs, mut outputs) = (Inputs::default(), Outputs::default());
        media.drive(clock, &mut inputs);
        transfer.show(&mut outputs);
        media.step(clock, &inputs, &outputs);
        assert_eq!(media.take_broken(), None, "given up before clock {cancel}, in clock {}", clock - from);
        if let Some(result) = transfer.step(&inputs) {
            return (result, clock + 1 - from);
        }
        assert!(clock < from + 100_000, "it has no end");
    }
    unreachable!()
}

#[test]
fn pieces_make_a_whole_whatever_order_they_come_in() {
    let slow = MediaOptions { jitter: 500, stall: 100, ..MediaOptions::default() };
    for options in [MediaOptions::default(), slow] {
        let (_folder, mut media) = medium(options);
        let mut clock = 0;
        for (lba, blocks) in [(0, 1), (0, 512), (3, 300), (500, 30), (600, 400)] {
            let mut read = Transfer::new(MediaOp::Read, 3, false, lba, blocks, Vec::new());
            let (result, clocks) = run(&mut media, &mut read, clock, u64::MAX);
            clock += clocks;
            assert!(result == MediaResult::Done && read.data == contents(lba, blocks), "{blocks} from {lba}");
        }
        let (data, zeroes) = (contents(100, 200), vec![0; 200 * 512]);
        for (op, data, end) in [
            (MediaOp::Write, &data, MediaResult::Done),
            (MediaOp::Compare, &data, MediaResult::Done),
            (MediaOp::WriteZeroes, &Vec::new(), MediaResult::Done),
            (MediaOp::Compare, &data, MediaResult::Differs),
            (MediaOp::Compare, &zeroes, MediaResult::Done),
        ] {
            let mut transfer = Transfer::new(op, 3, false, 600, 200, data.clone());
            let (result, clocks) = run(&mut media, &mut transfer, clock, u64::MAX);
            assert_eq!(result, end, "{op:?}");
            clock += clocks;
        }
        assert!(!media.busy());
    }
}

#[test]
fn what_turns_out_unreadable_late_is_an_error_of_the_whole() {
    let (_folder, mut media) = medium(MediaOptions::default());
    media.spoil(3, 77, 1);
    let mut read = Transfer::new(MediaOp::Read, 3, false, 0, 100, Vec::new());
    let (result, clocks) = run(&mut media, &mut read, 0, u64::MAX);
    assert_eq!((result, media.busy()), (MediaResult::Failed, false));
    media.heal();
    let mut read = Transfer::new(MediaOp::Read, 3, false, 0, 100, Vec::new());
    assert_eq!(run(&mut media, &mut read, clocks, u64::MAX).0, MediaResult::Done);
}

#[test]
fn it_can_be_given_up_before_any_clock_and_leaves_nothing_behind() {
    let stalls = MediaOptions { jitter: 60, stall: 100, ..MediaOptions::default() };
    for options in [MediaOptions::default(), MediaOptions { latency: 40, ..MediaOptions::default() }, stalls] {
        for (op, most) in [(MediaOp::Read, 24), (MediaOp::Write, 24), (MediaOp::Verify, 4000), (MediaOp::Flush, 0)] {
            let (_folder, mut media) = medium(options);
            let (mut clock, mut cancel, mut whole) = (0, 0, false);
            while !whole {
                let blocks = if op == MediaOp::Verify { 1000 } else { most };
                let mut given_up = Transfer::new(op, 3, false, 0, blocks, contents(0, most));
                let (result, clocks) = run(&mut media, &mut given_up, clock, cancel);
                assert!(!media.busy(), "{op:?} given up before clock {cancel}");
                (whole, clock) = (cancel >= clocks, clock + clocks);
                assert!(!whole || result == MediaResult::Done);
                cancel += 1;
                // The tags are the next one's.
                let mut next = Transfer::new(MediaOp::Read, 3, false, 40, 8, Vec::new());
                let (result, clocks) = run(&mut media, &mut next, clock, u64::MAX);
                assert!(result == MediaResult::Done && next.data == contents(40, 8));
                clock += clocks;
            }
            assert!(cancel > 1, "{op:?}");
        }
    }
}
