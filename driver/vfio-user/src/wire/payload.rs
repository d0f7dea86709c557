//! The fixed parts of payloads. Each begins its message's payload; data follows where there is any.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Command, Malformed};

macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
    )*};
}

payloads! {
    /// DMA_MAP.
    DmaMap {
        /// Bytes of this structure.
        argsz: u32,
        /// Bit 0: the device may read; bit 1: it may write.
        flags: u32,
        /// Where in the descriptor's file.
        offset: u64,
        /// Where for the device.
        address: u64,
        /// How many bytes.
        size: u64,
    }
    /// DMA_UNMAP.
    DmaUnmap {
        /// Bytes of this structure.
        argsz: u32,
        /// Bit 0: with dirty pages; bit 1: everything.
        flags: u32,
        /// From where.
        address: u64,
        /// How many bytes.
        size: u64,
    }
    /// DEVICE_GET_INFO.
    DeviceInfo {
        /// Bytes that the asker has room for.
        argsz: u32,
        /// Bit 0: it can be reset; bit 1: it is a PCI device.
        flags: u32,
        /// Regions.
        regions: u32,
        /// Kinds of interrupts.
        irqs: u32,
    }
    /// DEVICE_GET_REGION_INFO.
    RegionInfo {
        /// Bytes that the asker has room for.
        argsz: u32,
        /// Bit 0: read, 1: write, 2: mmap, 3: capabilities follow.
        flags: u32,
        /// The region.
        index: u32,
        /// Where the capabilities begin.
        cap_offset: u32,
        /// Its size.
        size: u64,
        /// Where it is in the descriptor's file.
        offset: u64,
    }
    /// DEVICE_GET_IRQ_INFO.
    IrqInfo {
        /// Bytes of this structure.
        argsz: u32,
        /// Bit 0: eventfd, 1: can be masked, 2: masks itself, 3: the count cannot change while it is enabled.
        flags: u32,
        /// The kind.
        index: u32,
        /// How many.
        count: u32,
    }
    /// DEVICE_SET_IRQS.
    SetIrqs {
        /// Bytes of this structure and of what follows.
        argsz: u32,
        /// Bits 0 to 2: none, bool or eventfd data; bits 3 to 5: mask, unmask or trigger.
        flags: u32,
        /// The kind.
        index: u32,
        /// The first.
        start: u32,
        /// How many.
        count: u32,
    }
    /// REGION_READ and REGION_WRITE.
    RegionAccess {
        /// Where in the region.
        offset: u64,
        /// The region.
        region: u32,
        /// How many bytes.
        count: u32,
    }
    /// DMA_READ and DMA_WRITE.
    DmaAccess {
        /// Where, for the device.
        address: u64,
        /// How many bytes.
        count: u64,
    }
}

/// DMA_MAP flag: the device may read.
pub const MAP_READ: u32 = 1;
/// DMA_MAP flag: the device may write.
pub const MAP_WRITE: u32 = 2;
/// DMA_UNMAP flag: report dirty pages.
pub const UNMAP_DIRTY: u32 = 1;
/// DMA_UNMAP flag: all mappings.
pub const UNMAP_ALL: u32 = 2;

/// The fixed part of a payload and the data behind it.
pub fn split<T: FromBytes>(command: Command, payload: &[u8]) -> Result<(T, &[u8]), Malformed> {
    T::read_from_prefix(payload).map_err(|_| Malformed::Short { command, len: payload.len() })
}
