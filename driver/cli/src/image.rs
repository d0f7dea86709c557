//! Files that stand for disks: what is checked before anything is touched.

use std::{path::PathBuf, str::FromStr, time::Duration};

use azote_nbd::{Client, Settings, Uri};
use azote_regs::nvme::limits::LBA_SIZE;
use azote_sim::Media;

use crate::{
    Error, Result,
    number::{self, bytes},
};

/// A volume as the command line has it: `FILE`, `FILE:ro`, `FILE:size=8M`, `FILE:format=raw`, or several of these; or in place
/// of the file the URI of a server's export, `nbd://host/export`, with `:timeout=SECONDS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSpec {
    /// The image, or the URI.
    pub path: PathBuf,
    /// The export, if it is none of this machine's files.
    pub server: Option<Uri>,
    /// How long the server may take for an answer.
    pub timeout: Option<Duration>,
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
        let mut spec =
            Self { path: PathBuf::new(), server: None, timeout: None, read_only: false, size: None, raw: false };
        let mut rest = text;
        // From the end, so that a path may have colons in it.
        while let Some((before, last)) = rest.rsplit_once(':') {
            if last == "ro" && !spec.read_only {
                spec.read_only = true;
            } else if let Some(size) = last.strip_prefix("size=").filter(|_| spec.size.is_none()) {
                spec.size = Some(bytes(size)?);
            } else if last == "format=raw" && !spec.raw {
                spec.raw = true;
            } else if let Some(seconds) = last.strip_prefix("timeout=").filter(|_| spec.timeout.is_none()) {
                let seconds = number::whole(seconds).ok().filter(|n| (1..=MOST_SECONDS).contains(n));
                let seconds =
                    seconds.ok_or_else(|| format!("timeout= takes a number from 1 to {MOST_SECONDS} (seconds)"))?;
                spec.timeout = Some(Duration::from_secs(seconds));
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
            return Err("expected FILE, FILE:ro, FILE:size=SIZE or FILE:format=raw, or a server's URI for FILE".into());
        }
        if Uri::is_meant(rest) {
            spec.server = Some(rest.parse().map_err(|e: azote_nbd::Error| e.to_string())?);
        }
        match (&spec.server, spec.raw, spec.timeout) {
            (Some(_), true, _) => return Err("format= is for a file; a server's export has no format".into()),
            (None, _, Some(_)) => return Err("timeout= is for a server's export (nbd://…), not for a file".into()),
            _ => {}
        }
        spec.path = rest.into();
        Ok(spec)
    }
}

/// The longest time for an answer: Linux has long since reset its controller.
const MOST_SECONDS: u64 = 3600;

/// What a volume is kept in.
#[derive(Debug)]
pub enum Store {
    /// A file or a block device, locked as long as it is open.
    File(azote_files::Image),
    /// A server's export, with the connection to it.
    Server(Client),
}

/// An image that can back a volume: open.
#[derive(Debug)]
pub struct Image {
    /// Where it is, a path or a URI.
    pub path: PathBuf,
    /// Blocks of the namespace over it.
    pub blocks: u64,
    /// The namespace is not to be larger or smaller, whatever becomes of the image.
    pub sized: bool,
    /// Writes are refused.
    pub read_only: bool,
    /// It itself.
    pub store: Store,
}

impl Image {
    /// Opens an image as it is to be used, and checks that it holds the namespace.
    pub fn check(spec: &VolumeSpec) -> Result<Self> {
        let path = &spec.path;
        let wrong = |reason: String| Error::Image { path: path.clone(), reason };
        let (store, len) = match &spec.server {
            Some(uri) => {
                let patience = spec.timeout.unwrap_or(Settings::PATIENCE);
                let client = Client::open(uri, Settings { read_only: spec.read_only, patience })?;
                let len = client.size();
                (Store::Server(client), len)
            }
            None => {
                let file = Self::open(spec)?;
                let len = file.len();
                (Store::File(file), len)
            }
        };
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
        Ok(Self {
            path: path.clone(),
            blocks: size / LBA_SIZE,
            sized: spec.size.is_some(),
            read_only: spec.read_only,
            store,
        })
    }

    fn open(spec: &VolumeSpec) -> Result<azote_files::Image> {
        let path = &spec.path;
        let usage = azote_files::Use { read_only: spec.read_only, raw: spec.raw };
        azote_files::Image::open(path, usage).map_err(|e| match e {
            azote_files::Error::NotWritable { source, .. } => {
                let reason = format!("cannot be written ({source}); give {}:ro to use it read-only", path.display());
                Error::Image { path: path.clone(), reason }
            }
            other => other.into(),
        })
    }

    /// How long an answer may take that is still one.
    #[must_use]
    pub fn patience(&self) -> Duration {
        match &self.store {
            Store::File(_) => Duration::ZERO,
            Store::Server(client) => client.patience(),
        }
    }

    /// Makes it a volume of a medium.
    ///
    /// # Errors
    /// If it is too small for one.
    pub fn attach(self, media: &mut Media, number: u8) -> Result<(), azote_sim::Error> {
        match self.store {
            Store::File(file) => media.attach_image(number, file).map(drop),
            Store::Server(client) => {
                media.attach_disk(number, Box::new(client), self.blocks, self.read_only);
                Ok(())
            }
        }
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
        let plain = spec("a:b");
        assert_eq!(
            (plain.path.to_str(), &plain.server, plain.read_only, plain.size),
            (Some("a:b"), &None, false, None)
        );
        assert_eq!(spec("a:b:ro"), VolumeSpec { read_only: true, ..plain.clone() });
        let sized = VolumeSpec { path: "a".into(), read_only: true, size: Some(2 << 20), ..plain };
        assert_eq!(spec("a:size=2M:ro"), sized);
        assert!(spec("a:format=raw:ro").raw && "a:format=qcow2".parse::<VolumeSpec>().is_err());
        assert!("".parse::<VolumeSpec>().is_err() && ":ro".parse::<VolumeSpec>().is_err());
        assert!("a:size=2X".parse::<VolumeSpec>().is_err() && "a:size=99999999999T".parse::<VolumeSpec>().is_err());
    }

    #[test]
    fn a_volume_can_be_a_servers_export() {
        let volume = spec("nbd://disks:10810/a:ro:timeout=5:size=1M");
        assert_eq!(volume.server.as_ref().map(ToString::to_string).as_deref(), Some("nbd://disks:10810/a"));
        assert_eq!(
            (volume.read_only, volume.timeout, volume.size),
            (true, Some(Duration::from_secs(5)), Some(1 << 20))
        );
        assert!(spec("nbd+unix:///a?socket=/tmp/a:b").server.is_some() && spec("./nbd:a").server.is_none());
        let wrong = |text: &str| text.parse::<VolumeSpec>().unwrap_err();
        assert!(wrong("nbd://h/a:format=raw").contains("has no format"));
        assert!(wrong("a:timeout=5").contains("not for a file"));
        assert!(wrong("nbd://h/a:timeout=0").contains("from 1 to 3600"));
        assert!(wrong("nbds://h/a").contains("TLS") && wrong("nbd+unix:///a").contains("no ?socket=PATH"));
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
