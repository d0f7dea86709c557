//! The simulated clock beside a host that takes its time.

use std::sync::{Condvar, Mutex};

use super::*;

/// A disk that does nothing while it is shut.
#[derive(Debug, Clone, Default)]
struct Gate(Arc<(Mutex<Inside>, Condvar)>);

#[derive(Debug, Default)]
struct Inside {
    shut: bool,
    bytes: Vec<u8>,
    syncs: u32,
    /// A sync fails.
    fails: bool,
    /// How many are in a call, and how many were at most.
    now: u32,
    most: u32,
}

impl Gate {
    fn new() -> Self {
        let gate = Gate::default();
        gate.0.0.lock().unwrap().bytes = vec![0; 16 * 512];
        gate
    }

    fn shut(&self, shut: bool) {
        self.0.0.lock().unwrap().shut = shut;
        self.0.1.notify_all();
    }

    fn block(&self, lba: usize) -> Vec<u8> {
        self.0.0.lock().unwrap().bytes[lba * 512..][..512].to_vec()
    }

    fn with<T>(&self, what: impl FnOnce(&mut Inside) -> T) -> io::Result<T> {
        let mut inside = self.0.0.lock().unwrap();
        inside.now += 1;
        inside.most = inside.most.max(inside.now);
        while inside.shut {
            inside = self.0.1.wait(inside).unwrap();
        }
        inside.now -= 1;
        Ok(what(&mut inside))
    }
}

impl Disk for Gate {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(|inside| out.copy_from_slice(&inside.bytes[offset as usize..][..out.len()]))
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.with(|inside| inside.bytes[offset as usize..][..data.len()].copy_from_slice(data))
    }

    fn zero(&self, offset: u64, len: u64, _give_back: bool) -> io::Result<()> {
        self.with(|inside| inside.bytes[offset as usize..][..len as usize].fill(0))
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|inside| {
            inside.syncs += 1;
            if inside.fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })?
    }
}

/// Whatever becomes of a test: who waits goes on.
struct Open<'a>(&'a Gate);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.shut(false);
    }
}

fn gated(options: MediaOptions) -> (Bench, Gate) {
    let (mut bench, gate) = (Bench::new(options, false), Gate::new());
    bench.media.attach_disk(1, Box::new(gate.clone()), 16, false);
    (bench, gate)
}

const PASSES: MediaOptions = MediaOptions { host: HostTime::Passes, ..DEFAULT };
const WAITS: MediaOptions = MediaOptions { host: HostTime::Waits, ..DEFAULT };
const DEFAULT: MediaOptions = MediaOptions {
    latency: 0,
    jitter: 0,
    bandwidth: MediaOptions::FULL,
    depth: 4096,
    cache: false,
    stuck: false,
    stall: 0,
    host: HostTime::AsDisk,
};

#[test]
fn a_flush_that_takes_long_stops_no_other_volume_and_not_its_own_reads() {
    let (mut bench, gate) = gated(PASSES);
    bench.limit = u64::MAX;
    gate.shut(true);
    let _open = Open(&gate);
    let flush = bench.ask_of(1, MediaOp::Flush, 0, 0, false);
    let read = bench.request(MediaOp::Read, 0, 8);
    assert!(!bench.read(read).error);
    bench.idle(1000);
    assert!(bench.ended.is_empty() && bench.media.waits_for_host());
    gate.shut(false);
    bench.limit = u64::MAX;
    assert_eq!(bench.result(flush), MediaResult::Done);
    assert_eq!(gate.0.0.lock().unwrap().syncs, 1);
}

#[test]
fn a_volume_has_few_threads_and_a_dead_one_takes_nobody_elses() {
    let (mut bench, gate) = gated(PASSES);
    gate.shut(true);
    let _open = Open(&gate);
    let dead: Vec<_> = (0..200).map(|i| bench.ask_of(1, MediaOp::Read, i % 16, 1, false)).collect();
    bench.limit = u64::MAX;
    for _ in 0..50 {
        let tag = bench.request(MediaOp::Read, 0, 8);
        assert!(!bench.read(tag).error);
    }
    gate.shut(false);
    dead.iter().for_each(|tag| assert!(!bench.read(*tag).error));
    let most = gate.0.0.lock().unwrap().most;
    assert!((2..=8).contains(&most), "{most} at once");
}

