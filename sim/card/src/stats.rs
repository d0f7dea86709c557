//! What went over the link.

/// Counts since the start, of the whole card and of each function.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Beats that the card took.
    pub rx_beats: u64,
    /// Beats that the card sent.
    pub tx_beats: u64,
    /// Packets that the card took.
    pub rx_packets: u64,
    /// Packets that the card sent.
    pub tx_packets: u64,
    /// 512-byte blocks read from the medium and written to it.
    pub media_blocks: [u64; 2],
    functions: Vec<FunctionStats>,
}

/// What one function sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FunctionStats {
    /// Read requests.
    pub reads: u64,
    /// Bytes that they asked for.
    pub read_bytes: u64,
    /// Write requests, interrupts apart.
    pub writes: u64,
    /// Bytes of their payloads.
    pub write_bytes: u64,
    /// Interrupt messages.
    pub interrupts: u64,
    /// Messages: errors and power management.
    pub messages: u64,
}

impl Stats {
    /// A function's counts.
    pub fn function(&self, number: u8) -> FunctionStats {
        self.functions.get(usize::from(number)).copied().unwrap_or_default()
    }

    pub(crate) fn function_mut(&mut self, number: u8) -> &mut FunctionStats {
        if self.functions.is_empty() {
            self.functions.resize(256, FunctionStats::default());
        }
        &mut self.functions[usize::from(number)]
    }
}
