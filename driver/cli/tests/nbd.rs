//! The NBD server over the NVMe driver over a software controller, with the clients that people use and one that misbehaves.

#![allow(clippy::unwrap_used)] // test helpers fail by panicking

#[path = "../../nvme/tests/model/mod.rs"]
mod model;

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use azote_cli::nbd::{Engine, Export, Listen, Server, Stats, Stop};
use azote_dma::{Dma, Pages};
use azote_nvme::{Completions, Controller, Options};
use azote_seam::mock::Mock;
use model::Model;

const SIZE: usize = 8 << 20;

fn disk(seed: u8) -> Vec<u8> {
    (0..SIZE).map(|i| ((i / 512) as u8).wrapping_mul(31).wrapping_add(i as u8) ^ seed).collect()
}

/// A server with a few exports on a unix socket in its own folder.
struct Rig {
    dir: tempfile::TempDir,
    models: Vec<Arc<Mock<Model>>>,
    engines: Vec<Engine>,
    stop: Stop,
    thread: JoinHandle<()>,
    listen: Listen,
}

impl Rig {
    fn new(disks: Vec<Vec<u8>>) -> Self {
        Self::with(disks, |_| {})
    }

    fn with(disks: Vec<Vec<u8>>, change: fn(&mut Model)) -> Self {
        Self::patient(disks, Duration::from_millis(20), change)
    }

    fn patient(disks: Vec<Vec<u8>>, timeout: Duration, change: fn(&mut Model)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listen = Listen::Unix(dir.path().join("nbd.sock"));
        let (mut models, mut exports, mut engines) = (vec![], vec![], vec![]);
        for (i, disk) in disks.into_iter().enumerate() {
            let mut model = Model::new(disk);
            change(&mut model);
            let f = model.function();
            let dma = Dma::at(8 << 20, Pages::Small, 0x1_0000_0000).unwrap();
            let options = Options { completions: Completions::Interrupts, timeout, ..Options::default() };
            let controller = Controller::open(f.clone(), dma, options).unwrap();
            let (export, engine) = Export::start(&format!("vf{i}"), "a test", controller).unwrap();
            models.push(f);
            exports.push(export);
            engines.push(engine);
        }
        let server = Server::bind(&listen).unwrap();
        let stop = Stop::default();
        let handle = stop.clone();
        let thread = std::thread::spawn(move || server.serve(exports, &handle));
        Self { dir, models, engines, stop, thread, listen }
    }

    fn uri(&self, export: &str) -> String {
        self.listen.uri(export)
    }

    fn connect(&self, export: &str) -> UnixStream {
        let Listen::Unix(path) = &self.listen else { panic!("not a unix socket") };
        let mut s = UnixStream::connect(path).unwrap();
        s.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut hello = [0; 18];
        s.read_exact(&mut hello).unwrap();
        s.write_all(&3u32.to_be_bytes()).unwrap();
        s.write_all(b"IHAVEOPT\0\0\0\x01").unwrap();
        s.write_all(&(export.len() as u32).to_be_bytes()).unwrap();
        s.write_all(export.as_bytes()).unwrap();
        let mut answer = [0; 10];
        s.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..8], (SIZE as u64).to_be_bytes());
        s
    }

    fn end(self) -> Vec<Stats> {
        self.stop.stop();
        self.thread.join().unwrap();
        self.engines.into_iter().map(|e| e.join().unwrap().1).collect()
    }
}

fn request(kind: u16, cookie: u64, offset: u64, len: u32, data: &[u8]) -> Vec<u8> {
    flagged(0, kind, cookie, offset, len, data)
}

fn flagged(flags: u16, kind: u16, cookie: u64, offset: u64, len: u32, data: &[u8]) -> Vec<u8> {
    let mut out = 0x2560_9513u32.to_be_bytes().to_vec();
    out.extend(flags.to_be_bytes());
    out.extend(kind.to_be_bytes());
    out.extend(cookie.to_be_bytes());
    out.extend(offset.to_be_bytes());
    out.extend(len.to_be_bytes());
    out.extend(data);
    out
}

/// The error and cookie of the next reply.
fn reply(s: &mut UnixStream) -> (u32, u64) {
    let mut head = [0; 16];
    s.read_exact(&mut head).unwrap();
    assert_eq!(head[..4], 0x6744_6698u32.to_be_bytes());
    (u32::from_be_bytes(head[4..8].try_into().unwrap()), u64::from_be_bytes(head[8..].try_into().unwrap()))
}

