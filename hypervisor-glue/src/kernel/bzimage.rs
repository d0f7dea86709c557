//! A bzImage, by the 64-bit Linux boot protocol (Documentation/arch/x86/boot.rst).

use linux_loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use vm_memory::{ByteValued, Bytes, GuestAddress, GuestMemoryError, GuestMemoryMmap};

use super::{Entry, LoadError, Loaded, MapEntry, ram_end, write_words};
use crate::layout;

/// Where the setup header has its magic number.
pub const MAGIC_AT: usize = 0x202;
/// The first byte of the setup header.
const HEADER_AT: usize = 0x1f1;
/// The 64-bit entry, from where the kernel is loaded.
const ENTRY_64: u64 = 0x200;
/// xloadflags: the kernel has a 64-bit entry.
const XLF_KERNEL_64: u16 = 1;
/// The protocol's version with `xloadflags`, 2.12.
const VERSION_64: u16 = 0x20c;
/// A boot loader without an assigned id.
const LOADER_UNDEFINED: u8 = 0xff;
/// The size of a sector of the setup code.
const SECTOR: u64 = 512;

/// That it can be started in long mode, is whole, and has room to decompress.
pub fn check(head: &[u8], len: u64, map: &[MapEntry]) -> Result<Loaded, LoadError> {
    let header = head.get(HEADER_AT..HEADER_AT + size_of::<setup_header>());
    let Some(header) = header.and_then(setup_header::from_slice_copy) else {
        return Err(LoadError::Bad("is truncated: its setup header is not whole".into()));
    };
    let (version, flags) = (header.version, header.xloadflags);
    if version < VERSION_64 || flags & XLF_KERNEL_64 == 0 {
        return Err(LoadError::Bad("is a bzImage without a 64-bit entry (boot protocol 2.12)".into()));
    }
    let sectors = if header.setup_sects == 0 { 4 } else { header.setup_sects };
    let setup = (u64::from(sectors) + 1) * SECTOR;
    // `syssize` counts the protected-mode code in units of 16 bytes.
    let code = u64::from(header.syssize) * 16;
    if len <= setup || len < setup + code.saturating_sub(15) {
        return Err(LoadError::Bad(format!("is truncated: {len} bytes of {}", setup + code)));
    }
    let at = u64::from(header.code32_start);
    if at < layout::HIGH_RAM {
        return Err(LoadError::Bad("is to be loaded below 1 MiB".into()));
    }
    // It moves itself to its preferred address before it decompresses, and needs `init_size` bytes there.
    let start = { header.pref_address }.max(at);
    let loaded = (len - setup).max(ENTRY_64 + 1);
    let end = start.saturating_add(u64::from(header.init_size)).max(at.saturating_add(loaded));
    let room = ram_end(map);
    if end > room {
        return Err(LoadError::NoRoom { needed: end, room });
    }
    let initramfs_max = u64::from(header.initrd_addr_max);
    // Without the end; there is room for as much.
    let cmdline_max = (header.cmdline_size as usize).min(layout::CMDLINE_MAX - 1);
    Ok(Loaded { entry: Entry::Linux64(at + ENTRY_64), end, initramfs_max, cmdline_max, setup: None })
}

/// A setup header from bytes that may lie anywhere.
trait FromSliceCopy: Sized {
    fn from_slice_copy(bytes: &[u8]) -> Option<Self>;
}

impl FromSliceCopy for setup_header {
    fn from_slice_copy(bytes: &[u8]) -> Option<Self> {
        let mut header = Self::default();
        header.as_mut_slice().copy_from_slice(bytes.get(..size_of::<Self>())?);
        Some(header)
    }
}

/// Writes the zero page and the page tables that long mode starts with.
pub fn write_zero_page(
    memory: &GuestMemoryMmap,
    mut header: setup_header,
    initramfs: Option<(u64, u64)>,
    cmdline: usize,
    rsdp: u64,
    map: &[MapEntry],
) -> Result<(), GuestMemoryError> {
    header.type_of_loader = LOADER_UNDEFINED;
    header.cmd_line_ptr = layout::CMDLINE as u32;
    header.cmdline_size = cmdline as u32;
    if let Some((at, len)) = initramfs {
        header.ramdisk_image = at as u32;
        header.ramdisk_size = len as u32;
    }
    let mut page = boot_params { hdr: header, acpi_rsdp_addr: rsdp, ..boot_params::default() };
    for (slot, e) in page.e820_table.iter_mut().zip(map) {
        *slot = boot_e820_entry { addr: e.base, size: e.len, r#type: e.kind as u32 };
    }
    page.e820_entries = map.len().min(128) as u8;
    memory.write_obj(page, GuestAddress(layout::ZERO_PAGE))?;
    write_page_tables(memory)
}

/// One PML4 entry, four PDPT entries, 2 MiB pages: 4 GiB one to one.
fn write_page_tables(memory: &GuestMemoryMmap) -> Result<(), GuestMemoryError> {
    const PRESENT_WRITE: u64 = 0b11;
    const PAGE_2M: u64 = 1 << 7;
    let (pdpt, pd) = (layout::PAGE_TABLES + 0x1000, layout::PAGE_TABLES + 0x2000);
    write_words(memory, layout::PAGE_TABLES, &[pdpt | PRESENT_WRITE])?;
    let pdpt_entries: Vec<_> = (0..4).map(|i| (pd + i * 0x1000) | PRESENT_WRITE).collect();
    write_words(memory, pdpt, &pdpt_entries)?;
    let pages: Vec<_> = (0..4 * 512u64).map(|i| i << 21 | PRESENT_WRITE | PAGE_2M).collect();
    write_words(memory, pd, &pages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::memory_map;

    #[test]
    fn the_kernel_itself_says_how_long_a_command_line_it_takes() {
        let limit = |says: u32| {
            let header = setup_header {
                setup_sects: 1,
                version: VERSION_64,
                xloadflags: XLF_KERNEL_64,
                code32_start: layout::HIGH_RAM as u32,
                cmdline_size: says,
                ..setup_header::default()
            };
            let mut head = vec![0; 0x1000];
            head[HEADER_AT..HEADER_AT + size_of::<setup_header>()].copy_from_slice(header.as_slice());
            check(&head, 0x2000, &memory_map(64 << 20, 1)).unwrap().cmdline_max
        };
        assert_eq!((limit(255), limit(2047), limit(u32::MAX)), (255, 2047, layout::CMDLINE_MAX - 1));
    }
}
