//! Words of a command line and the file that they name: an image is one that the medium takes, or is refused in one line.
//!
//! The first two bytes are the file's size in units of 100 bytes, so that it is whole blocks now and then; what follows are the
//! words, in which a `@` is the file's path.

use azote_cli::image::{Image, VolumeSpec};
use azote_cli::limit::LimitSpec;
use azote_cli::nbd::Listen;
use azote_cli::number::bytes;
use azote_cli::target::Target;
use azote_regs::nvme::limits::LBA_SIZE;
use azote_sim::{Media, MediaOptions};

/// Reads the words.
pub fn run(data: &[u8]) {
    let [low, high, words @ ..] = data else { return };
    let words = String::from_utf8_lossy(words);
    let one_line = |e: &str| assert!(!e.is_empty() && e.chars().all(|c| c != '\n') || words.contains('\n'), "{e}");
    let _ = bytes(&words).map_err(|e| one_line(&e));
    let _ = words.parse::<Listen>().map_err(|e| one_line(&e));
    if let Ok(target) = words.parse::<Target>() {
        assert_eq!(target.to_string().parse(), Ok(target), "what it is called is its name");
    }
    match words.parse::<LimitSpec>() {
        Ok(spec) => assert!(spec.bounds != azote_cli::limit::Bounds::default()),
        Err(e) => one_line(&e),
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    let len = u64::from(u16::from_le_bytes([*low, *high])) * 100;
    file.as_file().set_len(len).expect("its size");
    let path = file.path().to_str().expect("a path");
    let Ok(spec) = words.replace('@', path).parse::<VolumeSpec>() else { return };
    // Nothing but the file is opened.
    if spec.path != file.path() {
        return;
    }
    match Image::check(&spec) {
        Ok(image) => {
            assert!(image.blocks > 0 && image.blocks * LBA_SIZE <= len, "{image:?} of {len} bytes");
            let mut media = Media::new(MediaOptions::default());
            image.attach(&mut media, 0).expect("the medium takes it");
            let blocks = media.blocks(0);
            assert_eq!(blocks, Some(len / LBA_SIZE));
        }
        Err(e) => one_line(&e.to_string()),
    }
}
