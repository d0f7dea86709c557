//! The driver on a controller that keeps to the specification.

#![allow(clippy::unwrap_used)] // test helpers fail by panicking

mod model;

use std::{sync::Arc, time::Duration};

use azote_dma::{Dma, Pages};
use azote_nvme::{Command, Completions, Controller, Data, Descriptor, Error, Io, Options, Range};
use azote_regs::nvme::{command as dw, opcode, status};
use azote_seam::mock::Mock;
use model::Model;

fn dma() -> Dma {
    Dma::at(4 << 20, Pages::Small, 0x1_0000_0000).unwrap()
}

fn disk(blocks: usize) -> Vec<u8> {
    (0..blocks * 512).map(|i| (i / 512 * 31 + i) as u8).collect()
}

fn open(options: Options) -> (Arc<Mock<Model>>, Controller) {
    let f = Model::new(disk(4096)).function();
    let c = Controller::open(f.clone(), dma(), Options { timeout: Duration::from_millis(20), ..options }).unwrap();
    (f, c)
}

fn both() -> [Options; 2] {
    [Completions::Polled, Completions::Interrupts].map(|completions| Options { completions, ..Options::default() })
}

#[test]
fn a_controller_is_identified() {
    let (_, c) = open(Options::default());
    assert_eq!(c.identity().model, "Azote virtual storage");
    assert_eq!(c.identity().serial, "MODEL-0001");
    assert_eq!(c.max_transfer(), 128 * 1024);
    let ns = c.namespace().unwrap();
    assert_eq!((ns.id, ns.blocks, ns.block_size(), ns.read_only), (1, 4096, 512, false));
    assert_eq!(ns.descriptors, [Descriptor::Eui64([2, 0x41, 0x5a, 0xff, 0xfe, 0, 0, 1])]);
}

#[test]
fn what_is_written_is_read_at_every_length_and_offset() {
    for options in both() {
        let (f, mut c) = open(options);
        let buffer = c.dma().alloc(256 * 1024, 4096).unwrap();
        for (i, blocks) in [1u64, 7, 8, 9, 16, 17, 255, 256].into_iter().enumerate() {
            for offset in [0, 4, 512, 4092] {
                let len = blocks * 512;
                let data: Vec<u8> = (0..len).map(|b| (b * 3 + i as u64 + offset) as u8).collect();
                buffer.fill(0);
                buffer.write(offset, &data).unwrap();
                c.write(100 + blocks, buffer.slice(offset, len).unwrap()).unwrap();
                let from = (100 + blocks) as usize * 512;
                f.with(|m, _| assert!(m.disk[from..from + data.len()] == data, "{blocks} blocks at {offset}"));
                buffer.fill(0xee);
                c.read(100 + blocks, buffer.slice(offset, len).unwrap()).unwrap();
                let mut back = vec![0; data.len()];
                buffer.read(offset, &mut back).unwrap();
                assert!(back == data, "{blocks} blocks at {offset}");
                assert_eq!(buffer.read_u32((offset + len) & !3).unwrap(), 0xeeee_eeee, "not a byte more");
            }
        }
        f.with(|_, host| assert_eq!(host.faults, []));
    }
}

#[test]
fn zeroes_and_flush_do_what_they_say() {
    let (f, mut c) = open(Options::default());
    c.write_zeroes(10, 5).unwrap();
    c.flush().unwrap();
    f.with(|m, _| {
        assert!(m.disk[5120..7680].iter().all(|&b| b == 0) && m.disk[7680] != 0);
        assert_eq!(m.done[&opcode::FLUSH], 1);
    });
}

