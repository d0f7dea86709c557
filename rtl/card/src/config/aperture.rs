//! Where the functions of a kind lie in memory space, on the way from configuration space to the decoder.

use azote_hdl::prelude::*;

/// At configuration space.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ApertureIn"]
pub struct ApertureOut {
    /// PF BAR0, VF BAR0 without their low 14 bits.
    pub bar0: O<50>,
    pub vf_bar0: O<50>,
    /// PF memory space enabled (and D0); VF memory space enabled and VFs enabled.
    pub memory: O<1>,
    pub vf_memory: O<1>,
    pub num_vfs: O<6>,
    /// log4 of the VF's size over 16 KiB.
    pub vf_scale: O<3>,
}

/// At the decoder.
#[derive(LogicInterface, Clone, Debug, Default)]
#[join = "ApertureOut"]
pub struct ApertureIn {
    pub bar0: I<50>,
    pub vf_bar0: I<50>,
    pub memory: I<1>,
    pub vf_memory: I<1>,
    pub num_vfs: I<6>,
    pub vf_scale: I<3>,
}
