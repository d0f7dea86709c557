//! A small NVMe controller in software, for the driver's tests: it does what NVMe 1.4 says, and on request what it forbids.
//!
//! It keeps to the specification independently of the driver: entries are taken apart with `azote_regs` only.

#![allow(dead_code, clippy::unwrap_used)] // each test file uses a part of it, and fails by panicking

mod admin;
mod io;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use azote_regs::{
    bar,
    function::Kind,
    nvme::{controller as regs, entry, limits},
    pcie::{capability, header, msix},
};
use azote_seam::mock::{Device, Host, Mock};

/// What the model is to do wrong.
#[derive(Default)]
pub struct Faults {
    /// I/O commands on this LBA are never completed.
    pub stuck_lba: Option<u64>,
    /// Aborts of a stuck command are answered, but do nothing.
    pub not_abortable: bool,
    /// Admin commands are not answered any more.
    pub deaf_admin: bool,
    /// Admin commands that stay unanswered even after a reset.
    pub deaf_forever: bool,
    /// The next I/O completion has this command identifier.
    pub wrong_cid: Option<u16>,
    /// The next I/O completion has this submission queue.
    pub wrong_sqid: Option<u16>,
    /// The next I/O completion has this head.
    pub wrong_head: Option<u16>,
    /// I/O on an LBA ends with this status.
    pub status: BTreeMap<u64, u16>,
    /// Flushes end with this status.
    pub flush: Option<u16>,
    /// I/O commands stay where they are.
    pub paused: bool,
    /// The next I/O command ends in Controller Fatal Status.
    pub fatal: bool,
    /// CSTS.RDY never follows CC.EN.
    pub stuck_ready: bool,
    /// CSTS.RDY does not go away but by FLR.
    pub stuck_on: bool,
    /// Every register reads as all ones.
    pub gone: bool,
    /// Every event request is answered at once.
    pub event_storm: bool,
    /// Admin commands are answered with lies made of these bytes, until there are none left.
    pub lies: VecDeque<u8>,
    /// Completions, of admin commands too, are random words with the right phase; the seed.
    pub garbage: Option<u64>,
}

/// A submission or completion queue.
#[derive(Clone, Copy, Default)]
pub struct Ring {
    pub base: u64,
    pub entries: u16,
    /// Of a submission queue: its completion queue.
    pub cq: u16,
    /// Of a completion queue.
    pub vector: Option<u16>,
    pub head: u16,
    pub tail: u16,
    pub phase: bool,
}

impl Ring {
    fn full(&self) -> bool {
        (self.tail + 1) % self.entries == self.head
    }
}

/// A command as fetched.
pub struct Fetched {
    pub sqid: u16,
    pub cid: u16,
    pub opcode: u64,
    pub nsid: u64,
    pub prp: [u64; 2],
    pub cdw: [u64; 6],
}

/// The model.
pub struct Model {
    pub faults: Faults,
    /// The namespace's content; empty: no namespace.
    pub disk: Vec<u8>,
    pub read_only: bool,
    /// Bound to the function at the next step: an event is sent for it.
    pub rebind: Option<Vec<u8>>,
    /// Commands completed, by opcode, I/O only.
    pub done: BTreeMap<u64, u64>,
    /// CDW12 of the last I/O command: block count and flags.
    pub cdw12: u64,
    pub resets: u64,
    pub flrs: u64,
    pub aborts: u64,
    /// I/O queues granted.
    pub grant: u16,
    cc: u64,
    csts: u64,
    aqa: u64,
    asq: u64,
    acq: u64,
    sqs: BTreeMap<u16, Ring>,
    cqs: BTreeMap<u16, Ring>,
    /// Commands that will not complete by themselves.
    held: Vec<(u16, u16)>,
    events: VecDeque<u16>,
    event_pending: Option<u32>,
}

impl Model {
    pub fn new(disk: Vec<u8>) -> Self {
        Self {
            faults: Faults::default(),
            disk,
            read_only: false,
            rebind: None,
            done: BTreeMap::new(),
            cdw12: 0,
            resets: 0,
            flrs: 0,
            aborts: 0,
            grant: limits::IO_QUEUES as u16,
            cc: 0,
            csts: 0,
            aqa: 0,
            asq: 0,
            acq: 0,
            sqs: BTreeMap::new(),
            cqs: BTreeMap::new(),
            held: Vec::new(),
            events: VecDeque::new(),
            event_pending: None,
        }
    }

