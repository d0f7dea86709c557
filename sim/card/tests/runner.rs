//! The thread that clocks the card: it works while there is work, sleeps while there is none, and lets others in.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use azote_regs::bar;
use azote_regs::function::{FunctionId, Kind};
use azote_seam::Function;
use azote_sim::soft::{DESTINATION, LENGTH, RESULT, SOURCE, SoftCard};
use azote_sim::{Card, Mapping, Options, Remote, Runner};

fn vf(i: u8) -> u8 {
    FunctionId::vf(Kind::Net, i).unwrap().number()
}

fn card() -> (Card, Arc<Mapping>) {
    let card = Card::over(Box::new(SoftCard::copying(4)), Options::default()).unwrap();
    card.set_vfs(0, 2).unwrap();
    let memory = Arc::new(Mapping::new(0x10_0000).unwrap());
    card.root().memory().map_for_all(0, memory.clone()).unwrap();
    azote_seam::enable_bus_master(&*card.function(vf(0)).unwrap()).unwrap();
    (card, memory)
}

/// Starts a copy and does not clock it.
fn start(card: &Card, from: u64, to: u64, len: u64) {
    let registers = card.function(vf(0)).unwrap().bar(0).unwrap();
    registers.write64(SOURCE, from).unwrap();
    registers.write64(DESTINATION, to).unwrap();
    registers.write64(LENGTH, len).unwrap();
    registers.write32(RESULT, 0).unwrap();
    registers.write32(bar::DOORBELLS, 1).unwrap();
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn work_is_done_without_anybody_waiting_and_rest_costs_nothing() {
    let (card, memory) = card();
    let runner = Runner::start(&card).unwrap();
    memory.write(0, &[7; 0x1000]);
    start(&card, 0, 0x2000, 0x1000);
    runner.kick();
    let mut last = [0];
    until("the copy", || {
        memory.read(0x2fff, &mut last);
        last == [7]
    });
    until("rest", || card.root().is_idle());
    let clocks = card.clocks();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(card.clocks(), clocks);
    drop(runner);
}

#[test]
fn registers_are_reached_while_others_keep_the_card_busy() {
    let (card, _memory) = card();
    let runner = Runner::start(&card).unwrap();
    let other = card.function(vf(1)).unwrap().bar(0).unwrap();
    let mut busy = 0;
    let mut longest = Duration::ZERO;
    for i in 0..2000 {
        if card.root().is_idle() {
            start(&card, 0, 0x8_0000, 0x8_0000);
            runner.kick();
        } else {
            busy += 1;
        }
        let before = Instant::now();
        other.write32(0x20, i).unwrap();
        assert_eq!(other.read32(0x20).unwrap(), i);
        longest = longest.max(before.elapsed());
    }
    assert!(busy > 100, "the card was busy {busy} times only: this tried nothing");
    // Two cores shared with other tests: generous, and still far below what a turn-by-turn fight for the lock costs.
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    card.root().assert_clean();
}

/// Memory that is answered when the test says so.
struct Slow(Mutex<mpsc::Sender<(u64, u64, u32)>>);

impl Remote for Slow {
    fn read(&self, token: u64, address: u64, len: u32) {
        self.0.lock().unwrap().send((token, address, len)).unwrap();
    }
    fn write(&self, _: u64, _: &[u8]) {}
}

#[test]
fn memory_by_message_is_waited_for_without_clocks_and_then_arrives() {
    let (card, memory) = card();
    let (sender, asked) = mpsc::channel();
    card.root().memory().map_remote(vf(0), 0x100_0000, 0x1000, Arc::new(Slow(Mutex::new(sender)))).unwrap();
    let runner = Runner::start(&card).unwrap();
    start(&card, 0x100_0000, 0x2000, 64);
    runner.kick();
    let (token, address, len) = asked.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!((address, len), (0x100_0000, 64));
    until("waiting", || card.root().is_waiting());
    let clocks = card.clocks();
    std::thread::sleep(Duration::from_millis(200));
    let clocks = card.clocks() - clocks;
    assert!(clocks <= 64 * 50, "{clocks} clocks for an answer that no clock brings");
    card.root().remote_data(token, Some((0..64).collect()));
    runner.kick();
    let mut out = [0; 64];
    until("the copy", || {
        memory.read(0x2000, &mut out);
        out[63] == 63
    });
    // An owner that is gone: the read is refused, and the card knows.
    start(&card, 0x100_0000, 0x2000, 64);
    runner.kick();
    asked.recv_timeout(Duration::from_secs(10)).unwrap();
    card.root().memory().unmap_all(vf(0));
    card.root().remote_gone(vf(0));
    runner.kick();
    let registers = card.function(vf(0)).unwrap().bar(0).unwrap();
    until("the refusal", || registers.read32(RESULT).unwrap() == 2);
    card.root().assert_clean();
}
