//! The whole card in the hands of somebody who enumerates it: bus numbers, addresses and interrupts are his.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, Mutex};

use azote_regs::function::{FunctionId, Kind};
use azote_regs::pcie::{capability, header, msix, sriov};
use azote_regs::{bar, ids, manage};
use azote_seam::Function;
use azote_sim::soft::{DESTINATION, LENGTH, Misbehave, RESULT, SOURCE, SoftCard};
use azote_sim::{Card, Mapping, Options, Root, Rule};
use azote_tlp::Rid;

const BUS: u8 = 5;
const VF_BARS: u64 = 0xe000_0000;

fn vf(i: u8) -> u8 {
    FunctionId::vf(Kind::Net, i).unwrap().number()
}

/// What a guest's kernel does to get two net VFs, and the first of them ready to copy.
fn bring_up(root: &mut Root) {
    let pf = Rid::new(BUS, 0);
    let id = root.config_read_at(pf, 0, 0xf).unwrap();
    assert_eq!(u64::from(id), ids::device(Kind::Net) << 16 | ids::VENDOR);
    let at = capability::pf::SRIOV;
    let mut write = |function: u8, register: u64, be: u8, value: u64| {
        root.config_write_at(Rid::new(BUS, function), register as u16, be, value as u32).unwrap();
    };
    write(0, at + sriov::VF_BAR0, 0xf, VF_BARS);
    write(0, at + sriov::VF_BAR0 + 4, 0xf, 0);
    write(0, at + sriov::NUM_VFS, 0x3, 2);
    let control = sriov::CONTROL_VF_ENABLE.mask() | sriov::CONTROL_VF_MSE.mask() | sriov::CONTROL_ARI.mask();
    write(0, at + sriov::CONTROL, 0x3, control);
    write(vf(0), header::COMMAND, 0x3, header::COMMAND_BME.mask());
    write(vf(0), capability::vf::MSIX + msix::CONTROL - 2, 0xc, msix::CONTROL_ENABLE.mask() << 16);
    // A message of the guest's own making, at an address that would be another function's in our window.
    for (register, value) in [(0, 0xfee0_1004), (4, 0), (8, 0x4123), (12, 0)] {
        root.mem_write(VF_BARS + bar::MSIX_TABLE + register, &u32::to_le_bytes(value));
    }
}

fn start(root: &mut Root, from: u64, to: u64, len: u64) -> bool {
    for (register, value) in [(SOURCE, from), (DESTINATION, to), (LENGTH, len), (bar::DOORBELLS, 1)] {
        root.mem_write(VF_BARS + register, &value.to_le_bytes());
    }
    root.run_idle(10_000)
}

fn copy(root: &mut Root, from: u64, to: u64, len: u64) -> Vec<u8> {
    assert!(start(root, from, to, len));
    root.mem_read(VF_BARS + RESULT, 4, None).unwrap()
}

type Messages = Arc<Mutex<Vec<(Rid, u64, u32)>>>;

fn given(root: &mut Root) -> (Arc<Mapping>, Messages) {
    let memory = Arc::new(Mapping::new(0x10000).unwrap());
    root.memory().map_for_all(0, memory.clone()).unwrap();
    let messages = Arc::new(Mutex::new(Vec::new()));
    let taken = messages.clone();
    root.interrupts().set_raw_sink(Some(Box::new(move |rid, address, data| {
        taken.lock().unwrap().push((rid, address, data));
    })));
    (memory, messages)
}

#[test]
fn a_guest_enumerates_and_its_messages_are_its_own() {
    let card = Card::bare(Root::new(Box::new(SoftCard::copying(4)), Options::default()).unwrap());
    assert!(card.topology().pfs.is_empty() && card.function(0).is_none());
    let mut root = card.root();
    let (memory, messages) = given(&mut root);
    memory.write(0x1000, &[0x5a; 64]);
    bring_up(&mut root);
    assert_eq!(copy(&mut root, 0x1000, 0x8000, 64), [1, 0, 0, 0]);
    let mut out = [0; 64];
    memory.read(0x8000, &mut out);
    assert_eq!(out, [0x5a; 64]);
    assert_eq!(*messages.lock().unwrap(), [(Rid::new(BUS, vf(0)), 0xfee0_1004, 0x4123)]);
    // Where there is no memory, there is none.
    assert_eq!(copy(&mut root, 0x10000, 0x8000, 64), [2, 0, 0, 0]);
    root.assert_clean();
}

