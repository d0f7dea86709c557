//! What nothing can beat: beats of the 128-bit streams, counted from the specifications.

use azote_regs::nvme::entry::{CQE_SIZE, SQE_SIZE};

/// Bytes of a beat.
const BEAT: u64 = 16;

/// Beats of a packet with so many payload bytes: a header, which shares its beat with nothing, and the payload.
const fn packet(payload: u64) -> u64 {
    1 + payload.div_ceil(BEAT)
}

/// Beats that `bytes` bytes take in packets of Max_Payload_Size.
const fn transfer(bytes: u64, max_payload: u64) -> u64 {
    bytes / max_payload * packet(max_payload)
        + if bytes.is_multiple_of(max_payload) { 0 } else { packet(bytes % max_payload) }
}

/// The message of an interrupt: one DW.
const INTERRUPT: u64 = packet(4);
/// A doorbell: one DW.
const DOORBELL: u64 = packet(4);
/// A read request: a header.
const REQUEST: u64 = packet(0);

/// Beats of `tx` for a read: its data, its completion entry, its interrupt, and the request that fetched it. A page-aligned
/// page needs no PRP list.
pub const fn read(bytes: u64, max_payload: u64) -> u64 {
    transfer(bytes, max_payload) + packet(CQE_SIZE) + INTERRUPT + REQUEST
}

/// Beats of `rx` for a write: its data, in completions, and its submission entry, in one. Doorbells are left out: one can
/// ring for any number of commands.
pub const fn write(bytes: u64, max_payload: u64) -> u64 {
    transfer(bytes, max_payload) + packet(SQE_SIZE)
}

/// Clocks of a read alone, from the doorbell's first beat to its interrupt's last, if every block answered in the clock
/// in which it was asked: what the links must carry one after the other, and the host's read latency once, for the fetch.
/// That latency counts from the request's beat, which so is in it.
pub const fn latency(bytes: u64, max_payload: u64, host_latency: u64) -> u64 {
    DOORBELL + host_latency + packet(SQE_SIZE) + transfer(bytes, max_payload) + packet(CQE_SIZE) + INTERRUPT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_costs_277_beats_either_way() {
        assert_eq!(read(4096, 256), 16 * 17 + 2 + 2 + 1);
        assert_eq!(write(4096, 256), 277);
        assert_eq!(transfer(300, 256), 17 + 4);
    }

    #[test]
    fn alone_it_also_waits() {
        assert_eq!(latency(4096, 256, 32), 2 + 32 + 5 + 272 + 2 + 2);
    }
}
