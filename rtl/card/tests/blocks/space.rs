//! Configuration space: a write is in force when it is acknowledged, resets silence and clear, errors are recorded where
//! they belong.

use std::collections::HashMap;

use azote_regs::bar;
use azote_regs::function::{FunctionId, KINDS, Kind};
use azote_regs::pcie::{aer, capability::pf, express, header, msix, power, sriov, tlp};
use azote_regs::virtio;
use azote_rtl::config::Space;
use azote_rtl::config::fields::{self, Access, FIELDS, Flr, Row, slot};
use azote_rtl::config::template::Added;
use azote_rtl::transaction::Found;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench;

const VFS: u8 = 4;
/// Where Device Control and the MSI-X capability lie, in PFs and VFs alike.
const DEVICE: u64 = pf::EXPRESS + express::DEVICE_CONTROL;
const FLR: u64 = 1 << 15;

/// What a window of a function looks at: the register's offset, its bytes, and the first one's place.
type Look = (u64, u64, u64);

struct World {
    dut: Dut,
    rng: SmallRng,
    /// Whose pending interrupts were to be looked at, or everybody's.
    kicked: Vec<Option<u64>>,
    /// What the last access was to look at.
    look: Option<Look>,
}

/// `{slot, kind}` of a function.
fn owner(f: FunctionId) -> u64 {
    f.slot() << 2 | f.kind.code()
}

fn all(vfs: u8) -> Vec<FunctionId> {
    let of =
        |kind| std::iter::once(FunctionId::pf(kind)).chain((0..vfs).map(move |i| FunctionId::vf(kind, i).unwrap()));
    Kind::ALL.into_iter().flat_map(of).collect()
}

impl World {
    /// A clock. Who looks through the tags has every other one.
    fn step(&mut self) {
        let turn = self.dut.clocks() % 2;
        self.dut.set("look_turn", turn.into());
        self.dut.clock();
    }

    fn new(seed: u64) -> World {
        Self::with(seed, Default::default())
    }

    fn with(seed: u64, added: [Added; KINDS as usize]) -> World {
        let mut dut = bench::build("space", move || Space::new(VFS.into(), &added));
        dut.set("message_room", 1);
        bench::settle(&mut dut, "busy");
        World { dut, rng: bench::rng(seed), kicked: vec![], look: None }
    }

    /// A configuration access; `None` where there is no function, or one that is being reset.
    fn access(&mut self, number: u8, offset: u64, write: Option<(u64, u8)>) -> Option<u32> {
        let (answer, retry) = self.ask(number, offset, write);
        answer.filter(|_| !retry)
    }

    /// Whether a function says that it is being reset.
    fn retries(&mut self, f: FunctionId) -> bool {
        self.ask(f.number(), 0, None) == (Some(0), true)
    }

    fn ask(&mut self, number: u8, offset: u64, write: Option<(u64, u8)>) -> (Option<u32>, bool) {
        let (data, be) = write.unwrap_or((0, 15));
        self.dut.set("cfg_valid", 1);
        self.dut.set("cfg_write", write.is_some().into());
        self.dut.set("cfg_number", number.into());
        self.dut.set("cfg_dw", (offset / 4).into());
        self.dut.set("cfg_be", be.into());
        self.dut.set("cfg_wdata", data.into());
        for _ in 0..3000 {
            self.dut.eval();
            if self.dut.get("control_kick") == 1 {
                self.kicked.push(Some(self.dut.get("control_kick_owner") as u64));
            }
            if self.dut.get("control_kick_all") == 1 {
                self.kicked.push(None);
            }
            if self.dut.get("cfg_ack") == 1 {
                let read = (self.dut.get("cfg_none") == 0).then(|| self.dut.get("cfg_rdata") as u32);
                let retry = self.dut.get("cfg_retry") == 1;
                let [offset, bytes, lane] =
                    ["offset", "bytes", "lane"].map(|p| self.dut.get(&format!("cfg_{p}")) as u64);
                self.look = (self.dut.get("cfg_window") == 1).then_some((offset, bytes, lane));
                self.step();
                self.dut.set("cfg_valid", 0);
                self.dut.eval();
                return (read, retry);
            }
            self.step();
        }
        panic!("no answer");
    }

    fn read(&mut self, f: FunctionId, offset: u64) -> u64 {
        self.access(f.number(), offset, None).unwrap().into()
    }

