//! What a command's fields must be: each check says a [`Verdict`], zero if nothing is wrong.

use azote_hdl::prelude::*;
use azote_regs::nvme::{command as cmd, entry, identify, limits, log, opcode, status, virtualization as virt};

use crate::storage::verdict::{Verdict, fault, wrong};

/// Largest vector and queue id.
const LAST_VECTOR: u64 = azote_regs::bar::msix_vectors(azote_regs::function::Kind::Storage) - 1;
const LAST_QUEUE: u64 = limits::QUEUES - 1;

/// The first namespace id above which there can be none (NVMe 5.15.1).
const LAST_NSID: u64 = limits::NSID_ALL - 1;
/// The number of DWs of the longest log page that may be asked for, 0's based.
const LAST_DW: u64 = limits::MAX_TRANSFER / 4 - 1;

/// Create I/O Completion or Submission Queue (NVMe 5.3, 5.4).
#[pure]
pub fn create_queue(completes: V, cdw10: V, cdw11: V, prp1: V) -> V {
    let qid = cdw10.get(cmd::QUEUE_QID);
    let size = cdw10.get(cmd::QUEUE_SIZE);
    let cqid = cdw11.get(cmd::SQ_CQID);
    if (qid == 0) | (qid > LAST_QUEUE) {
        sized(wrong(status::INVALID_QID, entry::SQE_CDW10, 0), Verdict::WIDTH)
    } else if (!completes) & ((cqid == 0) | (cqid > LAST_QUEUE)) {
        sized(wrong(status::INVALID_QID, entry::SQE_CDW11 + 2, 0), Verdict::WIDTH)
    } else if (size == 0) | (size > limits::MQES) {
        sized(wrong(status::INVALID_QUEUE_SIZE, entry::SQE_CDW10 + 2, 0), Verdict::WIDTH)
    } else if !cdw11.get(cmd::QUEUE_PC) {
        sized(wrong(status::INVALID_FIELD, entry::SQE_CDW11, 0), Verdict::WIDTH)
    } else if prp1.bits(11, 0) != 0 {
        sized(wrong(status::PRP_OFFSET, entry::SQE_PRP1, 0), Verdict::WIDTH)
    } else if completes & (cqid > LAST_VECTOR) {
        sized(wrong(status::INVALID_VECTOR, entry::SQE_CDW11 + 2, 0), Verdict::WIDTH)
    } else {
        0
    }
}

/// Identify (NVMe 5.15); lists of secondary controllers are the PF's.
#[pure]
pub fn identify(cdw10: V, nsid: V, bound: V, primary: V) -> V {
    let cns = cdw10.get(cmd::IDENTIFY_CNS);
    let foreign = match cns {
        opcode::CNS_NAMESPACE => nsid != limits::NSID,
        opcode::CNS_ACTIVE_LIST => nsid >= konst(LAST_NSID),
        opcode::CNS_DESCRIPTORS => (nsid != limits::NSID) | !bound,
        _ => sized(0, 1),
    };
    let known = match cns {
        opcode::CNS_NAMESPACE | opcode::CNS_CONTROLLER | opcode::CNS_ACTIVE_LIST | opcode::CNS_DESCRIPTORS => {
            sized(1, 1)
        }
        virt::CNS_PRIMARY | virt::CNS_SECONDARY => primary,
        _ => 0,
    };
    if !known {
        sized(wrong(status::INVALID_FIELD, entry::SQE_CDW10, 0), Verdict::WIDTH)
    } else if foreign {
        sized(wrong(status::INVALID_NAMESPACE, entry::SQE_NSID, 0), Verdict::WIDTH)
    } else {
        0
    }
}

