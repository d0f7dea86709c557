//! Message-signalled interrupts: writes to a window of addresses, as on a PC.

use std::collections::{HashMap, VecDeque};

use azote_tlp::Rid;

/// Where interrupt messages go; nothing else is mapped there.
const WINDOW: u64 = 0xfee0_0000;
/// The window has a page for each function number.
const WINDOW_SIZE: u64 = 256 << 12;

/// How many interrupts are remembered one by one.
const REMEMBERED: usize = 1 << 16;

/// An interrupt that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupt {
    /// When.
    pub clock: u64,
    /// From which function.
    pub function: u8,
    /// Which vector: the message's data.
    pub vector: u16,
}

/// Who takes a function's interrupts as they come: it is given the vector. Called under the card's lock: it must not wait,
/// nor use the card.
pub type Sink = Box<dyn Fn(u16) + Send>;

/// Who takes the messages of all functions, as they come: requester id, address and data. For a guest that has the whole
/// card and programs its own messages. Called under the card's lock: it must not wait, nor use the card.
pub type RawSink = Box<dyn Fn(Rid, u64, u32) + Send>;

/// Interrupts that nobody has taken yet.
#[derive(Default)]
pub struct Interrupts {
    sinks: HashMap<u8, Sink>,
    raw: Option<RawSink>,
    pending: HashMap<(u8, u16), u64>,
    history: VecDeque<Interrupt>,
}

impl Interrupts {
    /// Address and data that make vector `vector` of `function` arrive here.
    pub fn message(function: u8, vector: u16) -> (u64, u32) {
        (WINDOW | u64::from(function) << 12, vector.into())
    }

    /// Is this address in the window?
    pub(crate) fn in_window(address: u64) -> bool {
        (WINDOW..WINDOW + WINDOW_SIZE).contains(&address)
    }

    /// Takes a message. As interrupt remapping does, it goes by who sent it: one that uses another function's page is
    /// refused, and the result says so.
    pub(crate) fn arrive(&mut self, clock: u64, sender: Rid, address: u64, data: [u8; 4]) -> Result<(), u8> {
        if let Some(raw) = &self.raw {
            // Whose message it is, the guest's own interrupt remapping knows, if it has any.
            raw(sender, address, u32::from_le_bytes(data));
            return Ok(());
        }
        let sender = sender.function();
        let owner = ((address - WINDOW) >> 12) as u8;
        if owner != sender {
            return Err(owner);
        }
        let vector = u16::from_le_bytes([data[0], data[1]]);
        if let Some(sink) = self.sinks.get(&sender) {
            sink(vector);
            return Ok(());
        }
        *self.pending.entry((sender, vector)).or_default() += 1;
        if self.history.len() == REMEMBERED {
            self.history.pop_front();
        }
        self.history.push_back(Interrupt { clock, function: sender, vector });
        Ok(())
    }

    /// From now on a function's interrupts go to `sink`, or with `None` are kept here again.
    pub fn set_sink(&mut self, function: u8, sink: Option<Sink>) {
        match sink {
            Some(sink) => self.sinks.insert(function, sink),
            None => self.sinks.remove(&function),
        };
    }

    /// From now on all messages go to `sink`, with whatever address and data the functions were programmed with; or with
    /// `None` are interrupts of ours again.
    pub fn set_raw_sink(&mut self, sink: Option<RawSink>) {
        self.raw = sink;
    }

    /// Takes what is pending of a vector.
    pub fn take(&mut self, function: u8, vector: u16) -> u64 {
        self.pending.remove(&(function, vector)).unwrap_or(0)
    }

    /// Forgets what is pending of a function.
    pub fn clear(&mut self, function: u8) {
        self.pending.retain(|(f, _), _| *f != function);
    }

    /// Takes the list of all that arrived, oldest first; it keeps the last 65536.
    pub fn take_history(&mut self) -> Vec<Interrupt> {
        self.history.drain(..).collect()
    }
}