    fn write(&mut self, f: FunctionId, offset: u64, v: u64) {
        assert!(self.access(f.number(), offset, Some((v, 15))).is_some());
    }

    fn may(&mut self, f: FunctionId) -> bool {
        self.dut.set("ask", owner(f).into());
        self.dut.eval();
        self.dut.get("may") == 1
    }

    fn enable_vfs_of(&mut self, kind: Kind) {
        let f = FunctionId::pf(kind);
        self.write(f, pf::SRIOV + sriov::NUM_VFS, VFS.into());
        let ari = if kind == Kind::Net { sriov::CONTROL_ARI.mask() } else { 0 };
        self.write(f, pf::SRIOV + sriov::CONTROL, sriov::CONTROL_VF_ENABLE.mask() | sriov::CONTROL_VF_MSE.mask() | ari);
    }

    fn enable_vfs(&mut self) {
        for kind in Kind::ALL {
            self.enable_vfs_of(kind);
        }
    }

    fn disable_vfs(&mut self, kind: Kind) {
        let f = FunctionId::pf(kind);
        let control = self.read(f, pf::SRIOV + sriov::CONTROL) & 0xffff;
        self.write(f, pf::SRIOV + sriov::CONTROL, control & !sriov::CONTROL_VF_ENABLE.mask());
    }

    /// FLR, with everything else of Device Control as it is.
    fn write_flr(&mut self, f: FunctionId) {
        let control = self.read(f, DEVICE) & 0xffff;
        self.write(f, DEVICE, control | FLR);
    }

    /// VFs of every kind, and everybody a bus master.
    fn enable_all(&mut self) {
        self.enable_vfs();
        for f in all(VFS) {
            self.write(f, header::COMMAND, header::COMMAND_BME.mask());
        }
    }

    /// Lets the engines let go of whoever is to be forgotten; says whom.
    fn let_go(&mut self) -> Vec<u64> {
        let mut gone = vec![];
        for _ in 0..20_000 {
            self.dut.eval();
            let done = self.dut.get("reset_valid") == 1 && self.rng.random_ratio(1, 4);
            if done {
                gone.push(self.dut.get("reset_owner") as u64);
            }
            self.dut.set("reset_done", done.into());
            self.step();
            // The engines' answer stays until the request falls.
            while done
                && self.dut.get("reset_valid") == 1
                && self.dut.get("reset_owner") as u64 == *gone.last().unwrap()
            {
                self.step();
            }
            self.dut.set("reset_done", 0);
            self.dut.eval();
            if self.dut.get("busy") == 0 {
                return gone;
            }
        }
        panic!("never quiet");
    }
}

#[test]
fn only_functions_that_exist_answer_and_every_write_stays_with_its_function() {
    let mut w = World::new(1);
    for number in 0..=255u8 {
        let exists = FunctionId::from_number(number).is_some_and(|f| f.slot() == 0);
        assert_eq!(w.access(number, 0, None).is_some(), exists, "before VF Enable: {number:x}");
    }
    w.enable_all();
    for number in 0..=255u8 {
        let exists = FunctionId::from_number(number).is_some_and(|f| f.slot() <= u64::from(VFS));
        assert_eq!(w.access(number, 0, None).is_some(), exists, "after VF Enable: {number:x}");
    }
    // Message Control of MSI-X exists everywhere: one of each, at random, none in another's.
    let mut control: HashMap<u8, u64> = HashMap::new();
    let writable = (msix::CONTROL_ENABLE.mask() | msix::CONTROL_FUNCTION_MASK.mask()) << 16;
    for _ in 0..600 {
        let functions = all(VFS);
        let f = functions[w.rng.random_range(0..functions.len())];
        let v = u64::from(w.rng.random::<u32>());
        w.write(f, pf::MSIX, v);
        control.insert(f.number(), v & writable);
        w.dut.set("control_ask", owner(f).into());
        w.dut.eval();
        let live = (w.dut.get("control_enable") == 1, w.dut.get("control_mask") == 1);
        let high = v >> 16;
        assert_eq!(
            live,
            (msix::CONTROL_ENABLE.is_set(high), msix::CONTROL_FUNCTION_MASK.is_set(high)),
            "in force at once"
        );
        let g = functions[w.rng.random_range(0..functions.len())];
        assert_eq!(w.read(g, pf::MSIX) & writable, control.get(&g.number()).copied().unwrap_or(0));
    }
}

