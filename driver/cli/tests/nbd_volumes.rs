//! Volumes that are a server's exports: a card in software before nbdkit and qemu-nbd, slow, failing, killed and started anew;
//! and what a user sees who names one that cannot be had.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod backing;

use std::{
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

use azote_nbd::Uri;
use backing::{AZOTE, Process, SIZE, backing, client, image, uri};

/// The card in software, exporting its VFs in turn; with the URIs of these.
fn card(dir: &Path, arguments: &[&str]) -> (Process, Vec<Uri>) {
    backing::card(dir, &[&["--soft"], arguments].concat())
}

fn azote(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(AZOTE).current_dir(dir).args(["--sim", "--soft"]).args(arguments).output().unwrap()
}

#[test]
fn what_a_vf_writes_is_on_the_server_and_its_holes_are_seen_through_the_card() {
    let dir = tempfile::tempdir().unwrap();
    let path = image(dir.path());
    let _server = backing(dir.path(), "back", "qemu-nbd", &["image"]);
    let (card, uris) = card(dir.path(), &["--volume", &uri(dir.path(), "back", "disk")]);
    let vf = client(&uris[0]);
    assert_eq!(vf.size(), SIZE);
    assert_eq!(vf.extent(0, SIZE).unwrap(), (true, SIZE));
    let data: Vec<u8> = (0..200_000u32 / 512 * 512).map(|i| ((i * 13) >> 5) as u8).collect();
    vf.write(&data, 1 << 20, false).unwrap();
    vf.write(&[0x5a; 512], 512, true).unwrap();
    vf.flush().unwrap();
    vf.zero(1 << 20, 4096, true).unwrap();
    let mut back = vec![0; data.len()];
    vf.read(&mut back, 1 << 20).unwrap();
    assert!(back[..4096] == [0; 4096] && back[4096..] == data[4096..]);
    assert!(!vf.extent((1 << 20) + 8192, SIZE).unwrap().0 && vf.extent(0, SIZE).unwrap().1 < 1 << 20);
    drop(vf);
    assert!(card.interrupt());
    let bytes = std::fs::read(path).unwrap();
    assert!(bytes[512..1024] == [0x5a; 512] && bytes[(1 << 20) + 4096..][..data.len() - 4096] == data[4096..]);
}

#[test]
fn a_server_killed_and_started_anew_under_load_costs_no_error_and_no_byte() {
    let dir = tempfile::tempdir().unwrap();
    // One that forgets what it held, and one that holds a file.
    image(dir.path());
    for (tool, export, arguments) in [("nbdkit", "", &["file", "image"][..]), ("qemu-nbd", "disk", &["image"])] {
        let mut server = backing(dir.path(), "back", tool, arguments);
        let (card, uris) = card(dir.path(), &["--volume", &uri(dir.path(), "back", export)]);
        let vf = client(&uris[0]);
        let mut expected = [0u8; 64];
        for round in 1..=3u8 {
            for step in 0..64usize {
                let block = step * 29 % 64;
                expected[block] = round * 64 + step as u8;
                vf.write(&[expected[block]; 8192], block as u64 * 8192, step % 9 == 0).unwrap();
                if step == 20 * usize::from(round) {
                    server.kill();
                    let dead = Instant::now();
                    // Once for longer than a driver waits for a disk of this machine's.
                    let outage = Duration::from_millis(if round == 1 && tool == "nbdkit" { 4000 } else { 300 });
                    std::thread::scope(|scope| {
                        let read = scope.spawn(|| vf.read(&mut [0; 8192], 0));
                        std::thread::sleep(outage);
                        server = backing(dir.path(), "back", tool, arguments);
                        read.join().unwrap().unwrap();
                    });
                    assert!(dead.elapsed() > outage, "nobody answered meanwhile");
                }
            }
            for (block, byte) in expected.iter().enumerate() {
                let mut back = [0; 8192];
                vf.read(&mut back, block as u64 * 8192).unwrap();
                assert!(back == [*byte; 8192], "{tool}, round {round}, block {block}");
            }
        }
        drop(vf);
        assert!(card.interrupt());
    }
}

#[test]
fn a_dead_server_is_an_error_of_its_own_volume_and_later_well_again() {
    let dir = tempfile::tempdir().unwrap();
    image(dir.path());
    let mut server = backing(dir.path(), "back", "nbdkit", &["memory", "4M"]);
    let volume = uri(dir.path(), "back", "") + ":timeout=1";
    let (_card, uris) = card(dir.path(), &["--volume", &volume, "--volume", "image"]);
    let (dead, well) = (client(&uris[0]), client(&uris[1]));
    dead.read(&mut [0; 4096], 0).unwrap();
    server.kill();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let failed = scope.spawn(|| dead.read(&mut [0; 4096], 0).unwrap_err());
        // The card in software does one command after the other; the medium does not.
        let said = failed.join().unwrap();
        assert_eq!(said.raw_os_error(), Some(5), "{said:?}");
        well.write(&[1; 4096], 0, true).unwrap();
    });
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    let _server = backing(dir.path(), "back", "nbdkit", &["memory", "4M"]);
    dead.read(&mut [0; 4096], 0).unwrap();
}

