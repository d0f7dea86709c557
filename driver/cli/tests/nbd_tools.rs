//! What the NBD server offers, in the hands of other people's clients: libnbd's tools and QEMU's. The card is in software.

#![allow(clippy::unwrap_used)] // test helpers fail by panicking

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Child, Command, Stdio},
};

const SIZE: u64 = 16 << 20;

/// A server that is interrupted when the test is done with it.
struct Server {
    child: Child,
    /// As it has printed them.
    uris: Vec<String>,
}

impl Server {
    fn start(dir: &Path, socket: &str, volumes: &[&str]) -> Server {
        Self::of(Command::new(env!("CARGO_BIN_EXE_azote")), dir, socket, volumes)
    }

    fn of(mut command: Command, dir: &Path, socket: &str, volumes: &[&str]) -> Server {
        command.current_dir(dir).args(["--sim", "--soft", "nbd", "--listen", &format!("unix:{socket}")]);
        command.args(volumes.iter().flat_map(|volume| ["--volume", volume]));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let uris = volumes
            .iter()
            .map(|_| {
                let mut line = String::new();
                out.read_line(&mut line).unwrap();
                line.split_whitespace().nth(1).unwrap().to_owned()
            })
            .collect();
        child.stdout = Some(out.into_inner());
        Server { child, uris }
    }