#[test]
fn bus_master_enable_off_is_final_when_it_is_acknowledged() {
    let mut w = World::new(2);
    w.enable_all();
    let mut on: HashMap<u8, bool> = all(VFS).iter().map(|f| (f.number(), true)).collect();
    for _ in 0..400 {
        let functions = all(VFS);
        let f = functions[w.rng.random_range(0..functions.len())];
        let bme = w.rng.random();
        w.write(f, header::COMMAND, if bme { header::COMMAND_BME.mask() } else { 0 });
        on.insert(f.number(), bme);
        for g in functions {
            assert_eq!(w.may(g), on[&g.number()]);
        }
    }
}

#[test]
fn flr_silences_and_clears_its_function_and_nobody_else() {
    let mut w = World::new(3);
    for round in 0..30 {
        w.enable_all();
        let functions = all(VFS);
        let f = functions[(round * 7 + 1) % functions.len()];
        // A PF takes its VFs along.
        let hit = |g: &FunctionId| *g == f || (f.slot() == 0 && g.kind == f.kind);
        w.write(f, DEVICE, FLR);
        for g in &functions {
            assert_eq!(w.may(*g), !hit(g), "{g:?} after FLR of {f:?}");
        }
        // Until the engines let go it says so to everything, registers that are not there too, and takes nothing; but VFs
        // whose PF has forgotten them are nobody.
        assert!(w.retries(f));
        assert_eq!(w.ask(f.number(), 0xffc, None), (Some(0), true));
        assert_eq!(w.ask(f.number(), header::COMMAND, Some((header::COMMAND_BME.mask(), 15))), (Some(0), true));
        assert!(!w.may(f));
        for g in &functions {
            assert_eq!(w.access(g.number(), 0, None).is_some(), !hit(g));
        }
        let mut gone = w.let_go();
        let mut wanted: Vec<u64> = functions.iter().filter(|g| hit(g)).map(|g| owner(*g)).collect();
        gone.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(gone, wanted);
        assert_eq!(w.read(f, header::COMMAND) & 0xffff, 0);
        w.write(f, header::COMMAND, header::COMMAND_BME.mask());
        assert!(w.may(f));
    }
}

#[test]
fn vf_disable_silences_all_vfs_of_its_pf_and_no_other() {
    let mut w = World::new(4);
    for kind in Kind::ALL {
        w.enable_all();
        let control = w.read(FunctionId::pf(kind), pf::SRIOV + sriov::CONTROL);
        w.write(FunctionId::pf(kind), pf::SRIOV + sriov::CONTROL, control & 0xffff & !sriov::CONTROL_VF_ENABLE.mask());
        for f in all(VFS) {
            let disabled = f.kind == kind && f.slot() != 0;
            assert_eq!(w.may(f), !disabled);
            assert_eq!(w.access(f.number(), 0, None).is_some(), !disabled);
        }
        // Enabled again at once: each is there, and says "later" until the engines have let go of it.
        w.write(FunctionId::pf(kind), pf::SRIOV + sriov::CONTROL, control & 0xffff);
        for f in all(VFS).into_iter().filter(|f| f.kind == kind && f.slot() != 0) {
            assert!(w.retries(f) && !w.may(f), "{f:?}");
        }
        assert_eq!(w.let_go().len(), usize::from(VFS));
        for f in all(VFS) {
            assert!(w.access(f.number(), 0, None).is_some(), "{f:?}");
        }
    }
}

#[test]
fn whatever_opens_the_gate_has_pending_interrupts_looked_at() {
    let mut w = World::new(11);
    w.enable_all();
    for f in all(VFS) {
        for (offset, value, kicks) in [
            (header::COMMAND, 0, false),
            (header::COMMAND, header::COMMAND_BME.mask(), true),
            (pf::MSIX, msix::CONTROL_ENABLE.mask() << 16, true),
        ] {
            w.kicked = vec![];
            w.write(f, offset, value);
            assert_eq!(w.kicked, if kicks { vec![Some(owner(f))] } else { vec![] }, "{f:?} {offset:x}");
        }
        if f.slot() == 0 {
            w.kicked = vec![];
            w.write(f, pf::POWER + power::PMCSR, power::D3HOT);
            w.write(f, pf::POWER + power::PMCSR, power::D0);
            assert_eq!(w.kicked, [None, None], "of its VFs too");
        }
    }
}

/// A message: its function and code.
type Message = (u8, u64);

