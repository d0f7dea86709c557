//! What one function does beside another: nobody waits for a queue that drains.

use azote_nvme::{Completions, Io, Options as NvmeOptions};
use azote_regs::nvme::{controller as regs, opcode};
use azote_regs::pcie::header;
use azote_sim::{MediaOptions, Options};
use azote_tests::rig::{self, Setup};

use super::admin;
use azote_nvme::Data;

/// Clocks of the medium.
const LATENCY: u32 = 400_000;

#[test]
fn a_queue_that_drains_holds_up_no_other_functions_reset_nor_its_own_admin_queue() {
    let options = Options { media: MediaOptions { latency: LATENCY, ..MediaOptions::default() }, ..Options::default() };
    let card = Setup { options, ..Setup::default() }.card().unwrap();
    let _folder = rig::volumes(&card, 3, 1024).unwrap();
    let with = |completions| NvmeOptions { io_queues: 1, events: 0, completions, ..NvmeOptions::default() };
    let mut drains = rig::controller(&card, 0, 1 << 20, with(Completions::Interrupts)).unwrap();
    let other = rig::controller(&card, 1, 1 << 20, with(Completions::Polled)).unwrap();
    let third = rig::controller(&card, 2, 1 << 20, with(Completions::Polled)).unwrap();

    // Two reads of VF 0 are at the medium, and their queue is deleted.
    let buffer = drains.dma().alloc(8 << 10, 4096).unwrap();
    for user in 0..2 {
        let data = buffer.slice(user * 4096, 4096).unwrap();
        drains.submit(0, Io::Read { lba: user * 8, data }, user).unwrap();
    }
    card.root().advance(2_000);
    let begun = card.root().clocks();
    let deletes = std::thread::spawn(move || {
        drains.admin_command(admin(opcode::DELETE_SQ, 0, [1, 0, 0, 0, 0, 0], Data::None)).unwrap();
        drains
    });
    while card.root().clocks() < begun + 3_000 {
        std::thread::yield_now();
        card.root().advance(100);
    }

    // VF 1 is disabled and enabled, VF 2 is reset, meanwhile.
    let bar = other.function().bar(0).unwrap();
    let cc = bar.read32(regs::CC).unwrap();
    let start = card.root().clocks();
    bar.write32(regs::CC, cc & !1).unwrap();
    while bar.read32(regs::CSTS).unwrap() & 1 == 1 {
        assert!(card.root().clocks() < start + 20_000, "CC.EN 1→0 waits for another function's queue");
    }
    bar.write32(regs::CC, cc).unwrap();
    while bar.read32(regs::CSTS).unwrap() & 1 == 0 {}
    let number = rig::storage_vf(2).unwrap().number();
    third.function().reset().unwrap();
    assert_ne!(card.root().config_read(number, header::COMMAND as u16).unwrap(), u32::MAX);
    let took = card.root().clocks() - start;
    assert!(took < u64::from(LATENCY) / 4, "{took} clocks: they have waited for the medium");

    // The deletion is complete after the reads.
    let drains = deletes.join().unwrap();
    assert!(card.root().clocks() > begun + u64::from(LATENCY) / 2, "the deletion waits for its commands");
    drop(drains);
    card.assert_clean();
}
