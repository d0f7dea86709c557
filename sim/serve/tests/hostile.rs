//! Clients that do not keep to the protocol, beside one that does and must not notice.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use azote_nvme::Completions;
use azote_regs::bar;
use azote_vfio_user::Error;
use azote_vfio_user::wire::payload::{DmaAccess, DmaMap, DmaUnmap, RegionAccess, SetIrqs};
use azote_vfio_user::wire::{Command, ERROR, Header, MAX_MAPS, NO_REPLY, REPLY};
use common::raw::{Raw, stream};
use common::{Maps, Rig, controller, exercise, soft, vf, wait_until};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use vfio_bindings::bindings::vfio;
use zerocopy::IntoBytes;

/// Runs `attack` on function 0 while a client works on function 1; afterwards function 0 takes a good client again.
fn beside_a_good_client(attack: impl FnOnce(&Rig)) {
    let rig = soft(2);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let good = scope.spawn(|| {
            let mut c = controller(&rig, 1, Maps::Whole, Completions::Interrupts);
            let (mut rounds, mut longest) = (0, Duration::ZERO);
            while !over.load(Ordering::Relaxed) || rounds == 0 {
                let before = Instant::now();
                exercise(&mut c, 1, 1);
                longest = longest.max(before.elapsed());
                rounds += 1;
            }
            longest
        });
        // The good client is to be at work when the attack begins.
        let end = End(&over);
        wait_until("the good client", || {
            rig.server.counters()[1].interrupts > 0 || rig.server.counters()[1].requests > 50
        });
        attack(&rig);
        drop(end);
        let longest = good.join().unwrap();
        assert!(longest < Duration::from_secs(8), "the good client waited for {longest:?}");
    });
    wait_until("the end of the bad client", || !rig.server.counters()[0].connected);
    exercise(&mut controller(&rig, 0, Maps::Whole, Completions::Interrupts), 0, 2);
    rig.check();
}

/// Lets the good client end, also when an attack panics.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn memfd(pages: u64, sealed: bool) -> OwnedFd {
    let fd = memfd_create("hostile", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&fd, pages * 4096).unwrap();
    if sealed {
        fcntl_add_seals(&fd, SealFlags::SHRINK).unwrap();
    }
    fd
}

fn map(address: u64, size: u64) -> DmaMap {
    DmaMap { argsz: 32, flags: 3, offset: 0, address, size }
}

#[test]
fn what_is_no_message_ends_the_session() {
    beside_a_good_client(|rig| {
        let header = |size: u32, flags: u32| Header { id: 1, command: 1, size, flags, error: 0 };
        let garbage: Vec<Vec<u8>> = vec![
            vec![],
            vec![0; 16],
            vec![0xff; 16],
            b"GET / HTTP/1.1\r\nHost: azote\r\n\r\n".to_vec(),
            header(15, 0).as_bytes().to_vec(),
            header(u32::MAX, 0).as_bytes().to_vec(),
            header(32 << 20, 0).as_bytes().to_vec(),
            header(16, 5).as_bytes().to_vec(),
            // Truncated: in the header, in the payload.
            header(64, 0).as_bytes()[..7].to_vec(),
            header(64, 0).as_bytes().to_vec(),
            [header(1 << 20, 0).as_bytes(), &[7; 1000][..]].concat(),
        ];
        for bytes in garbage {
            let mut stream = stream(rig);
            // The server may have hung up in the middle.
            let _ = stream.write_all(&bytes);
        }
    });
}

#[test]
fn who_does_not_begin_with_a_version_is_sent_away() {
    beside_a_good_client(|rig| {
        let bad: &[(Command, &[u8])] = &[
            (Command::DeviceGetInfo, &[0; 16]),
            (Command::Version, &[]),
            (Command::Version, &[9, 0, 0, 0]),
            (Command::Version, b"\0\0\0\0{\"capabilities\":"),
            (Command::Version, b"\0\0\0\0\xff\xfe\0"),
            (Command::Version, b"\0\0\0\0{\"capabilities\":{\"max_data_xfer_size\":1}}\0"),
        ];
        for (command, payload) in bad {
            let mut raw = Raw::new(rig);
            assert!(raw.ask(*command as u16, payload, &[]).is_err(), "{command:?} {payload:?}");
        }
        let deep = [b"\0\0\0\0".to_vec(), vec![b'['; 100_000]].concat();
        assert!(Raw::new(rig).ask(Command::Version as u16, &deep, &[]).is_err());
        // Odd, and still to be understood.
        for text in ["", "null\0", "{}\0", r#"{"capabilities":{"max_msg_fds":"x","migration":{"pgsize":4096}}}"#] {
            let payload = [&[0, 0, 1, 0], text.as_bytes()].concat();
            let mut raw = Raw::new(rig);
            let reply = raw.ask(Command::Version as u16, &payload, &[]).unwrap();
            assert_eq!(reply.payload[..4], [0; 4], "the version that QEMU takes: 0.0");
            raw.works();
        }
    });
}

