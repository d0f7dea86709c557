//! Live copies of what the rest of the card needs of the PFs' configuration at once: where their BARs lie, which VFs there are,
//! how large packets may be. Whatever is here is also in the state RAM, from where the host reads it.

use azote_hdl::prelude::*;
use azote_regs::function;
use azote_regs::pcie::{express, header, power, sriov};

use super::super::aperture::ApertureOut;
use super::words::{
    DW_BAR0, DW_BAR1, DW_BAR2, DW_BAR3, DW_COMMAND, DW_DEVICE, DW_DEVICE_2, DW_NUM_VFS, DW_PAGE, DW_PMCSR, DW_SRIOV,
    DW_VF_BAR, DW_VF_BAR1,
};

const KINDS: usize = function::KINDS as usize;
const FIRST: usize = 0;
const TRUST: usize = function::TRUST as usize;
/// Max_Read_Request_Size after reset.
const MRRS: u64 = express::DEVICE_CONTROL_MRRS.of(express::DEVICE_CONTROL_RESET);

#[derive(LogicBlock, Default)]
pub struct Live {
    pub clock: Clk,
    pub reset: Rst,
    /// One clock: `dw` of the PF of `kind` is `value` from the next clock on.
    pub write: I<1>,
    pub kind: I<2>,
    pub dw: I<10>,
    pub value: I<32>,
    /// One clock: the PF of `forget_kind` is reset.
    pub forget: I<1>,
    pub forget_kind: I<2>,
    /// VF Enable of `kind`, the size of its VFs, and whether it sleeps.
    pub vfe: O<1>,
    pub scale: O<3>,
    pub sleeps: O<1>,
    pub ari: O<1>,
    /// Is there a function of this name? Of two askers, each answered in the same clock.
    pub asked: I<8>,
    pub asked_there: O<1>,
    pub error: I<8>,
    pub error_there: O<1>,
    /// SERR# Enable and Parity Error Response of a PF.
    pub error_kind: I<2>,
    pub serr: O<1>,
    pub parity: O<1>,
    /// Of the PF of `gate_kind`: whether it sleeps, and the VFs that are enabled.
    pub gate_kind: I<2>,
    pub asleep: O<1>,
    pub gate_vfe: O<1>,
    pub gate_num: O<6>,
    /// For address decoding.
    pub apertures: [ApertureOut; KINDS],
    pub manage_bar: O<48>,
    /// How many VFs of each kind are enabled.
    pub enabled_vfs: [O<6>; KINDS],
    /// Max_Payload_Size (of PF 0, for all: PCIe 7.5.3.4) and Max_Read_Request_Size of each PF and its VFs.
    pub mps: O<3>,
    pub mrrs: [O<3>; KINDS],
    /// Completion Timeout Disable of each PF and its VFs.
    pub patient: [O<1>; KINDS],
    l_bar0: [Reg<50>; KINDS],
    l_vf_bar0: [Reg<50>; KINDS],
    l_manage: Reg<48>,
    l_mse: [Reg<1>; KINDS],
    l_sleep: [Reg<1>; KINDS],
    l_vfe: [Reg<1>; KINDS],
    l_vf_mse: [Reg<1>; KINDS],
    l_num_vfs: [Reg<6>; KINDS],
    l_scale: [Reg<3>; KINDS],
    l_mrrs: [Reg<3>; KINDS],
    l_patient: [Reg<1>; KINDS],
    l_serr: [Reg<1>; KINDS],
    l_parity: [Reg<1>; KINDS],
    l_mps: Reg<3>,
    l_ari: Reg<1>,
}

impl Live {
    pub fn new() -> Self {
        Live { l_mrrs: std::array::from_fn(|_| Reg::new(MRRS)), ..Self::default() }
    }
}

