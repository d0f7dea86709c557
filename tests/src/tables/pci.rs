//! Who the functions are, their BARs, and management.

use azote_regs::function::{self, FunctionId, Kind};
use azote_regs::{bar, ids, manage};

use super::{Table, bits, hex, said, said_after_colon, table};

const BAR: &str = include_str!("../../../rtl/regs/src/bar.rs");
const MANAGE: &str = include_str!("../../../rtl/regs/src/manage.rs");

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
    let top = rows!(manage, MANAGE, MAGIC VERSION VFS BINDINGS);
    let entry = rows!(manage, MANAGE, BINDING_CTRL BINDING_VOLUME BINDING_BASE_LO BINDING_BASE_HI BINDING_LENGTH_LO BINDING_LENGTH_HI BINDING_COMMANDS BINDING_BLOCKS);
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
    ]
}
