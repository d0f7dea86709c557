//! What becomes of a VF whose volume is a server's export, on the card's RTL: the server fails, is slow, stopped, killed under fio
//! and started anew, or is none; and what another VF notices of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod backing;

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::{fs::MetadataExt, net::UnixListener},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Instant,
};

use backing::{AZOTE, LONG, SIZE, backing, card, client, image, until, uri};

/// A command on a card with these volumes: whether it went well, and what it said.
fn azote(dir: &Path, arguments: &[&str]) -> (bool, String) {
    let out = Command::new(AZOTE).current_dir(dir).arg("--sim").args(arguments).output().unwrap();
    (out.status.success(), String::from_utf8(out.stderr).unwrap())
}

#[test]
fn errors_of_the_server_are_statuses_of_the_commands() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("data"), [1; 4096]).unwrap();
    let errors = ["--filter=error", "memory", "4M", "error=EIO", "error-pread-rate=100%", "error-pwrite-rate=100%"];
    let _server = backing(dir.path(), "back", "nbdkit", &errors);
    let volume = uri(dir.path(), "back", "");
    let (well, said) = azote(dir.path(), &["--volume", &volume, "read", "vf0", "--blocks", "8", "-o", "out"]);
    assert!(!well && said.contains("Unrecovered Read Error"), "{said}");
    let (well, said) = azote(dir.path(), &["--volume", &volume, "write", "vf0", "data"]);
    assert!(!well && said.contains("Write Fault"), "{said}");
    // Its own blocks are well, and so is another VF.
    drop(_server);
    let errors = ["--filter=error", "memory", "4M", "error=EIO", "error-zero-rate=100%"];
    let _server = backing(dir.path(), "back", "nbdkit", &errors);
    image(dir.path());
    let (_card, uris) = card(dir.path(), &["--volume", &volume, "--volume", "image"]);
    let (failing, other) = (client(&uris[0]), client(&uris[1]));
    failing.write(&[3; 8192], 0, true).unwrap();
    assert_eq!(failing.zero(4096, 4096, true).unwrap_err().raw_os_error(), Some(5));
    other.zero(4096, 4096, true).unwrap();
    let mut back = [0; 4096];
    failing.read(&mut back, 0).unwrap();
    assert_eq!(back, [3; 4096]);
}

#[test]
fn a_slow_server_answers_many_commands_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let delay = ["--filter=delay", "memory", "4M", "rdelay=100ms", "wdelay=100ms"];
    let _server = backing(dir.path(), "back", "nbdkit", &delay);
    let (card, uris) = card(dir.path(), &["--volume", &uri(dir.path(), "back", "")]);
    let vf = client(&uris[0]);
    std::thread::scope(|scope| {
        for worker in 0..16u8 {
            let vf = &vf;
            scope.spawn(move || {
                for block in (0..64u64).filter(|block| block % 16 == u64::from(worker)) {
                    vf.write(&[worker ^ block as u8; 4096], block * 4096, block % 5 == 0).unwrap();
                    let mut back = [0; 4096];
                    vf.read(&mut back, block * 4096).unwrap();
                    assert_eq!(back, [worker ^ block as u8; 4096]);
                }
            });
        }
    });
    drop(vf);
    assert!(card.interrupt());
}

#[test]
fn a_stopped_server_holds_its_own_vf_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    image(dir.path());
    let server = backing(dir.path(), "back", "nbdkit", &["memory", "4M"]);
    let volume = uri(dir.path(), "back", "") + ":timeout=60";
    let (card, uris) = card(dir.path(), &["--volume", &volume, "--volume", "image"]);
    let (held, other) = (client(&uris[0]), client(&uris[1]));
    held.write(&[7; 65536], 0, false).unwrap();
    assert!(server.signal("-STOP"));
    std::thread::scope(|scope| {
        let waits: Vec<_> = (0..8u64)
            .map(|i| {
                let held = &held;
                scope.spawn(move || {
                    let mut back = [0; 4096];
                    held.read(&mut back, i * 4096).map(|()| back)
                })
            })
            .collect();
        for block in 0..64u8 {
            other.write(&[block; 4096], u64::from(block) * 4096, block % 16 == 0).unwrap();
            let mut back = [0; 4096];
            other.read(&mut back, u64::from(block) * 4096).unwrap();
            assert_eq!(back, [block; 4096]);
        }
        assert!(waits.iter().all(|read| !read.is_finished()), "who answered?");
        assert!(server.signal("-CONT"));
        for read in waits {
            assert_eq!(read.join().unwrap().unwrap(), [7; 4096]);
        }
    });
    drop((held, other));
    assert!(card.interrupt());
}

