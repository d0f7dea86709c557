//! MSI-X against a table and a pending-bit array in Rust: what is masked waits, what is off is forgotten.

use azote_regs::bar;
use azote_regs::function::FunctionId;
use azote_regs::pcie::{msix, tlp};
use azote_rtl::dma::read::ENGINES;
use azote_rtl::interrupt::Msix;
use azote_rtl::transaction::header::Sends;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench::{self, Packet, Packets};

const VFS: u8 = 4;
const BUS: u64 = 0x77;
/// Everything that asks is answered in so many clocks, whatever the link does.
const ANSWER: usize = 64;
/// The most that a function has.
const VECTORS: usize = bar::MSIX_VECTORS[0] as usize;

/// How many this one has.
fn vectors(owner: u8) -> usize {
    bar::MSIX_VECTORS[usize::from(owner & 3)] as usize
}

#[derive(Clone, Copy)]
struct Entry {
    address: u64,
    data: u32,
    masked: bool,
}

#[derive(Clone)]
struct Function {
    entries: [Entry; VECTORS],
    pending: u16,
    enable: bool,
    mask: bool,
}

const AT_RESET: Function = Function {
    entries: [Entry { address: 0, data: 0, masked: true }; VECTORS],
    pending: 0,
    enable: false,
    mask: false,
};

struct World {
    dut: Dut,
    rng: SmallRng,
    link: Packets,
    seen: Vec<Packet>,
    /// By `{slot, kind}`.
    functions: Vec<Function>,
    /// What must have been sent: owner, vector's entry.
    owed: Vec<(u8, Entry)>,
    /// Functions whose messages the door swallows.
    shut: Vec<u8>,
}

fn number(owner: u8) -> u8 {
    let kind = azote_regs::function::Kind::from_code((owner & 3).into()).unwrap();
    let f = if owner >> 2 == 0 { Some(FunctionId::pf(kind)) } else { FunctionId::vf(kind, (owner >> 2) - 1) };
    f.unwrap().number()
}

impl World {
    fn new(seed: u64) -> World {
        let mut dut = bench::build("msix", || Msix::new(VFS.into(), [true; ENGINES]));
        bench::settle(&mut dut, "busy");
        let functions = vec![AT_RESET; usize::from(VFS + 1) * 4];
        World {
            dut,
            rng: bench::rng(seed),
            link: Packets::new("tx_", 50),
            seen: vec![],
            functions,
            owed: vec![],
            shut: vec![],
        }
    }

    fn owner(&mut self) -> u8 {
        self.rng.random_range(0..=VFS) << 2 | self.rng.random_range(0..3)
    }

    fn clock(&mut self) {
        self.link.drive(&mut self.dut, &mut self.rng);
        self.dut.eval();
        let f = &self.functions[self.dut.get("control_ask") as usize % self.functions.len()];
        self.dut.set("control_enable", f.enable.into());
        self.dut.set("control_mask", f.mask.into());
        let killed = self.shut.contains(&(self.dut.get("tx_owner") as u8));
        self.dut.set("tx_killed", killed.into());
        self.dut.eval();
        let sends = self.dut.get("tx_valid") == 1;
        assert_eq!(self.dut.get("sends") == 1, sends);
        assert!(!sends || self.dut.get("sends_owner") == self.dut.get("tx_owner"));
        if let Some(packet) = self.link.taken(&self.dut)
            && !killed
        {
            self.seen.push(packet.signed(Sends::WRITE, BUS));
        }
    }

    /// Holds a request until `port` answers.
    fn until(&mut self, port: &str) {
        for _ in 0..ANSWER {
            self.clock();
            let done = self.dut.get(port) == 1;
            if done {
                return;
            }
            self.dut.clock();
        }
        panic!("no {port}");
    }

    fn settle(&mut self) {
        for _ in 0..2000 {
            self.clock();
            let busy = self.dut.get("busy") == 1;
            self.dut.clock();
            if !busy {
                return self.check();
            }
        }
        panic!("busy for ever");
    }

