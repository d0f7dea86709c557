//! Servers that lie, mumble, or say nothing: the client ends with an error, in its time.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use azote_vfio_user::wire::payload::{DeviceInfo, DmaAccess, IrqInfo, RegionAccess, RegionInfo};
use azote_vfio_user::wire::{Command, Connection, ERROR, Header, Message, REPLY, version_text};
use azote_vfio_user::{Client, Error, Guest};
use zerocopy::{FromBytes, IntoBytes};

const TIMEOUT: Duration = Duration::from_millis(400);

/// What a server says to a request: replies, or other things.
type Answer = Vec<(Header, Vec<u8>)>;

/// A device with one region of 4 KiB and two vectors, as a good server describes it.
fn good(m: &Message) -> Answer {
    let payload = match Command::new(m.header.command) {
        Some(Command::Version) => version_text(),
        Some(Command::DeviceGetInfo) => DeviceInfo { argsz: 16, flags: 3, regions: 9, irqs: 5 }.as_bytes().to_vec(),
        Some(Command::GetRegionInfo) => {
            let ask = RegionInfo::read_from_prefix(&m.payload).unwrap().0;
            let size = if ask.index == 0 { 4096 } else { 0 };
            RegionInfo { argsz: 32, flags: 3, index: ask.index, size, ..RegionInfo::default() }.as_bytes().to_vec()
        }
        Some(Command::GetIrqInfo) => {
            let ask = IrqInfo::read_from_prefix(&m.payload).unwrap().0;
            IrqInfo { argsz: 16, flags: 1, index: ask.index, count: 2 }.as_bytes().to_vec()
        }
        Some(Command::RegionRead) => {
            let ask = RegionAccess::read_from_prefix(&m.payload).unwrap().0;
            [ask.as_bytes(), &vec![0x5a; ask.count as usize]].concat()
        }
        _ => Vec::new(),
    };
    vec![(Header { flags: REPLY, ..m.header }, payload)]
}

