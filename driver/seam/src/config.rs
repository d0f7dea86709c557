//! Walking the capability lists of a function that may lie.

use azote_regs::pcie::{self, capability, header};

use crate::{Error, Function, Result};

/// A capability that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    /// Its id.
    pub id: u16,
    /// Where it lies.
    pub offset: u64,
    /// Whether it is an extended one; the two have separate ids.
    pub extended: bool,
}

/// The capabilities of a function, in the order of the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities(Vec<Capability>);

impl Capabilities {
    /// Walks both lists. Each structure takes at least four bytes, which bounds the walk: a list that loops is an error,
    /// not a hang.
    pub fn read(function: &dyn Function) -> Result<Self> {
        let bad = |reason: String| Error::BadConfig { function: function.name().into(), reason };
        if function.config_read16(header::VENDOR_ID)? == 0xffff && function.config_read32(header::COMMAND)? == u32::MAX
        {
            return Err(Error::Gone { function: function.name().into() });
        }
        let mut found = Vec::new();
        let mut at = u64::from(function.config_read8(header::CAPABILITIES)?) & !3;
        for left in (0..=48).rev() {
            if at == 0 {
                break;
            }
            if left == 0 || at < 0x40 {
                return Err(bad(format!("the capability list loops or leaves its place at {at:#x}")));
            }
            let head = u64::from(function.config_read32(at)?);
            found.push(Capability { id: capability::ID.of(head) as u16, offset: at, extended: false });
            at = capability::NEXT.of(head) & !3;
        }
        let mut at = pcie::EXTENDED;
        for left in (0..=960).rev() {
            let head = u64::from(function.config_read32(at)?);
            // No extended space: zeros from a function without capabilities, ones where nobody answers (PCIe 7.6.2).
            if at == pcie::EXTENDED && (head == 0 || head == u64::from(u32::MAX)) {
                break;
            }
            if left == 0 {
                return Err(bad("the extended capability list loops".into()));
            }
            found.push(Capability { id: capability::EXT_ID.of(head) as u16, offset: at, extended: true });
            at = capability::EXT_NEXT.of(head) & !3;
            if at == 0 {
                break;
            }
            if at < pcie::EXTENDED {
                return Err(bad(format!("the extended capability list leaves its place at {at:#x}")));
            }
        }
        Ok(Self(found))
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Capability] {
        &self.0
    }

    /// Where the capability with this id is.
    #[must_use]
    pub fn find(&self, id: u64) -> Option<u64> {
        self.find_in(id, false)
    }

    /// Where the extended capability with this id is.
    #[must_use]
    pub fn find_extended(&self, id: u64) -> Option<u64> {
        self.find_in(id, true)
    }

    fn find_in(&self, id: u64, extended: bool) -> Option<u64> {
        self.0.iter().find(|c| u64::from(c.id) == id && c.extended == extended).map(|c| c.offset)
    }
}

/// Sets and clears bits of the Command register.
pub fn set_command(function: &dyn Function, set: u64, clear: u64) -> Result<()> {
    let old = function.config_read16(header::COMMAND)?;
    let new = (old | set as u16) & !(clear as u16);
    if new != old {
        function.config_write16(header::COMMAND, new)?;
    }
    Ok(())
}

/// Lets the function answer memory requests and send its own.
pub fn enable_bus_master(function: &dyn Function) -> Result<()> {
    set_command(function, header::COMMAND_MSE.mask() | header::COMMAND_BME.mask(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::{Mock, Plain};

    fn with(dwords: &[(u64, u32)]) -> std::sync::Arc<Mock<Plain>> {
        let mock = Mock::new("mock", Plain::default());
        mock.set_config32(0, 0x10f1_1af4);
        for &(at, v) in dwords {
            mock.set_config32(at, v);
        }
        mock
    }

    #[test]
    fn both_lists_are_walked() {
        let f = with(&[(0x34, 0x50), (0x50, 0x6011), (0x60, 0x10), (0x100, 0x1101_000e), (0x110, 0x0001_000d)]);
        let caps = Capabilities::read(&*f).unwrap();
        assert_eq!((caps.find(0x11), caps.find(0x10), caps.find(1)), (Some(0x50), Some(0x60), None));
        assert_eq!((caps.find_extended(0xe), caps.find_extended(0xd)), (Some(0x100), Some(0x110)));
        assert_eq!(caps.find(0xd), None, "an extended id is not a plain one");
        assert_eq!(caps.all().len(), 4);
    }

    #[test]
    fn lists_that_loop_or_stray_are_refused() {
        for bad in
            [&[(0x34, 0x50), (0x50, 0x5011)][..], &[(0x34, 0x20)], &[(0x100, 0x1001_000e)], &[(0x100, 0x0401_000e)]]
        {
            assert!(matches!(Capabilities::read(&*with(bad)), Err(Error::BadConfig { .. })), "{bad:x?}");
        }
    }

    #[test]
    fn a_function_that_went_away_says_so() {
        let f = with(&[(0, u32::MAX), (4, u32::MAX)]);
        assert!(matches!(Capabilities::read(&*f), Err(Error::Gone { .. })));
    }
}
