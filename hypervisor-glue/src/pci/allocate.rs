//! Where BARs lie when the guest starts: what firmware would have done. Largest first, each at a multiple of its size;
//! below 4 GiB unless a BAR is both 64 bits wide and large.

use std::ops::Range;

use vm_allocator::{AddressAllocator, AllocPolicy};

use crate::{Error, Result, layout, pci::config::Bar};

/// BARs larger than this go above 4 GiB if they can.
const LARGE: u64 = 64 << 20;
/// A page: smaller BARs get one of their own, so that no two devices share one.
const PAGE: u64 = 4096;

/// The two windows.
#[derive(Debug)]
pub struct Allocator {
    low: AddressAllocator,
    high: AddressAllocator,
    windows: [Range<u64>; 2],
}

impl Allocator {
    /// Windows for a guest with so much RAM.
    pub fn new(ram: u64) -> Result<Self> {
        let window = |base, size| {
            AddressAllocator::new(base, size)
                .map_err(|e| Error::Config(format!("the window of BARs at {base:#x}: {e}")))
        };
        let high = layout::mmio_64(ram);
        let windows = [layout::MMIO_32..layout::MMIO_32 + layout::MMIO_32_SIZE, high..high + layout::MMIO_64_SIZE];
        Ok(Self {
            low: window(layout::MMIO_32, layout::MMIO_32_SIZE)?,
            high: window(high, layout::MMIO_64_SIZE)?,
            windows,
        })
    }

    /// The windows, for [`crate::pci::AddressMap`].
    pub fn windows(&self) -> Vec<Range<u64>> {
        self.windows.to_vec()
    }

    /// A place below 4 GiB.
    pub fn below_4g(&mut self, size: u64, align: u64) -> Option<u64> {
        self.low.allocate(size, align, AllocPolicy::FirstMatch).ok().map(|r| r.start())
    }

    /// Places for a function's BARs; the failing one's index if there is no room.
    pub fn place(&mut self, bars: &[Option<Bar>]) -> Result<Vec<(usize, u64)>, usize> {
        let mut order: Vec<_> = bars.iter().enumerate().filter_map(|(i, b)| b.map(|b| (i, b))).collect();
        order.sort_by_key(|(_, b)| std::cmp::Reverse(b.size));
        let mut places = Vec::new();
        for (i, bar) in order {
            let size = bar.size.max(PAGE);
            let high = bar.wide && size > LARGE;
            let (first, second) =
                if high { (&mut self.high, None) } else { (&mut self.low, bar.wide.then_some(&mut self.high)) };
            let take =
                |a: &mut AddressAllocator| a.allocate(size, size, AllocPolicy::FirstMatch).ok().map(|r| r.start());
            let at = take(first).or_else(|| second.and_then(take)).ok_or(i)?;
            places.push((i, at));
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(size: u64, wide: bool) -> Option<Bar> {
        Some(Bar { size, wide, prefetchable: false })
    }

    #[test]
    fn bars_are_aligned_apart_and_in_their_window() {
        let mut a = Allocator::new(512 << 20).unwrap();
        let places = a.place(&[bar(0x4000, true), None, bar(256, false), bar(1 << 30, true), None, None]).unwrap();
        let at = |i| places.iter().find(|p| p.0 == i).unwrap().1;
        assert_eq!((at(0) % 0x4000, at(2) % 4096, at(3) % (1 << 30)), (0, 0, 0));
        assert!(at(0) < 1 << 32 && at(2) < 1 << 32 && at(3) >= layout::mmio_64(512 << 20));
        assert!(at(0).abs_diff(at(2)) >= 4096);
    }

    #[test]
    fn a_bar_without_room_is_named() {
        let mut a = Allocator::new(1 << 30).unwrap();
        assert_eq!(a.place(&[None, bar(1 << 31, false)]), Err(1));
        assert_eq!(a.place(&[bar(1 << 40, true)]), Err(0));
    }
}