fn have(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok_and(|o| o.status.success());
    if !found {
        eprintln!("skipped: {tool} is not installed");
    }
    found
}

fn run(tool: &str, args: &[&str]) -> String {
    let out = Command::new(tool).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{tool} {args:?}: {text}{}", String::from_utf8_lossy(&out.stderr));
    text
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().unwrap().to_owned()
}

#[test]
fn qemu_img_copies_out_and_compares() {
    if !have("qemu-img") {
        return;
    }
    let rig = Rig::new(vec![disk(1), disk(2)]);
    let out = path(rig.dir.path(), "out.raw");
    run("qemu-img", &["convert", "-f", "raw", "-O", "raw", &rig.uri("vf1"), &out]);
    assert!(std::fs::read(&out).unwrap() == disk(2));
    run("qemu-img", &["compare", "-f", "raw", "-F", "raw", &out, &rig.uri("vf1")]);
    let info = run("qemu-img", &["info", &rig.uri("vf0")]);
    assert!(info.contains("8 MiB"), "{info}");
    let stats = rig.end();
    assert!(stats[1].bytes_read >= SIZE as u64 && stats[1].errors == 0, "{stats:?}");
}

#[test]
fn qemu_img_copies_in_while_another_export_is_read() {
    if !have("qemu-img") {
        return;
    }
    let rig = Rig::new(vec![disk(1), vec![0xff; SIZE]]);
    let mut image = disk(7);
    image[1 << 20..3 << 20].fill(0);
    let source = path(rig.dir.path(), "in.raw");
    std::fs::write(&source, &image).unwrap();
    let (uri0, out) = (rig.uri("vf0"), path(rig.dir.path(), "out.raw"));
    let reader = std::thread::spawn(move || {
        run("qemu-img", &["convert", "-f", "raw", "-O", "raw", &uri0, &out]);
        std::fs::read(&out).unwrap()
    });
    run("qemu-img", &["convert", "-n", "-f", "raw", "-O", "raw", &source, &rig.uri("vf1")]);
    assert!(reader.join().unwrap() == disk(1));
    rig.models[1].with(|m, _| assert!(m.disk == image));
    rig.end();
}

#[test]
fn nbdcopy_uses_several_connections() {
    if !have("nbdcopy") {
        return;
    }
    let rig = Rig::new(vec![disk(3)]);
    let out = path(rig.dir.path(), "out.raw");
    run("nbdcopy", &["--connections=4", &rig.uri("vf0"), &out]);
    assert!(std::fs::read(&out).unwrap() == disk(3));
    let source = path(rig.dir.path(), "in.raw");
    std::fs::write(&source, disk(9)).unwrap();
    run("nbdcopy", &["--flush", &source, &rig.uri("vf0")]);
    rig.models[0].with(|m, _| assert!(m.disk == disk(9)));
    rig.end();
}

#[test]
fn nbdinfo_lists_the_exports() {
    if !have("nbdinfo") {
        return;
    }
    let rig = Rig::with(vec![disk(1), disk(2)], |m| m.read_only = true);
    let list = run("nbdinfo", &["--list", &rig.uri("")]);
    assert!(list.contains("export=\"vf0\"") && list.contains("export=\"vf1\""), "{list}");
    let info = run("nbdinfo", &[&rig.uri("vf1")]);
    for says in ["is_read_only: true", "can_multi_conn: true", "block_size_minimum: 512", "a test"] {
        assert!(info.contains(says), "{says}: {info}");
    }
    rig.end();
}

#[test]
fn requests_that_make_no_sense_are_refused_and_the_connection_goes_on() {
    let rig = Rig::new(vec![disk(1)]);
    let mut s = rig.connect("vf0");
    let end = SIZE as u64;
    for (kind, offset, len, error) in [
        (0, 1, 512, 22),
        (0, 0, 511, 22),
        (0, end, 512, 22),
        (0, u64::MAX - 511, 512, 22),
        (0, 0, 64 << 20, 22),
        (6, end - 512, 1024, 28),
        (99, 0, 0, 22),
        (0, 0, 0, 0),
        (3, 0, 0, 0),
    ] {
        s.write_all(&request(kind, 77, offset, len, &[])).unwrap();
        assert_eq!(reply(&mut s), (error, 77), "command {kind} at {offset:#x}, {len:#x} bytes");
    }
    s.write_all(&request(1, 78, 3, 4, b"data")).unwrap();
    assert_eq!(reply(&mut s), (22, 78));
    s.write_all(&request(2, 0, 0, 0, &[])).unwrap();
    assert_eq!(s.read(&mut [0]).unwrap(), 0, "an orderly end");
    rig.models[0].with(|m, _| assert!(m.disk == disk(1)));
    rig.end();
}

