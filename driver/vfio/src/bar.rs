//! A BAR: mapped where the kernel lets us, by system calls elsewhere.
//!
//! The MSI-X table's page is what the kernel may keep for itself. Our drivers never touch it, but a register beside it
//! must stay reachable.

use std::{io, sync::Arc};

use azote_seam::{Error, Mmio, Result, check_range};

use crate::map::Map;

/// Access to a region by system calls, at an offset in the region.
pub(crate) trait Slow: Send + Sync {
    /// Reads all of `data`.
    fn read(&self, offset: u64, data: &mut [u8]) -> io::Result<()>;
    /// Writes all of `data`.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;
}

pub(crate) struct Bar {
    pub size: u64,
    /// Mapped pieces and where in the BAR they begin.
    pub areas: Vec<(u64, Map)>,
    pub slow: Arc<dyn Slow>,
}

impl Bar {
    /// The mapped piece that an access lies in.
    fn area<T>(&self, offset: u64, access: impl Fn(&Map, u64) -> Option<T>) -> Option<T> {
        self.areas.iter().find_map(|(start, map)| access(map, offset.checked_sub(*start)?))
    }

    fn slow_read<const N: usize>(&self, offset: u64) -> Result<[u8; N]> {
        let mut data = [0; N];
        self.slow.read(offset, &mut data).map_err(|e| Error::io(format!("reading BAR offset {offset:#x}"), e))?;
        Ok(data)
    }

    fn slow_write(&self, offset: u64, data: &[u8]) -> Result<()> {
        self.slow.write(offset, data).map_err(|e| Error::io(format!("writing BAR offset {offset:#x}"), e))
    }
}

impl Mmio for Bar {
    fn size(&self) -> u64 {
        self.size
    }

    fn read8(&self, offset: u64) -> Result<u8> {
        check_range("BAR", offset, 1, self.size)?;
        match self.area(offset, Map::read8) {
            Some(value) => Ok(value),
            None => self.slow_read(offset).map(u8::from_le_bytes),
        }
    }

    fn write8(&self, offset: u64, value: u8) -> Result<()> {
        check_range("BAR", offset, 1, self.size)?;
        match self.area(offset, |m, at| m.write8(at, value)) {
            Some(()) => Ok(()),
            None => self.slow_write(offset, &value.to_le_bytes()),
        }
    }

    fn read16(&self, offset: u64) -> Result<u16> {
        check_range("BAR", offset, 2, self.size)?;
        match self.area(offset, Map::read16) {
            Some(value) => Ok(value),
            None => self.slow_read(offset).map(u16::from_le_bytes),
        }
    }

    fn write16(&self, offset: u64, value: u16) -> Result<()> {
        check_range("BAR", offset, 2, self.size)?;
        match self.area(offset, |m, at| m.write16(at, value)) {
            Some(()) => Ok(()),
            None => self.slow_write(offset, &value.to_le_bytes()),
        }
    }

    fn read32(&self, offset: u64) -> Result<u32> {
        check_range("BAR", offset, 4, self.size)?;
        match self.area(offset, Map::read32) {
            Some(value) => Ok(value),
            None => self.slow_read(offset).map(u32::from_le_bytes),
        }
    }

    fn write32(&self, offset: u64, value: u32) -> Result<()> {
        check_range("BAR", offset, 4, self.size)?;
        match self.area(offset, |m, at| m.write32(at, value)) {
            Some(()) => Ok(()),
            None => self.slow_write(offset, &value.to_le_bytes()),
        }
    }

    fn read64(&self, offset: u64) -> Result<u64> {
        check_range("BAR", offset, 8, self.size)?;
        match self.area(offset, Map::read64) {
            Some(value) => Ok(value),
            None => self.slow_read(offset).map(u64::from_le_bytes),
        }
    }

    fn write64(&self, offset: u64, value: u64) -> Result<()> {
        check_range("BAR", offset, 8, self.size)?;
        match self.area(offset, |m, at| m.write64(at, value)) {
            Some(()) => Ok(()),
            None => self.slow_write(offset, &value.to_le_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs::File,
        os::{fd::AsFd, unix::fs::FileExt},
        sync::atomic::{AtomicUsize, Ordering},
    };

    struct Counted(File, AtomicUsize);

    impl Slow for Counted {
        fn read(&self, offset: u64, data: &mut [u8]) -> io::Result<()> {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.read_exact_at(data, offset)
        }
        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.write_all_at(data, offset)
        }
    }

    #[test]
    fn the_hole_of_the_msix_table_is_reached_by_system_calls() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(0x4000).unwrap();
        let area = |at, len| (at, Map::new(file.as_fd(), at, len).unwrap());
        let areas = vec![area(0, 0x2000), area(0x3000, 0x1000)];
        let slow = Arc::new(Counted(file.try_clone().unwrap(), AtomicUsize::new(0)));
        let bar = Bar { size: 0x4000, areas, slow: slow.clone() };
        for offset in (0..0x4000).step_by(8) {
            bar.write64(offset, offset * 3).unwrap();
        }
        assert_eq!(slow.1.load(Ordering::SeqCst), 0x1000 / 8);
        for offset in (0..0x4000).step_by(8) {
            assert_eq!(bar.read64(offset).unwrap(), offset * 3);
            bar.write16(offset + 2, 0x1234).unwrap();
            bar.write8(offset + 2, 0x56).unwrap();
            let seen = (bar.read16(offset + 2).unwrap(), bar.read8(offset + 3).unwrap());
            assert_eq!(seen, (0x1256, 0x12));
            bar.write64(offset, offset * 3).unwrap();
            assert_eq!(u64::from(bar.read32(offset).unwrap()), offset * 3);
        }
        for offset in [0x4000, 0x3ffe, 0x1fff, u64::MAX - 3] {
            assert!(matches!(bar.read32(offset), Err(Error::Range { .. })), "{offset:#x}");
            assert!(matches!(bar.write32(offset, 0), Err(Error::Range { .. })), "{offset:#x}");
        }
        assert!(matches!(bar.read64(0x3ffc), Err(Error::Range { .. })));
    }
}
