//! What is under way when something else comes: another binding, a second shutdown, the end of its controller, an Abort, a limit.

use std::time::Duration;

use azote_manage::{Limits, Manager, Volume};
use azote_nvme::{Completion, Completions, Data};
use azote_regs::clock;
use azote_regs::media;
use azote_regs::nvme::command as cmd;
use azote_sim::MediaOptions;

use super::*;

/// Clocks of a slow medium.
const LATENCY: u32 = 400_000;
/// Blocks of a volume on which a command is long.
const MANY: u64 = 16 << 10;
/// The least time-out that the card can count, and in clocks.
const TIMEOUT: Duration = Duration::from_millis(16);
const TIMEOUT_CLOCKS: u64 = 16 * 1000 * clock::MHZ;

/// Two VFs with a volume of so many blocks each.
fn card(blocks: u64) -> (Card, Manager, tempfile::TempDir) {
    let card = Setup::default().card().unwrap();
    let folder = rig::volumes(&card, 2, blocks).unwrap();
    let manager = Manager::open(&*rig::function(&card, FunctionId::pf(Kind::Trust)).unwrap()).unwrap();
    (card, manager, folder)
}

fn open(card: &Card, completions: Completions) -> Controller {
    let options = NvmeOptions { io_queues: 1, events: 0, completions, ..NvmeOptions::default() };
    rig::controller(card, 0, 1 << 20, options).unwrap()
}

/// Volume 0 takes its time from now on.
fn slow(card: &Card) {
    let media = MediaOptions { latency: LATENCY, ..card.root().options().media };
    card.root().media().set_volume_options(0, Some(media));
}

fn image(folder: &tempfile::TempDir, volume: u8) -> Vec<u8> {
    std::fs::read(folder.path().join(format!("vf{volume}"))).unwrap()
}

/// Clocks until CSTS has this in that field.
fn until(card: &Card, nvme: &Controller, field: azote_regs::Field, wanted: u64, most: u64) -> u64 {
    let bar = nvme.function().bar(0).unwrap();
    let start = card.root().clocks();
    while field.of(bar.read32(regs::CSTS).unwrap().into()) != wanted {
        assert!(card.root().clocks() < start + most, "{most} clocks, and not {wanted}");
        card.root().advance(100);
    }
    card.root().clocks() - start
}

#[test]
fn a_format_under_way_when_its_function_is_bound_anew_ends_where_it_began() {
    let (card, manager, folder) = card(BLOCKS);
    let mut nvme = open(&card, Completions::Interrupts);
    slow(&card);
    let other = image(&folder, 1);
    let formats = std::thread::spawn(move || {
        // To blocks of 4 KiB.
        nvme.admin_command(admin(opcode::FORMAT, 1, [1, 0, 0, 0, 0, 0], Data::None)).unwrap();
        nvme
    });
    let begun = card.root().clocks();
    while card.root().clocks() < begun + 20_000 {
        std::thread::yield_now();
        card.root().advance(100);
    }
    let volume = Volume { id: 1, base: 0, blocks: BLOCKS, read_only: false, large_blocks: false };
    manager.bind(Role::Vf(0), volume).unwrap();
    assert!(manager.is_busy(Role::Vf(0)).unwrap(), "the format is under way, at the volume before");
    let nvme = formats.join().unwrap();
    assert!(card.root().clocks() > begun + u64::from(LATENCY) / 2);
    manager.settle(Role::Vf(0)).unwrap();
    assert_eq!(manager.binding(Role::Vf(0)).unwrap(), Some(volume), "its block size is that of the volume before");
    assert!(image(&folder, 0).iter().all(|byte| *byte == 0));
    assert!(image(&folder, 1) == other);
    drop(nvme);
    card.assert_clean();
}

#[test]
fn a_shutdown_that_is_asked_for_twice_is_done_once_and_can_be_asked_for_again() {
    let (card, _manager, _folder) = card(BLOCKS);
    let mut nvme = open(&card, Completions::Polled);
    slow(&card);
    let bar = nvme.function().bar(0).unwrap();
    let ask = |how| bar.write32(regs::CC, (regs::CC_ENABLE_VALUE | regs::CC_SHN.put(how)) as u32).unwrap();
    let state = || regs::CSTS_SHST.of(bar.read32(regs::CSTS).unwrap().into());
    for second in [regs::SHN_NORMAL, regs::SHN_ABRUPT] {
        ask(regs::SHN_NORMAL);
        card.root().advance(5_000);
        assert_eq!(state(), regs::SHST_OCCURRING);
        ask(second);
        let took = until(&card, &nvme, regs::CSTS_SHST, regs::SHST_COMPLETE, 2 * u64::from(LATENCY));
        let latency = u64::from(LATENCY);
        assert!((latency / 2..latency * 3 / 2).contains(&took), "{took} clocks for one flush");
        // Once more when it is over.
        ask(regs::SHN_NORMAL);
        until(&card, &nvme, regs::CSTS_SHST, regs::SHST_COMPLETE, 2 * latency);
        nvme.reset().unwrap();
        assert_eq!(state(), regs::SHST_NORMAL);
    }
    let buffer = nvme.dma().alloc(4096, 4096).unwrap();
    nvme.read(0, buffer.whole()).unwrap();
    card.assert_clean();
}