#[test]
fn what_is_to_be_durable_or_given_back_is_said_so() {
    let (f, mut c) = open(Options::default());
    let buffer = c.dma().alloc(8192, 4096).unwrap();
    buffer.fill(0x5a);
    let flags = || f.with(|m, _| (dw::RW_FUA.is_set(m.cdw12), dw::RW_DEAC.is_set(m.cdw12)));
    c.write(10, buffer.slice(0, 1024).unwrap()).unwrap();
    assert_eq!(flags(), (false, false));
    c.execute(Io::WriteFua { lba: 10, data: buffer.slice(0, 1024).unwrap() }).unwrap();
    assert_eq!(flags(), (true, false));
    f.with(|m, _| assert!(m.disk[5120..6144].iter().all(|&b| b == 0x5a)));
    for (deallocate, fua) in [(false, false), (false, true), (true, false), (true, true)] {
        c.execute(Io::WriteZeroes { lba: 10, blocks: 1, deallocate, fua }).unwrap();
        assert_eq!(flags(), (fua, deallocate));
    }
    let list = buffer.slice(4096, Range::SIZE).unwrap();
    buffer.write(4096, &Range { lba: 11, blocks: 1 }.bytes()).unwrap();
    c.execute(Io::Deallocate { lba: 11, blocks: 1, list }).unwrap();
    f.with(|m, _| {
        assert!(m.disk[5120..6144].iter().all(|&b| b == 0) && m.disk[6144] != 0);
        assert_eq!(m.done[&opcode::DATASET], 1);
    });
    let size = c.namespace().unwrap().blocks;
    for (lba, blocks) in [(0, 0), (size, 1), (1, u64::MAX), (0, 1 << 32)] {
        let e = c.execute(Io::Deallocate { lba, blocks, list }).unwrap_err();
        assert!(matches!(e, Error::OutOfRange { .. }), "{e}");
    }
    let short = buffer.slice(4096, 8).unwrap();
    assert!(matches!(c.execute(Io::Deallocate { lba: 0, blocks: 1, list: short }), Err(Error::Transfer { .. })));
}

#[test]
fn a_queue_is_kept_full_through_many_wraps() {
    for options in both() {
        let (f, mut c) = open(Options { io_queues: 3, depth: 33, ..options });
        assert_eq!((c.queues(), c.depth()), (3, 32));
        let buffer = c.dma().alloc(3 * 32 * 4096, 4096).unwrap();
        let slice = |tag: u64| buffer.slice(tag * 4096, 4096).unwrap();
        let (mut sent, mut got) = (0u64, 0u64);
        let mut free: Vec<Vec<u64>> = (0..3).map(|q| (q * 32..q * 32 + 32).collect()).collect();
        while got < 3000 {
            for (q, tags) in free.iter_mut().enumerate() {
                while sent < 3000
                    && let Some(tag) = tags.pop()
                {
                    let lba = sent * 7 % 4088;
                    c.push(q, Io::Read { lba, data: slice(tag) }, lba << 8 | tag).unwrap();
                    sent += 1;
                }
                c.ring(q).unwrap();
                if c.in_flight(q) == 0 {
                    continue;
                }
                let mut next = Some(c.wait(q).unwrap());
                while let Some(done) = next {
                    done.result.unwrap();
                    let (lba, tag) = (done.user >> 8, done.user & 0xff);
                    let mut data = vec![0; 4096];
                    buffer.read(tag * 4096, &mut data).unwrap();
                    f.with(|m, _| assert!(m.disk[lba as usize * 512..][..4096] == data));
                    tags.push(tag);
                    got += 1;
                    next = c.poll(q).unwrap();
                }
            }
        }
        assert_eq!(c.resets(), 0);
    }
}

#[test]
fn a_full_queue_says_so_and_goes_on() {
    let (_, mut c) = open(Options { depth: 4, ..Options::default() });
    for user in 0..3 {
        c.submit(0, Io::Flush, user).unwrap();
    }
    assert!(c.is_full(0));
    assert!(matches!(c.submit(0, Io::Flush, 9), Err(Error::QueueFull { queue: 0 })));
    let mut seen: Vec<u64> = (0..3).map(|_| c.wait(0).unwrap().user).collect();
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2]);
    assert!(matches!(c.wait(0), Err(Error::Idle { queue: 0 })));
}

#[test]
fn a_plain_call_leaves_the_completions_of_others_to_them() {
    let (_, mut c) = open(Options::default());
    for user in 10..15 {
        c.submit(0, Io::Flush, user).unwrap();
    }
    c.write_zeroes(0, 1).unwrap();
    let mut seen: Vec<u64> = (0..5).map(|_| c.wait(0).unwrap().user).collect();
    seen.sort_unstable();
    assert_eq!(seen, [10, 11, 12, 13, 14]);
    assert_eq!(c.poll(0).unwrap(), None);
}

