//! Long reads and writes: split into commands, many in flight, in the order in which the controller likes to answer.

use std::ops::Range;

use azote_dma::Buffer;
use azote_nvme::{Controller, Io};

use crate::{Error, Result};

/// The most commands in flight.
const SLOTS: u64 = 16;

/// Reads blocks and hands them to `sink` with their byte offset from the first; not in order. `progress` hears of every
/// byte.
pub fn read(
    controller: &mut Controller,
    blocks: Range<u64>,
    mut sink: impl FnMut(u64, &[u8]) -> Result<()>,
    progress: &dyn Fn(u64),
) -> Result<()> {
    let mut data = Vec::new();
    Pump::new(controller, blocks)?.run(
        |_, lba, slice| Ok(Io::Read { lba, data: slice }),
        |buffer, place, offset, len| {
            data.resize(len as usize, 0);
            buffer.read(place, &mut data)?;
            sink(offset, &data)?;
            progress(len);
            Ok(())
        },
    )
}

/// Writes blocks that `source` fills, given their byte offset from the first. Not durable before a flush. What is zero is made so
/// without data, if the controller can, and its space given back.
pub fn write(
    controller: &mut Controller,
    blocks: Range<u64>,
    mut source: impl FnMut(u64, &mut [u8]) -> Result<()>,
    progress: &dyn Fn(u64),
) -> Result<()> {
    let mut data = Vec::new();
    let block = controller.require_namespace()?.block_size();
    let zeroes = controller.identity().write_zeroes;
    Pump::new(controller, blocks)?.run(
        |piece, lba, slice| {
            data.resize(slice.len as usize, 0);
            source(piece.offset, &mut data)?;
            if zeroes && data.iter().all(|&b| b == 0) {
                return Ok(Io::WriteZeroes { lba, blocks: slice.len / block, deallocate: true, fua: false });
            }
            piece.buffer.write(piece.place, &data)?;
            Ok(Io::Write { lba, data: slice })
        },
        |_, _, _, len| {
            progress(len);
            Ok(())
        },
    )
}

/// Where a command's data is.
struct Piece<'a> {
    buffer: &'a Buffer,
    place: u64,
    offset: u64,
}

struct Pump<'a> {
    controller: &'a mut Controller,
    buffer: Buffer,
    /// Bytes of a command.
    step: u64,
    block: u64,
    first: u64,
    total: u64,
}

impl<'a> Pump<'a> {
    fn new(controller: &'a mut Controller, blocks: Range<u64>) -> Result<Self> {
        let block = controller.require_namespace()?.block_size();
        let step = controller.max_transfer().min(128 << 10);
        let slots = SLOTS.min(controller.depth() as u64);
        let buffer = controller.dma().alloc(slots * step, 4096)?;
        let total = blocks.end.saturating_sub(blocks.start) * block;
        Ok(Self { controller, buffer, step, block, first: blocks.start, total })
    }

    /// `make` turns the next piece into a command, `done` hears of its success: buffer, place, offset, length.
    fn run(
        mut self,
        make: impl FnMut(Piece<'_>, u64, azote_dma::Slice) -> Result<Io>,
        done: impl FnMut(&Buffer, u64, u64, u64) -> Result<()>,
    ) -> Result<()> {
        let result = self.pump(make, done);
        if result.is_err() {
            // The buffer is given back only when the controller has no command that uses it.
            while self.controller.in_flight(0) > 0 && self.controller.wait(0).is_ok() {}
        }
        result
    }

    fn pump(
        &mut self,
        mut make: impl FnMut(Piece<'_>, u64, azote_dma::Slice) -> Result<Io>,
        mut done: impl FnMut(&Buffer, u64, u64, u64) -> Result<()>,
    ) -> Result<()> {
        let len = |this: &Self, offset: u64| this.step.min(this.total - offset);
        // The slot of a command, and with it its place, is known by its mark: offset and slot.
        let mut free: Vec<u64> = (0..self.buffer.len() / self.step).collect();
        let mut next = 0;
        loop {
            while next < self.total
                && let Some(slot) = free.pop()
            {
                let place = slot * self.step;
                let slice = self.buffer.slice(place, len(self, next))?;
                let piece = Piece { buffer: &self.buffer, place, offset: next };
                let io = make(piece, self.first + next / self.block, slice)?;
                self.controller.push(0, io, next / self.step * SLOTS + slot)?;
                next += slice.len;
            }
            self.controller.ring(0)?;
            if self.controller.in_flight(0) == 0 {
                return Ok(());
            }
            let completion = self.controller.wait(0)?;
            let (offset, slot) = (completion.user / SLOTS * self.step, completion.user % SLOTS);
            if let Err(failure) = completion.result {
                return Err(Error::Transfer { lba: self.first + offset / self.block, failure });
            }
            done(&self.buffer, slot * self.step, offset, len(self, offset))?;
            free.push(slot);
        }
    }
}
