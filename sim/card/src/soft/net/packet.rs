//! Frames: what is to be done with one that is sent, and what is said of one that is received.

use azote_regs::virtio::net::{MAX_FRAME, header};

/// Where a frame's headers are.
struct Layout {
    /// Of IP, and of TCP or UDP.
    ip: usize,
    inner: usize,
    six: bool,
    protocol: u8,
    /// Where the IP packet ends.
    end: usize,
}

const TCP: u8 = 6;
const UDP: u8 = 17;
/// TCP's flags: what only the last of several segments has, and only the first.
const FIN_PSH: u8 = 0x09;
const CWR: u8 = 0x80;

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn layout(frame: &[u8]) -> Option<Layout> {
    let mut ip = 14;
    let mut kind = half(frame, 12)?;
    if kind == 0x8100 {
        (kind, ip) = (half(frame, 16)?, 18);
    }
    let (inner, six, protocol, end) = match kind {
        0x0800 => {
            let words = usize::from(frame.get(ip)? & 15);
            let fragment = half(frame, ip + 6)? & 0x3fff != 0;
            if words < 5 || fragment {
                return None;
            }
            (ip + 4 * words, false, *frame.get(ip + 9)?, ip + usize::from(half(frame, ip + 2)?))
        }
        0x86dd => (ip + 40, true, *frame.get(ip + 6)?, ip + 40 + usize::from(half(frame, ip + 4)?)),
        _ => return None,
    };
    (inner <= end).then_some(Layout { ip, inner, six, protocol, end })
}

