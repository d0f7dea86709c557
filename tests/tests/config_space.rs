//! Configuration space of every function against the specification's rules: lists that end, registers that keep what they
//! must and nothing else, resets that reset.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use azote_regs::function::{self, FunctionId, Kind, Role};
use azote_regs::pcie::{acs, aer, ari, capability as cap, dsn, express, header, msix, power, sriov, tlp};
use azote_regs::{bar, ids, virtio};
use azote_sim::{Card, RequestError, Root};
use azote_tests::rig::Setup;
use azote_tlp::Packet;

const VFS: u16 = 4;

fn card() -> Card {
    Setup::default().card().unwrap()
}

fn enabled() -> Card {
    let card = card();
    for kind in Kind::ALL {
        card.set_vfs(FunctionId::pf(kind).number(), VFS).unwrap();
    }
    card
}

fn functions() -> Vec<FunctionId> {
    let vfs = |kind| (0..VFS as u8).map(move |i| FunctionId::vf(kind, i).unwrap());
    Kind::ALL.into_iter().flat_map(|k| std::iter::once(FunctionId::pf(k)).chain(vfs(k))).collect()
}

fn read(root: &mut Root, f: FunctionId, at: u64) -> u32 {
    root.config_read(f.number(), at as u16).unwrap()
}

fn write(root: &mut Root, f: FunctionId, at: u64, value: u32) {
    root.config_write(f.number(), at as u16, value).unwrap();
}

fn is_pf(f: FunctionId) -> bool {
    f.role == Role::Pf
}

/// `(id, offset)` of both lists, which must end and never meet an offset twice.
fn capabilities(root: &mut Root, f: FunctionId) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut at = u64::from(read(root, f, header::CAPABILITIES)) & 0xff;
    while at != 0 {
        assert!(at >= 0x40 && at % 4 == 0, "{f:?}: a capability at {at:#x} (PCIe 7.5.3)");
        let dw = u64::from(read(root, f, at));
        found.push((cap::ID.of(dw), at));
        at = cap::NEXT.of(dw);
        assert!(found.len() < 48, "{f:?}: the capability list does not end");
    }
    let mut at = 0x100;
    while at != 0 {
        let dw = u64::from(read(root, f, at));
        assert!(cap::EXT_VERSION.of(dw) != 0, "{f:?}: an extended capability at {at:#x} without a version");
        found.push((0x1_0000 | cap::EXT_ID.of(dw), at));
        at = cap::EXT_NEXT.of(dw);
        assert!(at == 0 || at >= 0x100 && at % 4 == 0, "{f:?}: extended list goes to {at:#x} (PCIe 7.6.3)");
        assert!(found.len() < 96, "{f:?}: the extended capability list does not end");
    }
    let mut offsets: Vec<_> = found.iter().map(|c| c.1).collect();
    offsets.sort_unstable();
    offsets.dedup();
    assert_eq!(offsets.len(), found.len(), "{f:?}: a capability is listed twice");
    found
}

#[test]
fn every_function_has_the_capabilities_that_its_sort_must_have() {
    let card = enabled();
    let mut root = card.root();
    let ext = |id| 0x1_0000 | id;
    for f in functions() {
        let ids: Vec<u64> = capabilities(&mut root, f).into_iter().map(|c| c.0).collect();
        let mut want = vec![msix::ID, express::ID, ext(ari::ID), ext(acs::ID)];
        if is_pf(f) {
            want.extend([power::ID, ext(aer::ID), ext(sriov::ID), ext(dsn::ID)]);
        }
        if f.kind == Kind::Net {
            want.extend([virtio::pci::ID; 5]);
        }
        for id in &want {
            assert!(ids.contains(id), "{f:?} lacks capability {id:#x}");
        }
        // PCIe 9.3.6: no SR-IOV, no serial number and no power management of its own in a VF of ours.
        assert_eq!(ids.len(), want.len(), "{f:?} has {ids:x?}");
    }
    drop(root);
    card.assert_clean();
}