    fn check(&mut self) {
        assert_eq!(self.seen.len(), self.owed.len());
        for (p, (owner, e)) in self.seen.drain(..).zip(self.owed.drain(..)) {
            let long = e.address >> 32 != 0;
            assert_eq!(tlp::FMT_TYPE.of(p.dw(0)), if long { tlp::MWR64 } else { tlp::MWR32 });
            let at = if long { p.dw(2) << 32 | p.dw(3) } else { p.dw(2) };
            assert_eq!((at, p.payload.as_slice()), (e.address & !3, [e.data].as_slice()));
            assert_eq!((tlp::LENGTH.of(p.dw(0)), tlp::FIRST_BE.of(p.dw(1)), tlp::LAST_BE.of(p.dw(1))), (1, 15, 0));
            assert_eq!(tlp::REQUESTER_ID.of(p.dw(1)), tlp::ID_BUS.put(BUS) | u64::from(number(owner)));
            assert_eq!(p.owner, owner);
        }
    }

    fn access(&mut self, owner: u8, write: Option<(u32, u8)>, offset: u64) -> u32 {
        self.dut.set("bus_valid", 1);
        self.dut.set("bus_write", write.is_some().into());
        self.dut.set("bus_owner", owner.into());
        self.dut.set("bus_offset", offset.into());
        let (data, be) = write.unwrap_or((0, 15));
        self.dut.set("bus_wdata", data.into());
        self.dut.set("bus_be", be.into());
        self.until("bus_ack");
        let read = self.dut.get("bus_rdata") as u32;
        self.dut.clock();
        self.dut.set("bus_valid", 0);
        read
    }

    fn write(&mut self, owner: u8, offset: u64, data: u32, be: u8) {
        let mask = (0..4).fold(0u32, |m, i| if be >> i & 1 == 1 { m | 0xff << (8 * i) } else { m });
        let at = offset - bar::MSIX_TABLE;
        let vector = (at / msix::ENTRY_SIZE) as usize;
        if offset < bar::MSIX_PBA && vector < vectors(owner) {
            let f = &mut self.functions[usize::from(owner)];
            let e = &mut f.entries[vector];
            let merge = |old: u32| old & !mask | data & mask;
            match at % msix::ENTRY_SIZE {
                msix::ENTRY_ADDRESS_LO => e.address = e.address >> 32 << 32 | u64::from(merge(e.address as u32)),
                msix::ENTRY_ADDRESS_HI => {
                    e.address = e.address & 0xffff_ffff | u64::from(merge((e.address >> 32) as u32)) << 32;
                }
                msix::ENTRY_DATA => e.data = merge(e.data),
                _ => {
                    e.masked = msix::ENTRY_CONTROL_MASK.is_set(merge(e.masked.into()).into());
                    // What was waiting for it goes now.
                    if f.pending >> vector & 1 == 1 && f.enable && !f.mask && !e.masked {
                        f.pending &= !(1 << vector);
                        self.owed.push((owner, *e));
                    }
                }
            }
        }
        self.access(owner, Some((data, be)), offset);
    }

    fn expect(&self, owner: u8, offset: u64) -> u32 {
        let f = &self.functions[usize::from(owner)];
        if offset >= bar::MSIX_PBA {
            return if offset == bar::MSIX_PBA { f.pending.into() } else { 0 };
        }
        let at = offset - bar::MSIX_TABLE;
        let table = &f.entries[..vectors(owner)];
        let Some(e) = table.get((at / msix::ENTRY_SIZE) as usize) else { return 0 };
        match at % msix::ENTRY_SIZE {
            msix::ENTRY_ADDRESS_LO => e.address as u32,
            msix::ENTRY_ADDRESS_HI => (e.address >> 32) as u32,
            msix::ENTRY_DATA => e.data,
            _ => e.masked.into(),
        }
    }

