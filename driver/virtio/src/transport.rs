//! The PCI transport (virtio §4.1): where the structures are, the device's status, features, queues, configuration.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use azote_dma::Dma;
use azote_regs::pcie::capability;
use azote_regs::virtio::{NO_VECTOR, bit, feature, pci, status};
use azote_seam::{Capabilities, Function, Mmio, poll_until};

use crate::queue::Doorbell;
use crate::{Error, Queue, Result};

/// A structure in a BAR.
#[derive(Clone)]
pub(crate) struct Region {
    pub bar: Arc<dyn Mmio>,
    pub at: u64,
    pub len: u64,
}

/// A modern virtio device.
pub struct Transport {
    function: Arc<dyn Function>,
    common: Region,
    notify: Region,
    multiplier: u64,
    isr: Region,
    device: Option<Region>,
    features: u64,
    patience: Duration,
}

impl Transport {
    /// Features that [`Queue`] makes use of, for [`Transport::agree`].
    pub const RING_FEATURES: u64 = bit(feature::INDIRECT_DESC) | bit(feature::EVENT_IDX);

    /// Finds the structures, resets the device and says that a driver is there (§3.1.1, 1 to 3). `patience` is how long a reset may
    /// take.
    pub fn open(function: Arc<dyn Function>, patience: Duration) -> Result<Self> {
        azote_seam::set_command(&*function, azote_regs::pcie::header::COMMAND_MSE.mask(), 0)?;
        azote_seam::enable_bus_master(&*function)?;
        let find = |kind| find(&*function, kind);
        let lacks = |what: &str| Error::NoStructure { function: function.name().into(), what: what.into() };
        let (common, _) = find(pci::COMMON_CFG)?.ok_or_else(|| lacks("it has no common configuration"))?;
        let (notify, at) = find(pci::NOTIFY_CFG)?.ok_or_else(|| lacks("it has no notifications"))?;
        let (isr, _) = find(pci::ISR_CFG)?.ok_or_else(|| lacks("it has no ISR status"))?;
        let device = find(pci::DEVICE_CFG)?.map(|(region, _)| region);
        if common.len < pci::common::QUEUE_NOTIFY_DATA {
            return Err(lacks("its common configuration is too short"));
        }
        let multiplier = function.config_read32(at + pci::NOTIFY_MULTIPLIER)?.into();
        let this = Transport { common, notify, multiplier, isr, device, features: 0, patience, function };
        this.reset()?;
        this.add_status(status::ACKNOWLEDGE.mask())?;
        this.add_status(status::DRIVER.mask())?;
        Ok(this)
    }

    /// The function.
    #[must_use]
    pub fn function(&self) -> &Arc<dyn Function> {
        &self.function
    }

    fn name(&self) -> String {
        self.function.name().into()
    }

    fn status(&self) -> Result<u64> {
        Ok(self.common.bar.read8(self.common.at + pci::common::DEVICE_STATUS)?.into())
    }

    fn add_status(&self, bits: u64) -> Result<()> {
        let value = self.status()? | bits;
        Ok(self.common.bar.write8(self.common.at + pci::common::DEVICE_STATUS, value as u8)?)
    }

    /// Resets the device and waits until it is (§4.1.4.3.2): what it was given is the driver's again.
    pub fn reset(&self) -> Result<()> {
        self.common.bar.write8(self.common.at + pci::common::DEVICE_STATUS, 0)?;
        let over = || Ok::<_, azote_seam::Error>((self.status().is_ok_and(|status| status == 0)).then_some(()));
        match poll_until(&*self.function, "the device's reset", self.patience, over) {
            Err(azote_seam::Error::Timeout { after, .. }) => Err(Error::Reset { function: self.name(), after }),
            other => Ok(other?),
        }
    }

