//! The commands.

/// A command, by its number on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Command {
    /// The client's first message: version and capabilities.
    Version = 1,
    /// The device may reach memory.
    DmaMap = 2,
    /// It may no longer.
    DmaUnmap = 3,
    /// How many regions and interrupts.
    DeviceGetInfo = 4,
    /// A region's size and flags.
    GetRegionInfo = 5,
    /// Descriptors that stand for accesses to a region.
    GetRegionIoFds = 6,
    /// How many interrupts of a kind.
    GetIrqInfo = 7,
    /// Where interrupts go, their masks, or one by hand.
    SetIrqs = 8,
    /// Read of a region.
    RegionRead = 9,
    /// Write to a region.
    RegionWrite = 10,
    /// The device reads memory: from server to client.
    DmaRead = 11,
    /// The device writes memory: from server to client.
    DmaWrite = 12,
    /// Reset of the device.
    DeviceReset = 13,
    /// Several writes in one message.
    RegionWriteMulti = 15,
}

impl Command {
    /// A command from its number.
    pub fn new(number: u16) -> Option<Command> {
        use Command::*;
        let all = [
            Version,
            DmaMap,
            DmaUnmap,
            DeviceGetInfo,
            GetRegionInfo,
            GetRegionIoFds,
            GetIrqInfo,
            SetIrqs,
            RegionRead,
            RegionWrite,
            DmaRead,
            DmaWrite,
            DeviceReset,
            RegionWriteMulti,
        ];
        all.into_iter().find(|c| *c as u16 == number)
    }

    /// Its name in the specification.
    pub fn name(self) -> &'static str {
        use Command::*;
        match self {
            Version => "VERSION",
            DmaMap => "DMA_MAP",
            DmaUnmap => "DMA_UNMAP",
            DeviceGetInfo => "DEVICE_GET_INFO",
            GetRegionInfo => "DEVICE_GET_REGION_INFO",
            GetRegionIoFds => "DEVICE_GET_REGION_IO_FDS",
            GetIrqInfo => "DEVICE_GET_IRQ_INFO",
            SetIrqs => "DEVICE_SET_IRQS",
            RegionRead => "REGION_READ",
            RegionWrite => "REGION_WRITE",
            DmaRead => "DMA_READ",
            DmaWrite => "DMA_WRITE",
            DeviceReset => "DEVICE_RESET",
            RegionWriteMulti => "REGION_WRITE_MULTI",
        }
    }
}
