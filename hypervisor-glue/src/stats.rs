//! KVM's own statistics of virtual processors: every exit, also those that never reach this process
//! (`KVM_GET_STATS_FD`).

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::{
        fd::{AsRawFd, FromRawFd},
        unix::fs::FileExt,
    },
};

/// `KVM_GET_STATS_FD`: `_IO(KVMIO, 0xce)`.
const KVM_GET_STATS_FD: libc::c_ulong = 0xaece;
/// A descriptor's flags, bits 3:0: the kind of statistic; 0 is a count that only grows.
const KIND: u32 = 0xf;
const CUMULATIVE: u32 = 0;
/// `struct kvm_stats_header`: six words.
const HEADER: usize = 24;
/// `struct kvm_stats_desc` without the name.
const DESCRIPTOR: usize = 16;
/// More than any kernel has.
const DESCRIPTORS_MAX: u32 = 512;
const NAME_MAX: u32 = 128;

/// The statistics of one processor. The file stays open: behind the jail it can only be read.
#[derive(Debug)]
pub struct Stats {
    file: File,
    counts: Vec<(String, u64)>,
}

impl Stats {
    /// Asks for a processor's; `None` on a kernel without them.
    pub fn of(vcpu: &impl AsRawFd) -> Option<Self> {
        // SAFETY: a call without an argument; the result is a new descriptor or an error.
        let fd = unsafe { libc::ioctl(vcpu.as_raw_fd(), KVM_GET_STATS_FD as _) };
        if fd < 0 {
            return None;
        }
        // SAFETY: a new descriptor that nobody else has.
        let file = unsafe { File::from_raw_fd(fd) };
        let counts = describe(&file).ok()?;
        Some(Self { file, counts })
    }

    /// Adds what was counted so far.
    pub fn add_to(&self, sum: &mut BTreeMap<String, u64>) {
        for (name, offset) in &self.counts {
            let mut value = [0; 8];
            if self.file.read_exact_at(&mut value, *offset).is_ok() {
                *sum.entry(name.clone()).or_default() += u64::from_ne_bytes(value);
            }
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
}

/// Names and places of the single counts.
fn describe(file: &File) -> io::Result<Vec<(String, u64)>> {
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, 0)?;
    let (names, count) = (word(&header, 4).min(NAME_MAX), word(&header, 8).min(DESCRIPTORS_MAX));
    let (descriptors, data) = (u64::from(word(&header, 16)), u64::from(word(&header, 20)));
    let size = DESCRIPTOR + names as usize;
    let mut all = vec![0; size * count as usize];
    file.read_exact_at(&mut all, descriptors)?;
    let mut counts = Vec::new();
    for d in all.chunks_exact(size) {
        let values = u16::from_ne_bytes([d[6], d[7]]);
        if word(d, 0) & KIND == CUMULATIVE && values == 1 {
            let name = d[DESCRIPTOR..].split(|b| *b == 0).next().unwrap_or_default();
            counts.push((String::from_utf8_lossy(name).into_owned(), data + u64::from(word(d, 8))));
        }
    }
    Ok(counts)
}
