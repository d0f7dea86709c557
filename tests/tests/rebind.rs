//! What management can do about a volume that does not answer, on the RTL and on the card in software: a time-out ends what waits
//! for it, and a function is bound anew when nothing of the binding before is under way.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use azote_manage::{Error, Manager, Volume};
use azote_nvme::{Controller, Io, Options as NvmeOptions};
use azote_regs::clock;
use azote_regs::function::{FunctionId, Kind, Role};
use azote_sim::{Card, MediaOptions};
use azote_tests::rig::{self, Model, Setup};

const BLOCKS: u64 = 1024;
/// The least that the card can count, and in clocks.
const TIMEOUT: Duration = Duration::from_millis(16);
const TIMEOUT_CLOCKS: u64 = 16 * 1000 * clock::MHZ;

struct Bench {
    card: Card,
    manager: Manager,
    folder: tempfile::TempDir,
}

impl Bench {
    /// VF 0 and VF 1 with a volume each.
    fn new(model: Model) -> Bench {
        let card = Setup { model, ..Setup::default() }.card().unwrap();
        let folder = rig::volumes(&card, 2, BLOCKS).unwrap();
        let trust = rig::function(&card, FunctionId::pf(Kind::Trust)).unwrap();
        let manager = Manager::open(&*trust).unwrap();
        Bench { card, manager, folder }
    }

    fn bind(&self, vf: u8, volume: u8) -> azote_manage::Result<()> {
        let volume = Volume { id: volume, base: 0, blocks: BLOCKS, read_only: false, large_blocks: false };
        self.manager.bind(Role::Vf(vf), volume)
    }

    fn open(&self, vf: u8) -> Controller {
        rig::controller(&self.card, vf, 8 << 20, NvmeOptions::default()).unwrap()
    }

    /// From now on volume 0 answers nothing, or does again.
    fn stick(&self, stuck: bool) {
        let media = MediaOptions { stuck, ..self.card.root().options().media };
        self.card.root().media().set_volume_options(0, Some(media));
    }

    /// The first blocks of a volume's file, as many as were read.
    fn file(&self, volume: u8, len: usize) -> Vec<u8> {
        std::fs::read(self.folder.path().join(format!("vf{volume}"))).unwrap()[..len].to_vec()
    }
}

fn read(nvme: &mut Controller) -> azote_nvme::Result<Vec<u8>> {
    let buffer = nvme.dma().alloc(4096, 4096).unwrap();
    nvme.read(0, buffer.whole())?;
    let mut bytes = vec![0; 4096];
    buffer.read(0, &mut bytes).unwrap();
    Ok(bytes)
}

fn what_a_dead_volume_owes_is_given_up_after_its_functions_time_out(model: Model) {
    let b = Bench::new(model);
    b.manager.set_timeout(Role::Vf(0), TIMEOUT).unwrap();
    b.bind(0, 0).unwrap();
    let (mut dead, mut well) = (b.open(0), b.open(1));
    b.stick(true);
    let buffer = dead.dma().alloc(4096, 4096).unwrap();
    for (io, status) in [
        (Io::Read { lba: 8, data: buffer.whole() }, "Unrecovered Read Error"),
        (Io::Write { lba: 8, data: buffer.whole() }, "Write Fault"),
        (Io::Flush, "Write Fault"),
    ] {
        let start = b.card.clocks();
        dead.submit(0, io, 7).unwrap();
        if matches!(model, Model::Rtl) {
            // The card in software does one command after the other.
            assert!(read(&mut well).unwrap() == b.file(1, 4096));
            assert!(b.card.clocks() - start < TIMEOUT_CLOCKS / 8, "another function waits");
        }
        let said = dead.wait(0).unwrap().result.unwrap_err().to_string();
        let waited = b.card.clocks() - start;
        assert!(said.contains(status), "{said}");
        // The card's milliseconds go on by themselves: the first of them is not whole.
        let wanted = TIMEOUT_CLOCKS - 1000 * clock::MHZ..TIMEOUT_CLOCKS + TIMEOUT_CLOCKS / 8;
        assert!(wanted.contains(&waited), "after {waited} clocks");
        assert_eq!(dead.resets(), 0);
    }
    // What the medium still had of it goes nowhere.
    b.stick(false);
    assert!(read(&mut dead).unwrap() == b.file(0, 4096));
    assert!(read(&mut well).unwrap() == b.file(1, 4096));
    b.card.assert_clean();
}

