//! A vmlinux: checked against the guest's memory, loaded by linux-loader, and told about its machine by the PVH protocol
//! (Xen's `start_info.h`).

use std::io::{Read, Seek, SeekFrom};

use linux_loader::{
    elf::{Elf64_Ehdr, Elf64_Phdr, PT_LOAD, PT_NOTE},
    loader::{Elf, KernelLoader, PvhBootCapability, start_info::XEN_HVM_START_MAGIC_VALUE},
};
use vm_memory::{ByteValued, GuestMemoryError, GuestMemoryMmap, ReadVolatile};

use super::{Entry, LoadError, Loaded, MapEntry, cmdline, ram_end, write_words};
use crate::layout;

/// ELF's number for x86-64.
const X86_64: u16 = 62;
/// More segments than any kernel has.
const SEGMENTS_MAX: u16 = 64;
/// More notes than any kernel has.
const NOTES_MAX: u64 = 1 << 16;

/// That every segment lies in the file and in RAM; returns where the kernel ends. linux-loader trusts these sums.
pub fn check<F: Read + Seek>(file: &mut F, len: u64, map: &[MapEntry]) -> Result<u64, LoadError> {
    let bad = |why: &str| LoadError::Bad(why.to_owned());
    let truncated = || LoadError::Bad("is truncated: its headers name bytes beyond its end".into());
    let mut header = Elf64_Ehdr::default();
    file.rewind().map_err(|_| truncated())?;
    file.read_exact(header.as_mut_slice()).map_err(|_| truncated())?;
    if header.e_ident[4] != 2 || header.e_ident[5] != 1 || header.e_machine != X86_64 {
        return Err(bad("is an ELF file, but no 64-bit x86 kernel"));
    }
    if usize::from(header.e_phentsize) != size_of::<Elf64_Phdr>() || header.e_phnum > SEGMENTS_MAX {
        return Err(bad("has program headers that are none"));
    }
    let end_of_headers = header.e_phoff.checked_add(u64::from(header.e_phnum) * size_of::<Elf64_Phdr>() as u64);
    if end_of_headers.is_none_or(|end| end > len) {
        return Err(truncated());
    }
    file.seek(SeekFrom::Start(header.e_phoff)).map_err(|_| truncated())?;
    let (mut end, ram) = (0, ram_end(map));
    for _ in 0..header.e_phnum {
        let mut segment = Elf64_Phdr::default();
        file.read_exact(segment.as_mut_slice()).map_err(|_| truncated())?;
        if segment.p_type != PT_LOAD && segment.p_type != PT_NOTE {
            continue;
        }
        if segment.p_offset.checked_add(segment.p_filesz).is_none_or(|e| e > len) {
            return Err(truncated());
        }
        if segment.p_type == PT_NOTE {
            if segment.p_filesz > NOTES_MAX {
                return Err(bad("has notes that are none"));
            }
            continue;
        }
        let top = segment.p_paddr.checked_add(segment.p_memsz.max(segment.p_filesz));
        let top = top.ok_or_else(|| bad("has a segment that wraps around"))?;
        if segment.p_paddr < layout::HIGH_RAM {
            return Err(bad("has a segment below 1 MiB, where the machine's tables are"));
        }
        end = end.max(top);
    }
    match end {
        0 => Err(bad("has nothing to load")),
        end if end > ram => Err(LoadError::NoRoom { needed: end, room: ram }),
        end => Ok(end),
    }
}

/// Loads what [`check`] has found good.
pub fn load<F>(memory: &GuestMemoryMmap, file: &mut F, end: u64) -> Result<Loaded, LoadError>
where
    F: Read + ReadVolatile + Seek,
{
    let loaded = Elf::load(memory, None, file, None).map_err(|e| LoadError::Bad(e.to_string()))?;
    match loaded.pvh_boot_cap {
        // A note names it, and could name anything.
        PvhBootCapability::PvhEntryPresent(entry) if !(layout::HIGH_RAM..end).contains(&entry.0) => {
            Err(LoadError::Bad(format!("has its PVH entry at {:#x}, where nothing of it is loaded", entry.0)))
        }
        PvhBootCapability::PvhEntryPresent(entry) => Ok(Loaded {
            entry: Entry::Pvh(entry.0),
            end,
            initramfs_max: u32::MAX.into(),
            cmdline_max: cmdline::MOST,
            setup: None,
        }),
        _ => Err(LoadError::Bad("has no PVH entry; a kernel with CONFIG_PVH has, and a bzImage needs none".into())),
    }
}

/// Writes the start info, its module (the initramfs, as address and length) and its memory map.
pub fn write_start_info(
    memory: &GuestMemoryMmap,
    initramfs: Option<(u64, u64)>,
    rsdp: u64,
    map: &[MapEntry],
) -> Result<(), GuestMemoryError> {
    let modules = u64::from(initramfs.is_some());
    let start_info = [
        // Magic and version 1; flags 0 and the number of modules.
        u64::from(XEN_HVM_START_MAGIC_VALUE) | 1 << 32,
        modules << 32,
        if initramfs.is_some() { layout::PVH_MODULES } else { 0 },
        layout::CMDLINE,
        rsdp,
        layout::PVH_MEMORY_MAP,
        map.len() as u64,
    ];
    write_words(memory, layout::PVH_START_INFO, &start_info)?;
    if let Some((at, len)) = initramfs {
        write_words(memory, layout::PVH_MODULES, &[at, len, 0, 0])?;
    }
    let entries: Vec<_> = map.iter().flat_map(|e| [e.base, e.len, e.kind as u64]).collect();
    write_words(memory, layout::PVH_MEMORY_MAP, &entries)
}
