//! Descriptors that a client sends where none belong. In a process of its own, whose descriptors are counted.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use azote_vfio_user::wire::Command;
use azote_vfio_user::wire::payload::{DmaMap, DmaUnmap, SetIrqs};
use common::raw::Raw;
use common::soft;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use zerocopy::IntoBytes;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn descriptors_do_not_pile_up() {
    let rig = &soft(1);
    let mut raw = Raw::agreed(rig);
    let eventfd = rustix::event::eventfd(0, rustix::event::EventfdFlags::empty()).unwrap();
    let memory = memory();
    raw.works();
    let before = open_files();
    for _ in 0..200 {
        let many = [eventfd.as_fd(); 16];
        // Where none belongs, and more than are wanted.
        raw.ask(Command::DeviceGetInfo as u16, &[0; 16], &many).unwrap();
        raw.ask(77, &[], &many).unwrap();
        let set = SetIrqs { argsz: 20, flags: 0x24, index: 2, start: 0, count: 1 };
        assert_ne!(raw.errno(Command::SetIrqs, set.as_bytes(), &many), 0);
        assert_eq!(raw.errno(Command::SetIrqs, set.as_bytes(), &many[..1]), 0);
        assert_ne!(raw.errno(Command::DmaMap, map(1).as_bytes(), &[memory.as_fd()]), 0);
    }
    let after = open_files();
    assert!(after <= before + 16, "{before} open files became {after}");
    // No memory: a socket, an eventfd, a file that cannot be written.
    let (socket, _other) = UnixStream::pair().unwrap();
    let read_only = std::fs::File::open("/proc/self/exe").unwrap();
    for fd in [socket.as_fd(), eventfd.as_fd(), read_only.as_fd()] {
        let errno = raw.errno(Command::DmaMap, map(0).as_bytes(), &[fd]);
        assert!(errno != 0 || fd.as_fd().try_clone_to_owned().is_ok());
        raw.errno(Command::DmaUnmap, DmaUnmap { argsz: 24, flags: 2, ..Default::default() }.as_bytes(), &[]);
    }
    raw.works();
}

fn memory() -> OwnedFd {
    let fd = memfd_create("memory", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&fd, 4096).unwrap();
    fcntl_add_seals(&fd, SealFlags::SHRINK).unwrap();
    fd
}

fn map(address: u64) -> DmaMap {
    DmaMap { argsz: 32, flags: 3, offset: 0, address, size: 4096 }
}