struct Server {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

/// Serves one client; `answer` may spoil what a good server would say.
fn serve(answer: impl Fn(&Message, Answer) -> Answer + Send + 'static) -> Server {
    by_hand(move |stream| {
        let connection = Connection::new(stream).unwrap();
        while let Ok(message) = connection.receive(None) {
            for (header, payload) in answer(&message, good(&message)) {
                if connection.send(header, &[&payload], &[]).is_err() {
                    return;
                }
            }
        }
    })
}

fn by_hand(run: impl FnOnce(UnixStream) + Send + 'static) -> Server {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || run(listener.accept().unwrap().0));
    Server { _dir: dir, path }
}

fn connect(path: &Path) -> Result<Client, Error> {
    let before = Instant::now();
    let client = Client::connect(path, Arc::new(()), TIMEOUT);
    assert!(before.elapsed() < Duration::from_secs(8), "{:?}", before.elapsed());
    client
}

fn is(message: &Message, command: Command) -> bool {
    message.header.command == command as u16
}

#[test]
fn a_good_server_is_understood() {
    let server = serve(|_, answer| answer);
    let client = connect(&server.path).unwrap();
    assert_eq!((client.regions()[0].size, client.irq_count(2), client.irq_count(77)), (4096, 2, 0));
    let mut bytes = [0; 8];
    client.read(0, 8, &mut bytes).unwrap();
    assert_eq!(bytes, [0x5a; 8]);
    client.close();
    assert!(matches!(client.read(0, 8, &mut bytes), Err(Error::Closed)));
}

#[test]
fn nobody_there_is_an_error_that_says_what_to_do() {
    let error = connect(Path::new("/no/such/socket")).err().unwrap().to_string();
    assert!(error.contains("/no/such/socket") && error.contains("azote serve") && !error.contains('\n'), "{error}");
}

#[test]
fn silence_is_an_error_in_its_time_and_ends_the_session() {
    // From the first message, or from a later one.
    let dumb = by_hand(|stream| {
        std::thread::sleep(Duration::from_secs(20));
        drop(stream);
    });
    assert!(matches!(connect(&dumb.path), Err(Error::Silent { .. })));
    let later = serve(|m, answer| if is(m, Command::RegionRead) { vec![] } else { answer });
    let client = connect(&later.path).unwrap();
    let before = Instant::now();
    assert!(matches!(client.read(0, 0, &mut [0; 4]), Err(Error::Silent { .. })));
    assert!(before.elapsed() >= TIMEOUT && before.elapsed() < Duration::from_secs(5));
    assert!(client.read(0, 0, &mut [0; 4]).is_err(), "an answer that comes now would be another question's");
}

#[test]
fn answers_that_are_none_are_errors() {
    type Spoil = fn(&mut Header, &mut Vec<u8>);
    let spoils: &[(&str, Spoil)] = &[
        ("another's id", |h, _| h.id ^= 0x55),
        ("another command", |h, _| h.command = Command::DmaMap as u16),
        ("too short", |_, p| p.truncate(19)),
        ("nothing", |_, p| p.clear()),
        ("less than it says", |_, p| p.truncate(18)),
    ];
    for (what, spoil) in spoils {
        let spoil = *spoil;
        let server = serve(move |m, mut answer| {
            if is(m, Command::RegionRead) {
                answer.iter_mut().for_each(|(header, payload)| spoil(header, payload));
            }
            answer
        });
        let client = connect(&server.path).unwrap();
        assert!(client.read(0, 0, &mut [0; 4]).is_err(), "{what}");
    }
}

#[test]
fn descriptions_that_cannot_be_are_errors() {
    let of = |command: Command, payload: Vec<u8>| {
        serve(move |m, mut answer| {
            if is(m, command) {
                answer[0].1 = payload.clone();
            }
            answer
        })
    };
    let region = |size: u64, flags: u32, cap_offset: u32| {
        RegionInfo { argsz: 32, flags, index: 0, cap_offset, size, offset: 0 }.as_bytes().to_vec()
    };
    for (command, payload) in [
        (Command::Version, vec![1, 0, 0, 0]),
        (Command::Version, b"\0\0\0\0{nonsense".to_vec()),
        (Command::Version, vec![]),
        (Command::DeviceGetInfo, vec![0; 15]),
        (Command::GetRegionInfo, region(u64::MAX, 3, 0)),
        (Command::GetRegionInfo, region(4096, 0xf, 32)),
        (Command::GetRegionInfo, region(4096, 0xf, u32::MAX)),
        (Command::GetIrqInfo, vec![0; 3]),
    ] {
        assert!(connect(&of(command, payload.clone()).path).is_err(), "{command:?} {payload:x?}");
    }
    // More than there can be: the rest is not looked at.
    let many =
        of(Command::DeviceGetInfo, DeviceInfo { argsz: 16, flags: 3, regions: u32::MAX, irqs: 0 }.as_bytes().to_vec());
    assert_eq!(connect(&many.path).unwrap().regions().len(), 16);
}

#[test]
fn refusals_have_their_errno() {
    let server = serve(|m, answer| match Command::new(m.header.command) {
        Some(Command::DmaMap | Command::DeviceReset) => {
            vec![(Header { flags: REPLY | ERROR, error: 22, ..m.header }, vec![])]
        }
        // An error without a number, or with one that is none.
        Some(Command::DmaUnmap) => vec![(Header { flags: REPLY | ERROR, error: u32::MAX, ..m.header }, vec![])],
        _ => answer,
    });
    let client = connect(&server.path).unwrap();
    match client.dma_map(None, 0, 4096) {
        Err(Error::Refused { command: "DMA_MAP", source }) => assert_eq!(source.raw_os_error(), Some(22)),
        other => panic!("{other:?}"),
    }
    assert!(matches!(client.dma_unmap(0, 4096), Err(Error::Refused { .. })));
    assert!(client.reset().is_err());
    client.read(0, 0, &mut [0; 4]).unwrap();
}

#[test]
fn bytes_that_are_no_message_end_the_session() {
    for bytes in [vec![0; 64], vec![0xff; 64], b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), vec![1, 0, 1, 0, 200, 0]] {
        let server = by_hand(move |mut stream| {
            let _ = stream.write_all(&bytes);
            std::thread::sleep(Duration::from_secs(20));
        });
        assert!(connect(&server.path).is_err());
    }
}

/// A page of memory, and what was said at the end.
#[derive(Default)]
struct Page {
    bytes: Mutex<Vec<u8>>,
    gone: AtomicUsize,
}