#[kernel]
impl Logic for Live {
    fn update(&mut self) {
        let value = self.value;
        for k in 0..KINDS {
            if self.write & (self.kind == k) {
                match self.dw {
                    DW_COMMAND => {
                        self.l_mse[k].d = value.get(header::COMMAND_MSE);
                        self.l_serr[k].d = value.get(header::COMMAND_SERR);
                        self.l_parity[k].d = value.get(header::COMMAND_PARITY);
                    }
                    DW_BAR0 => self.l_bar0[k].d = cat(self.l_bar0[k].q.bits(49, 18), value.bits(31, 14)),
                    DW_BAR1 => self.l_bar0[k].d = cat(value, self.l_bar0[k].q.bits(17, 0)),
                    DW_BAR2 => {
                        if const { k == TRUST } {
                            self.l_manage.d = cat(self.l_manage.q.bits(47, 16), value.bits(31, 16));
                        }
                    }
                    DW_BAR3 => {
                        if const { k == TRUST } {
                            self.l_manage.d = cat(value, self.l_manage.q.bits(15, 0));
                        }
                    }
                    DW_PMCSR => self.l_sleep[k].d = value.get(power::PMCSR_STATE) == power::D3HOT,
                    DW_DEVICE => {
                        self.l_mrrs[k].d = value.get(express::DEVICE_CONTROL_MRRS);
                        if const { k == FIRST } {
                            self.l_mps.d = value.get(express::DEVICE_CONTROL_MPS);
                        }
                    }
                    DW_DEVICE_2 => self.l_patient[k].d = value.get(express::DEVICE_CONTROL_2_CTO_DISABLE),
                    DW_SRIOV => {
                        self.l_vf_mse[k].d = value.get(sriov::CONTROL_VF_MSE);
                        self.l_vfe[k].d = value.get(sriov::CONTROL_VF_ENABLE);
                        if const { k == FIRST } {
                            self.l_ari.d = value.get(sriov::CONTROL_ARI);
                        }
                    }
                    DW_NUM_VFS => self.l_num_vfs[k].d = value.bits(5, 0),
                    DW_PAGE => {
                        self.l_scale[k].d = match value.bits(10, 0) {
                            0x10 => 1,
                            0x40 => 2,
                            0x100 => 3,
                            0x400 => 4,
                            _ => 0,
                        };
                    }
                    DW_VF_BAR => self.l_vf_bar0[k].d = cat(self.l_vf_bar0[k].q.bits(49, 18), value.bits(31, 14)),
                    DW_VF_BAR1 => self.l_vf_bar0[k].d = cat(value, self.l_vf_bar0[k].q.bits(17, 0)),
                    _ => {}
                }
            }
            // What FLR keeps of it stays: Max_Payload_Size and ARI Capable Hierarchy (`fields.rs`).
            if self.forget & (self.forget_kind == k) {
                self.l_bar0[k].d = 0;
                self.l_vf_bar0[k].d = 0;
                self.l_mse[k].d = 0;
                self.l_serr[k].d = 0;
                self.l_parity[k].d = 0;
                self.l_sleep[k].d = 0;
                self.l_vfe[k].d = 0;
                self.l_vf_mse[k].d = 0;
                self.l_num_vfs[k].d = 0;
                self.l_scale[k].d = 0;
                self.l_patient[k].d = 0;
                self.l_mrrs[k].d = konst(MRRS);
                if const { k == TRUST } {
                    self.l_manage.d = 0;
                }
            }
        }

        let mut vfe = sized(0, 1);
        let mut scale = sized(0, 3);
        let mut sleeps = sized(0, 1);
        let mut asked_vfe = sized(0, 1);
        let mut asked_num = sized(0, 6);
        let mut error_vfe = sized(0, 1);
        let mut error_num = sized(0, 6);
        let mut gate_vfe = sized(0, 1);
        let mut gate_num = sized(0, 6);
        let mut asleep = sized(0, 1);
        let mut serr = sized(0, 1);
        let mut parity = sized(0, 1);
        for k in 0..KINDS {
            if self.kind == k {
                vfe = self.l_vfe[k].q;
                scale = self.l_scale[k].q;
                sleeps = self.l_sleep[k].q;
            }
            if self.asked.bits(1, 0) == k {
                asked_vfe = self.l_vfe[k].q;
                asked_num = self.l_num_vfs[k].q;
            }
            if self.error.bits(1, 0) == k {
                error_vfe = self.l_vfe[k].q;
                error_num = self.l_num_vfs[k].q;
            }
            if self.gate_kind == k {
                asleep = self.l_sleep[k].q;
                gate_vfe = self.l_vfe[k].q;
                gate_num = self.l_num_vfs[k].q;
            }
            if self.error_kind == k {
                serr = self.l_serr[k].q;
                parity = self.l_parity[k].q;
            }
        }
        let asked_slot = self.asked.bits(7, 2);
        let error_slot = self.error.bits(7, 2);
        self.asked_there = (asked_slot == 0) | (asked_vfe & (asked_slot <= asked_num));
        self.error_there = (error_slot == 0) | (error_vfe & (error_slot <= error_num));
        self.vfe = vfe;
        self.scale = scale;
        self.sleeps = sleeps;
        self.ari = self.l_ari.q;
        self.serr = serr;
        self.parity = parity;
        self.asleep = asleep;
        self.gate_vfe = gate_vfe;
        self.gate_num = gate_num;

        for k in 0..KINDS {
            let awake = !self.l_sleep[k].q;
            self.apertures[k].bar0 = self.l_bar0[k].q;
            self.apertures[k].vf_bar0 = self.l_vf_bar0[k].q;
            self.apertures[k].memory = self.l_mse[k].q & awake;
            self.apertures[k].vf_memory = self.l_vf_mse[k].q & self.l_vfe[k].q & awake;
            self.apertures[k].num_vfs = self.l_num_vfs[k].q;
            self.apertures[k].vf_scale = self.l_scale[k].q;
            self.enabled_vfs[k] = if self.l_vfe[k].q { self.l_num_vfs[k].q } else { 0 };
            self.mrrs[k] = self.l_mrrs[k].q;
            self.patient[k] = self.l_patient[k].q;
        }
        self.manage_bar = self.l_manage.q;
        self.mps = self.l_mps.q;
    }
}
