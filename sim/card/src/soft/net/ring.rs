//! A split virtqueue as the device sees it (virtio §2.7).

use azote_regs::virtio::ring::{
    AVAIL_ENTRY, AVAIL_F_NO_INTERRUPT, AVAIL_FLAGS, AVAIL_IDX, AVAIL_RING, DESC_ADDR, DESC_F_INDIRECT, DESC_F_NEXT,
    DESC_F_WRITE, DESC_FLAGS, DESC_LEN, DESC_NEXT, DESC_SIZE, USED_ENTRY, USED_IDX, USED_RING, avail_event, used_event,
};

use super::bus::Bus;

/// A ring that makes no sense, or memory that is not there: the device needs a reset.
#[derive(Debug)]
pub(super) struct Bad;

/// A queue as its registers have it, and how far it is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ring {
    pub function: u8,
    pub size: u16,
    pub desc: u64,
    pub avail: u64,
    pub used: u64,
    pub vector: u16,
    pub event_idx: bool,
    pub indirect: bool,
    pub taken: u16,
    pub done: u16,
}

/// A buffer of the driver's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub address: u64,
    pub len: usize,
    pub written: bool,
}

/// A chain of buffers.
#[derive(Debug)]
pub(super) struct Chain {
    pub head: u16,
    pub parts: Vec<Part>,
}

impl Chain {
    /// Bytes that may be written.
    pub fn room(&self) -> usize {
        self.parts.iter().filter(|part| part.written).map(|part| part.len).sum()
    }

    /// Bytes to be read.
    pub fn len(&self) -> usize {
        self.parts.iter().filter(|part| !part.written).map(|part| part.len).sum()
    }

    /// Reads what the driver has put there.
    pub async fn read(&self, bus: &Bus, function: u8) -> Result<Vec<u8>, Bad> {
        let mut data = Vec::with_capacity(self.len());
        for part in self.parts.iter().filter(|part| !part.written) {
            data.extend(bus.read(function, part.address, part.len).await.ok_or(Bad)?);
        }
        Ok(data)
    }

    /// Writes to the first bytes that may be.
    pub fn write(&self, bus: &Bus, function: u8, mut data: &[u8]) {
        for part in self.parts.iter().filter(|part| part.written) {
            let (now, rest) = data.split_at(data.len().min(part.len));
            bus.write(function, part.address, now.to_vec());
            data = rest;
        }
    }
}

fn half(bytes: &[u8], at: u64) -> u16 {
    bytes[at as usize..].first_chunk().map_or(0, |b| u16::from_le_bytes(*b))
}

impl Ring {
    async fn word(&self, bus: &Bus, address: u64) -> Result<u16, Bad> {
        Ok(half(&bus.read(self.function, address, 2).await.ok_or(Bad)?, 0))
    }

    /// The next chain. If there is none the driver is asked to ring for it, and looked at once more.
    pub async fn next(&mut self, bus: &Bus) -> Result<Option<Chain>, Bad> {
        let mut idx = self.word(bus, self.avail + AVAIL_IDX).await?;
        if idx == self.taken {
            if self.event_idx {
                bus.write(self.function, self.used + avail_event(self.size.into()), self.taken.to_le_bytes().to_vec());
                idx = self.word(bus, self.avail + AVAIL_IDX).await?;
            }
            if idx == self.taken {
                return Ok(None);
            }
        }
        if idx.wrapping_sub(self.taken) > self.size {
            return Err(Bad);
        }
        let entry = AVAIL_RING + AVAIL_ENTRY * u64::from(self.taken % self.size);
        let head = self.word(bus, self.avail + entry).await?;
        let parts = self.chain(bus, head).await?;
        self.taken = self.taken.wrapping_add(1);
        Ok(Some(Chain { head, parts }))
    }

    async fn chain(&self, bus: &Bus, head: u16) -> Result<Vec<Part>, Bad> {
        let mut parts: Vec<Part> = Vec::new();
        // The table that is walked: where, how many, and whether it is an indirect one.
        let (mut table, mut count, mut inside) = (self.desc, u64::from(self.size), false);
        let mut at = u64::from(head);
        loop {
            if at >= count || parts.len() >= usize::from(self.size) {
                return Err(Bad);
            }
            let bytes = bus.read(self.function, table + at * DESC_SIZE, DESC_SIZE as usize).await.ok_or(Bad)?;
            let address = bytes[DESC_ADDR as usize..].first_chunk().map_or(0, |b| u64::from_le_bytes(*b));
            let len = bytes[DESC_LEN as usize..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
            let flags = u64::from(half(&bytes, DESC_FLAGS));
            if len == 0 || address.checked_add(len.into()).is_none() {
                return Err(Bad);
            }
            if DESC_F_INDIRECT.is_set(flags) {
                let entries = u64::from(len) / DESC_SIZE;
                let whole = u64::from(len).is_multiple_of(DESC_SIZE) && entries <= u64::from(self.size).max(256);
                if inside || !self.indirect || DESC_F_NEXT.is_set(flags) || !whole {
                    return Err(Bad);
                }
                (table, count, inside, at) = (address, entries, true, 0);
                continue;
            }
            let written = DESC_F_WRITE.is_set(flags);
            if !written && parts.last().is_some_and(|part| part.written) {
                return Err(Bad);
            }
            parts.push(Part { address, len: len as usize, written });
            if !DESC_F_NEXT.is_set(flags) {
                return Ok(parts);
            }
            at = half(&bytes, DESC_NEXT).into();
        }
    }

    /// Gives chains back, all at once, and interrupts if the driver wants that.
    pub async fn give(&mut self, bus: &Bus, used: &[(u16, u32)]) -> Result<(), Bad> {
        let before = self.done;
        for (head, len) in used {
            let at = USED_RING + USED_ENTRY * u64::from(self.done % self.size);
            let entry = [u32::from(*head).to_le_bytes(), len.to_le_bytes()].concat();
            bus.write(self.function, self.used + at, entry);
            self.done = self.done.wrapping_add(1);
        }
        bus.write(self.function, self.used + USED_IDX, self.done.to_le_bytes().to_vec());
        // What the driver wants is read behind the index, or its change of mind would be missed.
        let wanted = if self.event_idx {
            let event = self.word(bus, self.avail + used_event(self.size.into())).await?;
            self.done.wrapping_sub(event).wrapping_sub(1) < self.done.wrapping_sub(before)
        } else {
            let flags = self.word(bus, self.avail + AVAIL_FLAGS).await?;
            !AVAIL_F_NO_INTERRUPT.is_set(flags.into())
        };
        if wanted {
            bus.interrupt(self.function, self.vector);
        }
        Ok(())
    }
}
