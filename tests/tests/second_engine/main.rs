//! A second engine beside storage: it plugs into the core's socket, and nobody else's file is touched for it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod card;
mod copier;
mod slow;
mod speed;
mod window;

use std::sync::Arc;

use azote_nvme::{Controller, Io, Options as NvmeOptions};
use azote_regs::function::{FunctionId, Kind};
use azote_regs::pcie::header;
use azote_regs::{bar, nvme::limits::LBA_SIZE};
use azote_seam::{Function, Mmio};
use azote_sim::soft::{DESTINATION, LENGTH, RESULT, SOURCE};
use azote_sim::{Card, Mapping, Options, SimFunction};
use azote_tests::rig;
use azote_tests::twin::{ALL, Awake, Twin};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const SRC: u64 = 0x1_2345_6000;
const DST: u64 = 0x8000_0000;
const SIZE: usize = 0x4000;
const BLOCKS: u64 = 1024;

fn build() -> (Card, Arc<Awake>) {
    let design = azote_rtl::on_big_stack(|| azote_hdl::print(&card::Card::new(4), "azote_card")).unwrap();
    // Each of its engines stands still while it has nothing to do, and must be as if it did not.
    let twin = Twin::new(&design.text, 1).unwrap();
    let awake = twin.awake();
    let card = Card::over(Box::new(twin), Options::default()).unwrap();
    card.set_vfs(FunctionId::pf(Kind::Net).number(), 3).unwrap();
    (card, awake)
}

/// A function of the copier's, with memory of its own.
struct Copies {
    function: Arc<SimFunction>,
    regs: Arc<dyn Mmio>,
    source: Arc<Mapping>,
    destination: Arc<Mapping>,
    bytes: Vec<u8>,
    expected: Vec<u8>,
}

impl Copies {
    fn new(card: &Card, id: FunctionId, rng: &mut SmallRng) -> Copies {
        let function = card.function(id.number()).unwrap();
        azote_seam::enable_bus_master(&*function).unwrap();
        let [source, destination] = [0, 1].map(|_| Arc::new(Mapping::new(SIZE as u64).unwrap()));
        let bytes: Vec<u8> = (0..SIZE).map(|_| rng.random()).collect();
        source.write(0, &bytes);
        let mut root = card.root();
        root.memory().map(id.number(), SRC, source.clone()).unwrap();
        root.memory().map(id.number(), DST, destination.clone()).unwrap();
        drop(root);
        let regs = function.bar(0).unwrap();
        Copies { function, regs, source, destination, bytes, expected: vec![0; SIZE] }
    }

    fn begin(&mut self, from: usize, to: usize, bytes: usize) {
        self.regs.write64(SOURCE, SRC + from as u64).unwrap();
        self.regs.write64(DESTINATION, DST + to as u64).unwrap();
        self.regs.write64(LENGTH, bytes as u64).unwrap();
        self.regs.write32(RESULT, 0).unwrap();
        self.regs.write32(bar::DOORBELLS, 1).unwrap();
        self.expected[to..to + bytes].copy_from_slice(&self.bytes[from..from + bytes]);
    }

    /// How the copy ended, once it has.
    fn end(&self) -> u32 {
        for _ in 0..100_000 {
            match self.regs.read32(RESULT).unwrap() {
                0 => self.function.relax(),
                result => return result,
            }
        }
        panic!("the copy does not end");
    }

    /// Nothing but what was copied has changed.
    fn check(&self) {
        let mut now = vec![0; SIZE];
        self.destination.read(0, &mut now);
        let at = now.iter().zip(&self.expected).position(|(a, b)| a != b);
        assert_eq!(at, None, "byte {at:x?} of the destination");
        self.source.read(0, &mut now);
        assert!(now == self.bytes, "the source has changed");
    }
}

fn storage(card: &Card) -> (Controller, tempfile::TempDir) {
    let folder = rig::volumes(card, 2, BLOCKS).unwrap();
    let options = NvmeOptions { io_queues: 1, events: 0, ..NvmeOptions::default() };
    (rig::controller(card, 0, 4 << 20, options).unwrap(), folder)
}

