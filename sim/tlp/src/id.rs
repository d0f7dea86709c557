//! Who a packet is from or for.

use std::fmt;

/// A requester, completer or target id: bus and, as this is an ARI device, eight bits of function number
/// (PCIe 5.0 §2.2.4.2, §6.13).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rid(pub u16);

impl Rid {
    /// From a bus and a function number as ARI counts them: the device number's five bits above the function's three.
    pub const fn new(bus: u8, function: u8) -> Self {
        Rid((bus as u16) << 8 | function as u16)
    }

    /// The bus number.
    pub const fn bus(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// The function number, as ARI counts it.
    pub const fn function(self) -> u8 {
        self.0 as u8
    }
}

/// As every tool shows it, `bus:device.function`, ARI or not: `01:02.3` is function 0x13 of bus 1.
impl fmt::Display for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus(), self.function() >> 3, self.function() & 7)
    }
}

impl fmt::Debug for Rid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
