//! Queue entries in private memory (NVMe 4.2, 4.6). In DMA memory they only ever exist as words.

use azote_regs::nvme::entry as regs;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, little_endian as le};

use crate::Status;

/// A submission queue entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Sqe {
    pub cdw0: le::U32,
    pub nsid: le::U32,
    pub cdw2: [le::U32; 2],
    pub mptr: le::U64,
    pub prp1: le::U64,
    pub prp2: le::U64,
    pub cdw: [le::U32; 6],
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<Sqe>() as u64 == regs::SQE_SIZE);
    assert!(offset_of!(Sqe, nsid) as u64 == regs::SQE_NSID);
    assert!(offset_of!(Sqe, mptr) as u64 == regs::SQE_MPTR);
    assert!(offset_of!(Sqe, prp1) as u64 == regs::SQE_PRP1);
    assert!(offset_of!(Sqe, prp2) as u64 == regs::SQE_PRP2);
    assert!(offset_of!(Sqe, cdw) as u64 == regs::SQE_CDW10);
};

impl Sqe {
    /// A command with everything but its opcode and namespace zero.
    #[inline(always)]
    pub fn new(opcode: u64, nsid: u64) -> Self {
        Self {
            cdw0: le::U32::new(regs::CDW0_OPC.put(opcode) as u32),
            nsid: le::U32::new(nsid as u32),
            ..Self::default()
        }
    }

    /// With CDW10 to CDW12.
    #[inline(always)]
    pub fn cdw(mut self, cdw10: u64, cdw11: u64, cdw12: u64) -> Self {
        for (place, value) in self.cdw.iter_mut().zip([cdw10, cdw11, cdw12]) {
            *place = le::U32::new(value as u32);
        }
        self
    }

    /// With its data pointer.
    #[inline(always)]
    pub fn prp(mut self, prp1: u64, prp2: u64) -> Self {
        self.prp1 = le::U64::new(prp1);
        self.prp2 = le::U64::new(prp2);
        self
    }

    /// With its command identifier; the last thing that a command gets.
    #[inline(always)]
    pub fn words(mut self, cid: u16) -> [u64; 8] {
        let cdw0 = regs::CDW0_CID.set(u64::from(self.cdw0.get()), cid.into());
        self.cdw0 = le::U32::new(cdw0 as u32);
        let words: [le::U64; 8] = zerocopy::transmute!(self);
        words.map(le::U64::get)
    }
}

/// A completion queue entry, decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cqe {
    pub dw0: u32,
    pub sq_head: u16,
    pub sq_id: u16,
    pub cid: u16,
    pub status: Status,
}

impl Cqe {
    /// From DW 0, DW 2 and DW 3.
    #[inline(always)]
    pub fn new(dw0: u32, dw2: u32, dw3: u32) -> Self {
        let (dw2, dw3) = (u64::from(dw2), u64::from(dw3));
        Self {
            dw0,
            sq_head: regs::DW2_SQHD.of(dw2) as u16,
            sq_id: regs::DW2_SQID.of(dw2) as u16,
            cid: regs::DW3_CID.of(dw3) as u16,
            status: Status::from_bits(regs::DW3_STATUS.of(dw3) as u16),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_laid_out_as_figure_105_draws_it() {
        let words = Sqe::new(2, 1).cdw(0x10, 0x11, 0x12).prp(0x1000, 0x2000).words(0xabcd);
        assert_eq!(words[0], 1 << 32 | 0xabcd_0002);
        assert_eq!(words[3..5], [0x1000, 0x2000]);
        assert_eq!(words[5..7], [0x11 << 32 | 0x10, 0x12]);
    }

    #[test]
    fn a_completion_is_taken_apart() {
        let c = Cqe::new(7, 3 << 16 | 9, 0x8005_0000 | 0x1234);
        assert_eq!((c.dw0, c.sq_head, c.sq_id, c.cid), (7, 9, 3, 0x1234));
        assert_eq!(c.status, Status::from_bits(0x4002));
    }
}
