//! The header in front of every packet (virtio §5.1.6).

use azote_regs::virtio::net::header;

/// A checksum that the device is to complete, or that was left for us to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum {
    /// From which byte of the frame on it is summed.
    pub start: u16,
    /// Where it stands, from there.
    pub offset: u16,
}

/// How a packet that is longer than a frame is to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// By which protocol.
    pub kind: SegmentKind,
    /// Bytes of headers, which each frame gets.
    pub headers: u16,
    /// Bytes of data of each frame at most.
    pub size: u16,
    /// The first frame alone has CWR.
    pub ecn: bool,
}

/// What a packet is cut as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
}

/// What is known of a received packet's checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Received {
    /// Nothing: it is as it came.
    #[default]
    Unknown,
    /// The device has verified it.
    Verified,
    /// It comes from this machine and has none yet; the device vouches for the data.
    Partial(Checksum),
}

/// Header of a packet to send.
pub(crate) fn encode(checksum: Option<Checksum>, segment: Option<Segment>) -> [u8; header::SIZE as usize] {
    let mut bytes = [0; header::SIZE as usize];
    let mut put = |at: u64, value: u16| bytes[at as usize..][..2].copy_from_slice(&value.to_le_bytes());
    if let Some(segment) = segment {
        let kind = match segment.kind {
            SegmentKind::Tcp4 => header::GSO_TCPV4,
            SegmentKind::Tcp6 => header::GSO_TCPV6,
        };
        put(header::HDR_LEN, segment.headers);
        put(header::GSO_SIZE, segment.size);
        let ecn = if segment.ecn { header::GSO_ECN.mask() } else { 0 };
        bytes[header::GSO_TYPE as usize] = (kind | ecn) as u8;
    }
    if let Some(checksum) = checksum {
        let mut put = |at: u64, value: u16| bytes[at as usize..][..2].copy_from_slice(&value.to_le_bytes());
        put(header::CSUM_START, checksum.start);
        put(header::CSUM_OFFSET, checksum.offset);
        bytes[header::FLAGS as usize] = header::F_NEEDS_CSUM.mask() as u8;
    }
    bytes
}

/// Header of a received packet: how many buffers it takes, and what its checksum is.
pub(crate) fn decode(bytes: &[u8; header::SIZE as usize]) -> (u16, Received) {
    let get = |at: u64| u16::from_le_bytes([bytes[at as usize], bytes[at as usize + 1]]);
    let flags = u64::from(bytes[header::FLAGS as usize]);
    let checksum = if header::F_NEEDS_CSUM.is_set(flags) {
        Received::Partial(Checksum { start: get(header::CSUM_START), offset: get(header::CSUM_OFFSET) })
    } else if header::F_DATA_VALID.is_set(flags) {
        Received::Verified
    } else {
        Received::Unknown
    };
    (get(header::NUM_BUFFERS), checksum)
}