/// Writes something new to the volume and reads it back.
fn exercise(nvme: &mut Controller, rng: &mut SmallRng) {
    let blocks = rng.random_range(1..=64);
    let lba = rng.random_range(0..BLOCKS - blocks);
    let bytes = blocks * LBA_SIZE;
    let buffer = nvme.dma().alloc(bytes, 4096).unwrap();
    let data: Vec<u8> = (0..bytes).map(|_| rng.random()).collect();
    buffer.write(0, &data).unwrap();
    nvme.execute(Io::Write { lba, data: buffer.whole() }).unwrap();
    buffer.fill(0);
    nvme.execute(Io::Read { lba, data: buffer.whole() }).unwrap();
    let mut back = vec![0; bytes as usize];
    buffer.read(0, &mut back).unwrap();
    assert!(back == data, "{blocks} blocks at {lba}");
}

#[test]
fn bytes_are_copied_from_anywhere_to_anywhere_beside_storage() {
    let (card, _) = build();
    let mut rng = SmallRng::seed_from_u64(1);
    let (mut nvme, _folder) = storage(&card);
    let ids = [FunctionId::pf(Kind::Net), FunctionId::vf(Kind::Net, 0).unwrap(), FunctionId::vf(Kind::Net, 2).unwrap()];
    let mut all: Vec<Copies> = ids.iter().map(|id| Copies::new(&card, *id, &mut rng)).collect();
    // Each alignment of both sides, in pieces of one and of several packets, over pages; all functions at once.
    for from in 0..4 {
        for to in 0..4 {
            for copies in &mut all {
                let bytes = [1, 2, 3, 5, 64, 67, 300, 5000][rng.random_range(0..8)];
                let room = SIZE - bytes - 4;
                let [source, destination] = [from, to].map(|off| (rng.random_range(0..room) & !3) + off);
                copies.begin(source, destination, bytes);
            }
            exercise(&mut nvme, &mut rng);
            for copies in &all {
                assert_eq!(copies.end(), 1);
                copies.check();
            }
        }
    }
    assert!(card.root().take_dma_faults().is_empty());
    assert!(card.run_idle(10_000));
    card.assert_clean();
}

#[test]
fn an_interrupt_tells_of_the_end_after_the_data() {
    let (card, _) = build();
    let mut rng = SmallRng::seed_from_u64(2);
    let mut copies = Copies::new(&card, FunctionId::vf(Kind::Net, 1).unwrap(), &mut rng);
    let vectors = copies.function.enable_msix(1).unwrap();
    copies.begin(1, 2, 1000);
    assert_eq!(vectors[0].wait(std::time::Duration::from_secs(1)).unwrap(), 1);
    copies.check();
    assert_eq!(copies.end(), 1);
    copies.function.disable_msix().unwrap();
    card.assert_clean();
}

#[test]
fn what_goes_wrong_with_one_copy_is_its_own_functions() {
    let (card, _) = build();
    let mut rng = SmallRng::seed_from_u64(3);
    let (mut nvme, _folder) = storage(&card);
    let mut good = Copies::new(&card, FunctionId::pf(Kind::Net), &mut rng);
    let mut bad = Copies::new(&card, FunctionId::vf(Kind::Net, 1).unwrap(), &mut rng);
    // Memory that is not there.
    bad.regs.write64(SOURCE, 0x77_0000_0000).unwrap();
    bad.regs.write64(DESTINATION, DST).unwrap();
    bad.regs.write64(LENGTH, 100).unwrap();
    bad.regs.write32(bar::DOORBELLS, 1).unwrap();
    good.begin(3, 6, 2000);
    assert_eq!((bad.end(), good.end()), (2, 1));
    assert!(!card.root().take_dma_faults().is_empty());
    // Bus Master Enable off: nothing of it reaches the host.
    let command = bad.function.config_read32(header::COMMAND).unwrap();
    bad.function.config_write32(header::COMMAND, command & !4).unwrap();
    bad.begin(0, 0, 500);
    assert_eq!(bad.end(), 2);
    bad.expected.fill(0);
    bad.check();
    bad.function.config_write32(header::COMMAND, command).unwrap();
    // A reset in the middle of a long copy: its registers are gone, and it says nothing more. The copies of others go on.
    bad.begin(0, 0, SIZE);
    good.begin(9, 100, 3000);
    bad.function.reset().unwrap();
    exercise(&mut nvme, &mut rng);
    assert_eq!(good.end(), 1);
    good.check();
    for at in [SOURCE, DESTINATION, LENGTH, RESULT] {
        assert_eq!(bad.regs.read64(at).unwrap(), 0, "register {at:#x} outlives the reset");
    }
    assert!(card.run_idle(10_000));
    card.assert_clean();
}