#[test]
fn what_could_not_be_made_durable_at_the_end_is_said_and_soon() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = backing(dir.path(), "back", "nbdkit", &["memory", "4M"]);
    let volume = uri(dir.path(), "back", "") + ":timeout=1";
    let (card, uris) = card(dir.path(), &["--volume", &volume]);
    client(&uris[0]).write(&[1; 4096], 0, false).unwrap();
    server.kill();
    let start = Instant::now();
    assert!(!card.interrupt(), "it ended well");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn errors_of_the_server_are_those_of_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    for (rate, reads) in [("error-pread-rate=100%", true), ("error-pwrite-rate=100%", false)] {
        let _server = backing(dir.path(), "back", "nbdkit", &["--filter=error", "memory", "4M", "error=EIO", rate]);
        let (_card, uris) = card(dir.path(), &["--volume", &uri(dir.path(), "back", "")]);
        let vf = client(&uris[0]);
        let (read, write) = (vf.read(&mut [0; 4096], 0), vf.write(&[1; 4096], 0, false));
        assert_eq!((read.is_err(), write.is_err()), (reads, !reads), "{read:?} {write:?}");
    }
}

#[test]
fn a_slow_server_is_waited_for_and_the_processor_rests() {
    let dir = tempfile::tempdir().unwrap();
    let delay = ["--filter=delay", "memory", "4M", "rdelay=2500ms", "wdelay=2500ms"];
    let _server = backing(dir.path(), "back", "nbdkit", &delay);
    let (card, uris) = card(dir.path(), &["--volume", &uri(dir.path(), "back", "")]);
    let vf = client(&uris[0]);
    // The processor's time of the card, in hundredths of a second.
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", card.0.id())).unwrap();
        let times = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2);
        times.map(|ticks| ticks.parse::<u64>().unwrap()).sum::<u64>()
    };
    let (start, before) = (Instant::now(), ticks());
    let data: Vec<u8> = (0..32768u32).map(|i| ((i * 5) >> 4) as u8).collect();
    vf.write(&data, 0, true).unwrap();
    let mut back = vec![0; data.len()];
    vf.read(&mut back, 0).unwrap();
    assert!(back == data);
    let (waited, worked) = (start.elapsed(), Duration::from_millis(10 * (ticks() - before)));
    assert!(waited > Duration::from_millis(5000) && worked < waited / 2, "{worked:?} of {waited:?}");
}

#[test]
fn copies_go_to_and_from_exports() {
    let dir = tempfile::tempdir().unwrap();
    let path = image(dir.path());
    let bytes: Vec<u8> = (0..SIZE as u32).map(|i| if i % 65536 < 20_000 { (i % 251) as u8 } else { 0 }).collect();
    std::fs::write(dir.path().join("source"), &bytes).unwrap();
    let _server = backing(dir.path(), "back", "qemu-nbd", &["image"]);
    let export = uri(dir.path(), "back", "disk");
    let run = |arguments: &[&str]| {
        let out = azote(dir.path(), arguments);
        (out.status.success(), String::from_utf8(out.stderr).unwrap())
    };
    // What was there is gone, also where the source has a hole.
    client(&export.parse().unwrap()).write(&[0xee; 1 << 20], 1 << 20, true).unwrap();
    let (well, text) = run(&["--volume", "source:ro", "copy", "vf0", &export]);
    assert!(well, "{text}");
    assert!(std::fs::read(&path).unwrap() == bytes);
    std::fs::File::create(dir.path().join("back2")).unwrap().set_len(SIZE).unwrap();
    let (well, text) = run(&["--volume", "back2", "copy", &export, "vf0"]);
    assert!(well, "{text}");
    assert!(std::fs::read(dir.path().join("back2")).unwrap() == bytes);
    let small = std::fs::File::create(dir.path().join("large")).unwrap();
    small.set_len(SIZE + 512).unwrap();
    let (well, text) = run(&["--volume", "large:ro", "copy", "vf0", &export]);
    assert!(!well && text.contains("has 4.00 MiB"), "{text}");
    let (well, text) = run(&["--volume", "back2", "copy", "--raw", &export, "vf0"]);
    assert!(!well && text.contains("no format"), "{text}");
}

#[test]
fn what_cannot_be_had_is_said_in_a_line_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    image(dir.path());
    let said = |volume: &str| {
        let out = azote(dir.path(), &["--volume", volume, "list"]);
        let text = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && text.trim().lines().count() <= 4, "{volume}: {text}");
        text
    };
    let text = said(&uri(dir.path(), "nobody", ""));
    assert!(text.contains("no server is there") && text.contains("start it"), "{text}");
    assert!(said("nbd://127.0.0.1:1/x").contains("no server is there"));
    assert!(said("nbd+unix:///x").contains("no ?socket=PATH"));
    assert!(said("nbds://host/x").contains("TLS"));
    let _server = backing(dir.path(), "back", "qemu-nbd", &["--read-only", "image"]);
    let text = said(&uri(dir.path(), "back", "other"));
    assert!(text.contains("no export `other`") && text.contains("`disk`"), "{text}");
    assert!(said(&uri(dir.path(), "back", "disk")).contains("read-only; add :ro"));
    assert!(said(&(uri(dir.path(), "back", "disk") + ":ro:size=1G")).contains("enlarge"));
    let out = azote(dir.path(), &["--volume", &(uri(dir.path(), "back", "disk") + ":ro"), "list"]);
    let text = String::from_utf8(out.stdout).unwrap();
    assert!(out.status.success() && text.contains("nbd+unix:///disk"), "{text}");
    let out = Command::new(AZOTE)
        .args(["run", "--kernel", "k", "--card", &format!("soft=on,volume={}", uri(dir.path(), "back", "disk"))])
        .output()
        .unwrap();
    let text = String::from_utf8(out.stderr).unwrap();
    assert!(text.contains("serve --socket-dir") && text.contains("--user-device"), "{text}");
}
