//! Messages as they go and as they come: all that is sent arrives, and whatever arrives is a message or an error.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use azote_vfio_user::Error;
use azote_vfio_user::wire::payload::{DmaMap, SetIrqs, split};
use azote_vfio_user::wire::{Command, Connection, HEADER, Header, MAX_FDS, MAX_MESSAGE, MAX_TRANSFER, parse_version};
use proptest::prelude::*;

fn pair() -> (Connection, Connection) {
    let (a, b) = UnixStream::pair().unwrap();
    (Connection::new(a).unwrap(), Connection::new(b).unwrap())
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(10))
}

proptest! {
    #[test]
    fn what_is_sent_arrives(
        id: u16, command: u16, flags in 0u32..=0x31, error: u32,
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..5),
        fds in 0usize..=MAX_FDS,
    ) {
        let (a, b) = pair();
        let flags = flags & !0xe;
        let header = Header { id, command, size: 0, flags, error };
        let file = std::fs::File::open("/dev/null").unwrap();
        let fds = vec![file.as_fd(); fds];
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        a.send(header, &slices, &fds).unwrap();
        a.send(Header { id: !id, ..header }, &[], &[]).unwrap();
        let got = b.receive(soon()).unwrap();
        prop_assert_eq!(&got.payload, &parts.concat());
        prop_assert_eq!(got.header, Header { size: (HEADER + got.payload.len()) as u32, ..header });
        prop_assert_eq!(got.fds.len(), fds.len());
        let next = b.receive(soon()).unwrap();
        prop_assert_eq!((next.header.id, next.payload.len(), next.fds.len()), (!id, 0, 0));
    }

    #[test]
    fn whatever_arrives_is_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (a, b) = UnixStream::pair().unwrap();
        (&a).write_all(&bytes).unwrap();
        drop(a);
        let b = Connection::new(b).unwrap();
        let mut taken = 0;
        while let Ok(message) = b.receive(soon()) {
            prop_assert!(message.header.payload() == message.payload.len());
            taken += HEADER + message.payload.len();
        }
        prop_assert!(taken <= bytes.len());
    }

    #[test]
    fn a_header_is_taken_or_refused_and_never_lies_about_its_payload(bytes: [u8; HEADER]) {
        if let Ok(header) = Header::parse(&bytes) {
            prop_assert!(header.payload() + HEADER == header.size as usize && header.size as usize <= MAX_MESSAGE);
        }
    }

    #[test]
    fn versions_are_read_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..64),
        text in r#"\{"capabilities":\{("(max_msg_fds|max_data_xfer_size|x)":(-?[0-9]{1,25}|null|"a"|\[\]|\{\}),?){0,4}\}?\}?"#,
    ) {
        let _ = parse_version(&bytes);
        if let Ok(c) = parse_version(&[&[0, 0, 0, 0], text.as_bytes()].concat()) {
            prop_assert!((1..=MAX_FDS).contains(&c.max_fds) && (4096..=MAX_TRANSFER).contains(&c.max_transfer));
        }
    }

    #[test]
    fn payloads_are_split_where_they_end(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        match split::<DmaMap>(Command::DmaMap, &bytes) {
            Ok((_, rest)) => prop_assert_eq!(rest, &bytes[32..]),
            Err(_) => prop_assert!(bytes.len() < 32),
        }
        prop_assert_eq!(split::<SetIrqs>(Command::SetIrqs, &bytes).is_ok(), bytes.len() >= 20);
    }
}

#[test]
fn a_size_that_is_only_claimed_costs_nothing() {
    let (a, b) = UnixStream::pair().unwrap();
    let b = Connection::new(b).unwrap();
    let claim = |size: u32| [&[1, 0, 9, 0][..], &size.to_ne_bytes(), &[0; 8]].concat();
    (&a).write_all(&claim(MAX_MESSAGE as u32)).unwrap();
    drop(a);
    assert!(matches!(b.receive(soon()), Err(Error::Closed)));
    let (a, b) = UnixStream::pair().unwrap();
    (&a).write_all(&claim(MAX_MESSAGE as u32 + 1)).unwrap();
    assert!(matches!(Connection::new(b).unwrap().receive(soon()), Err(Error::Protocol(_))));
}

#[test]
fn the_first_byte_is_waited_for_as_long_as_was_said() {
    let (_a, b) = pair();
    let before = Instant::now();
    assert!(matches!(b.receive(Some(before + Duration::from_millis(50))), Err(Error::Silent { .. })));
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[test]
fn large_messages_go_through_a_small_socket() {
    let (a, b) = pair();
    let data: Vec<u8> = (0..MAX_TRANSFER).map(|i| ((i * 31) >> 3) as u8).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| a.send(Header { command: 10, ..Header::default() }, &[&data], &[]).unwrap());
        assert!(b.receive(soon()).unwrap().payload == data);
    });
}