fn a_function_is_bound_anew_when_nothing_of_the_binding_before_is_under_way(model: Model) {
    let mut b = Bench::new(model);
    let (role, other) = (Role::Vf(0), Role::Vf(1));
    let mut nvme = b.open(0);
    b.stick(true);
    let buffer = nvme.dma().alloc(4096, 4096).unwrap();
    nvme.submit(0, Io::Read { lba: 0, data: buffer.whole() }, 7).unwrap();
    b.card.run_idle(20_000);
    assert!(!b.manager.is_busy(role).unwrap(), "it is the present binding's");
    // The card remembers one binding beside the present one.
    b.bind(0, 1).unwrap();
    assert!(b.manager.is_busy(role).unwrap() && !b.manager.is_busy(other).unwrap());
    b.manager = b.manager.with_patience(Duration::from_millis(50));
    let busy = |result: azote_manage::Result<()>| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Busy { .. }), "{error}");
        assert!(error.to_string().contains("storage VF 0 still has commands under way"), "{error}");
    };
    busy(b.bind(0, 0));
    busy(b.manager.unbind(role));
    busy(b.manager.settle(role));
    assert_eq!(b.manager.binding(role).unwrap().unwrap().id, 1, "nothing of that was taken");
    b.bind(1, 1).unwrap();
    if matches!(model, Model::Rtl) {
        assert!(read(&mut nvme).unwrap() == b.file(1, 4096), "the new volume is there meanwhile");
    }
    // A controller that is closed waits for no volume.
    let start = b.card.clocks();
    nvme.reset().unwrap();
    assert!(b.card.clocks() - start < 1_000_000, "{} clocks", b.card.clocks() - start);
    b.manager = b.manager.with_patience(Manager::PATIENCE);
    b.manager.settle(role).unwrap();
    b.bind(0, 0).unwrap();
    b.stick(false);
    assert!(read(&mut nvme).unwrap() == b.file(0, 4096));
    b.card.assert_clean();
}

fn flr_of_a_function_with_a_dead_volume_ends_and_its_next_tenant_is_served(model: Model) {
    let b = Bench::new(model);
    let mut held = b.open(0);
    b.stick(true);
    let buffer = held.dma().alloc(32 * 4096, 4096).unwrap();
    for i in 0..8u64 {
        let data = buffer.slice(i * 4096, 4096).unwrap();
        let io = if i % 2 == 0 { Io::Read { lba: i * 8, data } } else { Io::Write { lba: 512 + i * 8, data } };
        held.submit(0, io, i).unwrap();
    }
    b.card.run_idle(20_000);
    b.bind(0, 1).unwrap();
    let start = b.card.clocks();
    held.function().reset().unwrap();
    let clocks = b.card.clocks() - start;
    assert!(clocks < 8_000_000, "{clocks} clocks");
    drop(held);
    b.manager.settle(Role::Vf(0)).unwrap();
    // The volume is as dead as before, and nobody's.
    let mut next = b.open(0);
    assert!(read(&mut next).unwrap() == b.file(1, 4096));
    b.bind(0, 0).unwrap();
    b.stick(false);
    assert!(read(&mut next).unwrap() == b.file(0, 4096));
    b.card.assert_clean();
}

mod on_the_rtl {
    use super::Model::Rtl;

    #[test]
    fn what_a_dead_volume_owes_is_given_up_after_its_functions_time_out() {
        super::what_a_dead_volume_owes_is_given_up_after_its_functions_time_out(Rtl);
    }

    #[test]
    fn a_function_is_bound_anew_when_nothing_of_the_binding_before_is_under_way() {
        super::a_function_is_bound_anew_when_nothing_of_the_binding_before_is_under_way(Rtl);
    }

    #[test]
    fn flr_of_a_function_with_a_dead_volume_ends_and_its_next_tenant_is_served() {
        super::flr_of_a_function_with_a_dead_volume_ends_and_its_next_tenant_is_served(Rtl);
    }
}

mod on_the_card_in_software {
    use super::Model::Soft;

    #[test]
    fn what_a_dead_volume_owes_is_given_up_after_its_functions_time_out() {
        super::what_a_dead_volume_owes_is_given_up_after_its_functions_time_out(Soft);
    }

    #[test]
    fn a_function_is_bound_anew_when_nothing_of_the_binding_before_is_under_way() {
        super::a_function_is_bound_anew_when_nothing_of_the_binding_before_is_under_way(Soft);
    }

    #[test]
    fn flr_of_a_function_with_a_dead_volume_ends_and_its_next_tenant_is_served() {
        super::flr_of_a_function_with_a_dead_volume_ends_and_its_next_tenant_is_served(Soft);
    }
}
