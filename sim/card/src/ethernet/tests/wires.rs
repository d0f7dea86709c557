//! Files, sockets and TAP devices.

use std::time::{Duration, Instant};

use azote_files::Inputs;

use super::*;
use crate::{Capture, PeerSocket, Replay, Tap, Wire, cable};

/// Waits for something of another thread's.
fn wait<T>(mut what: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = what() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it did not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn what_is_captured_is_replayed_at_the_same_distances() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frames.pcap");
    let mut capture = Capture::create(&path, &Inputs::new()).unwrap();
    let times = [5_000_000_123, 5_000_000_124, 5_003_000_000].map(Duration::from_nanos);
    for (i, at) in times.into_iter().enumerate() {
        capture.frame(at, &frame(60 + i));
    }
    assert!(!path.exists(), "it has its place when it is whole");
    capture.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(u32::from_ne_bytes(*bytes.first_chunk().unwrap()), 0xa1b2_3c4d, "pcap with nanoseconds");
    assert_eq!(u32::from_ne_bytes(*bytes[20..].first_chunk().unwrap()), 1, "LINKTYPE_ETHERNET");

    let mut replay = Replay::open(&path).unwrap();
    let begin = Duration::from_secs(77);
    assert!(replay.is_ready(begin));
    assert_eq!(replay.receive(begin), Some(frame(60)));
    assert_eq!(replay.receive(begin), None);
    assert_eq!(replay.receive(begin + Duration::from_nanos(1)), Some(frame(61)));
    let late = begin + Duration::from_nanos(2_999_877);
    assert!(!replay.is_ready(late - Duration::from_nanos(1)) && replay.is_ready(late));
    assert_eq!(replay.receive(late), Some(frame(62)));
    assert!(!replay.is_ready(begin * 2));
}

#[test]
fn a_simulation_writes_what_passed_in_both_directions_with_its_own_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frames.pcap");
    let mut root = root(Echo::default(), Options::default());
    let (here, there) = cable();
    root.ethernet().connect(Box::new(there));
    root.ethernet().capture(Capture::create(&path, &Inputs::new()).unwrap());
    here.send(&frame(64));
    root.run_idle(100);
    let now = root.now();
    root.finish().unwrap();
    let mut reader = pcap_file::pcap::PcapReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    let mut times = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        assert_eq!(packet.data, frame(64));
        times.push(packet.timestamp);
    }
    // In with the last beat of four, and out with the same four clocks later; a clock counts as a microsecond.
    assert_eq!(times.len(), 2);
    assert_eq!(times[1] - times[0], Duration::from_micros(4));
    assert!(times[1] < now);
}

#[test]
fn what_is_no_file_of_frames_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let said = |bytes: &[u8]| {
        let path = folder.path().join("frames");
        std::fs::write(&path, bytes).unwrap();
        Replay::open(&path).unwrap_err().to_string()
    };
    assert!(said(b"no such thing, but long enough for a header").contains("give a pcap or pcapng file"));
    assert!(said(b"").contains("frames"));
    // Linux cooked, and a frame that was cut.
    let header = |link: u8| [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, link, 0, 0, 0];
    assert!(said(&header(113)).contains("not Ethernet"));
    let cut = [&header(1)[..], &[0; 8], &[14, 0, 0, 0, 60, 0, 0, 0], &[0; 14]].concat();
    assert!(said(&cut).contains("14 bytes of a frame of 60"), "{}", said(&cut));
}

#[test]
fn two_sockets_find_each_other_in_either_order_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wire");
    let mut first = PeerSocket::open(&path).unwrap();
    assert!(!first.send(&frame(60)), "nobody is there");
    for round in 0..2 {
        let mut second = PeerSocket::open(&path).unwrap();
        wait(|| first.is_connected().then_some(()));
        assert!(first.send(&frame(1514)) && second.send(&frame(9018)));
        assert_eq!(wait(|| second.receive(Duration::ZERO)), frame(1514), "round {round}");
        assert_eq!(wait(|| first.receive(Duration::ZERO)), frame(9018), "round {round}");
        drop(second);
        wait(|| (!first.is_connected()).then_some(()));
    }
    // The one that listened goes, and the other takes its place.
    let mut second = PeerSocket::open(&path).unwrap();
    wait(|| first.is_connected().then_some(()));
    drop(first);
    let mut third = wait(|| PeerSocket::open(&path).ok());
    wait(|| (third.is_connected() && second.is_connected()).then_some(()));
    assert!(third.send(&frame(99)));
    assert_eq!(wait(|| second.receive(Duration::ZERO)), frame(99));
    drop((second, third));
    assert!(!path.exists());
}

#[test]
fn a_peer_that_does_not_read_costs_frames_and_no_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wire");
    let mut first = PeerSocket::open(&path).unwrap();
    let _second = PeerSocket::open(&path).unwrap();
    wait(|| first.is_connected().then_some(()));
    let taken = (0..20_000).filter(|_| first.send(&frame(1514))).count();
    assert!(taken > 0, "some had room");
}

#[test]
fn a_socket_does_not_take_the_place_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "mine").unwrap();
    assert!(PeerSocket::open(&path).err().unwrap().to_string().contains("file"));
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    let listener = std::os::unix::net::UnixListener::bind(folder.path().join("stream")).unwrap();
    assert!(PeerSocket::open(&folder.path().join("stream")).is_err(), "somebody else's socket");
    drop(listener);
}

#[test]
fn a_tap_device_is_had_or_its_error_says_what_to_do() {
    let said = |name: &str| Tap::open(name).err().unwrap().to_string();
    assert!(said("a/b").contains("give a name"), "{}", said("a/b"));
    assert!(said("azote-has-too-long-a-name").contains("give a name"));
    match Tap::open("azotetest0") {
        Ok(mut tap) => {
            assert!(!tap.send(&frame(60)), "the interface is down");
            assert!(said("azotetest0").contains("another program uses it"), "{}", said("azotetest0"));
        }
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains("modprobe") || said.contains("ip tuntap"), "{said}");
        }
    }
}
