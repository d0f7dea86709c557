//! The program `azote` on the card simulated from its RTL, as a user has it: a file comes off a virtual function, goes onto
//! one, and is read back over NBD; a client that is killed in the middle damages nothing.

#![allow(clippy::unwrap_used)] // test helpers fail by panicking

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const SIZE: usize = 1 << 20;

fn azote(dir: &Path, args: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_azote"));
    c.current_dir(dir).arg("--sim").args(args);
    c
}

fn ok(out: &Output) -> String {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn disk(seed: usize) -> Vec<u8> {
    (0..SIZE).map(|i| (i / 512 * 7 + i * (seed + 1)) as u8).collect()
}

fn read(dir: &Path, name: &str) -> Vec<u8> {
    std::fs::read(dir.join(name)).unwrap()
}

/// A server that is interrupted, as Ctrl-C does it, at the end of its test.
struct Server(Child);

impl Server {
    fn start(dir: &Path, args: &[&str], exports: usize) -> Server {
        let mut child =
            azote(dir, &[&["nbd", "--listen", "unix:s"], args].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        for _ in 0..exports {
            let mut line = String::new();
            out.read_line(&mut line).unwrap();
            assert!(line.contains("nbd+unix:///vf"), "{line}");
        }
        child.stdout = Some(out.into_inner());
        Server(child)
    }

    fn end(mut self) {
        let done = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().unwrap();
        assert!(done.success() && self.0.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `end` there is nothing left to kill; after a failure there is.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether the tool is there; `cargo xtask test` installs it.
fn is_there(name: &str) -> bool {
    let there = Command::new(name).arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped: {name} is not installed");
    }
    there
}

#[test]
fn a_file_comes_off_a_vf_and_another_goes_onto_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("a.img"), disk(1)).unwrap();
    std::fs::write(dir.join("b.img"), disk(2)).unwrap();
    ok(&azote(dir, &["--volume", "a.img:ro", "copy", "--quiet", "vf0", "out.img"]).output().unwrap());
    assert!(read(dir, "out.img") == disk(1));
    ok(&azote(dir, &["--volume", "a.img", "copy", "--quiet", "b.img", "vf0"]).output().unwrap());
    assert!(read(dir, "a.img") == disk(2) && read(dir, "b.img") == disk(2));
    let text = ok(&azote(dir, &["--volume", "a.img:ro", "list"]).output().unwrap());
    assert!(text.contains("VF 0      enabled     0: a.img (1.00 MiB, read-only)"), "{text}");
    // What the volume does not allow is refused by name, and changes nothing.
    let refused = azote(dir, &["--volume", "a.img:ro", "copy", "--quiet", "out.img", "vf0"]).output().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("read-only") && text.lines().count() == 1, "{text}");
    assert!(read(dir, "a.img") == disk(2));
}

#[test]
fn what_nbd_wrote_to_one_vf_is_read_back_while_another_is_copied() {
    if !is_there("nbdcopy") || !is_there("qemu-img") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("a.img"), disk(1)).unwrap();
    std::fs::write(dir.join("b.img"), vec![0; SIZE]).unwrap();
    std::fs::write(dir.join("source"), disk(3)).unwrap();
    let server = Server::start(dir, &["--volume", "a.img:ro", "--volume", "b.img"], 2);
    let uri = |export: &str| format!("nbd+unix:///{export}?socket={}", dir.join("s").display());
    let mut reader = Command::new("qemu-img");
    reader.current_dir(dir).args(["convert", "-f", "raw", "-O", "raw", &uri("vf0"), "out"]);
    let mut reader = reader.spawn().unwrap();
    let written = Command::new("nbdcopy").current_dir(dir).args(["source", &uri("vf1")]).output().unwrap();
    ok(&written);
    assert!(reader.wait().unwrap().success());
    ok(&Command::new("nbdcopy").current_dir(dir).args([&uri("vf1"), "back"]).output().unwrap());
    server.end();
    assert!(read(dir, "out") == disk(1) && read(dir, "a.img") == disk(1));
    assert!(read(dir, "back") == disk(3) && read(dir, "b.img") == disk(3));
}

