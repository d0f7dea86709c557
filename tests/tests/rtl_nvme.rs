//! The NVMe driver on the RTL and on the card in software: drivers, seam, root complex, card and medium. The two cards must
//! be the same to a driver.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use azote_dma::Dma;
use azote_manage::{Manager, Volume};
use azote_nvme::{Completions, Controller, Io, Options as NvmeOptions};
use azote_regs::function::{FunctionId, Kind, Role};

use azote_sim::{Card, MediaFault, Options};
use azote_tests::rig::{Model, Setup};

struct Bench {
    card: Card,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

const BLOCKS: u64 = 4096;

fn bench(model: Model, options: Options) -> Bench {
    let card = Setup { model, options, ..Setup::default() }.card().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let bytes: Vec<u8> = (0..BLOCKS * 512).map(|i| (i / 512 + i * 3) as u8).collect();
    std::fs::write(&path, bytes).unwrap();
    card.root().media().attach(9, &path, false).unwrap();
    let trust = card.function(FunctionId::pf(Kind::Trust).number()).unwrap();
    let manager = Manager::open(&*trust).unwrap();
    for i in 0..2 {
        let volume = Volume {
            id: 9,
            base: u64::from(i) * BLOCKS / 2,
            blocks: BLOCKS / 2,
            read_only: false,
            large_blocks: false,
        };
        manager.bind(Role::Vf(i), volume).unwrap();
    }
    card.set_vfs(FunctionId::pf(Kind::Storage).number(), 4).unwrap();
    Bench { card, path, _folder: folder }
}

fn open(card: &Card, vf: u8, completions: Completions) -> Controller {
    let number = FunctionId::vf(Kind::Storage, vf).unwrap().number();
    let function = card.function(number).unwrap();
    let options = NvmeOptions { completions, ..NvmeOptions::default() };
    Controller::open(function, Dma::new(8 << 20).unwrap(), options).unwrap()
}

fn reads_and_writes_of_every_length_reach_the_file(model: Model) {
    for (completions, options) in
        [(Completions::Polled, Options::default()), (Completions::Interrupts, Options::rough(4))]
    {
        let bench = bench(model, options);
        let mut nvme = open(&bench.card, 1, completions);
        assert_eq!(nvme.namespace().unwrap().blocks, BLOCKS / 2);
        let mut expected = std::fs::read(&bench.path).unwrap();
        let buffer = nvme.dma().alloc(256 << 10, 4096).unwrap();
        for (lba, blocks, offset) in [(0u64, 1u64, 0u64), (7, 8, 512), (100, 16, 0), (500, 256, 0), (1000, 200, 1024)] {
            let slice = buffer.slice(offset, blocks * 512).unwrap();
            nvme.read(lba, slice).unwrap();
            let mut got = vec![0; (blocks * 512) as usize];
            buffer.read(offset, &mut got).unwrap();
            let at = ((BLOCKS / 2 + lba) * 512) as usize;
            assert!(got == expected[at..at + got.len()], "read of {blocks} at {lba}");
            let new: Vec<u8> = got.iter().map(|b| b.wrapping_mul(7) ^ 0x5a).collect();
            buffer.write(offset, &new).unwrap();
            nvme.write(lba, slice).unwrap();
            expected[at..at + new.len()].copy_from_slice(&new);
        }
        nvme.write_zeroes(300, 5).unwrap();
        let at = ((BLOCKS / 2 + 300) * 512) as usize;
        expected[at..at + 5 * 512].fill(0);
        nvme.flush().unwrap();
        assert!(std::fs::read(&bench.path).unwrap() == expected);
        nvme.shutdown().unwrap();
        bench.card.assert_clean();
    }
}

fn errors_of_the_medium_reach_the_driver(model: Model) {
    let bench = bench(model, Options::default());
    let mut nvme = open(&bench.card, 0, Completions::Polled);
    let buffer = nvme.dma().alloc(4096, 4096).unwrap();
    bench.card.root().media().inject(MediaFault { volume: 9, lba: 10, blocks: 1, read: true, write: true });
    let error = nvme.read(8, buffer.whole()).unwrap_err().to_string();
    assert!(error.contains("Unrecovered Read Error"), "{error}");
    assert!(nvme.write(8, buffer.whole()).unwrap_err().to_string().contains("Write Fault"));
    nvme.read(11, buffer.whole()).unwrap();
    bench.card.assert_clean();
}

fn many_in_flight_on_two_functions_in_two_threads(model: Model) {
    let bench = bench(model, Options::default());
    std::thread::scope(|scope| {
        for vf in 0..2 {
            let card = bench.card.clone();
            scope.spawn(move || {
                let completions = if vf == 0 { Completions::Polled } else { Completions::Interrupts };
                let mut nvme = open(&card, vf, completions);
                let buffer = nvme.dma().alloc(32 * 4096, 4096).unwrap();
                let mut done = 0;
                for i in 0..200u64 {
                    while nvme.is_full(0) || nvme.in_flight(0) >= 32 {
                        assert!(nvme.wait(0).unwrap().result.is_ok());
                        done += 1;
                    }
                    let data = buffer.slice(i % 32 * 4096, 4096).unwrap();
                    nvme.submit(0, Io::Read { lba: i * 8 % 1024, data }, i).unwrap();
                }
                while nvme.in_flight(0) > 0 {
                    assert!(nvme.wait(0).unwrap().result.is_ok());
                    done += 1;
                }
                assert_eq!(done, 200);
            });
        }
    });
    bench.card.assert_clean();
}

mod on_the_rtl {
    use super::Model::Rtl;

    #[test]
    fn reads_and_writes_of_every_length_reach_the_file() {
        super::reads_and_writes_of_every_length_reach_the_file(Rtl);
    }

    #[test]
    fn errors_of_the_medium_reach_the_driver() {
        super::errors_of_the_medium_reach_the_driver(Rtl);
    }

    #[test]
    fn many_in_flight_on_two_functions_in_two_threads() {
        super::many_in_flight_on_two_functions_in_two_threads(Rtl);
    }
}

mod on_the_card_in_software {
    use super::Model::Soft;

    #[test]
    fn reads_and_writes_of_every_length_reach_the_file() {
        super::reads_and_writes_of_every_length_reach_the_file(Soft);
    }

    #[test]
    fn errors_of_the_medium_reach_the_driver() {
        super::errors_of_the_medium_reach_the_driver(Soft);
    }

    #[test]
    fn many_in_flight_on_two_functions_in_two_threads() {
        super::many_in_flight_on_two_functions_in_two_threads(Soft);
    }
}