impl World {
    /// Hands over an error and says which messages went out.
    fn find(&mut self, event: u64, owner: Option<u64>, logged: u128) -> Vec<Message> {
        self.dut.set("error_valid", 1);
        self.dut.set("error_owner", owner.unwrap_or(0).into());
        self.dut.set("error_everyone", owner.is_none().into());
        self.dut.set("error_event", event.into());
        self.dut.set("error_header", logged);
        let mut messages = vec![];
        for _ in 0..200 {
            self.dut.eval();
            if self.dut.get("message_valid") == 1 {
                messages.push((self.dut.get("message_owner") as u8, self.dut.get("message_code") as u64));
            }
            let done = self.dut.get("error_ready") == 1;
            self.step();
            if done {
                self.dut.set("error_valid", 0);
                return messages;
            }
        }
        panic!("the error is not taken");
    }

    fn aer(&mut self, kind: Kind, register: u64) -> u64 {
        self.read(FunctionId::pf(kind), pf::AER + register)
    }

    fn status(&mut self, f: FunctionId) -> u64 {
        self.read(f, header::COMMAND) >> 16 & !header::STATUS_CAPABILITIES.mask()
    }

    fn device_status(&mut self, f: FunctionId) -> u64 {
        self.read(f, DEVICE) >> 16
    }

    /// Lets everything out by Device Control.
    fn report(&mut self, f: FunctionId, fields: u64) {
        let old = self.read(f, DEVICE) & 0xfff0;
        self.write(f, DEVICE, old | fields);
    }
}

#[test]
fn an_error_is_recorded_by_its_own_pf_and_by_all_when_nobody_claims_it() {
    let mut w = World::new(5);
    let status = |w: &mut World| Kind::ALL.map(|k| w.aer(k, aer::UNCORRECTABLE_STATUS));
    for round in 0..60 {
        let kind = Kind::ALL[w.rng.random_range(0..KINDS as usize)];
        // A VF that is not enabled is nobody.
        let (event, code, owner) = match round % 4 {
            0 => (Found::MALFORMED, aer::MALFORMED, None),
            1 => (Found::UNSUPPORTED_POSTED, aer::UNSUPPORTED_REQUEST, Some(2 << 2 | kind.code())),
            2 => (Found::UNSUPPORTED_POSTED, aer::UNSUPPORTED_REQUEST, None),
            _ => (Found::TIMEOUT, aer::COMPLETION_TIMEOUT, Some(kind.code())),
        };
        let everyone = round % 4 != 3;
        let logged: u128 = w.rng.random();
        w.find(event, owner, logged);
        // One that comes before the first is cleared leaves the log alone.
        w.find(event, owner, w.rng.clone().random());
        let seen = status(&mut w);
        for k in Kind::ALL {
            let f = FunctionId::pf(k);
            let hit = everyone || k == kind;
            assert_eq!(seen[k as usize], if hit { code.mask() } else { 0 });
            if hit {
                for i in 0..4 {
                    assert_eq!(w.read(f, pf::AER + aer::HEADER_LOG + 4 * i), u64::from((logged >> (32 * i)) as u32));
                }
                assert_eq!(aer::CONTROL_FIRST_ERROR.of(w.aer(k, aer::CONTROL)), u64::from(code.lo));
                // Cleared by writing 1.
                w.write(f, pf::AER + aer::UNCORRECTABLE_STATUS, code.mask());
            }
        }
        assert_eq!(status(&mut w), [0; 3]);
    }
}

#[test]
fn an_error_of_all_pfs_is_one_message_of_each_severity() {
    let mut w = World::new(7);
    let all = express::DEVICE_CONTROL_NONFATAL.mask() | express::DEVICE_CONTROL_FATAL.mask();
    assert_eq!(w.find(Found::MALFORMED, None, 0), [], "nobody may");
    for kind in [Kind::Storage, Kind::Trust] {
        w.report(FunctionId::pf(kind), all);
    }
    assert_eq!(w.find(Found::MALFORMED, None, 0), [(Kind::Storage.code() as u8, tlp::MSG_ERR_FATAL)]);
    // Two of one severity and one of another: a message each (PCIe 6.2.3.2.2).
    w.report(FunctionId::pf(Kind::Net), all);
    let mild = w.aer(Kind::Storage, aer::UNCORRECTABLE_SEVERITY) & !aer::MALFORMED.mask();
    w.write(FunctionId::pf(Kind::Storage), pf::AER + aer::UNCORRECTABLE_SEVERITY, mild);
    let fatal = (Kind::Net.code() as u8, tlp::MSG_ERR_FATAL);
    assert_eq!(w.find(Found::MALFORMED, None, 0), [fatal, (Kind::Storage.code() as u8, tlp::MSG_ERR_NONFATAL)]);
    for kind in Kind::ALL {
        assert_eq!(w.aer(kind, aer::UNCORRECTABLE_STATUS), aer::MALFORMED.mask(), "and all of them have it");
    }
    // While a message may find no room, no error is begun, and configuration space answers.
    w.dut.set("message_room", 0);
    w.dut.set("error_valid", 1);
    for _ in 0..100 {
        assert_eq!(w.dut.get("error_ready") + w.dut.get("message_valid"), 0);
        w.step();
    }
    w.read(FunctionId::pf(Kind::Net), 0);
}

