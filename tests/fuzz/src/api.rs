//! A client of arbitrary bytes at the socket of a hypervisor: each line gets one answer, lines without end are cut off, and the
//! next client is served.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use azote_hypervisor::api::{Handler, Request, Server};

/// Says what it was asked.
struct Echo;

impl Handler for Echo {
    fn handle(&mut self, request: Request) -> serde_json::Value {
        serde_json::json!({ "got": request })
    }
}

/// All answers to these bytes, sent in pieces of `piece`.
fn answers(server: &mut Server, path: &std::path::Path, data: &[u8], piece: usize) -> Vec<u8> {
    let mut client = UnixStream::connect(path).expect("the server listens");
    client.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
    let fd = server.accept().expect("a client");
    for bytes in data.chunks(piece) {
        if client.write_all(bytes).is_err() {
            break;
        }
        server.serve(fd, &mut Echo);
    }
    let _ = client.shutdown(std::net::Shutdown::Write);
    server.serve(fd, &mut Echo);
    let mut got = Vec::new();
    // Cut off in the middle of what it sent, it reads a reset at the end.
    let _ = client.read_to_end(&mut got);
    got
}

/// Plays a client.
pub fn run(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("api");
    let mut server = Server::bind(&path).expect("a socket");
    let (piece, data) = data.split_first().map_or((1, data), |(first, rest)| (1 + usize::from(*first), rest));
    // More would fill the socket with answers, which is what cuts a client off that does not read.
    let data = &data[..data.len().min(2048)];
    let got = answers(&mut server, &path, data, piece);
    for line in got.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let answer: serde_json::Value = serde_json::from_slice(line).expect("an answer is JSON");
        assert!(answer.get("got").is_some() != answer.get("error").is_some(), "{answer}");
    }
    let lines = |bytes: &[u8]| bytes.iter().filter(|b| **b == b'\n').count();
    assert_eq!(lines(&got), lines(data), "a line, an answer");
    assert_eq!(answers(&mut server, &path, b"{\"command\":\"state\"}\n", 64), b"{\"got\":{\"command\":\"state\"}}\n");
}