impl Guest for Page {
    fn read(&self, address: u64, out: &mut [u8]) -> bool {
        let bytes = self.bytes.lock().unwrap();
        let from = bytes.get(address as usize..address as usize + out.len());
        from.map(|from| out.copy_from_slice(from)).is_some()
    }

    fn write(&self, address: u64, data: &[u8]) -> bool {
        let mut bytes = self.bytes.lock().unwrap();
        let to = bytes.get_mut(address as usize..address as usize + data.len());
        to.map(|to| to.copy_from_slice(data)).is_some()
    }

    fn gone(&self, _: &Error) {
        self.gone.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn memory_is_served_while_an_answer_is_waited_for_and_only_what_there_is() {
    let (sender, results) = std::sync::mpsc::channel();
    let server = by_hand(move |stream| {
        let connection = Connection::new(stream).unwrap();
        while let Ok(message) = connection.receive(None) {
            if is(&message, Command::RegionRead) {
                // In the middle of an access: the client must not wait for its answer first.
                let requests = [
                    (Command::DmaWrite, DmaAccess { address: 16, count: 4 }, vec![1, 2, 3, 4]),
                    (Command::DmaRead, DmaAccess { address: 12, count: 8 }, vec![]),
                    (Command::DmaRead, DmaAccess { address: 4090, count: 8 }, vec![]),
                    (Command::DmaRead, DmaAccess { address: 0, count: u64::MAX }, vec![]),
                    (Command::DmaWrite, DmaAccess { address: 0, count: 99 }, vec![1]),
                    (Command::DeviceReset, DmaAccess::default(), vec![]),
                ];
                for (id, (command, access, data)) in (100..).zip(requests) {
                    let header = Header { id, command: command as u16, ..Header::default() };
                    connection.send(header, &[access.as_bytes(), &data], &[]).unwrap();
                    let reply = connection.receive(Some(Instant::now() + Duration::from_secs(10))).unwrap();
                    assert_eq!(reply.header.id, id);
                    sender.send((reply.header.flags & ERROR != 0, reply.payload)).unwrap();
                }
            }
            for (header, payload) in good(&message) {
                connection.send(header, &[&payload], &[]).unwrap();
            }
        }
    });
    let page = Arc::new(Page { bytes: Mutex::new(vec![7; 4096]), ..Page::default() });
    let client = Client::connect(&server.path, page.clone(), Duration::from_secs(20)).unwrap();
    client.read(0, 0, &mut [0; 4]).unwrap();
    let results: Vec<_> = results.try_iter().collect();
    assert_eq!(results.iter().map(|r| r.0).collect::<Vec<_>>(), [false, false, true, true, true, true]);
    assert_eq!(results[1].1[16..], [7, 7, 7, 7, 1, 2, 3, 4]);
    drop(client);
    assert_eq!(page.gone.load(Ordering::SeqCst), 0, "it was we who ended it");
}

#[test]
fn a_server_that_dies_is_told_of_once_and_all_who_wait_go_on() {
    let server = by_hand(|stream| {
        let connection = Connection::new(stream).unwrap();
        while let Ok(message) = connection.receive(None) {
            if is(&message, Command::RegionRead) {
                std::thread::sleep(Duration::from_millis(200));
                return;
            }
            for (header, payload) in good(&message) {
                connection.send(header, &[&payload], &[]).unwrap();
            }
        }
    });
    let page = Arc::new(Page::default());
    let client = Client::connect(&server.path, page.clone(), Duration::from_secs(20)).unwrap();
    let before = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(client.read(0, 0, &mut [0; 4]).is_err()));
        }
    });
    assert!(before.elapsed() < Duration::from_secs(10));
    let deadline = Instant::now() + Duration::from_secs(10);
    while page.gone.load(Ordering::SeqCst) == 0 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(page.gone.load(Ordering::SeqCst), 1);
}

#[test]
fn several_threads_share_a_client() {
    let server = serve(|_, answer| answer);
    let client = Client::connect(&server.path, Arc::new(()), Duration::from_secs(20)).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4usize {
            let client = &client;
            scope.spawn(move || {
                for i in 0..500 {
                    let mut bytes = vec![0; 1 + (i + thread) % 64];
                    client.read(0, 0, &mut bytes).unwrap();
                    assert!(bytes.iter().all(|b| *b == 0x5a));
                }
            });
        }
    });
}