#[test]
fn identity_is_the_pfs_and_hidden_in_vfs() {
    let card = enabled();
    let mut root = card.root();
    for f in functions() {
        let id = u64::from(read(&mut root, f, header::VENDOR_ID));
        let class = u64::from(read(&mut root, f, header::REVISION_ID)) >> 8;
        let subsystem = u64::from(read(&mut root, f, header::SUBSYSTEM_VENDOR_ID));
        assert_eq!(class, ids::class(f.kind), "{f:?}");
        assert_eq!(subsystem & 0xffff, ids::SUBSYSTEM_VENDOR, "{f:?}");
        if is_pf(f) {
            assert_eq!(id, ids::device(f.kind) << 16 | ids::VENDOR, "{f:?}");
            assert!(read(&mut root, f, header::CACHE_LINE_SIZE) >> 16 & 0x80 != 0, "{f:?}: multi-function bit");
        } else {
            assert_eq!(id, 0xffff_ffff, "{f:?}: PCIe 9.3.4.1.1");
        }
        assert_eq!(read(&mut root, f, header::INTERRUPT_LINE) >> 8 & 0xff, 0, "{f:?}: no INTx");
    }
    let next = |root: &mut Root, f| ari::NEXT_FUNCTION.of(u64::from(read(root, f, cap::pf::ARI + ari::CAPABILITY)));
    assert_eq!(next(&mut root, FunctionId::pf(Kind::Net)), 1);
    assert_eq!(next(&mut root, FunctionId::pf(Kind::Storage)), 2);
    assert_eq!(next(&mut root, FunctionId::pf(Kind::Trust)), 0);
    for kind in Kind::ALL {
        let preserved = read(&mut root, FunctionId::pf(kind), cap::pf::SRIOV + sriov::CAPABILITIES);
        assert_eq!(preserved, if kind == Kind::Net { 2 } else { 0 }, "PCIe 9.3.3.2.2: the lowest-numbered PF only");
    }
}

#[test]
fn bars_are_sized_by_all_ones_and_vfs_have_none_of_their_own() {
    let card = enabled();
    let mut root = card.root();
    for f in functions() {
        for index in 0..header::BARS {
            let at = header::BAR0 + 4 * index;
            let old = read(&mut root, f, at);
            write(&mut root, f, at, 0xffff_ffff);
            let mask = read(&mut root, f, at);
            write(&mut root, f, at, old);
            let want = match (is_pf(f), f.kind, index) {
                (true, _, 0) => !(bar::BAR0_SIZE as u32 - 1) | header::BAR_FLAGS as u32,
                (true, Kind::Trust, 2) => !(bar::BAR2_SIZE as u32 - 1) | header::BAR_FLAGS as u32,
                (true, _, 1) | (true, Kind::Trust, 3) => 0xffff_ffff,
                _ => 0,
            };
            assert_eq!(mask, want, "{f:?} BAR{index}");
        }
    }
    for kind in Kind::ALL {
        let f = FunctionId::pf(kind);
        let at = cap::pf::SRIOV + sriov::VF_BAR0;
        let old = read(&mut root, f, at);
        write(&mut root, f, at, 0xffff_ffff);
        assert_eq!(read(&mut root, f, at), !(bar::BAR0_SIZE as u32 - 1) | header::BAR_FLAGS as u32);
        write(&mut root, f, at, old);
    }
}

/// Writes ones and zeroes over everything but what moves the card (BARs, SR-IOV, FLR): reserved and read-only bits stay.
#[test]
fn reserved_and_read_only_bits_do_not_change() {
    let card = enabled();
    let mut root = card.root();
    let window = azote_rtl::net::engine::added().window().unwrap();
    for f in functions() {
        let c = cap::pf::EXPRESS;
        for at in (0..0x200u64).step_by(4) {
            let moves = (header::BAR0..header::BAR0 + 24).contains(&at)
                || is_pf(f) && (cap::pf::SRIOV..cap::pf::SRIOV + sriov::SIZE).contains(&at)
                || at == c + express::DEVICE_CONTROL
                || f.kind == Kind::Net && at == window + virtio::pci::DATA;
            if moves {
                continue;
            }
            let writable: u32 = match (is_pf(f), at) {
                (_, a) if f.kind == Kind::Net && a == window + virtio::pci::BAR => 0xff,
                (_, a) if f.kind == Kind::Net && a == window + virtio::pci::OFFSET => 0xffff_ffff,
                (_, a) if f.kind == Kind::Net && a == window + virtio::pci::LENGTH => 0xffff_ffff,
                (true, header::COMMAND) => 0x0546,
                (false, header::COMMAND) => 0x0004,
                (true, header::CACHE_LINE_SIZE) | (true, header::INTERRUPT_LINE) => 0xff,
                (_, cap::pf::MSIX) => 0xc000_0000,
                (true, a) if a == cap::pf::POWER + power::PMCSR => 3,
                (true, a) if a == c + express::LINK_CONTROL => 0xc8,
                (true, a) if a == c + express::DEVICE_CONTROL_2 => 0x10,
                (true, a) if a == c + express::LINK_CONTROL_2 => 0xf,
                (true, a) if a == cap::pf::AER + aer::UNCORRECTABLE_MASK => aer::UNCORRECTABLE_IMPLEMENTED as u32,
                (true, a) if a == cap::pf::AER + aer::UNCORRECTABLE_SEVERITY => aer::UNCORRECTABLE_IMPLEMENTED as u32,
                (true, a) if a == cap::pf::AER + aer::CORRECTABLE_MASK => aer::CORRECTABLE_IMPLEMENTED as u32,
                _ => 0,
            };
            let before = read(&mut root, f, at);
            for value in [0xffff_ffff, 0] {
                write(&mut root, f, at, value);
                let now = read(&mut root, f, at);
                assert_eq!(now & !writable, before & !writable, "{f:?} {at:#x}: a fixed bit changed");
                if !(is_pf(f) && at == cap::pf::POWER + power::PMCSR) {
                    assert_eq!(now & writable, value & writable, "{f:?} {at:#x}: a writable bit did not");
                }
            }
            write(&mut root, f, at, before);
        }
        for at in [0x200u64, 0x7fc, 0xffc] {
            assert_eq!(read(&mut root, f, at), 0, "{f:?} {at:#x}: beyond the last capability");
        }
    }
    drop(root);
    card.assert_clean();
}

