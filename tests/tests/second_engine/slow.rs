//! A register of one engine that takes 10,000 clocks to read: nobody else waits for it.

use azote_regs::function::{FunctionId, Kind};
use azote_regs::pcie::{capability as cap, express, header, tlp};
use azote_regs::{bar, nvme, virtio};
use azote_seam::Function;
use azote_sim::Card;
use azote_sim::soft::{LENGTH, SOURCE};
use azote_tlp::Packet;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::copier::{SLOW, SLOW_CLOCKS, SLOW_VALUE};
use crate::{build, exercise, storage};

/// Who asks for what is slow, without waiting for it.
const WHO: u32 = 0x0107;
/// Clocks more than usual that an access may take beside one that waits: the completer gives a register so many before it turns to
/// others, and may have two to look at.
const MORE: u64 = 64;

/// Begins a read of a DW of a function's BAR0.
fn begin(card: &Card, f: FunctionId, offset: u64, tag: u32) {
    let at = card.topology().bar(f.number(), 0).unwrap().address + offset;
    let header = [(tlp::MRD64 << 24) as u32 | 1, WHO << 16 | tag << 8 | 0xf, (at >> 32) as u32, at as u32];
    card.root().send_raw(Packet { header, payload: vec![] });
}

/// What came of those that were begun: tag and DW.
fn ended(card: &Card) -> Vec<(u32, u32)> {
    let unclaimed = card.root().take_unclaimed();
    let packets = unclaimed.iter().map(|t| t.packet());
    packets
        .map(|p| (p.header[2] >> 8 & 0xff, p.payload.first_chunk().map_or(u32::MAX, |dw| u32::from_le_bytes(*dw))))
        .collect()
}

fn clocks<T>(card: &Card, what: impl FnOnce() -> T) -> u64 {
    let before = card.root().clocks();
    what();
    card.root().clocks() - before
}

/// The clocks of accesses that have nothing to do with the copier's registers.
fn accesses(card: &Card) -> Vec<u64> {
    let (nvme_vf, trust) = (FunctionId::vf(Kind::Storage, 0).unwrap(), FunctionId::pf(Kind::Trust));
    let regs = card.function(nvme_vf.number()).unwrap().bar(0).unwrap();
    let manage = card.function(trust.number()).unwrap().bar(2).unwrap();
    let config =
        |f: FunctionId| clocks(card, || card.root().config_read(f.number(), header::VENDOR_ID as u16).unwrap());
    vec![
        clocks(card, || regs.read64(nvme::controller::CAP).unwrap()),
        clocks(card, || regs.read32(nvme::controller::CSTS).unwrap()),
        clocks(card, || regs.read32(bar::MSIX_TABLE).unwrap()),
        clocks(card, || manage.read32(0).unwrap()),
        config(FunctionId::pf(Kind::Storage)),
        config(nvme_vf),
        config(trust),
        // Of the copier's own functions too: configuration space is not its.
        config(FunctionId::pf(Kind::Net)),
        config(FunctionId::vf(Kind::Net, 1).unwrap()),
        clocks(card, || card.root().config_write(nvme_vf.number(), header::COMMAND as u16, 4).unwrap()),
    ]
}

#[test]
fn nobody_waits_for_a_slow_register_of_another_engine() {
    let (card, _) = build();
    let mut rng = SmallRng::seed_from_u64(21);
    let (mut nvme, _folder) = storage(&card);
    let usual = accesses(&card);
    let f = FunctionId::vf(Kind::Net, 0).unwrap();
    let regs = card.function(f.number()).unwrap().bar(0).unwrap();
    regs.write64(SOURCE, 0x1234_5678).unwrap();
    let start = card.root().clocks();
    begin(&card, f, SLOW, 1);
    // Two more of the same engine wait behind it, one of them another function's.
    begin(&card, f, SOURCE, 2);
    begin(&card, FunctionId::pf(Kind::Net), LENGTH, 3);
    let mut rounds = 0;
    while card.root().clocks() - start < SLOW_CLOCKS - 2000 {
        for (i, (now, usual)) in accesses(&card).into_iter().zip(&usual).enumerate() {
            assert!(now <= usual + MORE, "access {i} took {now} clocks beside a slow one, {usual} without");
        }
        exercise(&mut nvme, &mut rng);
        assert_eq!(ended(&card), [], "nothing of the copier's comes before the slow one");
        rounds += 1;
    }
    assert!(rounds > 0);
    card.root().run_idle(40_000);
    assert_eq!(ended(&card), [(1, SLOW_VALUE as u32), (2, 0x1234_5678), (3, 0)], "in their order");
    card.assert_clean();
}

