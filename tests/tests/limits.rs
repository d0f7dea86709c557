//! Limits and weights on the whole card: who has one is held to it, nobody else notices, and a VF that waits for its bucket can
//! still be reset.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use azote_manage::{Limits, Manager};
use azote_nvme::{Controller, Io, Options as NvmeOptions};
use azote_regs::function::{FunctionId, Kind, Role};
use azote_regs::manage::RATE_CLOCKS;
use azote_regs::pcie::header;
use azote_seam::{Function, set_command};
use azote_sim::Card;
use azote_tests::load::{Load, run_each};
use azote_tests::rig::{self, Setup};

const LOAD: Load = Load { bytes: 4096, depth: 16, commands: u64::MAX, writes: 0, seed: 7 };

struct Bench {
    card: Card,
    manager: Manager,
    nvmes: Vec<Controller>,
    _folder: tempfile::TempDir,
}

fn bench(vfs: u8) -> Bench {
    let card = Setup::default().card().unwrap();
    let folder = rig::volumes(&card, vfs, 1024).unwrap();
    let manager = Manager::open(&*rig::function(&card, FunctionId::pf(Kind::Trust)).unwrap()).unwrap();
    let nvmes = (0..vfs).map(|vf| rig::controller(&card, vf, 4 << 20, NvmeOptions::default()).unwrap()).collect();
    Bench { card, manager, nvmes, _folder: folder }
}

/// Clocks that pass while VF 1 does so many commands, whatever VF 0 does.
fn clocks_of_vf_1(b: &mut Bench, alone: bool) -> (u64, Vec<u64>) {
    const COMMANDS: u64 = 400;
    let loads = [Load { commands: if alone { 0 } else { u64::MAX }, ..LOAD }, LOAD];
    let start = b.card.clocks();
    let mut end = 0;
    let done = run_each(&loads, &mut b.nvmes, |done| {
        end = b.card.clocks();
        done[1] >= COMMANDS
    });
    (end - start, done.unwrap())
}

#[test]
fn a_vf_over_its_limit_slows_down_and_disturbs_nobody() {
    let mut b = bench(2);
    let (alone, _) = clocks_of_vf_1(&mut b, true);
    let (shared, done) = clocks_of_vf_1(&mut b, false);
    assert!(shared > alone * 3 / 2 && done[0].abs_diff(done[1]) < 20, "without a limit they share: {shared} {done:?}");
    let limits = Limits { commands: 4_000, ..Limits::default() };
    b.manager.limit(Role::Vf(0), limits).unwrap();
    b.card.root().advance(10_000);
    let (beside, done) = clocks_of_vf_1(&mut b, false);
    // It has what its bucket held and what came into it; VF 1 gives up the time of that and no more.
    let may = u64::from(limits.commands) * (beside + 3 * 4096) / RATE_CLOCKS + 2;
    assert!(done[0] > 0 && done[0] <= may, "{} of {may}", done[0]);
    assert!(beside < alone + alone / 8, "VF 1 alone {alone} clocks, beside a limited one {beside}");
    b.card.assert_clean();
}

#[test]
fn weights_divide_what_there_is() {
    let mut b = bench(3);
    for (vf, weight) in [(0, 1), (1, 2), (2, 4)] {
        b.manager.limit(Role::Vf(vf), Limits { weight, ..Limits::default() }).unwrap();
    }
    b.card.root().advance(10_000);
    let done = LOAD.until(&mut b.nvmes, |done| done.iter().sum::<u64>() >= 1400).unwrap();
    for (vf, share) in [(0, 200), (1, 400), (2, 800)] {
        assert!(done[vf].abs_diff(share) < share / 10, "VF {vf} got {} of {share}", done[vf]);
    }
    b.card.assert_clean();
}

#[test]
fn who_waits_for_its_bucket_can_be_reset_and_asked() {
    let mut b = bench(2);
    // One command in 2^24 clocks: it would wait for longer than any test.
    b.manager.limit(Role::Vf(0), Limits { commands: 1, ..Limits::default() }).unwrap();
    b.card.root().advance(10_000);
    let buffer = b.nvmes[0].dma().alloc(4096, 4096).unwrap();
    let read = Io::Read { lba: 0, data: buffer.whole() };
    for user in 0..8 {
        b.nvmes[0].submit(0, read, user).unwrap();
    }
    b.card.root().advance(20_000);
    while b.nvmes[0].poll(0).unwrap().is_some() {}
    assert!(b.nvmes[0].in_flight(0) > 0, "it waits");
    // Admin commands cost nothing, so the guest can ask, reset its controller, and be reset.
    b.nvmes[0].smart_log().unwrap();
    b.nvmes[0].reset().unwrap();
    b.nvmes[0].submit(0, read, 9).unwrap();
    let vf = rig::function(&b.card, rig::storage_vf(0).unwrap()).unwrap();
    vf.reset().unwrap();
    set_command(&*vf, header::COMMAND_MSE.mask() | header::COMMAND_BME.mask(), 0).unwrap();
    b.manager.limit(Role::Vf(0), Limits::default()).unwrap();
    b.nvmes[0].reset().unwrap();
    b.nvmes[0].execute(read).unwrap();
    b.nvmes[1].execute(Io::Flush).unwrap();
    b.card.assert_clean();
}
