//! The numbering of functions: which function number is which kind, PF or VF, and where its context lies.
//!
//! A function number is `{index[5:0], kind[1:0]}`, so that decoding is wiring: the low two bits choose the engine, the
//! high six the context. Index 0 is the PF and VF *i* has index 4 + *i*; the three indices between leave the VFs of every
//! PF at the same First VF Offset (16) whatever functions 4–15 may one day be.

use crate::Field;

/// The part of a function number that says what the function is.
pub const KIND: Field = Field::bits(1, 0);
/// The part of a function number that says which one of its kind it is.
pub const INDEX: Field = Field::bits(7, 2);

/// The index of the first VF.
pub const FIRST_VF_INDEX: u64 = 4;
/// SR-IOV First VF Offset of every PF (PCIe 9.3.3.9).
pub const FIRST_VF_OFFSET: u64 = FIRST_VF_INDEX << 2;
/// SR-IOV VF Stride of every PF (PCIe 9.3.3.10).
pub const VF_STRIDE: u64 = 1 << INDEX.lo;
/// The most VFs that the numbering has room for, of each kind.
pub const MAX_VFS: u64 = (1 << INDEX.width) - FIRST_VF_INDEX;
/// The number of kinds that exist: one PF each.
pub const KINDS: u64 = 3;
/// Kind 0: virtio-net.
pub const NET: u64 = 0;
/// Kind 1: NVMe.
pub const STORAGE: u64 = 1;
/// Kind 2: the root of trust; its PF also manages the card.
pub const TRUST: u64 = 2;

/// What a function is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// virtio-net.
    Net = NET as u8,
    /// NVMe.
    Storage = STORAGE as u8,
    /// The root of trust and, on its PF, card management.
    Trust = TRUST as u8,
}

impl Kind {
    /// Every kind, in the order of its PF's function number.
    pub const ALL: [Self; KINDS as usize] = [Self::Net, Self::Storage, Self::Trust];

    /// The kind with this code; `None` for the reserved one.
    #[must_use]
    pub const fn from_code(code: u64) -> Option<Self> {
        match code {
            NET => Some(Self::Net),
            STORAGE => Some(Self::Storage),
            TRUST => Some(Self::Trust),
            _ => None,
        }
    }

    /// The code in the low bits of the function number; also the PF's function number.
    #[must_use]
    pub const fn code(self) -> u64 {
        self as u64
    }

    /// The word for it, as the command line prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Net => "net",
            Self::Storage => "storage",
            Self::Trust => "trust",
        }
    }
}

/// Which function of its kind: the physical one or a virtual one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The physical function.
    Pf,
    /// Virtual function *i*, counted from 0.
    Vf(u8),
}

impl Role {
    /// Where the function's context lies among those of its kind: 0 for the PF, 1 + *i* for VF *i*.
    #[must_use]
    pub const fn slot(self) -> u64 {
        match self {
            Self::Pf => 0,
            Self::Vf(i) => 1 + i as u64,
        }
    }
}

/// A function of the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId {
    /// What it is.
    pub kind: Kind,
    /// Which one of its kind.
    pub role: Role,
}

impl FunctionId {
    /// The physical function of a kind.
    #[must_use]
    pub const fn pf(kind: Kind) -> Self {
        Self { kind, role: Role::Pf }
    }

    /// Virtual function `i` of a kind; `None` beyond the numbering.
    #[must_use]
    pub const fn vf(kind: Kind, i: u8) -> Option<Self> {
        if (i as u64) < MAX_VFS { Some(Self { kind, role: Role::Vf(i) }) } else { None }
    }

    /// The 8-bit ARI function number (PCIe 6.13).
    #[must_use]
    pub const fn number(self) -> u8 {
        let index = match self.role {
            Role::Pf => 0,
            Role::Vf(i) => FIRST_VF_INDEX + i as u64,
        };
        (INDEX.put(index) | KIND.put(self.kind.code())) as u8
    }

    /// The function with this number; `None` where the numbering has a hole.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        let Some(kind) = Kind::from_code(KIND.of(number as u64)) else {
            return None;
        };
        match INDEX.of(number as u64) {
            0 => Some(Self::pf(kind)),
            index if index >= FIRST_VF_INDEX => Some(Self { kind, role: Role::Vf((index - FIRST_VF_INDEX) as u8) }),
            _ => None,
        }
    }

    /// Where the function's context lies among those of its kind.
    #[must_use]
    pub const fn slot(self) -> u64 {
        self.role.slot()
    }
}

const _: () = {
    assert!(FIRST_VF_OFFSET == 16 && VF_STRIDE == 4 && MAX_VFS == 60);
    assert!(KINDS <= 1 << KIND.width);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_names_one_function_or_none() {
        let mut named = 0;
        for n in 0..=255u8 {
            if let Some(f) = FunctionId::from_number(n) {
                assert_eq!(f.number(), n);
                named += 1;
            }
        }
        assert_eq!(named, KINDS * (1 + MAX_VFS));
    }

    #[test]
    fn vfs_lie_where_the_sriov_capability_says() {
        for kind in Kind::ALL {
            let pf = u64::from(FunctionId::pf(kind).number());
            for i in 0..MAX_VFS {
                let vf = FunctionId::vf(kind, i as u8).unwrap();
                assert_eq!(u64::from(vf.number()), pf + FIRST_VF_OFFSET + i * VF_STRIDE);
                assert_eq!(vf.slot(), i + 1);
            }
            assert_eq!(FunctionId::vf(kind, MAX_VFS as u8), None);
        }
    }

    #[test]
    fn holes_are_nobody() {
        assert_eq!(FunctionId::from_number(3), None, "kind 3 is reserved");
        assert_eq!(FunctionId::from_number(4), None, "index 1 is between the PF and its VFs");
        assert_eq!(FunctionId::from_number(16).map(|f| f.role), Some(Role::Vf(0)));
    }
}