#[test]
fn a_client_killed_in_the_middle_of_a_copy_leaves_a_card_that_works() {
    if !is_there("nbdcopy") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("a.img"), vec![0; 16 * SIZE]).unwrap();
    std::fs::write(dir.join("source"), disk(4).repeat(16)).unwrap();
    let server = Server::start(dir, &["--volume", "a.img"], 1);
    let uri = format!("nbd+unix:///vf0?socket={}", dir.join("s").display());
    let mut client = Command::new("nbdcopy").current_dir(dir).args(["source", &uri]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(150));
    client.kill().unwrap();
    client.wait().unwrap();
    ok(&Command::new("nbdcopy").current_dir(dir).args(["source", &uri]).output().unwrap());
    server.end();
    assert!(read(dir, "a.img") == disk(4).repeat(16));
}

#[test]
fn a_compiled_model_is_loaded_without_its_tools() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), disk(0)).unwrap();
    let mut compile = Command::new(env!("CARGO_BIN_EXE_azote"));
    compile.current_dir(dir.path()).args(["model", "--portable", "--output", "card.so"]);
    ok(&compile.output().unwrap());
    let mut read =
        azote(dir.path(), &["--volume", "a", "--model", "card.so", "read", "vf0", "--blocks", "8", "-o", "b"]);
    ok(&read.env("PATH", "").output().unwrap());
    assert_eq!(self::read(dir.path(), "b"), disk(0)[..8 * 512]);
    // The facts of its build stand behind it, and what is not whole is a line and no signal.
    let mut show = Command::new(env!("CARGO_BIN_EXE_azote"));
    let facts = ok(&show.current_dir(dir.path()).args(["model", "--show", "card.so"]).output().unwrap());
    assert!(facts.contains("\"top\":\"azote_card\"") && facts.contains("\"processor\":null"), "{facts}");
    let model = self::read(dir.path(), "card.so");
    std::fs::write(dir.path().join("cut.so"), &model[..model.len() / 2]).unwrap();
    let mut damaged = model.clone();
    damaged[model.len() / 2] ^= 0x10;
    std::fs::write(dir.path().join("damaged.so"), damaged).unwrap();
    for (name, why) in [("a", "it is no model"), ("cut.so", "it is no model"), ("damaged.so", "it is damaged")] {
        let output = azote(dir.path(), &["--volume", "a", "--model", name, "list"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(&format!("{name}: {why}")), "{said}");
        assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    }
}

#[test]
fn a_changed_rtl_runs_and_one_that_breaks_a_gate_is_refused_with_the_message() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), disk(0)).unwrap();
    let mut print = Command::new(env!("CARGO_BIN_EXE_azote"));
    let output = print.current_dir(dir.path()).args(["verilog", "-o", "card.v"]).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(self::read(dir.path(), "card.v")).unwrap();
    // A register that is one bit wider than what goes into it.
    let (before, after) = text.split_once("  logic [4:0] st_q;").unwrap();
    std::fs::write(dir.path().join("wide.v"), format!("{before}  logic [5:0] st_q;{after}")).unwrap();
    let output = azote(dir.path(), &["--volume", "a", "--verilog", "wide.v", "list"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let said = said.lines().last().unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("lint gate") && said.contains("Warning-WIDTH: azote_card.v:"), "{said}");
    // The same text unchanged is the card itself, whose model is there already.
    let listed = ok(&azote(dir.path(), &["--volume", "a", "--verilog", "card.v", "list"]).output().unwrap());
    assert!(listed.contains("VF 0"), "{listed}");
}

#[test]
fn two_cards_ping_each_other_over_a_wire() {
    let dir = tempfile::tempdir().unwrap();
    let words = |line: &'static str| line.split(' ').collect::<Vec<_>>();
    // It answers while it asks somebody who is not there.
    let asks = words("--eth socket:wire net ping vf1 10.0.0.9 --from 10.0.0.1/24 --interval 100");
    let mut answers = azote(dir.path(), &asks).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = std::time::Instant::now();
    while !dir.path().join("wire").exists() {
        assert!(begun.elapsed().as_secs() < 600, "it does not listen: the model is compiled for minutes at most");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let line = "--eth socket:wire net ping vf0 10.0.0.1 --from 10.0.0.2/24 -c 3 -i 10 -s 1000 -W 20000";
    let asked = azote(dir.path(), &words(line)).output().unwrap();
    answers.kill().unwrap();
    answers.wait().unwrap();
    let text = ok(&asked);
    assert!(text.contains("3 packets transmitted, 3 received, 0% packet loss"), "{text}");
}
