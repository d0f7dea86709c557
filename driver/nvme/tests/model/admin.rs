//! The model's admin commands.

use azote_regs::nvme::{command as dw, identify as id, limits, log, opcode, status};
use azote_seam::mock::Host;

use super::{Fetched, Model, Ring};

impl Model {
    pub(super) fn admin(&mut self, c: Fetched, host: &mut Host) {
        if self.faults.deaf_admin || self.faults.deaf_forever {
            return;
        }
        let (code, dw0) = match c.opcode {
            opcode::IDENTIFY => (self.identify(&c, host), 0),
            opcode::SET_FEATURES if dw::FEATURE_FID.of(c.cdw[0]) == opcode::FEATURE_QUEUES => {
                let n = u64::from(self.grant) - 1;
                (status::SUCCESS, (dw::QUEUES_NSQ.put(n) | dw::QUEUES_NCQ.put(n)) as u32)
            }
            opcode::CREATE_CQ | opcode::CREATE_SQ => (self.create(&c), 0),
            opcode::DELETE_SQ => (gone(self.sqs.remove(&(c.cdw[0] as u16))), 0),
            opcode::DELETE_CQ if self.sqs.values().any(|s| u64::from(s.cq) == c.cdw[0]) => {
                (status::INVALID_QUEUE_DELETION, 0)
            }
            opcode::DELETE_CQ => (gone(self.cqs.remove(&(c.cdw[0] as u16))), 0),
            opcode::ABORT => return self.abort(&c, host),
            opcode::ASYNC_EVENT if self.events.len() as u64 > limits::AERL => (status::EVENT_LIMIT, 0),
            opcode::ASYNC_EVENT => return self.events.push_back(c.cid),
            opcode::GET_LOG_PAGE => (self.log(&c, host), 0),
            _ => (status::INVALID_OPCODE | status::DNR.mask(), 0),
        };
        let (code, dw0) = self.faults.twist(code, dw0);
        self.complete(0, c.cid, code, dw0, host);
    }

    fn identify(&mut self, c: &Fetched, host: &mut Host) -> u64 {
        let mut page = vec![0; id::SIZE as usize];
        let mut put = |at: u64, data: &[u8]| page[at as usize..at as usize + data.len()].copy_from_slice(data);
        let exists = !self.disk.is_empty();
        match dw::IDENTIFY_CNS.of(c.cdw[0]) {
            opcode::CNS_CONTROLLER => {
                put(id::VID, &0x1af4u16.to_le_bytes());
                put(id::SN, b"MODEL-0001          ");
                put(id::MN, &id::MODEL);
                put(id::FR, &id::FIRMWARE);
                put(id::MDTS, &[limits::MDTS as u8]);
                put(id::AERL, &[limits::AERL as u8]);
                put(id::ELPE, &[3]);
                put(id::SQES, &[0x66, 0x44]);
                put(id::NN, &1u32.to_le_bytes());
                put(id::ONCS, &((id::ONCS_WRITE_ZEROES | id::ONCS_DATASET) as u16).to_le_bytes());
                put(id::VWC, &[1]);
                put(id::SUBNQN, b"nqn.2014-08.org.nvmexpress:model\0");
            }
            opcode::CNS_ACTIVE_LIST if exists && c.nsid < limits::NSID => put(0, &1u32.to_le_bytes()),
            opcode::CNS_ACTIVE_LIST => {}
            opcode::CNS_NAMESPACE if c.nsid == limits::NSID && exists => {
                let blocks = (self.disk.len() as u64 / limits::LBA_SIZE).to_le_bytes();
                for at in [id::NSZE, id::NCAP, id::NUSE] {
                    put(at, &blocks);
                }
                put(id::NSATTR, &[self.read_only.into()]);
                put(id::LBAF0, &(id::LBAF_LBADS.put(limits::LBA_SHIFT) as u32).to_le_bytes());
            }
            opcode::CNS_DESCRIPTORS if c.nsid == limits::NSID && exists => {
                put(0, &[id::NIDT_EUI64 as u8, 8, 0, 0, 2, 0x41, 0x5a, 0xff, 0xfe, 0, 0, 1]);
            }
            opcode::CNS_NAMESPACE | opcode::CNS_DESCRIPTORS => return status::INVALID_NAMESPACE,
            _ => return status::INVALID_FIELD,
        }
        self.faults.deface(&mut page);
        self.transfer_out(c, &page, host)
    }

