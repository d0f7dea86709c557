//! The client beside servers that nobody here wrote: nbdkit with its filters, and qemu-nbd; killed and started anew meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use azote_nbd::{Client, Error, Settings, Uri};

const PATIENCE: Duration = Duration::from_secs(10);

/// A server at a Unix socket.
struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn start(mut command: Command, socket: &Path) -> Server {
        let _ = std::fs::remove_file(socket);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.expect("nbdkit and qemu-nbd are there: `cargo xtask setup` installs them");
        let end = Instant::now() + Duration::from_secs(20);
        while std::os::unix::net::UnixStream::connect(socket).is_err() {
            assert!(Instant::now() < end, "{command:?} does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Server { child, socket: socket.to_owned() }
    }

    fn nbdkit(socket: &Path, arguments: &[&str]) -> Server {
        let mut command = Command::new("nbdkit");
        // Not in the background: what is killed is the server.
        command.args(["-f", "--newstyle", "-U"]).arg(socket).args(arguments);
        Self::start(command, socket)
    }

    /// The connection by which `start` sees it counts as one client.
    fn qemu(socket: &Path, image: &Path, arguments: &[&str]) -> Server {
        let mut command = Command::new("qemu-nbd");
        command.args(["--persistent", "--shared=4", "-x", "disk", "-k"]).arg(socket).args(arguments).arg(image);
        Self::start(command, socket)
    }

    fn uri(&self, export: &str) -> Uri {
        format!("nbd+unix:///{export}?socket={}", self.socket.display()).parse().unwrap()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    (folder, socket)
}

fn settings(read_only: bool) -> Settings {
    Settings { read_only, patience: PATIENCE }
}

fn image(folder: &tempfile::TempDir, len: u64) -> PathBuf {
    let path = folder.path().join("image");
    std::fs::File::create(&path).unwrap().set_len(len).unwrap();
    path
}

/// Everything that a volume needs, at a server that keeps bytes.
fn use_it(client: &Client) {
    let data: Vec<u8> = (0..100_000u32).map(|i| ((i * 7) >> 3) as u8).collect();
    client.write(&data, 4096, false).unwrap();
    client.write(&[0xaa; 512], 512, true).unwrap();
    let mut back = vec![0; data.len()];
    client.read(&mut back, 4096).unwrap();
    assert!(back == data);
    client.zero(4096, 512, false).unwrap();
    client.zero(8192, 65536, true).unwrap();
    client.flush().unwrap();
    client.read(&mut back, 4096).unwrap();
    assert!(back[..512] == [0; 512] && back[512..4096] == data[512..4096]);
    assert!(back[4096..4096 + 65536].iter().all(|b| *b == 0) && back[4096 + 65536..] == data[4096 + 65536..]);
    client.read(&mut back[..512], 512).unwrap();
    assert_eq!(back[..512], [0xaa; 512]);
}

#[test]
fn nbdkit_and_qemu_keep_what_is_written() {
    let (folder, socket) = folder();
    let server = Server::nbdkit(&socket, &["memory", "1M"]);
    let client = Client::open(&server.uri(""), settings(false)).unwrap();
    assert_eq!(client.size(), 1 << 20);
    use_it(&client);
    drop((client, server));
    let path = image(&folder, 1 << 20);
    for arguments in [&["--format=raw"][..], &["--format=raw", "--cache=none"]] {
        let server = Server::qemu(&socket, &path, arguments);
        let client = Client::open(&server.uri("disk"), settings(false)).unwrap();
        use_it(&client);
    }
    // Without structured replies, write zeroes, FUA or block status.
    let less = ["--filter=nozero", "--filter=fua", "memory", "1M", "zeromode=none", "fuamode=discard"];
    let server = Server::nbdkit(&socket, &[&["--no-sr"], &less[..]].concat());
    let client = Client::open(&server.uri(""), settings(false)).unwrap();
    use_it(&client);
    assert_eq!(client.extent(0, 1 << 20).unwrap(), (false, 1 << 20));
}

#[test]
fn holes_are_told_by_servers_that_know_them() {
    let (folder, socket) = folder();
    let path = image(&folder, 1 << 20);
    let server = Server::qemu(&socket, &path, &["--format=raw"]);
    let client = Client::open(&server.uri("disk"), settings(false)).unwrap();
    assert_eq!(client.extent(0, 1 << 20).unwrap(), (true, 1 << 20));
    client.write(&[1; 65536], 65536, true).unwrap();
    assert_eq!(client.extent(0, 1 << 20).unwrap(), (true, 65536));
    assert_eq!(client.extent(65536, 1 << 20).unwrap(), (false, 131_072));
    client.zero(65536, 65536, true).unwrap();
    let (hole, _) = client.extent(65536, 1 << 20).unwrap();
    assert!(hole, "given back");
}

#[test]
fn many_threads_share_one_connection_and_slow_answers_come_in_any_order() {
    let (_folder, socket) = folder();
    // qemu-nbd allows one client and no more.
    let server = Server::nbdkit(&socket, &["--filter=delay", "memory", "1M", "rdelay=200ms"]);
    let client = Client::open(&server.uri(""), settings(false)).unwrap();
    (0..16).for_each(|i| client.write(&[i as u8; 512], i * 512, false).unwrap());
    let start = Instant::now();
    std::thread::scope(|scope| {
        for i in 0..16 {
            let client = &client;
            scope.spawn(move || {
                let mut block = [0xff; 512];
                client.read(&mut block, i * 512).unwrap();
                assert_eq!(block, [i as u8; 512]);
            });
        }
    });
    assert!(start.elapsed() < Duration::from_millis(16 * 200), "one after the other: {:?}", start.elapsed());
}

#[test]
fn errors_of_the_server_are_the_requests_own() {
    let (_folder, socket) = folder();
    for (errno, kind) in [("EIO", None), ("ENOSPC", Some(std::io::ErrorKind::StorageFull))] {
        let error = format!("error={errno}");
        let server = Server::nbdkit(&socket, &["--filter=error", "memory", "1M", &error, "error-pwrite-rate=100%"]);
        let client = Client::open(&server.uri(""), settings(false)).unwrap();
        let said = client.write(&[1; 512], 0, false).unwrap_err();
        assert!(kind.map_or(said.raw_os_error() == Some(5), |kind| said.kind() == kind), "{said:?}");
        client.read(&mut [0; 512], 0).unwrap();
        client.flush().unwrap();
    }
}

#[test]
fn a_server_that_comes_again_is_used_again_and_has_all_that_was_answered() {
    let (_folder, socket) = folder();
    // What it had in memory is gone with it.
    let memory = ["memory", "1M"];
    let mut server = Server::nbdkit(&socket, &memory);
    let client = Client::open(&server.uri(""), settings(false)).unwrap();
    client.write(&[0x11; 4096], 0, false).unwrap();
    client.zero(512, 512, true).unwrap();
    server.kill();
    // The write waits, and is done by the one that comes.
    let mut server = std::thread::scope(|scope| {
        let write = scope.spawn(|| client.write(&[0x22; 512], 8192, false).unwrap());
        std::thread::sleep(Duration::from_millis(700));
        let server = Server::nbdkit(&socket, &memory);
        write.join().unwrap();
        server
    });
    let mut back = [0; 4096];
    client.read(&mut back, 0).unwrap();
    assert!(back[..512] == [0x11; 512] && back[512..1024] == [0; 512] && back[1024..] == [0x11; 3072]);
    client.read(&mut back[..512], 8192).unwrap();
    assert_eq!(back[..512], [0x22; 512]);
    // What was flushed is the server's to keep, and this one does not.
    client.flush().unwrap();
    server.kill();
    let _server = Server::nbdkit(&socket, &memory);
    client.read(&mut back, 0).unwrap();
    assert_eq!(back, [0; 4096]);
}

#[test]
fn a_server_killed_again_and_again_loses_nothing_that_was_flushed_or_answered() {
    let (folder, socket) = folder();
    let path = image(&folder, 1 << 20);
    // A format with tables in memory, which a killed server does not write.
    let qcow2 = folder.path().join("image.qcow2");
    let made = Command::new("qemu-img").args(["create", "-q", "-f", "qcow2"]).arg(&qcow2).arg("1M").status();
    assert!(made.unwrap().success());
    drop(path);
    let mut server = Server::qemu(&socket, &qcow2, &["--format=qcow2", "--cache=writeback"]);
    let client = Client::open(&server.uri("disk"), settings(false)).unwrap();
    for round in 1..=4u8 {
        for block in 0..64 {
            client.write(&[round ^ block; 4096], u64::from(block) * 16384, false).unwrap();
            if block % 20 == round {
                client.flush().unwrap();
            }
            if block == 30 + round {
                server.kill();
                server = Server::qemu(&socket, &qcow2, &["--format=qcow2", "--cache=writeback"]);
            }
        }
    }
    server.kill();
    let _server = Server::qemu(&socket, &qcow2, &["--format=qcow2", "--cache=writeback"]);
    for block in 0..64u8 {
        let mut back = [0; 4096];
        client.read(&mut back, u64::from(block) * 16384).unwrap();
        assert!(back == [4 ^ block; 4096], "block {block}");
    }
}

#[test]
fn a_dead_or_silent_server_ends_every_call_in_its_time() {
    let (_folder, socket) = folder();
    let patience = Duration::from_millis(800);
    let mut server = Server::nbdkit(&socket, &["memory", "1M"]);
    let client = Client::open(&server.uri(""), Settings { read_only: false, patience }).unwrap();
    client.write(&[1; 512], 0, false).unwrap();
    server.kill();
    let start = Instant::now();
    let said = client.read(&mut [0; 512], 0).unwrap_err();
    assert_eq!(said.kind(), std::io::ErrorKind::NotConnected, "{said}");
    assert!(said.to_string().contains("no server is there"), "{said}");
    assert!((patience..10 * patience).contains(&start.elapsed()), "{:?}", start.elapsed());
    // Stopped: it takes connections, and says nothing.
    let server = Server::nbdkit(&socket, &["memory", "1M"]);
    client.read(&mut [0; 512], 0).unwrap();
    let signal = |name: &str| Command::new("kill").args([name, &server.child.id().to_string()]).status().unwrap();
    signal("-STOP");
    let start = Instant::now();
    let said = client.read(&mut [0; 512], 0).unwrap_err();
    assert_eq!(said.kind(), std::io::ErrorKind::TimedOut, "{said}");
    let open = Client::open(&server.uri(""), Settings { read_only: false, patience });
    assert!(open.unwrap_err().to_string().contains("no answer in"));
    assert!(start.elapsed() < 10 * patience, "{:?}", start.elapsed());
    signal("-CONT");
    client.read(&mut [0; 512], 0).unwrap();
}

#[test]
fn another_size_is_seen_when_the_server_comes_again() {
    let (_folder, socket) = folder();
    let mut server = Server::nbdkit(&socket, &["memory", "1M"]);
    let client = Client::open(&server.uri(""), settings(false)).unwrap();
    server.kill();
    let _server = Server::nbdkit(&socket, &["memory", "3M"]);
    client.read(&mut [0; 512], 0).unwrap();
    assert_eq!(client.size(), 3 << 20);
}

fn refused(uri: &Uri, read_only: bool) -> String {
    let patience = Duration::from_secs(2);
    Client::open(uri, Settings { read_only, patience }).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_a_volume_is_refused_with_what_to_do() {
    let (folder, socket) = folder();
    let nobody: Uri = format!("nbd+unix:///?socket={}", socket.display()).parse().unwrap();
    let said = refused(&nobody, false);
    assert!(said.contains("no server is there") && said.contains("start it"), "{said}");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let said = refused(&format!("nbd://127.0.0.1:{port}/x").parse().unwrap(), false);
    assert!(said.contains("no server is there"), "{said}");
    {
        let server = Server::qemu(&socket, &image(&folder, 1 << 20), &["--format=raw", "--read-only"]);
        let said = refused(&server.uri("other"), false);
        assert!(said.contains("no export `other`") && said.contains("there is `disk`"), "{said}");
        let said = refused(&server.uri("disk"), false);
        assert!(said.contains("read-only; add :ro"), "{said}");
        let client = Client::open(&server.uri("disk"), settings(true)).unwrap();
        client.read(&mut [0; 512], 0).unwrap();
        assert_eq!(client.write(&[0; 512], 0, false).unwrap_err().kind(), std::io::ErrorKind::ReadOnlyFilesystem);
    }
    {
        let server = Server::nbdkit(&socket, &["memory", "100"]);
        let said = refused(&server.uri(""), false);
        assert!(said.contains("100 bytes") && said.contains("make it larger"), "{said}");
    }
    {
        let keys = folder.path().join("keys");
        std::fs::write(&keys, format!("somebody:{}\n", "00".repeat(32))).unwrap();
        let psk = format!("--tls-psk={}", keys.display());
        let server = Server::nbdkit(&socket, &["--tls=require", &psk, "memory", "1M"]);
        let said = refused(&server.uri(""), false);
        assert!(said.contains("demands TLS") && said.contains("tunnel"), "{said}");
    }
    {
        let server = Server::nbdkit(&socket, &["--filter=blocksize-policy", "memory", "1M", "blocksize-minimum=4096"]);
        let said = refused(&server.uri(""), false);
        assert!(said.contains("blocks of 4096 bytes") && said.contains("--filter=blocksize"), "{said}");
    }
    {
        let mut command = Command::new("nbdkit");
        command.args(["-f", "--oldstyle", "-U"]).arg(&socket).args(["memory", "1M"]);
        let server = Server::start(command, &socket);
        let said = refused(&server.uri(""), false);
        assert!(said.contains("old protocol"), "{said}");
    }
}

/// A server that answers as a test wants.
fn fake(answer: &'static [u8]) -> Uri {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(answer);
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    format!("nbd://127.0.0.1:{port}/x").parse().unwrap()
}

#[test]
fn what_is_no_nbd_is_said_and_ends() {
    for (answer, why) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "greeting is not NBD's"),
        (b"", "no answer in"),
        (b"NBDMAGICIHAVEOPT\0\0", "old protocol"),
        (b"NBDMAGICIHAVEOPT\0\x03HTTP/1.1 400 Bad Request", "reply to an option is none"),
    ] {
        let said = refused(&fake(answer), false);
        assert!(said.contains(why), "{said}");
    }
    assert!(matches!("nbds://h/x".parse::<Uri>(), Err(Error::Tls { .. })));
}
