//! A device whose configuration space is arbitrary bytes, for the drivers' side: capability lists, SR-IOV, MSI-X. Each walk
//! ends, and what it finds lies where it may.

use std::sync::Arc;

use azote_regs::pcie::{self, msix, sriov};
use azote_seam::mock::{Mock, Plain};
use azote_seam::sriov::Sriov;
use azote_seam::{Capabilities, Function};

/// A function with this configuration space. The first byte says how much of a plausible one stays: whoever gets everything
/// wrong is refused at once.
fn function(data: &[u8]) -> Arc<Mock<Plain>> {
    let mock = Mock::new("hostile", Plain::default());
    let (kind, data) = data.split_first().unwrap_or((&0, &[]));
    if kind & 1 == 0 {
        for (at, dw) in [
            (0, 0x10f1_1af4),
            (0x34, 0x40),
            (0x40, 0x0007_6011),
            (0x60, 0x0002_0010),
            (0x100, 0x1401_0010),
            (0x140, 11),
        ] {
            mock.set_config32(at, dw);
        }
        // The rest are changes: where, and what.
        for change in data.chunks_exact(6) {
            let (at, dw) = change.split_at(2);
            let at = u64::from(u16::from_le_bytes([at[0], at[1]])) & 0xffc;
            mock.set_config32(at, u32::from_le_bytes([dw[0], dw[1], dw[2], dw[3]]));
        }
    } else {
        for (at, dw) in (0..pcie::CONFIG_SIZE).step_by(4).zip(data.chunks_exact(4)) {
            mock.set_config32(at, u32::from_le_bytes([dw[0], dw[1], dw[2], dw[3]]));
        }
    }
    mock
}

/// Reads all there is.
pub fn run(data: &[u8]) {
    let function = function(data);
    if let Ok(found) = Capabilities::read(&*function) {
        for c in found.all() {
            let place = if c.extended { pcie::EXTENDED..pcie::CONFIG_SIZE } else { 0x40..pcie::EXTENDED };
            assert!(place.contains(&c.offset) && c.offset.is_multiple_of(4), "{c:?}");
        }
        let _ = (found.find(msix::ID), found.find_extended(sriov::ID));
    }
    if let Ok(found) = Sriov::find(&*function) {
        let _ = (found.total(&*function), found.enabled(&*function), found.device_id(&*function));
        let _ = (found.routing_id(&*function, 0x0101, 59), found.enable(&*function, 4), found.disable(&*function));
        let _ = found.set_ari_hierarchy(&*function);
    }
    let _ = (function.enable_msix(9), function.disable_msix());
}
