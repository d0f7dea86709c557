//! Puts a kernel, its initramfs and its command line into the guest's memory.
//!
//! Two kinds of kernel. A vmlinux with a PVH entry is loaded segment by segment to where it was linked and runs at
//! once. A bzImage carries a decompressor, which then runs in the guest: slower, and all that a distribution ships.

mod bzimage;
pub mod cmdline;
mod elf;

use std::{
    fs::File,
    io::{Read, Seek},
    path::Path,
};

use azote_files::Access;
use linux_loader::loader::{BzImage, KernelLoader};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap, ReadVolatile};

use crate::{Error, Result, layout};

/// How a loaded kernel is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// By the PVH protocol: 32-bit protected mode, no paging, EBX has the start info.
    Pvh(u64),
    /// By the 64-bit Linux boot protocol: long mode, RSI has the zero page.
    Linux64(u64),
}

/// A piece of guest memory in the map that the kernel is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapEntry {
    /// Its first byte.
    pub base: u64,
    /// Its length.
    pub len: u64,
    /// What it is.
    pub kind: MapKind,
}

/// What a piece of guest memory is, with the numbers of E820.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum MapKind {
    /// Memory.
    Ram = 1,
    /// Not memory: here, configuration space.
    Reserved = 2,
    /// ACPI tables.
    Acpi = 3,
}

/// The memory map of a guest with so much RAM, of which the first `buses` buses have configuration space.
#[must_use]
pub fn memory_map(ram: u64, buses: u64) -> Vec<MapEntry> {
    let entry = |base, end: u64, kind| MapEntry { base, len: end - base, kind };
    let low = ram.min(layout::RAM_32_END);
    let mut map = vec![
        entry(0, layout::LOW_RAM_END, MapKind::Ram),
        entry(layout::ACPI, layout::ACPI + layout::ACPI_SIZE, MapKind::Acpi),
    ];
    if low > layout::HIGH_RAM {
        map.push(entry(layout::HIGH_RAM, low, MapKind::Ram));
    }
    map.push(entry(layout::ECAM, layout::ECAM + buses * layout::ECAM_BUS_SIZE, MapKind::Reserved));
    if ram > low {
        map.push(entry(layout::RAM_64, layout::RAM_64 + (ram - low), MapKind::Ram));
    }
    map
}

/// Everything that is put into memory, once before the guest starts and again for each reset. The files stay open: behind the jail,
/// nothing can be opened.
#[derive(Debug)]
pub struct Boot {
    kernel: File,
    kernel_path: std::path::PathBuf,
    initramfs: Option<(File, std::path::PathBuf)>,
    cmdline: String,
    map: Vec<MapEntry>,
}

impl Boot {
    /// Opens the files.
    pub fn open(kernel: &Path, initramfs: Option<&Path>, cmdline: String, map: Vec<MapEntry>) -> Result<Self> {
        let initramfs = initramfs.map(|path| Ok::<_, Error>((open(path)?, path.to_owned()))).transpose()?;
        Ok(Self { kernel: open(kernel)?, kernel_path: kernel.to_owned(), initramfs, cmdline, map })
    }

    /// Loads all of it; says how the kernel starts. `rsdp` is where the ACPI tables begin.
    pub fn load(&self, memory: &GuestMemoryMmap, rsdp: u64) -> Result<Entry> {
        let mut kernel = &self.kernel;
        let loaded = load_kernel(memory, &mut kernel, &self.map).map_err(|e| e.into_error(&self.kernel_path))?;
        if let Some(reason) = cmdline::refuse(&self.cmdline, loaded.cmdline_max) {
            return Err(Error::Kernel { path: self.kernel_path.clone(), reason });
        }
        let initramfs = match &self.initramfs {
            Some((file, path)) => Some(load_initramfs(memory, file, path, &loaded, &self.map)?),
            None => None,
        };
        let too_small = |_| Error::Config("the guest has no memory below 1 MiB".into());
        memory.write_slice(self.cmdline.as_bytes(), GuestAddress(layout::CMDLINE)).map_err(too_small)?;
        let end = layout::CMDLINE + self.cmdline.len() as u64;
        memory.write_slice(&[0], GuestAddress(end)).map_err(too_small)?;
        match loaded.setup {
            None => elf::write_start_info(memory, initramfs, rsdp, &self.map).map_err(too_small)?,
            Some(header) => {
                bzimage::write_zero_page(memory, header, initramfs, self.cmdline.len(), rsdp, &self.map)
                    .map_err(too_small)?;
            }
        }
        Ok(loaded.entry)
    }
}

