//! What one tenant did is not for the next: every register and every page that a VF can read is, after FLR and after it was
//! bound to another volume, as it was before anybody used it. A controller reset keeps the logs, as NVMe says.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use azote_manage::{Manager, Volume};
use azote_nvme::{Command, Controller, Data, Io, Options as NvmeOptions};
use azote_regs::bar;
use azote_regs::function::{FunctionId, Kind, Role};
use azote_regs::nvme::{opcode, virtualization};
use azote_regs::pcie::{capability as cap, express, header};
use azote_sim::{Card, MediaFault, RequestError};
use azote_tests::rig::{self, Setup};
use azote_tlp::Status;

const BLOCKS: u64 = 1024;

/// All that a VF shows, by a name.
type View = BTreeMap<String, Vec<u8>>;

fn bench() -> (Card, tempfile::TempDir) {
    let card = Setup::default().card().unwrap();
    // Two volumes of one size and content: what a tenant wrote in one is no record of the card's.
    let folder = rig::volumes(&card, 2, BLOCKS).unwrap();
    (card, folder)
}

fn open(card: &Card) -> Controller {
    rig::controller(card, 0, 4 << 20, NvmeOptions { io_queues: 1, events: 0, ..NvmeOptions::default() }).unwrap()
}

/// Registers while the controller is off, then all pages that it has.
fn view(card: &Card) -> View {
    let vf = rig::storage_vf(0).unwrap().number();
    let mut view = View::new();
    {
        let mut root = card.root();
        for at in (0..0x1000u16).step_by(4) {
            view.insert(format!("config {at:03x}"), root.config_read(vf, at).unwrap().to_le_bytes().to_vec());
        }
        let base = card.topology().bar(vf, 0).unwrap().address;
        for at in (0..bar::BAR0_SIZE).step_by(256) {
            view.insert(format!("BAR0 {at:04x}"), root.mem_read(base + at, 256, Some(vf)).unwrap());
        }
    }
    let mut nvme = open(card);
    let buffer = nvme.dma().alloc(4096, 4096).unwrap();
    let mut page = |name: String, opcode: u64, nsid: u32, cdw10: u32, cdw11: u32| {
        buffer.fill(0xaa);
        let data = Data::Slice(buffer.whole());
        let result = nvme.admin_command(Command { opcode: opcode as u8, nsid, cdw: [cdw10, cdw11, 0, 0, 0, 0], data });
        let mut bytes = vec![0; 4096];
        buffer.read(0, &mut bytes).unwrap();
        // What is refused is so for everybody; that it was is in the error log, which is read before.
        view.insert(name, result.map_or_else(|e| e.to_string().into_bytes(), |_| bytes));
    };
    let logs = [opcode::LOG_ERROR, opcode::LOG_FIRMWARE, opcode::LOG_CHANGED, opcode::LOG_EFFECTS, opcode::LOG_VOLUME];
    for lid in [opcode::LOG_SMART].into_iter().chain(logs) {
        page(format!("log {lid:02x}"), opcode::GET_LOG_PAGE, 0, 1023 << 16 | lid as u32, 0);
    }
    for cns in [opcode::CNS_NAMESPACE, opcode::CNS_CONTROLLER, opcode::CNS_ACTIVE_LIST, opcode::CNS_DESCRIPTORS] {
        let nsid = if cns == opcode::CNS_CONTROLLER || cns == opcode::CNS_ACTIVE_LIST { 0 } else { 1 };
        page(format!("identify {cns:02x}"), opcode::IDENTIFY, nsid, cns as u32, 0);
    }
    for cns in [virtualization::CNS_PRIMARY, virtualization::CNS_SECONDARY] {
        page(format!("identify {cns:02x}"), opcode::IDENTIFY, 0, cns as u32, 0);
    }
    for fid in 1..=0x20u32 {
        let get = Command { opcode: opcode::GET_FEATURES as u8, nsid: 0, cdw: [fid, 0, 0, 0, 0, 0], data: Data::None };
        let value = nvme.admin_command(get).map_or_else(|e| e.to_string().into_bytes(), |v| v.to_le_bytes().to_vec());
        view.insert(format!("feature {fid:02x}"), value);
    }
    view
}

/// A tenant who leaves traces everywhere.
fn live(card: &Card) {
    card.root().media().inject(MediaFault { volume: 0, lba: 77, blocks: 1, read: true, write: true });
    let mut nvme = open(card);
    let buffer = nvme.dma().alloc(64 << 10, 4096).unwrap();
    for lba in 0..8 {
        nvme.execute(Io::Read { lba: lba * 100, data: buffer.slice(0, 8192).unwrap() }).ok();
        nvme.execute(Io::Write { lba: lba * 100, data: buffer.slice(0, 512).unwrap() }).ok();
    }
    assert!(nvme.execute(Io::Read { lba: 72, data: buffer.slice(0, 8192).unwrap() }).is_err());
    let wrong = Command { opcode: 0x77, nsid: 1, cdw: [0x5ec2e7, 0, 0, 0, 0, 0], data: Data::None };
    nvme.admin_command(wrong).unwrap_err();
    for (fid, v) in
        [(opcode::FEATURE_TEMPERATURE, 300), (opcode::FEATURE_COALESCING, 0x0305), (opcode::FEATURE_ARBITRATION, 2)]
    {
        let set =
            Command { opcode: opcode::SET_FEATURES as u8, nsid: 0, cdw: [fid as u32, v, 0, 0, 0, 0], data: Data::None };
        nvme.admin_command(set).unwrap();
    }
}