    fn interrupt(&mut self, owner: u8, vector: usize) {
        let f = &mut self.functions[usize::from(owner)];
        if f.enable && (f.mask || f.entries[vector].masked) {
            f.pending |= 1 << vector;
        } else if f.enable {
            f.pending &= !(1 << vector);
            self.owed.push((owner, f.entries[vector]));
        }
        let engine = owner & 3;
        self.dut.set(&format!("irq_{engine}_owner"), owner.into());
        self.dut.set(&format!("irq_{engine}_vector"), vector as u128);
        self.dut.set(&format!("irq_{engine}_valid"), 1);
        self.until(&format!("irq_{engine}_ready"));
        self.dut.clock();
        self.dut.set(&format!("irq_{engine}_valid"), 0);
    }

    /// A write of Message Control.
    fn control(&mut self, owner: u8, enable: bool, mask: bool) {
        let f = &mut self.functions[usize::from(owner)];
        (f.enable, f.mask) = (enable, mask);
        for v in 0..vectors(owner) {
            if enable && !mask && f.pending >> v & 1 == 1 && !f.entries[v].masked {
                f.pending &= !(1 << v);
                self.owed.push((owner, f.entries[v]));
            }
        }
        self.dut.set("control_kick", 1);
        self.dut.set("control_kick_owner", owner.into());
        self.clock();
        self.dut.clock();
        self.dut.set("control_kick", 0);
    }

    fn forget(&mut self, owner: u8) {
        self.functions[usize::from(owner)] = AT_RESET;
        self.dut.set("reset_valid", 1);
        self.dut.set("reset_owner", owner.into());
        self.until("reset_done");
        self.dut.clock();
        self.dut.set("reset_valid", 0);
    }
}

#[test]
fn vectors_are_sent_or_wait_or_are_forgotten_as_masks_say() {
    let mut w = World::new(1);
    let mut sent = 0;
    for _ in 0..6000 {
        let owner = w.owner();
        let vector = w.rng.random_range(0..vectors(owner));
        match w.rng.random_range(0..20) {
            0..6 => {
                let field = w.rng.random_range(0..4) * 4;
                let (data, be) = (w.rng.random(), w.rng.random_range(0..16));
                w.write(owner, msix::entry(vector as u64) + field, data, be);
            }
            6..9 => w.write(owner, msix::entry(vector as u64) + msix::ENTRY_CONTROL, 0, 15),
            9..14 => w.interrupt(owner, vector),
            14..16 => {
                let (enable, mask) = (w.rng.random_bool(0.8), w.rng.random_bool(0.3));
                w.control(owner, enable, mask);
            }
            16 if w.rng.random_ratio(1, 8) => w.forget(owner),
            17 => {
                // The pending bits cannot be written, and beyond the table is nothing.
                let offset = w.rng.random_range(bar::MSIX_TABLE + vectors(owner) as u64 * 16..bar::BAR0_SIZE) & !3;
                let data = w.rng.random();
                w.write(owner, offset, data, 15);
            }
            _ => {
                let near = w.rng.random_range(0..80) * 4;
                let offset = if w.rng.random() { bar::MSIX_TABLE } else { bar::MSIX_PBA } + near;
                assert_eq!(w.access(owner, None, offset), w.expect(owner, offset), "{owner:x} {offset:x}");
            }
        }
        sent += w.owed.len();
        w.settle();
    }
    assert!(sent > 500, "{sent}");
}