#[test]
fn logs_are_read() {
    let (_, mut c) = open(Options::default());
    let b = c.dma().alloc(512, 512).unwrap();
    c.read(0, b.whole()).unwrap();
    let smart = c.smart_log().unwrap();
    assert_eq!((smart.reads, smart.temperature), (1, 313));
    assert_eq!(c.firmware_log().unwrap().revisions[0], "0.1");
    assert_eq!(c.error_log().unwrap().len(), 1);
}

#[test]
fn fewer_queues_than_wished_for_are_used() {
    let f = Model::new(disk(8)).function();
    f.with(|m, _| m.grant = 2);
    let c = Controller::open(f, dma(), Options { io_queues: 5, ..Options::default() }).unwrap();
    assert_eq!(c.queues(), 2);
}

#[test]
fn a_volume_that_is_bound_later_is_found() {
    let f = Model::new(Vec::new()).function();
    let mut c = Controller::open(f.clone(), dma(), Options::default()).unwrap();
    assert!(c.namespace().is_none());
    assert!(matches!(c.flush(), Err(Error::NoNamespace { .. })));
    assert_eq!(c.next_event().unwrap(), None);
    f.with(|m, _| m.rebind = Some(disk(16)));
    c.smart_log().unwrap();
    assert_eq!(c.next_event().unwrap().map(|e| e.kind), Some(2));
    assert_eq!(c.rescan().unwrap().unwrap().blocks, 16);
    c.flush().unwrap();
}

#[test]
fn what_can_not_work_is_refused_before_the_controller_sees_it() {
    let (f, mut c) = open(Options::default());
    let b = c.dma().alloc(256 * 1024, 4096).unwrap();
    let slice = |offset, len| b.slice(offset, len).unwrap();
    assert!(matches!(c.read(4096, slice(0, 512)), Err(Error::OutOfRange { .. })));
    assert!(matches!(c.read(4095, slice(0, 1024)), Err(Error::OutOfRange { .. })));
    assert!(matches!(c.read(u64::MAX, slice(0, 512)), Err(Error::OutOfRange { .. })));
    assert!(matches!(c.write_zeroes(0, 0), Err(Error::OutOfRange { .. })));
    assert!(matches!(c.read(0, slice(0, 100)), Err(Error::Transfer { .. })));
    assert!(matches!(c.read(0, slice(0, 0)), Err(Error::Transfer { .. })));
    assert!(matches!(c.read(0, slice(2, 512)), Err(Error::Transfer { .. })));
    assert!(matches!(c.read(0, slice(0, 129 * 1024)), Err(Error::Transfer { .. })));
    assert!(matches!(c.submit(7, Io::Flush, 0), Err(Error::NoQueue { queue: 7, count: 1 })));
    f.with(|m, _| assert!(m.done.is_empty()));
    assert_eq!(c.in_flight(0), 0, "a refused command leaves no slot behind");
}

#[test]
fn any_command_can_be_sent_unchecked() {
    let (_, mut c) = open(Options::default());
    let bad = Command { opcode: 0x7f, nsid: 1, cdw: [0; 6], data: Data::None };
    let Err(Error::Status { status: s, .. }) = c.execute_command(bad) else { panic!("it was accepted") };
    assert_eq!((s.code(), s.do_not_retry()), (status::INVALID_OPCODE, true));
    let Err(Error::Status { status: s, .. }) = c.admin_command(bad) else { panic!("it was accepted") };
    assert_eq!(s.code(), status::INVALID_OPCODE);
}

#[test]
fn a_controller_is_left_as_it_was_found() {
    let (f, c) = open(Options::default());
    c.shutdown().unwrap();
    f.with(|_, host| assert_eq!(host.mappings(), 0));
    let again = Controller::open(f.clone(), dma(), Options::default()).unwrap();
    drop(again);
    f.with(|m, host| assert_eq!((host.mappings(), m.flrs), (0, 0)));
}
