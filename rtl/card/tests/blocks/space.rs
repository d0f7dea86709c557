//! Configuration space: a write is in force when it is acknowledged, resets silence and clear, errors are recorded where
//! they belong.

use std::collections::HashMap;

use azote_regs::bar;
use azote_regs::function::{FunctionId, KINDS, Kind};
use azote_regs::pcie::{aer, capability::pf, express, header, msix, sriov};
use azote_rtl::config::Space;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench;

const VFS: u8 = 4;
/// Where Device Control and the MSI-X capability lie, in PFs and VFs alike.
const DEVICE: u64 = pf::EXPRESS + express::DEVICE_CONTROL;
const FLR: u64 = 1 << 15;

struct World {
    dut: Dut,
    rng: SmallRng,
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
    fn new(seed: u64) -> World {
        let mut dut = bench::build("space", || Space::new(VFS.into()));
        bench::settle(&mut dut, "busy");
        World { dut, rng: bench::rng(seed) }
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
        self.dut.set("valid", 1);
        self.dut.set("write", write.is_some().into());
        self.dut.set("number", number.into());
        self.dut.set("dw", (offset / 4).into());
        self.dut.set("be", be.into());
        self.dut.set("wdata", data.into());
        for _ in 0..3000 {
            self.dut.eval();
            if self.dut.get("ack") == 1 {
                let read = (self.dut.get("none") == 0).then(|| self.dut.get("rdata") as u32);
                let retry = self.dut.get("retry") == 1;
                self.dut.clock();
                self.dut.set("valid", 0);
                self.dut.eval();
                return (read, retry);
            }
            self.dut.clock();
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

    /// VFs of every kind, and everybody a bus master.
    fn enable_all(&mut self) {
        for kind in Kind::ALL {
            let f = FunctionId::pf(kind);
            self.write(f, pf::SRIOV + sriov::NUM_VFS, VFS.into());
            let ari = if kind == Kind::Net { sriov::CONTROL_ARI.mask() } else { 0 };
            self.write(
                f,
                pf::SRIOV + sriov::CONTROL,
                sriov::CONTROL_VF_ENABLE.mask() | sriov::CONTROL_VF_MSE.mask() | ari,
            );
        }
        for f in all(VFS) {
            self.write(f, header::COMMAND, header::COMMAND_BME.mask());
        }
    }

    /// Lets the engines let go of whoever is to be forgotten; says whom.
    fn let_go(&mut self) -> Vec<u64> {
        let mut gone = vec![];
        for _ in 0..2000 {
            self.dut.eval();
            let done = self.dut.get("reset_valid") == 1 && self.rng.random_ratio(1, 4);
            if done {
                gone.push(self.dut.get("reset_owner") as u64);
            }
            self.dut.set("reset_done", done.into());
            self.dut.clock();
            // The engines' answer stays until the request falls.
            while done
                && self.dut.get("reset_valid") == 1
                && self.dut.get("reset_owner") as u64 == *gone.last().unwrap()
            {
                self.dut.clock();
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
        w.dut.set("msix_ask", owner(f).into());
        w.dut.eval();
        let live = (w.dut.get("msix_enable") == 1, w.dut.get("msix_mask") == 1);
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
fn an_error_is_recorded_by_its_own_pf_and_by_all_when_nobody_can_be_named() {
    let mut w = World::new(5);
    let status = |w: &mut World| Kind::ALL.map(|k| w.read(FunctionId::pf(k), pf::AER + aer::UNCORRECTABLE_STATUS));
    for round in 0..60 {
        let everyone = round % 3 == 0;
        let kind = Kind::ALL[w.rng.random_range(0..KINDS as usize)];
        let code = if everyone { aer::MALFORMED } else { aer::COMPLETION_TIMEOUT };
        let logged: u128 = w.rng.random();
        w.dut.set("error_valid", 1);
        w.dut.set("error_owner", kind.code().into());
        w.dut.set("error_everyone", everyone.into());
        w.dut.set("error_code", code.lo.into());
        w.dut.set("error_header", logged);
        while w.dut.get("error_ready") == 0 {
            w.dut.clock();
        }
        w.dut.clock();
        w.dut.set("error_valid", 0);
        let seen = status(&mut w);
        for k in Kind::ALL {
            let f = FunctionId::pf(k);
            let hit = everyone || k == kind;
            assert_eq!(seen[k as usize], if hit { code.mask() } else { 0 });
            if hit {
                for i in 0..4 {
                    assert_eq!(w.read(f, pf::AER + aer::HEADER_LOG + 4 * i), u64::from((logged >> (32 * i)) as u32));
                }
                assert_eq!(aer::CONTROL_FIRST_ERROR.of(w.read(f, pf::AER + aer::CONTROL)), u64::from(code.lo));
                // Cleared by writing 1.
                w.write(f, pf::AER + aer::UNCORRECTABLE_STATUS, code.mask());
            }
        }
        assert_eq!(status(&mut w), [0; 3]);
    }
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
            assert_eq!(w.dut.get(&format!("{port}_{}", kind as u8)), (base >> 14).into());
        }
        w.write(f, header::COMMAND, header::COMMAND_MSE.mask());
        assert_eq!(w.dut.get(&format!("memory_{}", kind as u8)), 1);
    }
}