    /// A function with this model behind it and the configuration space of a storage VF.
    pub fn function(self) -> Arc<Mock<Self>> {
        let mock = Mock::new("model", self);
        mock.set_config32(header::VENDOR_ID, 0x10f1_1af4);
        mock.set_config32(header::CAPABILITIES, capability::vf::FIRST as u32);
        mock.set_config32(capability::vf::MSIX, capability::msix_header(Kind::Storage) as u32);
        mock.set_config32(capability::vf::MSIX + msix::TABLE, msix::TABLE_VALUE as u32);
        mock.set_config32(capability::vf::EXPRESS, capability::EXPRESS_HEADER as u32);
        mock
    }

    /// Ends with every queue forgotten.
    fn stop(&mut self) {
        self.sqs.clear();
        self.cqs.clear();
        self.held.clear();
        self.events.clear();
        self.event_pending = None;
        self.faults.deaf_admin = self.faults.deaf_forever;
    }

    fn write_cc(&mut self, value: u64) {
        let (was, is) = (regs::CC_EN.is_set(self.cc), regs::CC_EN.is_set(value));
        self.cc = value;
        if !was && is && !self.faults.stuck_ready {
            let ring = |base, size| Ring { base, entries: size as u16 + 1, phase: true, ..Ring::default() };
            self.sqs.insert(0, ring(self.asq, regs::AQA_ASQS.of(self.aqa)));
            let cq = Ring { vector: Some(0), ..ring(self.acq, regs::AQA_ACQS.of(self.aqa)) };
            self.cqs.insert(0, cq);
            self.csts = regs::CSTS_RDY.put(1);
        }
        if was && !is {
            self.resets += 1;
            self.stop();
            if !self.faults.stuck_on {
                self.csts = 0;
            }
        }
        if regs::CC_SHN.of(value) != 0 {
            self.csts = regs::CSTS_SHST.set(self.csts, regs::SHST_COMPLETE);
        }
    }

    fn doorbell(&mut self, at: u64, value: u64) {
        let qid = (at / 8) as u16;
        let rings = if at.is_multiple_of(8) { &mut self.sqs } else { &mut self.cqs };
        let Some(ring) = rings.get_mut(&qid) else { panic!("doorbell of queue {qid}, which does not exist") };
        assert!(value < u64::from(ring.entries), "doorbell value {value} of {} entries", ring.entries);
        if at.is_multiple_of(8) { ring.tail = value as u16 } else { ring.head = value as u16 }
    }

    fn fetch(&mut self, sqid: u16, host: &mut Host) -> Option<Fetched> {
        let ring = self.sqs.get_mut(&sqid)?;
        if ring.head == ring.tail || self.cqs.get(&ring.cq)?.full() {
            return None;
        }
        let mut raw = [0; entry::SQE_SIZE as usize];
        assert!(host.read(ring.base + u64::from(ring.head) * entry::SQE_SIZE, &mut raw), "SQE is not mapped");
        ring.head = (ring.head + 1) % ring.entries;
        let dw = |at: u64| u64::from(u32::from_le_bytes(raw[at as usize..][..4].try_into().unwrap()));
        let qw = |at| dw(at) | dw(at + 4) << 32;
        let cdw0 = dw(entry::SQE_CDW0);
        Some(Fetched {
            sqid,
            cid: entry::CDW0_CID.of(cdw0) as u16,
            opcode: entry::CDW0_OPC.of(cdw0),
            nsid: dw(entry::SQE_NSID),
            prp: [qw(entry::SQE_PRP1), qw(entry::SQE_PRP2)],
            cdw: std::array::from_fn(|i| dw(entry::SQE_CDW10 + 4 * i as u64)),
        })
    }

