//! Which function's BAR an address hits. The answer comes two clocks after the address: one to compare and subtract, one to
//! find the VF.
//!
//! VF BARs are one aperture a PF: VF *i* begins at *i* times the VF's size, which is 16 KiB or the System Page Size if that
//! is larger (PCIe 9.3.3.13, 9.3.3.14); beyond 16 KiB such a page is empty and hits nothing.

use azote_hdl::prelude::*;
use azote_regs::{bar, function};

use super::aperture::ApertureIn;
use crate::transaction::HitOut;

const KINDS: usize = function::KINDS as usize;

#[derive(LogicBlock, Default)]
pub struct Decode {
    pub clock: Clk,
    pub reset: Rst,
    pub address: I<64>,
    /// Where each kind's functions lie; the management BAR without its low 16 bits.
    pub apertures: [ApertureIn; KINDS],
    pub manage_bar: I<48>,
    pub hit: HitOut,
    s_pf: [Reg<1>; KINDS],
    /// How far behind the aperture's beginning; a bit more, since before it that is negative.
    s_away: [Reg<51>; KINDS],
    s_manage: Reg<1>,
    s_low: Reg<16>,
    r_hit: Reg<1>,
    r_owner: Reg<8>,
    r_offset: Reg<16>,
    r_manage: Reg<1>,
}

#[kernel]
impl Logic for Decode {
    fn update(&mut self) {
        let page = self.address.bits(63, 14);
        let mut hit = sized(0, 1);
        let mut owner = sized(0, 8);
        let mut manage = sized(0, 1);
        let mut offset = self.s_low.q.bits(13, 0).zext(16);
        self.s_low.d = self.address.bits(15, 0);
        self.s_manage.d = self.apertures[2].memory & (self.manage_bar == self.address.bits(63, 16));
        for k in 0..KINDS {
            self.s_pf[k].d = self.apertures[k].memory & (self.apertures[k].bar0 == page);
            self.s_away[k].d = page.zext(51) - self.apertures[k].vf_bar0.zext(51);
            if self.s_pf[k].q {
                hit = 1;
                owner = konst(k);
            }
            // The largest aperture is 64 VFs of 4 MiB: 14 bits of pages.
            let away = self.s_away[k].q.bits(13, 0);
            let far = self.s_away[k].q.bits(50, 14) != 0;
            let within = match self.apertures[k].vf_scale {
                0 => sized(0, 8),
                1 => away.bits(1, 0).zext(8),
                2 => away.bits(3, 0).zext(8),
                3 => away.bits(5, 0).zext(8),
                _ => away.bits(7, 0),
            };
            let above = match self.apertures[k].vf_scale {
                0 => away.bits(13, 6),
                1 => away.bits(13, 8).zext(8),
                2 => away.bits(13, 10).zext(8),
                3 => away.bits(13, 12).zext(8),
                _ => 0,
            };
            let index = match self.apertures[k].vf_scale {
                0 => away.bits(5, 0),
                1 => away.bits(7, 2),
                2 => away.bits(9, 4),
                3 => away.bits(11, 6),
                _ => away.bits(13, 8),
            };
            let one = within == 0;
            let near = (!far) & (above == 0);
            if self.apertures[k].vf_memory & one & near & (index < self.apertures[k].num_vfs) {
                hit = 1;
                owner = cat(index + 1, sized(k, 2));
            }
        }
        if self.s_manage.q {
            hit = 1;
            manage = 1;
            owner = konst(function::TRUST);
            offset = self.s_low.q;
        }
        self.r_hit.d = hit;
        self.r_owner.d = owner;
        self.r_manage.d = manage;
        self.r_offset.d = offset;
        self.hit.valid = self.r_hit.q;
        self.hit.owner = self.r_owner.q;
        self.hit.offset = self.r_offset.q;
        self.hit.manage = self.r_manage.q;
    }
}

const _: () = assert!(bar::BAR0_SIZE == 1 << 14 && bar::BAR2_SIZE == 1 << 16);
