//! Files that stand for disks: what is checked before anything is touched.

use std::{
    fs::{File, Metadata, OpenOptions},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    str::FromStr,
};

use azote_regs::nvme::limits::LBA_SIZE;

use crate::{Error, Result, number::bytes};

/// A volume as the command line has it: `FILE`, `FILE:ro`, `FILE:size=8M`, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSpec {
    /// The image.
    pub path: PathBuf,
    /// Writes are refused.
    pub read_only: bool,
    /// The namespace's size in bytes, if it is not the whole image's.
    pub size: Option<u64>,
}

impl FromStr for VolumeSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut spec = Self { path: PathBuf::new(), read_only: false, size: None };
        let mut rest = text;
        // From the end, so that a path may have colons in it.
        while let Some((before, last)) = rest.rsplit_once(':') {
            if last == "ro" && !spec.read_only {
                spec.read_only = true;
            } else if let Some(size) = last.strip_prefix("size=").filter(|_| spec.size.is_none()) {
                spec.size = Some(bytes(size)?);
            } else {
                break;
            }
            rest = before;
        }
        if rest.is_empty() {
            return Err("expected FILE, FILE:ro or FILE:size=SIZE".into());
        }
        spec.path = rest.into();
        Ok(spec)
    }
}

/// An image that can back a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Where it is.
    pub path: PathBuf,
    /// Blocks of the namespace over it.
    pub blocks: u64,
    /// Writes are refused.
    pub read_only: bool,
}

impl Image {
    /// Checks an image: that it can be opened as it is to be used, and holds the namespace.
    pub fn check(spec: &VolumeSpec) -> Result<Self> {
        let path = &spec.path;
        let wrong = |reason: String| Error::Image { path: path.clone(), reason };
        let file = match OpenOptions::new().read(true).write(!spec.read_only).open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied && !spec.read_only => {
                let hint = format!("{e}; give {}:ro to use it read-only", path.display());
                return Err(wrong(hint));
            }
            Err(source) => return Err(Error::File { path: path.clone(), source }),
        };
        let meta = metadata(path, &file)?;
        if meta.is_dir() {
            return Err(wrong("is a directory, not a disk image".into()));
        }
        // A mode without any write bit says what its owner wants, even to root, for whom the open succeeds.
        if !spec.read_only && meta.permissions().readonly() {
            return Err(wrong(format!("is write-protected; give {}:ro to use it read-only", path.display())));
        }
        let len = length(path, &file)?;
        if !len.is_multiple_of(LBA_SIZE) {
            let whole = len / LBA_SIZE * LBA_SIZE;
            return Err(wrong(format!(
                "truncated? {len} bytes are {} more than whole {LBA_SIZE}-byte blocks",
                len - whole
            )));
        }
        let size = spec.size.unwrap_or(len);
        if size == 0 || !size.is_multiple_of(LBA_SIZE) {
            return Err(wrong(format!("a namespace of {size} bytes is not a number of {LBA_SIZE}-byte blocks")));
        }
        if size > len {
            return Err(wrong(format!(
                "has {len} bytes, the namespace over it was to have {size}; enlarge the image first"
            )));
        }
        Ok(Self { path: path.clone(), blocks: size / LBA_SIZE, read_only: spec.read_only })
    }
}

fn metadata(path: &Path, file: &File) -> Result<Metadata> {
    file.metadata().map_err(|source| Error::File { path: path.to_owned(), source })
}

/// The length of a file or block device.
pub fn length(path: &Path, file: &File) -> Result<u64> {
    use std::io::{Seek, SeekFrom};
    let meta = metadata(path, file)?;
    if meta.file_type().is_block_device() {
        let mut file = file;
        return file.seek(SeekFrom::End(0)).map_err(|source| Error::File { path: path.to_owned(), source });
    }
    if !meta.is_file() {
        return Err(Error::Image { path: path.to_owned(), reason: "is neither a file nor a block device".into() });
    }
    Ok(meta.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn spec(text: &str) -> VolumeSpec {
        text.parse().unwrap()
    }

    fn check(path: &Path, suffix: &str) -> Result<Image, String> {
        Image::check(&spec(&format!("{}{suffix}", path.display()))).map_err(|e| e.to_string())
    }

    #[test]
    fn a_volume_is_a_path_with_options() {
        assert_eq!(spec("a:b:ro"), VolumeSpec { path: "a:b".into(), read_only: true, size: None });
        assert_eq!(spec("a:size=2M:ro"), VolumeSpec { path: "a".into(), read_only: true, size: Some(2 << 20) });
        assert!("".parse::<VolumeSpec>().is_err() && ":ro".parse::<VolumeSpec>().is_err());
        assert!("a:size=2X".parse::<VolumeSpec>().is_err() && "a:size=99999999999T".parse::<VolumeSpec>().is_err());
    }

    #[test]
    fn a_missing_image_is_named() {
        let e = check(Path::new("/no/such.img"), "").unwrap_err();
        assert!(e.starts_with("/no/such.img: ") && !e.contains('\n'), "{e}");
    }

    #[test]
    fn images_that_can_not_back_a_namespace_are_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("i");
        std::fs::write(&path, vec![5; 1000]).unwrap();
        assert!(check(&path, "").unwrap_err().contains("truncated"));
        std::fs::write(&path, vec![5; 1024]).unwrap();
        assert!(check(&path, ":size=4K").unwrap_err().contains("enlarge"));
        assert!(check(&path, ":size=100").unwrap_err().contains("512-byte"));
        assert!(check(dir.path(), ":ro").unwrap_err().contains("directory"));
        assert_eq!(check(&path, "").unwrap().blocks, 2);
        assert_eq!(check(&path, ":size=512").unwrap().blocks, 1);
        std::fs::write(&path, []).unwrap();
        assert!(check(&path, "").is_err(), "empty");
    }

    #[test]
    fn a_write_protected_image_is_used_only_when_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("i");
        std::fs::write(&path, vec![5; 512]).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o444)).unwrap();
        assert!(check(&path, "").unwrap_err().contains(":ro"));
        assert!(check(&path, ":ro").unwrap().read_only);
    }
}