#[test]
fn what_is_not_known_or_not_right_is_refused_and_the_session_goes_on() {
    beside_a_good_client(|rig| {
        let mut raw = Raw::agreed(rig);
        for command in [0, 14, 16, 99, u16::MAX] {
            for len in [0, 1, 4096, 100_000] {
                let reply = raw.ask(command, &vec![0x5a; len], &[]).unwrap();
                assert!(reply.header.flags & ERROR != 0 && reply.header.error != 0, "{command}");
            }
        }
        for command in [Command::GetRegionIoFds, Command::RegionWriteMulti, Command::DmaRead, Command::DmaWrite] {
            assert_ne!(raw.errno(command, &[0; 64], &[]), 0, "{command:?}");
        }
        let access = |region: u32, offset: u64, count: u32| RegionAccess { offset, region, count };
        for bad in [
            access(0, 0, u32::MAX),
            access(0, u64::MAX, 4),
            access(0, bar::BAR0_SIZE, 1),
            access(7, 4093, 4),
            access(1, 0, 4),
            access(u32::MAX, 0, 4),
            access(0, 0, 4097),
        ] {
            assert_ne!(raw.errno(Command::RegionRead, bad.as_bytes(), &[]), 0, "{bad:?}");
            assert_ne!(raw.errno(Command::RegionWrite, bad.as_bytes(), &[]), 0, "{bad:?}");
        }
        // Less data than it says.
        assert_ne!(raw.errno(Command::RegionWrite, access(0, 0, 8).as_bytes(), &[]), 0);
        assert_eq!(raw.errno(Command::RegionRead, access(0, 0, 0).as_bytes(), &[]), 0, "nothing of something");
        for flags in [0, 7, 0x38, 0x3f, u32::MAX] {
            let set = SetIrqs { argsz: 20, flags, index: 2, start: 0, count: 3 };
            assert_ne!(raw.errno(Command::SetIrqs, set.as_bytes(), &[]), 0, "{flags:#x}");
        }
        let dirty = DmaUnmap { argsz: 24, flags: 1, address: 0, size: 4096 };
        assert_eq!(
            raw.errno(Command::DmaUnmap, dirty.as_bytes(), &[]),
            rustix::io::Errno::OPNOTSUPP.raw_os_error() as u32
        );
        // A reply that nobody wants is not sent: the next one is for the next request.
        let quiet = Header { id: 500, command: Command::DeviceReset as u16, flags: NO_REPLY, ..Header::default() };
        raw.connection.send(quiet, &[], &[]).unwrap();
        raw.works();
        // Too short for its command: no way to go on.
        assert!(raw.ask(Command::DmaMap as u16, &[0; 31], &[]).is_err());
        // An answer to nothing.
        let mut raw = Raw::agreed(rig);
        let answer = Header { id: 7, command: Command::DmaRead as u16, flags: REPLY, ..Header::default() };
        raw.connection.send(answer, &[&[0; 16]], &[]).unwrap();
        assert!(raw.ask(Command::DeviceGetInfo as u16, &[0; 16], &[]).is_err());
    });
}

#[test]
fn mappings_are_limited_and_memory_that_is_cut_off_kills_nobody() {
    beside_a_good_client(|rig| {
        let mut raw = Raw::agreed(rig);
        // Without a file, as they cost nobody a system call.
        for page in 0..MAX_MAPS as u64 {
            assert_eq!(raw.errno(Command::DmaMap, map(page << 13, 4096).as_bytes(), &[]), 0, "{page}");
        }
        let more = raw.errno(Command::DmaMap, map(1 << 40, 4096).as_bytes(), &[]);
        assert_eq!(more, rustix::io::Errno::NOSPC.raw_os_error() as u32);
        let all = DmaUnmap { argsz: 24, flags: 2, ..Default::default() };
        assert_eq!(raw.errno(Command::DmaUnmap, all.as_bytes(), &[]), 0);
        let files: Vec<OwnedFd> = (0..40).map(|_| memfd(1, true)).collect();
        let mapped = (0..).zip(&files);
        let mapped =
            mapped.filter(|(i, f)| raw.errno(Command::DmaMap, map(i << 12, 4096).as_bytes(), &[f.as_fd()]) == 0);
        assert_eq!(mapped.count(), 32);
        raw.errno(Command::DmaUnmap, all.as_bytes(), &[]);
        // Huge and empty: nothing is taken for what is only claimed.
        let huge = memfd(1 << 32, true);
        let address = map(0, 1 << 44);
        raw.errno(Command::DmaMap, address.as_bytes(), &[huge.as_fd()]);
        raw.errno(Command::DmaUnmap, all.as_bytes(), &[]);
        // A file that is cut off under the device: an admin queue is there, and then it is not.
        let cut = memfd(16, false);
        assert_eq!(raw.errno(Command::DmaMap, map(0, 16 << 12).as_bytes(), &[cut.as_fd()]), 0);
        ftruncate(&cut, 0).unwrap();
        raw.start_controller(0);
        wait_until("the fault", || !rig.card.root().take_dma_faults().is_empty());
        raw.works();
    });
}

