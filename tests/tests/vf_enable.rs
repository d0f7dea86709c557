//! VFs that are disabled under load and enabled again at once: whoever is next on one is told to wait until the card has
//! forgotten the last one's controller, and then has one that stays.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use azote_nvme::{Completions, Controller, Io, Options as NvmeOptions};
use azote_regs::function::{FunctionId, Kind};
use azote_regs::pcie::header;
use azote_sim::{Card, Options, RequestError};
use azote_tests::rig::{self, Setup};
use azote_tlp::Status;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// VFs that work; the card has one more.
const VFS: u8 = 3;

fn bench(options: Options) -> (Card, tempfile::TempDir) {
    let card = Setup { options, ..Setup::default() }.card().unwrap();
    let folder = rig::volumes(&card, VFS, 1024).unwrap();
    (card, folder)
}

fn open(card: &Card, vf: u8) -> Controller {
    let options = NvmeOptions { completions: Completions::Polled, ..NvmeOptions::default() };
    rig::controller(card, vf, 4 << 20, options).unwrap()
}

/// Commands that nobody will wait for.
fn load(nvme: &mut Controller, commands: u64, mut writes: impl FnMut() -> bool) {
    let buffer = nvme.dma().alloc(64 << 10, 4096).unwrap();
    for user in 0..commands {
        let (lba, data) = (user * 100, buffer.whole());
        nvme.submit(0, if writes() { Io::Write { lba, data } } else { Io::Read { lba, data } }, user).unwrap();
    }
}

/// The card forgets one VF after the other, each when its commands have run out. A driver that came in between had its
/// controller taken away: its Identify never ended.
#[test]
fn vfs_that_were_disabled_under_load_work_as_soon_as_they_are_enabled_again() {
    let (card, _folder) = bench(Options::rough(5));
    let pf = FunctionId::pf(Kind::Storage).number();
    let mut rng = SmallRng::seed_from_u64(1);
    for _ in 0..20 {
        let mut nvmes: Vec<_> = (0..VFS).map(|vf| open(&card, vf)).collect();
        for nvme in &mut nvmes {
            let commands = rng.random_range(0..8);
            load(nvme, commands, || rng.random());
        }
        card.root().advance(rng.random_range(1..2000));
        card.set_vfs(pf, 0).unwrap();
        drop(nvmes);
        card.set_vfs(pf, 4).unwrap();
        for vf in 0..VFS {
            open(&card, vf).execute(Io::Flush).unwrap();
        }
    }
    card.assert_clean();
}

#[test]
fn a_vf_that_is_being_forgotten_answers_configuration_retry_and_nobody_else_does() {
    let (card, _folder) = bench(Options::default());
    let pf = FunctionId::pf(Kind::Storage).number();
    let vfs: Vec<u8> = (0..VFS).map(|i| rig::storage_vf(i).unwrap().number()).collect();
    let mut nvme = open(&card, 0);
    load(&mut nvme, 8, || true);
    card.root().advance(500);
    card.set_vfs(pf, 0).unwrap();
    card.set_vfs(pf, 4).unwrap();
    let retry = RequestError::Status(Status::Retry);
    {
        let mut root = card.root();
        // VF 0 still has writes to run out.
        let read = root.config_read(vfs[0], header::COMMAND as u16);
        assert_eq!(read.unwrap_err(), retry);
        let write = root.config_write(vfs[0], header::COMMAND as u16, header::COMMAND_BME.mask() as u32);
        assert_eq!(write.unwrap_err(), retry);
        assert!(root.config_read(pf, 0).is_ok());
        assert!(root.run_idle(100_000), "the card never came to rest");
        for vf in &vfs {
            assert_eq!(
                root.config_read(*vf, header::COMMAND as u16).unwrap() & 0xffff,
                0,
                "what was refused did nothing"
            );
        }
    }
    drop(nvme);
    open(&card, 0).execute(Io::Flush).unwrap();
    card.assert_clean();
}
