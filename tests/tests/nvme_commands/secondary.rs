//! Virtualization Management: the primary controller's lists, and secondary controllers off and on (NVMe 1.4 §8.5).

use azote_regs::nvme::virtualization::{self as virt, primary, secondary};

use azote_seam::Function;

use super::*;

struct Primary {
    nvme: Controller,
    buffer: Buffer,
}

impl Primary {
    fn new(card: &Card) -> Primary {
        let function = rig::function(card, FunctionId::pf(Kind::Storage)).unwrap();
        let options = NvmeOptions { io_queues: 1, events: 0, ..NvmeOptions::default() };
        let nvme = Controller::open(function, azote_dma::Dma::new(1 << 20).unwrap(), options).unwrap();
        let buffer = nvme.dma().alloc(4096, 4096).unwrap();
        Primary { nvme, buffer }
    }

    fn list(&mut self, cns: u64, from: u64) -> Result<Vec<u8>, Error> {
        let slice = self.buffer.slice(0, 4096).unwrap();
        let cdw10 = cmd::IDENTIFY_CNS.put(cns) | cmd::IDENTIFY_CNTID.put(from);
        self.nvme.admin_command(admin(opcode::IDENTIFY, 0, [cdw10 as u32, 0, 0, 0, 0, 0], Data::Slice(slice)))?;
        let mut page = vec![0; 4096];
        self.buffer.read(0, &mut page).unwrap();
        Ok(page)
    }

    fn manage(&mut self, act: u64, id: u64, rt: u64, nr: u64) -> Result<u32, Error> {
        let cdw10 = virt::ACT.put(act) | virt::RT.put(rt) | virt::CNTLID.put(id);
        let c = admin(virt::OPCODE, 0, [cdw10 as u32, nr as u32, 0, 0, 0, 0], Data::None);
        self.nvme.admin_command(c)
    }

    /// `(identifier, VF number, online)` of the controllers from `from` on.
    fn secondaries(&mut self, from: u64) -> Vec<(u64, u64, bool)> {
        let page = self.list(virt::CNS_SECONDARY, from).unwrap();
        let count = usize::from(page[secondary::COUNT]);
        let end = secondary::FIRST + count * secondary::ENTRY;
        assert!(page[end..].iter().all(|b| *b == 0), "{count} entries and no more");
        page[secondary::FIRST..end]
            .chunks(secondary::ENTRY)
            .map(|e| {
                let n = |at: usize| le(e, at as u64, 2);
                assert_eq!((n(secondary::PCID), n(secondary::NVQ), n(secondary::NVI)), (virt::PRIMARY_ID, 0, 0));
                (n(secondary::SCID), n(secondary::VFN), e[secondary::STATE] == 1)
            })
            .collect()
    }
}

fn id_of(vf: u8) -> u64 {
    FunctionId::vf(Kind::Storage, vf).unwrap().number().into()
}

#[test]
fn the_lists_tell_what_the_primary_has_and_who_is_online() {
    let b = bench();
    let mut p = Primary::new(&b.card);
    let caps = p.list(virt::CNS_PRIMARY, 0).unwrap();
    let n = |at: usize, bytes: usize| le(&caps, at as u64, bytes);
    assert_eq!(n(primary::CNTLID, 2), virt::PRIMARY_ID);
    assert_eq!((n(primary::VQPRT, 2), n(primary::VIPRT, 2)), (limits::QUEUES, 8));
    assert_eq!((n(primary::VQFRT, 4), n(primary::VIFRT, 4), n(primary::VQFRSM, 2)), (0, 0, 0), "nothing is flexible");
    let all: Vec<_> = (0..4).map(|vf| (id_of(vf), u64::from(vf) + 1, true)).collect();
    assert_eq!(p.secondaries(0), all);
    assert_eq!(p.secondaries(id_of(1)), all[1..], "from an identifier on");
    assert_eq!(p.secondaries(id_of(1) + 1), all[2..]);
    assert_eq!(p.secondaries(id_of(3)), all[3..]);
    assert_eq!(p.secondaries(id_of(3) + 1), []);
    assert_eq!(p.secondaries(0xffff), []);
    let ctrl = p.list(opcode::CNS_CONTROLLER, 0).unwrap();
    assert!(virt::OACS_SUPPORTED.is_set(le(&ctrl, id::OACS, 2)));
    // VFs that are not enabled are offline.
    b.card.set_vfs(FunctionId::pf(Kind::Storage).number(), 0).unwrap();
    assert!(p.secondaries(0).iter().all(|s| !s.2));
    assert_eq!(code(p.manage(virt::ONLINE, id_of(0), 0, 0)), status::SECONDARY_STATE);
}