    /// Features that the device offers.
    pub fn offered(&self) -> Result<u64> {
        let half = |select: u32| -> Result<u64> {
            self.common.bar.write32(self.common.at + pci::common::DEVICE_FEATURE_SELECT, select)?;
            Ok(self.common.bar.read32(self.common.at + pci::common::DEVICE_FEATURE)?.into())
        };
        Ok(half(0)? | half(1)? << 32)
    }

    /// Agrees on those of these features that the device offers, and VERSION_1 (§3.1.1, 4 to 6). Returns them.
    pub fn agree(&mut self, wanted: u64) -> Result<u64> {
        let offered = self.offered()?;
        if offered & bit(feature::VERSION_1) == 0 {
            return Err(Error::Lacks { function: self.name(), what: "VERSION_1: it is a legacy device" });
        }
        // What concerns how it reaches memory is no choice where it is offered (§6).
        let always = bit(feature::VERSION_1) | bit(feature::ACCESS_PLATFORM) | bit(feature::ORDER_PLATFORM);
        let features = offered & (wanted | always);
        for select in 0..2 {
            self.common.bar.write32(self.common.at + pci::common::DRIVER_FEATURE_SELECT, select)?;
            let half = (features >> (32 * select)) as u32;
            self.common.bar.write32(self.common.at + pci::common::DRIVER_FEATURE, half)?;
        }
        self.add_status(status::FEATURES_OK.mask())?;
        if !status::FEATURES_OK.is_set(self.status()?) {
            return Err(Error::Features { function: self.name(), features });
        }
        self.features = features;
        Ok(features)
    }

    /// Whether a feature was agreed on.
    #[must_use]
    pub fn has(&self, feature: u32) -> bool {
        self.features & bit(feature) != 0
    }

    /// How many queues the device has.
    pub fn queues(&self) -> Result<u16> {
        Ok(self.common.bar.read16(self.common.at + pci::common::NUM_QUEUES)?)
    }

    /// Sets a queue up, with so many entries or as many as the device takes, and a vector for its interrupts if it is to have any.
    pub fn queue(&self, index: u16, dma: &Dma, size: u16, vector: Option<u16>) -> Result<Queue> {
        let bad = |what: String| Error::Queue { function: self.name(), queue: index, what };
        let (bar, at) = (&self.common.bar, self.common.at);
        if index >= self.queues()? {
            return Err(bad(format!("the device has {}", self.queues()?)));
        }
        bar.write16(at + pci::common::QUEUE_SELECT, index)?;
        let most = bar.read16(at + pci::common::QUEUE_SIZE)?;
        if !most.is_power_of_two() || most > 0x8000 {
            return Err(bad(format!("its size is {most}, and must be a power of two up to 32768")));
        }
        if bar.read16(at + pci::common::QUEUE_ENABLE)? != 0 {
            return Err(bad("it is enabled after a reset".into()));
        }
        let size = size.clamp(2, 0x4000).next_power_of_two().min(most);
        let offset = u64::from(bar.read16(at + pci::common::QUEUE_NOTIFY_OFF)?) * self.multiplier;
        if offset.checked_add(2).is_none_or(|end| end > self.notify.len) {
            return Err(bad(format!("its notification at {offset:#x} is outside of {:#x} bytes", self.notify.len)));
        }
        let doorbell = Doorbell { bar: self.notify.bar.clone(), at: self.notify.at + offset };
        let queue = Queue::new(index, size, dma, doorbell, self.features)?;
        bar.write16(at + pci::common::QUEUE_SIZE, size)?;
        let vector = vector.unwrap_or(NO_VECTOR as u16);
        bar.write16(at + pci::common::QUEUE_MSIX_VECTOR, vector)?;
        if bar.read16(at + pci::common::QUEUE_MSIX_VECTOR)? != vector {
            return Err(bad(format!("the device does not take vector {vector}")));
        }
        let addresses = queue.addresses();
        let registers = [pci::common::QUEUE_DESC, pci::common::QUEUE_DRIVER, pci::common::QUEUE_DEVICE];
        for (register, address) in registers.into_iter().zip(addresses) {
            // 64-bit fields are written by halves (§4.1.3.1).
            bar.write32(at + register, address as u32)?;
            bar.write32(at + register + 4, (address >> 32) as u32)?;
        }
        fence(Ordering::Release);
        bar.write16(at + pci::common::QUEUE_ENABLE, 1)?;
        Ok(queue)
    }