    fn create(&mut self, c: &Fetched) -> u64 {
        let qid = dw::QUEUE_QID.of(c.cdw[0]) as u16;
        let size = dw::QUEUE_SIZE.of(c.cdw[0]);
        if qid == 0 || qid > self.grant {
            return status::INVALID_QID;
        }
        if size == 0 || size > limits::MQES {
            return status::INVALID_QUEUE_SIZE;
        }
        let ring = Ring { base: c.prp[0], entries: size as u16 + 1, phase: true, ..Ring::default() };
        if c.opcode == opcode::CREATE_CQ {
            let vector = dw::CQ_IEN.is_set(c.cdw[1]).then(|| dw::CQ_IV.of(c.cdw[1]) as u16);
            self.cqs.insert(qid, Ring { vector, ..ring });
        } else {
            let cq = dw::SQ_CQID.of(c.cdw[1]) as u16;
            if !self.cqs.contains_key(&cq) {
                return status::CQ_INVALID;
            }
            self.sqs.insert(qid, Ring { cq, ..ring });
        }
        status::SUCCESS
    }

    fn abort(&mut self, c: &Fetched, host: &mut Host) {
        self.aborts += 1;
        let target = (dw::ABORT_SQID.of(c.cdw[0]) as u16, dw::ABORT_CID.of(c.cdw[0]) as u16);
        let found = self.held.iter().position(|&h| h == target).filter(|_| !self.faults.not_abortable);
        if let Some(i) = found {
            self.held.remove(i);
            self.complete(target.0, target.1, status::ABORT_REQUESTED, 0, host);
        }
        self.complete(0, c.cid, status::SUCCESS, u32::from(found.is_none()), host);
    }

    fn log(&mut self, c: &Fetched, host: &mut Host) -> u64 {
        let len = (dw::LOG_NUMDL.of(c.cdw[0]) + 1) * 4;
        let mut page = vec![0; len as usize];
        match dw::LOG_LID.of(c.cdw[0]) {
            opcode::LOG_SMART => {
                let reads = self.done.get(&opcode::READ).copied().unwrap_or(0);
                page[log::SMART_READS as usize..][..8].copy_from_slice(&reads.to_le_bytes());
                page[log::SMART_TEMPERATURE as usize..][..2].copy_from_slice(&313u16.to_le_bytes());
            }
            opcode::LOG_FIRMWARE => {
                page[0] = 1;
                page[log::FIRMWARE_FRS1 as usize..][..8].copy_from_slice(&id::FIRMWARE);
            }
            opcode::LOG_ERROR => page[0] = 1,
            _ => return status::INVALID_LOG | status::DNR.mask(),
        }
        self.faults.deface(&mut page);
        self.transfer_out(c, &page, host)
    }

    /// Events: a namespace that changed, or as many as the driver will take.
    pub(super) fn step_events(&mut self, host: &mut Host) {
        if let Some(disk) = self.rebind.take() {
            self.disk = disk;
            self.event_pending =
                Some((dw::EVENT_TYPE.put(dw::EVENT_TYPE_NOTICE) | dw::EVENT_INFO.put(dw::EVENT_INFO_NAMESPACE)) as u32);
        }
        let event = if self.faults.event_storm { Some(0) } else { self.event_pending };
        if let Some(event) = event
            && let Some(cid) = self.events.pop_front()
        {
            self.event_pending = None;
            self.complete(0, cid, status::SUCCESS, event, host);
        }
    }
}

fn gone(queue: Option<Ring>) -> u64 {
    if queue.is_some() { status::SUCCESS } else { status::INVALID_QID }
}
