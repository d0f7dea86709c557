//! The window in configuration space of the copier's functions (virtio 1.2 §4.1.4.9): registers without a BAR.

use azote_regs::function::{FunctionId, Kind};
use azote_regs::pcie::{capability as cap, express, header};
use azote_regs::{bar, virtio};
use azote_seam::Function;
use azote_sim::Card;
use azote_sim::soft::{LENGTH, RESULT, SOURCE};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::{Copies, DST, SRC, build, exercise, storage};

/// The window of a function of the copier's.
const AT: u64 = cap::ADDED;

fn config(card: &Card, f: FunctionId, at: u64) -> u64 {
    card.root().config_read(f.number(), at as u16).unwrap().into()
}

fn set(card: &Card, f: FunctionId, at: u64, value: u64) {
    card.root().config_write(f.number(), at as u16, value as u32).unwrap();
}

fn look(card: &Card, f: FunctionId, offset: u64, length: u64) {
    set(card, f, AT + virtio::pci::OFFSET, offset);
    set(card, f, AT + virtio::pci::LENGTH, length);
}

fn read(card: &Card, f: FunctionId, offset: u64, length: u64) -> u64 {
    look(card, f, offset, length);
    config(card, f, AT + virtio::pci::DATA)
}

fn write(card: &Card, f: FunctionId, offset: u64, length: u64, value: u64) {
    look(card, f, offset, length);
    set(card, f, AT + virtio::pci::DATA, value);
}

#[test]
fn registers_are_read_and_written_through_configuration_space() {
    let (card, _) = build();
    let mut rng = SmallRng::seed_from_u64(11);
    let ids = [FunctionId::pf(Kind::Net), FunctionId::vf(Kind::Net, 0).unwrap(), FunctionId::vf(Kind::Net, 2).unwrap()];
    let regs: Vec<_> = ids.iter().map(|f| card.function(f.number()).unwrap().bar(0).unwrap()).collect();
    for f in ids {
        let first = config(&card, f, AT);
        assert_eq!((cap::ID.of(first), virtio::pci::CFG_TYPE.of(first)), (virtio::pci::ID, virtio::pci::PCI_CFG));
        assert_eq!(cap::NEXT.of(config(&card, f, cap::pf::EXPRESS)), AT, "it is in the list");
    }
    // Any place and size against the registers themselves, which are one function's each.
    let mut model = [[0u8; 32]; 3];
    for _ in 0..200 {
        let i = rng.random_range(0..3);
        let length = [1, 2, 4][rng.random_range(0..3)];
        let offset = rng.random_range(0..32 / length) * length;
        let here = offset as usize..(offset + length) as usize;
        if rng.random() {
            let value: u32 = rng.random();
            write(&card, ids[i], offset, length, value.into());
            model[i][here.clone()].copy_from_slice(&value.to_le_bytes()[..length as usize]);
        }
        let mut wanted = [0; 8];
        wanted[..length as usize].copy_from_slice(&model[i][here]);
        assert_eq!(read(&card, ids[i], offset, length), u64::from_le_bytes(wanted), "{length} bytes at {offset}");
        for (regs, model) in regs.iter().zip(&model) {
            let at = rng.random_range(0..4) * 8;
            let bytes = model[at..at + 8].try_into().unwrap();
            assert_eq!(regs.read64(at as u64).unwrap(), u64::from_le_bytes(bytes));
        }
    }
    card.assert_clean();
}

#[test]
fn what_lies_beside_the_registers_reads_as_zero_and_is_not_written() {
    let (card, _) = build();
    let (f, other) = (FunctionId::vf(Kind::Net, 1).unwrap(), FunctionId::pf(Kind::Net));
    let regs = card.function(f.number()).unwrap().bar(0).unwrap();
    regs.write64(SOURCE, 0x1111_2222_3333_4444).unwrap();
    regs.write32(bar::MSIX_TABLE, 0x5555_0000).unwrap();
    let bad = [
        (0, 2, 4),
        (0, 1, 2),
        (0, 3, 2),
        (0, 0, 0),
        (0, 0, 3),
        (0, 0, 8),
        (0, 0, 0x1_0004),
        (1, 0, 4),
        (2, 0, 4),
        (6, 0, 4),
        (0, bar::MSIX_TABLE, 4),
        (0, bar::BAR0_SIZE, 4),
        (0, 0xffff_fffc, 4),
        (0, 0x8000_0000, 4),
    ];
    for (bar, offset, length) in bad {
        set(&card, f, AT + virtio::pci::BAR, bar);
        write(&card, f, offset, length, 0xffff_ffff);
        assert_eq!(read(&card, f, offset, length), 0, "bar {bar}, {length} bytes at {offset:#x}");
    }
    assert_eq!(regs.read64(SOURCE).unwrap(), 0x1111_2222_3333_4444);
    assert_eq!(regs.read32(bar::MSIX_TABLE).unwrap(), 0x5555_0000);
    // FLR takes back where it looks, and leaves another's.
    set(&card, f, AT + virtio::pci::BAR, 0);
    look(&card, f, SOURCE, 4);
    look(&card, other, LENGTH, 2);
    card.function(f.number()).unwrap().reset().unwrap();
    for at in [virtio::pci::BAR, virtio::pci::OFFSET, virtio::pci::LENGTH, virtio::pci::DATA] {
        assert_eq!(config(&card, f, AT + at), 0, "{at:#x}");
    }
    assert_eq!(
        (config(&card, other, AT + virtio::pci::OFFSET), config(&card, other, AT + virtio::pci::LENGTH)),
        (LENGTH, 2)
    );
    // A function of another kind has nothing there.
    let storage = FunctionId::pf(Kind::Storage);
    assert_eq!(cap::NEXT.of(config(&card, storage, cap::pf::EXPRESS)), 0);
    for at in (AT..0x100).step_by(4) {
        set(&card, storage, at, 0xffff_ffff);
        assert_eq!(config(&card, storage, at), 0, "{at:#x}");
    }
    card.assert_clean();
}

#[test]
fn a_copy_is_begun_and_seen_through_the_window_alone_beside_storage() {
    let (card, _) = build();
    let mut rng = SmallRng::seed_from_u64(12);
    let (mut nvme, _folder) = storage(&card);
    let f = FunctionId::vf(Kind::Net, 0).unwrap();
    let mut copies = Copies::new(&card, f, &mut rng);
    // No memory space at all: the window needs no BAR.
    let command = config(&card, f, header::COMMAND);
    set(
        &card,
        FunctionId::pf(Kind::Net),
        header::COMMAND,
        config(&card, FunctionId::pf(Kind::Net), header::COMMAND) & 0xffff & !2,
    );
    assert!(header::COMMAND_BME.is_set(command));
    for (i, value) in [SRC + 3, DST + 9, 500].into_iter().enumerate() {
        write(&card, f, 8 * i as u64, 4, value & 0xffff_ffff);
        write(&card, f, 8 * i as u64 + 4, 4, value >> 32);
    }
    write(&card, f, bar::DOORBELLS, 4, 1);
    copies.expected[9..509].copy_from_slice(&copies.bytes[3..503]);
    exercise(&mut nvme, &mut rng);
    let done = (0..10_000).any(|_| read(&card, f, RESULT, 4) == 1);
    assert!(done, "the copy does not end");
    copies.check();
    assert_eq!(config(&card, f, cap::pf::EXPRESS + express::DEVICE_CONTROL) >> 16 & 0xf, 0, "no error was recorded");
    card.assert_clean();
}
