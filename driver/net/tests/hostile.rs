//! The driver on devices that lie: each lie is an error that says what it was, never a panic, a hang, or memory that is not ours.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on says where

mod model;

use std::sync::Arc;
use std::time::Duration;

use azote_dma::{Dma, Pages};
use azote_net::{Batch, Error, Net, Options, Packet, Result};
use azote_regs::virtio::net::feature;
use azote_regs::virtio::{bit, pci};
use azote_seam::mock::Mock;
use azote_virtio::Error as Virtio;
use model::{Lie, Model};

fn open_on(function: &Arc<Mock<Model>>) -> Result<Net> {
    let options = Options { depth: 16, timeout: Duration::from_millis(5), ..Options::default() };
    Net::open(function.clone(), Dma::at(1 << 20, Pages::Small, 0x1_0000_0000).unwrap(), options)
}

fn open(model: Model) -> Result<Net> {
    open_on(&model.function())
}

/// What receiving, or what sending and taking back, comes to with this lie.
fn receives(lie: Lie) -> Error {
    let mut net = open(Model { lie, ..Model::default() }).unwrap();
    let said = net.wait(Duration::from_millis(5)).and_then(|_| net.receive(0, &mut Batch::default(), 32));
    let said = said.expect_err("it lied");
    // It is for ever: nothing of such a device is believed any more.
    if !matches!(said, Error::Received { .. }) {
        assert_eq!(net.receive(0, &mut Batch::default(), 32).unwrap_err().to_string(), said.to_string());
    }
    said
}

fn sends(lie: Lie) -> Error {
    let mut net = open(Model { lie, ..Model::default() }).unwrap();
    net.send(0, &[Packet::from(&[0; 60][..])]).unwrap();
    net.flush().expect_err("it lied")
}

#[test]
fn used_entries_that_cannot_be_are_errors() {
    let uses = |queue, id, len, count| Lie::Uses { queue, id, len, count };
    for (lie, said) in [
        (uses(0, 0, 60, 17), "used 17 buffers and has 16"),
        (uses(0, 0, 60, 0x8000), "used 32768 buffers and has 16"),
        (uses(0, 16, 60, 1), "descriptor 16, which it was not given"),
        (uses(0, u32::MAX, 60, 1), "descriptor 4294967295, which it was not given"),
        (uses(0, 0, 2049, 1), "wrote 2049 bytes into 2048"),
        (uses(0, 0, u32::MAX, 1), "wrote 4294967295 bytes into 2048"),
        (uses(0, 0, 11, 1), "11 bytes are shorter than the header"),
        (Lie::Buffers(0), "a packet of 0 buffers"),
        (Lie::Buffers(17), "a packet of 17 buffers"),
        (Lie::Buffers(2), "1 of a packet's 2 buffers"),
    ] {
        let error = receives(lie).to_string();
        assert!(error.contains(said), "{lie:?}: {error}");
    }
    for (lie, said) in [
        (uses(1, 0, 1, 1), "wrote 1 bytes into 0"),
        (uses(1, 3, 0, 1), "descriptor 3, which it was not given"),
        (uses(1, 0, 0, 2), "used 2 buffers and has 1"),
    ] {
        let error = sends(lie).to_string();
        assert!(error.contains(said), "{lie:?}: {error}");
    }
}

#[test]
fn what_was_used_once_is_not_used_again() {
    let function = Model::default().function();
    let mut net = open_on(&function).unwrap();
    net.send(0, &[Packet::from(&[0; 60][..]), Packet::from(&[1; 60][..])]).unwrap();
    function.with(|model, _| model.lie = Lie::Uses { queue: 1, id: 0, len: 0, count: 1 });
    let error = net.flush().unwrap_err().to_string();
    assert!(error.contains("descriptor 0, which it was not given"), "{error}");
}

