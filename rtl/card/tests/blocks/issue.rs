//! Issue: every piece of a read is opened once and asked for once, under the tag that it was opened with.

use azote_regs::media;
use azote_rtl::storage::flight::issue::Issue;
use rand::Rng;

use crate::bench;

#[test]
fn each_piece_is_asked_for_under_its_tag_at_its_place_and_one_after_the_other() {
    let mut dut = bench::build("issue", Issue::default);
    let mut rng = bench::rng(1);
    for round in 0..500 {
        let lba = rng.random_range(0..1u64 << 48);
        let total: u64 = rng.random_range(1..=256);
        let pieces = total.div_ceil(media::DATA_BLOCKS);
        let patience = rng.random_range(1..=100);
        let mut first = None;
        for piece in 0..pieces {
            let blocks = (total - piece * media::DATA_BLOCKS).min(media::DATA_BLOCKS);
            let ports = [("valid", 1), ("dws", blocks * 128), ("lba", lba)];
            let flags = [("first", (piece == 0).into()), ("last", (piece + 1 == pieces).into())];
            for (port, v) in ports.into_iter().chain(flags) {
                dut.set(port, v.into());
            }
            // In the books, and then at the medium.
            let (mut tag, mut clocks) = (None, 0);
            loop {
                dut.set("opened", 0);
                let (offered, takes) = (rng.random_range(0..4096u64), rng.random_ratio(patience, 100));
                dut.set("tag", offered.into());
                dut.set("media_ready", takes.into());
                dut.eval();
                let asks = dut.get("media_valid") == 1;
                assert_eq!(
                    (dut.get("open") == 1, asks),
                    (tag.is_none(), tag.is_some()),
                    "opened before it is asked for"
                );
                assert_eq!(dut.get("busy") == 1, asks);
                if let Some(tag) = tag {
                    let got = ["media_tag", "media_lba", "media_blocks"].map(|port| dut.get(port) as u64);
                    let place = lba.wrapping_add(piece * media::DATA_BLOCKS) & ((1 << 48) - 1);
                    assert_eq!(got, [tag, place, blocks], "round {round}, piece {piece} of {pieces}");
                } else {
                    assert!(piece == 0 || first == Some(dut.get("cmd")), "it names the first of its command");
                    if rng.random_ratio(patience, 100) {
                        dut.set("opened", 1);
                        tag = Some(offered);
                        first = first.or(Some(u128::from(offered)));
                        dut.eval();
                    }
                }
                let taken = dut.get("ready") == 1;
                assert_eq!(taken, asks && takes, "a piece goes with its request");
                dut.clock();
                if taken {
                    break;
                }
                clocks += 1;
                assert!(clocks < 10_000, "stuck");
            }
            if rng.random_ratio(1, 4) {
                // The walker looks for the next.
                dut.set("valid", 0);
                for _ in 0..rng.random_range(1..5) {
                    dut.eval();
                    assert_eq!(dut.get("open") + dut.get("media_valid") + dut.get("ready"), 0, "nothing is there");
                    dut.clock();
                }
            }
        }
    }
}
