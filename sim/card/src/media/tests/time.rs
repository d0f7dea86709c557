//! When answers come.

use super::*;

/// How long a read of two blocks takes.
fn timed(options: MediaOptions) -> u64 {
    let mut bench = Bench::new(options, false);
    let tag = bench.request(MediaOp::Read, 4, 2);
    let start = bench.clock;
    bench.read(tag).clock + 1 - start
}

#[test]
fn reads_have_latency_and_bandwidth() {
    // The answer, the call for the data, and 64 beats of it.
    assert_eq!(timed(MediaOptions::default()), 66);
    assert_eq!(timed(MediaOptions { latency: 10, ..MediaOptions::default() }), 76);
    let slow = MediaOptions { bandwidth: MediaOptions::FULL / 4 * 3, ..MediaOptions::default() };
    assert!((86..=88).contains(&timed(slow)));
}

#[test]
fn data_begins_in_the_clock_after_its_call_and_comes_in_the_order_of_calls() {
    let mut bench = Bench::new(MediaOptions { latency: 50, ..MediaOptions::default() }, false);
    bench.calls = false;
    let tags = [bench.request(MediaOp::Read, 0, 1), bench.request(MediaOp::Read, 1, 1)];
    bench.idle(1000);
    assert_eq!(bench.offered, tags);
    bench.offered = tags.into_iter().rev().collect();
    bench.calls = true;
    let start = bench.clock;
    let bytes = std::fs::read(&bench.path).unwrap();
    for (tag, at, end) in [(tags[0], 0, 64), (tags[1], 1, 32)] {
        let answer = bench.read(tag);
        assert_eq!((answer.clock - start, answer.data.as_slice()), (end, &bytes[at * 512..][..512]));
    }
}

#[test]
fn a_read_that_was_answered_has_no_place_of_its_volume_any_more() {
    let mut bench = Bench::new(MediaOptions { latency: 100, depth: 1, ..MediaOptions::default() }, false);
    bench.calls = false;
    let tags: Vec<_> = (0..4).map(|lba| bench.request(MediaOp::Read, lba, 1)).collect();
    bench.idle(410);
    assert_eq!(bench.offered, tags, "whoever calls for data in an order of its own waits for no place");
    let (slot, busy) = (&bench.media.slots[3], bench.media.busy());
    assert!(slot.working == 0 && slot.waiting.is_empty() && busy);
    tags.iter().for_each(|tag| bench.cancel(*tag));
    assert!(bench.media.slots[3].working == 0 && !bench.media.busy());
}

#[test]
fn a_hole_takes_nothing_of_the_rate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sparse");
    std::fs::File::create(&path).unwrap().set_len(1 << 20).unwrap();
    let options = MediaOptions { bandwidth: MediaOptions::FULL / 64, ..MediaOptions::default() };
    let mut bench = Bench::new(options, false);
    bench.media.set_volume_options(3, Some(options));
    bench.media.attach(3, &path, false).unwrap();
    let tags: Vec<_> = (0..10).map(|i| bench.request(MediaOp::Read, i * 8, 8)).collect();
    tags.iter().for_each(|tag| assert!(bench.read(*tag).hole));
    assert!(bench.clock < 30, "{}", bench.clock);
}

/// The clocks from the first of `n` reads of 4 KiB, by turns of these volumes, to the end of each volume's last.
fn volumes(bench: &mut Bench, volumes: &[u8], n: usize) -> HashMap<u8, u64> {
    let start = bench.clock;
    let mut tags = Vec::new();
    for i in 0..n {
        let volume = volumes[i % volumes.len()];
        tags.push((volume, bench.ask_of(volume, MediaOp::Read, 0, 8, false)));
    }
    let mut ends = HashMap::new();
    for (volume, tag) in tags {
        let end = bench.read(tag).clock - start;
        let last = ends.entry(volume).or_insert(0);
        *last = end.max(*last);
    }
    ends
}

fn several(options: MediaOptions) -> Bench {
    let mut bench = Bench::new(options, true);
    let path = bench.path.clone();
    for volume in [0, 1, 2] {
        bench.media.attach(volume, &path, true).unwrap();
    }
    bench
}

#[test]
fn a_volume_has_its_own_latency_and_bandwidth_and_others_lose_nothing() {
    let mut bench = several(MediaOptions::default());
    bench.limit = 1_000_000;
    let alone = volumes(&mut bench, &[0, 1], 20)[&1];
    bench.media.set_volume_options(0, Some(MediaOptions { latency: 50_000, ..MediaOptions::default() }));
    let beside = volumes(&mut bench, &[0, 1], 20);
    assert!(beside[&0] > 50_000 && beside[&1] < alone, "{beside:?}, alone {alone}");
    bench
        .media
        .set_volume_options(0, Some(MediaOptions { bandwidth: MediaOptions::FULL / 16, ..MediaOptions::default() }));
    let beside = volumes(&mut bench, &[0, 1], 20);
    // Ten reads at a byte a clock.
    assert!((40_960..41_300).contains(&beside[&0]), "{beside:?}");
    assert!(beside[&1] <= alone, "{beside:?}, alone {alone}");
    bench.media.set_volume_options(0, None);
    assert_eq!(volumes(&mut bench, &[0, 1], 20)[&1], alone);
}

