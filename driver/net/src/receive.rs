//! The receive half of a pair.

use azote_dma::{Buffer, Dma};
use azote_regs::virtio::net::header;
use azote_virtio::{Part, Queue};

use crate::header::decode;
use crate::{Error, Received, Result, Stats};

/// A received frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// From its destination address on.
    pub bytes: Vec<u8>,
    /// What is known of its checksum.
    pub checksum: Received,
}

/// Received frames. Its memory is used again by the next call that fills it.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    frames: Vec<Frame>,
    count: usize,
}

impl Batch {
    /// What was received.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames[..self.count]
    }

    fn next(&mut self) -> &mut Frame {
        if self.count == self.frames.len() {
            self.frames.push(Frame::default());
        }
        let frame = &mut self.frames[self.count];
        frame.bytes.clear();
        frame
    }
}

/// The receive half.
pub(crate) struct Receive {
    pair: u16,
    queue: Queue,
    pool: Buffer,
    size: u64,
    header: usize,
    /// A packet may take several buffers.
    mergeable: bool,
    /// Bytes of the longest frame.
    longest: usize,
}

impl Receive {
    pub fn new(
        pair: u16,
        queue: Queue,
        dma: &Dma,
        size: u32,
        header: usize,
        mergeable: bool,
        longest: usize,
    ) -> Result<Self> {
        let whole = (longest + header) as u64;
        let size = if mergeable { u64::from(size).max(64) } else { whole }.next_multiple_of(64);
        let pool = dma.alloc(u64::from(queue.size()) * size, 64)?;
        let mut this = Receive { pair, queue, pool, size, header, mergeable, longest };
        for buffer in 0..u32::from(this.queue.size()) {
            this.give(buffer)?;
        }
        Ok(this)
    }

    fn give(&mut self, buffer: u32) -> Result<()> {
        let slice = self.pool.slice(u64::from(buffer) * self.size, self.size)?;
        Ok(self.queue.add(&[Part { slice, written: true }], buffer)?)
    }

    /// Shows the device the buffers that it was given.
    pub fn ring(&mut self) -> Result<()> {
        Ok(self.queue.ring()?)
    }

    fn wrong(&self, what: String) -> Error {
        Error::Received { pair: self.pair, what }
    }

    /// Takes up to `most` frames.
    pub fn take(&mut self, batch: &mut Batch, most: usize, stats: &mut Stats) -> Result<usize> {
        batch.count = 0;
        while batch.count < most && self.one(batch.next(), stats)? {
            batch.count += 1;
        }
        if batch.count > 0 {
            self.queue.ring()?;
        }
        Ok(batch.count)
    }

    fn one(&mut self, frame: &mut Frame, stats: &mut Stats) -> Result<bool> {
        let Some(used) = self.queue.take()? else { return Ok(false) };
        let len = used.len as usize;
        if len < self.header {
            return Err(self.wrong(format!("{len} bytes are shorter than the header")));
        }
        let mut bytes = [0; header::SIZE as usize];
        self.pool.read(u64::from(used.mark) * self.size, &mut bytes)?;
        let (buffers, checksum) = decode(&bytes);
        let buffers = if self.mergeable { buffers } else { 1 };
        if buffers == 0 || buffers > self.queue.size() {
            return Err(self.wrong(format!("a packet of {buffers} buffers")));
        }
        frame.checksum = checksum;
        self.copy(frame, used.mark, self.header, len)?;
        for had in 1..buffers {
            // All of a packet is used at once (§5.1.6.4): the index counts all of its buffers or none.
            let Some(more) = self.queue.take()? else {
                return Err(self.wrong(format!("{had} of a packet's {buffers} buffers")));
            };
            self.copy(frame, more.mark, 0, more.len as usize)?;
        }
        stats.received += 1;
        stats.received_bytes += frame.bytes.len() as u64;
        stats.received_buffers += u64::from(buffers);
        Ok(true)
    }

    /// Copies a buffer's bytes behind the frame's, and gives it back to the device.
    fn copy(&mut self, frame: &mut Frame, buffer: u32, from: usize, to: usize) -> Result<()> {
        let at = frame.bytes.len();
        if at + (to - from) > self.longest {
            return Err(self.wrong(format!("a frame of {} bytes or more", at + to - from)));
        }
        frame.bytes.resize(at + to - from, 0);
        self.pool.read(u64::from(buffer) * self.size + from as u64, &mut frame.bytes[at..])?;
        self.give(buffer)
    }

    pub fn want_interrupts(&mut self, wanted: bool) -> Result<bool> {
        Ok(self.queue.want_interrupts(wanted)?)
    }

    pub fn has_used(&self) -> Result<bool> {
        Ok(self.queue.has_used()?)
    }
}
