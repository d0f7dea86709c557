//! A kernel of Debian's, its modules, and its uncompressed form.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, Result, command};

/// An unpacked kernel package.
#[derive(Debug)]
pub struct Kernel {
    /// The compressed kernel (bzImage), as a boot loader takes it.
    pub image: PathBuf,
    /// The kernel itself (ELF with a PVH note), which needs no decompressor.
    pub elf: PathBuf,
    modules: PathBuf,
    /// A module's path below `modules`, and those of the modules that it needs, nearest first.
    dependencies: HashMap<String, (String, Vec<String>)>,
}

impl Kernel {
    /// Looks into the folder of an unpacked package; unpacks the kernel and resolves its modules the first time.
    pub fn at(folder: &Path, say: &dyn Fn(&str)) -> Result<Kernel> {
        let image = only(&folder.join("boot"), "vmlinuz-")?;
        let modules = only(&folder.join("usr/lib/modules"), "")?;
        let elf = folder.join("vmlinux");
        if !elf.exists() {
            say("unpacking the kernel");
            let bytes = std::fs::read(&image).map_err(Error::io("read", &image))?;
            let kernel = payload(&bytes)
                .ok_or_else(|| Error::Piece(format!("{} is no kernel with a zstd payload", image.display())))?;
            let partial = folder.join("vmlinux.partial");
            std::fs::write(&partial, kernel).map_err(Error::io("write", &partial))?;
            std::fs::rename(&partial, &elf).map_err(Error::io("rename", &partial))?;
        }
        let list = modules.join("modules.dep");
        if !list.exists() {
            let version = modules.file_name().unwrap_or_default();
            command::output(Command::new("depmod").arg("-b").arg(folder).arg(version))?;
        }
        let text = std::fs::read_to_string(&list).map_err(Error::io("read", &list))?;
        Ok(Kernel { image, elf, modules, dependencies: text.lines().filter_map(dependency).collect() })
    }

    /// Modules with all that they need, in the order in which they must be loaded: their names and contents. A name that
    /// is not a module is built into the kernel or not there at all; the machine will notice.
    pub fn modules(&self, names: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
        let mut order: Vec<&str> = Vec::new();
        for name in names {
            if let Some((path, needs)) = self.dependencies.get(&name.replace('-', "_")) {
                for path in needs.iter().rev().chain([path]) {
                    if !order.contains(&path.as_str()) {
                        order.push(path);
                    }
                }
            }
        }
        order.into_iter().map(|path| Ok((module_name(path), self.module(path)?))).collect()
    }

    fn module(&self, path: &str) -> Result<Vec<u8>> {
        let path = self.modules.join(path);
        if path.extension().is_some_and(|e| e == "xz") {
            let mut xz = Command::new("xz");
            let done = xz.arg("-dc").arg(&path).output().map_err(Error::io("unpack", &path))?;
            if !done.status.success() {
                return Err(Error::Piece(format!("{} cannot be unpacked", path.display())));
            }
            return Ok(done.stdout);
        }
        std::fs::read(&path).map_err(Error::io("read", &path))
    }
}

/// `kernel/a/b.ko.xz` is `b`; names are compared with underscores, as the kernel does.
fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

/// A line of modules.dep: `path: path path …`.
fn dependency(line: &str) -> Option<(String, (String, Vec<String>))> {
    let (path, needs) = line.split_once(':')?;
    let needs = needs.split_whitespace().map(str::to_owned).collect();
    Some((module_name(path), (path.to_owned(), needs)))
}

/// The kernel within a bzImage (Linux Documentation/arch/x86/boot.rst, "payload_offset").
fn payload(image: &[u8]) -> Option<Vec<u8>> {
    let dword = |at: usize| Some(u32::from_le_bytes(*image.get(at..at + 4)?.first_chunk()?) as usize);
    if image.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let sectors = match *image.get(0x1f1)? {
        0 => 4,
        n => usize::from(n),
    };
    let start = (sectors + 1) * 512 + dword(0x248)?;
    // The payload ends with the size of what is in it.
    let end = start.checked_add(dword(0x24c)?)?.checked_sub(4)?;
    let elf = zstd::decode_all(image.get(start..end)?).ok()?;
    elf.starts_with(b"\x7fELF").then_some(elf)
}

/// The one entry of a folder whose name starts with `prefix`.
fn only(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).map_err(Error::io("read", folder))?;
    let mut found = entries.filter_map(|e| Some(e.ok()?.path()));
    let entry = found.find(|p| p.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(prefix)));
    entry.ok_or_else(|| Error::Piece(format!("{} has no {prefix}*", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_comes_after_what_it_needs() {
        let line = "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/a/vfio-pci-core.ko.xz kernel/b/irqbypass.ko.xz";
        let (name, (path, needs)) = dependency(line).unwrap();
        assert_eq!((name.as_str(), path.as_str()), ("vfio_pci", "kernel/drivers/vfio/pci/vfio-pci.ko.xz"));
        assert_eq!(needs.iter().map(|n| module_name(n)).collect::<Vec<_>>(), ["vfio_pci_core", "irqbypass"]);
    }

    #[test]
    fn what_is_no_kernel_has_no_payload() {
        assert_eq!(payload(b""), None);
        assert_eq!(payload(&[0; 4096]), None);
        let mut image = vec![0; 4096];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248..0x250].copy_from_slice(&[0xff; 8]);
        assert_eq!(payload(&image), None);
    }
}
