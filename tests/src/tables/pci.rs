//! Who the functions are, their BARs, and management.

use azote_regs::function::{self, FunctionId, Kind};
use azote_regs::{bar, ids, manage};

use super::{Table, bits, hex, said, said_after_colon, table};

const BAR: &str = include_str!("../../../rtl/regs/src/bar.rs");
const MANAGE: &str = concat!(
    include_str!("../../../rtl/regs/src/manage/mod.rs"),
    include_str!("../../../rtl/regs/src/manage/bindings.rs"),
    include_str!("../../../rtl/regs/src/manage/ports.rs")
);
const PORTS: &str = include_str!("../../../rtl/regs/src/manage/ports.rs");

/// Rows of `(constant, its value, its comment)` for registers of a module.
macro_rules! rows {
    ($module:ident, $source:expr, $($name:ident)*) => {
        vec![$((stringify!($name), u64::from($module::$name), said_after_colon($source, stringify!($name)))),*]
    };
}

pub fn tables() -> Vec<Table> {
    let identity = Kind::ALL.map(|kind| {
        let last = FunctionId::vf(kind, (function::MAX_VFS - 1) as u8).map_or(0, FunctionId::number);
        let first = FunctionId::vf(kind, 0).map_or(0, FunctionId::number);
        [
            kind.name().to_owned(),
            FunctionId::pf(kind).number().to_string(),
            format!("{first}, {}, … {last}", u64::from(first) + function::VF_STRIDE),
            format!("`{:04x}:{:04x}`", ids::VENDOR, ids::device(kind)),
            hex(ids::class(kind), 6),
        ]
    });
    let numbering = [
        ("First VF Offset", function::FIRST_VF_OFFSET),
        ("VF Stride", function::VF_STRIDE),
        ("most VFs of a kind", function::MAX_VFS),
    ];
    let pages = rows!(bar, BAR, REGISTERS DOORBELLS MSIX_TABLE MSIX_PBA);
    let top = rows!(manage, MANAGE, MAGIC VERSION VFS BINDINGS PORTS COUNTERS);
    let entry = rows!(manage, MANAGE, BINDING_CTRL BINDING_VOLUME BINDING_BASE_LO BINDING_BASE_HI BINDING_LENGTH_LO BINDING_LENGTH_HI BINDING_COMMANDS BINDING_BLOCKS);
    let port = rows!(manage, MANAGE, PORT_CTRL PORT_MAC_LO PORT_MAC_HI PORT_TENANT PORT_VLAN PORT_MTU);
    let counters =
        rows!(manage, MANAGE, COUNTER_TX_FRAMES COUNTER_RX_FRAMES COUNTER_DROPS COUNTER_TX_BYTES COUNTER_RX_BYTES);
    let offsets = |rows: Vec<(&'static str, u64, String)>| {
        table(
            ["offset", "name", "what"],
            rows.into_iter().map(|(name, at, what)| [hex(at, 4), format!("`{name}`"), what]),
        )
    };
    let fields = [
        ("CTRL_VALID", manage::CTRL_VALID),
        ("CTRL_READ_ONLY", manage::CTRL_READ_ONLY),
        ("CTRL_BIG", manage::CTRL_BIG),
        ("CTRL_BUSY", manage::CTRL_BUSY),
        ("VOLUME_ID", manage::VOLUME_ID),
        ("VOLUME_WEIGHT", manage::VOLUME_WEIGHT),
        ("VOLUME_TIMEOUT", manage::VOLUME_TIMEOUT),
        ("RATE", manage::RATE),
    ];
    let port_fields = [
        ("PORT_ENABLED", manage::PORT_ENABLED),
        ("PORT_LINK", manage::PORT_LINK),
        ("PORT_ANTI_SPOOF", manage::PORT_ANTI_SPOOF),
        ("PORT_TRUSTED", manage::PORT_TRUSTED),
        ("PORT_PROMISCUOUS", manage::PORT_PROMISCUOUS),
        ("PORT_UPLINK", manage::PORT_UPLINK),
        ("PORT_BUSY", manage::PORT_BUSY),
        ("PORT_MAC_HIGH", manage::PORT_MAC_HIGH),
        ("PORT_VNI", manage::PORT_VNI),
        ("PORT_VLAN_ID", manage::PORT_VLAN_ID),
        ("PORT_VLAN_PRIORITY", manage::PORT_VLAN_PRIORITY),
        ("PORT_MTU_BYTES", manage::PORT_MTU_BYTES),
    ];
    let drops = manage::drop::NAMES.iter().enumerate().map(|(i, name)| {
        let constant = name.to_uppercase().replace('-', "_");
        [format!("{:04x}", manage::COUNTER_DROPS + 4 * i as u64), format!("`{name}`"), said(PORTS, &constant)]
    });
    vec![
        ("identity", table(["kind", "PF", "VFs", "vendor:device", "class"], identity)),
        ("numbering", table(["what", "value"], numbering.map(|(what, v)| [what.to_owned(), v.to_string()]))),
        ("bar0", offsets(pages)),
        ("management", offsets(top)),
        ("binding", offsets(entry)),
        (
            "binding-fields",
            table(
                ["field", "bits", "what"],
                fields.map(|(name, f)| [format!("`{name}`"), bits(f), said(MANAGE, name)]),
            ),
        ),
        ("port", offsets(port)),
        (
            "port-fields",
            table(
                ["field", "bits", "what"],
                port_fields.map(|(name, f)| [format!("`{name}`"), bits(f), said(MANAGE, name)]),
            ),
        ),
        ("counters", offsets(counters)),
        ("drops", table(["offset", "name", "what"], drops)),
    ]
}
