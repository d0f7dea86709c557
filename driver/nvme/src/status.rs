//! The status of a completion, decoded (NVMe 4.6.1).

use std::fmt;

use azote_regs::nvme::status as codes;

/// A completion's status field: 15 bits, without the phase tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(u16);

impl Status {
    /// The status in these 15 bits.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & 0x7fff)
    }

    /// Its 15 bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// `{SCT, SC}`, as `azote_regs::nvme::status` names them.
    #[must_use]
    pub const fn code(self) -> u64 {
        codes::CODE.of(self.0 as u64)
    }

    /// Whether the command was done.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.code() == codes::SUCCESS
    }

    /// The controller says that the same command would fail again.
    #[must_use]
    pub const fn do_not_retry(self) -> bool {
        codes::DNR.is_set(self.0 as u64)
    }

    /// The Error Information log has more about it.
    #[must_use]
    pub const fn more(self) -> bool {
        codes::MORE.is_set(self.0 as u64)
    }

    /// The specification's name of it, if it is one that this driver knows.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        codes::name(self.code())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sct, sc) = (codes::SCT.of(self.0.into()), codes::SC.of(self.0.into()));
        write!(f, "{} (SCT {sct:x}h, SC {sc:02x}h", self.name().unwrap_or("status unknown to this driver"))?;
        if self.do_not_retry() {
            write!(f, ", do not retry")?;
        }
        if self.more() {
            write!(f, ", more in the error log")?;
        }
        write!(f, ")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_names_itself() {
        let s = Status::from_bits((codes::LBA_OUT_OF_RANGE | codes::DNR.mask()) as u16);
        assert_eq!(s.to_string(), "LBA Out of Range (SCT 0h, SC 80h, do not retry)");
        assert!(!s.is_success() && s.do_not_retry() && !s.more());
        let s = Status::from_bits((codes::MORE.mask() | 0x7ff) as u16);
        assert_eq!(s.to_string(), "status unknown to this driver (SCT 7h, SC ffh, more in the error log)");
        assert!(Status::from_bits(0).is_success());
    }
}
