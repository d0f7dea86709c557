//! A split virtqueue (virtio §2.7): what is with the device, and what comes back.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use azote_dma::{Dma, Slice};
use azote_regs::virtio::ring::{AVAIL_F_NO_INTERRUPT, USED_F_NO_NOTIFY};
use azote_regs::virtio::{bit, feature};
use azote_seam::Mmio;

use crate::ring::{INDIRECT, Ring};
use crate::{Error, Result};

/// A piece of a chain.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Where it is.
    pub slice: Slice,
    /// The device writes it; else it reads it. Parts that are written come behind those that are read (§2.7.4.2).
    pub written: bool,
}

/// What the device is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// The caller's own mark.
    pub mark: u32,
    /// How many bytes the device wrote: no more than there was room for.
    pub len: u32,
}

/// Where a queue is rung.
pub(crate) struct Doorbell {
    pub bar: Arc<dyn Mmio>,
    pub at: u64,
}

/// What is known of a chain that is with the device.
#[derive(Debug, Clone, Copy, Default)]
struct Chain {
    mark: u32,
    /// Bytes that the device may write.
    room: u64,
    /// Its descriptors; 0 is none.
    parts: u16,
}

/// A split virtqueue. What is in it must stay where it is until it is used: the caller keeps the buffers.
pub struct Queue {
    index: u16,
    size: u16,
    ring: Ring,
    doorbell: Doorbell,
    event_idx: bool,
    /// By the number of their first descriptor.
    chains: Vec<Chain>,
    /// The next descriptor of a chain, by descriptor.
    next: Vec<u16>,
    free: Vec<u16>,
    /// Chains with the device.
    given: u16,
    /// `avail.idx` as it will be shown, and as it was when the device was last rung.
    avail: u16,
    rung: u16,
    /// How far the used ring was taken.
    taken: u16,
    broken: Option<Error>,
}

impl Queue {
    pub(crate) fn new(index: u16, size: u16, dma: &Dma, doorbell: Doorbell, features: u64) -> Result<Self> {
        let has = |feature| features & bit(feature) != 0;
        Ok(Queue {
            index,
            size,
            ring: Ring::new(size, dma, has(feature::INDIRECT_DESC))?,
            doorbell,
            event_idx: has(feature::EVENT_IDX),
            chains: vec![Chain::default(); size.into()],
            next: vec![0; size.into()],
            free: (0..size).rev().collect(),
            given: 0,
            avail: 0,
            rung: 0,
            taken: 0,
            broken: None,
        })
    }

    pub(crate) fn addresses(&self) -> [u64; 3] {
        self.ring.addresses()
    }

