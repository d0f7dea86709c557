//! What a storage function is.

use azote_regs::nvme::{controller as c, limits, opcode, status, virtualization};

use super::{Table, bits, hex, said, said_after_colon, table};

const CONTROLLER: &str = include_str!("../../../rtl/regs/src/nvme/controller.rs");
const LIMITS: &str = include_str!("../../../rtl/regs/src/nvme/limits.rs");
const OPCODE: &str = include_str!("../../../rtl/regs/src/nvme/opcode.rs");
const VIRTUALIZATION: &str = include_str!("../../../rtl/regs/src/nvme/virtualization.rs");

macro_rules! named {
    ($module:ident, $($name:ident)*) => { [$((stringify!($name), $module::$name)),*] };
}

fn codes(rows: &[(&str, u64)]) -> String {
    codes_with(rows, &[])
}

/// The same with some of the physical function's own, which are defined with what they are about.
fn codes_with(rows: &[(&str, u64)], virtualization: &[(&str, u64)]) -> String {
    let row = |source: &str, (name, v): &(&str, u64)| (*v, said_after_colon(source, name));
    let of_pf = |(v, what): (u64, String)| (v, format!("{what} (the PF's only)"));
    let mut all: Vec<_> = rows.iter().map(|r| row(OPCODE, r)).collect();
    all.extend(virtualization.iter().map(|r| of_pf(row(VIRTUALIZATION, r))));
    all.sort();
    table(["code", "what"], all.into_iter().map(|(v, what)| [hex(v, 2), what]))
}

