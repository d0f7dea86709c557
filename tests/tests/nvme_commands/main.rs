//! Every admin and I/O command that the card has, and every way in which each is refused.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod beside;
mod blocks;
mod collected;
mod logs;
mod secondary;
mod under_way;

use std::path::PathBuf;

use azote_dma::Buffer;
use azote_nvme::{Command, Completions, Controller, Data, Error, Failure, Options as NvmeOptions};
use azote_regs::function::{FunctionId, Kind, Role};
use azote_regs::nvme::{command as cmd, controller as regs, identify as id, limits, log, opcode, status};
use azote_regs::pcie::{capability as cap, header, msix};
use azote_sim::{Card, FaultPlan, MediaFault, Options, ReadFault};
use azote_tests::rig::{self, Setup};

const BLOCKS: u64 = 1024;

struct Bench {
    card: Card,
    nvme: Controller,
    buffer: Buffer,
    path: PathBuf,
    /// Bytes of a logical block.
    block: u64,
    _folder: tempfile::TempDir,
}

fn bench_with(options: Options, nvme: NvmeOptions, read_only: bool) -> Bench {
    let card = Setup { options, ..Setup::default() }.card().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    rig::pattern(&path, BLOCKS).unwrap();
    rig::provision(&card, &[(&path, read_only)]).unwrap();
    let nvme = rig::controller(&card, 0, 4 << 20, nvme).unwrap();
    let buffer = nvme.dma().alloc(256 << 10, 4096).unwrap();
    Bench { card, nvme, buffer, path, block: limits::LBA_SIZE, _folder: folder }
}

fn bench() -> Bench {
    // The tests below make their own queues: one is the driver's.
    bench_with(Options::default(), NvmeOptions { io_queues: 1, events: 0, ..NvmeOptions::default() }, false)
}