#[test]
fn who_dies_in_the_middle_of_a_transfer_by_message_leaves_nothing() {
    beside_a_good_client(|rig| {
        for short in [false, true] {
            let mut raw = Raw::agreed(rig);
            assert_eq!(raw.errno(Command::DmaMap, map(0, 1 << 20).as_bytes(), &[]), 0);
            raw.start_controller(0x4000);
            let asked = raw.asked().unwrap();
            assert_eq!(Command::new(asked.header.command), Some(Command::DmaRead));
            assert_eq!(asked.payload[..8], 0x4000u64.to_ne_bytes());
            if short {
                // Less than was asked for: the card gets none of it.
                let reply = Header { flags: REPLY, ..asked.header };
                let access = DmaAccess { address: 0x4000, count: 4 };
                raw.connection.send(reply, &[access.as_bytes(), &[0; 4]], &[]).unwrap();
                wait_until("the refusal", || !rig.card.root().take_dma_faults().is_empty());
                raw.works();
            }
            drop(raw);
            wait_until("its reset", || rig.card.root().memory().count(vf(0)) == 0);
        }
    });
}

#[test]
fn who_never_answers_for_his_memory_is_sent_away() {
    beside_a_good_client(|rig| {
        let mut raw = Raw::agreed(rig);
        assert_eq!(raw.errno(Command::DmaMap, map(0, 1 << 20).as_bytes(), &[]), 0);
        raw.start_controller(0x4000);
        raw.asked().unwrap();
        assert!(matches!(raw.asked(), Err(Error::Closed)));
    });
}

#[test]
fn who_sends_slowly_or_does_not_read_is_sent_away() {
    beside_a_good_client(|rig| {
        // A byte a second: the message is not whole in its time.
        let mut slow = stream(rig);
        let header = Header { id: 1, command: 1, size: 64, ..Header::default() };
        let before = Instant::now();
        while slow.write_all(&header.as_bytes()[..1]).is_ok() {
            assert!(before.elapsed() < Duration::from_secs(40), "still there");
            std::thread::sleep(Duration::from_secs(1));
        }
        // Asks and asks, and reads no answer.
        let mut deaf = Raw::agreed(rig);
        let read = RegionAccess { offset: 0, region: vfio::VFIO_PCI_CONFIG_REGION_INDEX, count: 4096 };
        let before = Instant::now();
        while deaf.send(Command::RegionRead as u16, read.as_bytes(), &[]).is_ok() {
            assert!(before.elapsed() < Duration::from_secs(40), "still there");
            deaf.next = 0;
        }
    });
}

#[test]
fn random_messages_do_no_harm() {
    beside_a_good_client(|rig| {
        let mut rng = SmallRng::seed_from_u64(7);
        let fds = [
            memfd(64, true),
            memfd(64, false),
            rustix::event::eventfd(0, rustix::event::EventfdFlags::empty()).unwrap(),
        ];
        for _ in 0..30 {
            let raw = Raw::agreed(rig);
            for _ in 0..300 {
                let command = rng.random_range(2..17);
                let mut payload = vec![0u8; rng.random_range(0..96)];
                // Small numbers are more often sensible.
                payload.iter_mut().for_each(|b| *b = if rng.random_bool(0.7) { 0 } else { rng.random::<u8>() & 0x3f });
                let fd = &fds[rng.random_range(0..fds.len())];
                let fds = if rng.random_bool(0.3) { vec![fd.as_fd()] } else { vec![] };
                let header =
                    Header { id: rng.random(), command, flags: rng.random::<u32>() & 0x31, ..Header::default() };
                if raw.connection.send(header, &[&payload], &fds).is_err() {
                    break;
                }
                if rng.random_bool(0.1) {
                    // Whatever comes; an answer is not promised here.
                    let _ = raw.connection.receive(Some(Instant::now() + Duration::from_millis(1)));
                }
            }
        }
    });
}
