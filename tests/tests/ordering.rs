//! What may pass what on the link, and what a function's reset waits for: PCIe 5.0 §2.4.1 and §6.6.2 on the whole card.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use azote_nvme::{Completions, Controller, Io, Options as NvmeOptions};
use azote_regs::bar;
use azote_regs::function::{FunctionId, Kind};
use azote_regs::pcie::{aer, capability as cap, express, header, msix, tlp};
use azote_sim::{Card, FaultPlan, Options, ReadFault, RequestError, Root};
use azote_tests::rig::{self, Setup};
use azote_tlp::{Packet, Status};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const VFS: u8 = 3;
const DEVICE: u16 = (cap::vf::EXPRESS + express::DEVICE_CONTROL) as u16;
const MSIX: u16 = cap::vf::MSIX as u16;

fn bench(options: Options) -> (Card, tempfile::TempDir) {
    let card = Setup { options, ..Setup::default() }.card().unwrap();
    let folder = rig::volumes(&card, VFS, 1024).unwrap();
    (card, folder)
}

fn open(card: &Card, vf: u8, completions: Completions) -> Controller {
    rig::controller(card, vf, 4 << 20, NvmeOptions { completions, ..NvmeOptions::default() }).unwrap()
}

fn number(vf: u8) -> u8 {
    rig::storage_vf(vf).unwrap().number()
}

/// Reads of 4 KiB that nobody waits for.
fn load(nvme: &mut Controller, commands: u64) {
    let buffer = nvme.dma().alloc(64 << 10, 4096).unwrap();
    for user in 0..commands {
        nvme.submit(0, Io::Read { lba: user * 8, data: buffer.slice(0, 4096).unwrap() }, user).unwrap();
    }
}

#[test]
fn writes_pass_reads_whose_completions_cannot_be_sent() {
    let (card, _folder) = bench(Options::default());
    let pf = FunctionId::pf(Kind::Storage).number();
    let base = card.topology().bar(pf, 0).unwrap().address;
    let mut root = card.root();
    root.config_write(pf, header::COMMAND as u16, (header::COMMAND_MSE.mask() | header::COMMAND_BME.mask()) as u32)
        .unwrap();
    // A link that takes a beat in a while, and as many reads as there are tags.
    root.set_options(|o| o.tx_stall = 255);
    let before = root.stats();
    for tag in 0..256u32 {
        let header = [(tlp::MRD32 << 24) as u32 | 1, tag << 8 | 0xf, (base + 8) as u32, 0];
        root.send_raw(Packet { header, payload: vec![] });
    }
    // Writes behind them: the data of an MSI-X entry, 0 to 99.
    let at = base + msix::entry(3) + msix::ENTRY_DATA;
    for i in 0..100u32 {
        let header = [(tlp::MWR32 << 24) as u32 | 1, 0xf, at as u32, 0];
        root.send_raw(Packet { header, payload: i.to_le_bytes().to_vec() });
    }
    for _ in 0..3000 {
        root.clock();
    }
    let now = root.stats();
    assert_eq!(now.rx_packets - before.rx_packets, 356, "the card takes them all");
    assert!(now.tx_packets - before.tx_packets < 50, "while hardly a completion can leave");
    root.set_options(|o| o.tx_stall = 0);
    assert!(root.run_idle(100_000));
    root.take_unclaimed();
    assert_eq!(root.mem_read(at, 4, Some(pf)).unwrap(), 99u32.to_le_bytes());
    drop(root);
    card.assert_clean();
}

#[test]
fn no_interrupt_comes_after_the_completion_of_the_write_that_forbade_it_and_none_is_lost() {
    let (card, _folder) = bench(Options { tx_stall: 200, ..Options::rough(7) });
    let vf = number(0);
    let mut rng = SmallRng::seed_from_u64(3);
    let on = msix::CONTROL_ENABLE.mask() << 16;
    let command = header::COMMAND as u16;
    let may = (header::COMMAND_MSE.mask() | header::COMMAND_BME.mask()) as u32;
    let (mut late, mut waited) = (0, 0);
    for round in 0..60 {
        let mut nvme = open(&card, 0, Completions::Interrupts);
        load(&mut nvme, 12);
        let mut root = card.root();
        let pause = rng.random_range(200..4000);
        for _ in 0..pause {
            root.clock();
        }
        let masked = on | msix::CONTROL_FUNCTION_MASK.mask() << 16;
        match round % 3 {
            0 => root.config_write(vf, MSIX, masked as u32).unwrap(),
            1 => root.config_write(vf, MSIX, 0).unwrap(),
            _ => {
                // A posted write has no completion; a read behind it has.
                let base = card.topology().bar(vf, 0).unwrap().address;
                for vector in 0..bar::msix_vectors(Kind::Storage) {
                    root.mem_write(base + msix::entry(vector) + msix::ENTRY_CONTROL, &1u32.to_le_bytes());
                }
                root.mem_read(base + msix::entry(0), 4, Some(vf)).unwrap();
            }
        }
        let told = root.clocks();
        root.interrupts().take_history();
        for _ in 0..20_000 {
            root.clock();
        }
        late += root.interrupts().take_history().iter().filter(|i| i.function == vf && i.clock > told).count();
        if round % 3 == 0 {
            // What came meanwhile waits, and comes when it may.
            let base = card.topology().bar(vf, 0).unwrap().address;
            let pending = root.mem_read(base + bar::MSIX_PBA, 4, Some(vf)).unwrap()[0];
            root.config_write(vf, MSIX, on as u32).unwrap();
            root.run_idle(50_000);
            let came = root.interrupts().take_history().iter().filter(|i| i.function == vf).count();
            assert_eq!(came, pending.count_ones() as usize, "round {round}");
            waited += came;
        }
        root.config_write(vf, command, may).unwrap();
        drop(root);
        drop(nvme);
    }
    assert_eq!(late, 0, "interrupts after they were forbidden");
    assert!(waited > 5, "{waited}");
    card.assert_clean();
}

