//! Enabling VFs through a PF's SR-IOV capability (PCIe 9.3.3), for hosts where no kernel does it: the simulated card.
//!
//! On Linux the same is done by writing `sriov_numvfs` in sysfs.

use std::time::Duration;

use azote_regs::pcie::sriov::{
    self, CONTROL, CONTROL_ARI, CONTROL_VF_ENABLE, CONTROL_VF_MSE, FIRST_VF_OFFSET, ID, NUM_VFS, TOTAL_VFS,
    VF_DEVICE_ID, VF_STRIDE,
};

use crate::{Capabilities, Error, Function, Result};

/// The SR-IOV capability of a PF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sriov {
    at: u64,
}

impl Sriov {
    /// Finds the capability.
    pub fn find(pf: &dyn Function) -> Result<Self> {
        match Capabilities::read(pf)?.find_extended(ID) {
            Some(at) => Ok(Self { at }),
            None => Err(Error::NoCapability { function: pf.name().into(), capability: "SR-IOV" }),
        }
    }

    /// The number of VFs that the PF could have.
    pub fn total(&self, pf: &dyn Function) -> Result<u16> {
        pf.config_read16(self.at + TOTAL_VFS)
    }

    /// The number of VFs that are enabled.
    pub fn enabled(&self, pf: &dyn Function) -> Result<u16> {
        let control = u64::from(pf.config_read16(self.at + CONTROL)?);
        if CONTROL_VF_ENABLE.is_set(control) { pf.config_read16(self.at + NUM_VFS) } else { Ok(0) }
    }

    /// The Device ID of the VFs.
    pub fn device_id(&self, pf: &dyn Function) -> Result<u16> {
        pf.config_read16(self.at + VF_DEVICE_ID)
    }

    /// The routing ID of VF `i`, given its PF's (PCIe 9.2.1.2). Valid while NumVFs has its final value.
    pub fn routing_id(&self, pf: &dyn Function, pf_id: u16, i: u16) -> Result<u16> {
        let first = pf.config_read16(self.at + FIRST_VF_OFFSET)?;
        let stride = pf.config_read16(self.at + VF_STRIDE)?;
        Ok(pf_id.wrapping_add(first).wrapping_add(stride.wrapping_mul(i)))
    }

    /// Enables `count` VFs and their memory space; what was enabled before is disabled first, since NumVFs may not change
    /// under VF Enable. Waits as the specification asks before the VFs may be touched.
    pub fn enable(&self, pf: &dyn Function, count: u16) -> Result<()> {
        let total = self.total(pf)?;
        if count > total {
            return Err(Error::TooManyVfs { function: pf.name().into(), wanted: count, total });
        }
        self.disable(pf)?;
        if count == 0 {
            return Ok(());
        }
        pf.config_write16(self.at + NUM_VFS, count)?;
        let control = u64::from(pf.config_read16(self.at + CONTROL)?);
        let on = control | CONTROL_VF_ENABLE.mask() | CONTROL_VF_MSE.mask();
        pf.config_write16(self.at + CONTROL, on as u16)?;
        pf.settle(Duration::from_millis(sriov::VF_ENABLE_WAIT_MS));
        Ok(())
    }

    /// Disables every VF.
    pub fn disable(&self, pf: &dyn Function) -> Result<()> {
        let control = u64::from(pf.config_read16(self.at + CONTROL)?);
        if !CONTROL_VF_ENABLE.is_set(control) {
            return Ok(());
        }
        let off = control & !(CONTROL_VF_ENABLE.mask() | CONTROL_VF_MSE.mask());
        pf.config_write16(self.at + CONTROL, off as u16)?;
        pf.settle(Duration::from_millis(sriov::VF_ENABLE_WAIT_MS));
        Ok(())
    }

    /// Tells the device that what is above it routes by ARI, so that function numbers beyond 7 can be reached. Only the
    /// lowest-numbered PF takes it, and only before VFs are enabled.
    pub fn set_ari_hierarchy(&self, pf: &dyn Function) -> Result<()> {
        let control = u64::from(pf.config_read16(self.at + CONTROL)?);
        pf.config_write16(self.at + CONTROL, CONTROL_ARI.set(control, 1) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::{Mock, Plain};

    fn pf() -> std::sync::Arc<Mock<Plain>> {
        let mock = Mock::new("pf", Plain::default());
        mock.set_config32(0, 0x10f1_1af4);
        mock.set_config32(0x100, 0x0001_0010);
        mock.set_config32(0x10c, 4 << 16 | 4);
        mock.set_config32(0x114, 4 << 16 | 16);
        mock.set_config32(0x118, 0x10f1 << 16);
        mock
    }

    #[test]
    fn vfs_come_and_go() {
        let pf = pf();
        let s = Sriov::find(&*pf).unwrap();
        assert_eq!((s.total(&*pf).unwrap(), s.enabled(&*pf).unwrap()), (4, 0));
        s.enable(&*pf, 3).unwrap();
        assert_eq!(s.enabled(&*pf).unwrap(), 3);
        assert_eq!(s.routing_id(&*pf, 0x101, 2).unwrap(), 0x101 + 16 + 8);
        assert_eq!(s.device_id(&*pf).unwrap(), 0x10f1);
        s.disable(&*pf).unwrap();
        assert_eq!(s.enabled(&*pf).unwrap(), 0);
    }

    #[test]
    fn more_vfs_than_there_are_is_refused() {
        let pf = pf();
        let e = Sriov::find(&*pf).unwrap().enable(&*pf, 5).unwrap_err();
        assert_eq!(e.to_string(), "pf: 5 VFs asked for, the function has 4");
    }
}