#[test]
fn a_server_that_never_comes_back_is_given_up_by_the_cards_time_out() {
    let dir = tempfile::tempdir().unwrap();
    image(dir.path());
    let mut server = backing(dir.path(), "back", "nbdkit", &["memory", "4M"]);
    // The client would wait for longer than the test has.
    let volume = uri(dir.path(), "back", "") + ":timeout=600";
    let limit = ["--limit", "vf0:timeout=16ms"];
    let volumes = ["--volume", &volume, "--volume", "image"];
    let (_card, uris) = card(dir.path(), &[&volumes[..], &limit].concat());
    let (dead, other) = (client(&uris[0]), client(&uris[1]));
    dead.write(&[9; 4096], 0, true).unwrap();
    server.kill();
    let start = Instant::now();
    for _ in 0..2 {
        assert_eq!(dead.read(&mut [0; 4096], 0).unwrap_err().raw_os_error(), Some(5));
        assert_eq!(dead.write(&[1; 4096], 8192, false).unwrap_err().raw_os_error(), Some(5));
        other.write(&[1; 4096], 0, true).unwrap();
    }
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
}

#[test]
fn fio_verifies_what_it_wrote_while_the_server_was_killed_and_started_anew() {
    let dir = tempfile::tempdir().unwrap();
    // A format with tables in memory, which a killed server has not written.
    let made =
        Command::new("qemu-img").current_dir(dir.path()).args(["create", "-q", "-f", "qcow2", "image", "8M"]).status();
    assert!(made.unwrap().success());
    let start = || backing(dir.path(), "back", "qemu-nbd", &["--format=qcow2", "--cache=writeback", "image"]);
    let mut server = start();
    let (card, uris) = card(dir.path(), &["--volume", &(uri(dir.path(), "back", "disk") + ":timeout=60")]);
    let mut fio = Command::new("fio");
    fio.current_dir(dir.path()).args(["--name=verify", "--ioengine=nbd", "--rw=randwrite", "--bs=4k", "--size=8M"]);
    fio.args(["--iodepth=16", "--fsync=64", "--verify=crc32c", "--verify_fatal=1", "--randseed=7"]);
    fio.arg(format!("--uri={}", uris[0])).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut fio = fio.spawn().expect("fio is there: `cargo xtask setup` installs it");
    // Each time when so much more of it has reached the image.
    let allocated = || std::fs::metadata(dir.path().join("image")).unwrap().blocks() * 512;
    for part in [1, 3, 5, 7] {
        until("the image grows", || allocated() >= part << 20);
        assert!(fio.try_wait().unwrap().is_none(), "fio has ended before the server was killed");
        server.kill();
        server = start();
    }
    let mut fio = backing::Process(fio);
    until("fio ends", || fio.0.try_wait().unwrap().is_some());
    let (mut out, mut err) = (String::new(), String::new());
    fio.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    fio.0.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert!(fio.0.wait().unwrap().success() && err.is_empty(), "{out}\n{err}");
    // Written whole, and read back whole to be verified.
    assert!(out.contains("WRITE:") && out.contains("READ:") && out.matches("io=8192KiB").count() == 2, "{out}");
    assert!(card.interrupt());
    drop(server);
}

