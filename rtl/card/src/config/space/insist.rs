//! What a few registers insist on before they take a value. Where a function has no such register, what is said here of its DW
//! does nothing: nothing of it is stored.

use azote_hdl::prelude::*;
use azote_regs::pcie::{power, sriov};

use super::words::{DW_NUM_VFS, DW_PAGE, DW_PMCSR, DW_SRIOV, DW_VF_BAR};

/// What of a written value is taken. `ari`: what is above forwards to functions beyond number 7; `scale`: log4 of a VF's size
/// over 16 KiB.
#[pure]
pub fn taken(dw: V, value: V, ari: V, scale: V) -> V {
    // VFs lie beyond function 7: without ARI above us nobody could reach them.
    let no_vfs = value & konst(0xffff_ffff & !sriov::CONTROL_VF_ENABLE.mask());
    let aligned = match scale {
        0 => sized(0xffff_ffff, 32),
        1 => 0xffff_000f,
        2 => 0xfffc_000f,
        3 => 0xfff0_000f,
        _ => 0xffc0_000f,
    };
    match dw {
        DW_SRIOV => {
            if ari {
                value
            } else {
                no_vfs
            }
        }
        DW_VF_BAR => value & aligned,
        _ => value,
    }
}

/// Whether the register keeps what it has instead. `vfe`: VF Enable is set.
#[pure]
pub fn refused(dw: V, value: V, vfe: V, vfs: usize) -> V {
    let many = value.bits(15, 0) > konst(vfs);
    let below = value - 1;
    let one = (value != 0) & ((value & below) == 0);
    let state = value.get(power::PMCSR_STATE);
    let none = (state != power::D0) & (state != power::D3HOT);
    match dw {
        DW_NUM_VFS => vfe | many,
        DW_PAGE => vfe | !one,
        DW_PMCSR => none,
        _ => sized(0, 1),
    }
}