#[test]
fn a_read_only_export_refuses_writes() {
    let rig = Rig::with(vec![disk(1)], |m| m.read_only = true);
    let mut s = rig.connect("vf0");
    s.write_all(&request(1, 1, 0, 512, &[0; 512])).unwrap();
    assert_eq!(reply(&mut s), (1, 1));
    s.write_all(&request(6, 2, 0, 512, &[])).unwrap();
    assert_eq!(reply(&mut s), (1, 2));
    rig.models[0].with(|m, _| assert!(m.disk == disk(1) && m.done.is_empty()));
    rig.end();
}

#[test]
fn a_client_killed_in_the_middle_of_a_copy_damages_nothing() {
    let rig = Rig::new(vec![disk(1)]);
    let mut s = rig.connect("vf0");
    // One write whole, one cut off in its data, and replies that nobody reads.
    s.write_all(&request(1, 1, 4096, 4096, &[0xaa; 4096])).unwrap();
    for i in 0..50 {
        s.write_all(&request(0, 100 + i, 0, 1 << 20, &[])).unwrap();
    }
    s.write_all(&request(1, 2, 8192, 4096, &[0xbb; 1000])).unwrap();
    drop(s);
    // Another client is served, and sees the first write and nothing of the second.
    let mut s = rig.connect("vf0");
    s.write_all(&request(3, 3, 0, 0, &[])).unwrap();
    assert_eq!(reply(&mut s), (0, 3));
    s.write_all(&request(0, 4, 0, 16384, &[])).unwrap();
    assert_eq!(reply(&mut s), (0, 4));
    let mut data = vec![0; 16384];
    s.read_exact(&mut data).unwrap();
    let mut wanted = disk(1)[..16384].to_vec();
    wanted[4096..8192].fill(0xaa);
    assert!(data == wanted);
    rig.end();
}

#[test]
fn a_client_that_does_not_read_delays_nobody() {
    let rig = Rig::new(vec![disk(1)]);
    let mut idle = rig.connect("vf0");
    // More replies than the socket and its budget hold.
    let reads: Vec<u8> = (0..200).flat_map(|i| request(0, i, 0, 1 << 20, &[])).collect();
    idle.write_all(&reads).unwrap();
    let mut s = rig.connect("vf0");
    for i in 0..20 {
        s.write_all(&request(0, i, 512 * i, 512, &[])).unwrap();
        assert_eq!(reply(&mut s), (0, i));
        s.read_exact(&mut [0; 512]).unwrap();
    }
    drop(idle);
    rig.end();
}

#[test]
fn a_newcomer_waits_for_little_of_what_another_has_asked_for() {
    let rig = Rig::patient(vec![disk(1)], Duration::from_secs(36_000), |_| {});
    let mut greedy = rig.connect("vf0");
    // As much as its budget lets through; it reads no reply.
    let reads: Vec<u8> = (0..60).flat_map(|i| request(0, i, 0, 1 << 20, &[])).collect();
    let before = |rig: &Rig| rig.models[0].with(|m, _| m.done.values().sum::<u64>());
    let mut s = rig.connect("vf0");
    let held = before(&rig);
    rig.models[0].with(|m, _| m.faults.paused = true);
    greedy.write_all(&reads).unwrap();
    s.write_all(&request(0, 1, 4096, 512, &[])).unwrap();
    // Both are with the server before the device does anything.
    std::thread::sleep(Duration::from_millis(200));
    rig.models[0].with(|m, _| m.faults.paused = false);
    assert_eq!(reply(&mut s), (0, 1));
    let between = before(&rig) - held;
    // Of 480 commands at 128 KiB each, those that were in flight, and one's turn: the rest comes after it.
    assert!(between < 40, "{between} commands before the newcomer's one");
    drop(greedy);
    rig.end();
}