    /// Its number.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// How many entries it has.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.size
    }

    /// How many chains are with the device.
    #[must_use]
    pub fn given(&self) -> u16 {
        self.given
    }

    /// Whether a chain of so many parts has room.
    #[must_use]
    pub fn has_room(&self, parts: usize) -> bool {
        self.free.len() >= if self.in_table(parts) { 1 } else { parts }
    }

    fn in_table(&self, parts: usize) -> bool {
        self.ring.has_tables() && (2..=INDIRECT).contains(&parts)
    }

    /// Gives the device a chain. It sees it with the next [`Queue::ring`].
    pub fn add(&mut self, parts: &[Part], mark: u32) -> Result<()> {
        self.whole()?;
        let empty = parts.iter().any(|part| part.slice.len == 0 || part.slice.len > u32::MAX.into());
        if parts.is_empty() || parts.len() > self.size.into() || empty {
            return Err(Error::Chain { queue: self.index, parts: parts.len() });
        }
        if !self.has_room(parts.len()) {
            return Err(Error::Full { queue: self.index });
        }
        let wanted = if self.in_table(parts.len()) { 1 } else { parts.len() };
        let chain = self.free.split_off(self.free.len() - wanted);
        let head = chain[0];
        if wanted == parts.len() {
            self.ring.direct(&chain, parts)?;
            for pair in chain.windows(2) {
                self.next[usize::from(pair[0])] = pair[1];
            }
        } else {
            self.ring.indirect(head, parts)?;
        }
        let room = parts.iter().filter(|part| part.written).map(|part| part.slice.len).sum();
        self.chains[usize::from(head)] = Chain { mark, room, parts: wanted as u16 };
        self.ring.offer(self.avail, head)?;
        self.avail = self.avail.wrapping_add(1);
        self.given += 1;
        Ok(())
    }

    /// Shows the device what was added, and rings unless it said that it looks by itself.
    pub fn ring(&mut self) -> Result<()> {
        self.whole()?;
        if self.avail == self.rung {
            return Ok(());
        }
        // The entries before the index that shows them (§2.7.13.3).
        fence(Ordering::Release);
        self.ring.show(self.avail)?;
        // The index before the look at whether the device waits for it (§2.7.13.4).
        fence(Ordering::SeqCst);
        let before = std::mem::replace(&mut self.rung, self.avail);
        let wanted = if self.event_idx {
            passed(self.ring.avail_event()?, self.avail, before)
        } else {
            !USED_F_NO_NOTIFY.is_set(self.ring.used_flags()?.into())
        };
        if wanted {
            self.doorbell.bar.write16(self.doorbell.at, self.index)?;
        }
        Ok(())
    }

    /// Whether something was used that [`Queue::take`] has not given.
    pub fn has_used(&self) -> Result<bool> {
        Ok(self.ring.used_idx()? != self.taken)
    }

    /// What the device used next. An error is for ever: the device has to be reset.
    pub fn take(&mut self) -> Result<Option<Used>> {
        self.whole()?;
        let taken = self.look();
        if let Err(error) = &taken {
            self.broken = Some(error.clone());
        }
        taken
    }

    fn look(&mut self) -> Result<Option<Used>> {
        let idx = self.ring.used_idx()?;
        let used = idx.wrapping_sub(self.taken);
        if used == 0 {
            return Ok(None);
        }
        if used > self.given {
            return Err(Error::UsedIndex { queue: self.index, used, given: self.given });
        }
        // The index before what it announces.
        fence(Ordering::Acquire);
        let (id, len) = self.ring.used(self.taken)?;
        let unknown = Error::UsedId { queue: self.index, id };
        let head = u16::try_from(id).map_err(|_| unknown.clone())?;
        let chain = match self.chains.get_mut(usize::from(head)) {
            Some(chain) if chain.parts > 0 => std::mem::take(chain),
            _ => return Err(unknown),
        };
        if u64::from(len) > chain.room {
            return Err(Error::UsedLength { queue: self.index, len, room: chain.room });
        }
        let mut descriptor = head;
        for _ in 0..chain.parts {
            self.free.push(descriptor);
            descriptor = self.next[usize::from(descriptor)];
        }
        self.taken = self.taken.wrapping_add(1);
        self.given -= 1;
        Ok(Some(Used { mark: chain.mark, len }))
    }

    /// Asks for an interrupt with the next use, or for none. True if there is something to take already, for which none may come.
    pub fn want_interrupts(&mut self, wanted: bool) -> Result<bool> {
        self.whole()?;
        if self.event_idx {
            // The event behind the last entry that can come is as good as none.
            self.ring.set_used_event(if wanted { self.taken } else { self.taken.wrapping_sub(1) })?;
        } else {
            self.ring.set_flags(if wanted { 0 } else { AVAIL_F_NO_INTERRUPT.mask() as u16 })?;
        }
        // What was asked for before the look at what came meanwhile (§2.7.7.1).
        fence(Ordering::SeqCst);
        self.has_used()
    }

    fn whole(&self) -> Result<()> {
        self.broken.clone().map_or(Ok(()), Err)
    }
}

/// Whether an index that went from `old` to `new` passed `event` (§2.7.10.1, vring_need_event).
fn passed(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

#[cfg(test)]
mod tests {
    use super::passed;

    #[test]
    fn an_event_is_passed_when_the_index_goes_beyond_it_also_around_the_end() {
        for base in [0u16, 1, 0x7fff, 0xfffe, 0xffff] {
            let at = |n: u16| base.wrapping_add(n);
            for (event, new, old, expected) in [
                (0, 1, 0, true),
                (0, 0, 0, false),
                (3, 3, 0, false),
                (3, 4, 0, true),
                (3, 10, 4, false),
                (3, 10, 3, true),
            ] {
                assert_eq!(passed(at(event), at(new), at(old)), expected, "{base}: {event} {new} {old}");
            }
        }
    }
}