#[test]
fn a_controller_is_closed_wherever_its_requests_stand_before_the_port() {
    let (card, _manager, folder) = card(BLOCKS);
    let mut nvme = open(&card, Completions::Polled);
    let buffer = nvme.dma().alloc(64 << 10, 4096).unwrap();
    let (free, bar) = (card.root().options().media, nvme.function().bar(0).unwrap());
    for round in 0..24u64 {
        // The port takes one request in 256 clocks.
        card.root().media().set_options(MediaOptions { stall: 255, ..free });
        for user in 0..8 {
            let data = buffer.slice(user * 8192, 8192).unwrap();
            let lba = user * 16;
            let io = if user % 2 == 0 { azote_nvme::Io::Read { lba, data } } else { azote_nvme::Io::Flush };
            nvme.submit(0, io, user).unwrap();
        }
        card.root().advance(round * 97);
        let cc = bar.read32(regs::CC).unwrap();
        bar.write32(regs::CC, cc & !1).unwrap();
        until(&card, &nvme, regs::CSTS_RDY, 0, 400_000);
        card.root().media().set_options(free);
        nvme.reset().unwrap();
        while nvme.in_flight(0) > 0 {
            nvme.wait(0).unwrap();
        }
        nvme.read(16, buffer.slice(0, 4096).unwrap()).unwrap();
        let mut page = vec![0; 4096];
        buffer.read(0, &mut page).unwrap();
        assert!(page == image(&folder, 0)[16 * 512..24 * 512], "round {round}");
    }
    card.assert_clean();
}

/// Writes zeroes to so many blocks, of which the limits let one part at a time pass, and in so many clocks each.
fn zeroes(manager: &Manager, nvme: &mut Controller, parts: u64, clocks: u64) {
    let rate = (media::LONG_BLOCKS << 24) / clocks;
    manager.limit(Role::Vf(0), Limits { commands: 0, blocks: rate as u32, weight: 0 }).unwrap();
    let nlb = cmd::RW_NLB.put(parts * media::LONG_BLOCKS - 1) as u32;
    nvme.submit_command(0, admin(opcode::WRITE_ZEROES, 1, [0, 0, nlb, 0, 0, 0], Data::None), 5).unwrap();
}

#[test]
fn an_abort_ends_a_long_command_between_two_of_its_parts() {
    let (card, manager, folder) = card(MANY);
    let mut nvme = open(&card, Completions::Polled);
    let before = image(&folder, 0);
    zeroes(&manager, &mut nvme, 4, 4_000_000);
    card.root().advance(200_000);
    // The first command of the queue: DW 0 says that it was aborted.
    let abort = admin(opcode::ABORT, 0, [cmd::ABORT_SQID.put(1) as u32, 0, 0, 0, 0, 0], Data::None);
    let start = card.root().clocks();
    assert_eq!(nvme.admin_command(abort).unwrap(), 0);
    let Completion { user: 5, result: Err(Failure::Status(status)) } = nvme.wait(0).unwrap() else {
        panic!("it was not aborted");
    };
    assert_eq!(status.code(), status::ABORT_REQUESTED);
    assert!(card.root().clocks() < start + 100_000, "it did not wait for its limits");
    let (after, part) = (image(&folder, 0), (media::LONG_BLOCKS * limits::LBA_SIZE) as usize);
    assert!(after[..part].iter().all(|byte| *byte == 0) && after[part..] == before[part..], "one part was done");
    manager.limit(Role::Vf(0), Limits::default()).unwrap();
    nvme.write_zeroes(0, MANY).unwrap();
    assert!(image(&folder, 0).iter().all(|byte| *byte == 0));
    card.assert_clean();
}

#[test]
fn a_long_command_that_waits_for_its_limits_for_longer_than_the_time_out_is_not_late() {
    let (card, manager, folder) = card(MANY);
    manager.set_timeout(Role::Vf(0), TIMEOUT).unwrap();
    let volume = manager.binding(Role::Vf(0)).unwrap().unwrap();
    manager.bind(Role::Vf(0), volume).unwrap();
    let mut nvme = open(&card, Completions::Polled);
    let start = card.root().clocks();
    zeroes(&manager, &mut nvme, 2, TIMEOUT_CLOCKS * 3 / 2);
    assert_eq!(nvme.wait(0).unwrap(), Completion { user: 5, result: Ok(0) });
    assert!(card.root().clocks() > start + TIMEOUT_CLOCKS, "it did not wait");
    let zeroed = (2 * media::LONG_BLOCKS * limits::LBA_SIZE) as usize;
    assert!(image(&folder, 0)[..zeroed].iter().all(|byte| *byte == 0));
    card.assert_clean();
}