/// A kernel in memory.
#[derive(Debug)]
pub struct Loaded {
    /// How it starts.
    pub entry: Entry,
    /// Where it ends.
    pub end: u64,
    /// The highest address that it takes an initramfs at.
    pub initramfs_max: u64,
    /// The longest command line that it takes, without its end.
    pub cmdline_max: usize,
    /// The setup header of a bzImage.
    pub(crate) setup: Option<linux_loader::bootparam::setup_header>,
}

/// Why a file is no kernel for this guest.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadError {
    /// It is none, or a broken one.
    Bad(String),
    /// It has no place.
    NoRoom {
        /// What it needs.
        needed: u64,
        /// What there is.
        room: u64,
    },
}

impl LoadError {
    fn into_error(self, path: &Path) -> Error {
        match self {
            Self::Bad(reason) => Error::Kernel { path: path.to_owned(), reason },
            Self::NoRoom { needed, room } => {
                Error::TooLittleMemory { what: format!("the kernel {}", path.display()), needed, room }
            }
        }
    }
}

/// Loads a kernel of either kind.
pub fn load_kernel<F>(memory: &GuestMemoryMmap, file: &mut F, map: &[MapEntry]) -> Result<Loaded, LoadError>
where
    F: Read + ReadVolatile + Seek,
{
    let bad = |e: &dyn std::fmt::Display| LoadError::Bad(format!("reading it: {e}"));
    let len = file.seek(std::io::SeekFrom::End(0)).map_err(|e| bad(&e))?;
    file.rewind().map_err(|e| bad(&e))?;
    let mut head = Vec::new();
    file.by_ref().take(0x1000).read_to_end(&mut head).map_err(|e| bad(&e))?;
    if head.starts_with(b"\x7fELF") {
        let end = elf::check(file, len, map)?;
        return elf::load(memory, file, end);
    }
    if head.get(bzimage::MAGIC_AT..bzimage::MAGIC_AT + 4) == Some(b"HdrS") {
        let checked = bzimage::check(&head, len, map)?;
        let loaded = BzImage::load(memory, None, file, None).map_err(|e| LoadError::Bad(e.to_string()))?;
        return Ok(Loaded { setup: loaded.setup_header, ..checked });
    }
    Err(LoadError::Bad("is no kernel: neither a bzImage nor an ELF vmlinux".into()))
}

/// Where RAM from 1 MiB up ends, below 4 GiB.
fn ram_end(map: &[MapEntry]) -> u64 {
    map.iter()
        .find(|e| e.base == layout::HIGH_RAM && e.kind == MapKind::Ram)
        .map_or(layout::HIGH_RAM, |e| e.base + e.len)
}

fn open(path: &Path) -> Result<File> {
    Ok(azote_files::open(path, Access::Read)?)
}

/// Puts the initramfs as high as it goes, whole pages from the kernel.
fn load_initramfs(
    memory: &GuestMemoryMmap,
    mut file: &File,
    path: &Path,
    kernel: &Loaded,
    map: &[MapEntry],
) -> Result<(u64, u64)> {
    let fail = |source| Error::File { path: path.to_owned(), source };
    let len = file.seek(std::io::SeekFrom::End(0)).map_err(fail)?;
    file.rewind().map_err(fail)?;
    let top = ram_end(map).min(kernel.initramfs_max.saturating_add(1));
    let bottom = kernel.end.next_multiple_of(4096);
    let room = top.saturating_sub(bottom);
    if len == 0 {
        return Err(Error::Kernel { path: path.to_owned(), reason: "the initramfs is empty".into() });
    }
    if len > room {
        let what = format!("the initramfs {}", path.display());
        return Err(Error::TooLittleMemory { what, needed: len, room });
    }
    let at = (top - len) & !4095;
    if at < bottom {
        let what = format!("the initramfs {}", path.display());
        return Err(Error::TooLittleMemory { what, needed: len + 4096, room });
    }
    let size = usize::try_from(len).map_err(|_| fail(std::io::ErrorKind::FileTooLarge.into()))?;
    memory
        .read_exact_volatile_from(GuestAddress(at), &mut file, size)
        .map_err(|e| Error::Kernel { path: path.to_owned(), reason: format!("reading it: {e}") })?;
    Ok((at, len))
}

/// Writes plain words at an address, in order.
fn write_words(memory: &impl GuestMemoryBackend, at: u64, words: &[u64]) -> Result<(), vm_memory::GuestMemoryError> {
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    memory.write_slice(&bytes, GuestAddress(at))
}
