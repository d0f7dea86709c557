//! A file of frames, pcap or pcapng: it is read or refused, and every frame of it is given or counted.

use std::time::Duration;

use azote_sim::{Replay, Wire};

/// Reads it, and takes all of its frames.
pub fn run(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("frames");
    std::fs::write(&path, data).expect("a file");
    let Ok(mut replay) = Replay::open(&path) else { return };
    let _ = replay.receive(Duration::ZERO);
    while replay.is_ready(Duration::MAX) {
        assert!(replay.receive(Duration::MAX).is_some());
    }
}
