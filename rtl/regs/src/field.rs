//! A bit field that both sides can use in a `const`: the RTL for widths and positions, software for values.

/// A field of a register or of a DW in memory: `width` bits from bit `lo` up. A field of the RTL's own words may lie beyond
/// bit 63 and be wider than 64: such a one is for kernels only, and software's functions below are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The lowest bit.
    pub lo: u32,
    /// The number of bits, 1 to 64 for software.
    pub width: u32,
}

impl Field {
    /// The field that a specification writes as `[hi:lo]`.
    ///
    /// # Panics
    /// At compile time when used in a `const`, if `hi < lo` or `hi > 63`.
    #[must_use]
    pub const fn bits(hi: u32, lo: u32) -> Self {
        assert!(hi >= lo && hi < 64, "a field is written [hi:lo] and lies within 64 bits");
        Self { lo, width: hi - lo + 1 }
    }

    /// A field of a single bit.
    #[must_use]
    pub const fn bit(n: u32) -> Self {
        Self::bits(n, n)
    }

    /// The largest value the field can hold; also its mask before it is shifted into place.
    #[must_use]
    pub const fn max(self) -> u64 {
        u64::MAX >> (64 - self.width)
    }

    /// The field's mask in its place in the register.
    #[must_use]
    pub const fn mask(self) -> u64 {
        self.max() << self.lo
    }

    /// The highest bit.
    #[must_use]
    pub const fn hi(self) -> u32 {
        self.lo + self.width - 1
    }

    /// The field's value in register value `v`.
    #[must_use]
    pub const fn of(self, v: u64) -> u64 {
        (v >> self.lo) & self.max()
    }

    /// `v` shifted to the field's place; bits that do not fit are dropped, as a register drops them.
    #[must_use]
    pub const fn put(self, v: u64) -> u64 {
        (v & self.max()) << self.lo
    }

    /// Register value `word` with the field replaced by `v`.
    #[must_use]
    pub const fn set(self, word: u64, v: u64) -> u64 {
        (word & !self.mask()) | self.put(v)
    }

    /// Whether any bit of the field is set in `v`; for single-bit fields, the flag.
    #[must_use]
    pub const fn is_set(self, v: u64) -> bool {
        v & self.mask() != 0
    }
}

#[cfg(test)]
mod tests {
    use super::Field;

    #[test]
    fn a_field_extracts_what_it_was_given() {
        let f = Field::bits(14, 12);
        assert_eq!((f.lo, f.width, f.hi(), f.mask(), f.max()), (12, 3, 14, 0x7000, 7));
        assert_eq!(f.of(f.put(5)), 5);
        assert_eq!(f.put(0xf), 0x7000, "what does not fit is dropped");
        assert_eq!(f.set(0xffff, 2), 0xafff);
    }

    #[test]
    fn the_widest_field_is_a_whole_register() {
        let f = Field::bits(63, 0);
        assert_eq!(f.mask(), u64::MAX);
        assert_eq!(f.of(f.put(u64::MAX)), u64::MAX);
    }
}
