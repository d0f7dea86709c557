//! The largest card: sixty VFs of each kind, every storage VF with a volume of its own, all at work at once; and what
//! becomes of them when they are disabled in the middle of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use azote_nvme::{Controller, Io, Options as NvmeOptions};
use azote_regs::function::{FunctionId, Kind};
use azote_sim::Card;
use azote_tests::rig::{self, Setup};

const BLOCKS: u64 = 64;

fn card(vfs: u8) -> (Card, Vec<PathBuf>, tempfile::TempDir) {
    let card = Setup { vfs, ..Setup::default() }.card().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = (0..vfs).map(|i| folder.path().join(format!("vf{i}"))).collect();
    for (i, p) in (0u8..).zip(&paths) {
        std::fs::write(p, vec![i ^ 0x5a; (BLOCKS * 512) as usize]).unwrap();
    }
    rig::provision(&card, &paths.iter().map(|p| (p.as_path(), false)).collect::<Vec<_>>()).unwrap();
    (card, paths, folder)
}

fn open(card: &Card, vf: u8) -> Controller {
    rig::controller(card, vf, 256 << 10, NvmeOptions { depth: 8, events: 0, ..NvmeOptions::default() }).unwrap()
}

#[test]
fn all_sixty_do_io_at_once_each_on_its_own_volume() {
    let (card, paths, _folder) = card(60);
    let mut all: Vec<_> = (0..60u8)
        .map(|vf| {
            let nvme = open(&card, vf);
            let buffer = nvme.dma().alloc(8 * 4096, 4096).unwrap();
            (vf, nvme, buffer)
        })
        .collect();
    let mut names: Vec<_> = all.iter().map(|(_, n, _)| n.identity().nqn.clone()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 1, "one subsystem");
    // Every function has four reads and a write in flight before the first is collected.
    for (vf, nvme, buffer) in &mut all {
        buffer.write(4 * 4096, &vec![*vf + 100; 4096]).unwrap();
        for i in 0..4u64 {
            nvme.submit(0, Io::Read { lba: i * 8, data: buffer.slice(i * 4096, 4096).unwrap() }, i).unwrap();
        }
        nvme.submit(0, Io::Write { lba: 40, data: buffer.slice(4 * 4096, 4096).unwrap() }, 4).unwrap();
    }
    for (vf, nvme, buffer) in &mut all {
        for _ in 0..5 {
            nvme.wait(0).unwrap().result.unwrap();
        }
        let mut got = vec![0; 4 * 4096];
        buffer.read(0, &mut got).unwrap();
        assert!(got.iter().all(|b| *b == *vf ^ 0x5a), "VF {vf} read another's data");
        let file = std::fs::read(&paths[usize::from(*vf)]).unwrap();
        for (i, b) in file.iter().enumerate() {
            let mine = if (40 * 512..48 * 512).contains(&i) { *vf + 100 } else { *vf ^ 0x5a };
            assert_eq!(*b, mine, "VF {vf}, byte {i}");
        }
    }
    card.assert_clean();
}

#[test]
fn disabling_the_vfs_under_load_leaves_nothing_behind() {
    let (card, paths, _folder) = card(4);
    let pf = FunctionId::pf(Kind::Storage).number();
    for round in 0..12u64 {
        let mut all: Vec<_> = (0..4u8)
            .map(|vf| {
                let nvme = open(&card, vf);
                // One for reads; one for writes, whose data may still be on its way when the VF goes.
                let buffer = nvme.dma().alloc(32 << 10, 4096).unwrap();
                let source = nvme.dma().alloc(32 << 10, 4096).unwrap();
                source.fill(vf ^ 0x5a);
                (vf, nvme, buffer, source)
            })
            .collect();
        for (_, nvme, buffer, source) in &mut all {
            for i in 0..6 {
                let io = match i % 2 {
                    0 => Io::Read { lba: 0, data: buffer.whole() },
                    _ => Io::Write { lba: 0, data: source.whole() },
                };
                nvme.submit(0, io, i).unwrap();
            }
        }
        card.root().advance(50 + 97 * round);
        card.set_vfs(pf, 0).unwrap();
        // Whatever lands from now on is a DMA of a function that is not there: the checker sees it, and so do we.
        for (_, _, buffer, _) in &all {
            buffer.fill(0x77);
        }
        assert!(card.run_idle(1_000_000));
        for (vf, _, buffer, _) in &all {
            let mut got = vec![0; 32 << 10];
            buffer.read(0, &mut got).unwrap();
            assert!(got.iter().all(|b| *b == 0x77), "round {round}: VF {vf} wrote after it was disabled");
        }
        drop(all);
        card.set_vfs(pf, 4).unwrap();
        card.assert_clean();
    }
    for (vf, path) in (0u8..).zip(&paths) {
        assert!(std::fs::read(path).unwrap().iter().all(|b| *b == vf ^ 0x5a), "VF {vf}'s image");
    }
}