#[test]
fn clocks_do_not_depend_on_the_host_where_they_wait_for_it() {
    // Due at once, and due so late that threads do the work.
    for latency in [0, 300] {
        let run = |slow: bool| {
            let (mut bench, gate) = gated(MediaOptions { latency, jitter: latency, ..WAITS });
            let stop = Arc::new(std::sync::atomic::AtomicBool::new(!slow));
            let thread = std::thread::spawn({
                let (gate, stop) = (gate.clone(), stop.clone());
                move || {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        gate.shut(true);
                        std::thread::sleep(Duration::from_millis(1));
                        gate.shut(false);
                        std::thread::yield_now();
                    }
                }
            });
            for i in 0..40 {
                bench.ask_of(1, MediaOp::Write, i % 16, 1, i % 7 == 0);
                bench.write(i as u8, 1);
                bench.ask_of(1, MediaOp::Read, i * 5 % 15, 2, false);
                bench.ask_of(1, MediaOp::Flush, 0, 0, false);
            }
            while bench.order.len() < 120 {
                bench.clock(Outputs::default());
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            thread.join().unwrap();
            let data: Vec<_> = (0..0x1000).filter_map(|tag| bench.reads.get(&tag).map(|a| a.data.clone())).collect();
            (bench.order, data)
        };
        assert_eq!(run(false), run(true));
    }
}

#[test]
fn what_concerns_the_same_blocks_is_done_as_it_came_also_behind_what_was_cancelled() {
    let (mut bench, gate) = gated(PASSES);
    gate.shut(true);
    let _open = Open(&gate);
    let first = bench.ask_of(1, MediaOp::Write, 4, 1, false);
    bench.write(0xaa, 1);
    bench.idle(50);
    bench.cancel(first);
    assert_eq!(bench.result(first), MediaResult::Aborted);
    let (second, read) = (bench.ask_of(1, MediaOp::Write, 4, 1, false), bench.ask_of(1, MediaOp::Read, 4, 1, false));
    bench.write(0xbb, 1);
    bench.limit = u64::MAX;
    gate.shut(false);
    assert_eq!(bench.result(second), MediaResult::Done);
    let seen = bench.read(read).data;
    assert!(seen == [0xaa; 512] || seen == [0xbb; 512]);
    bench.media.sync().unwrap();
    assert_eq!(gate.block(4), [0xbb; 512]);
}

#[test]
fn a_list_waits_for_what_its_rows_touch_and_takes_nothing_of_the_cache_between_them() {
    let (mut bench, gate) = gated(MediaOptions { cache: true, ..PASSES });
    bench.limit = u64::MAX;
    bench.ask_of(1, MediaOp::Write, 4, 2, false);
    bench.write(0xaa, 2);
    assert_eq!(bench.done(), MediaResult::Done);
    gate.0.0.lock().unwrap().fails = true;
    gate.shut(true);
    let _open = Open(&gate);
    // The flush has the cache's blocks when it fails, and the list waits behind it.
    let flush = bench.ask_of(1, MediaOp::Flush, 0, 0, false);
    let list = bench.ask_of(1, MediaOp::Ranges, 0, 3, false);
    bench.beats(&[[1, 0, 0, 0], [1, 0, 5, 0], [1, 0, 15, 0]]);
    bench.idle(50);
    assert!(bench.ended.is_empty());
    gate.shut(false);
    assert_eq!((bench.result(flush), bench.result(list)), (MediaResult::Failed, MediaResult::Done));
    let cached = |bench: &mut Bench, lba| bench.media.extent(1, lba, lba + 1).unwrap().answer.is_ok();
    assert!(cached(&mut bench, 4), "what could not be kept is in the cache again");
    assert!(!cached(&mut bench, 5), "but for what was given back since");
    let read = bench.ask_of(1, MediaOp::Read, 4, 2, false);
    assert_eq!(bench.read(read).data, [[0xaa; 512], [0; 512]].concat());
}

#[test]
fn a_list_holds_nobody_between_its_rows() {
    let (mut bench, gate) = gated(PASSES);
    bench.limit = u64::MAX;
    gate.shut(true);
    let _open = Open(&gate);
    let list = bench.ask_of(1, MediaOp::Ranges, 0, 2, false);
    bench.beats(&[[2, 0, 0, 0], [2, 0, 14, 0]]);
    let between = bench.ask_of(1, MediaOp::Read, 2, 4, false);
    let met = bench.ask_of(1, MediaOp::Read, 12, 3, false);
    bench.idle(50);
    let lane = |bench: &Bench| bench.media.host.at_work(1);
    assert_eq!(lane(&bench), (2, 1), "the list and the first are begun, the other waits for it");
    gate.shut(false);
    assert_eq!(bench.result(list), MediaResult::Done);
    assert!(!bench.read(between).error && !bench.read(met).error);
}

#[test]
fn what_the_card_does_not_call_for_is_not_waited_for_at_the_host() {
    let (mut bench, gate) = gated(PASSES);
    gate.shut(true);
    let _open = Open(&gate);
    bench.media.set_volume_options(3, Some(WAITS));
    bench.calls = false;
    let (late, read) = (bench.ask_of(1, MediaOp::Flush, 0, 0, false), bench.request(MediaOp::Read, 0, 8));
    bench.idle(50);
    assert!(bench.offered == [read] && !bench.media.waits_for_host(), "the card's next clock may call for it");
    bench.calls = true;
    bench.read(read);
    assert!(bench.media.waits_for_host());
    bench.cancel(late);
    assert_eq!(bench.result(late), MediaResult::Aborted);
    assert!(!bench.media.waits_for_host() && !bench.media.busy() && bench.media.late == 0);
}

