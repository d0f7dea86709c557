//! The commands over the root complex of the simulation, with a card in software behind it: all of the path but the RTL.

#![allow(clippy::unwrap_used)] // test helpers fail by panicking

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

const SIZE: usize = 2 << 20;

fn azote(dir: &Path, args: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_azote"));
    c.current_dir(dir).args(["--sim", "--soft"]).args(args);
    c
}

fn ok(out: &Output) -> String {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn disk(seed: u8) -> Vec<u8> {
    (0..SIZE).map(|i| (i / 512 * 7 + i) as u8 ^ seed).collect()
}

/// A folder with two images.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.img"), disk(1)).unwrap();
    std::fs::write(dir.path().join("b.img"), disk(2)).unwrap();
    dir
}

/// A server that is interrupted, as Ctrl-C does it, when the test is done with it.
struct Server(Child, PathBuf);

impl Server {
    fn start(dir: &Path, args: &[&str], exports: usize) -> Self {
        let mut child =
            azote(dir, &[&["nbd", "--listen", "unix:s"], args].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        for _ in 0..exports {
            line.clear();
            out.read_line(&mut line).unwrap();
            assert!(line.contains("nbd+unix:///vf"), "{line}");
        }
        child.stdout = Some(out.into_inner());
        Self(child, dir.join("s"))
    }

    fn uri(&self, export: &str) -> String {
        format!("nbd+unix:///{export}?socket={}", self.1.display())
    }

    /// What it says when it ends.
    fn end(mut self) -> String {
        let done = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().unwrap();
        assert!(done.success());
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(self.0.wait().unwrap().success());
        assert!(!self.1.exists(), "the socket is removed");
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `end` there is nothing left to kill; after a failure there is.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn tool(name: &str, args: &[&str]) -> bool {
    match Command::new(name).args(args).output() {
        Err(_) => {
            eprintln!("skipped: {name} is not installed");
            false
        }
        Ok(out) => {
            assert!(out.status.success(), "{name} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
            true
        }
    }
}

#[test]
fn every_function_is_listed_with_its_volume() {
    let dir = folder();
    let text = ok(&azote(dir.path(), &["--volume", "a.img", "--volume", "b.img:ro", "list"]).output().unwrap());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 1 + 3 + 4, "{text}");
    assert!(text.contains("VF 0      enabled     0: a.img (2.00 MiB)"), "{text}");
    assert!(text.contains("VF 1      enabled     1: b.img (2.00 MiB, read-only)"), "{text}");
    assert!(text.contains("4 of 4 VFs"), "{text}");
}

#[test]
fn limits_are_set_and_shown_and_wrong_ones_end_it_before_the_card_is_made() {
    let dir = folder();
    let limits = [
        "--volume",
        "a.img",
        "--volume",
        "b.img",
        "--limit",
        "vf0:iops=5000:weight=4:timeout=17ms",
        "--limit",
        "vf2:mbps=9",
    ];
    let list = ok(&azote(dir.path(), &[&limits[..], &["list"]].concat()).output().unwrap());
    assert!(
        list.contains("0: a.img (2.00 MiB, 4997 IOPS, weight 4, time-out 32 ms)")
            && list.contains("1: b.img (2.00 MiB)"),
        "{list}"
    );
    let list = ok(&azote(dir.path(), &[&limits[..], &["list", "--json"]].concat()).output().unwrap());
    assert!(list.contains("\"timeout_ms\":32") && list.contains("\"timeout_ms\":null"), "{list}");
    let shown = |vf: &str| ok(&azote(dir.path(), &[&limits[..], &["stats", vf]].concat()).output().unwrap());
    assert!(shown("vf0").contains("limits             4997 IOPS, weight 4, time-out 32 ms\n"));
    assert!(shown("vf1").contains("limits             none\n"));
    assert!(shown("vf2").contains("limits             8.9 MB/s\n"));
    for (limit, said) in [
        ("vf9:iops=5000", "azote: --limit vf9: the card has 4 VFs; give --vfs 10 or more\n"),
        ("vf0:timeout=66s", "timeout=`66s`: expected 1ms to 65520ms, or in whole seconds 2s\n"),
        ("vf0:iops=4", "iops=4 is less than the card can count; the least is 5\n"),
    ] {
        let out = azote(dir.path(), &["--limit", limit, "list"]).output().unwrap();
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(2) && text.contains(said), "{limit}: {text}");
    }
}

#[test]
fn a_file_is_copied_onto_a_vf_and_off_it() {
    let dir = folder();
    let path = |name: &str| dir.path().join(name);
    ok(&azote(dir.path(), &["--volume", "a.img", "copy", "b.img", "vf0"]).output().unwrap());
    assert!(std::fs::read(path("a.img")).unwrap() == disk(2));
    ok(&azote(dir.path(), &["--volume", "a.img:ro", "copy", "vf0", "out"]).output().unwrap());
    assert!(std::fs::read(path("out")).unwrap() == disk(2));
    let out = azote(dir.path(), &["--volume", "a.img:ro", "copy", "b.img", "vf0"]).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    let out = azote(dir.path(), &["--volume", "a.img", "id", "vf4"]).output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(
        (out.status.code(), text.as_str()),
        (Some(2), "azote: no function vf4: this card has pf and vf0 to vf3\n")
    );
}

#[test]
fn one_export_is_read_while_another_is_written() {
    let dir = folder();
    let server = Server::start(dir.path(), &["--volume", "a.img", "--volume", "b.img"], 2);
    let (from, to) = (server.uri("vf0"), server.uri("vf1"));
    let out = dir.path().join("out");
    let source = dir.path().join("source");
    std::fs::write(&source, disk(9)).unwrap();
    let (o, s) = (out.to_str().unwrap().to_owned(), source.to_str().unwrap().to_owned());
    let reader = std::thread::spawn(move || tool("qemu-img", &["convert", "-f", "raw", "-O", "raw", &from, &o]));
    let written = tool("qemu-img", &["convert", "-n", "-f", "raw", "-O", "raw", &s, &to]);
    let read = reader.join().unwrap();
    let text = server.end();
    assert!(text.contains("vf0: ") && text.contains("simulated: "), "{text}");
    if read && written {
        assert!(std::fs::read(&out).unwrap() == disk(1));
        assert!(std::fs::read(dir.path().join("b.img")).unwrap() == disk(9));
        assert!(std::fs::read(dir.path().join("a.img")).unwrap() == disk(1));
    }
}

#[test]
fn a_client_that_is_killed_leaves_a_server_that_serves_and_an_image_that_is_whole() {
    let dir = folder();
    let server = Server::start(dir.path(), &["--volume", "a.img"], 1);
    let mut s = UnixStream::connect(&server.1).unwrap();
    // A handshake, and a write that ends in its middle.
    s.write_all(b"\0\0\0\x03IHAVEOPT\0\0\0\x01\0\0\0\x03vf0").unwrap();
    let mut hello = [0; 28];
    s.read_exact(&mut hello).unwrap();
    s.write_all(b"\x25\x60\x95\x13\0\0\0\x01").unwrap();
    s.write_all(&[0; 16]).unwrap();
    s.write_all(&4096u32.to_be_bytes()).unwrap();
    s.write_all(&[0xbb; 999]).unwrap();
    drop(s);
    let uri = server.uri("vf0");
    let out = dir.path().join("out");
    let copied = tool("nbdcopy", &[&uri, out.to_str().unwrap()]);
    let text = server.end();
    assert!(text.contains("0 errors"), "{text}");
    assert!(std::fs::read(dir.path().join("a.img")).unwrap() == disk(1));
    assert!(!copied || std::fs::read(&out).unwrap() == disk(1));
}