/// Nobody waits for the end of another's copy.
#[test]
fn a_function_is_forgotten_and_served_in_the_middle_of_anothers_copy() {
    let (card, _) = build();
    let mut rng = SmallRng::seed_from_u64(4);
    let long = Copies::new(&card, FunctionId::vf(Kind::Net, 0).unwrap(), &mut rng);
    let mut short = Copies::new(&card, FunctionId::vf(Kind::Net, 1).unwrap(), &mut rng);
    let idle = Copies::new(&card, FunctionId::vf(Kind::Net, 2).unwrap(), &mut rng);
    idle.regs.write64(SOURCE, 7).unwrap();
    long.regs.write64(SOURCE, SRC).unwrap();
    long.regs.write64(DESTINATION, DST).unwrap();
    long.regs.write64(LENGTH, SIZE as u64).unwrap();
    long.regs.write32(bar::DOORBELLS, 1).unwrap();
    let flr = u32::from(azote_regs::pcie::express::DEVICE_CONTROL_FLR.mask() as u16);
    let at = azote_regs::pcie::capability::vf::EXPRESS + azote_regs::pcie::express::DEVICE_CONTROL;
    let control = idle.function.config_read32(at).unwrap();
    let before = card.root().clocks();
    idle.function.config_write32(at, control & 0xffff | flr).unwrap();
    while idle.regs.read64(SOURCE).unwrap() != 0 {
        assert!(card.root().clocks() - before < 10_000, "an idle function's reset waits for another's copy");
    }
    assert_eq!(long.regs.read32(RESULT).unwrap(), 0, "the long copy is over: it has shown nothing");
    short.begin(1, 1, 100);
    assert_eq!(short.end(), 1);
    short.check();
    assert_eq!(long.end(), 1);
    assert!(card.run_idle(10_000));
    card.assert_clean();
}

/// Storage costs nothing while it has nothing to do, and neither does the copier.
#[test]
fn an_engine_is_not_clocked_while_the_other_works() {
    let (card, awake) = build();
    let mut rng = SmallRng::seed_from_u64(5);
    let (mut nvme, _folder) = storage(&card);
    let mut copies = Copies::new(&card, FunctionId::vf(Kind::Net, 1).unwrap(), &mut rng);
    let [net, storage] = [Kind::Net, Kind::Storage].map(|kind| kind as usize);
    let before = awake.so_far();
    for _ in 0..20 {
        copies.begin(0, 0, SIZE);
        assert_eq!(copies.end(), 1);
    }
    let copied = awake.so_far();
    let of = |engine: usize| (copied[engine] - before[engine]) as f64 / (copied[ALL] - before[ALL]) as f64;
    assert!(of(net) > 0.1 && of(storage) < 0.02, "{} and {} of the clocks", of(net), of(storage));
    for _ in 0..20 {
        exercise(&mut nvme, &mut rng);
    }
    let after = awake.so_far();
    assert!(after[net] - copied[net] < 2_000, "the copier was awake for {} clocks", after[net] - copied[net]);
    assert!(after[storage] - copied[storage] > 2_000);
    card.assert_clean();
}
