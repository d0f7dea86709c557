//! A server's bytes, in a handshake and as replies to requests.

pub fn run(data: &[u8]) {
    azote_nbd::testing::converse(data);
}