#[test]
fn advisory_errors_are_correctable_ones_unless_they_are_fatal() {
    let mut w = World::new(8);
    let f = FunctionId::pf(Kind::Storage);
    let all = express::DEVICE_CONTROL_CORRECTABLE.mask()
        | express::DEVICE_CONTROL_NONFATAL.mask()
        | express::DEVICE_CONTROL_FATAL.mask()
        | express::DEVICE_CONTROL_UR.mask();
    w.report(f, all);
    w.write(f, header::COMMAND, header::COMMAND_SERR.mask());
    let owner = Some(f.kind.code());
    let events = [
        (Found::UNEXPECTED, aer::UNEXPECTED_COMPLETION),
        (Found::UNSUPPORTED, aer::UNSUPPORTED_REQUEST),
        (Found::POISONED, aer::POISONED),
        (Found::POISONED_COMPLETION, aer::POISONED),
    ];
    for (event, code) in events {
        // Masked as after reset: nothing but the correctable bit (PCIe 6.2.3.2.4).
        w.write(f, pf::AER + aer::CORRECTABLE_MASK, aer::ADVISORY_NONFATAL.mask());
        assert_eq!(w.find(event, owner, 1), []);
        assert_eq!(w.aer(f.kind, aer::UNCORRECTABLE_STATUS), 0);
        assert_eq!(w.aer(f.kind, aer::CORRECTABLE_STATUS), aer::ADVISORY_NONFATAL.mask());
        w.write(f, pf::AER + aer::CORRECTABLE_MASK, 0);
        assert_eq!(w.find(event, owner, 1), [(f.kind.code() as u8, tlp::MSG_ERR_COR)]);
        assert_eq!(w.aer(f.kind, aer::UNCORRECTABLE_STATUS), code.mask());
        let ur = if event == Found::UNSUPPORTED { express::DEVICE_STATUS_UR.mask() } else { 0 };
        assert_eq!(w.device_status(f), express::DEVICE_STATUS_CORRECTABLE.mask() | ur);
        let severity = w.aer(f.kind, aer::UNCORRECTABLE_SEVERITY);
        w.write(f, pf::AER + aer::UNCORRECTABLE_SEVERITY, severity | code.mask());
        assert_eq!(w.find(event, owner, 1), [(f.kind.code() as u8, tlp::MSG_ERR_FATAL)]);
        assert_eq!(
            w.device_status(f),
            (express::DEVICE_STATUS_CORRECTABLE.mask() | express::DEVICE_STATUS_FATAL.mask()) | ur
        );
        w.write(f, pf::AER + aer::UNCORRECTABLE_SEVERITY, severity);
        w.write(f, pf::AER + aer::UNCORRECTABLE_STATUS, code.mask());
        w.write(f, pf::AER + aer::CORRECTABLE_STATUS, aer::ADVISORY_NONFATAL.mask());
        let control = w.read(f, DEVICE) & 0xffff;
        w.write(f, DEVICE, control | 0xf << 16);
    }
}

