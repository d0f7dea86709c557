//! The client beside a server of arbitrary bytes, for fuzzers.

use std::io::{self, Read, Write};

use crate::haggle::agree;
use crate::{Address, Uri, link};

/// A server that says what it says, whatever it hears.
struct Script<'a>(&'a [u8]);

impl Read for Script<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for Script<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A handshake, and then, whatever came of it, replies to requests that wait.
pub fn converse(bytes: &[u8]) {
    let uri = Uri::of(Address::Unix("/nowhere".into()), "x");
    let mut script = Script(bytes);
    let agreed = agree(&mut script, &uri);
    if let Err(error) = &agreed {
        assert!(!error.to_string().contains('\n'), "more than a line: {error}");
    }
    let (structured, rest) =
        agreed.map_or((bytes.len().is_multiple_of(2), bytes), |terms| (terms.structured, script.0));
    link::replies(rest, structured);
}
