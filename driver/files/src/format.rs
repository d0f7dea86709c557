//! Image formats that are not the disk's bytes, known by their first or last bytes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes that a format has somewhere.
struct Magic {
    /// QEMU's name of the format.
    format: &'static str,
    /// Where: from the beginning or, below zero, from the end.
    at: i64,
    bytes: &'static [u8],
}

const fn magic(format: &'static str, at: i64, bytes: &'static [u8]) -> Magic {
    Magic { format, at, bytes }
}

const FORMATS: [Magic; 12] = [
    // "QFI" and 0xfb, then the version: 1 is the format that QEMU calls qcow, which it converts by that name.
    magic("qcow", 0, b"QFI\xfb\0\0\0\x01"),
    magic("qcow2", 0, b"QFI\xfb"),
    magic("qed", 0, b"QED\0"),
    // Sparse extents of VMware's hosted and ESX products, and the text that names the extents of others.
    magic("vmdk", 0, b"KDMV"),
    magic("vmdk", 0, b"COWD"),
    magic("vmdk", 0, b"# Disk DescriptorFile"),
    magic("vhdx", 0, b"vhdxfile"),
    // After a text for people.
    magic("vdi", 0x40, b"\x7f\x10\xda\xbe"),
    // A dynamic disk has its footer at the beginning, too; a fixed one only at the end.
    magic("vpc", 0, b"conectix"),
    magic("vpc", -512, b"conectix"),
    magic("parallels", 0, b"WithoutFreeSpace"),
    magic("parallels", 0, b"WithouFreSpacExt"),
];

/// The format of an image of `len` bytes; `None` if its bytes are the disk's, as far as can be told.
pub(crate) fn recognise(file: &File, len: u64) -> io::Result<Option<&'static str>> {
    for magic in &FORMATS {
        let at = if magic.at < 0 { len.checked_sub(magic.at.unsigned_abs()) } else { Some(magic.at.unsigned_abs()) };
        let Some(at) = at.filter(|at| at.checked_add(magic.bytes.len() as u64).is_some_and(|end| end <= len)) else {
            continue;
        };
        let mut found = [0; 32];
        let found = &mut found[..magic.bytes.len()];
        file.read_exact_at(found, at)?;
        if found == magic.bytes {
            return Ok(Some(magic.format));
        }
    }
    Ok(None)
}

/// What makes a raw image of it.
pub(crate) fn command(path: &Path, format: &str) -> String {
    let raw = path.with_extension("raw");
    format!("qemu-img convert -f {format} -O raw {} {}", quoted(path), quoted(&raw))
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,@%=".contains(c);
    if text.chars().all(plain) && !text.starts_with('-') {
        return text;
    }
    let start = if text.starts_with('-') { "./" } else { "" };
    format!("'{start}{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_what_a_shell_takes() {
        assert_eq!(command(Path::new("a/b.qcow2"), "qcow2"), "qemu-img convert -f qcow2 -O raw a/b.qcow2 a/b.raw");
        assert_eq!(quoted(Path::new("a b'c")), "'a b'\\''c'");
        assert_eq!(quoted(Path::new("-x")), "'./-x'");
    }

    #[test]
    fn a_file_shorter_than_a_magic_is_none() {
        for len in 0..9 {
            let file = tempfile::tempfile().unwrap();
            file.set_len(len).unwrap();
            assert_eq!(recognise(&file, len).unwrap(), None);
        }
    }
}