#[test]
fn the_table_of_every_function_wakes_masked_and_a_reset_masks_it_again() {
    let mut w = World::new(2);
    for round in 0..2 {
        for owner in (0..=VFS << 2 | 2).filter(|o| o & 3 != 3) {
            for vector in 0..vectors(owner) as u64 {
                for field in (0..msix::ENTRY_SIZE).step_by(4) {
                    let offset = msix::entry(vector) + field;
                    assert_eq!(w.access(owner, None, offset), u32::from(field == msix::ENTRY_CONTROL), "round {round}");
                    w.write(owner, offset, 0, 15);
                    w.write(owner, offset, if field == msix::ENTRY_CONTROL { 0 } else { 0xffff_fffc }, 15);
                }
            }
            w.forget(owner);
            w.settle();
        }
    }
}

impl World {
    /// Enabled, and every vector with an address of its own, unmasked.
    fn ready(&mut self, owner: u8) {
        self.control(owner, true, false);
        for vector in 0..vectors(owner) as u64 {
            self.write(owner, msix::entry(vector), u32::from(owner) << 8 | (vector as u32) << 4, 15);
            self.write(owner, msix::entry(vector) + msix::ENTRY_DATA, vector as u32, 15);
            self.write(owner, msix::entry(vector) + msix::ENTRY_CONTROL, 0, 15);
        }
        self.settle();
    }

    fn pba(&mut self, owner: u8) -> u32 {
        self.access(owner, None, bar::MSIX_PBA)
    }

    fn rest(&mut self) {
        for _ in 0..5000 {
            self.clock();
            let busy = self.dut.get("busy") == 1;
            self.dut.clock();
            if !busy {
                return;
            }
        }
        panic!("busy for ever");
    }
}

#[test]
fn a_message_that_the_door_swallows_stays_pending_and_goes_when_the_function_may_send_again() {
    let mut w = World::new(3);
    let (mut lost, mut sent) = (0, 0);
    for round in 0..300 {
        let owner = w.owner();
        w.forget(owner);
        w.ready(owner);
        w.shut = vec![owner];
        let vectors: Vec<usize> = (0..vectors(owner)).filter(|_| w.rng.random()).collect();
        for v in &vectors {
            w.interrupt(owner, *v);
        }
        w.owed.clear();
        w.rest();
        let bits = vectors.iter().fold(0, |b, v| b | 1 << v);
        assert_eq!((w.pba(owner), w.seen.len()), (bits, 0), "round {round}");
        if round % 3 == 0 {
            // FLR while one is on its way: nothing of it comes back.
            w.link.percent(0);
            w.interrupt(owner, 0);
            for _ in 0..10 {
                w.clock();
                w.dut.clock();
            }
            w.forget(owner);
            w.link.percent(50);
            w.owed.clear();
            w.rest();
            assert_eq!((w.pba(owner), w.seen.len()), (0, 0), "a reset function remembers an interrupt");
            lost += 1;
        } else {
            w.shut.clear();
            let port = if round % 3 == 1 { "control_kick" } else { "control_kick_all" };
            w.dut.set("control_kick_owner", owner.into());
            w.dut.set(port, 1);
            w.clock();
            w.dut.clock();
            w.dut.set(port, 0);
            w.rest();
            w.seen.sort_by_key(|p| p.payload[0]);
            let entries = w.functions[usize::from(owner)].entries;
            w.owed = vectors.iter().map(|v| (owner, entries[*v])).collect();
            sent += vectors.len();
            w.check();
            assert_eq!(w.pba(owner), 0);
        }
    }
    assert!(lost > 50 && sent > 500);
}