    fn end(mut self) {
        let done = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(done.success() && self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the tools are there; `cargo xtask setup` installs them.
fn have(tools: &[&str]) -> bool {
    tools.iter().all(|tool| {
        let there = Command::new(tool).arg("--version").output().is_ok();
        if !there {
            eprintln!("skipped: {tool} is not installed");
        }
        there
    })
}

fn run(dir: &Path, tool: &str, args: &[&str]) -> String {
    let out = Command::new(tool).current_dir(dir).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{tool} {args:?}: {text}");
    text
}

fn qemu_io(dir: &Path, uri: &str, commands: &[&str]) {
    let mut args = vec!["-f", "raw", "-d", "unmap"];
    commands.iter().for_each(|command| args.extend(["-c", command]));
    let said = run(dir, "qemu-io", &[&args[..], &[uri]].concat());
    assert!(!said.contains("failed") && !said.contains("rror"), "{said}");
}

/// A sparse image: 64 KiB of data at the beginning and at 8 MiB.
fn sparse(path: &Path) -> Vec<u8> {
    let mut bytes = vec![0; SIZE as usize];
    let file = std::fs::File::create(path).unwrap();
    file.set_len(SIZE).unwrap();
    for at in [0usize, 8 << 20] {
        let data: Vec<u8> = (0..64 << 10).map(|i| (i / 512 * 7 + i + 1) as u8 | 1).collect();
        std::os::unix::fs::FileExt::write_all_at(&file, &data, at as u64).unwrap();
        bytes[at..at + data.len()].copy_from_slice(&data);
    }
    bytes
}

fn held(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().blocks() * 512
}

#[test]
fn everything_that_is_there_is_offered() {
    if !have(&["nbdinfo"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    sparse(&dir.path().join("a"));
    let server = Server::start(dir.path(), "s", &["a:ro", "a:ro"]);
    let writable = tempfile::tempdir().unwrap();
    sparse(&writable.path().join("b"));
    let other = Server::start(writable.path(), "s", &["b"]);
    let said = |dir: &Path, uri: &str| {
        run(dir, "nbdinfo", &[&uri.replace("socket=s", &format!("socket={}/s", dir.display()))])
    };
    let text = said(writable.path(), &other.uris[0]);
    for wanted in [
        "can_cache: false",
        "can_df: true",
        "can_fast_zero: true",
        "can_flush: true",
        "can_fua: true",
        "can_multi_conn: true",
        "can_trim: true",
        "can_zero: true",
        "is_read_only: false",
        "base:allocation",
        "using structured packets",
        "block_size_minimum: 512",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    let text = said(dir.path(), &server.uris[1]);
    for wanted in [
        "can_fua: false",
        "can_trim: false",
        "can_zero: false",
        "can_df: true",
        "is_read_only: true",
        "base:allocation",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    server.end();
    other.end();
}

#[test]
fn printed_uris_are_opened_as_they_are() {
    if !have(&["nbdinfo", "qemu-img"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // QEMU 10 decodes a socket's path twice, so that it can be given none with a percent sign or an ampersand.
    for (folder, tools) in [("a b=#?ü+", &["nbdinfo", "qemu-img"][..]), ("a b&c%20", &["nbdinfo"])] {
        let odd = dir.path().join(folder);
        std::fs::create_dir(&odd).unwrap();
        sparse(&odd.join("a"));
        let server = Server::start(&odd, odd.join("s +").to_str().unwrap(), &["a"]);
        let uri = server.uris[0].as_str();
        assert!(!uri.contains([' ', '#', '&']), "{uri}");
        for tool in tools {
            let arguments = if *tool == "nbdinfo" { ["--size", uri] } else { ["info", uri] };
            let said = run(&odd, tool, &arguments);
            assert!(said.contains(&SIZE.to_string()), "{tool} {uri}: {said}");
        }
        server.end();
    }
}

#[test]
fn holes_are_seen_and_kept_by_those_who_copy() {
    if !have(&["nbdinfo", "nbdcopy", "qemu-img"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let bytes = sparse(&at("a"));
    std::fs::write(at("b"), vec![0xff; SIZE as usize]).unwrap();
    let server = Server::start(dir.path(), at("s").to_str().unwrap(), &["a:ro", "b"]);
    let map = run(dir.path(), "nbdinfo", &["--map", &server.uris[0]]);
    let lines: Vec<Vec<&str>> = map.lines().map(|l| l.split_whitespace().collect()).collect();
    let wanted =
        [("0", "65536", "0"), ("65536", "8323072", "3"), ("8388608", "65536", "0"), ("8454144", "8323072", "3")];
    assert!(lines.iter().map(|l| (l[0], l[1], l[2])).eq(wanted), "{map}");
    let map = run(dir.path(), "qemu-img", &["map", "--output=json", "-f", "raw", &server.uris[0]]);
    assert_eq!(map.matches("\"zero\": true").count(), 2, "{map}");
    run(dir.path(), "nbdcopy", &[&server.uris[0], "out"]);
    run(dir.path(), "qemu-img", &["convert", "-f", "raw", "-O", "raw", &server.uris[0], "out2"]);
    // And into another: what was there is gone, and so is its space.
    run(dir.path(), "nbdcopy", &[&server.uris[0], &server.uris[1]]);
    run(dir.path(), "qemu-img", &["compare", "-f", "raw", "-F", "raw", &server.uris[0], &server.uris[1]]);
    server.end();
    for name in ["out", "out2", "b"] {
        assert!(std::fs::read(at(name)).unwrap() == bytes, "{name}");
        assert!(held(&at(name)) < SIZE / 4, "{name} holds {}", held(&at(name)));
    }
}

#[test]
fn what_is_discarded_is_given_back_and_what_is_zeroed_is_held_if_that_is_wanted() {
    if !have(&["qemu-io"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    std::fs::write(&path, vec![0xff; SIZE as usize]).unwrap();
    let server = Server::start(dir.path(), dir.path().join("s").to_str().unwrap(), &["a"]);
    let uri = &server.uris[0];
    qemu_io(dir.path(), uri, &["discard 0 4M", "flush"]);
    assert!(held(&path) <= SIZE - (4 << 20) + (64 << 10), "{}", held(&path));
    qemu_io(dir.path(), uri, &["write -z -u 4M 4M", "flush"]);
    assert!(held(&path) <= SIZE - (8 << 20) + (64 << 10), "{}", held(&path));
    let before = held(&path);
    qemu_io(dir.path(), uri, &["write -z 8M 4M", "write -z 0 1M", "flush"]);
    assert!(held(&path) >= before + (1 << 20), "zeroes that are to be held: {}", held(&path));
    qemu_io(dir.path(), uri, &["write -f -P 0x5a 12M 64k", "read -P 0x5a 12M 64k", "read -P 0 0 12M"]);
    server.end();
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes[..12 << 20].iter().all(|&b| b == 0) && bytes[12 << 20] == 0x5a && bytes[13 << 20] == 0xff);
}

#[test]
fn a_flush_of_a_client_is_an_fdatasync_of_the_image() {
    // The tracer is beside the program and not above it, which is so told to end like any other.
    let mut traced = Command::new("strace");
    traced.args(["-D", "-f", "-qq", "-e", "trace=fdatasync", "-o", "calls"]);
    if !have(&["qemu-io", "strace"]) {
        return;
    }
    let may = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: nothing may be traced here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), vec![0; SIZE as usize]).unwrap();
    traced.arg(env!("CARGO_BIN_EXE_azote"));
    let server = Server::of(traced, dir.path(), dir.path().join("s").to_str().unwrap(), &["a"]);
    let calls = || {
        let text = std::fs::read_to_string(dir.path().join("calls")).unwrap();
        text.lines().filter(|line| line.contains("fdatasync(") && line.ends_with("= 0")).count()
    };
    let uri = &server.uris[0];
    // A tracer writes what it has seen a moment later; a client's own flush at its end finds nothing new.
    let until = |wanted: usize| {
        (0..2000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            calls() == wanted
        })
    };
    qemu_io(dir.path(), uri, &["write -P 1 0 4k", "flush"]);
    assert!(until(1), "{} after a flush", calls());
    qemu_io(dir.path(), uri, &["write -P 2 0 4k", "flush", "flush", "flush"]);
    assert!(until(2), "{} after flushes, of which one found something", calls());
    qemu_io(dir.path(), uri, &["write -f -P 3 0 4k"]);
    assert!(until(3), "{} after FUA", calls());
    server.end();
}