    fn complete(&mut self, sqid: u16, mut cid: u16, status: u64, dw0: u32, host: &mut Host) {
        let sq = self.sqs[&sqid];
        let (mut head, mut id) = (sq.head, sqid);
        if sqid != 0 {
            cid = self.faults.wrong_cid.take().unwrap_or(cid);
            id = self.faults.wrong_sqid.take().unwrap_or(id);
            head = self.faults.wrong_head.take().unwrap_or(head);
        }
        let cq = self.cqs.get_mut(&sq.cq).unwrap();
        assert!(!cq.full(), "completion queue overrun");
        let dw2 = entry::DW2_SQHD.put(head.into()) | entry::DW2_SQID.put(id.into());
        let dw3 =
            entry::DW3_CID.put(cid.into()) | entry::DW3_PHASE.put(cq.phase.into()) | entry::DW3_STATUS.put(status);
        let (mut dw0, mut dw2, mut dw3) = (dw0, dw2, dw3);
        if let Some(seed) = &mut self.faults.garbage {
            // Small numbers mostly, so that some of it is nearly right.
            dw0 = random(seed) as u32;
            dw2 = random(seed) & random(seed) & random(seed);
            dw3 = entry::DW3_PHASE.set(random(seed) & random(seed) & random(seed), cq.phase.into());
        }
        let mut raw = [0; entry::CQE_SIZE as usize];
        raw[..4].copy_from_slice(&dw0.to_le_bytes());
        raw[8..12].copy_from_slice(&(dw2 as u32).to_le_bytes());
        raw[12..].copy_from_slice(&(dw3 as u32).to_le_bytes());
        assert!(host.write(cq.base + u64::from(cq.tail) * entry::CQE_SIZE, &raw), "CQE is not mapped");
        cq.tail += 1;
        if cq.tail == cq.entries {
            (cq.tail, cq.phase) = (0, !cq.phase);
        }
        if let Some(vector) = cq.vector {
            host.interrupt(vector);
        }
    }
}

impl Faults {
    fn lie(&mut self) -> u8 {
        self.lies.pop_front().unwrap_or(0)
    }

    /// Up to 15 bytes of a page are others.
    fn deface(&mut self, page: &mut [u8]) {
        for _ in 0..self.lie() % 16 {
            let at = usize::from(self.lie()) | usize::from(self.lie()) << 8;
            if let Some(byte) = page.get_mut(at) {
                *byte = self.lie();
            }
        }
    }

    /// A command in 16 ends otherwise than it did.
    fn twist(&mut self, code: u64, dw0: u32) -> (u64, u32) {
        match self.lie() {
            0xf0..=0xf7 => (u64::from(self.lie()) | u64::from(self.lie() & 0x7f) << 8, dw0),
            0xf8..=0xff => (code, u32::from_le_bytes(std::array::from_fn(|_| self.lie()))),
            _ => (code, dw0),
        }
    }
}

/// xorshift64*, good enough to be wrong in many ways.
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
}

impl Device for Model {
    fn bar_size(&self, index: usize) -> u64 {
        if index == 0 { bar::BAR0_SIZE } else { 0 }
    }

    fn read(&mut self, _: usize, offset: u64, width: u64) -> u64 {
        if self.faults.gone {
            return u64::MAX >> (64 - 8 * width);
        }
        match offset {
            regs::CAP if width == 8 => regs::CAP_VALUE,
            regs::VS => regs::VS_VALUE,
            regs::CC => self.cc,
            regs::CSTS => self.csts,
            regs::AQA => self.aqa,
            _ => panic!("read of {offset:#x}"),
        }
    }

    fn write(&mut self, _: usize, offset: u64, width: u64, value: u64) {
        match offset {
            _ if self.faults.gone => {}
            regs::CC => self.write_cc(value),
            regs::AQA => self.aqa = value,
            regs::ASQ if width == 8 => self.asq = value,
            regs::ACQ if width == 8 => self.acq = value,
            bar::DOORBELLS..bar::MSIX_TABLE => self.doorbell(offset - bar::DOORBELLS, value),
            _ => panic!("write of {offset:#x}"),
        }
    }

    fn step(&mut self, host: &mut Host) {
        if !regs::CSTS_RDY.is_set(self.csts) || regs::CSTS_CFS.is_set(self.csts) || self.faults.gone {
            return;
        }
        self.step_events(host);
        let ids: Vec<u16> = self.sqs.keys().copied().collect();
        for sqid in ids {
            if sqid != 0 && self.faults.paused {
                continue;
            }
            // One a queue and step, so that commands of several queues interleave.
            if let Some(c) = self.fetch(sqid, host) {
                if sqid == 0 { self.admin(c, host) } else { self.io(c, host) }
            }
        }
    }

    fn reset(&mut self) {
        self.flrs += 1;
        self.stop();
        (self.cc, self.csts) = (0, 0);
    }
}