#[test]
fn a_server_that_ends_in_the_middle_of_a_handshake_is_no_server() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("back");
    // What a server says at most before it is gone: nothing, half of the greeting, the greeting, half of an answer.
    let greeting = b"NBDMAGICIHAVEOPT\0\x03";
    let answer = [&greeting[..], b"\0\x03\xe8\x89\x04\x55\x65\xa9"].concat();
    let says = [&b""[..], &greeting[..9], greeting, &answer];
    let fake = |count: &AtomicU32, enough: u32| {
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        while count.load(Ordering::SeqCst) < enough {
            let (mut stream, _) = listener.accept().unwrap();
            let said = says[count.fetch_add(1, Ordering::SeqCst) as usize % says.len()];
            let _ = stream.write_all(said);
        }
    };
    let volume = uri(dir.path(), "back", "");
    let count = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| fake(&count, says.len() as u32));
        until("it listens", || path.exists());
        for said in says {
            let start = Instant::now();
            let (well, text) = azote(dir.path(), &["--soft", "--volume", &volume, "list"]);
            assert!(!well && text.contains("nbd+unix") && start.elapsed() < LONG, "{said:?}: {text}");
            assert!(text.trim().lines().count() <= 4, "{text}");
        }
    });
    // One that was there is away, comes as such a one for a while, and then as it was. Nobody but who waits notices.
    let mut server = backing(dir.path(), "back", "nbdkit", &["memory", "4M"]);
    let (card, uris) = card(dir.path(), &["--volume", &(volume + ":timeout=60")]);
    let vf = client(&uris[0]);
    vf.write(&[5; 4096], 4096, false).unwrap();
    server.kill();
    count.store(0, Ordering::SeqCst);
    std::thread::scope(|scope| {
        scope.spawn(|| fake(&count, 2 * says.len() as u32));
        let read = scope.spawn(|| {
            let mut back = [0; 4096];
            vf.read(&mut back, 4096).map(|()| back)
        });
        until("all are tried", || count.load(Ordering::SeqCst) == 2 * says.len() as u32);
        assert!(!read.is_finished());
        server = backing(dir.path(), "back", "nbdkit", &["memory", "4M"]);
        // What it had forgotten was written again.
        assert_eq!(read.join().unwrap().unwrap(), [5; 4096]);
    });
    drop(vf);
    assert!(card.interrupt());
}

#[test]
fn a_server_that_comes_again_smaller_fails_what_is_gone_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = backing(dir.path(), "back", "nbdkit", &["memory", "4M"]);
    let (_card, uris) = card(dir.path(), &["--volume", &uri(dir.path(), "back", "")]);
    let vf = client(&uris[0]);
    vf.write(&[5; 4096], 0, true).unwrap();
    for (size, last_is_there) in [("2M", false), ("8M", true)] {
        server.kill();
        server = backing(dir.path(), "back", "nbdkit", &["memory", size]);
        vf.write(&[6; 4096], 0, true).unwrap();
        let last = vf.write(&[6; 4096], SIZE - 4096, true);
        assert_eq!(last.is_ok(), last_is_there, "{size}: {last:?}");
        assert_eq!(vf.read(&mut [0; 4096], SIZE - 4096).is_ok(), last_is_there, "{size}");
    }
}

#[test]
fn a_function_that_is_served_has_the_size_with_which_its_server_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = backing(dir.path(), "back", "nbdkit", &["memory", "4M"]);
    let volume = uri(dir.path(), "back", "");
    let mut serve = Command::new(AZOTE);
    serve.current_dir(dir.path()).args(["--sim", "--volume", &volume, "--volume", &format!("{volume}:size=1M")]);
    let serve = serve.args(["serve", "--socket-dir", "."]).stdout(Stdio::piped()).spawn().unwrap();
    let mut serve = backing::Process(serve);
    let mut said = String::new();
    let mut out = BufReader::new(serve.0.stdout.take().unwrap());
    while out.read_line(&mut said).unwrap() > 0 && !said.contains("Ctrl-C") {}
    serve.0.stdout = Some(out.into_inner());
    let vf = |command: &str, vf: &str, more: &[&str]| {
        let target = format!("vfio-user:{}", dir.path().join(vf).display());
        let out = Command::new(AZOTE).current_dir(dir.path()).args([command, &target]).args(more).output().unwrap();
        (out.status.success(), String::from_utf8(out.stdout).unwrap() + &String::from_utf8(out.stderr).unwrap())
    };
    let bytes = |of: &str| {
        let (well, text) = vf("id", of, &["--json"]);
        assert!(well, "{text}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["namespace"]["bytes"].as_u64().unwrap()
    };
    assert_eq!((bytes("vf0.sock"), bytes("vf1.sock")), (SIZE, 1 << 20));
    for size in [8u64 << 20, 2 << 20, 2 << 20] {
        server.kill();
        server = backing(dir.path(), "back", "nbdkit", &["memory", &size.to_string()]);
        // It is seen by who asks the server for something.
        let (well, text) = vf("read", "vf0.sock", &["-o", "out"]);
        assert!(well, "{text}");
        until("the namespace has the new size", || bytes("vf0.sock") == size);
        let last = (size / 512 - 1).to_string();
        let (well, text) = vf("read", "vf0.sock", &["--lba", &last, "-o", "out"]);
        assert!(well, "{text}");
        // What was to have a size keeps it.
        assert_eq!(bytes("vf1.sock"), 1 << 20);
    }
    assert!(serve.interrupt());
}