    /// The vector for changes of the configuration.
    pub fn config_vector(&self, vector: u16) -> Result<()> {
        Ok(self.common.bar.write16(self.common.at + pci::common::CONFIG_MSIX_VECTOR, vector)?)
    }

    /// The driver is ready (§3.1.1, 8).
    pub fn ready(&self) -> Result<()> {
        self.add_status(status::DRIVER_OK.mask())
    }

    /// An error if the device cannot go on without a reset, or is gone.
    pub fn check(&self) -> Result<()> {
        let now = self.status()?;
        if now == 0xff {
            return Err(azote_seam::Error::Gone { function: self.name() }.into());
        }
        if status::DEVICE_NEEDS_RESET.is_set(now) {
            return Err(Error::NeedsReset { function: self.name() });
        }
        Ok(())
    }

    /// ISR status, which is 0 then (§4.1.4.5).
    pub fn take_isr(&self) -> Result<u8> {
        Ok(self.isr.bar.read8(self.isr.at)?)
    }

    /// Reads bytes of the device's configuration that belong together: what changed meanwhile is read again (§2.5.3).
    pub fn config<const N: usize>(&self, offset: u64) -> Result<[u8; N]> {
        let missing = || Error::NoStructure {
            function: self.name(),
            what: format!("its configuration has no {N} bytes at {offset:#x}"),
        };
        let region = self.device.as_ref().ok_or_else(missing)?;
        if offset.checked_add(N as u64).is_none_or(|end| end > region.len) {
            return Err(missing());
        }
        let generation = || self.common.bar.read8(self.common.at + pci::common::CONFIG_GENERATION);
        // A device whose configuration never stands still has no say in how long this takes.
        for _ in 0..100 {
            let before = generation()?;
            let mut bytes = [0; N];
            for (byte, at) in bytes.iter_mut().zip(region.at + offset..) {
                *byte = region.bar.read8(at)?;
            }
            if generation()? == before {
                return Ok(bytes);
            }
        }
        Err(Error::NoStructure { function: self.name(), what: "its configuration never stands still".into() })
    }
}

/// The structure of this kind that the device prefers, which is the first (§4.1.4), and where its capability is.
fn find(function: &dyn Function, kind: u64) -> Result<Option<(Region, u64)>> {
    for found in Capabilities::read(function)?.all() {
        if found.extended || u64::from(found.id) != pci::ID {
            continue;
        }
        let at = found.offset;
        let head = u64::from(function.config_read32(at)?);
        if pci::CFG_TYPE.of(head) != kind || capability::ID.of(head) != pci::ID {
            continue;
        }
        let index = pci::BAR_INDEX.of(function.config_read32(at + pci::BAR)?.into());
        // Reserved values are for later versions: such a structure is passed over (§4.1.4.1).
        if index > 5 {
            continue;
        }
        let (offset, len) = (function.config_read32(at + pci::OFFSET)?, function.config_read32(at + pci::LENGTH)?);
        let bar = function.bar(index as usize)?;
        let (offset, len) = (u64::from(offset), u64::from(len));
        if offset + len > bar.size() || len == 0 {
            let what = format!(
                "structure {kind} has {len:#x} bytes at {offset:#x} of BAR {index}, which has {:#x}",
                bar.size()
            );
            return Err(Error::NoStructure { function: function.name().into(), what });
        }
        return Ok(Some((Region { bar, at: offset, len }, at)));
    }
    Ok(None)
}