/// Get Log Page (NVMe 5.14).
#[pure]
pub fn log_page(cdw10: V, cdw11: V, cdw12: V, cdw13: V, nsid: V) -> V {
    let lid = cdw10.get(cmd::LOG_LID);
    let known = ((lid != 0) & (lid <= opcode::LOG_EFFECTS)) | (lid == opcode::LOG_VOLUME);
    let fits = cdw10.get(cmd::LOG_NUMDL).zext(17) <= konst(LAST_DW);
    let ours = (nsid == 0) | (nsid == limits::NSID) | (nsid == limits::NSID_ALL);
    // It may be read from any DW of it, and from its end (NVMe 1.4 §5.14).
    let short = (lid == opcode::LOG_ERROR) | (lid == opcode::LOG_SMART) | (lid == opcode::LOG_FIRMWARE);
    let end = if short { sized(log::SMART_SIZE, 32) } else { konst(identify::SIZE) };
    if !known {
        sized(wrong(status::INVALID_LOG, entry::SQE_CDW10, 0), Verdict::WIDTH)
    } else if !ours {
        sized(wrong(status::INVALID_NAMESPACE, entry::SQE_NSID, 0), Verdict::WIDTH)
    } else if (cdw11.get(cmd::LOG_NUMDU) != 0) | !fits {
        sized(wrong(status::INVALID_FIELD, entry::SQE_CDW10 + 2, 0), Verdict::WIDTH)
    } else if (cdw12.bits(1, 0) != 0) | (cdw13 != 0) | (cdw12 > end) {
        sized(wrong(status::INVALID_FIELD, entry::SQE_CDW12, 0), Verdict::WIDTH)
    } else {
        0
    }
}

/// Whether a feature is kept here (all but Number of Queues, which is the same always).
#[pure]
pub fn feature_known(fid: V) -> V {
    match fid {
        opcode::FEATURE_ARBITRATION
        | opcode::FEATURE_POWER
        | opcode::FEATURE_TEMPERATURE
        | opcode::FEATURE_ERROR_RECOVERY
        | opcode::FEATURE_WRITE_CACHE
        | opcode::FEATURE_COALESCING
        | opcode::FEATURE_VECTOR
        | opcode::FEATURE_ATOMICITY
        | opcode::FEATURE_ASYNC_EVENT => sized(1, 1),
        _ => 0,
    }
}

/// Whether CDW11 chooses something that is not there: a vector, a sensor.
#[pure]
fn feature_choice(fid: V, cdw11: V, sets: V) -> V {
    let vector = cdw11.get(cmd::VECTOR_IV) > LAST_VECTOR;
    let sensor = cdw11.get(cmd::TEMPERATURE_SENSOR);
    let no_sensor = (sensor != 0) & !(sets & (sensor == cmd::TEMPERATURE_SENSOR_ALL));
    let no_type = cdw11.get(cmd::TEMPERATURE_TYPE) > cmd::TEMPERATURE_UNDER;
    match fid {
        opcode::FEATURE_VECTOR => vector,
        opcode::FEATURE_TEMPERATURE => no_sensor | no_type,
        _ => sized(0, 1),
    }
}

/// Set Features (NVMe 5.21). `made`: the controller has I/O queues already.
#[pure]
pub fn set_feature(cdw10: V, cdw11: V, nsid: V, made: V) -> V {
    let fid = cdw10.get(cmd::FEATURE_FID);
    let queues = fid == opcode::FEATURE_QUEUES;
    let all = (cdw11.get(cmd::QUEUES_NSQ) == 0xffff) | (cdw11.get(cmd::QUEUES_NCQ) == 0xffff);
    let some = (nsid != 0) & (nsid != limits::NSID_ALL);
    let value = match fid {
        opcode::FEATURE_QUEUES => all,
        opcode::FEATURE_POWER => cdw11.get(cmd::POWER_PS) != 0,
        opcode::FEATURE_ERROR_RECOVERY => cdw11.get(cmd::RECOVERY_DULBE),
        _ => feature_choice(fid, cdw11, sized(1, 1)),
    };
    if !(feature_known(fid) | queues) {
        sized(wrong(status::INVALID_FIELD, entry::SQE_CDW10, 0), Verdict::WIDTH)
    } else if cdw10.get(cmd::FEATURE_SV) {
        sized(wrong(status::FEATURE_NOT_SAVEABLE, entry::SQE_CDW10 + 3, 7), Verdict::WIDTH)
    } else if some & (nsid != limits::NSID) {
        sized(wrong(status::INVALID_NAMESPACE, entry::SQE_NSID, 0), Verdict::WIDTH)
    } else if some & (fid != opcode::FEATURE_ERROR_RECOVERY) {
        sized(wrong(status::FEATURE_NOT_NAMESPACE, entry::SQE_NSID, 0), Verdict::WIDTH)
    } else if value {
        sized(wrong(status::INVALID_FIELD, entry::SQE_CDW11, 0), Verdict::WIDTH)
    } else if queues & made {
        sized(fault(status::SEQUENCE), Verdict::WIDTH)
    } else {
        0
    }
}

