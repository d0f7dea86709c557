//! The network device (virtio §5.1).

use crate::Field;

/// Feature bits (virtio §5.1.3), by number.
pub mod feature {
    /// CSUM: the device completes checksums of what it sends.
    pub const CSUM: u32 = 0;
    /// GUEST_CSUM: the driver takes packets whose checksum was verified, or is partial.
    pub const GUEST_CSUM: u32 = 1;
    /// MTU: `mtu` of the configuration.
    pub const MTU: u32 = 3;
    /// MAC: `mac` of the configuration.
    pub const MAC: u32 = 5;
    /// HOST_TSO4: the device segments TCP over IPv4.
    pub const HOST_TSO4: u32 = 11;
    /// HOST_TSO6: the same over IPv6.
    pub const HOST_TSO6: u32 = 12;
    /// HOST_ECN: the same with CWR.
    pub const HOST_ECN: u32 = 13;
    /// MRG_RXBUF: a packet may take several receive buffers.
    pub const MRG_RXBUF: u32 = 15;
    /// STATUS: `status` of the configuration.
    pub const STATUS: u32 = 16;
    /// CTRL_VQ: there is a control queue.
    pub const CTRL_VQ: u32 = 17;
    /// CTRL_RX: it takes receive modes.
    pub const CTRL_RX: u32 = 18;
    /// CTRL_VLAN: it takes VLAN filters.
    pub const CTRL_VLAN: u32 = 19;
    /// GUEST_ANNOUNCE: the driver can be asked to announce itself.
    pub const GUEST_ANNOUNCE: u32 = 21;
    /// MQ: several pairs of queues.
    pub const MQ: u32 = 22;
    /// CTRL_MAC_ADDR: the control queue takes an address.
    pub const CTRL_MAC_ADDR: u32 = 23;
    /// VQ_NOTF_COAL: interrupts coalesced by queue.
    pub const VQ_NOTF_COAL: u32 = 52;
    /// NOTF_COAL: interrupts coalesced.
    pub const NOTF_COAL: u32 = 53;
    /// HASH_REPORT: headers tell the hash.
    pub const HASH_REPORT: u32 = 57;
    /// RSS: receive-side scaling.
    pub const RSS: u32 = 60;
    /// SPEED_DUPLEX: `speed` and `duplex` of the configuration.
    pub const SPEED_DUPLEX: u32 = 63;
}

/// Pairs of queues of a function; a control queue comes behind them.
pub const PAIRS: u64 = 4;
/// Queues of a function: receive 2N, transmit 2N + 1, then control (virtio §5.1.2).
pub const QUEUES: u64 = 2 * PAIRS + 1;
/// The control queue where all pairs are offered.
pub const CONTROL_QUEUE: u64 = 2 * PAIRS;
/// The control queue of a driver that did not accept MQ (virtio §5.1.2).
pub const CONTROL_QUEUE_ONE_PAIR: u64 = 2;

/// Device configuration (virtio §5.1.4).
pub mod config {
    /// `mac`, 6 bytes.
    pub const MAC: u64 = 0;
    /// `status`, 16 bits.
    pub const STATUS: u64 = 6;
    /// `max_virtqueue_pairs`, 16 bits.
    pub const MAX_VIRTQUEUE_PAIRS: u64 = 8;
    /// `mtu`, 16 bits.
    pub const MTU: u64 = 10;
    /// `speed` in Mb/s, 32 bits.
    pub const SPEED: u64 = 12;
    /// `duplex`, 8 bits; 1 is full.
    pub const DUPLEX: u64 = 16;
    /// `rss_max_key_size`, 8 bits.
    pub const RSS_MAX_KEY_SIZE: u64 = 17;
    /// `rss_max_indirection_table_length`, 16 bits.
    pub const RSS_MAX_INDIRECTION_TABLE_LENGTH: u64 = 18;
    /// `supported_hash_types`, 32 bits.
    pub const SUPPORTED_HASH_TYPES: u64 = 20;
    /// Bytes of it.
    pub const LENGTH: u64 = 24;
}

/// `status`: the link is up.
pub const S_LINK_UP: Field = Field::bit(0);
/// `status`: the driver should announce itself.
pub const S_ANNOUNCE: Field = Field::bit(1);
/// The smallest MTU (virtio §5.1.4.1).
pub const MIN_MTU: u64 = 68;
/// The largest MTU of ours.
pub const MAX_MTU: u64 = 9000;
/// Bytes of a frame beside the MTU: an Ethernet header with a VLAN tag.
pub const FRAME_HEADER: u64 = 18;
/// Bytes of the longest frame.
pub const MAX_FRAME: u64 = MAX_MTU + FRAME_HEADER;
/// Bytes of the longest packet that is segmented, without its virtio header.
pub const MAX_GSO: u64 = 65_535 + FRAME_HEADER;

