//! What is behind a volume: an image on the host, or what a test puts in its place.

use std::fmt::Debug;
use std::io;
use std::os::unix::fs::FileExt;

use azote_files::Image;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::unistd::{Whence, lseek};

/// Where a volume's bytes are. What was written is durable, against a loss of power, once [`Disk::sync`] has returned after
/// it, and not before. Several threads use it at once, never at the same bytes if one of them changes these. Every call ends,
/// in a time that the disk knows.
pub trait Disk: Send + Sync + Debug {
    /// Fills `out` with the bytes from `offset`.
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()>;

    /// Puts `data` at `offset`.
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()>;

    /// Puts `data` at `offset` and has it durable, if the disk can do that at once.
    fn write_durable(&self, _data: &[u8], _offset: u64) -> Option<io::Result<()>> {
        None
    }

    /// Makes `len` bytes from `offset` zero; `give_back`: and gives their space back.
    fn zero(&self, offset: u64, len: u64, give_back: bool) -> io::Result<()>;

    /// Makes durable all that was written.
    fn sync(&self) -> io::Result<()>;

    /// Whether there is nothing at `offset` but a hole, and up to which offset, at most `end`, that is so.
    fn extent(&self, _offset: u64, end: u64) -> io::Result<(bool, u64)> {
        Ok((false, end))
    }

    /// Its size in bytes now, if it can change while it is used.
    fn size(&self) -> Option<u64> {
        None
    }

    /// It is not on this machine: whatever it is asked may take long.
    fn is_remote(&self) -> bool {
        false
    }
}

/// Zeroes are written in pieces of this size where the file system cannot make them by itself.
const PIECE: u64 = 1 << 20;

impl Disk for Image {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.file().read_exact_at(out, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.file().write_all_at(data, offset)
    }

    fn zero(&self, offset: u64, len: u64, give_back: bool) -> io::Result<()> {
        let out_of_range = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let (start, length) = (offset.try_into().map_err(out_of_range)?, len.try_into().map_err(out_of_range)?);
        let how = if give_back { FallocateFlags::FALLOC_FL_PUNCH_HOLE } else { FallocateFlags::FALLOC_FL_ZERO_RANGE };
        match fallocate(self.file(), how | FallocateFlags::FALLOC_FL_KEEP_SIZE, start, length) {
            Ok(()) => Ok(()),
            // Not every file system and device can.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL | Errno::ENODEV) => {
                let zeroes = vec![0; len.min(PIECE) as usize];
                let mut at = offset;
                while at < offset + len {
                    let n = (offset + len - at).min(PIECE);
                    self.write_at(&zeroes[..n as usize], at)?;
                    at += n;
                }
                Ok(())
            }
            Err(e) => Err(e.into()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file().sync_data()
    }

    fn extent(&self, offset: u64, end: u64) -> io::Result<(bool, u64)> {
        let at = i64::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let seek = |whence| lseek(self.file(), at, whence).map(|found| (found.unsigned_abs()).min(end));
        match seek(Whence::SeekData) {
            Ok(data) if data > offset => Ok((true, data)),
            Ok(_) => Ok((false, seek(Whence::SeekHole).unwrap_or(end).max(offset))),
            // Nothing but a hole up to the end.
            Err(Errno::ENXIO) => Ok((true, end)),
            // A device, or a file system that does not know.
            Err(_) => Ok((false, end)),
        }
    }
}