pub fn tables() -> Vec<Table> {
    let registers = named!(c, CAP VS INTMS INTMC CC CSTS NSSR AQA ASQ ACQ);
    let registers = registers.map(|(name, at)| [hex(at, 2), format!("`{name}`"), said(CONTROLLER, name)]);
    let cap = named!(c, CAP_MQES CAP_CQR CAP_AMS CAP_TO CAP_DSTRD CAP_NSSRS CAP_CSS CAP_MPSMIN CAP_MPSMAX);
    let cap = cap.map(|(name, f)| [bits(f), said_after_colon(CONTROLLER, name), f.of(c::CAP_VALUE).to_string()]);
    let fields =
        named!(c, CC_EN CC_CSS CC_MPS CC_AMS CC_SHN CC_IOSQES CC_IOCQES CSTS_RDY CSTS_CFS CSTS_SHST AQA_ASQS AQA_ACQS);
    let fields = fields.map(|(name, f)| [format!("`{name}`"), bits(f), said_after_colon(CONTROLLER, name)]);
    let limits = named!(limits, IO_QUEUES MAX_QUEUE_ENTRIES MAX_ADMIN_ENTRIES PAGE_SIZE MAX_TRANSFER LBA_SIZE FORMATS NAMESPACES AERL ACL);
    let limits = limits.map(|(name, v)| [said(LIMITS, name), v.to_string()]);
    let bells = (0..limits_queues()).map(|q| [q.to_string(), hex(c::sq_tail(q), 4), hex(c::cq_head(q), 4)]);
    // The statuses that the RTL makes, with what makes each.
    let statuses = [
        (status::SUCCESS, "the command did all of it"),
        (status::INVALID_OPCODE, "an opcode that is not in the tables above"),
        (
            status::INVALID_FIELD,
            "fused or SGL bits; more than the largest transfer; an unknown CNS, feature, value of a feature, erase setting or management action; a log page from an offset; a queue that is not contiguous",
        ),
        (status::DATA_TRANSFER, "a read of host memory failed: refused, poisoned, or without an answer"),
        (status::INVALID_NAMESPACE, "a namespace other than 1, or a function without a volume"),
        (status::SEQUENCE, "Number of Queues when there are I/O queues"),
        (status::PRP_OFFSET, "a PRP that is not aligned as its place demands; a queue that does not begin at a page"),
        (status::WRITE_PROTECTED, "a command that would change a volume that is bound read-only"),
        (status::LBA_OUT_OF_RANGE, "blocks beyond the namespace's end, in the command or in one of its ranges"),
        (status::CQ_INVALID, "a submission queue for a completion queue that does not exist"),
        (status::INVALID_QID, "queue 0, a queue beyond the limit, one that exists (Create) or does not (Delete)"),
        (status::INVALID_QUEUE_SIZE, "a queue of one entry, or of more than the limit"),
        (status::EVENT_LIMIT, "more Asynchronous Event Requests than the limit"),
        (status::INVALID_VECTOR, "an interrupt vector that the function does not have"),
        (status::INVALID_LOG, "a log page that is not in the table"),
        (
            status::INVALID_FORMAT,
            "an LBA format that is not there, metadata, protection, or large blocks for less than one of them",
        ),
        (status::INVALID_QUEUE_DELETION, "a completion queue that a submission queue still uses"),
        (status::FEATURE_NOT_SAVEABLE, "Set Features with Save"),
        (status::FEATURE_NOT_NAMESPACE, "Set Features of one namespace, for a feature that is the controller's"),
        (status::INVALID_CONTROLLER, "Virtualization Management of what is no secondary controller"),
        (
            status::SECONDARY_STATE,
            "resources for one that is online; online for one that is not enabled; one that is just going offline",
        ),
        (status::RESOURCE_NUMBER, "any number of flexible resources but 0: there are none"),
        (status::RESOURCE_IDENTIFIER, "a resource type that is neither queues nor interrupts"),
        (status::WRITE_FAULT, "the medium failed a command that changes blocks, or a flush"),
        (status::UNRECOVERED_READ, "the medium failed a read, verify or compare"),
        (status::COMPARE_FAILURE, "the volume holds something else"),
    ];
    let statuses = statuses.map(|(code, when)| {
        let (sct, sc) = (status::SCT.of(code), status::SC.of(code));
        [format!("`{sct}/{sc:02x}`"), status::name(code).unwrap_or("?").to_owned(), when.to_owned()]
    });
    vec![
        ("nvme-registers", table(["offset", "name", "what"], registers)),
        ("nvme-cap", table(["bits of CAP", "what", "value"], cap)),
        ("nvme-fields", table(["field", "bits", "what"], fields)),
        ("nvme-doorbells", table(["queue", "submission tail", "completion head"], bells)),
        ("nvme-limits", table(["what", "value"], limits)),
        (
            "nvme-admin",
            codes_with(
                &named!(opcode, DELETE_SQ CREATE_SQ GET_LOG_PAGE DELETE_CQ CREATE_CQ IDENTIFY ABORT SET_FEATURES GET_FEATURES ASYNC_EVENT FORMAT),
                &named!(virtualization, OPCODE),
            ),
        ),
        ("nvme-io", codes(&named!(opcode, FLUSH WRITE READ COMPARE WRITE_ZEROES DATASET VERIFY))),
        (
            "nvme-identify",
            codes_with(
                &named!(opcode, CNS_NAMESPACE CNS_CONTROLLER CNS_ACTIVE_LIST CNS_DESCRIPTORS),
                &named!(virtualization, CNS_PRIMARY CNS_SECONDARY),
            ),
        ),
        (
            "nvme-features",
            codes(
                &named!(opcode, FEATURE_ARBITRATION FEATURE_POWER FEATURE_TEMPERATURE FEATURE_ERROR_RECOVERY FEATURE_WRITE_CACHE
                FEATURE_QUEUES FEATURE_COALESCING FEATURE_VECTOR FEATURE_ATOMICITY FEATURE_ASYNC_EVENT),
            ),
        ),
        ("nvme-logs", codes(&named!(opcode, LOG_ERROR LOG_SMART LOG_FIRMWARE LOG_CHANGED LOG_EFFECTS LOG_VOLUME))),
        ("nvme-statuses", table(["SCT/SC", "status", "when"], statuses)),
    ]
}

const fn limits_queues() -> u64 {
    limits::QUEUES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_opcode_cns_feature_and_log_page_is_in_a_table() {
        let text: String = tables().into_iter().map(|(_, table)| table).collect();
        let constants = |source: &'static str| {
            let names = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(": u64 = 0x"));
            names.map(move |(name, value)| (said_after_colon(source, name), value.trim_end_matches(';').to_owned()))
        };
        let is_code = |name: &str| ["OPCODE", "CNS_PRIMARY", "CNS_SECONDARY"].contains(&name);
        let virtualization = VIRTUALIZATION.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(':'));
        let virtualization = virtualization.filter(|(name, _)| is_code(name));
        let mut rows: Vec<_> = constants(OPCODE).map(|(what, value)| format!("| `{value}` | {what} |")).collect();
        rows.extend(
            virtualization.map(|(name, _)| format!("| {} (the PF's only) |", said_after_colon(VIRTUALIZATION, name))),
        );
        for row in rows {
            assert!(text.contains(&row), "no table has {row}");
        }
    }
}