#[test]
fn serr_enable_lets_messages_out_and_status_tells_what_was_found() {
    let mut w = World::new(9);
    w.enable_all();
    let (f, vf) = (FunctionId::pf(Kind::Storage), FunctionId::vf(Kind::Storage, 1).unwrap());
    let name = |f| Some(owner(f));
    let nonfatal = (f.kind.code() as u8, tlp::MSG_ERR_NONFATAL);
    assert_eq!(w.find(Found::UNSUPPORTED_POSTED, name(f), 0), [], "neither SERR# Enable nor Device Control");
    assert_eq!(w.status(f), 0);
    w.write(f, header::COMMAND, header::COMMAND_SERR.mask());
    assert_eq!(w.find(Found::UNSUPPORTED_POSTED, name(f), 0), [nonfatal]);
    assert_eq!(w.status(f), header::STATUS_SIGNALED_SYSTEM_ERROR.mask());
    let clear = |w: &mut World, f| {
        let command = w.read(f, header::COMMAND) & 0xffff;
        w.write(f, header::COMMAND, command | 0xffff_0000);
        assert_eq!(w.status(f), 0, "cleared by writing 1");
    };
    clear(&mut w, f);
    // By Device Control the message goes as well, and no system error is signaled.
    w.write(f, header::COMMAND, 0);
    w.report(f, express::DEVICE_CONTROL_NONFATAL.mask());
    assert_eq!(w.find(Found::TIMEOUT, name(f), 0), [nonfatal]);
    assert_eq!(w.status(f), 0);
    for g in [f, vf] {
        for parity in [0, header::COMMAND_PARITY.mask()] {
            w.write(f, header::COMMAND, parity);
            // Master Data Parity Error only when the PF responds to parity.
            let mastered = if parity == 0 { 0 } else { header::STATUS_MASTER_DATA_PARITY.mask() };
            for (event, bits) in [
                (Found::MASTER_ABORT, header::STATUS_RECEIVED_MASTER_ABORT.mask()),
                (Found::TARGET_ABORT, header::STATUS_RECEIVED_TARGET_ABORT.mask()),
                (Found::POISONED, header::STATUS_DETECTED_PARITY.mask()),
                (Found::POISONED_POSTED, header::STATUS_DETECTED_PARITY.mask()),
                (Found::POISONED_COMPLETION, header::STATUS_DETECTED_PARITY.mask() | mastered),
            ] {
                let before = w.device_status(g);
                w.find(event, name(g), 0);
                assert_eq!(w.status(g), bits, "{event} of {g:?}");
                if bits & (header::STATUS_RECEIVED_MASTER_ABORT.mask() | header::STATUS_RECEIVED_TARGET_ABORT.mask())
                    != 0
                {
                    assert_eq!(w.device_status(g), before, "no error of ours");
                }
                clear(&mut w, g);
            }
        }
    }
    for g in all(VFS).into_iter().filter(|g| ![f, vf].contains(g)) {
        assert_eq!((w.status(g), w.device_status(g)), (0, 0), "{g:?}");
    }
}

/// Makes the bits of a field something else than after reset, as far as this can be done.
fn disturb(w: &mut World, f: FunctionId, field: &Row) {
    let whose = Some(owner(f));
    match field.access {
        Access::Rw => {
            let v = match field.slot {
                slot::NUM_VFS => 2,
                slot::PAGE_SIZE => 0x10,
                _ => (w.read(f, field.offset) ^ field.mask) & field.mask,
            };
            let others = w.read(f, field.offset) & !field.mask;
            w.write(f, field.offset, others | v);
        }
        // What the card sets: all sorts of errors, the log last.
        Access::Rw1c | Access::Ro => {
            w.write(FunctionId::pf(f.kind), pf::AER + aer::CORRECTABLE_MASK, 0);
            for event in
                [Found::MASTER_ABORT, Found::TARGET_ABORT, Found::POISONED_COMPLETION, Found::UNSUPPORTED_POSTED]
            {
                w.find(event, whose, u128::MAX / 3);
            }
        }
    }
}

