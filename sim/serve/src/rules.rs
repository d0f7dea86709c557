//! What a request must look like beside being whole: the kernel's own checks of the same structures (vfio_iommu_type1.c,
//! vfio_main.c: `vfio_set_irqs_validate_and_prepare`), so that a client that is wrong here is wrong nowhere else.

use azote_vfio_user::wire::payload::{
    DeviceInfo, DmaMap, DmaUnmap, IrqInfo, MAP_READ, MAP_WRITE, RegionInfo, SetIrqs, UNMAP_ALL, UNMAP_DIRTY,
};
use azote_vfio_user::wire::{ERROR, Header, NO_REPLY, TYPE};
use rustix::io::Errno;
use vfio_bindings::bindings::vfio;

/// A request's header: flags that nobody has defined, or that only a reply has, are refused.
pub fn header(header: &Header) -> Result<(), Errno> {
    let known = header.flags & !(TYPE | NO_REPLY | ERROR) == 0 && header.flags & ERROR == 0;
    if known { Ok(()) } else { Err(Errno::INVAL) }
}

/// `argsz`, with which every structure of VFIO begins, is at least the structure.
pub trait Argsz: Sized {
    /// What was said.
    fn argsz(&self) -> u32;

    /// That it is enough.
    fn check(self) -> Result<Self, Errno> {
        if self.argsz() as usize >= size_of::<Self>() { Ok(self) } else { Err(Errno::INVAL) }
    }
}

macro_rules! argsz {
    ($($name:ty),*) => {$(impl Argsz for $name {
        fn argsz(&self) -> u32 {
            self.argsz
        }
    })*};
}

argsz!(DeviceInfo, RegionInfo, IrqInfo, DmaMap, DmaUnmap, SetIrqs);

/// DMA_MAP: rights, of which one at least is given; a place in a file only with a file, and one file. (Addresses and sizes
/// are for who knows what else is mapped.)
pub fn dma_map(map: &DmaMap, files: usize) -> Result<(), Errno> {
    let rights = MAP_READ | MAP_WRITE;
    let right = map.flags & !rights == 0 && map.flags & rights != 0;
    if right && files <= 1 && (files == 1 || map.offset == 0) { Ok(()) } else { Err(Errno::INVAL) }
}

/// DMA_UNMAP: everything, without a range and without dirty pages; or a range. Dirty pages are not to be had here.
pub fn dma_unmap(unmap: &DmaUnmap) -> Result<(), Errno> {
    let all = unmap.flags & UNMAP_ALL != 0;
    let dirty = unmap.flags & UNMAP_DIRTY != 0;
    let unknown = unmap.flags & !(UNMAP_ALL | UNMAP_DIRTY) != 0;
    if unknown || all && (dirty || unmap.address != 0 || unmap.size != 0) {
        return Err(Errno::INVAL);
    }
    if dirty { Err(Errno::OPNOTSUPP) } else { Ok(()) }
}

/// DEVICE_SET_IRQS: one kind of data, one action, vectors that there are, and a byte for each with booleans.
pub fn set_irqs(set: &SetIrqs, vectors: u32, data: usize) -> Result<(), Errno> {
    let known = vfio::VFIO_IRQ_SET_DATA_TYPE_MASK | vfio::VFIO_IRQ_SET_ACTION_TYPE_MASK;
    let one = |mask: u32| (set.flags & mask).count_ones() == 1;
    let inside = set.start < vectors && set.start.checked_add(set.count).is_some_and(|end| end <= vectors);
    let flags =
        set.flags & !known == 0 && one(vfio::VFIO_IRQ_SET_DATA_TYPE_MASK) && one(vfio::VFIO_IRQ_SET_ACTION_TYPE_MASK);
    let wanted = if set.flags & vfio::VFIO_IRQ_SET_DATA_BOOL != 0 { set.count as usize } else { 0 };
    if inside && flags && data >= wanted { Ok(()) } else { Err(Errno::INVAL) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVALID: Result<(), Errno> = Err(Errno::INVAL);

    #[test]
    fn a_header_has_only_flags_that_a_request_may_have() {
        let with = |flags| header(&Header { flags, ..Header::default() });
        assert_eq!((with(0), with(NO_REPLY)), (Ok(()), Ok(())));
        for flags in (5..32).map(|bit| 1 << bit) {
            assert_eq!(with(flags), INVALID, "{flags:#x}");
        }
    }

    #[test]
    fn argsz_is_at_least_the_structure() {
        let info = |argsz| DeviceInfo { argsz, ..DeviceInfo::default() }.check().is_ok();
        assert_eq!((info(15), info(16), info(u32::MAX)), (false, true, true));
    }

    #[test]
    fn mappings_have_a_right_and_no_place_without_a_file() {
        let map = |flags, offset, files| dma_map(&DmaMap { argsz: 32, flags, offset, address: 0, size: 4096 }, files);
        assert_eq!((map(1, 0, 0), map(2, 4096, 1), map(3, 0, 1)), (Ok(()), Ok(()), Ok(())));
        for (flags, offset, files) in [(0, 0, 1), (4, 0, 1), (7, 0, 1), (3, 4096, 0), (3, 0, 2)] {
            assert_eq!(map(flags, offset, files), INVALID, "{flags} {offset} {files}");
        }
    }

    #[test]
    fn everything_is_unmapped_without_a_range() {
        let unmap = |flags, address, size| dma_unmap(&DmaUnmap { argsz: 24, flags, address, size });
        assert_eq!((unmap(0, 4096, 4096), unmap(UNMAP_ALL, 0, 0)), (Ok(()), Ok(())));
        for (flags, address, size) in [(UNMAP_ALL, 4096, 0), (UNMAP_ALL, 0, 4096), (3, 0, 0), (4, 0, 4096), (6, 0, 0)] {
            assert_eq!(unmap(flags, address, size), INVALID, "{flags} {address} {size}");
        }
        assert_eq!(unmap(UNMAP_DIRTY, 0, 4096), Err(Errno::OPNOTSUPP));
    }

    #[test]
    fn vectors_are_set_by_one_kind_of_data_and_one_action() {
        let set = |flags, start, count, data| set_irqs(&SetIrqs { argsz: 20, flags, index: 2, start, count }, 8, data);
        let (none, bool_, eventfd) = (1, 2, 4);
        let (mask, unmask, trigger) = (8, 16, 32);
        for (flags, start, count, data) in
            [(none | trigger, 0, 0, 0), (bool_ | mask, 7, 1, 1), (eventfd | trigger, 0, 8, 0), (none | unmask, 3, 5, 0)]
        {
            assert_eq!(set(flags, start, count, data), Ok(()), "{flags:#x} {start} {count} {data}");
        }
        for (flags, start, count, data) in [
            (0, 0, 1, 0),
            (none, 0, 1, 0),
            (trigger, 0, 1, 0),
            (none | bool_ | trigger, 0, 1, 1),
            (none | mask | unmask, 0, 1, 0),
            (none | trigger | 64, 0, 1, 0),
            (bool_ | trigger, 0, 2, 1),
            (none | trigger, 8, 0, 0),
            (none | trigger, 7, 2, 0),
            (none | trigger, 1, u32::MAX, 0),
        ] {
            assert_eq!(set(flags, start, count, data), INVALID, "{flags:#x} {start} {count} {data}");
        }
    }
}
