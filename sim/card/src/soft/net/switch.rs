//! The switch between functions and the wire: it learns where addresses are, and floods what it does not know.

use std::collections::HashMap;

/// A port: a function by its number, or the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    Function(u8),
    Wire,
}

/// Addresses that are learned at most: what floods with new ones costs itself alone.
const LEARNED: usize = 4096;

/// What was learned.
#[derive(Debug, Default)]
pub(super) struct Switch {
    learned: HashMap<[u8; 6], Port>,
}

impl Switch {
    /// To which of `ports` a frame goes that came in at `from`: never back.
    pub fn forward(&mut self, from: Port, frame: &[u8], ports: impl Iterator<Item = Port>) -> Vec<Port> {
        let (Some(to), Some(source)) =
            (frame.first_chunk::<6>(), frame.get(6..).and_then(|rest| rest.first_chunk::<6>()))
        else {
            return Vec::new();
        };
        // A group address is nobody's source.
        if source[0] & 1 == 0 && (self.learned.len() < LEARNED || self.learned.contains_key(source)) {
            self.learned.insert(*source, from);
        }
        let known = self.learned.get(to).copied().filter(|_| to[0] & 1 == 0);
        ports.filter(|port| *port != from && known.is_none_or(|known| known == *port)).collect()
    }

    /// A function is reset: what was behind it may be elsewhere.
    pub fn forget(&mut self, function: u8) {
        self.learned.retain(|_, port| *port != Port::Function(function));
    }
}
