//! Files that stand for disks: what is checked before anything is touched.

use std::{path::PathBuf, str::FromStr};

use azote_regs::nvme::limits::LBA_SIZE;

use crate::{Error, Result, number::bytes};

/// A volume as the command line has it: `FILE`, `FILE:ro`, `FILE:size=8M`, `FILE:format=raw`, or several of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSpec {
    /// The image.
    pub path: PathBuf,
    /// Writes are refused.
    pub read_only: bool,
    /// The namespace's size in bytes, if it is not the whole image's.
    pub size: Option<u64>,
    /// Its bytes are the disk's, whatever format they look like.
    pub raw: bool,
}

impl FromStr for VolumeSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut spec = Self { path: PathBuf::new(), read_only: false, size: None, raw: false };
        let mut rest = text;
        // From the end, so that a path may have colons in it.
        while let Some((before, last)) = rest.rsplit_once(':') {
            if last == "ro" && !spec.read_only {
                spec.read_only = true;
            } else if let Some(size) = last.strip_prefix("size=").filter(|_| spec.size.is_none()) {
                spec.size = Some(bytes(size)?);
            } else if last == "format=raw" && !spec.raw {
                spec.raw = true;
            } else if let Some(format) = last.strip_prefix("format=") {
                return Err(format!(
                    "`{format}` is no format of a volume: only raw images are; `qemu-img convert` makes them"
                ));
            } else {
                break;
            }
            rest = before;
        }
        if rest.is_empty() {
            return Err("expected FILE, FILE:ro, FILE:size=SIZE or FILE:format=raw".into());
        }
        spec.path = rest.into();
        Ok(spec)
    }
}

/// An image that can back a volume: open, and locked as long as it is.
#[derive(Debug)]
pub struct Image {
    /// Where it is.
    pub path: PathBuf,
    /// Blocks of the namespace over it.
    pub blocks: u64,
    /// Writes are refused.
    pub read_only: bool,
    /// It itself.
    pub file: azote_files::Image,
}

impl Image {
    /// Opens an image as it is to be used, and checks that it holds the namespace.
    pub fn check(spec: &VolumeSpec) -> Result<Self> {
        let path = &spec.path;
        let wrong = |reason: String| Error::Image { path: path.clone(), reason };
        let usage = azote_files::Use { read_only: spec.read_only, raw: spec.raw };
        let file = azote_files::Image::open(path, usage).map_err(|e| match e {
            azote_files::Error::NotWritable { source, .. } => {
                wrong(format!("cannot be written ({source}); give {}:ro to use it read-only", path.display()))
            }
            other => other.into(),
        })?;
        let len = file.len();
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
        Ok(Self { path: path.clone(), blocks: size / LBA_SIZE, read_only: spec.read_only, file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::PermissionsExt, path::Path};

    fn spec(text: &str) -> VolumeSpec {
        text.parse().unwrap()
    }

    fn check(path: &Path, suffix: &str) -> Result<Image, String> {
        Image::check(&spec(&format!("{}{suffix}", path.display()))).map_err(|e| e.to_string())
    }

    #[test]
    fn a_volume_is_a_path_with_options() {
        assert_eq!(spec("a:b:ro"), VolumeSpec { path: "a:b".into(), read_only: true, size: None, raw: false });
        assert_eq!(
            spec("a:size=2M:ro"),
            VolumeSpec { path: "a".into(), read_only: true, size: Some(2 << 20), raw: false }
        );
        assert!(spec("a:format=raw:ro").raw && "a:format=qcow2".parse::<VolumeSpec>().is_err());
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
    fn an_image_of_another_format_is_refused_unless_its_bytes_are_meant() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("i");
        let mut bytes = vec![0; 1024];
        bytes[..4].copy_from_slice(b"QFI\xfb");
        std::fs::write(&path, &bytes).unwrap();
        let e = check(&path, ":ro").unwrap_err();
        assert!(e.contains("qemu-img convert -f qcow2 -O raw") && e.contains("format=raw"), "{e}");
        assert_eq!(check(&path, ":format=raw").unwrap().blocks, 2);
    }

    #[test]
    fn an_image_in_use_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("i");
        std::fs::write(&path, vec![0; 1024]).unwrap();
        let first = check(&path, "").unwrap();
        assert!(check(&path, "").unwrap_err().contains("in use") && check(&path, ":ro").is_err());
        drop(first);
        let _first = check(&path, ":ro").unwrap();
        check(&path, ":ro").unwrap();
        assert!(check(&path, "").is_err());
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
