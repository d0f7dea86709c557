//! Which addresses belong to whom. Looked at by every exit, changed when a guest moves a BAR.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, PoisonError, RwLock},
};

use crate::pci::Mmio;

type Window = (u64, Arc<dyn Mmio>);

/// Windows of addresses, and who answers in each.
#[derive(Default)]
pub struct AddressMap {
    /// Where BARs may be: nothing of a guest's making may cover memory or another device.
    allowed: Vec<Range<u64>>,
    /// By their first address: how long, and whose.
    windows: RwLock<BTreeMap<u64, Window>>,
}

impl AddressMap {
    /// A map that lets BARs be in these ranges.
    #[must_use]
    pub fn new(allowed: Vec<Range<u64>>) -> Self {
        Self { allowed, windows: RwLock::default() }
    }

    /// Gives a window to `target`; false if a BAR may not be there or something else is.
    pub fn insert_bar(&self, base: u64, len: u64, target: Arc<dyn Mmio>) -> bool {
        let Some(end) = base.checked_add(len) else { return false };
        if !self.allowed.iter().any(|r| r.start <= base && end <= r.end) {
            return false;
        }
        self.insert(base, len, target)
    }

    /// The same for what the machine itself has, anywhere.
    pub fn insert(&self, base: u64, len: u64, target: Arc<dyn Mmio>) -> bool {
        let Some(end) = base.checked_add(len) else { return false };
        let mut windows = self.windows.write().unwrap_or_else(PoisonError::into_inner);
        let before = windows.range(..end).next_back();
        if len == 0 || before.is_some_and(|(b, (l, _))| b + l > base) {
            return false;
        }
        windows.insert(base, (len, target));
        true
    }

    /// Takes a window back.
    pub fn remove(&self, base: u64) {
        self.windows.write().unwrap_or_else(PoisonError::into_inner).remove(&base);
    }

    fn find(&self, address: u64, len: usize) -> Option<(Arc<dyn Mmio>, u64)> {
        let windows = self.windows.read().unwrap_or_else(PoisonError::into_inner);
        let (base, (size, target)) = windows.range(..=address).next_back()?;
        let offset = address - base;
        // An access that begins inside and ends outside belongs to nobody.
        (offset.checked_add(len as u64)? <= *size).then(|| (target.clone(), offset))
    }

    /// Reads; where nobody is, ones.
    pub fn read(&self, address: u64, data: &mut [u8]) -> bool {
        match self.find(address, data.len()) {
            Some((target, offset)) => {
                target.read(offset, data);
                true
            }
            None => {
                data.fill(0xff);
                false
            }
        }
    }

    /// Writes; where nobody is, nothing happens.
    pub fn write(&self, address: u64, data: &[u8]) -> bool {
        match self.find(address, data.len()) {
            Some((target, offset)) => {
                target.write(offset, data);
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Bytes(Mutex<Vec<u64>>);
    impl Mmio for Bytes {
        fn read(&self, offset: u64, data: &mut [u8]) {
            data.fill(offset as u8);
        }
        fn write(&self, offset: u64, _: &[u8]) {
            self.0.lock().unwrap().push(offset);
        }
    }

    #[test]
    fn windows_do_not_overlap_and_stay_where_bars_may_be() {
        let map = AddressMap::new(vec![0x1000..0x5000, 0x10_0000..0x20_0000]);
        let target = || Arc::new(Bytes::default());
        assert!(map.insert_bar(0x2000, 0x1000, target()));
        for (base, len) in
            [(0x2000, 0x1000), (0x1000, 0x1001), (0x2fff, 1), (0x0, 0x1000), (0x4000, 0x2000), (u64::MAX, 2)]
        {
            assert!(!map.insert_bar(base, len, target()), "{base:#x}");
        }
        assert!(map.insert_bar(0x1000, 0x1000, target()) && map.insert_bar(0x3000, 0x1000, target()));
        assert!(!map.insert_bar(0x3800, 0, target()));
        let mut data = [0; 2];
        assert!(map.read(0x2010, &mut data));
        assert_eq!(data, [0x10, 0x10]);
        map.remove(0x2000);
        assert!(!map.read(0x2010, &mut data));
        assert_eq!(data, [0xff, 0xff]);
        assert!(!map.write(0x1fff, &[0, 0]), "across the end");
        assert!(!map.write(u64::MAX, &[0, 0]));
    }
}
