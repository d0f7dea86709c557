//! Lists of ranges, which come as data.

use super::*;

impl Bench {
    /// Asks to give back these, `(first block, blocks)`.
    fn give_back(&mut self, rows: &[(u64, u64)]) -> u16 {
        let tag = self.request(MediaOp::Ranges, 0, rows.len() as u64);
        let halves = |n: u64| [n as u32, (n >> 32) as u32];
        let row = |(lba, blocks): &(u64, u64)| {
            let ([a, b], [c, d]) = (halves(*blocks), halves(*lba));
            [a, b, c, d]
        };
        self.beats(&rows.iter().map(row).collect::<Vec<_>>());
        tag
    }

    fn given_back(&mut self, rows: &[(u64, u64)]) -> MediaResult {
        let tag = self.give_back(rows);
        self.result(tag)
    }
}

#[test]
fn what_the_rows_say_reads_as_zero_and_nothing_else() {
    for cache in [false, true] {
        let mut bench = Bench::new(MediaOptions { cache, ..MediaOptions::default() }, false);
        bench.request(MediaOp::Write, 0, 8);
        bench.write(0x11, 8);
        bench.done();
        let rows = [(1, 2), (u64::MAX, 0), (6, 1), (15, 1), (6, 1)];
        assert_eq!(bench.given_back(&rows), MediaResult::Done);
        let mut data = Vec::new();
        for lba in [0, 8] {
            let tag = bench.request(MediaOp::Read, lba, 8);
            data.extend(bench.read(tag).data);
        }
        let zero: Vec<_> = (0..16).filter(|lba| data[lba * 512..][..512] == [0; 512]).collect();
        assert_eq!(zero, [1, 2, 6, 15]);
    }
}

#[test]
fn as_many_rows_as_there_can_be() {
    let mut bench = Bench::new(MediaOptions::default(), false);
    let rows: Vec<_> = (0..256).map(|row| (row % 16, u64::from(row != 7 && row < 16))).collect();
    assert_eq!(bench.given_back(&rows), MediaResult::Done);
    let bytes = std::fs::read(&bench.path).unwrap();
    let kept: Vec<_> = (0..16).filter(|lba| bytes[lba * 512..][..512] != [0; 512]).collect();
    assert_eq!(kept, [7]);
    assert_eq!(bench.media.blocks, [0, 0], "rows are no blocks that were written");
}

#[test]
fn a_row_that_cannot_be_done_fails_the_list_before_anything_of_it_is() {
    let mut bench = Bench::new(MediaOptions::default(), false);
    let before = std::fs::read(&bench.path).unwrap();
    for row in [(16, 1), (15, 2), (u64::MAX, 2), (1, u64::MAX), (1 << 55, 1 << 55)] {
        assert_eq!(bench.given_back(&[(0, 1), row]), MediaResult::Failed, "{row:?}");
    }
    bench.media.inject(MediaFault { volume: 3, lba: 5, blocks: 1, read: false, write: true });
    assert_eq!(bench.given_back(&[(0, 1), (4, 2)]), MediaResult::Failed);
    assert!(std::fs::read(&bench.path).unwrap() == before);
    assert_eq!(bench.given_back(&[(0, 5), (6, 10)]), MediaResult::Done, "it has a gap where the fault is");
    let mut bench = Bench::new(MediaOptions::default(), true);
    assert_eq!(bench.given_back(&[(0, 1)]), MediaResult::Failed, "read-only");
    bench.media.detach(3);
    assert_eq!(bench.given_back(&[(0, 0)]), MediaResult::Failed, "there is no volume");
}

#[test]
fn with_fua_they_are_durable() {
    let (mut bench, disk) = forgetful(false);
    bench.ask(MediaOp::Write, 0, 2, true);
    bench.write(0x11, 2);
    bench.done();
    bench.given_back(&[(0, 1)]);
    assert_eq!(disk.after_power_cut()[..512], [0x11; 512]);
    bench.ask(MediaOp::Ranges, 0, 1, true);
    bench.beats(&[[1, 0, 1, 0]]);
    assert_eq!(bench.done(), MediaResult::Done);
    assert_eq!(disk.after_power_cut()[..1024], [0; 1024]);
}