#[test]
fn a_link_that_takes_nothing_holds_up_neither_tables_nor_resets_nor_interrupts_and_loses_none() {
    let mut w = World::new(4);
    let owners: Vec<u8> = (0..=VFS << 2 | 2).filter(|o| o & 3 != 3).collect();
    for round in 0..20 {
        for owner in &owners {
            w.forget(*owner);
            w.ready(*owner);
        }
        w.link.percent(0);
        // One that may never send is among them, with all its vectors.
        let never = owners[round % owners.len()];
        w.shut = vec![never];
        let mut told: Vec<(u8, usize)> = vec![];
        for v in 0..vectors(never) {
            told.push((never, v));
            w.interrupt(never, v);
        }
        for _ in 0..150 {
            let owner = owners[w.rng.random_range(0..owners.len())];
            let vector = w.rng.random_range(0..vectors(owner));
            w.interrupt(owner, vector);
            told.push((owner, vector));
            // Answered in time, or `until` panics.
            w.access(owner, None, bar::MSIX_PBA);
        }
        let gone = owners[(round + 1) % owners.len()];
        w.forget(gone);
        w.owed.clear();
        w.seen.clear();
        w.link.percent(60);
        w.rest();
        told.sort_unstable();
        told.dedup();
        // Those of one that was reset meanwhile need not come; the message that was on its way may.
        for (owner, vector) in told.iter().filter(|t| t.0 != gone && t.0 != never) {
            let n = w.seen.iter().filter(|p| p.owner == *owner && p.payload[0] == *vector as u32).count();
            assert!(n >= 1, "round {round}: vector {vector} of {owner:x} is lost");
        }
        assert!(w.seen.iter().all(|p| told.contains(&(p.owner, p.payload[0] as usize))));
        assert_eq!(w.pba(never), (1 << vectors(never)) - 1);
        assert!(owners.iter().filter(|o| **o != never).all(|o| w.pba(*o) == 0), "something still waits");
        w.seen.clear();
        w.shut.clear();
    }
}

#[test]
fn a_vector_that_comes_again_behind_the_scan_is_sent_again() {
    let mut w = World::new(9);
    let owner = 1;
    w.forget(owner);
    w.ready(owner);
    w.link.percent(0);
    // The first is the message that waits for the link, the others are pending.
    for v in [2, 5, 6] {
        w.interrupt(owner, v);
    }
    w.owed.clear();
    w.link.percent(100);
    while w.seen.is_empty() {
        w.clock();
        w.dut.clock();
    }
    // The scan stands at the last of them.
    w.link.percent(0);
    for _ in 0..800 {
        w.clock();
        w.dut.clock();
    }
    w.interrupt(owner, 2);
    w.owed.clear();
    w.link.percent(100);
    w.rest();
    let mut got: Vec<u32> = w.seen.drain(..).map(|p| p.payload[0]).collect();
    got.sort_unstable();
    assert_eq!((got, w.pba(owner)), (vec![2, 2, 5, 6], 0));
}

#[test]
fn engines_that_ask_at_once_are_each_answered_once_and_lose_nothing() {
    let mut w = World::new(10);
    let owners = [4, 5, 6];
    for owner in owners {
        w.forget(owner);
        w.ready(owner);
    }
    for round in 0..200u32 {
        for owner in owners {
            let engine = owner & 3;
            w.dut.set(&format!("irq_{engine}_owner"), owner.into());
            w.dut.set(&format!("irq_{engine}_vector"), (round % 2).into());
            w.dut.set(&format!("irq_{engine}_valid"), 1);
        }
        let mut left: Vec<u8> = owners.to_vec();
        for _ in 0..ANSWER {
            w.clock();
            let ready: Vec<u8> = (0..3).filter(|e| w.dut.get(&format!("irq_{e}_ready")) == 1).collect();
            assert!(ready.len() <= 1, "{ready:?} are answered at once");
            w.dut.clock();
            for engine in ready {
                assert!(left.contains(&(4 | engine)), "{engine} is answered twice");
                left.retain(|o| o & 3 != engine);
                w.dut.set(&format!("irq_{engine}_valid"), 0);
            }
            if left.is_empty() {
                break;
            }
        }
        assert!(left.is_empty(), "{left:?} wait");
        w.owed.clear();
        w.rest();
        let mut came: Vec<(u8, u32)> = w.seen.drain(..).map(|p| (p.owner, p.payload[0])).collect();
        came.sort_unstable();
        assert_eq!(came, owners.map(|o| (o, round % 2)), "round {round}");
    }
}
