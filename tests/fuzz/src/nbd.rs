//! A client of arbitrary bytes at the NBD server: the handshake, and requests once an export is taken. What it is asked for is
//! within the export, and it never holds more memory than was agreed.

/// Plays a client.
pub fn run(data: &[u8]) {
    azote_cli::nbd::testing::play(data);
}
