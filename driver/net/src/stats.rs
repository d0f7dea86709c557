//! Counts.

/// What passed through the driver since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets given to the device.
    pub sent: u64,
    /// Their bytes, without the virtio header.
    pub sent_bytes: u64,
    /// Packets that the device is done with.
    pub completed: u64,
    /// Packets received.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Receive buffers that these took.
    pub received_buffers: u64,
    /// Packets for which there was no room in a transmit queue.
    pub full: u64,
    /// Commands of the control queue.
    pub commands: u64,
}
