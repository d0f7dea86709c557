//! Frames from a pcap file, at the distances in time that they have there.

use std::io::{BufReader, Read, Seek};
use std::path::Path;
use std::time::Duration;

use azote_files::Access;
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};

use super::Wire;
use crate::Error;

/// Frames of a pcap or pcapng file, as its Ethernet interfaces saw them. The first comes as soon as the card is clocked, each
/// later one as long after it as the file says. What the card sends is lost.
pub struct Replay {
    frames: std::vec::IntoIter<(Duration, Vec<u8>)>,
    /// When the first came, in the simulation's time.
    begun: Option<Duration>,
}

/// The first bytes of a pcapng file: the type of a section header block.
const NG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

impl Replay {
    /// Reads the file, all of it.
    pub fn open(path: &Path) -> Result<Replay, Error> {
        let mut file = BufReader::new(azote_files::open(path, Access::Read)?);
        let mut magic = [0; 4];
        let read = file.read(&mut magic).and_then(|_| file.rewind());
        read.map_err(|source| Error::Io { what: "read", path: path.to_owned(), source })?;
        let frames = if magic == NG { ng(file) } else { classic(file) };
        let mut frames = frames.map_err(|reason| Error::Frames {
            path: path.to_owned(),
            reason,
            hint: "give a pcap or pcapng file",
        })?;
        let first = frames.iter().map(|(at, _)| *at).min().unwrap_or_default();
        frames.iter_mut().for_each(|(at, _)| *at -= first);
        Ok(Replay { frames: frames.into_iter(), begun: None })
    }

    fn due(&self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.begun.unwrap_or(now));
        self.frames.as_slice().first().is_some_and(|(at, _)| *at <= passed)
    }
}

/// Times and frames.
type Frames = Vec<(Duration, Vec<u8>)>;

fn classic(file: impl Read) -> Result<Frames, String> {
    let mut reader = PcapReader::new(file).map_err(|e| e.to_string())?;
    let link = reader.header().datalink;
    if link != DataLink::ETHERNET {
        return Err(format!("its frames are {link:?}, not Ethernet"));
    }
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.map_err(|e| e.to_string())?;
        whole(packet.data.len(), packet.orig_len)?;
        frames.push((packet.timestamp, packet.data.into_owned()));
    }
    Ok(frames)
}

fn ng(file: impl Read) -> Result<Frames, String> {
    let mut reader = PcapNgReader::new(file).map_err(|e| e.to_string())?;
    let mut frames = Vec::new();
    let mut ethernet = Vec::new();
    while let Some(block) = reader.next_block() {
        match block.map_err(|e| e.to_string())? {
            Block::SectionHeader(_) => ethernet.clear(),
            Block::InterfaceDescription(interface) => ethernet.push(interface.linktype == DataLink::ETHERNET),
            Block::EnhancedPacket(packet) if ethernet.get(packet.interface_id as usize) == Some(&true) => {
                whole(packet.data.len(), packet.original_len)?;
                frames.push((packet.timestamp, packet.data.into_owned()));
            }
            _ => {}
        }
    }
    Ok(frames)
}

fn whole(has: usize, had: u32) -> Result<(), String> {
    if has as u64 == u64::from(had) {
        return Ok(());
    }
    Err(format!("it has {has} bytes of a frame of {had}: it was captured with a limit (`-s 0` has none)"))
}

impl Wire for Replay {
    fn send(&mut self, _frame: &[u8]) -> bool {
        false
    }

    fn receive(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.begun.get_or_insert(now);
        if self.due(now) { self.frames.next().map(|(_, frame)| frame) } else { None }
    }

    fn is_ready(&self, now: Duration) -> bool {
        self.due(now)
    }
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay").field("frames", &self.frames.len()).finish_non_exhaustive()
    }
}