/// CDW12 of the last command, and how many of each kind there were.
fn told(rig: &Rig) -> (u64, [u64; 4]) {
    use azote_regs::nvme::opcode::{DATASET, FLUSH, WRITE, WRITE_ZEROES};
    let count = |m: &Model, op| m.done.get(&op).copied().unwrap_or(0);
    rig.models[0].with(|m, _| (m.cdw12, [WRITE, WRITE_ZEROES, DATASET, FLUSH].map(|op| count(m, op))))
}

#[test]
fn what_is_to_be_durable_given_back_or_allocated_reaches_the_device_so() {
    use azote_regs::nvme::command::{RW_DEAC, RW_FUA};
    let rig = Rig::new(vec![disk(1)]);
    let mut s = rig.connect("vf0");
    let mut ask = |flags, kind, offset, len: u32, carries: bool| {
        let data = vec![0x5a; if carries { len as usize } else { 0 }];
        s.write_all(&flagged(flags, kind, 5, offset, len, &data)).unwrap();
        assert_eq!(reply(&mut s), (0, 5));
        let (cdw12, counts) = told(&rig);
        (RW_FUA.is_set(cdw12), RW_DEAC.is_set(cdw12), counts)
    };
    assert_eq!(ask(0, 1, 0, 4096, true), (false, false, [1, 0, 0, 0]), "a write");
    assert_eq!(ask(1, 1, 0, 4096, true), (true, false, [2, 0, 0, 0]), "and a durable one");
    // One flush costs less than eight commands that are durable by themselves.
    assert_eq!(ask(1, 1, 0, 1 << 20, true).2, [10, 0, 0, 1], "a long one");
    assert_eq!(ask(0, 6, 0, 4096, false), (false, true, [10, 1, 0, 1]), "zeroes may be a hole");
    assert_eq!(ask(2, 6, 0, 4096, false), (false, false, [10, 2, 0, 1]), "or not");
    assert_eq!(ask(1 | 2 | 16, 6, 0, 4096, false), (true, false, [10, 3, 0, 1]), "all flags");
    assert_eq!(ask(0, 4, 4096, 8192, false).2, [10, 3, 1, 1], "trim");
    assert_eq!(ask(1, 4, 4096, 8192, false).2, [10, 3, 2, 2], "and a durable one");
    assert_eq!(ask(1, 3, 0, 0, false).2, [10, 3, 2, 3], "flush");
    rig.models[0].with(|m, _| assert!(m.disk[..12288].iter().all(|&b| b == 0) && m.disk[12288] == 0x5a));
    rig.end();
}

#[test]
fn a_flush_that_fails_after_its_writes_is_the_requests_error() {
    let rig = Rig::new(vec![disk(1)]);
    let mut s = rig.connect("vf0");
    rig.models[0].with(|m, _| m.faults.flush = Some(azote_regs::nvme::status::WRITE_FAULT as u16));
    s.write_all(&flagged(1, 1, 5, 0, 1 << 20, &vec![1; 1 << 20])).unwrap();
    assert_eq!(reply(&mut s), (5, 5));
    s.write_all(&request(3, 6, 0, 0, &[])).unwrap();
    assert_eq!(reply(&mut s), (5, 6));
    rig.end();
}

#[test]
fn a_device_error_is_the_request_s_own() {
    let rig = Rig::with(vec![disk(1)], |m| {
        m.faults.status.insert(8, azote_regs::nvme::status::UNRECOVERED_READ as u16);
        m.faults.stuck_lba = Some(16);
        m.faults.not_abortable = true;
    });
    let mut s = rig.connect("vf0");
    for (offset, error) in [(4096, 5), (0, 0), (8192, 5), (0, 0)] {
        s.write_all(&request(0, 9, offset, 512, &[])).unwrap();
        assert_eq!(reply(&mut s), (error, 9), "at {offset}");
        if error == 0 {
            s.read_exact(&mut [0; 512]).unwrap();
        }
    }
    let stats = rig.end();
    assert_eq!(stats[0].errors, 2);
}

#[test]
fn a_controller_that_stays_dead_fails_requests_and_hangs_nobody() {
    let rig = Rig::new(vec![disk(1)]);
    let mut s = rig.connect("vf0");
    rig.models[0].with(|m, _| m.faults.gone = true);
    for i in 0..3 {
        s.write_all(&request(0, i, 0, 1 << 20, &[])).unwrap();
        assert_eq!(reply(&mut s), (5, i));
    }
    rig.end();
}