/// Adds up 16-bit words as the Internet's checksum does (RFC 1071).
fn sum(bytes: &[u8]) -> u64 {
    let (pairs, last) = bytes.as_chunks::<2>();
    let whole: u64 = pairs.iter().map(|pair| u64::from(u16::from_be_bytes(*pair))).sum();
    whole + last.first().map_or(0, |byte| u64::from(*byte) << 8)
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The sum of a packet's pseudo header.
fn pseudo(frame: &[u8], at: &Layout, len: usize) -> u64 {
    let addresses = if at.six { at.ip + 8..at.ip + 40 } else { at.ip + 12..at.ip + 20 };
    sum(&frame[addresses]) + u64::from(at.protocol) + len as u64
}

/// Whether the checksum of TCP or UDP inside is right.
pub(super) fn verified(frame: &[u8]) -> bool {
    let Some(at) = layout(frame).filter(|at| at.end <= frame.len()) else { return false };
    let none = at.protocol == UDP && half(frame, at.inner + 6).is_none_or(|checksum| checksum == 0);
    if !matches!(at.protocol, TCP | UDP) || none {
        return false;
    }
    fold(sum(&frame[at.inner..at.end]) + pseudo(frame, &at, at.end - at.inner)) == 0xffff
}

/// A number by which frames of one flow are told from others.
pub(super) fn flow(frame: &[u8]) -> u64 {
    let Some(at) = layout(frame) else { return 0 };
    let from = if at.six { at.ip + 8 } else { at.ip + 12 };
    let ports = if matches!(at.protocol, TCP | UDP) { at.inner + 4 } else { at.inner };
    let bytes = frame.get(from..ports).unwrap_or_default();
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// What a driver sent, header in front, as the frames that it is; nothing if it is none.
pub(super) fn frames(sent: &[u8]) -> Vec<Vec<u8>> {
    let Some((head, packet)) = sent.split_at_checked(header::SIZE as usize) else { return Vec::new() };
    let get = |at: u64| usize::from(u16::from_le_bytes([head[at as usize], head[at as usize + 1]]));
    let mut frame = packet.to_vec();
    let kind = u64::from(head[header::GSO_TYPE as usize]);
    match kind & !header::GSO_ECN.mask() {
        header::GSO_NONE => {
            if header::F_NEEDS_CSUM.is_set(head[header::FLAGS as usize].into()) {
                let (start, offset) = (get(header::CSUM_START), get(header::CSUM_OFFSET));
                if frame.len() < start + offset + 2 {
                    return Vec::new();
                }
                let checksum = !fold(sum(&frame[start..]));
                let checksum = if checksum == 0 { 0xffff } else { checksum };
                frame[start + offset..][..2].copy_from_slice(&checksum.to_be_bytes());
            }
            let whole = (14..=MAX_FRAME as usize).contains(&frame.len());
            if whole { vec![frame] } else { Vec::new() }
        }
        kind => segments(&frame, get(header::GSO_SIZE), kind == header::GSO_TCPV6).unwrap_or_default(),
    }
}

/// TCP segments of so many bytes.
fn segments(packet: &[u8], size: usize, six: bool) -> Option<Vec<Vec<u8>>> {
    // Its own length says nothing: what is longer than 64 KiB with its headers has none.
    let at = layout(packet).filter(|at| at.six == six && at.protocol == TCP && size > 0)?;
    let headers = at.inner + 4 * usize::from(packet.get(at.inner + 12)? >> 4);
    let data = packet.get(headers..).filter(|data| !data.is_empty() && headers >= at.inner + 20)?;
    if headers + size > MAX_FRAME as usize {
        return None;
    }
    let sequence = u32::from_be_bytes(*packet[at.inner + 4..].first_chunk()?);
    let id = half(packet, at.ip + 4)?;
    let count = data.len().div_ceil(size);
    let cut = data.chunks(size).enumerate().map(|(i, piece)| {
        let mut frame = [&packet[..headers], piece].concat();
        let (all, inner) = (frame.len() - at.ip, frame.len() - at.inner);
        if six {
            frame[at.ip + 4..][..2].copy_from_slice(&((all - 40) as u16).to_be_bytes());
        } else {
            frame[at.ip + 2..][..2].copy_from_slice(&(all as u16).to_be_bytes());
            frame[at.ip + 4..][..2].copy_from_slice(&id.wrapping_add(i as u16).to_be_bytes());
            frame[at.ip + 10..][..2].fill(0);
            let checksum = !fold(sum(&frame[at.ip..at.inner]));
            frame[at.ip + 10..][..2].copy_from_slice(&checksum.to_be_bytes());
        }
        let sequence = sequence.wrapping_add((i * size) as u32);
        frame[at.inner + 4..][..4].copy_from_slice(&sequence.to_be_bytes());
        if i + 1 < count {
            frame[at.inner + 13] &= !FIN_PSH;
        }
        if i > 0 {
            frame[at.inner + 13] &= !CWR;
        }
        frame[at.inner + 16..][..2].fill(0);
        let checksum = !fold(sum(&frame[at.inner..]) + pseudo(&frame, &at, inner));
        frame[at.inner + 16..][..2].copy_from_slice(&checksum.to_be_bytes());
        frame
    });
    Some(cut.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on says where

    use super::*;
    use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};

    fn header(kind: u64, size: u16, ecn: bool) -> Vec<u8> {
        let mut head = vec![0; header::SIZE as usize];
        head[header::FLAGS as usize] = 1;
        head[header::GSO_TYPE as usize] = kind as u8 | if ecn { 0x80 } else { 0 };
        head[header::GSO_SIZE as usize..][..2].copy_from_slice(&size.to_le_bytes());
        head[header::CSUM_START as usize] = 34;
        head[header::CSUM_OFFSET as usize] = 16;
        head
    }

    #[test]
    fn segments_are_whole_packets_with_right_checksums() {
        for six in [false, true] {
            let builder = PacketBuilder::ethernet2([1; 6], [2; 6]);
            let builder =
                if six { builder.ipv6([3; 16], [4; 16], 9) } else { builder.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9) };
            let data: Vec<u8> = (0..10_001u32).map(|i| (i * 7) as u8).collect();
            let mut packet = Vec::new();
            let builder = builder.tcp(80, 81, 0xffff_ff00, 100).psh().fin().cwr().ack(5);
            builder.write(&mut packet, &data).unwrap();
            let kind = if six { header::GSO_TCPV6 } else { header::GSO_TCPV4 };
            let cut = frames(&[header(kind, 1448, true), packet].concat());
            assert_eq!(cut.len(), 7);
            let mut back = Vec::new();
            for (i, frame) in cut.iter().enumerate() {
                assert!(verified(frame), "segment {i}");
                let parsed = SlicedPacket::from_ethernet(frame).unwrap();
                let Some(TransportSlice::Tcp(tcp)) = parsed.transport else { panic!("no TCP") };
                assert_eq!(tcp.sequence_number(), 0xffff_ff00u32.wrapping_add(1448 * i as u32));
                assert_eq!((tcp.fin(), tcp.psh(), tcp.cwr(), tcp.ack()), (i == 6, i == 6, i == 0, true));
                back.extend_from_slice(tcp.payload());
            }
            assert!(back == data);
        }
    }

    #[test]
    fn a_checksum_is_completed_where_it_is_asked_for() {
        let mut packet = Vec::new();
        let builder =
            PacketBuilder::ethernet2([1; 6], [2; 6]).ipv4([10, 0, 0, 1], [10, 0, 0, 2], 9).tcp(80, 81, 7, 100);
        builder.write(&mut packet, b"odd").unwrap();
        let right = packet.clone();
        // What a kernel leaves there is the sum of the pseudo header.
        let at = layout(&packet).unwrap();
        let partial = fold(pseudo(&packet, &at, packet.len() - at.inner));
        packet[at.inner + 16..][..2].copy_from_slice(&partial.to_be_bytes());
        assert!(!verified(&packet) && verified(&right));
        assert_eq!(frames(&[header(0, 0, false), packet].concat()), [right]);
    }

    #[test]
    fn what_is_no_packet_is_nothing() {
        for kind in [0, header::GSO_TCPV4, header::GSO_TCPV6, 99] {
            for len in [0, 11, 12, 13, 30, 45, 60] {
                let mut sent = header(kind, 100, false);
                sent.resize(len.max(12), 0);
                sent.truncate(len);
                let _ = frames(&sent);
                sent[12.min(len)..].fill(0xff);
                let _ = (frames(&sent), verified(&sent), flow(&sent));
            }
        }
    }
}
