//! The root complex, tried on a card in software.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use azote_regs::bar;
use azote_regs::function::{FunctionId, Kind};
use azote_regs::pcie::{express, header};
use azote_seam::Function;
use azote_sim::soft::{DESTINATION, LENGTH, Misbehave, RESULT, SOURCE, SoftCard};
use azote_sim::{Card, FaultPlan, Mapping, Options, ReadFault, RequestError, Rule, Split};
use azote_tlp::Status;

const SRC: u64 = 0x1_2345_6000;
const DST: u64 = 0x8000_0000;

fn vf(i: u8) -> u8 {
    FunctionId::vf(Kind::Net, i).unwrap().number()
}

fn pf(kind: Kind) -> u8 {
    FunctionId::pf(kind).number()
}

struct Bench {
    card: Card,
    source: Arc<Mapping>,
    destination: Arc<Mapping>,
    number: u8,
}

impl Bench {
    fn new(device: SoftCard, options: Options) -> Bench {
        let card = Card::over(Box::new(device), options).unwrap();
        card.set_vfs(pf(Kind::Net), 2).unwrap();
        let number = vf(1);
        let source = Arc::new(Mapping::new(0x4000).unwrap());
        let destination = Arc::new(Mapping::new(0x4000).unwrap());
        let bytes: Vec<u8> = (0..0x4000u32).map(|i| (i * 7 + i / 251) as u8).collect();
        source.write(0, &bytes);
        let mut root = card.root();
        root.memory().map(number, SRC, source.clone()).unwrap();
        root.memory().map(number, DST, destination.clone()).unwrap();
        drop(root);
        Bench { card, source, destination, number }
    }

    fn copy(&self, from: u64, to: u64, bytes: u64) -> u32 {
        let function = self.card.function(self.number).unwrap();
        azote_seam::enable_bus_master(&*function).unwrap();
        let regs = function.bar(0).unwrap();
        regs.write64(SOURCE, SRC + from).unwrap();
        regs.write64(DESTINATION, DST + to).unwrap();
        regs.write64(LENGTH, bytes).unwrap();
        regs.write32(RESULT, 0).unwrap();
        regs.write32(bar::DOORBELLS, 1).unwrap();
        if !self.card.run_idle(100_000) {
            return 0;
        }
        let result = regs.read32(RESULT).unwrap();
        assert!(self.card.run_idle(10));
        result
    }

    fn check(&self, from: u64, to: u64, bytes: usize) {
        let (mut a, mut b) = (vec![0; bytes], vec![1; bytes]);
        self.source.read(from, &mut a);
        self.destination.read(to, &mut b);
        assert!(a == b, "copy of {bytes} bytes from {from:#x} to {to:#x}");
    }
}

#[test]
fn enumeration_finds_pfs_bars_and_vfs() {
    for mmio_base in [0xc000_0000, 0x12_0000_0000] {
        let options = Options { mmio_base, ..Options::default() };
        let card = Card::over(Box::new(SoftCard::copying(4)), options).unwrap();
        let topology = card.topology();
        assert_eq!(topology.pfs.iter().map(|pf| pf.number).collect::<Vec<_>>(), [0, 1, 2]);
        for pf in &topology.pfs {
            assert_eq!(pf.bars[0].size, bar::BAR0_SIZE);
            let sriov = pf.sriov.as_ref().unwrap();
            assert_eq!((sriov.total, sriov.offset, sriov.stride), (4, 16, 4));
            assert_eq!(sriov.bars[0].size, bar::BAR0_SIZE);
        }
        assert_eq!(topology.bar(2, 2).unwrap().size, bar::BAR2_SIZE);
        let vf3 = vf(3);
        assert_eq!(topology.owner(vf3).unwrap().1, Some(3));
        assert_eq!(topology.owner(vf(4)), None);
        let first = topology.bar(vf(0), 0).unwrap().address;
        assert_eq!(topology.bar(vf3, 0).unwrap().address, first + 3 * bar::BAR0_SIZE);
        // No two BARs share an address.
        let mut all: Vec<(u64, u64)> =
            (0..=255).filter_map(|f| topology.bar(f, 0)).map(|b| (b.address, b.size)).collect();
        all.extend(topology.bar(2, 2).map(|b| (b.address, b.size)));
        all.sort_unstable();
        assert!(all.windows(2).all(|w| w[0].0 + w[0].1 <= w[1].0), "{all:x?}");
        card.assert_clean();
    }
}

