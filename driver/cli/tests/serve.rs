//! `azote serve`, and the other commands on what it serves.

#![allow(clippy::unwrap_used, clippy::expect_used)] // test helpers fail by panicking

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

struct Served {
    child: Child,
    out: BufReader<ChildStdout>,
    greeting: String,
}

fn serve(args: &[&str]) -> Served {
    let mut child = Command::new(env!("CARGO_BIN_EXE_azote"))
        .args(["--sim", "--soft"])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut greeting = String::new();
    // Until it says that it is ready, or has failed.
    while out.read_line(&mut greeting).unwrap() > 0 && !greeting.contains("Ctrl-C") {}
    Served { child, out, greeting }
}

impl Served {
    /// Ends it as a person does, and returns what it says then.
    fn end(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        rest
    }

    fn fails(mut self) -> String {
        assert!(!self.child.wait().unwrap().success());
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    }
}

/// A test that fails leaves no server behind.
impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn azote(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_azote")).args(args).output().unwrap()
}

fn succeeds(args: &[&str]) -> String {
    let out = azote(args);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn fails(args: &[&str]) -> String {
    let out = azote(args);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && text.lines().count() == 1, "{text}");
    text
}

fn image(dir: &Path, name: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, vec![name.as_bytes()[0]; 1 << 20]).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn functions_are_served_driven_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (image(dir.path(), "a.img"), image(dir.path(), "b.img"));
    let sockets = dir.path().join("sockets");
    let folder = sockets.to_str().unwrap();
    let served = serve(&["--volume", &a, "--volume", &b, "serve", "--socket-dir", folder]);
    let (vf0, vf1) = (sockets.join("vf0.sock"), sockets.join("vf1.sock"));
    for wanted in
        ["vf0: ", "vf1: ", "1af4:10f1", "vfio-user-pci", "x-msg-timeout", "share=on", "azote run --user-device"]
    {
        assert!(served.greeting.contains(wanted), "{wanted}: {}", served.greeting);
    }
    let target = |path: &Path| format!("vfio-user:{}", path.display());
    assert!(succeeds(&["id", &target(&vf0)]).contains("2048 blocks"));
    let data = dir.path().join("data");
    std::fs::write(&data, vec![0x77; 8192]).unwrap();
    succeeds(&["write", &target(&vf1), "--lba", "16", data.to_str().unwrap()]);
    let back = dir.path().join("back");
    succeeds(&["read", &target(&vf1), "--lba", "15", "--blocks", "2", "-o", back.to_str().unwrap()]);
    assert_eq!(std::fs::read(&back).unwrap(), [vec![b'b'; 512], vec![0x77; 512]].concat());
    // A second server at the same place, and one with the same volume.
    let c = image(dir.path(), "c.img");
    let again = serve(&["--volume", &c, "serve", "--socket-dir", folder]).fails();
    assert!(again.contains("somebody listens there"), "{again}");
    let elsewhere = dir.path().join("elsewhere");
    let again = serve(&["--volume", &a, "serve", "--socket-dir", elsewhere.to_str().unwrap()]).fails();
    assert!(again.contains("a.img: is in use by process"), "{again}");
    succeeds(&["id", &target(&vf0)]);
    let counted = served.end();
    for wanted in ["vf0: 2 client(s)", "vf1: 2 client(s)", "by mapped memory", "clocks"] {
        assert!(counted.contains(wanted), "{wanted}: {counted}");
    }
    assert!(!vf0.exists() && !vf1.exists());
    let gone = fails(&["id", &target(&vf0)]);
    assert!(gone.contains("vf0.sock") && gone.contains("azote serve"), "{gone}");
}

#[test]
fn sockets_can_have_places_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let a = image(dir.path(), "a.img");
    let path = dir.path().join("disk");
    let served = serve(&["--volume", &a, "serve", "--socket", &format!("vf0={}", path.display())]);
    assert!(succeeds(&["id", &format!("vfio-user:{}", path.display())]).contains("2048 blocks"));
    assert!(served.end().contains("vf0: 1 client(s)"));
}

/// A line of JSON.
fn object(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))
}

#[test]
fn servers_have_their_facts_for_programs() {
    let dir = tempfile::tempdir().unwrap();
    let a = image(dir.path(), "a.img");
    let path = dir.path().join("disk");
    let start = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_azote"));
        let mut child = command.args(["--sim", "--soft"]).args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        out.read_line(&mut greeting).unwrap();
        Served { child, out, greeting }
    };
    let volume = format!("{a}:ro");
    let socket = format!("vf0={}", path.display());
    let served = start(&["--volume", &volume, "serve", "--json", "--socket", &socket]);
    let said = object(&served.greeting);
    assert_eq!((&said["event"], &said["function"]), (&"start".into(), &"vf0".into()));
    assert_eq!((&said["socket"], &said["device"]), (&path.to_str().unwrap().into(), &"10f1".into()));
    assert_eq!((&said["volume"]["bytes"], &said["volume"]["read_only"]), (&(1 << 20).into(), &true.into()));
    succeeds(&["id", &format!("vfio-user:{}", path.display())]);
    let rest = served.end();
    let said = object(rest.trim_end());
    assert_eq!((rest.lines().count(), &said["event"], &said["clients"]), (1, &"end".into(), &1.into()));
    let listen = format!("unix:{}", dir.path().join("s").display());
    let served = start(&["--volume", &volume, "nbd", "--json", "--listen", &listen]);
    let said = object(&served.greeting);
    assert_eq!((&said["event"], &said["export"]), (&"start".into(), &"vf0".into()));
    assert_eq!((&said["bytes"], &said["read_only"]), (&(1 << 20).into(), &true.into()));
    assert!(said["uri"].as_str().unwrap().starts_with("nbd+unix:///vf0?socket="), "{said}");
    let rest = served.end();
    let said = object(rest.trim_end());
    assert_eq!((rest.lines().count(), &said["event"], &said["errors"]), (1, &"end".into(), &0.into()));
    assert_eq!(said["latency"]["unit"], "clocks");
}

#[test]
fn what_cannot_be_served_is_said_in_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let a = image(dir.path(), "a.img");
    let folder = dir.path().to_str().unwrap();
    for (args, wanted) in [
        (&["serve", "--socket-dir", folder][..], "nothing to export"),
        (&["serve", "vf59", "--socket-dir", folder], "vf59"),
        (&["serve", "01:00.0", "--socket-dir", folder], "name functions as vf0"),
        (&["--volume", &a, "serve", "vf0", "--socket", "vf0=/x"], "--socket-dir"),
        (&["--volume", &a, "serve", "--socket", "vf0=/no/such/folder/s"], "/no/such/folder/s"),
        (&["--volume", &a, "serve", "--socket", "vf0=/x", "--socket", "vf0=/y"], "twice"),
        (&["--volume", &a, "serve", "--socket-dir", &a], "a.img"),
        (&["id", "vfio-user:/x"], "leave out --sim"),
    ] {
        let text = serve(args).fails();
        assert!(text.contains(wanted), "{args:?}: {text}");
    }
    assert!(fails(&["serve", "--socket-dir", folder]).contains("--sim"));
}
