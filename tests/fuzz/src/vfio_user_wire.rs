//! A vfio-user session with arbitrary bytes: what parses messages, and a whole server over the software card.
//!
//! The input is what a client writes to its socket. Its first byte says whether it comes after a good VERSION, so that
//! most inputs get past the greeting; descriptors go beside the first bytes, and whatever the server asks is answered with
//! bytes of the input, too. Afterwards the function must take a good client again.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use azote_regs::function::{FunctionId, Kind};
use azote_serve::Server;
use azote_sim::{Card, Options, soft::SoftCard};
use azote_vfio_user::Client;
use azote_vfio_user::wire::payload::{DmaAccess, DmaMap, DmaUnmap, RegionAccess, RegionInfo, SetIrqs, split};
use azote_vfio_user::wire::{Command, Connection, HEADER, Header, parse_version, version_text};

/// The card, its server and the socket, made once.
static SERVED: LazyLock<Mutex<(Card, Server, PathBuf)>> = LazyLock::new(|| {
    let card = Card::over(Box::new(SoftCard::new(4)), Options::default()).expect("a software card");
    let pf = FunctionId::pf(Kind::Storage).number();
    card.set_vfs(pf, 4).expect("its VFs");
    let mut server = Server::start(&card).expect("a thread");
    let path = std::env::temp_dir().join(format!("azote-fuzz-{}.sock", std::process::id()));
    let vf = FunctionId::vf(Kind::Storage, 0).expect("VF 0").number();
    server.add(vf, &path).expect("a socket");
    Mutex::new((card, server, path))
});

fn parse(data: &[u8]) {
    if let Some(header) = data.first_chunk::<HEADER>().and_then(|bytes| Header::parse(bytes).ok()) {
        let _ = (header.is_reply(), header.payload(), Command::new(header.command));
    }
    let _ = parse_version(data);
    let command = Command::DmaMap;
    let _ = (split::<DmaMap>(command, data), split::<DmaUnmap>(command, data), split::<SetIrqs>(command, data));
    let _ =
        (split::<RegionAccess>(command, data), split::<RegionInfo>(command, data), split::<DmaAccess>(command, data));
}

fn connected(server: &Server) -> bool {
    server.counters().iter().any(|c| c.connected)
}

/// Waits, but not for ever: what takes longer is a finding.
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

fn session(path: &PathBuf, data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let mut stream = UnixStream::connect(path).expect("the server listens");
    if first & 1 == 1 {
        let greeter = Connection::new(stream.try_clone().expect("a descriptor")).expect("a socket");
        let header = Header { command: Command::Version as u16, ..Header::default() };
        if greeter.send(header, &[&version_text()], &[]).is_err() {
            return;
        }
        if first & 2 == 2 {
            // A message of the input's, well-formed, with a descriptor beside it.
            let file = std::fs::File::open("/dev/null").expect("a file");
            let (command, rest) = bytes.split_first().unwrap_or((&0, &[]));
            let header = Header { id: 1, command: (*command % 18).into(), ..Header::default() };
            let fds = [file.as_fd(), stream.as_fd()];
            let _ = greeter.send(header, &[&rest[..rest.len().min(64)]], &fds[..usize::from(first >> 2 & 3).min(2)]);
        }
        // The greeter made the socket non-blocking; what does not fit is not sent.
        let _ = stream.write_all(bytes);
        // Whatever the server says is taken, so that it never waits for us.
        while greeter.receive(Some(Instant::now() + Duration::from_millis(1))).is_ok() {}
    } else {
        let _ = stream.write_all(bytes);
    }
}

pub fn run(data: &[u8]) {
    parse(data);
    let served = SERVED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let (card, server, path) = &*served;
    session(path, data);
    until("the end of the session", || !connected(server));
    until("a good session", || match Client::connect(path, Arc::new(()), Duration::from_secs(20)) {
        Ok(client) => {
            let mut id = [0; 4];
            client.read(7, 0, &mut id).expect("configuration space");
            assert_eq!(id, [0xf4, 0x1a, 0xf1, 0x10]);
            true
        }
        Err(azote_vfio_user::Error::Busy { .. }) => false,
        Err(error) => panic!("{error}"),
    });
    until("its end", || !connected(server));
    card.assert_clean();
}