#[test]
fn functions_come_and_go_with_their_enable() {
    let card = Card::over(Box::new(SoftCard::copying(4)), Options::default()).unwrap();
    let function = card.function(vf(0)).unwrap();
    assert_eq!(function.name(), "0000:01:02.0");
    assert_eq!(function.config_read32(0).unwrap(), u32::MAX);
    let regs = function.bar(0).unwrap();
    assert_eq!(regs.read32(0).unwrap(), u32::MAX, "nobody answers");
    card.set_vfs(pf(Kind::Net), 1).unwrap();
    regs.write32(0x20, 0x1234_5678).unwrap();
    assert_eq!(regs.read32(0x20).unwrap(), 0x1234_5678);
    assert_eq!(regs.read64(0x20).unwrap(), 0x1234_5678);
    assert!(card.function(vf(1)).unwrap().bar(0).unwrap().read32(0).unwrap() == u32::MAX);
    assert!(card.set_vfs(pf(Kind::Net), 5).unwrap_err().to_string().contains("5 VFs asked for, it can have 4"));
    assert!(regs.read32(0x4000).is_err() && regs.read32(2).is_err());
    assert!(card.function(3).is_none());
    card.assert_clean();
}

#[test]
fn dma_copies_right_however_rough_the_host_is() {
    for seed in 0..12 {
        let options = if seed == 0 { Options::default() } else { Options::rough(seed) };
        let bench = Bench::new(SoftCard::copying(4), options);
        for (from, to, bytes) in
            [(0, 0, 4), (0xffc, 0x10, 8), (0x10, 0xff4, 0x2000), (4, 0, 0x3ffc), (0x3c, 0x40, 1000)]
        {
            assert_eq!(bench.copy(from, to, bytes), 1);
            bench.check(from, to, bytes as usize);
        }
        bench.card.assert_clean();
    }
}

#[test]
fn the_same_seed_gives_the_same_clocks() {
    let clocks = |seed| {
        let bench = Bench::new(SoftCard::copying(4), Options::rough(seed));
        bench.copy(0, 0, 0x2000);
        bench.card.clocks()
    };
    assert_eq!(clocks(5), clocks(5));
    assert_ne!(clocks(5), clocks(6));
}

#[test]
fn a_card_at_rest_is_not_clocked_and_time_still_passes() {
    let bench = Bench::new(SoftCard::copying(4), Options::default());
    bench.copy(0, 0, 64);
    let function = bench.card.function(bench.number).unwrap();
    let clocks = bench.card.clocks();
    let now = function.now();
    for _ in 0..1000 {
        function.relax();
    }
    assert_eq!(bench.card.clocks(), clocks);
    assert!(function.now() > now + Duration::from_millis(10));
}

#[test]
fn interrupts_arrive_and_waiting_for_one_that_does_not_ends() {
    let bench = Bench::new(SoftCard::copying(4), Options::rough(3));
    let function = bench.card.function(bench.number).unwrap();
    let vectors = function.enable_msix(2).unwrap();
    assert_eq!(bench.copy(0, 0, 4096), 1);
    assert_eq!(vectors[0].wait(Duration::from_secs(1)).unwrap(), 1);
    assert_eq!(vectors[1].wait(Duration::from_millis(1)).unwrap(), 0);
    assert_eq!(vectors[0].take().unwrap(), 0);
    function.disable_msix().unwrap();
    assert_eq!(bench.copy(0, 0, 4096), 1);
    assert_eq!(vectors[0].take().unwrap(), 0);
    let error = function.enable_msix(17).err().unwrap().to_string();
    assert!(error.contains("the function has 16; ask for 1 to 16"), "{error}");
    bench.card.assert_clean();
}

#[test]
fn every_injected_fault_ends_the_copy_with_an_error_or_does_no_harm() {
    for (fault, result) in [
        (ReadFault::Unsupported, 2),
        (ReadFault::Abort, 2),
        (ReadFault::Poisoned, 2),
        (ReadFault::Late(5000), 1),
        (ReadFault::Duplicate, 1),
    ] {
        let bench = Bench::new(SoftCard::copying(4), Options::default());
        bench.card.root().inject(FaultPlan { function: Some(bench.number), skip: 2, times: 1, fault });
        assert_eq!(bench.copy(0, 0, 0x2000), result, "{fault:?}");
        assert_eq!(bench.copy(0, 0, 0x2000), 1, "{fault:?}: the next copy");
        bench.card.assert_clean();
    }
}

#[test]
fn memory_that_is_not_mapped_is_refused_and_told() {
    let bench = Bench::new(SoftCard::copying(4), Options::default());
    assert_eq!(bench.copy(0x4000, 0, 64), 2);
    assert_eq!(bench.copy(0, 0x4000, 64), 1);
    let faults = bench.card.root().take_dma_faults();
    assert_eq!(faults.len(), 2);
    assert!(!faults[0].write && faults[0].address == SRC + 0x4000 && faults[0].function == bench.number);
    assert!(faults[1].write && faults[1].address == DST + 0x4000);
    bench.card.assert_clean();
}