#[test]
fn another_bus_number_is_learnt_and_the_old_one_is_wrong_then() {
    let mut root = Root::new(Box::new(SoftCard::copying(4)), Options::default()).unwrap();
    given(&mut root);
    bring_up(&mut root);
    root.config_write_at(Rid::new(9, 0), header::CACHE_LINE_SIZE as u16, 1, 0).unwrap();
    assert_eq!(copy(&mut root, 0x1000, 0x8000, 64), [1, 0, 0, 0]);
    root.assert_clean();
}

#[test]
fn isolation_is_still_checked() {
    for (how, rule) in [(Misbehave::WrongRequester, Rule::Identity), (Misbehave::SameTag, Rule::Protocol)] {
        let mut root = Root::new(Box::new(SoftCard::misbehaving(4, how)), Options::default()).unwrap();
        given(&mut root);
        bring_up(&mut root);
        start(&mut root, 0x1000, 0x8000, 0x2000);
        assert_eq!(root.violations().1.first().map(|v| v.rule), Some(rule), "{how:?}");
    }
    let mut root =
        Root::new(Box::new(SoftCard::misbehaving(4, Misbehave::IgnoreBusMaster)), Options::default()).unwrap();
    given(&mut root);
    bring_up(&mut root);
    root.config_write_at(Rid::new(BUS, vf(0)), header::COMMAND as u16, 0x3, 0).unwrap();
    start(&mut root, 0x1000, 0x8000, 64);
    assert_eq!(root.violations().1.first().map(|v| v.rule), Some(Rule::Permission));
}

#[test]
fn who_answers_for_an_address_is_known_from_the_guests_own_writes() {
    let device = SoftCard::misbehaving(4, Misbehave::WrongCompleter);
    let mut root = Root::new(Box::new(device), Options::default()).unwrap();
    bring_up(&mut root);
    root.take_violations();
    assert!(root.mem_read(VF_BARS, 4, None).is_ok());
    assert_eq!(root.violations().1.first().map(|v| v.rule), Some(Rule::Crossing), "the PF answered for its VF");
}

#[test]
fn a_card_that_was_provisioned_can_be_handed_over_with_its_bindings() {
    let card = Card::over(Box::new(SoftCard::copying(4)), Options::default()).unwrap();
    let trust = card.function(FunctionId::pf(Kind::Trust).number()).unwrap();
    let binding = manage::binding(1);
    trust.bar(2).unwrap().write32(binding + manage::BINDING_LENGTH_LO, 77).unwrap();
    card.set_vfs(0, 4).unwrap();
    card.hand_over().unwrap();
    let mut root = card.root();
    for function in 0..3 {
        let pf = Rid::new(BUS, function);
        for register in [header::COMMAND, header::BAR0 + 4, capability::pf::SRIOV + sriov::NUM_VFS] {
            assert_eq!(root.config_read_at(pf, register as u16, 3).unwrap() & 0xffff, 0, "{register:#x}");
        }
        let flags = root.config_read_at(pf, header::BAR0 as u16, 0xf).unwrap();
        assert_eq!(u64::from(flags), header::BAR_FLAGS);
    }
    assert!(root.config_read_at(Rid::new(BUS, vf(0)), 0, 0xf).is_err(), "VFs are gone");
    given(&mut root);
    bring_up(&mut root);
    assert_eq!(copy(&mut root, 0x1000, 0x8000, 64), [1, 0, 0, 0]);
    let pf = Rid::new(BUS, FunctionId::pf(Kind::Trust).number());
    root.config_write_at(pf, (header::BAR0 + 4 * bar::BAR2) as u16, 0xf, 0xd000_0000).unwrap();
    root.config_write_at(pf, header::COMMAND as u16, 3, header::COMMAND_MSE.mask() as u32).unwrap();
    assert_eq!(root.mem_read(0xd000_0000 + binding + manage::BINDING_LENGTH_LO, 4, None).unwrap(), [77, 0, 0, 0]);
    root.assert_clean();
}