#[test]
fn every_field_is_reset_or_kept_by_flr_vf_disable_and_reset_as_the_table_says() {
    // Net functions have a window, behind another capability.
    let net = Added { constant: vec![vec![0x1234_0009, 0x5678]], window: true };
    let at = net.window().unwrap();
    let mut w = World::with(10, [net, Added::default(), Added::default()]);
    let fresh: HashMap<(FunctionId, u64), u64> = {
        w.enable_vfs();
        all(VFS)
            .into_iter()
            .flat_map(|f| (0..0x200).step_by(4).map(move |at| (f, at)))
            .map(|(f, at)| ((f, at), w.read(f, at)))
            .collect()
    };
    let at_power_on = |w: &mut World| {
        w.dut.reset();
        bench::settle(&mut w.dut, "busy");
    };
    let mut seen = 0;
    let windows = fields::window(at);
    for (field, only) in FIELDS.iter().map(|f| (*f, None)).chain(windows.map(|f| (f, Some(Kind::Net)))) {
        let has = |f: &FunctionId| field.in_.has(f.kind, f.slot() != 0) && only.is_none_or(|kind| f.kind == kind);
        for f in all(VFS).into_iter().filter(has) {
            at_power_on(&mut w);
            let bits = field.mask;
            // A PF's own, before it has VFs that hold it.
            if f.slot() != 0 {
                w.enable_vfs();
            } else if field.offset == pf::SRIOV + sriov::CONTROL && f.kind != Kind::Net {
                w.write(FunctionId::pf(Kind::Net), pf::SRIOV + sriov::CONTROL, sriov::CONTROL_ARI.mask());
            }
            let before = w.read(f, field.offset) & bits;
            disturb(&mut w, f, &field);
            let changed = w.read(f, field.offset) & bits;
            assert_ne!(changed, before, "{} of {f:?} can be changed", field.name);
            seen += 1;
            w.write_flr(f);
            w.let_go();
            let after = w.read(f, field.offset) & bits;
            let wanted = if field.flr == Flr::Keeps { changed } else { before };
            assert_eq!(after, wanted, "{} of {f:?}: FLR {:?} it", field.name, field.flr);
            // VF disable resets what a VF has, and nothing of its PF's but VF Enable itself.
            at_power_on(&mut w);
            w.enable_vfs();
            let pf_of = FunctionId::pf(f.kind);
            if f.slot() != 0 {
                disturb(&mut w, f, &field);
                w.disable_vfs(f.kind);
                w.let_go();
                w.enable_vfs_of(f.kind);
                assert_eq!(w.read(f, field.offset) & bits, before, "{} of {f:?}: VF disable resets it", field.name);
            } else if ![slot::NUM_VFS, slot::PAGE_SIZE, slot::SRIOV_CONTROL].contains(&field.slot) {
                disturb(&mut w, f, &field);
                let changed = w.read(f, field.offset) & bits;
                w.disable_vfs(f.kind);
                w.let_go();
                assert_eq!(
                    w.read(pf_of, field.offset) & bits,
                    changed,
                    "{} of {f:?}: VF disable leaves it",
                    field.name
                );
            }
            at_power_on(&mut w);
            w.enable_vfs();
            assert_eq!(w.read(f, field.offset), fresh[&(f, field.offset)], "{} of {f:?}: reset", field.name);
        }
    }
    assert!(seen > 100, "{seen}");
}

#[test]
fn bars_say_their_size_and_decoding_follows_them() {
    let mut w = World::new(6);
    for kind in Kind::ALL {
        let f = FunctionId::pf(kind);
        for at in [header::BAR0, pf::SRIOV + sriov::VF_BAR0] {
            w.write(f, at, 0xffff_ffff);
            w.write(f, at + 4, 0xffff_ffff);
            assert_eq!(w.read(f, at), 0xffff_ffff & !(bar::BAR0_SIZE - 1) | header::BAR_FLAGS);
            let base = u64::from(w.rng.random::<u32>()) << 20;
            w.write(f, at, base & 0xffff_ffff);
            w.write(f, at + 4, base >> 32);
            let port = if at == header::BAR0 { "bar0" } else { "vf_bar0" };
            assert_eq!(w.dut.get(&format!("apertures_{}_{port}", kind as u8)), (base >> 14).into());
        }
        w.write(f, header::COMMAND, header::COMMAND_MSE.mask());
        assert_eq!(w.dut.get(&format!("apertures_{}_memory", kind as u8)), 1);
    }
}

/// The offset of a function's capability of this id, and of virtio's type if it has one.
fn capability(w: &mut World, f: FunctionId, id: u64, cfg_type: Option<u64>) -> Option<u64> {
    let mut at = w.read(f, header::CAPABILITIES) & 0xff;
    for _ in 0..48 {
        if at == 0 {
            return None;
        }
        let first = w.read(f, at);
        if first & 0xff == id && cfg_type.is_none_or(|t| virtio::pci::CFG_TYPE.of(first) == t) {
            return Some(at);
        }
        at = first >> 8 & 0xff;
    }
    panic!("the list of {f:?} does not end");
}