#[test]
fn the_ports_rate_is_shared_by_all() {
    let mut bench = several(MediaOptions { bandwidth: MediaOptions::FULL / 2, ..MediaOptions::default() });
    let ends = volumes(&mut bench, &[0, 1, 2], 30);
    let all = ends.values().max().unwrap();
    assert!((30 * 512..30 * 512 + 20).contains(all), "{ends:?}");
}

#[test]
fn writes_are_taken_at_the_ports_rate() {
    for (bandwidth, least) in [(MediaOptions::FULL, 256), (MediaOptions::FULL / 2, 510)] {
        let mut bench = Bench::new(MediaOptions { bandwidth, ..MediaOptions::default() }, false);
        bench.request(MediaOp::Write, 0, 8);
        let start = bench.clock;
        bench.write(1, 8);
        assert!((least..=least + 4).contains(&(bench.clock - start)), "{}", bench.clock - start);
    }
}

#[test]
fn jitter_has_requests_overtake_and_is_the_same_every_time() {
    let run = || {
        let mut bench = Bench::new(MediaOptions { latency: 100, jitter: 2000, ..MediaOptions::default() }, false);
        let asked: Vec<_> = (0..30).map(|i| bench.request(MediaOp::Verify, i % 16, 1)).collect();
        assert!(asked.iter().all(|_| bench.done() == MediaResult::Done));
        let order: Vec<_> = bench.order.iter().map(|(tag, _)| *tag).collect();
        assert_ne!(order, asked);
        let clocks = bench.order.iter().map(|(_, clock)| *clock);
        assert!(clocks.clone().all(|clock| (100..2150).contains(&clock)) && clocks.max() > Some(1000));
        bench.order
    };
    assert_eq!(run(), run());
}

#[test]
fn a_volume_works_at_no_more_than_its_depth_and_the_port_is_not_held() {
    let mut bench = Bench::new(MediaOptions { latency: 1000, depth: 4, ..MediaOptions::default() }, false);
    for i in 0..12 {
        let clock = bench.clock;
        bench.request(MediaOp::Verify, i, 1);
        assert_eq!(bench.clock, clock + 1, "the port takes it at once");
    }
    assert!((0..12).all(|_| bench.done() == MediaResult::Done));
    let thousands: Vec<_> = bench.order.iter().map(|(_, clock)| clock / 1000).collect();
    assert_eq!(thousands, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
}

#[test]
fn all_tags_can_be_under_way_at_once() {
    let mut bench = Bench::new(MediaOptions { latency: 60_000, ..MediaOptions::default() }, true);
    let mut asked = BTreeSet::new();
    for i in 0..0x1000 {
        asked.insert(bench.request(MediaOp::Read, i % 16, 1));
    }
    assert_eq!((asked.len(), bench.clock, bench.free.len()), (0x1000, 0x1000, 0));
    bench.limit = 500_000;
    for tag in asked {
        assert!(!bench.read(tag).error);
    }
    assert!(!bench.media.busy());
}

#[test]
fn a_port_that_stalls_loses_nothing() {
    let mut bench = Bench::new(MediaOptions { stall: 200, jitter: 50, ..MediaOptions::default() }, false);
    for i in 0..16 {
        bench.request(MediaOp::Write, i, 1);
        bench.write(i as u8, 1);
    }
    (0..16).for_each(|_| assert_eq!(bench.done(), MediaResult::Done));
    let bytes = std::fs::read(&bench.path).unwrap();
    assert!(bytes.chunks(512).zip(0..).all(|(block, i)| block == [i; 512]));
    assert!(bench.clock > 16 * 32 * 3, "it has stalled");
}

#[test]
fn a_stuck_volume_answers_nothing_until_it_is_not_and_holds_nobody() {
    let mut bench = several(MediaOptions::default());
    let early = bench.ask_of(0, MediaOp::Read, 0, 8, false);
    let stuck = MediaOptions { stuck: true, ..MediaOptions::default() };
    bench.media.set_volume_options(0, Some(stuck));
    let late = bench.ask_of(0, MediaOp::Flush, 0, 0, false);
    let other = bench.ask_of(1, MediaOp::Read, 0, 8, false);
    assert!(bench.read(other).clock < 300);
    bench.idle(20_000);
    assert!(bench.media.busy() && !bench.reads.contains_key(&early) && bench.ended.is_empty());
    bench.media.set_volume_options(0, None);
    assert!(!bench.read(early).error);
    assert_eq!(bench.result(late), MediaResult::Done);
    assert!(!bench.media.busy());
}
