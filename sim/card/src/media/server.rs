//! A server's export as a disk.

use std::io;

use azote_nbd::Client;

use super::Disk;

impl Disk for Client {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        self.read(out, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.write(data, offset, false)
    }

    fn write_durable(&self, data: &[u8], offset: u64) -> Option<io::Result<()>> {
        self.has_fua().then(|| self.write(data, offset, true))
    }

    fn zero(&self, offset: u64, len: u64, give_back: bool) -> io::Result<()> {
        Client::zero(self, offset, len, give_back)
    }

    fn sync(&self) -> io::Result<()> {
        self.flush()
    }

    fn extent(&self, offset: u64, end: u64) -> io::Result<(bool, u64)> {
        Client::extent(self, offset, end)
    }

    fn size(&self) -> Option<u64> {
        Some(Client::size(self))
    }

    fn is_remote(&self) -> bool {
        true
    }
}