#[test]
fn byte_enables_choose_the_bytes_that_change() {
    let card = card();
    let mut root = card.root();
    let f = FunctionId::pf(Kind::Net);
    let at = cap::pf::SRIOV + sriov::VF_BAR0 + 4;
    write(&mut root, f, at, 0);
    for be in 0..16u8 {
        write(&mut root, f, at, 0x1111_1111);
        root.config_write_bytes(f.number(), at as u16, be, 0xeeee_eeee).unwrap();
        let want = (0..4).map(|i| if be >> i & 1 == 1 { 0xeeu32 << (8 * i) } else { 0x11 << (8 * i) }).sum::<u32>();
        assert_eq!(read(&mut root, f, at), want, "byte enables {be:04b}");
    }
}

#[test]
fn functions_that_are_not_there_are_unsupported_requests() {
    let card = card();
    let mut root = card.root();
    for number in 0..=255u8 {
        let there = FunctionId::from_number(number).is_some_and(is_pf);
        let answer = root.config_read(number, 0);
        assert_eq!(answer.is_ok(), there, "function {number} without VFs: {answer:?}");
    }
    drop(root);
    let card = enabled();
    let mut root = card.root();
    for number in 0..=255u8 {
        let there = FunctionId::from_number(number)
            .is_some_and(|f| matches!(f.role, Role::Pf) || matches!(f.role, Role::Vf(i) if u16::from(i) < VFS));
        assert_eq!(root.config_read(number, 0).is_ok(), there, "function {number} with VFs");
    }
}

