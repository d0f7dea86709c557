//! The first message: what both ends can do, as JSON.

use serde_json::{Value, json};

use super::{Command, MAX_FDS, MAX_MAPS, MAX_TRANSFER, Malformed};

/// The protocol's major version.
pub const MAJOR: u16 = 0;
/// The minor version that is answered: QEMU refuses servers that answer with a newer one than its own.
pub const MINOR: u16 = 0;

/// What the other end can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Descriptors beside a message.
    pub max_fds: usize,
    /// Bytes of a transfer.
    pub max_transfer: usize,
}

/// Reads a VERSION payload. What is missing or not to be understood has the protocol's default; what is there must be sane.
pub fn parse(payload: &[u8]) -> Result<Capabilities, Malformed> {
    let bad = |reason| Malformed::Content { command: Command::Version, reason };
    let (numbers, text) =
        payload.split_at_checked(4).ok_or(Malformed::Short { command: Command::Version, len: payload.len() })?;
    if u16::from_ne_bytes([numbers[0], numbers[1]]) != MAJOR {
        return Err(bad("another major version than 0"));
    }
    let text = text.split(|b| *b == 0).next().unwrap_or_default();
    let value: Value = match text {
        [] => Value::Null,
        text => serde_json::from_slice(text).map_err(|_| bad("capabilities that are not JSON"))?,
    };
    let number = |name: &str, default: usize, most: usize| match value["capabilities"][name].as_u64() {
        None => default,
        Some(n) => usize::try_from(n).unwrap_or(most).min(most),
    };
    let max_transfer = number("max_data_xfer_size", MAX_TRANSFER, MAX_TRANSFER);
    if max_transfer < 4096 {
        return Err(bad("transfers of less than a page"));
    }
    Ok(Capabilities { max_fds: number("max_msg_fds", 1, MAX_FDS).max(1), max_transfer })
}

/// A VERSION payload of ours.
pub fn text() -> Vec<u8> {
    let mut payload = [MAJOR.to_ne_bytes(), MINOR.to_ne_bytes()].concat();
    let capabilities = json!({ "capabilities": {
        "max_msg_fds": MAX_FDS,
        "max_data_xfer_size": MAX_TRANSFER,
        "max_dma_maps": MAX_MAPS,
        "pgsizes": 4096,
        "write_multiple": false,
    }});
    payload.extend(capabilities.to_string().into_bytes());
    payload.push(0);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_say_is_what_we_understand() {
        let both = Capabilities { max_fds: MAX_FDS, max_transfer: MAX_TRANSFER };
        assert_eq!(parse(&text()), Ok(both));
    }

    #[test]
    fn bad_versions_are_errors_and_odd_ones_defaults() {
        let message = |text: &str| [&[0, 0, 1, 0], text.as_bytes()].concat();
        for bad in [&[][..], &[0, 0, 0], &[1, 0, 0, 0], &message("{"), &message("\u{0}").as_slice()[..2]] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        assert!(parse(&message(r#"{"capabilities":{"max_data_xfer_size":16}}"#)).is_err());
        let plain = Capabilities { max_fds: 1, max_transfer: MAX_TRANSFER };
        for odd in ["", "[]", "7", r#"{"capabilities":null}"#, r#"{"capabilities":{"max_msg_fds":-1}}"#] {
            assert_eq!(parse(&message(odd)), Ok(plain), "{odd}");
        }
        let huge = parse(&message(r#"{"capabilities":{"max_msg_fds":18446744073709551615}}"#)).unwrap();
        assert_eq!(huge.max_fds, MAX_FDS);
    }
}
