//! A kernel, an initramfs and a command line of arbitrary bytes, put into the memory of a guest: it boots or is refused, and nothing
//! is written outside of its memory.
//!
//! The first byte says where the file is cut into kernel and initramfs, in sixteenths, and how much memory there is; the second
//! is the length of the command line, which follows.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use azote_hypervisor::kernel::{Boot, Entry, memory_map};
use azote_hypervisor::{config, layout, memory};

/// A file with these bytes, and a path to it.
fn file(bytes: &[u8]) -> (std::fs::File, PathBuf) {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("room for it");
    let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
    (file, path)
}

/// Boots, as far as memory goes.
pub fn run(data: &[u8]) {
    let [first, words, rest @ ..] = data else { return };
    let (cmdline, rest) = rest.split_at(usize::from(*words).min(rest.len()));
    let at = rest.len() * usize::from(first & 15) / 16;
    let (initramfs, kernel) = rest.split_at(at);
    let ram = (4 + u64::from(first >> 4)) << 20;
    let memory = memory::Memory::new(&config::Memory { size: ram, ..Default::default() }, false).expect("memory");
    let (_kernel, kernel) = file(kernel);
    let (_initramfs, initramfs) = file(initramfs);
    let with = (at != 0).then_some(initramfs.as_path());
    let cmdline = String::from_utf8_lossy(cmdline).into_owned();
    let Ok(boot) = Boot::open(&kernel, with, cmdline, memory_map(ram, 1)) else { return };
    // Twice, as for a guest that resets itself; the second must find what the first found.
    let first = boot.load(memory.guest(), layout::ACPI);
    let second = boot.load(memory.guest(), layout::ACPI);
    match (first, second) {
        (Ok(first), Ok(second)) => {
            assert_eq!(first, second);
            let (Entry::Pvh(entry) | Entry::Linux64(entry)) = first;
            assert!(entry < ram, "it would start at {entry:#x}, beyond its memory");
        }
        (Err(first), Err(second)) => assert_eq!(first.to_string(), second.to_string()),
        (first, second) => panic!("{first:?}, and then {second:?}"),
    }
}