#[test]
fn sriov_keeps_its_rules() {
    let card = card();
    let mut root = card.root();
    let f = FunctionId::pf(Kind::Storage);
    let s = cap::pf::SRIOV;
    let control = |root: &mut Root, f, v: u64| write(root, f, s + sriov::CONTROL, v as u32);
    assert_eq!(read(&mut root, f, s + sriov::INITIAL_VFS), u32::from(VFS) << 16 | u32::from(VFS));
    assert_eq!(read(&mut root, f, s + sriov::FIRST_VF_OFFSET), 4 << 16 | 16);
    assert_eq!(read(&mut root, f, s + 0x18) >> 16, ids::DEVICE_STORAGE as u32);
    assert_eq!(read(&mut root, f, s + sriov::SYSTEM_PAGE_SIZE), 1);
    // More than TotalVFs is refused; so is any change while VF Enable is set (PCIe 9.3.3.7).
    write(&mut root, f, s + sriov::NUM_VFS, 2);
    write(&mut root, f, s + sriov::NUM_VFS, u32::from(VFS) + 1);
    assert_eq!(read(&mut root, f, s + sriov::NUM_VFS) & 0xffff, 2);
    let on = sriov::CONTROL_VF_ENABLE.mask() | sriov::CONTROL_VF_MSE.mask();
    control(&mut root, f, on);
    write(&mut root, f, s + sriov::NUM_VFS, 3);
    assert_eq!(read(&mut root, f, s + sriov::NUM_VFS) & 0xffff, 2);
    assert!(root.config_read(FunctionId::vf(Kind::Storage, 1).unwrap().number(), 0).is_ok());
    assert!(root.config_read(FunctionId::vf(Kind::Storage, 2).unwrap().number(), 0).is_err());
    // Only the lowest PF has ARI Capable Hierarchy (PCIe 9.3.3.3.5), and without it no VF can be enabled.
    assert_eq!(read(&mut root, f, s + sriov::CONTROL) & sriov::CONTROL_ARI.mask() as u32, 0);
    control(&mut root, f, 0);
    assert!(root.config_read(FunctionId::vf(Kind::Storage, 0).unwrap().number(), 0).is_err());
    control(&mut root, FunctionId::pf(Kind::Net), 0);
    control(&mut root, f, on);
    assert_eq!(u64::from(read(&mut root, f, s + sriov::CONTROL)) & sriov::CONTROL_VF_ENABLE.mask(), 0, "without ARI");
    control(&mut root, FunctionId::pf(Kind::Net), sriov::CONTROL_ARI.mask());
    // A page size that is not one is refused; a larger one makes VF BARs as large.
    write(&mut root, f, s + sriov::SYSTEM_PAGE_SIZE, 3);
    assert_eq!(read(&mut root, f, s + sriov::SYSTEM_PAGE_SIZE), 1);
    write(&mut root, f, s + sriov::SYSTEM_PAGE_SIZE, 0x10);
    write(&mut root, f, s + sriov::VF_BAR0, 0xffff_ffff);
    assert_eq!(read(&mut root, f, s + sriov::VF_BAR0), 0xffff_0004, "64 KiB pages");
    drop(root);
    card.assert_clean();
}

/// A VF with 64 KiB pages answers in its page and nowhere else.
#[test]
fn a_larger_system_page_spreads_the_vfs() {
    let card = card();
    let mut root = card.root();
    let f = FunctionId::pf(Kind::Storage);
    let s = cap::pf::SRIOV;
    write(&mut root, f, s + sriov::SYSTEM_PAGE_SIZE, 0x10);
    write(&mut root, f, s + sriov::NUM_VFS, 3);
    write(&mut root, f, s + sriov::VF_BAR0, 0xd000_0000);
    write(&mut root, f, s + sriov::VF_BAR0 + 4, 0);
    let on = sriov::CONTROL_VF_ENABLE.mask() | sriov::CONTROL_VF_MSE.mask();
    write(&mut root, f, s + sriov::CONTROL, on as u32);
    for i in 0..3u64 {
        let base = 0xd000_0000 + i * 0x1_0000;
        let vs = root.mem_read(base + 8, 4, None).unwrap();
        assert_eq!(vs, (azote_regs::nvme::controller::VS_VALUE as u32).to_le_bytes(), "VF {i}");
        assert!(matches!(root.mem_read(base + 0x4000, 4, None), Err(RequestError::Status { .. })), "beyond VF {i}");
    }
    assert!(root.mem_read(0xd003_0000, 4, None).is_err(), "VF 3 is not enabled");
}

#[test]
fn flr_resets_a_vf_and_nothing_else() {
    let card = enabled();
    let mut root = card.root();
    let f = FunctionId::vf(Kind::Storage, 1).unwrap();
    let other = FunctionId::vf(Kind::Storage, 2).unwrap();
    for g in [f, other] {
        write(&mut root, g, header::COMMAND, 4);
        write(&mut root, g, cap::vf::MSIX, 0x8000_0000);
    }
    let before: Vec<u32> = (0..0x200u64).step_by(4).map(|a| read(&mut root, other, a)).collect();
    write(&mut root, f, cap::vf::EXPRESS + express::DEVICE_CONTROL, express::DEVICE_CONTROL_FLR.mask() as u32);
    root.run_idle(10_000);
    assert_eq!(read(&mut root, f, header::COMMAND) & 4, 0);
    assert_eq!(read(&mut root, f, cap::vf::MSIX) >> 30, 0);
    let after: Vec<u32> = (0..0x200u64).step_by(4).map(|a| read(&mut root, other, a)).collect();
    assert_eq!(before, after);
    assert_eq!(function::FunctionId::from_number(f.number()), Some(f));
}

