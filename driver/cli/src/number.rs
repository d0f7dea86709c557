//! Numbers as people type them: `4096`, `0x1000`, `1_000_000`; sizes with a letter behind.

/// A whole number: decimal, or hexadecimal behind `0x`; underscores between digits.
pub fn whole(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no whole number; try 4096 or 0x1000");
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let plain = digits.replace('_', "");
    if !digits.starts_with(|c: char| c.is_digit(radix)) || digits.ends_with('_') {
        return Err(wrong());
    }
    u64::from_str_radix(&plain, radix).map_err(|_| wrong())
}

/// The same, and not 0.
pub fn positive(text: &str) -> Result<u64, String> {
    whole(text).and_then(|n| if n > 0 { Ok(n) } else { Err("it must be at least 1".into()) })
}

/// The same, from `least` to `most`, of `what`.
pub fn within<T: TryFrom<u64>>(text: &str, least: u64, most: u64, what: &str) -> Result<T, String> {
    let number = whole(text)?;
    let fits = Some(number).filter(|n| (least..=most).contains(n)).and_then(|n| T::try_from(n).ok());
    fits.ok_or_else(|| format!("`{text}`: expected {least} to {most} {what}"))
}

/// The most VFs of each kind that a card can be built with.
pub const MOST_VFS: u8 = 60;

/// VFs of each kind that a card is built with.
pub fn vfs(text: &str) -> Result<u8, String> {
    within(text, 1, MOST_VFS.into(), "VFs")
}

/// A number of bytes with an optional K, M, G or T (powers of 1024), in either case.
pub fn bytes(text: &str) -> Result<u64, String> {
    let shift = |c: char| "KMGT".find(c.to_ascii_uppercase()).map(|at| 10 * (1 + at as u32));
    let (digits, shift) = match text.char_indices().last().and_then(|(at, c)| Some((at, shift(c)?))) {
        Some((at, shift)) => (&text[..at], shift),
        None => (text, 0),
    };
    let size = whole(digits).ok().and_then(|n| n.checked_mul(1 << shift));
    size.ok_or_else(|| format!("`{text}` is not a size; try 64M, 4096 or 0x1000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_or_hexadecimal() {
        for (text, value) in [("0", 0), ("4096", 4096), ("0x1000", 4096), ("0XfF", 255), ("1_000", 1000)] {
            assert_eq!(whole(text), Ok(value), "{text}");
        }
        for text in ["", "0x", "x", "-1", "+1", "1.5", "_1", "1_", "0x_1", "18446744073709551616", "１"] {
            assert!(whole(text).is_err(), "{text}");
        }
        assert!(positive("0").is_err());
        assert_eq!((vfs("0x3c"), within("0x10", 1, 16, "seconds")), (Ok(60), Ok(16u64)));
        assert_eq!(vfs("61").unwrap_err(), "`61`: expected 1 to 60 VFs");
        assert!(vfs("0").is_err() && within::<u8>("256", 1, 1000, "processors").is_err());
    }

    #[test]
    fn sizes_have_a_letter() {
        for (text, size) in
            [("512", 512), ("1K", 1024), ("2m", 2 << 20), ("3G", 3 << 30), ("1T", 1 << 40), ("0x1K", 1024)]
        {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        for text in ["", "K", "1KB", "é", "99999999999999999999", "99999999999T", "-1"] {
            assert!(bytes(text).unwrap_err().contains("is not a size"), "{text}");
        }
    }
}