#[test]
fn a_slow_register_behind_a_window_holds_up_nobodys_configuration_accesses() {
    let (card, _) = build();
    let (_nvme, _folder) = storage(&card);
    let usual = accesses(&card);
    let f = FunctionId::vf(Kind::Net, 2).unwrap();
    let at = cap::ADDED;
    card.root().config_write(f.number(), (at + virtio::pci::OFFSET) as u16, SLOW as u32).unwrap();
    card.root().config_write(f.number(), (at + virtio::pci::LENGTH) as u16, 4).unwrap();
    let target = 1 << 24 | u32::from(f.number()) << 16 | (at + virtio::pci::DATA) as u32;
    let header = [(tlp::CFGRD0 << 24) as u32 | 1, WHO << 16 | 9 << 8 | 0xf, target, 0];
    let start = card.root().clocks();
    card.root().send_raw(Packet { header, payload: vec![] });
    while card.root().clocks() - start < SLOW_CLOCKS - 2000 {
        for (i, (now, usual)) in accesses(&card).into_iter().zip(&usual).enumerate() {
            assert!(now <= usual + MORE, "access {i} took {now} clocks beside a slow one, {usual} without");
        }
        assert_eq!(ended(&card), []);
    }
    card.root().run_idle(40_000);
    assert_eq!(ended(&card), [(9, SLOW_VALUE as u32)]);
    card.assert_clean();
}

#[test]
fn a_read_is_answered_however_many_writes_have_passed_it() {
    for writes in [60, 140, 300] {
        let (card, _) = build();
        let (f, nvme) = (FunctionId::vf(Kind::Net, 0).unwrap(), FunctionId::vf(Kind::Storage, 0).unwrap());
        let regs = card.function(nvme.number()).unwrap().bar(0).unwrap();
        // Four wait, which is all that there is room for, and one of another engine stands behind them.
        (1..=4).for_each(|tag| begin(&card, f, SLOW, tag));
        begin(&card, nvme, nvme::controller::VS, 9);
        card.root().advance(300);
        for _ in 0..writes {
            regs.write32(nvme::controller::AQA, 0x001f_001f).unwrap();
            card.root().advance(30);
        }
        assert_eq!(ended(&card), [], "the writes passed all five");
        card.root().advance(5 * SLOW_CLOCKS);
        let mut tags: Vec<_> = ended(&card).into_iter().map(|(tag, _)| tag).collect();
        tags.sort_unstable();
        assert_eq!(tags, [1, 2, 3, 4, 9], "after {writes} writes");
    }
}

#[test]
fn a_reset_beside_a_slow_read_of_the_same_function_ends_and_so_does_the_read() {
    let (card, _) = build();
    let mut rng = SmallRng::seed_from_u64(22);
    let (mut nvme, _folder) = storage(&card);
    let f = FunctionId::vf(Kind::Net, 1).unwrap();
    for round in 0..3 {
        begin(&card, f, SLOW, round);
        let flr = clocks(&card, || {
            let at = cap::vf::EXPRESS + express::DEVICE_CONTROL;
            card.root().config_write(f.number(), at as u16, express::DEVICE_CONTROL_FLR.mask() as u32).unwrap();
        });
        assert!(flr < 1000, "FLR was completed after {flr} clocks");
        exercise(&mut nvme, &mut rng);
        card.root().run_idle(40_000);
        assert_eq!(ended(&card), [(round, SLOW_VALUE as u32)]);
        assert!(card.root().config_read(f.number(), 0).is_ok(), "it is there again");
    }
    card.assert_clean();
}