#[test]
fn flr_of_a_pf_takes_its_vfs_along_and_leaves_sticky_bits() {
    let card = enabled();
    let mut root = card.root();
    let f = FunctionId::pf(Kind::Net);
    let severity = cap::pf::AER + aer::UNCORRECTABLE_SEVERITY;
    let flipped = aer::UNCORRECTABLE_SEVERITY_RESET as u32 ^ aer::POISONED.mask() as u32;
    write(&mut root, f, severity, flipped);
    let control = cap::pf::EXPRESS + express::DEVICE_CONTROL;
    let mps = read(&mut root, f, control) & express::DEVICE_CONTROL_MPS.mask() as u32;
    assert_ne!(mps, 0, "enumeration set it");
    write(&mut root, f, control, mps | express::DEVICE_CONTROL_FLR.mask() as u32);
    root.run_idle(50_000);
    assert!(root.config_read(FunctionId::vf(Kind::Net, 0).unwrap().number(), 0).is_err(), "its VFs are gone");
    assert!(root.config_read(FunctionId::vf(Kind::Storage, 0).unwrap().number(), 0).is_ok(), "others' are not");
    assert_eq!(read(&mut root, f, severity), flipped, "sticky (PCIe 6.6.2)");
    assert_eq!(read(&mut root, f, control) & 0xffff, express::DEVICE_CONTROL_RESET as u32 & 0xff1f | mps, "MPS stays");
    assert_eq!(read(&mut root, f, header::BAR0), header::BAR_FLAGS as u32);
    // ARI Capable Hierarchy tells of the slot: it stays, so that the other PFs can still enable VFs.
    let sriov_control = u64::from(read(&mut root, f, cap::pf::SRIOV + sriov::CONTROL));
    assert_eq!(sriov_control & 0xffff, sriov::CONTROL_ARI.mask());
    drop(root);
    card.assert_clean();
}

#[test]
fn in_d3hot_a_pf_answers_configuration_only() {
    let card = card();
    let address = card.topology().bar(1, 0).unwrap().address;
    let mut root = card.root();
    let f = FunctionId::pf(Kind::Storage);
    let pmcsr = cap::pf::POWER + power::PMCSR;
    write(&mut root, f, header::COMMAND, 6);
    assert!(root.mem_read(address, 4, Some(1)).is_ok());
    write(&mut root, f, pmcsr, power::D3HOT as u32);
    assert!(root.mem_read(address, 4, None).is_err());
    write(&mut root, f, pmcsr, 1);
    assert_eq!(u64::from(read(&mut root, f, pmcsr)) & 3, power::D3HOT, "D1 does not exist");
    write(&mut root, f, pmcsr, power::D0 as u32);
    assert!(root.mem_read(address, 4, Some(1)).is_ok(), "No_Soft_Reset: nothing is lost");
}

fn errors(root: &mut Root, f: FunctionId) -> (u64, u64) {
    let a = cap::pf::AER;
    (u64::from(read(root, f, a + aer::UNCORRECTABLE_STATUS)), u64::from(read(root, f, a + aer::CORRECTABLE_STATUS)))
}

