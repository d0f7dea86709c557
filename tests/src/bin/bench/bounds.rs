//! What nothing can beat: beats of the 128-bit streams, counted from the specifications.

use azote_regs::nvme::entry::{CQE_SIZE, SQE_SIZE};
use azote_regs::nvme::limits;

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

/// Bytes of the PRP list of a page-aligned transfer: none for one page or two, else an entry for each but the first
/// (NVMe 1.4 §4.3).
const fn list(bytes: u64) -> u64 {
    let pages = bytes.div_ceil(limits::PAGE_SIZE);
    if pages <= 2 { 0 } else { (pages - 1) * 8 }
}

/// What every command costs on `tx`: the request that fetches its entry, that for its list, its completion entry and its
/// interrupt.
const fn command_tx(bytes: u64) -> u64 {
    REQUEST * (if list(bytes) == 0 { 1 } else { 2 }) + packet(CQE_SIZE) + INTERRUPT
}

/// What every command costs on `rx`: its submission entry and its list. Doorbells are left out: one can ring for any number
/// of commands.
const fn command_rx(bytes: u64, max_payload: u64) -> u64 {
    packet(SQE_SIZE) + transfer(list(bytes), max_payload)
}

/// Beats of `tx` for a read: its data, and what every command costs.
pub const fn read(bytes: u64, max_payload: u64) -> u64 {
    transfer(bytes, max_payload) + command_tx(bytes)
}

/// Beats of `rx` for a write: its data, in completions, and what every command costs.
pub const fn write(bytes: u64, max_payload: u64) -> u64 {
    transfer(bytes, max_payload) + command_rx(bytes, max_payload)
}

/// Beats of the busier direction for a hundred commands of which so many write, both directions at once. A write's data is
/// asked for in requests of Max_Read_Request_Size.
pub const fn mixed(bytes: u64, max_payload: u64, max_read: u64, writes: u64) -> u64 {
    let reads = 100 - writes;
    let tx = reads * read(bytes, max_payload) + writes * (bytes.div_ceil(max_read) * REQUEST + command_tx(bytes));
    let rx = writes * write(bytes, max_payload) + reads * command_rx(bytes, max_payload);
    if tx > rx { tx } else { rx }
}

/// Clocks of a read alone, from the doorbell's first beat to its interrupt's last, if every block answered in the clock
/// in which it was asked: what the links must carry one after the other, and the host's read latency once, for the fetch.
/// That latency counts from the request's beat, which so is in it.
pub const fn latency(bytes: u64, max_payload: u64, host_latency: u64) -> u64 {
    DOORBELL + host_latency + packet(SQE_SIZE) + transfer(bytes, max_payload) + packet(CQE_SIZE) + INTERRUPT
}

/// The same of a write, whose data the host sends after its latency, which so is in it twice.
pub const fn write_latency(bytes: u64, max_payload: u64, host_latency: u64) -> u64 {
    latency(bytes, max_payload, host_latency) + host_latency
}

/// Bytes a clock of commands of which so many are in flight, and each takes `beats` of the busier direction and `latency`
/// alone: no more than fits the link, and no more than comes back in time.
pub fn in_flight(bytes: u64, count: u64, beats: u64, latency: u64) -> f64 {
    let link = bytes as f64 / beats as f64;
    link.min((bytes * count) as f64 / latency as f64)
}

/// Bytes of a virtio-net header, of a descriptor, and of an entry of a used ring.
const HEADER: u64 = azote_regs::virtio::net::header::SIZE;
const DESC: u64 = azote_regs::virtio::ring::DESC_SIZE;
const USED: u64 = azote_regs::virtio::ring::USED_ENTRY;
/// Max_Payload_Size of the rig.
const MPS: u64 = 256;

/// Bytes a clock of frames that a function sends: their data and a descriptor each on `rx`, or the wire's own beats. What rings hold is
/// fetched and told for many frames at once, and left out.
pub fn frames_out(bytes: u64) -> f64 {
    let link = transfer(HEADER + bytes, MPS) + packet(DESC);
    bytes as f64 / link.max(bytes.div_ceil(BEAT)) as f64
}

/// The same of frames for a function: on `tx` their data and an entry of the used ring each, and a request for a descriptor.
pub fn frames_in(bytes: u64) -> f64 {
    let link = transfer(HEADER + bytes, MPS) + packet(USED) + REQUEST;
    bytes as f64 / link.max(bytes.div_ceil(BEAT)) as f64
}

/// Both at once, each way: what the one asks for and tells goes the way of the other's data.
pub fn frames_both(bytes: u64) -> f64 {
    let tx = transfer(HEADER + bytes, MPS) + packet(USED) + REQUEST + 2 * REQUEST + REQUEST + packet(USED);
    let rx = transfer(HEADER + bytes, MPS) + 2 * packet(DESC);
    bytes as f64 / tx.max(rx) as f64
}

/// From function to function: both ways of the link at once.
pub fn frames_across(bytes: u64) -> f64 {
    frames_both(bytes)
}

/// Packets of `bytes` bytes that leave as frames of `frame` bytes: the wire's beats, or what is read of the host.
pub fn segments_out(bytes: u64, frame: u64) -> f64 {
    let frames = bytes as f64 / (frame - 54) as f64;
    let wire = frames * frame.div_ceil(BEAT) as f64;
    let link = (transfer(HEADER + bytes, MPS) + packet(DESC)) as f64;
    frames * frame as f64 / wire.max(link)
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
    fn long_transfers_have_a_list() {
        assert_eq!((list(8192), list(12288), list(128 << 10)), (0, 16, 248));
        assert_eq!(read(128 << 10, 256), 512 * 17 + 2 + 2 + 2);
        assert_eq!(write(128 << 10, 256), 512 * 17 + 5 + 17);
    }

    #[test]
    fn of_a_mixture_the_busier_direction_counts() {
        assert_eq!(mixed(4096, 256, 512, 0), 100 * read(4096, 256));
        assert_eq!(mixed(4096, 256, 512, 100), 100 * write(4096, 256));
        assert_eq!(mixed(4096, 256, 512, 30), 70 * 277 + 30 * (8 + 5));
    }

    #[test]
    fn alone_it_also_waits() {
        assert_eq!(latency(4096, 256, 32), 2 + 32 + 5 + 272 + 2 + 2);
        assert_eq!(write_latency(4096, 256, 32), 315 + 32);
    }

    #[test]
    fn few_in_flight_do_not_fill_the_link() {
        assert_eq!(in_flight(4096, 1, 277, 315), 4096.0 / 315.0);
        assert_eq!(in_flight(4096, 2, 277, 315), 4096.0 / 277.0);
    }
}
