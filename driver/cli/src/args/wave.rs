//! Which clocks waves are wanted of: `1000..2000`.

use std::str::FromStr;

use crate::number;

/// A range of clocks, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text.split_once("..").ok_or("expected FROM..TO, FROM.. or ..TO")?;
        let end = |text: &str, else_: u64| if text.is_empty() { Ok(else_) } else { number::whole(text) };
        let window = Self { from: end(from, 0)?, to: end(to, u64::MAX)? };
        if window.from > window.to {
            return Err(format!("{text}: it ends before it begins"));
        }
        Ok(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_end_may_be_open() {
        let window = |text: &str| text.parse::<Window>();
        assert_eq!(window("10..0x20"), Ok(Window { from: 10, to: 32 }));
        assert_eq!(window("10.."), Ok(Window { from: 10, to: u64::MAX }));
        assert_eq!(window("..5"), Ok(Window { from: 0, to: 5 }));
        for wrong in ["", "5", "5..4", "a..", "1-2"] {
            assert!(window(wrong).is_err(), "{wrong}");
        }
    }
}