#[test]
fn a_disk_that_panics_is_an_error_of_its_request() {
    #[derive(Debug)]
    struct Bad;
    impl Disk for Bad {
        fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<()> {
            panic!("on purpose")
        }
        fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
            Ok(())
        }
        fn zero(&self, _: u64, _: u64, _: bool) -> io::Result<()> {
            Ok(())
        }
        fn sync(&self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut bench = Bench::new(PASSES, false);
    bench.limit = u64::MAX;
    bench.media.attach_disk(1, Box::new(Bad), 16, true);
    let tag = bench.ask_of(1, MediaOp::Read, 0, 1, false);
    assert!(bench.read(tag).error);
}

#[test]
fn a_reset_forgets_requests_and_what_comes_of_them_goes_nowhere() {
    let (mut bench, gate) = gated(PASSES);
    gate.shut(true);
    let _open = Open(&gate);
    let tags: Vec<_> = (0..20).map(|i| bench.ask_of(1, MediaOp::Read, i % 16, 1, false)).collect();
    bench.idle(20);
    bench.reset();
    assert!(!bench.media.busy());
    gate.shut(false);
    bench.limit = u64::MAX;
    bench.next = tags[0];
    let again = bench.ask_of(1, MediaOp::Verify, 0, 1, false);
    assert_eq!((again, bench.result(again)), (tags[0], MediaResult::Done));
    bench.idle(1000);
    assert_eq!(bench.order.len(), 1);
}

#[test]
fn a_reset_forgets_a_request_wherever_it_is() {
    let (mut bench, gate) = gated(MediaOptions { depth: 2, bandwidth: MediaOptions::FULL / 4, ..PASSES });
    gate.shut(true);
    let _open = Open(&gate);
    let late = bench.ask_of(1, MediaOp::Read, 0, 1, false);
    let working = bench.ask_of(1, MediaOp::Flush, 0, 0, false);
    let waiting = bench.ask_of(1, MediaOp::Read, 1, 1, false);
    bench.media.set_volume_options(2, Some(MediaOptions { stuck: true, ..PASSES }));
    let held = bench.ask_of(2, MediaOp::Flush, 0, 0, false);
    bench.media.set_volume_options(3, Some(WAITS));
    let called = bench.request(MediaOp::Read, 0, 8);
    // At a quarter of the rate it begins after three quarters of its time.
    bench.idle(800);
    assert!(bench.begun.is_some());
    let queued = bench.request(MediaOp::Read, 8, 8);
    bench.idle(5);
    bench.calls = false;
    let offered = bench.request(MediaOp::Read, 0, 1);
    bench.idle(5);
    bench.takes = false;
    let (answering, ready) = (bench.request(MediaOp::Verify, 0, 1), bench.request(MediaOp::Verify, 0, 1));
    bench.idle(5);
    let cut = bench.request(MediaOp::Verify, 0, 1);
    bench.cancel(cut);
    let owing = bench.request(MediaOp::Write, 0, 8);
    let phase = |bench: &mut Bench, tag| bench.media.job(tag).unwrap().phase;
    use super::super::job::Phase;
    for (tag, at) in [
        (late, Phase::Late),
        (working, Phase::Late),
        (waiting, Phase::Waiting),
        (held, Phase::Waiting),
        (called, Phase::Called),
        (queued, Phase::Called),
        (offered, Phase::Offered),
        (answering, Phase::Answering),
        (ready, Phase::Ready),
        (cut, Phase::Express),
        (owing, Phase::Data),
    ] {
        assert_eq!(phase(&mut bench, tag), at, "{tag:#x}");
    }
    bench.reset();
    (bench.takes, bench.calls) = (true, true);
    let ended = bench.order.len();
    gate.shut(false);
    bench.media.set_volume_options(2, None);
    bench.idle(2000);
    assert!(bench.order.len() == ended && !bench.media.busy() && bench.media.late == 0);
    assert!(bench.media.slots.iter().all(|slot| slot.working == 0));
    // All of it works from the start.
    bench.limit = u64::MAX;
    for volume in [1, 3] {
        let read = bench.ask_of(volume, MediaOp::Read, 0, 8, false);
        assert!(!bench.read(read).error);
        bench.ask_of(volume, MediaOp::Write, 0, 1, false);
        bench.write(0x77, 1);
        assert_eq!(bench.done(), MediaResult::Done);
    }
    assert!(bench.media.take_broken().is_none());
}