/// Get Features (NVMe 5.13).
#[pure]
pub fn get_feature(cdw10: V, cdw11: V) -> V {
    let fid = cdw10.get(cmd::FEATURE_FID);
    if !(feature_known(fid) | (fid == opcode::FEATURE_QUEUES)) {
        sized(wrong(status::INVALID_FIELD, entry::SQE_CDW10, 0), Verdict::WIDTH)
    } else if cdw10.get(cmd::FEATURE_SEL) > cmd::FEATURE_SEL_CAPABILITIES {
        sized(wrong(status::INVALID_FIELD, entry::SQE_CDW10 + 1, 0), Verdict::WIDTH)
    } else if (cdw10.get(cmd::FEATURE_SEL) != cmd::FEATURE_SEL_CAPABILITIES) & feature_choice(fid, cdw11, sized(0, 1)) {
        sized(wrong(status::INVALID_FIELD, entry::SQE_CDW11, 0), Verdict::WIDTH)
    } else {
        0
    }
}

/// Format NVM (NVMe 5.23). `short`: the namespace is smaller than a large block.
#[pure]
pub fn format(cdw10: V, nsid: V, bound: V, read_only: V, short: V) -> V {
    let lbaf = cdw10.get(cmd::FORMAT_LBAF);
    let other = cdw10.get(cmd::FORMAT_MSET) | (cdw10.get(cmd::FORMAT_PI) != 0);
    let ours = (nsid == limits::NSID) | (nsid == limits::NSID_ALL);
    if !(ours & bound) {
        sized(wrong(status::INVALID_NAMESPACE, entry::SQE_NSID, 0), Verdict::WIDTH)
    } else if (lbaf >= limits::FORMATS) | other | ((lbaf != 0) & short) {
        sized(wrong(status::INVALID_FORMAT, entry::SQE_CDW10, 0), Verdict::WIDTH)
    } else if cdw10.get(cmd::FORMAT_SES) > cmd::FORMAT_SES_USER {
        sized(wrong(status::INVALID_FIELD, entry::SQE_CDW10 + 1, 1), Verdict::WIDTH)
    } else if read_only {
        sized(fault(status::WRITE_PROTECTED), Verdict::WIDTH)
    } else {
        0
    }
}

/// Virtualization Management (NVMe 1.4 §5.22). All resources are private ones: there is nothing to give.
/// `exists`: the identifier is a secondary controller's; `enabled`, `offline`: its state; `busy`: one is on its way offline.
#[pure]
pub fn virtualization(cdw10: V, cdw11: V, exists: V, enabled: V, offline: V, busy: V) -> V {
    let action = cdw10.get(virt::ACT);
    let state = action == virt::OFFLINE;
    let online = action == virt::ONLINE;
    let assigns = action == virt::ASSIGN;
    let primary = action == virt::PRIMARY_FLEXIBLE;
    let id = cdw10.get(virt::CNTLID);
    let named = if primary { id == virt::PRIMARY_ID } else { exists };
    if !(state | online | assigns | primary) {
        sized(wrong(status::INVALID_FIELD, entry::SQE_CDW10, 0), Verdict::WIDTH)
    } else if !named {
        sized(wrong(status::INVALID_CONTROLLER, entry::SQE_CDW10 + 2, 0), Verdict::WIDTH)
    } else if (assigns | primary) & (cdw10.get(virt::RT) > virt::VI) {
        sized(wrong(status::RESOURCE_IDENTIFIER, entry::SQE_CDW10 + 1, 0), Verdict::WIDTH)
    } else if assigns & !offline {
        sized(fault(status::SECONDARY_STATE), Verdict::WIDTH)
    } else if (assigns | primary) & (cdw11.get(virt::NR) != 0) {
        sized(wrong(status::RESOURCE_NUMBER, entry::SQE_CDW11, 0), Verdict::WIDTH)
    } else if ((state | online) & busy) | (online & !enabled) {
        sized(fault(status::SECONDARY_STATE), Verdict::WIDTH)
    } else {
        0
    }
}