fn admin(opcode: u64, nsid: u32, cdw: [u32; 6], data: Data) -> Command {
    Command { opcode: opcode as u8, nsid, cdw, data }
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> u64 {
    match result {
        Err(Error::Status { status, .. }) => {
            assert!(status.do_not_retry(), "{status}: it would fail again");
            status.code()
        }
        other => panic!("not refused: {other:?}"),
    }
}

impl Bench {
    fn admin(&mut self, c: Command) -> Result<u32, Error> {
        self.nvme.admin_command(c)
    }

    /// The status of an I/O command.
    fn io(&mut self, c: Command) -> u64 {
        self.nvme.submit_command(0, c, 0).unwrap();
        match self.nvme.wait(0).unwrap().result {
            Ok(_) => status::SUCCESS,
            Err(Failure::Status(s)) => s.code(),
            Err(other) => panic!("{other}"),
        }
    }

    fn log(&mut self, lid: u64, len: u64) -> Vec<u8> {
        let slice = self.buffer.slice(0, len).unwrap();
        let dws = (len / 4 - 1) as u32;
        let c = admin(opcode::GET_LOG_PAGE, 0, [dws << 16 | lid as u32, 0, 0, 0, 0, 0], Data::Slice(slice));
        self.admin(c).unwrap();
        let mut page = vec![0; len as usize];
        self.buffer.read(0, &mut page).unwrap();
        page
    }

    fn page(&mut self, cns: u64, nsid: u32) -> Vec<u8> {
        let slice = self.buffer.slice(0, 4096).unwrap();
        self.admin(admin(opcode::IDENTIFY, nsid, [cns as u32, 0, 0, 0, 0, 0], Data::Slice(slice))).unwrap();
        let mut page = vec![0; 4096];
        self.buffer.read(0, &mut page).unwrap();
        page
    }
}

fn le(page: &[u8], at: u64, bytes: usize) -> u64 {
    page[at as usize..at as usize + bytes].iter().rev().fold(0, |v, b| v << 8 | u64::from(*b))
}

#[test]
fn identify_controller_says_what_the_card_can() {
    let mut b = bench();
    let p = b.page(opcode::CNS_CONTROLLER, 0);
    assert_eq!(le(&p, id::VID, 2), 0x1af4);
    assert_eq!(p[id::MN as usize..][..40], id::MODEL);
    assert_eq!(le(&p, id::MDTS, 1), limits::MDTS);
    assert_eq!(le(&p, id::VER, 4), regs::VS_VALUE);
    assert_eq!(le(&p, id::CNTLID, 2), u64::from(FunctionId::vf(Kind::Storage, 0).unwrap().number()));
    assert_eq!(le(&p, id::NN, 4), 1);
    assert_eq!(le(&p, id::SQES, 1), 0x66);
    assert_eq!(le(&p, id::CQES, 1), 0x44);
    assert!(p[id::SUBNQN as usize..].starts_with(b"nqn.2014-08.org.nvmexpress:"));
    b.card.assert_clean();
}

#[test]
fn two_functions_are_two_controllers_of_one_subsystem() {
    let mut b = bench();
    let first = b.page(opcode::CNS_CONTROLLER, 0);
    let mut other = rig::controller(&b.card, 3, 1 << 20, NvmeOptions::default()).unwrap();
    assert!(other.namespace().is_none(), "nothing is bound to VF 3");
    assert_eq!(other.identity().nqn.as_bytes(), first[id::SUBNQN as usize..].split(|b| *b == 0).next().unwrap());
    assert_eq!(other.identity().serial.as_bytes(), first[id::SN as usize..][..20].trim_ascii_end());
    assert_eq!(le(&first, id::CMIC, 1), id::CMIC_CONTROLLERS.mask() | id::CMIC_VF.mask());
    let buffer = other.dma().alloc(4096, 4096).unwrap();
    let read = admin(opcode::READ, 1, [0; 6], Data::Slice(buffer.slice(0, 512).unwrap()));
    other.submit_command(0, read, 0).unwrap();
    match other.wait(0).unwrap().result {
        Err(Failure::Status(s)) => assert_eq!(s.code(), status::INVALID_NAMESPACE),
        r => panic!("{r:?}"),
    }
}

#[test]
fn identify_namespace_list_and_descriptors_follow_the_binding() {
    let mut b = bench();
    let ns = b.page(opcode::CNS_NAMESPACE, 1);
    assert_eq!((le(&ns, id::NSZE, 8), le(&ns, id::NCAP, 8), le(&ns, id::NUSE, 8)), (BLOCKS, BLOCKS, BLOCKS));
    assert_eq!(id::LBAF_LBADS.of(le(&ns, id::LBAF0, 4)), limits::LBA_SHIFT);
    assert_eq!(le(&ns, id::NSATTR, 1), 0);
    assert_eq!(le(&b.page(opcode::CNS_ACTIVE_LIST, 0), 0, 8), 1, "namespace 1 and no other");
    assert_eq!(le(&b.page(opcode::CNS_ACTIVE_LIST, 1), 0, 8), 0, "none above 1");
    let d = b.page(opcode::CNS_DESCRIPTORS, 1);
    assert_eq!((d[0], d[1], d[12], d[13]), (1, 8, 2, 16));
    assert_eq!(d[4..12], ns[id::EUI64 as usize..][..8]);
    assert_eq!(d[16..32], ns[id::NGUID as usize..][..16]);
    // The volume's UUID: volume 0, from its first block.
    assert_eq!((le(&d, 32 + id::NIDT, 1), le(&d, 32 + id::NIDL, 1)), (id::NIDT_UUID, 16));
    assert!(d[36] != 0 && d[45..52].iter().all(|b| *b == 0));
    assert!(d[52..].iter().all(|b| *b == 0));

    for (cns, nsid) in [(opcode::CNS_NAMESPACE, 0), (opcode::CNS_NAMESPACE, 2), (opcode::CNS_DESCRIPTORS, 7)] {
        let c =
            admin(opcode::IDENTIFY, nsid, [cns as u32, 0, 0, 0, 0, 0], Data::Slice(b.buffer.slice(0, 4096).unwrap()));
        assert_eq!(code(b.admin(c)), status::INVALID_NAMESPACE, "CNS {cns} NSID {nsid}");
    }
    let slice = b.buffer.slice(0, 4096).unwrap();
    let list = admin(opcode::IDENTIFY, 0xffff_fffe, [2, 0, 0, 0, 0, 0], Data::Slice(slice));
    assert_eq!(code(b.admin(list)), status::INVALID_NAMESPACE);
    let unknown = admin(opcode::IDENTIFY, 0, [0x55, 0, 0, 0, 0, 0], Data::Slice(slice));
    assert_eq!(code(b.admin(unknown)), status::INVALID_FIELD);
    b.card.assert_clean();
}

#[test]
fn a_read_only_volume_says_so_and_keeps_what_it_has() {
    let mut b = bench_with(Options::default(), NvmeOptions::default(), true);
    let before = std::fs::read(&b.path).unwrap();
    let ns = b.page(opcode::CNS_NAMESPACE, 1);
    assert_eq!(le(&ns, id::NSATTR, 1), id::NSATTR_WRITE_PROTECTED);
    let slice = b.buffer.slice(0, 4096).unwrap();
    assert_eq!(b.io(admin(opcode::WRITE, 1, [0, 0, 7, 0, 0, 0], Data::Slice(slice))), status::WRITE_PROTECTED);
    assert_eq!(b.io(admin(opcode::WRITE_ZEROES, 1, [0, 0, 7, 0, 0, 0], Data::None)), status::WRITE_PROTECTED);
    assert_eq!(b.io(admin(opcode::READ, 1, [0, 0, 7, 0, 0, 0], Data::Slice(slice))), status::SUCCESS);
    assert_eq!(b.io(admin(opcode::FLUSH, 1, [0; 6], Data::None)), status::SUCCESS);
    assert!(std::fs::read(&b.path).unwrap() == before);
}

#[test]
fn features_come_back_as_they_were_set_and_end_with_the_controller() {
    let mut b = bench();
    let get = |fid: u64| admin(opcode::GET_FEATURES, 0, [fid as u32, 0, 0, 0, 0, 0], Data::None);
    let set = |fid: u64, v: u32| admin(opcode::SET_FEATURES, 0, [fid as u32, v, 0, 0, 0, 0], Data::None);
    let queues = (limits::IO_QUEUES - 1) as u32;
    assert_eq!(code(b.admin(set(opcode::FEATURE_QUEUES, 0x00ff_00ff))), status::SEQUENCE, "there are queues already");
    assert_eq!(b.admin(get(opcode::FEATURE_QUEUES)).unwrap(), queues << 16 | queues);
    assert_eq!(code(b.admin(set(opcode::FEATURE_QUEUES, 0xffff))), status::INVALID_FIELD);
    assert_eq!(b.admin(get(opcode::FEATURE_WRITE_CACHE)).unwrap(), 1, "the write cache is on");
    for fid in [
        opcode::FEATURE_ARBITRATION,
        opcode::FEATURE_TEMPERATURE,
        opcode::FEATURE_ERROR_RECOVERY,
        opcode::FEATURE_WRITE_CACHE,
        opcode::FEATURE_COALESCING,
        opcode::FEATURE_ATOMICITY,
        opcode::FEATURE_ASYNC_EVENT,
    ] {
        let old = b.admin(get(fid)).unwrap();
        b.admin(set(fid, old ^ 1)).unwrap();
        assert_eq!(b.admin(get(fid)).unwrap(), old ^ 1, "feature {fid:#x}");
    }
    b.nvme.reset().unwrap();
    assert_eq!(b.admin(get(opcode::FEATURE_WRITE_CACHE)).unwrap(), 1, "a controller reset forgets");
    assert_eq!(b.admin(get(opcode::FEATURE_ATOMICITY)).unwrap(), 0);

    assert_eq!(code(b.admin(get(0x77))), status::INVALID_FIELD);
    assert_eq!(code(b.admin(set(0, 0))), status::INVALID_FIELD);
    let odd = [
        (opcode::FEATURE_POWER, 3),
        (opcode::FEATURE_VECTOR, 8),
        (opcode::FEATURE_TEMPERATURE, cmd::TEMPERATURE_SENSOR.put(3)),
        (opcode::FEATURE_TEMPERATURE, cmd::TEMPERATURE_TYPE.put(2)),
        (opcode::FEATURE_ERROR_RECOVERY, cmd::RECOVERY_DULBE.put(1)),
    ];
    for (fid, value) in odd {
        assert_eq!(code(b.admin(set(fid, value as u32))), status::INVALID_FIELD, "feature {fid:#x} value {value:#x}");
    }
    // What a feature is by default, and what can be done with it.
    let select = |fid: u64, sel: u64| {
        admin(opcode::GET_FEATURES, 0, [(fid | cmd::FEATURE_SEL.put(sel)) as u32, 0, 0, 0, 0, 0], Data::None)
    };
    b.admin(set(opcode::FEATURE_WRITE_CACHE, 0)).unwrap();
    for (sel, wce) in [(0, 0), (1, 1), (2, 1)] {
        assert_eq!(b.admin(select(opcode::FEATURE_WRITE_CACHE, sel)).unwrap(), wce, "select {sel}");
    }
    assert_eq!(b.admin(select(opcode::FEATURE_TEMPERATURE, 1)).unwrap(), limits::TEMPERATURE_WARNING as u32);
    assert_eq!(b.admin(select(opcode::FEATURE_WRITE_CACHE, 3)).unwrap(), cmd::FEATURE_CAP_CHANGEABLE as u32);
    let both = cmd::FEATURE_CAP_CHANGEABLE | cmd::FEATURE_CAP_NAMESPACE;
    assert_eq!(b.admin(select(opcode::FEATURE_ERROR_RECOVERY, 3)).unwrap(), both as u32);
    assert_eq!(code(b.admin(select(opcode::FEATURE_WRITE_CACHE, 4))), status::INVALID_FIELD);
    // Of a namespace only what belongs to one.
    let of = |nsid: u32, fid: u64| admin(opcode::SET_FEATURES, nsid, [fid as u32, 1, 0, 0, 0, 0], Data::None);
    b.admin(of(1, opcode::FEATURE_ERROR_RECOVERY)).unwrap();
    assert_eq!(code(b.admin(of(1, opcode::FEATURE_ATOMICITY))), status::FEATURE_NOT_NAMESPACE);
    assert_eq!(code(b.admin(of(7, opcode::FEATURE_ERROR_RECOVERY))), status::INVALID_NAMESPACE);
    // Each vector has its own configuration.
    let vector = |iv: u64, off: u64| (cmd::VECTOR_IV.put(iv) | cmd::VECTOR_CD.put(off)) as u32;
    b.admin(set(opcode::FEATURE_VECTOR, vector(3, 1))).unwrap();
    b.admin(set(opcode::FEATURE_VECTOR, vector(5, 1))).unwrap();
    b.admin(set(opcode::FEATURE_VECTOR, vector(5, 0))).unwrap();
    for (iv, off) in [(3, 1), (4, 0), (5, 0)] {
        let get = admin(opcode::GET_FEATURES, 0, [opcode::FEATURE_VECTOR as u32, iv, 0, 0, 0, 0], Data::None);
        assert_eq!(b.admin(get).unwrap(), vector(iv.into(), off), "vector {iv}");
    }
    let save = admin(opcode::SET_FEATURES, 0, [1 << 31 | 1, 0, 0, 0, 0, 0], Data::None);
    assert_eq!(code(b.admin(save)), status::FEATURE_NOT_SAVEABLE);
    b.card.assert_clean();
}

#[test]
fn queues_are_created_used_and_deleted_with_every_refusal() {
    let mut b = bench();
    let base = b.buffer.iova();
    let cq = |qid: u32, size: u32, flags: u32, prp: u64| {
        admin(opcode::CREATE_CQ, 0, [size << 16 | qid, flags, 0, 0, 0, 0], Data::Prps(prp, 0))
    };
    let sq = |qid: u32, size: u32, cqid: u32, prp: u64| {
        admin(opcode::CREATE_SQ, 0, [size << 16 | qid, cqid << 16 | 1, 0, 0, 0, 0], Data::Prps(prp, 0))
    };
    let del = |op: u64, qid: u32| admin(op, 0, [qid, 0, 0, 0, 0, 0], Data::None);

    assert_eq!(code(b.admin(cq(0, 15, 1, base))), status::INVALID_QID);
    assert_eq!(code(b.admin(cq(8, 15, 1, base))), status::INVALID_QID);
    assert_eq!(code(b.admin(cq(1, 15, 1, base))), status::INVALID_QID, "the driver has it");
    assert_eq!(code(b.admin(cq(2, 0, 1, base))), status::INVALID_QUEUE_SIZE);
    assert_eq!(code(b.admin(cq(2, 1024, 1, base))), status::INVALID_QUEUE_SIZE);
    assert_eq!(code(b.admin(cq(2, 15, 0, base))), status::INVALID_FIELD, "not contiguous");
    assert_eq!(code(b.admin(cq(2, 15, 1, base + 64))), status::PRP_OFFSET);
    assert_eq!(code(b.admin(cq(2, 15, 8 << 16 | 3, base))), status::INVALID_VECTOR);
    assert_eq!(code(b.admin(sq(2, 15, 2, base))), status::CQ_INVALID, "not yet");
    b.admin(cq(2, 15, 1, base)).unwrap();
    assert_eq!(code(b.admin(sq(2, 15, 0, base))), status::INVALID_QID, "the admin completion queue");
    assert_eq!(code(b.admin(sq(2, 15, 9, base))), status::INVALID_QID);
    assert_eq!(code(b.admin(sq(0, 15, 2, base))), status::INVALID_QID);
    assert_eq!(code(b.admin(sq(2, 0, 2, base))), status::INVALID_QUEUE_SIZE);
    assert_eq!(code(b.admin(sq(2, 15, 2, base + 4))), status::PRP_OFFSET);
    for qid in 2..=7 {
        b.admin(sq(qid, 15, 2, base + 4096 * u64::from(qid))).unwrap();
    }
    assert_eq!(code(b.admin(sq(3, 15, 2, base))), status::INVALID_QID, "twice");
    assert_eq!(code(b.admin(del(opcode::DELETE_CQ, 2))), status::INVALID_QUEUE_DELETION);
    for qid in 2..=7 {
        b.admin(del(opcode::DELETE_SQ, qid)).unwrap();
    }
    assert_eq!(code(b.admin(del(opcode::DELETE_SQ, 2))), status::INVALID_QID);
    assert_eq!(code(b.admin(del(opcode::DELETE_SQ, 0))), status::INVALID_QID);
    b.admin(del(opcode::DELETE_CQ, 2)).unwrap();
    assert_eq!(code(b.admin(del(opcode::DELETE_CQ, 2))), status::INVALID_QID);
    assert_eq!(code(b.admin(del(opcode::DELETE_CQ, 0))), status::INVALID_QID);
    b.card.assert_clean();
}

#[test]
fn log_pages_count_what_happened() {
    let mut b = bench();
    let slice = b.buffer.slice(0, 64 * 1024).unwrap();
    for _ in 0..16 {
        assert_eq!(b.io(admin(opcode::READ, 1, [0, 0, 127, 0, 0, 0], Data::Slice(slice))), status::SUCCESS);
    }
    for _ in 0..3 {
        assert_eq!(b.io(admin(opcode::WRITE, 1, [0, 0, 127, 0, 0, 0], Data::Slice(slice))), status::SUCCESS);
    }
    b.card.root().media().inject(MediaFault { volume: 0, lba: 700, blocks: 1, read: true, write: true });
    assert_eq!(b.io(admin(opcode::READ, 1, [693, 0, 127, 0, 0, 0], Data::Slice(slice))), status::UNRECOVERED_READ);
    assert_eq!(b.io(admin(0x55, 1, [0; 6], Data::None)), status::INVALID_OPCODE);
    let smart = b.nvme.smart_log().unwrap();
    assert_eq!((smart.reads, smart.writes), (17, 3));
    assert_eq!((smart.units_read, smart.units_written), (3, 1), "17 x 128 blocks and 3 x 128, in thousands");
    assert_eq!((smart.media_errors, smart.error_entries), (1, 2));
    assert!((200..400).contains(&smart.temperature));
    let errors = b.nvme.error_log().unwrap();
    assert_eq!(errors.len(), 2);
    assert_eq!((errors[0].count, errors[0].queue, errors[0].status.code()), (2, 1, status::INVALID_OPCODE));
    assert!(b.nvme.firmware_log().unwrap().revisions[0].starts_with("0.1"));

    let slice = b.buffer.slice(0, 8192).unwrap();
    let get = |lid: u64, dws: u32, cdw11: u32, offset: u32| {
        admin(opcode::GET_LOG_PAGE, 0, [(dws - 1) << 16 | lid as u32, cdw11, offset, 0, 0, 0], Data::Slice(slice))
    };
    for lid in [0, 6, 0x55, 0xff] {
        assert_eq!(code(b.admin(get(lid, 128, 0, 0))), status::INVALID_LOG, "log {lid:#x}");
    }
    assert_eq!(code(b.admin(get(opcode::LOG_SMART, 128, 1, 0))), status::INVALID_FIELD, "more than MDTS");
    // It is read from any DW of it up to its end.
    for offset in [2, log::SMART_SIZE as u32 + 4, 1 << 20] {
        assert_eq!(code(b.admin(get(opcode::LOG_SMART, 1, 0, offset))), status::INVALID_FIELD, "from {offset}");
    }
    b.admin(get(opcode::LOG_SMART, 1, 0, log::SMART_SIZE as u32)).unwrap();
    // Odd lengths: exactly what was asked for, not a DW more.
    for dws in [1u32, 3, 5, 127, 129, 1024, 2000] {
        b.buffer.fill(0xee);
        b.admin(get(opcode::LOG_SMART, dws, 0, 0)).unwrap();
        let mut got = vec![0; 8192];
        b.buffer.read(0, &mut got).unwrap();
        let end = dws as usize * 4;
        assert!(le(&got, log::SMART_TEMPERATURE, 2) != 0xeeee);
        assert!(got[end..].iter().all(|b| *b == 0xee), "{dws} DWs");
        assert!(got[..end].iter().skip(200).all(|b| *b == 0), "{dws} DWs");
    }
    b.card.assert_clean();
}

#[test]
fn abort_says_not_aborted_and_unknown_commands_are_refused() {
    let mut b = bench();
    assert_eq!(b.admin(admin(opcode::ABORT, 0, [1, 0, 0, 0, 0, 0], Data::None)).unwrap(), 1);
    for op in [0x03, 0x10, 0x11, 0x1c, 0x55, 0x81, 0xff] {
        assert_eq!(code(b.admin(admin(op, 0, [0; 6], Data::None))), status::INVALID_OPCODE, "admin {op:#x}");
        if op != 0x03 {
            assert_eq!(b.io(admin(op, 1, [0; 6], Data::None)), status::INVALID_OPCODE, "I/O {op:#x}");
        }
    }
}

#[test]
fn data_goes_where_any_prps_point() {
    let mut b = bench();
    let image = std::fs::read(&b.path).unwrap();
    let iova = b.buffer.iova();
    // A list at the end of its page: its last entry there points on.
    for (first, entries, list_at) in [(0u64, 31u64, 4096 - 8u64), (2048, 32, 4096 - 16), (4, 32, 4096 - 64), (0, 31, 0)]
    {
        b.buffer.fill(0xee);
        let pages: Vec<u64> = (0..33).map(|i| iova + 0x4000 + ((i * 7) % 34) * 4096).collect();
        let list = 0u64;
        let next = 8192u64;
        let here = (4096 - list_at) / 8;
        for i in 0..entries {
            let (at, value) = if entries > here {
                match i.cmp(&(here - 1)) {
                    std::cmp::Ordering::Less => (list + list_at + 8 * i, pages[1 + i as usize]),
                    _ => (next + 8 * (i - (here - 1)), pages[1 + i as usize]),
                }
            } else {
                (list + list_at + 8 * i, pages[1 + i as usize])
            };
            b.buffer.write_u64(at, value).unwrap();
        }
        if entries > here {
            b.buffer.write_u64(4096 - 8, iova + next).unwrap();
        }
        let c = admin(opcode::READ, 1, [100, 0, 255, 0, 0, 0], Data::Prps(pages[0] + first, iova + list + list_at));
        assert_eq!(b.io(c), status::SUCCESS, "{first} {entries} {list_at:#x}");
        let want = &image[100 * 512..][..131072];
        let mut done = 0;
        for (i, page) in pages.iter().enumerate().take(1 + entries as usize) {
            let offset = if i == 0 { first as usize } else { 0 };
            let n = (4096 - offset).min(want.len() - done);
            let mut got = vec![0; n];
            b.buffer.read(page - iova + offset as u64, &mut got).unwrap();
            assert!(got == want[done..done + n], "page {i} of a list at {list_at:#x}");
            done += n;
        }
        assert_eq!(done, want.len());
    }
    // Bad entries anywhere in the list stop it before a byte has moved.
    b.buffer.fill(0xee);
    for i in 0..15u64 {
        b.buffer.write_u64(8 * i, iova + 0x8000 + 4096 * i + u64::from(i == 11)).unwrap();
    }
    let c = admin(opcode::READ, 1, [0, 0, 127, 0, 0, 0], Data::Prps(iova + 0x6000, iova));
    assert_eq!(b.io(c), status::PRP_OFFSET);
    let mut got = vec![0; 4096];
    b.buffer.read(0x6000, &mut got).unwrap();
    assert!(got.iter().all(|b| *b == 0xee));
    b.card.assert_clean();
}

#[test]
fn memory_that_is_not_there_is_a_data_transfer_error() {
    let mut b = bench();
    let nowhere = 0x7777_0000_0000;
    let before = std::fs::read(&b.path).unwrap();
    assert_eq!(
        b.io(admin(opcode::WRITE, 1, [0, 0, 15, 0, 0, 0], Data::Prps(nowhere, nowhere + 4096))),
        status::DATA_TRANSFER
    );
    assert_eq!(
        b.io(admin(opcode::READ, 1, [0, 0, 63, 0, 0, 0], Data::Prps(b.buffer.iova(), nowhere))),
        status::DATA_TRANSFER
    );
    assert!(std::fs::read(&b.path).unwrap() == before, "nothing was written");
    let slice = b.buffer.slice(0, 8192).unwrap();
    let write = admin(opcode::WRITE, 1, [0, 0, 15, 0, 0, 0], Data::Slice(slice));
    for fault in [ReadFault::Unsupported, ReadFault::Abort, ReadFault::Poisoned, ReadFault::Dropped] {
        // The entry comes; the second piece of the data does not.
        b.card.root().inject(FaultPlan { function: None, skip: 2, times: 1, fault });
        assert_eq!(b.io(write), status::DATA_TRANSFER, "{fault:?}");
        b.card.root().heal();
        assert_eq!(b.io(write), status::SUCCESS, "after {fault:?}");
    }
    b.card.root().inject(FaultPlan { function: None, skip: 2, times: 3, fault: ReadFault::Duplicate });
    assert_eq!(b.io(write), status::SUCCESS, "a second answer changes nothing");
    b.card.assert_clean();
}

#[test]
fn an_entry_that_cannot_be_fetched_is_fatal_to_its_controller_only() {
    let mut b = bench();
    let mut other = rig::controller(&b.card, 1, 1 << 20, NvmeOptions::default()).unwrap();
    b.card.root().inject(FaultPlan {
        function: Some(FunctionId::vf(Kind::Storage, 0).unwrap().number()),
        skip: 0,
        times: 1,
        fault: ReadFault::Abort,
    });
    let slice = b.buffer.slice(0, 4096).unwrap();
    let read = admin(opcode::READ, 1, [0, 0, 7, 0, 0, 0], Data::Slice(slice));
    b.nvme.submit_command(0, read, 0).unwrap();
    let resets = b.nvme.resets();
    assert!(matches!(b.nvme.wait(0), Err(Error::Fatal { .. })));
    assert_eq!(b.nvme.resets(), resets + 1, "the driver found CFS and reset it");
    assert_eq!(b.nvme.wait(0).unwrap().result, Err(Failure::Reset));
    assert_eq!(b.io(read), status::SUCCESS, "and it works again");
    other.smart_log().unwrap();
    b.card.assert_clean();
}

#[test]
fn errors_of_the_medium_name_the_side_that_failed() {
    let mut b = bench();
    b.card.root().media().inject(MediaFault { volume: 0, lba: 40, blocks: 1, read: true, write: true });
    let slice = b.buffer.slice(0, 32768).unwrap();
    assert_eq!(b.io(admin(opcode::READ, 1, [0, 0, 63, 0, 0, 0], Data::Slice(slice))), status::UNRECOVERED_READ);
    assert_eq!(b.io(admin(opcode::WRITE, 1, [0, 0, 63, 0, 0, 0], Data::Slice(slice))), status::WRITE_FAULT);
    assert_eq!(b.io(admin(opcode::WRITE_ZEROES, 1, [40, 0, 0, 0, 0, 0], Data::None)), status::WRITE_FAULT);
    assert_eq!(b.io(admin(opcode::READ, 1, [64, 0, 63, 0, 0, 0], Data::Slice(slice))), status::SUCCESS);
}

#[test]
fn fused_and_sgl_commands_are_invalid_fields() {
    // The driver cannot say so: the bits are patched into the entry behind its back, by hand on a queue of ours.
    let mut b = bench();
    let iova = b.buffer.iova();
    let (sq, cq, data) = (0u64, 4096u64, 8192u64);
    b.buffer.fill(0);
    b.admin(admin(opcode::CREATE_CQ, 0, [7 << 16 | 2, 1, 0, 0, 0, 0], Data::Prps(iova + cq, 0))).unwrap();
    b.admin(admin(opcode::CREATE_SQ, 0, [7 << 16 | 2, 2 << 16 | 1, 0, 0, 0, 0], Data::Prps(iova + sq, 0))).unwrap();
    let bar = b.nvme.function().bar(0).unwrap();
    let fused = 1 << 8;
    let sgl = 1 << 14;
    for (i, bits) in [(0u64, fused), (1, sgl), (2, 2 << 14), (3, 0)] {
        let words = [u64::from(bits | opcode::READ as u32) | i << 16 | 1 << 32, 0, 0, iova + data, 0, 0, 0, 0];
        for (k, w) in words.iter().enumerate() {
            b.buffer.write_u64(sq + 64 * i + 8 * k as u64, *w).unwrap();
        }
        bar.write32(regs::sq_tail(2), i as u32 + 1).unwrap();
        b.card.run_idle(100_000);
        let dw3 = b.buffer.read_u32(cq + 16 * i + 12).unwrap();
        assert_eq!(dw3 & 0xffff, i as u32, "command id");
        assert_eq!(dw3 >> 16 & 1, 1, "phase");
        let want = if bits == 0 { status::SUCCESS } else { status::INVALID_FIELD };
        assert_eq!(u64::from(dw3 >> 17 & 0x7ff), want, "bits {bits:#x}");
        let dw2 = b.buffer.read_u32(cq + 16 * i + 8).unwrap();
        assert_eq!(dw2, 2 << 16 | (i as u32 + 1), "queue and head");
    }
}

#[test]
fn a_wrong_doorbell_is_an_event_and_changes_nothing() {
    let mut b = bench_with(Options::default(), NvmeOptions { events: 2, ..NvmeOptions::default() }, false);
    let bar = b.nvme.function().bar(0).unwrap();
    assert_eq!(b.nvme.next_event().unwrap(), None);
    bar.write32(regs::sq_tail(5), 1).unwrap();
    b.card.run_idle(100_000);
    let event = b.nvme.next_event().unwrap().expect("an event");
    assert_eq!(
        (u64::from(event.kind), u64::from(event.info)),
        (cmd::EVENT_TYPE_ERROR, cmd::EVENT_INFO_INVALID_DOORBELL)
    );
    assert_eq!(u64::from(event.log), opcode::LOG_ERROR);
    // Masked until the log is read.
    bar.write32(regs::cq_head(1), 5000).unwrap();
    b.card.run_idle(100_000);
    assert_eq!(b.nvme.next_event().unwrap(), None);
    b.nvme.error_log().unwrap();
    bar.write32(regs::sq_tail(1), 5000).unwrap();
    b.card.run_idle(100_000);
    let event = b.nvme.next_event().unwrap().expect("another");
    assert_eq!(u64::from(event.info), cmd::EVENT_INFO_INVALID_DOORBELL_VALUE);
    let slice = b.buffer.slice(0, 4096).unwrap();
    assert_eq!(b.io(admin(opcode::READ, 1, [0, 0, 7, 0, 0, 0], Data::Slice(slice))), status::SUCCESS);
    b.card.assert_clean();
}

#[test]
fn a_volume_is_taken_away_and_another_given_under_io_and_the_guest_is_told() {
    let mut b = bench_with(Options::default(), NvmeOptions { events: 2, ..NvmeOptions::default() }, false);
    let manager = azote_manage::Manager::open(&*rig::function(&b.card, FunctionId::pf(Kind::Trust)).unwrap()).unwrap();
    let wants = [opcode::FEATURE_ASYNC_EVENT as u32, id::OAES_NAMESPACE.mask() as u32, 0, 0, 0, 0];
    b.admin(admin(opcode::SET_FEATURES, 0, wants, Data::None)).unwrap();
    let whole = manager.binding(Role::Vf(0)).unwrap().expect("a volume");
    let half = azote_manage::Volume { base: whole.blocks / 2, blocks: whole.blocks / 2, ..whole };
    let data = b.buffer.slice(0, 4096).unwrap();
    for (round, volume) in [None, Some(half), None, Some(whole)].into_iter().enumerate() {
        // Reads are in flight while it happens: each ends, well or with "no such namespace".
        for user in 0..16 {
            let lba = 8 * user as u32;
            b.nvme.submit_command(0, admin(opcode::READ, 1, [lba, 0, 7, 0, 0, 0], Data::Slice(data)), user).unwrap();
        }
        match volume {
            Some(volume) => manager.bind(Role::Vf(0), volume).unwrap(),
            None => manager.unbind(Role::Vf(0)).unwrap(),
        }
        for _ in 0..16 {
            match b.nvme.wait(0).unwrap().result {
                Ok(_) => {}
                Err(Failure::Status(s)) => assert_eq!(s.code(), status::INVALID_NAMESPACE, "round {round}"),
                Err(other) => panic!("{other}"),
            }
        }
        b.card.run_idle(100_000);
        let event = b.nvme.next_event().unwrap().expect("an event");
        assert_eq!(
            (u64::from(event.kind), u64::from(event.info), u64::from(event.log)),
            (cmd::EVENT_TYPE_NOTICE, cmd::EVENT_INFO_NAMESPACE, opcode::LOG_CHANGED)
        );
        assert_eq!(&b.log(opcode::LOG_CHANGED, 4096)[..8], [1, 0, 0, 0, 0, 0, 0, 0], "namespace 1 has changed");
        assert_eq!(b.log(opcode::LOG_CHANGED, 4096), [0; 4096], "and that is known now");
        let blocks = b.nvme.rescan().unwrap().map(|n| n.blocks);
        assert_eq!(blocks, volume.map(|v| v.blocks), "round {round}");
    }
    // What the second half of the volume began with was read as block 0 in its time; now it is the whole volume again.
    assert_eq!(b.io(admin(opcode::READ, 1, [0, 0, 7, 0, 0, 0], Data::Slice(data))), status::SUCCESS);
    b.card.assert_clean();
}

#[test]
fn the_effects_log_lists_what_is_carried_out_and_nothing_else() {
    let mut b = bench();
    let page = b.log(opcode::LOG_EFFECTS, log::EFFECTS_SIZE);
    for (first, io) in [(log::EFFECTS_ADMIN, false), (log::EFFECTS_IO, true)] {
        for opc in 0..256u64 {
            // Event requests stay with the controller, and creating and deleting queues is tried elsewhere.
            if !io && [opcode::ASYNC_EVENT, opcode::DELETE_SQ, opcode::DELETE_CQ].contains(&opc) {
                continue;
            }
            let at = (first + 4 * opc) as usize;
            let listed = u64::from(page[at]) & log::EFFECTS_CSUPP != 0;
            let c = admin(opc, 0x55, [0; 6], Data::None);
            let unknown = if io {
                b.io(c) == status::INVALID_OPCODE
            } else {
                matches!(b.admin(c), Err(Error::Status { status, .. }) if status.code() == status::INVALID_OPCODE)
            };
            assert_eq!(listed, !unknown, "opcode {opc:#x}, io {io}");
        }
    }
}

#[test]
fn a_log_page_as_long_as_a_transfer_may_be_ends() {
    let mut b = bench();
    let (bytes, list) = (limits::MAX_TRANSFER, 192 << 10);
    b.buffer.fill(0xee);
    for page in 1..bytes / limits::PAGE_SIZE {
        b.buffer.write_u64(list + 8 * (page - 1), b.buffer.iova() + page * limits::PAGE_SIZE).unwrap();
    }
    let dws = (bytes / 4 - 1) as u32;
    let data = Data::Prps(b.buffer.iova(), b.buffer.iova() + list);
    b.admin(admin(opcode::GET_LOG_PAGE, 0, [dws << 16 | opcode::LOG_SMART as u32, 0, 0, 0, 0, 0], data)).unwrap();
    let mut page = vec![0; bytes as usize + 4];
    b.buffer.read(0, &mut page).unwrap();
    assert!(page[log::SMART_SIZE as usize..bytes as usize].iter().all(|&x| x == 0), "nothing is behind the page");
    assert_eq!(page[bytes as usize..], [0xee; 4], "nor is more written");
}

#[test]
fn one_event_request_too_many_is_refused() {
    let mut b = bench_with(Options::default(), NvmeOptions { events: 8, ..NvmeOptions::default() }, false);
    // The driver leaves as many as the controller takes: four.
    let c = admin(opcode::ASYNC_EVENT, 0, [0; 6], Data::None);
    assert_eq!(code(b.admin(c)), status::EVENT_LIMIT);
}

#[test]
fn controller_reset_leaves_nothing_behind() {
    let mut b = bench();
    let bar = b.nvme.function().bar(0).unwrap();
    let cc = bar.read32(regs::CC).unwrap();
    // Work in flight, and EN falls.
    let slice = b.buffer.slice(0, 128 << 10).unwrap();
    for i in 0..8 {
        b.nvme.submit_command(0, admin(opcode::READ, 1, [i * 64, 0, 255, 0, 0, 0], Data::Slice(slice)), 0).unwrap();
    }
    b.card.root().advance(300);
    bar.write32(regs::CC, cc & !1).unwrap();
    let mut clocks = 0;
    while bar.read32(regs::CSTS).unwrap() & 1 == 1 {
        b.card.root().advance(100);
        clocks += 100;
        assert!(clocks < 1_000_000, "RDY never fell");
    }
    // From here on memory is the host's: nothing may land any more.
    b.buffer.fill(0x77);
    assert!(b.card.run_idle(1_000_000));
    let mut all = vec![0; 256 << 10];
    b.buffer.read(0, &mut all).unwrap();
    assert!(all.iter().all(|b| *b == 0x77));
    // Doorbells of a disabled controller do nothing.
    bar.write32(regs::sq_tail(1), 3).unwrap();
    assert!(b.card.run_idle(1_000_000));
    b.nvme.reset().unwrap();
    while let Some(ended) = b.nvme.poll(0).unwrap() {
        assert_eq!(ended.result, Err(Failure::Reset));
    }
    assert_eq!(b.io(admin(opcode::READ, 1, [0, 0, 255, 0, 0, 0], Data::Slice(slice))), status::SUCCESS);
    b.card.assert_clean();
}

#[test]
fn what_is_not_supported_is_not_enabled() {
    let card = Setup::default().card().unwrap();
    card.set_vfs(FunctionId::pf(Kind::Storage).number(), 1).unwrap();
    let f = rig::function(&card, rig::storage_vf(0).unwrap()).unwrap();
    let bar = azote_seam::Function::bar(&*f, 0).unwrap();
    for bad in [regs::CC_CSS.put(1), regs::CC_MPS.put(1), regs::CC_AMS.put(1)] {
        bar.write32(regs::CC, (regs::CC_ENABLE_VALUE | bad) as u32).unwrap();
        card.run_idle(10_000);
        assert_eq!(bar.read32(regs::CSTS).unwrap(), regs::CSTS_CFS.mask() as u32, "{bad:#x}");
        bar.write32(regs::CC, 0).unwrap();
        card.run_idle(10_000);
        assert_eq!(bar.read32(regs::CSTS).unwrap(), 0);
    }
    bar.write32(regs::CC, (regs::CC_ENABLE_VALUE | regs::CC_SHN.put(regs::SHN_NORMAL)) as u32).unwrap();
    card.run_idle(10_000);
    assert_eq!(regs::CSTS_SHST.of(bar.read32(regs::CSTS).unwrap().into()), regs::SHST_COMPLETE);
    assert_eq!(bar.read64(regs::CAP).unwrap(), regs::CAP_VALUE);
    assert_eq!(bar.read32(regs::VS).unwrap(), regs::VS_VALUE as u32);
}

#[test]
fn a_masked_vector_waits_and_is_sent_once() {
    let options = NvmeOptions { completions: Completions::Interrupts, events: 0, ..NvmeOptions::default() };
    let mut b = bench_with(Options::default(), options, false);
    let f = FunctionId::vf(Kind::Storage, 0).unwrap();
    let bar = b.nvme.function().bar(0).unwrap();
    let slice = b.buffer.slice(0, 4096).unwrap();
    let read = admin(opcode::READ, 1, [0, 0, 7, 0, 0, 0], Data::Slice(slice));
    assert_eq!(b.io(read), status::SUCCESS);
    let control = msix::entry(1) + msix::ENTRY_CONTROL;
    let sent = |b: &Bench| b.card.root().stats().function(f.number()).interrupts;
    let before = sent(&b);
    bar.write32(control, 1).unwrap();
    for _ in 0..3 {
        b.nvme.submit_command(0, read, 0).unwrap();
    }
    b.card.run_idle(100_000);
    assert_eq!(sent(&b), before, "masked");
    assert_eq!(bar.read32(azote_regs::bar::MSIX_PBA).unwrap(), 2, "pending");
    bar.write32(control, 0).unwrap();
    b.card.run_idle(100_000);
    assert_eq!(sent(&b), before + 1, "once");
    assert_eq!(bar.read32(azote_regs::bar::MSIX_PBA).unwrap(), 0);
    // The function's mask does the same.
    for _ in 0..3 {
        b.nvme.wait(0).unwrap().result.unwrap();
    }
    let number = f.number();
    let old = b.card.root().config_read(number, cap::vf::MSIX as u16).unwrap();
    b.card.root().config_write(number, cap::vf::MSIX as u16, old | 1 << 30).unwrap();
    let before = sent(&b);
    b.nvme.submit_command(0, read, 0).unwrap();
    b.card.run_idle(100_000);
    assert_eq!(sent(&b), before);
    b.card.root().config_write(number, cap::vf::MSIX as u16, old).unwrap();
    b.card.run_idle(100_000);
    assert_eq!(sent(&b), before + 1);
    b.card.assert_clean();
}

#[test]
fn without_bus_mastering_nothing_is_sent() {
    let mut b = bench();
    let number = FunctionId::vf(Kind::Storage, 0).unwrap().number();
    b.buffer.fill(0x77);
    let slice = b.buffer.slice(0, 128 << 10).unwrap();
    for _ in 0..4 {
        b.nvme.submit_command(0, admin(opcode::READ, 1, [0, 0, 255, 0, 0, 0], Data::Slice(slice)), 0).unwrap();
    }
    b.card.root().advance(500);
    b.card.root().config_write(number, header::COMMAND as u16, 0).unwrap();
    b.buffer.fill(0x77);
    assert!(b.card.run_idle(1_000_000));
    let mut all = vec![0; 256 << 10];
    b.buffer.read(0, &mut all).unwrap();
    assert!(all.iter().all(|b| *b == 0x77));
    b.card.assert_clean();
}

#[test]
fn unbinding_a_volume_takes_the_namespace_away() {
    let mut b = bench();
    let trust = rig::function(&b.card, FunctionId::pf(Kind::Trust)).unwrap();
    let manager = azote_manage::Manager::open(&*trust).unwrap();
    manager.unbind(Role::Vf(0)).unwrap();
    let slice = b.buffer.slice(0, 4096).unwrap();
    assert_eq!(b.io(admin(opcode::READ, 1, [0, 0, 7, 0, 0, 0], Data::Slice(slice))), status::INVALID_NAMESPACE);
    assert_eq!(le(&b.page(opcode::CNS_ACTIVE_LIST, 0), 0, 8), 0);
    assert!(b.page(opcode::CNS_NAMESPACE, 1).iter().all(|b| *b == 0));
}
