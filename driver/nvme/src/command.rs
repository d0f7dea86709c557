//! The commands that this driver sends, made from their arguments. Each says its specification section.

use azote_regs::nvme::{command as dw, limits, opcode};

use crate::entry::Sqe;

/// Identify (NVMe 5.15).
pub(crate) fn identify(cns: u64, nsid: u64) -> Sqe {
    Sqe::new(opcode::IDENTIFY, nsid).cdw(dw::IDENTIFY_CNS.put(cns), 0, 0)
}

/// Create I/O Completion Queue (NVMe 5.3); interrupts go to `vector` if there is one.
pub(crate) fn create_cq(qid: u16, depth: u16, iova: u64, vector: Option<u16>) -> Sqe {
    let interrupts = vector.map_or(0, |v| dw::CQ_IEN.put(1) | dw::CQ_IV.put(v.into()));
    Sqe::new(opcode::CREATE_CQ, 0).prp(iova, 0).cdw(size(qid, depth), dw::QUEUE_PC.put(1) | interrupts, 0)
}

/// Create I/O Submission Queue (NVMe 5.4), completed to the completion queue of the same id.
pub(crate) fn create_sq(qid: u16, depth: u16, iova: u64) -> Sqe {
    let cdw11 = dw::QUEUE_PC.put(1) | dw::SQ_CQID.put(qid.into());
    Sqe::new(opcode::CREATE_SQ, 0).prp(iova, 0).cdw(size(qid, depth), cdw11, 0)
}

fn size(qid: u16, depth: u16) -> u64 {
    dw::QUEUE_QID.put(qid.into()) | dw::QUEUE_SIZE.put(u64::from(depth) - 1)
}

/// Delete I/O Submission Queue (NVMe 5.6).
pub(crate) fn delete_sq(qid: u16) -> Sqe {
    Sqe::new(opcode::DELETE_SQ, 0).cdw(dw::QUEUE_QID.put(qid.into()), 0, 0)
}

/// Delete I/O Completion Queue (NVMe 5.5).
pub(crate) fn delete_cq(qid: u16) -> Sqe {
    Sqe::new(opcode::DELETE_CQ, 0).cdw(dw::QUEUE_QID.put(qid.into()), 0, 0)
}

/// Set Features: Number of Queues (NVMe 5.21.1.7).
pub(crate) fn set_queues(count: u16) -> Sqe {
    let n = u64::from(count) - 1;
    let cdw11 = dw::QUEUES_NSQ.put(n) | dw::QUEUES_NCQ.put(n);
    Sqe::new(opcode::SET_FEATURES, 0).cdw(dw::FEATURE_FID.put(opcode::FEATURE_QUEUES), cdw11, 0)
}

/// Get Features, current value (NVMe 5.13).
pub(crate) fn get_feature(fid: u64) -> Sqe {
    Sqe::new(opcode::GET_FEATURES, 0).cdw(dw::FEATURE_FID.put(fid), 0, 0)
}

/// Abort (NVMe 5.1).
pub(crate) fn abort(qid: u16, cid: u16) -> Sqe {
    Sqe::new(opcode::ABORT, 0).cdw(dw::ABORT_SQID.put(qid.into()) | dw::ABORT_CID.put(cid.into()), 0, 0)
}

/// Asynchronous Event Request (NVMe 5.2).
pub(crate) fn async_event() -> Sqe {
    Sqe::new(opcode::ASYNC_EVENT, 0)
}

/// Get Log Page (NVMe 5.14), controller-wide, `len` bytes from its beginning.
pub(crate) fn get_log(lid: u64, len: u64) -> Sqe {
    let dwords = len / 4 - 1;
    let cdw10 = dw::LOG_LID.put(lid) | dw::LOG_NUMDL.put(dwords);
    Sqe::new(opcode::GET_LOG_PAGE, limits::NSID_ALL).cdw(cdw10, dw::LOG_NUMDU.put(dwords >> 16), 0)
}

/// Read, Write or Write Zeroes (NVMe 6.9, 6.15, 6.16), with flags of CDW12.
#[inline(always)]
pub(crate) fn blocks(opcode: u64, nsid: u64, lba: u64, count: u64, flags: u64) -> Sqe {
    Sqe::new(opcode, nsid).cdw(lba, lba >> 32, dw::RW_NLB.put(count - 1) | flags)
}

/// Dataset Management (NVMe 6.7): deallocate one range.
pub(crate) fn deallocate(nsid: u64) -> Sqe {
    Sqe::new(opcode::DATASET, nsid).cdw(dw::DATASET_NR.put(0), dw::DATASET_AD.put(1), 0)
}

/// Flush (NVMe 6.8).
pub(crate) fn flush(nsid: u64) -> Sqe {
    Sqe::new(opcode::FLUSH, nsid)
}
