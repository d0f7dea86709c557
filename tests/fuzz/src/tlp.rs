//! Packets of the card's or the host's, as bytes: decoding answers or refuses, and what it accepts can be said again.

use azote_tlp::rules::{Limits, check};
use azote_tlp::{Packet, Tlp};

pub fn run(data: &[u8]) {
    let Some((head, payload)) = data.split_first_chunk::<16>() else { return };
    let mut header = [0; 4];
    for (dw, bytes) in header.iter_mut().zip(head.chunks_exact(4)) {
        *dw = bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte));
    }
    let packet = Packet { header, payload: payload[..payload.len() & !3].to_vec() };
    let Ok(tlp) = Tlp::decode(&packet) else { return };
    let _ = (tlp.to_string(), check(&tlp, &Limits::default()));
    // Reserved bits are dropped in the first decoding, so the second must find the very same.
    assert_eq!(Tlp::decode(&tlp.packet()).ok().as_ref(), Some(&tlp));
}