#[test]
fn errors_are_recorded_with_their_header_and_cleared_by_ones() {
    let card = card();
    let mut root = card.root();
    let pf = FunctionId::pf(Kind::Net);
    let a = cap::pf::AER;
    // Posted writes to nowhere, one close behind the other: unsupported requests that nobody is told of, so not advisory.
    // No function claims them, so all PFs record them; the log has the first one's header and not the next one's.
    root.send_raw(Packet { header: [(tlp::MWR32 << 24) as u32 | 1, 0xf, 0xe000_0000, 0], payload: vec![0; 4] });
    root.send_raw(Packet { header: [(tlp::MWR32 << 24) as u32 | 2, 0xff, 0xe100_0000, 0], payload: vec![0; 8] });
    root.run_idle(10_000);
    for kind in Kind::ALL {
        let f = FunctionId::pf(kind);
        assert_eq!(errors(&mut root, f).0, aer::UNSUPPORTED_REQUEST.mask(), "{}", kind.name());
        if f != pf {
            write(&mut root, f, a + aer::UNCORRECTABLE_STATUS, aer::UNSUPPORTED_REQUEST.mask() as u32);
        }
    }
    let (uncorrectable, _) = errors(&mut root, pf);
    assert_eq!(uncorrectable, aer::UNSUPPORTED_REQUEST.mask());
    assert_eq!(u64::from(read(&mut root, pf, a + aer::CONTROL)) & 0x1f, u64::from(aer::UNSUPPORTED_REQUEST.lo));
    assert_eq!(read(&mut root, pf, a + aer::HEADER_LOG), (tlp::MWR32 << 24) as u32 | 1);
    assert_eq!(read(&mut root, pf, a + aer::HEADER_LOG + 8), 0xe000_0000);
    let status = read(&mut root, pf, cap::pf::EXPRESS + express::DEVICE_CONTROL) >> 16;
    let seen = express::DEVICE_STATUS_UR.mask() | express::DEVICE_STATUS_NONFATAL.mask();
    assert_eq!(u64::from(status) & 0xf, seen);
    write(&mut root, pf, a + aer::UNCORRECTABLE_STATUS, uncorrectable as u32);
    assert_eq!(errors(&mut root, pf).0, 0);

    // A read of nothing: the completion tells, so it is advisory, which is masked after reset.
    assert!(root.mem_read(0xe000_0000, 4, None).is_err());
    root.run_idle(10_000);
    assert_eq!(errors(&mut root, pf), (0, aer::ADVISORY_NONFATAL.mask()));

    // A completion that nobody asked for, at the storage PF's id: advisory too, in that function alone, and no message.
    let storage = FunctionId::pf(Kind::Storage);
    for f in [pf, storage] {
        let control = cap::pf::EXPRESS + express::DEVICE_CONTROL;
        let old = read(&mut root, f, control) & 0xffff;
        write(&mut root, f, control, old | express::DEVICE_CONTROL_NONFATAL.mask() as u32);
        write(&mut root, f, a + aer::CORRECTABLE_STATUS, aer::ADVISORY_NONFATAL.mask() as u32);
        write(&mut root, f, a + aer::CORRECTABLE_MASK, 0);
    }
    let rid = 1 << 8 | u32::from(storage.number());
    root.send_raw(Packet { header: [(tlp::CPL << 24) as u32, 4, rid << 16 | 7 << 8, 0], payload: vec![] });
    root.run_idle(10_000);
    assert_eq!(errors(&mut root, storage), (aer::UNEXPECTED_COMPLETION.mask(), aer::ADVISORY_NONFATAL.mask()));
    assert_eq!(errors(&mut root, pf), (0, 0));
    assert!(root.take_messages().is_empty(), "it is correctable, and those are not let out");
    write(&mut root, storage, a + aer::UNCORRECTABLE_STATUS, aer::UNEXPECTED_COMPLETION.mask() as u32);

    // A malformed one is everybody's and fatal: with reporting on, messages go out.
    for kind in Kind::ALL {
        let f = FunctionId::pf(kind);
        let control = cap::pf::EXPRESS + express::DEVICE_CONTROL;
        let old = read(&mut root, f, control) & 0xffff;
        write(&mut root, f, control, old | express::DEVICE_CONTROL_FATAL.mask() as u32);
    }
    root.send_raw(Packet { header: [(tlp::MWR32 << 24) as u32 | 7, 0xff, 0xe000_0000, 0], payload: vec![0; 8] });
    root.run_idle(10_000);
    for kind in Kind::ALL {
        assert_eq!(errors(&mut root, FunctionId::pf(kind)).0, aer::MALFORMED.mask(), "{}", kind.name());
    }
    let codes: Vec<u64> = root.take_messages().iter().map(|(_, m)| u64::from(m.code)).collect();
    assert_eq!(codes, [tlp::MSG_ERR_FATAL], "one for all of them (PCIe 6.2.3.2.2)");
    drop(root);
    card.assert_clean();
}

#[test]
fn reads_of_registers_are_split_at_128_bytes_and_keep_their_byte_counts() {
    let card = card();
    let address = card.topology().bar(1, 0).unwrap().address;
    let mut root = card.root();
    write(&mut root, FunctionId::pf(Kind::Storage), header::COMMAND, 6);
    let whole = root.mem_read(address, 4096, Some(1)).unwrap();
    assert_eq!(whole.len(), 4096);
    assert_eq!(whole[8..12], (azote_regs::nvme::controller::VS_VALUE as u32).to_le_bytes());
    for (at, bytes) in [(0u64, 1u32), (3, 2), (9, 3), (0x7c, 9), (1, 300), (0xfff, 1), (0x78, 136)] {
        let part = root.mem_read(address + at, bytes, Some(1)).unwrap();
        assert!(part == whole[at as usize..][..bytes as usize], "{bytes} bytes at {at:#x}");
    }
    drop(root);
    card.assert_clean();
}