#[test]
fn a_window_looks_where_its_own_function_was_told_and_nowhere_else() {
    let added = |window| Added { constant: vec![vec![0x1010_0009, 1, 2, 3]], window };
    let mut w = World::with(12, [added(true), added(false), Added { window: true, ..Added::default() }]);
    w.enable_all();
    let functions = all(VFS);
    let windows: Vec<Option<u64>> =
        functions.iter().map(|f| capability(&mut w, *f, virtio::pci::ID, Some(virtio::pci::PCI_CFG))).collect();
    for (f, at) in functions.iter().zip(&windows) {
        assert_eq!(at.is_some(), f.kind != Kind::Storage, "{f:?}");
        assert_eq!(capability(&mut w, *f, virtio::pci::ID, Some(0x10)).is_some(), f.kind != Kind::Trust);
    }
    let mut told: HashMap<FunctionId, [u64; 3]> = HashMap::new();
    let mut seen = 0;
    for _ in 0..3000 {
        let i = w.rng.random_range(0..functions.len());
        let f = functions[i];
        let Some(at) = windows[i] else {
            // Nothing of a function without one is a window.
            let offset = w.rng.random_range(0..0x400) & !3;
            w.read(f, offset);
            assert_eq!((w.look, w.dut.get("cfg_window")), (None, 0), "{f:?} at {offset:#x}");
            continue;
        };
        if w.rng.random() {
            let bar = [0, 0, 0, 0, 1, 0x80][w.rng.random_range(0..6)];
            let offset = match w.rng.random_range(0..6) {
                0 => u64::from(w.rng.random::<u32>()),
                1 => bar::MSIX_TABLE - w.rng.random_range(0..8),
                2 => w.rng.random_range(0..bar::BAR0_SIZE),
                _ => w.rng.random_range(0..bar::MSIX_TABLE),
            };
            let length = [0, 1, 1, 2, 2, 4, 3, 0x104][w.rng.random_range(0..8)];
            for (register, v) in [(virtio::pci::BAR, bar), (virtio::pci::OFFSET, offset), (virtio::pci::LENGTH, length)]
            {
                w.write(f, at + register, v);
                assert_eq!(w.look, None);
                assert_eq!(w.read(f, at + register), v, "what was written is read");
            }
            told.insert(f, [bar, offset, length]);
        }
        if w.rng.random_ratio(1, 40) {
            w.write_flr(f);
            w.let_go();
            told.retain(|g, _| *g != f && (f.slot() != 0 || g.kind != f.kind));
            w.enable_all();
        }
        let be = if w.rng.random() { 15 } else { w.rng.random_range(0..16) };
        let write = w.rng.random::<bool>().then(|| (w.rng.random::<u32>().into(), be));
        let enabled = write.map_or(15, |(_, be)| u64::from(be));
        assert_eq!(w.access(f.number(), at + virtio::pci::DATA, write), Some(0));
        let [bar, offset, length] = told.get(&f).copied().unwrap_or([0; 3]);
        let good =
            bar == 0 && [1, 2, 4].contains(&length) && offset % length == 0 && offset + length <= bar::MSIX_TABLE;
        let lane = offset % 4;
        let bytes = if good { (enabled & ((1 << length) - 1)) << lane } else { 0 };
        let wanted = (bytes != 0).then_some((offset & !3, bytes, lane));
        assert_eq!(w.look, wanted, "{f:?}: bar {bar}, offset {offset:#x}, length {length}, bytes {enabled:x}");
        seen += usize::from(wanted.is_some());
    }
    assert!(seen > 200, "{seen}");
    // Not of a PF that sleeps, nor of its VFs.
    let f = FunctionId::pf(Kind::Net);
    for (g, at) in functions.iter().zip(&windows).filter(|(g, _)| g.kind == Kind::Net) {
        let at = at.unwrap();
        w.write(*g, at + virtio::pci::BAR, 0);
        w.write(*g, at + virtio::pci::OFFSET, 0x14);
        w.write(*g, at + virtio::pci::LENGTH, 2);
        w.write(f, pf::POWER + power::PMCSR, power::D3HOT);
        assert_eq!((w.read(*g, at + virtio::pci::DATA), w.look), (0, None));
        w.write(f, pf::POWER + power::PMCSR, power::D0);
        assert_eq!((w.read(*g, at + virtio::pci::DATA), w.look), (0, Some((0x14, 3, 0))));
    }
    // A function that is being reset has none.
    w.write_flr(functions[1]);
    let at = windows[1].unwrap();
    assert_eq!((w.ask(functions[1].number(), at + virtio::pci::DATA, None), w.look), ((Some(0), true), None));
}
