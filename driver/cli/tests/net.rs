//! `azote net` over the card in software: what a person sees, and what is in the files.

#![allow(clippy::unwrap_used)] // test helpers fail by panicking

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn azote(dir: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_azote"));
    command.current_dir(dir).args(["--sim", "--soft"]).args(line.split(' '));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(dir: &Path, line: &str) -> Output {
    azote(dir, line).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a program has said when it has ended.
fn end(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

#[test]
fn two_cards_ping_each_other_over_a_socket_and_the_capture_has_every_frame() {
    let dir = tempfile::tempdir().unwrap();
    // It answers while it asks somebody who is not there.
    let line = "--eth socket:wire net ping vf1 10.0.0.9 --from 10.0.0.1/24 --interval 100";
    let mut answers = azote(dir.path(), line).spawn().unwrap();
    let begun = std::time::Instant::now();
    while !dir.path().join("wire").exists() {
        assert!(begun.elapsed().as_secs() < 60, "it does not listen");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let asked = run(
        dir.path(),
        "--eth socket:wire --eth pcap-out:frames.pcap net ping vf0 10.0.0.1 --from 10.0.0.2/24 -c 3 -i 10 -s 1000 -W 20000",
    );
    answers.kill().unwrap();
    answers.wait().unwrap();
    let text = out(&asked);
    assert!(asked.status.success(), "{text}{}", error(&asked));
    assert!(text.starts_with("PING 10.0.0.1 (10.0.0.1) from 10.0.0.2 net-vf0: 1000(1028) bytes of data.\n"), "{text}");
    assert!(text.contains("1008 bytes from 10.0.0.1: icmp_seq=3 ttl=64 time="), "{text}");
    assert!(text.contains("3 packets transmitted, 3 received, 0% packet loss"), "{text}");
    assert!(text.contains("rtt min/avg/max/mdev = "), "{text}");
    let bytes = std::fs::read(dir.path().join("frames.pcap")).unwrap();
    let echoes = bytes.windows(12).filter(|w| w[..2] == [8, 0] && w[2] == 0x45 && w[11] == 1).count();
    assert_eq!(echoes, 6, "three echoes and their answers");
}

#[test]
fn nobody_is_said_to_be_nobody_with_pings_status() {
    let dir = tempfile::tempdir().unwrap();
    let asked = run(dir.path(), "net ping vf0 10.0.0.1 --from 10.0.0.2/24 -c 2 -i 10 -W 10");
    assert_eq!(asked.status.code(), Some(1));
    let text = out(&asked);
    assert!(text.contains("From 10.0.0.2 icmp_seq=1 Destination Host Unreachable\n"), "{text}");
    assert!(text.contains("2 packets transmitted, 0 received, 100% packet loss"), "{text}");
    assert_eq!(error(&asked), "azote: no answer from 10.0.0.1\n");
    let asked = run(dir.path(), "net ping vf9 10.0.0.1 --from 10.0.0.2/24 -c 1");
    assert_eq!(asked.status.code(), Some(2));
    assert!(error(&asked).contains("this card has pf and vf0 to vf3"), "{}", error(&asked));
}

/// A pcap file with one frame, to everybody.
fn recorded() -> Vec<u8> {
    let frame = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1], &[0x88, 0xb5], &[7; 50]].concat();
    let mut file =
        [0xa1b2_c3d4u32.to_le_bytes(), [2, 0, 4, 0], [0; 4], [0; 4], [0xff, 0xff, 0, 0], [1, 0, 0, 0]].concat();
    file.extend([[9, 0, 0, 0], [0; 4], [64, 0, 0, 0], [64, 0, 0, 0]].concat());
    file.extend(frame);
    file
}

#[test]
fn frames_of_a_file_are_captured_and_written_to_another() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("in.pcap"), recorded()).unwrap();
    let shown = run(dir.path(), "--eth pcap-in:in.pcap net capture vf0 --idle 5");
    let text = out(&shown);
    assert!(
        text.contains("02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype 0x88b5, length 64\n1 packets captured\n"),
        "{text}"
    );
    let written = run(dir.path(), "--eth pcap-in:in.pcap net capture vf0 -c 1 -w out.pcap");
    assert!(written.status.success(), "{}", error(&written));
    let bytes = std::fs::read(dir.path().join("out.pcap")).unwrap();
    assert_eq!(bytes[bytes.len() - 64..], recorded()[40..]);
    // An input stays what it is.
    let refused = run(dir.path(), "--eth pcap-in:in.pcap net capture vf0 -c 1 -w in.pcap");
    assert!(error(&refused).contains("give the output another name"), "{}", error(&refused));
    assert_eq!(std::fs::read(dir.path().join("in.pcap")).unwrap(), recorded());
}

#[test]
fn stats_say_what_the_device_is() {
    let dir = tempfile::tempdir().unwrap();
    let shown = run(dir.path(), "net stats vf2 --json");
    let value: serde_json::Value = serde_json::from_str(&out(&shown)).unwrap();
    assert_eq!((&value["mtu"], &value["link"]["up"]), (&9000.into(), &true.into()));
    assert!(out(&run(dir.path(), "net stats pf")).contains("link               up"));
}

#[test]
fn what_cannot_be_connected_is_said_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("text"), "no frames in here, but as many bytes as a header").unwrap();
    for (line, said) in [
        ("--eth pcap-in:missing net stats vf0", "No such file"),
        ("--eth pcap-in:text net stats vf0", "give a pcap or pcapng file"),
        ("--eth socket:text net stats vf0", "text"),
        ("--eth tap:lo net stats vf0", "lo"),
        ("--eth tap:a --eth socket:b net stats vf0", "the port has one other end"),
        ("--eth pcap-out:a --eth pcap-out:b net stats vf0", "pcap-out is given twice"),
        ("--eth nothing net stats vf0", "expected tap:NAME, socket:PATH, pcap-in:FILE or pcap-out:FILE"),
    ] {
        let output = run(dir.path(), line);
        assert!(!output.status.success() && error(&output).contains(said), "{line}: {}", error(&output));
    }
}

#[test]
fn a_net_function_is_served_beside_a_storage_function() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("disk"), vec![0; 1 << 20]).unwrap();
    let mut server =
        azote(dir.path(), "--volume disk --eth socket:wire serve vf0 net-vf0 --socket-dir s").spawn().unwrap();
    let begun = std::time::Instant::now();
    while !dir.path().join("s/net-vf0.sock").exists() {
        assert!(begun.elapsed().as_secs() < 60 && server.try_wait().unwrap().is_none(), "it does not serve");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // The same driver, in another process than the card.
    let mut client = Command::new(env!("CARGO_BIN_EXE_azote"));
    let line = "net stats vfio-user:s/net-vf0.sock --json";
    let shown = client.current_dir(dir.path()).args(line.split(' ')).output().unwrap();
    let asked = run(dir.path(), "--eth socket:wire net ping vf0 10.0.0.1 --from 10.0.0.2/24 -c 1 -W 10");
    server.kill().unwrap();
    let served = end(server);
    assert!(shown.status.success(), "{}{}", error(&shown), error(&served));
    assert!(out(&shown).contains("\"mtu\":9000"), "{}", out(&shown));
    assert!(out(&asked).contains("Destination Host Unreachable"), "{}", out(&asked));
}
