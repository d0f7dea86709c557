//! Configuration space, DW by DW, as the card's template has it.

use azote_regs::function::Kind;
use azote_regs::pcie::{acs, aer, ari, capability as cap, dsn, express, header, msix, power, sriov};
use azote_rtl::config::template::{Added, DWS, template};

use super::{Table, bits, hex, said, table};

const HEADER: &str = include_str!("../../../rtl/regs/src/pcie/header.rs");
const POWER: &str = include_str!("../../../rtl/regs/src/pcie/power.rs");
const MSIX: &str = include_str!("../../../rtl/regs/src/pcie/msix.rs");
const EXPRESS: &str = include_str!("../../../rtl/regs/src/pcie/express.rs");
const AER: &str = include_str!("../../../rtl/regs/src/pcie/aer.rs");
const ARI: &str = include_str!("../../../rtl/regs/src/pcie/ari.rs");
const SRIOV: &str = include_str!("../../../rtl/regs/src/pcie/sriov.rs");
const ACS: &str = include_str!("../../../rtl/regs/src/pcie/acs.rs");
const DSN: &str = include_str!("../../../rtl/regs/src/pcie/dsn.rs");

/// Offsets of registers with their names: the comment up to its first comma, semicolon, stop or bracket.
type Names = Vec<(u64, String)>;

macro_rules! names {
    ($base:expr, $module:ident, $source:expr, $($name:ident)*) => {
        vec![$(($base + $module::$name, short(&said($source, stringify!($name))))),*]
    };
}

fn short(text: &str) -> String {
    text.split([',', ';', '.', '(', ':']).next().unwrap_or_default().trim().to_owned()
}

fn common() -> Names {
    let mut n: Names = names!(0, header, HEADER, VENDOR_ID DEVICE_ID COMMAND STATUS REVISION_ID CLASS_CODE CACHE_LINE_SIZE HEADER_TYPE BIST
        SUBSYSTEM_VENDOR_ID SUBSYSTEM_ID EXPANSION_ROM CAPABILITIES INTERRUPT_LINE INTERRUPT_PIN);
    for i in 0..header::BARS {
        n.push((header::BAR0 + 4 * i, format!("BAR{i}")));
    }
    n.push((cap::pf::MSIX, "MSI-X capability".into()));
    n.extend(names!(cap::pf::MSIX, msix, MSIX, CONTROL TABLE PBA));
    n.push((cap::pf::EXPRESS, "PCI Express capability".into()));
    n.extend(
        names!(cap::pf::EXPRESS, express, EXPRESS, CAPS DEVICE_CAPS DEVICE_CONTROL DEVICE_STATUS LINK_CAPS LINK_CONTROL
        LINK_STATUS DEVICE_CAPS_2 DEVICE_CONTROL_2 LINK_CAPS_2 LINK_CONTROL_2 LINK_STATUS_2),
    );
    n
}

fn physical() -> Names {
    let mut n = common();
    n.push((cap::pf::POWER, "power management capability".into()));
    n.extend(names!(cap::pf::POWER, power, POWER, PMC PMCSR));
    n.push((cap::pf::AER, "AER capability".into()));
    n.extend(
        names!(cap::pf::AER, aer, AER, UNCORRECTABLE_STATUS UNCORRECTABLE_MASK UNCORRECTABLE_SEVERITY CORRECTABLE_STATUS
        CORRECTABLE_MASK CONTROL HEADER_LOG),
    );
    for i in 1..4 {
        n.push((cap::pf::AER + aer::HEADER_LOG + 4 * i, format!("Header Log, DW {i}")));
    }
    n.push((cap::pf::ARI, "ARI capability".into()));
    n.extend(names!(cap::pf::ARI, ari, ARI, CAPABILITY CONTROL));
    n.push((cap::pf::SRIOV, "SR-IOV capability".into()));
    n.extend(names!(cap::pf::SRIOV, sriov, SRIOV, CAPABILITIES CONTROL STATUS INITIAL_VFS TOTAL_VFS NUM_VFS DEPENDENCY
        FIRST_VF_OFFSET VF_STRIDE VF_DEVICE_ID SUPPORTED_PAGE_SIZES SYSTEM_PAGE_SIZE));
    n.push((cap::pf::SRIOV + sriov::VF_BAR0, "VF BAR0".into()));
    n.push((cap::pf::SRIOV + sriov::VF_BAR0 + 4, "VF BAR1".into()));
    n.push((cap::pf::ACS, "ACS capability".into()));
    n.extend(names!(cap::pf::ACS, acs, ACS, CAPABILITY CONTROL));
    n.push((cap::pf::DSN, "Device Serial Number capability".into()));
    n.extend(names!(cap::pf::DSN, dsn, DSN, SERIAL_LO SERIAL_HI));
    n
}

fn virtuals() -> Names {
    let mut n = common();
    n.push((cap::vf::ARI, "ARI capability".into()));
    n.extend(names!(cap::vf::ARI, ari, ARI, CAPABILITY CONTROL));
    n.push((cap::vf::ACS, "ACS capability".into()));
    n.extend(names!(cap::vf::ACS, acs, ACS, CAPABILITY CONTROL));
    n
}

/// DWs that read as something or can be written; the rest read 0.
fn space(kind: Kind, vf: bool, names: &Names) -> String {
    let dws = template(kind, vf, 4, &Added::default());
    let rows = (0..DWS).filter(|i| dws[*i].stored || dws[*i].reset != 0).map(|i| {
        let (at, dw) = (4 * i as u64, &dws[i]);
        let mut here: Vec<&(u64, String)> = names.iter().filter(|(offset, _)| offset / 4 == at / 4).collect();
        here.sort_by_key(|n| n.0);
        let what: Vec<&str> = here.iter().map(|n| n.1.as_str()).collect();
        let or_nothing = |v: u64| if v == 0 { String::new() } else { hex(v, 8) };
        [hex(at, 3), what.join(" · "), hex(dw.reset, 8), or_nothing(dw.writable), or_nothing(dw.clear_by_one)]
    });
    table(["offset", "registers, lowest first", "after reset", "writable", "cleared by writing 1"], rows)
}

pub fn tables() -> Vec<Table> {
    let uncorrectable: [(&str, azote_regs::Field); 5] = [
        ("POISONED", aer::POISONED),
        ("COMPLETION_TIMEOUT", aer::COMPLETION_TIMEOUT),
        ("UNEXPECTED_COMPLETION", aer::UNEXPECTED_COMPLETION),
        ("MALFORMED", aer::MALFORMED),
        ("UNSUPPORTED_REQUEST", aer::UNSUPPORTED_REQUEST),
    ];
    let errors = uncorrectable.map(|(name, field)| {
        let fatal = field.is_set(aer::UNCORRECTABLE_SEVERITY_RESET);
        let severity = if fatal { "fatal" } else { "non-fatal" };
        [bits(field), super::said_after_colon(AER, name), severity.to_owned()]
    });
    vec![
        ("config-pf", space(Kind::Storage, false, &physical())),
        ("config-vf", space(Kind::Storage, true, &virtuals())),
        ("errors", table(["bit", "error", "severity after reset"], errors)),
    ]
}