fn flr(card: &Card) {
    let vf = rig::storage_vf(0).unwrap().number();
    let mut root = card.root();
    let control = (cap::vf::EXPRESS + express::DEVICE_CONTROL) as u16;
    root.config_write(vf, control, express::DEVICE_CONTROL_FLR.mask() as u32).unwrap();
    while root.config_read(vf, header::COMMAND as u16) == Err(RequestError::Status(Status::Retry)) {}
}

fn differences(a: &View, b: &View) -> Vec<String> {
    a.iter().filter(|(name, bytes)| b[*name] != **bytes).map(|(name, _)| name.clone()).collect()
}

#[test]
fn after_flr_nothing_that_a_vf_can_read_tells_of_its_last_tenant() {
    let (card, _folder) = bench();
    flr(&card);
    let before = view(&card);
    live(&card);
    flr(&card);
    assert_eq!(differences(&before, &view(&card)), Vec::<String>::new());
    card.assert_clean();
}

#[test]
fn a_controller_reset_keeps_the_logs_and_another_volume_ends_them() {
    let (card, _folder) = bench();
    flr(&card);
    let before = view(&card);
    live(&card);
    // The driver closed its controller and opens it anew: that is CC.EN 1, 0, 1.
    let kept = view(&card);
    let changed = differences(&before, &kept);
    for log in [opcode::LOG_ERROR, opcode::LOG_SMART, opcode::LOG_VOLUME] {
        assert!(changed.contains(&format!("log {log:02x}")), "{changed:?}");
    }
    let manager = Manager::open(&*rig::function(&card, FunctionId::pf(Kind::Trust)).unwrap()).unwrap();
    manager
        .bind(Role::Vf(0), Volume { id: 1, base: 0, blocks: BLOCKS, read_only: false, large_blocks: false })
        .unwrap();
    card.run_idle(20_000);
    let after = view(&card);
    let logs = [opcode::LOG_ERROR, opcode::LOG_SMART, opcode::LOG_VOLUME].map(|log| format!("log {log:02x}"));
    let told: Vec<_> = differences(&before, &after).into_iter().filter(|name| logs.contains(name)).collect();
    assert_eq!(told, Vec::<String>::new(), "of the volume before");
    card.assert_clean();
}

/// A page of a log, asked for so many clocks after what `beside` submits, or before it.
fn log_beside(card: &Card, nvme: &mut Controller, page: u64, after: i64, beside: impl Fn(&mut Controller)) -> Vec<u8> {
    let buffer = nvme.dma().alloc(4096, 4096).unwrap();
    buffer.fill(0);
    let data = Data::Slice(buffer.slice(0, 512).unwrap());
    let get =
        Command { opcode: opcode::GET_LOG_PAGE as u8, nsid: 0, cdw: [127 << 16 | page as u32, 0, 0, 0, 0, 0], data };
    if after < 0 {
        nvme.submit_admin(get, 0).unwrap();
        card.root().advance(after.unsigned_abs());
        beside(nvme);
    } else {
        beside(nvme);
        card.root().advance(after.unsigned_abs());
        nvme.submit_admin(get, 0).unwrap();
    }
    while nvme.in_flight(0) > 0 {
        nvme.wait(0).unwrap();
    }
    while nvme.poll_admin().unwrap().is_none() {
        card.root().advance(100);
    }
    let mut got = vec![0; 512];
    buffer.read(0, &mut got).unwrap();
    got
}

fn number(page: &[u8], at: usize, bytes: usize) -> u64 {
    page[at..at + bytes].iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// A read of the namespace's that is refused: its LBA is beyond the end.
fn refused(lba: u32) -> Command {
    Command { opcode: opcode::READ as u8, nsid: 1, cdw: [lba, 0, 0, 0, 0, 0], data: Data::None }
}

#[test]
fn an_error_log_that_is_read_beside_new_errors_shows_those_and_nobody_elses() {
    const ITS: u32 = 0x5ec2_e700;
    const MINE: u32 = 0x0b0b_0b00;
    let (card, _folder) = bench();
    let mut some = 0;
    for after in -120..40 {
        {
            let mut nvme = open(&card);
            for _ in 0..8 {
                nvme.submit_command(0, refused(ITS), 0).unwrap();
                nvme.wait(0).unwrap();
            }
        }
        flr(&card);
        let mut nvme = open(&card);
        let log = log_beside(&card, &mut nvme, opcode::LOG_ERROR, after, |nvme| {
            (0..4).for_each(|i| nvme.submit_command(0, refused(MINE + i), 0).unwrap());
        });
        for entry in log.chunks(64) {
            let (count, lba) = (number(entry, 0, 8), number(entry, 16, 8));
            assert!(count <= 4, "{after} clocks after: error {count:x} of four");
            assert!(lba == 0 || (lba ^ u64::from(MINE)) < 4, "{after} clocks after: error {count} is at LBA {lba:x}");
            some += usize::from(count != 0);
        }
    }
    assert!(some > 20, "{some} errors are in the logs: they came too late");
}

#[test]
fn counters_that_are_read_beside_commands_are_those_before_or_after_one() {
    let (card, _folder) = bench();
    let mut nvme = open(&card);
    let buffer = nvme.dma().alloc(4096, 4096).unwrap();
    let mut last = 0;
    for (round, after) in (-160..40).enumerate() {
        let log = log_beside(&card, &mut nvme, opcode::LOG_SMART, after, |nvme| {
            (0..30).for_each(|i| nvme.submit(0, Io::Read { lba: i, data: buffer.slice(0, 512).unwrap() }, 0).unwrap());
        });
        let reads = number(&log, 64, 16);
        assert!(
            (last..=30 * (round as u64 + 1)).contains(&reads),
            "{after} clocks after: {reads} reads, {last} before"
        );
        last = reads;
    }
    assert!(last > 5000, "{last}");
}