#[test]
fn flr_through_the_seam_restores_what_it_must() {
    let bench = Bench::new(SoftCard::copying(4), Options::default());
    for number in [bench.number, pf(Kind::Trust)] {
        let function = bench.card.function(number).unwrap();
        azote_seam::enable_bus_master(&*function).unwrap();
        function.reset().unwrap();
        let command = function.config_read16(header::COMMAND).unwrap();
        assert_eq!(u64::from(command) & header::COMMAND_BME.mask(), 0);
        let regs = function.bar(0).unwrap();
        regs.write32(0x30, 7).unwrap();
        assert_eq!(regs.read32(0x30).unwrap(), 7, "function {number:#x} answers after its reset");
    }
    let express = bench.card.topology().pfs[2].express;
    let function = bench.card.function(2).unwrap();
    let control = function.config_read16(u64::from(express) + express::DEVICE_CONTROL).unwrap().into();
    assert_eq!(express::DEVICE_CONTROL_MPS.of(control), express::MPS_256);
    bench.card.assert_clean();
}

#[test]
fn requests_get_their_own_errors() {
    let card = Card::over(Box::new(SoftCard::copying(4)), Options::default()).unwrap();
    let mut root = card.root();
    let unsupported = Err(RequestError::Status(Status::Unsupported));
    assert_eq!(root.config_read(3, 0), unsupported.clone().map(|_: ()| 0));
    assert_eq!(root.mem_read(0x1000, 4, None), unsupported.map(|_: ()| vec![]));
    root.assert_clean();
}

#[test]
fn each_misbehaviour_is_seen() {
    for (how, rule) in [
        (Misbehave::WrongRequester, Rule::Identity),
        (Misbehave::LongReads, Rule::Protocol),
        (Misbehave::SameTag, Rule::Protocol),
        (Misbehave::TwoCompletions, Rule::Completion),
        (Misbehave::Withdraw, Rule::Stream),
        (Misbehave::WrongCompleter, Rule::Crossing),
    ] {
        let options = Options { tx_stall: 20, split: Split::Random, read_jitter: 50, ..Options::default() };
        let bench = Bench::new(SoftCard::misbehaving(4, how), options);
        bench.copy(0, 0, 0x2000);
        let root = bench.card.root();
        let (count, violations) = root.violations();
        assert!(count > 0, "{how:?} was not seen");
        assert_eq!(violations[0].rule, rule, "{how:?}: {}", violations[0]);
        assert!(violations[0].log.lines().count() > 1, "the packets before it are shown");
    }
}

#[test]
fn a_function_without_bus_mastering_that_asks_is_seen() {
    let bench = Bench::new(SoftCard::misbehaving(4, Misbehave::IgnoreBusMaster), Options::default());
    let function = bench.card.function(bench.number).unwrap();
    assert_eq!(bench.copy(0, 0, 64), 1);
    bench.card.assert_clean();
    azote_seam::set_command(&*function, 0, header::COMMAND_BME.mask()).unwrap();
    let regs = function.bar(0).unwrap();
    regs.write32(bar::DOORBELLS, 1).unwrap();
    bench.card.run_idle(10_000);
    assert_eq!(bench.card.root().violations().1[0].rule, Rule::Permission);
}

#[test]
fn several_threads_share_the_card() {
    let card = Card::over(Box::new(SoftCard::copying(4)), Options::default()).unwrap();
    card.set_vfs(pf(Kind::Net), 4).unwrap();
    std::thread::scope(|scope| {
        for i in 0..4 {
            let function = card.function(vf(i)).unwrap();
            scope.spawn(move || {
                let regs = function.bar(0).unwrap();
                for turn in 0..500u32 {
                    regs.write32(0x40, turn * 4 + u32::from(i)).unwrap();
                    function.relax();
                    assert_eq!(regs.read32(0x40).unwrap(), turn * 4 + u32::from(i));
                }
            });
        }
    });
    card.assert_clean();
}

#[test]
fn the_log_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tlp.log");
    let options = Options { log: Some(path.clone()), ..Options::default() };
    let bench = Bench::new(SoftCard::copying(4), options);
    bench.copy(0, 0, 64);
    assert!(!path.exists(), "it is not whole yet");
    drop(bench);
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains("-> CfgRd0 00:00.0 #00 01:00.0 000 be 1111"), "{text}");
    assert!(text.contains("<- MRd    01:02.4"), "{text}");
}

#[test]
fn a_log_that_cannot_be_written_is_an_error_at_the_end() {
    let options = Options { log: Some("/dev/full".into()), ..Options::default() };
    let bench = Bench::new(SoftCard::copying(4), options);
    for _ in 0..20 {
        bench.copy(0, 0, 64);
    }
    let error = bench.card.finish().unwrap_err().to_string();
    assert!(error.contains("TLP log /dev/full") && error.contains("No space"), "{error}");
}

#[test]
fn one_image_is_one_volume_if_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    std::fs::write(&path, [0; 1024]).unwrap();
    let card = Card::over(Box::new(SoftCard::copying(4)), Options::default()).unwrap();
    let attach = |number, read_only| card.root().media().attach(number, &path, read_only).map_err(|e| e.to_string());
    attach(0, true).unwrap();
    attach(1, true).unwrap();
    assert!(attach(2, false).unwrap_err().contains("this command itself"));
    card.root().media().detach(0);
    card.root().media().detach(1);
    attach(2, false).unwrap();
    assert!(attach(3, true).is_err());
}