/// The header in front of every packet (virtio §5.1.6).
pub mod header {
    use crate::Field;

    /// `flags`, 8 bits.
    pub const FLAGS: u64 = 0;
    /// `gso_type`, 8 bits.
    pub const GSO_TYPE: u64 = 1;
    /// `hdr_len`, 16 bits.
    pub const HDR_LEN: u64 = 2;
    /// `gso_size`, 16 bits.
    pub const GSO_SIZE: u64 = 4;
    /// `csum_start`, 16 bits.
    pub const CSUM_START: u64 = 6;
    /// `csum_offset`, 16 bits.
    pub const CSUM_OFFSET: u64 = 8;
    /// `num_buffers`, 16 bits.
    pub const NUM_BUFFERS: u64 = 10;
    /// Its size.
    pub const SIZE: u64 = 12;
    /// `hash_value`, 32 bits: HASH_REPORT.
    pub const HASH_VALUE: u64 = 12;
    /// `hash_report`, 16 bits.
    pub const HASH_REPORT: u64 = 16;
    /// Its size with HASH_REPORT.
    pub const SIZE_HASH: u64 = 20;

    /// `flags`: the checksum at `csum_offset` from `csum_start` is to be completed.
    pub const F_NEEDS_CSUM: Field = Field::bit(0);
    /// `flags`: the checksum was verified.
    pub const F_DATA_VALID: Field = Field::bit(1);
    /// `gso_type`: none.
    pub const GSO_NONE: u64 = 0;
    /// `gso_type`: TCP over IPv4.
    pub const GSO_TCPV4: u64 = 1;
    /// `gso_type`: TCP over IPv6.
    pub const GSO_TCPV6: u64 = 4;
    /// `gso_type`: with CWR.
    pub const GSO_ECN: Field = Field::bit(7);
}

/// The control queue (virtio §5.1.6.5): `{class, command}`, what it needs, then a byte that the device writes.
pub mod control {
    /// `ack`: done.
    pub const OK: u64 = 0;
    /// `ack`: refused.
    pub const ERR: u64 = 1;

    /// Class: receive modes, `{on}` each.
    pub const RX: u64 = 0;
    /// All packets.
    pub const RX_PROMISC: u64 = 0;
    /// All multicasts.
    pub const RX_ALLMULTI: u64 = 1;
    /// Class: addresses.
    pub const MAC: u64 = 1;
    /// The filter: a table of unicasts, and one of multicasts.
    pub const MAC_TABLE_SET: u64 = 0;
    /// The address itself.
    pub const MAC_ADDR_SET: u64 = 1;
    /// Class: VLAN filters.
    pub const VLAN: u64 = 2;
    /// One more.
    pub const VLAN_ADD: u64 = 0;
    /// One less.
    pub const VLAN_DEL: u64 = 1;
    /// Class: announcements.
    pub const ANNOUNCE: u64 = 3;
    /// It was announced.
    pub const ANNOUNCE_ACK: u64 = 0;
    /// Class: pairs of queues.
    pub const MQ: u64 = 4;
    /// How many.
    pub const MQ_VQ_PAIRS_SET: u64 = 0;
    /// Receive-side scaling.
    pub const MQ_RSS_CONFIG: u64 = 1;
    /// The hash alone.
    pub const MQ_HASH_CONFIG: u64 = 2;
    /// Class: coalescing of interrupts.
    pub const NOTF_COAL: u64 = 6;
    /// Of transmit queues.
    pub const NOTF_COAL_TX_SET: u64 = 0;
    /// Of receive queues.
    pub const NOTF_COAL_RX_SET: u64 = 1;
    /// Of one queue.
    pub const NOTF_COAL_VQ_SET: u64 = 2;
    /// What one queue has.
    pub const NOTF_COAL_VQ_GET: u64 = 3;
}

/// Hashes of what is received (virtio §5.1.6.4.3).
pub mod hash {
    use crate::Field;

    /// Bytes of a key.
    pub const KEY_BYTES: u64 = 40;
    /// Type: addresses of IPv4.
    pub const TYPE_IPV4: Field = Field::bit(0);
    /// Type: addresses and ports of TCP over IPv4.
    pub const TYPE_TCPV4: Field = Field::bit(1);
    /// Type: addresses and ports of UDP over IPv4.
    pub const TYPE_UDPV4: Field = Field::bit(2);
    /// Type: addresses of IPv6.
    pub const TYPE_IPV6: Field = Field::bit(3);
    /// Type: addresses and ports of TCP over IPv6.
    pub const TYPE_TCPV6: Field = Field::bit(4);
    /// Type: addresses and ports of UDP over IPv6.
    pub const TYPE_UDPV6: Field = Field::bit(5);
    /// `hash_report`: no hash. The other reports are a type's bit and one.
    pub const REPORT_NONE: u64 = 0;
}