#[test]
fn an_offline_controller_is_dead_until_it_is_put_online_and_nobody_else_notices() {
    let mut b = bench();
    let mut p = Primary::new(&b.card);
    let slice = b.buffer.slice(0, 64 << 10).unwrap();
    let read = admin(opcode::READ, 1, [0, 0, 127, 0, 0, 0], Data::Slice(slice));
    // With commands under way.
    for _ in 0..8 {
        b.nvme.submit_command(0, read, 0).unwrap();
    }
    p.manage(virt::OFFLINE, id_of(0), 0, 0).unwrap();
    let function = rig::function(&b.card, rig::storage_vf(0).unwrap()).unwrap();
    let registers = function.bar(0).unwrap();
    let bar = |at: u64| u64::from(registers.read32(at).unwrap());
    assert_eq!(bar(regs::CSTS), regs::CSTS_CFS.mask(), "fatal, and nothing else");
    assert_eq!(p.secondaries(0).iter().map(|s| s.2).collect::<Vec<_>>(), [false, true, true, true]);
    p.manage(virt::OFFLINE, id_of(0), 0, 0).unwrap();
    let before = b.card.root().stats().function(function.number()).writes;
    assert!(b.nvme.reset().is_err(), "it cannot be enabled");
    b.card.run_idle(10_000);
    assert_eq!(b.card.root().stats().function(function.number()).writes, before, "it writes nothing");
    let mut other = rig::controller(&b.card, 1, 1 << 20, NvmeOptions::default()).unwrap();
    assert_eq!(other.smart_log().unwrap().reads, 0);
    // A function reset does not bring it back, the primary does.
    function.reset().unwrap();
    azote_seam::set_command(&*function, header::COMMAND_MSE.mask(), 0).unwrap();
    assert_eq!(bar(regs::CSTS), regs::CSTS_CFS.mask());
    p.manage(virt::ONLINE, id_of(0), 0, 0).unwrap();
    assert_eq!(bar(regs::CSTS), 0);
    drop(b.nvme);
    let mut again = rig::controller(&b.card, 0, 1 << 20, NvmeOptions::default()).unwrap();
    assert!(again.namespace().is_some() && again.smart_log().is_ok());
    assert!(p.secondaries(0).iter().all(|s| s.2));
}

#[test]
fn every_wrong_use_has_its_status() {
    let mut b = bench();
    let mut p = Primary::new(&b.card);
    let vf = id_of(2);
    for (act, id, rt, nr, wanted) in [
        (0, vf, 0, 0, status::INVALID_FIELD),
        (2, vf, 0, 0, status::INVALID_FIELD),
        (15, vf, 0, 0, status::INVALID_FIELD),
        (virt::OFFLINE, id_of(3) + 4, 0, 0, status::INVALID_CONTROLLER),
        (virt::OFFLINE, virt::PRIMARY_ID, 0, 0, status::INVALID_CONTROLLER),
        (virt::ONLINE, vf + 1, 0, 0, status::INVALID_CONTROLLER),
        (virt::ONLINE, 0xffff, 0, 0, status::INVALID_CONTROLLER),
        (virt::ASSIGN, vf, virt::VQ, 0, status::SECONDARY_STATE),
        (virt::ASSIGN, vf, 2, 0, status::RESOURCE_IDENTIFIER),
        (virt::PRIMARY_FLEXIBLE, virt::PRIMARY_ID, 7, 0, status::RESOURCE_IDENTIFIER),
        (virt::PRIMARY_FLEXIBLE, vf, virt::VQ, 0, status::INVALID_CONTROLLER),
        (virt::PRIMARY_FLEXIBLE, virt::PRIMARY_ID, virt::VI, 1, status::RESOURCE_NUMBER),
    ] {
        assert_eq!(code(p.manage(act, id, rt, nr)), wanted, "action {act} of {id:#x} type {rt} number {nr}");
    }
    assert_eq!(p.manage(virt::PRIMARY_FLEXIBLE, virt::PRIMARY_ID, virt::VQ, 0).unwrap(), 0);
    p.manage(virt::OFFLINE, vf, 0, 0).unwrap();
    assert_eq!(code(p.manage(virt::ASSIGN, vf, virt::VQ, 2)), status::RESOURCE_NUMBER, "there is nothing to give");
    assert_eq!(p.manage(virt::ASSIGN, vf, virt::VQ, 0).unwrap(), 0);
    p.manage(virt::ONLINE, vf, 0, 0).unwrap();
    // A secondary controller has none of it.
    assert_eq!(code(b.admin(admin(virt::OPCODE, 0, [7, 0, 0, 0, 0, 0], Data::None))), status::INVALID_OPCODE);
    for cns in [virt::CNS_PRIMARY, virt::CNS_SECONDARY] {
        let slice = b.buffer.slice(0, 4096).unwrap();
        let c = admin(opcode::IDENTIFY, 0, [cns as u32, 0, 0, 0, 0, 0], Data::Slice(slice));
        assert_eq!(code(b.admin(c)), status::INVALID_FIELD);
    }
    assert!(!virt::OACS_SUPPORTED.is_set(le(&b.page(opcode::CNS_CONTROLLER, 0), id::OACS, 2)));
}