/// Writes FLR and says after how many clocks the function is there again.
fn flr(root: &mut Root, vf: u8) -> u64 {
    let start = root.clocks();
    root.config_write(vf, DEVICE, express::DEVICE_CONTROL_FLR.mask() as u32).unwrap();
    loop {
        match root.config_read(vf, header::COMMAND as u16) {
            Ok(_) => return root.clocks() - start,
            Err(RequestError::Status(Status::Retry)) => {}
            other => panic!("{other:?}"),
        }
        assert!(root.clocks() - start < 8_000_000, "FLR does not end");
    }
}

#[test]
fn flr_of_an_idle_function_does_not_wait_for_anothers_reads() {
    let (card, _folder) = bench(Options::default());
    // Patient, so that by itself it would wait for ever.
    let pf = FunctionId::pf(Kind::Storage).number();
    let patient = express::DEVICE_CONTROL_2_CTO_DISABLE.mask() as u32;
    let control_2 = (cap::pf::EXPRESS + express::DEVICE_CONTROL_2) as u16;
    let mut nvmes: Vec<_> = (0..VFS).map(|vf| open(&card, vf, Completions::Polled)).collect();
    {
        let mut root = card.root();
        root.config_write(pf, control_2, patient).unwrap();
        root.inject(FaultPlan { function: Some(number(0)), skip: 0, times: 1, fault: ReadFault::Dropped });
    }
    // Its next fetch is never answered.
    load(&mut nvmes[0], 1);
    let mut root = card.root();
    for _ in 0..300_000 {
        root.clock();
    }
    // Its own reset begins first, and another's beside it is not noticed by a third.
    root.config_write(number(0), DEVICE, express::DEVICE_CONTROL_FLR.mask() as u32).unwrap();
    let begun = root.clocks();
    let idle = flr(&mut root, number(1));
    assert!(idle < 2_000, "{idle} clocks");
    assert_eq!(root.config_read(number(0), 0).unwrap_err(), RequestError::Status(Status::Retry));
    loop {
        match root.config_read(number(0), 0) {
            Ok(_) => break,
            Err(error) => assert_eq!(error, RequestError::Status(Status::Retry)),
        }
        assert!(root.clocks() - begun < 70_000, "the completion time-out, and a little");
    }
    // What it left behind is nobody's error.
    let status = root.config_read(number(0), DEVICE).unwrap() >> 16;
    assert_eq!(status & 0xf, 0);
    drop(root);
    nvmes[2].execute(Io::Flush).unwrap();
    drop(nvmes);
    for vf in 0..VFS {
        open(&card, vf, Completions::Polled).execute(Io::Flush).unwrap();
    }
    card.assert_clean();
}

#[test]
fn payload_above_max_payload_size_is_malformed_and_never_executed() {
    let (card, _folder) = bench(Options::default());
    let pf = FunctionId::pf(Kind::Storage).number();
    let base = card.topology().bar(pf, 0).unwrap().address + bar::MSIX_TABLE;
    let mut root = card.root();
    root.config_write(pf, header::COMMAND as u16, header::COMMAND_MSE.mask() as u32).unwrap();
    for (dws, malformed) in [(64u32, false), (65, true), (128, true)] {
        let before = root.mem_read(base, 128, Some(pf)).unwrap();
        let payload = vec![dws as u8; 4 * dws as usize];
        let header = [(tlp::MWR32 << 24) as u32 | dws, 0xff, base as u32, 0];
        root.send_raw(Packet { header, payload });
        root.run_idle(10_000);
        let after = root.mem_read(base, 128, Some(pf)).unwrap();
        assert_eq!(before == after, malformed, "{dws} DWs");
        for kind in Kind::ALL {
            let f = FunctionId::pf(kind).number();
            let status = (cap::pf::AER + aer::UNCORRECTABLE_STATUS) as u16;
            let seen = root.config_read(f, status).unwrap();
            assert_eq!(u64::from(seen), if malformed { aer::MALFORMED.mask() } else { 0 });
            root.config_write(f, status, seen).unwrap();
        }
    }
    drop(root);
    card.assert_clean();
}
