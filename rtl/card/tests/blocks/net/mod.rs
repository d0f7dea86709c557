//! Frames, and the benches of the blocks that they go through.

mod bus;
mod check;
mod offload;
mod packet;
mod path;
mod ports;
mod switch;

use azote_hdl::BigUint;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench::{Feed, Sink};

/// One more frame to offer, with other fields beside its beats.
pub fn push(feed: &mut Feed, frame: &[u8], error: bool, more: &[(&'static str, u128)]) {
    let last = frame.len().div_ceil(16) - 1;
    for (i, part) in frame.chunks(16).enumerate() {
        let data = part.iter().rev().fold(0, |v, b| v << 8 | u128::from(*b));
        let mut item: Vec<(&'static str, BigUint)> = vec![
            ("sop", u8::from(i == 0).into()),
            ("eop", u8::from(i == last).into()),
            ("bytes", part.len().into()),
            ("error", u8::from(error && i == last).into()),
            ("data", data.into()),
        ];
        item.extend(more.iter().map(|(name, v)| (*name, BigUint::from(*v))));
        feed.items.push_back(item);
    }
}

/// Takes frames from a stream, and looks at its form.
pub struct Frames {
    sink: Sink,
    prefix: String,
    open: Option<(u128, Vec<u8>)>,
    /// What was offered in the clock before and not taken.
    held: Option<Vec<u128>>,
}

impl Frames {
    pub fn new(prefix: &str, percent: u32) -> Frames {
        Frames { sink: Sink::new(prefix, percent), prefix: prefix.to_owned(), open: None, held: None }
    }

    pub fn drive(&mut self, dut: &mut Dut, rng: &mut SmallRng) {
        self.sink.drive(dut, rng);
    }

    /// Whether a frame begins in this clock, taken or not.
    pub fn begins(&self, dut: &Dut) -> bool {
        dut.get(&format!("{}valid", self.prefix)) == 1 && dut.get(&format!("{}sop", self.prefix)) == 1
    }

    /// After `eval`: the frame that ends in this clock, and its slot where the stream has one.
    pub fn taken(&mut self, dut: &Dut) -> Option<(u128, Vec<u8>)> {
        let port = |field: &str| dut.get(&format!("{}{field}", self.prefix));
        let slot = if dut.port(&format!("{}slot", self.prefix)).is_some() { port("slot") } else { 0 };
        let shown = (port("valid") == 1).then(|| vec![port("sop"), port("eop"), port("bytes"), port("data"), slot]);
        if let Some(held) = self.held.take() {
            assert_eq!(shown.as_ref(), Some(&held), "what is offered stays until it is taken");
        }
        if !self.sink.takes(dut) {
            self.held = shown;
            return None;
        }
        let (sop, eop, bytes, data) = (port("sop") == 1, port("eop") == 1, port("bytes"), port("data"));
        assert_eq!(sop, self.open.is_none(), "a frame begins where none is open");
        assert!(bytes == 16 || (eop && (1..16).contains(&bytes)), "{bytes} bytes");
        let (of, frame) = self.open.get_or_insert((slot, vec![]));
        assert_eq!(*of, slot, "the slot is steady");
        frame.extend(&data.to_le_bytes()[..bytes as usize]);
        if eop { self.open.take() } else { None }
    }
}

/// A frame with this header and random bytes behind it.
pub fn frame(rng: &mut SmallRng, to: [u8; 6], from: [u8; 6], kind: u16, length: usize) -> Vec<u8> {
    let mut f: Vec<u8> = [&to[..], &from[..], &kind.to_be_bytes()[..]].concat();
    f.resize_with(length.max(14), || rng.random());
    f.truncate(length);
    f
}