#[test]
fn a_device_that_does_nothing_ends_every_call_in_time() {
    let mut net = open(Model::default()).unwrap();
    assert!(!net.wait(Duration::from_millis(5)).unwrap());
    net.send(0, &[Packet::from(&[0; 60][..])]).unwrap();
    assert!(!net.flush().unwrap());
    assert!(matches!(net.set_promiscuous(true), Err(Error::Silent { .. })));
    assert!(matches!(net.set_promiscuous(true), Err(Error::Silent { .. })), "it may still write that answer");
    // A queue that is full says so by taking less.
    let packets = [Packet::from(&[0; 60][..]); 40];
    assert_eq!(net.send(0, &packets).unwrap(), 15);
    assert_eq!((net.send(0, &packets).unwrap(), net.stats().full), (0, 25 + 40));
}

#[test]
fn commands_end_as_the_device_says() {
    let mut net = open(Model { lie: Lie::Acknowledges(0), ..Model::default() }).unwrap();
    net.set_promiscuous(true).unwrap();
    net.set_all_multicast(true).unwrap();
    for ack in [1, 2, 0xff] {
        let mut net = open(Model { lie: Lie::Acknowledges(ack), ..Model::default() }).unwrap();
        assert!(matches!(net.set_promiscuous(true), Err(Error::Refused { .. })), "{ack}");
    }
}

#[test]
fn what_is_no_device_is_not_opened() {
    let said = |model: Model| open(model).err().unwrap().to_string();
    assert!(said(Model { refuses: true, ..Model::default() }).contains("refuses the features"));
    assert!(said(Model { never_reset: true, ..Model::default() }).contains("the reset has not ended"));
    assert!(said(Model { offered: 0, ..Model::default() }).contains("legacy"));
    for size in [0, 3, 0xffff] {
        assert!(said(Model { queue_size: size, ..Model::default() }).contains("must be a power of two"), "{size}");
    }
    assert!(said(Model { notify_off: 0x100, ..Model::default() }).contains("its notification"));
    let offered = Model::default().offered | bit(feature::MQ);
    assert!(said(Model { offered, ..Model::default() }).contains("0 pairs of 9 queues"), "its configuration reads 0");
    let function = Model { needs_reset: true, ..Model::default() }.function();
    // It says so all the time, a reset included: that does not end.
    assert!(open_on(&function).err().unwrap().to_string().contains("reset"));

    for (register, value) in [(pci::OFFSET, 0x3fff), (pci::LENGTH, u32::MAX), (pci::LENGTH, 0)] {
        let function = Model::default().function();
        function.set_config32(0x40 + register, value);
        let error = open_on(&function).err().unwrap();
        assert!(matches!(error, Error::Virtio(Virtio::NoStructure { .. })), "{error}");
    }
    let function = Model::default().function();
    function.set_config32(0x40, 0);
    assert!(open_on(&function).err().unwrap().to_string().contains("no common configuration"));
}

#[test]
fn a_device_that_needs_a_reset_is_said_to() {
    let function = Model::default().function();
    let mut net = open_on(&function).unwrap();
    function.with(|model, _| model.needs_reset = true);
    assert!(matches!(net.wait(Duration::from_millis(5)), Err(Error::Virtio(Virtio::NeedsReset { .. }))));
    function.with(|model, _| model.needs_reset = false);
}

#[test]
fn a_device_that_is_dropped_reaches_no_memory_any_more() {
    let function = Model::default().function();
    drop(open_on(&function).unwrap());
    function.with(|_, host| assert_eq!(host.mappings(), 0));
}

/// Rings that are noise: whatever comes of it, it is an answer.
#[test]
fn noise_in_the_rings_never_harms() {
    let mut noise = 1u64;
    let mut next = |below: u64| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (noise >> 33) % below
    };
    for _ in 0..2000 {
        let function = Model::default().function();
        let mut net = open_on(&function).unwrap();
        let mut batch = Batch::default();
        for _ in 0..8 {
            let (queue, id, len, count) = (next(3) as u16, next(20) as u32, next(3000) as u32, next(4) as u16);
            function.with(|model, _| model.lie = Lie::Uses { queue, id, len, count });
            let _ = net.wait(Duration::from_micros(20));
            let _ = net.receive(0, &mut batch, 8);
            let _ = net.send(0, &[Packet::from(&[9; 100][..])]);
        }
        function.with(|_, host| assert_eq!(host.faults, []));
    }
}
