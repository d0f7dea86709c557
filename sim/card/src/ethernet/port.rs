//! The port, clock by clock: beats out, beats in, and the rules that the card keeps there.

use std::time::Duration;

use azote_regs::virtio::net::MAX_FRAME;
use rand::Rng;

use super::Ethernet;
use crate::EthernetOptions;
use crate::device::{EthernetBeat, Inputs, Outputs};

/// Bytes of a beat.
const BEAT: usize = 16;
/// Bytes of the shortest frame: an Ethernet header. A medium that wants more fills it up.
pub(super) const MIN_FRAME: usize = 14;
/// Bytes of the longest.
pub(super) const LONGEST: usize = MAX_FRAME as usize;

/// The port's own state.
#[derive(Debug, Default)]
pub(super) struct Port {
    /// The frame that goes in, how many bytes of it have, whether it comes with an error, and whether its next beat stands.
    inward: Option<Vec<u8>>,
    given: usize,
    error: bool,
    stands: bool,
    /// The frame that comes out, from its first beat on.
    outward: Option<Vec<u8>>,
    /// What the card offered and was not taken, to see that it stands.
    stalled: Option<EthernetBeat>,
    /// What either way may move at the port's rate, in 256ths of a byte.
    credit: [u32; 2],
}

impl Port {
    pub fn busy(&self) -> bool {
        self.inward.is_some() || self.outward.is_some()
    }

    fn beat(&self) -> Option<EthernetBeat> {
        let rest = self.inward.as_ref()?.get(self.given..)?;
        let bytes = rest.len().min(BEAT);
        let mut data = [0; BEAT];
        data.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let word = |i: usize| data[4 * i..].first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        let eop = rest.len() <= BEAT;
        Some(EthernetBeat {
            data: std::array::from_fn(word),
            bytes: bytes as u8,
            sop: self.given == 0,
            eop,
            error: eop && self.error,
        })
    }

    /// Takes a beat of a frame; the frame, if it was the last.
    fn push(&mut self, beat: &EthernetBeat) -> Result<Option<Vec<u8>>, String> {
        let frame = match (&mut self.outward, beat.sop) {
            (Some(frame), false) => frame,
            (None, true) => self.outward.insert(Vec::new()),
            (Some(frame), true) => {
                let had = frame.len();
                self.outward = None;
                return Err(format!("etx_sop after {had} bytes of a frame that has not ended"));
            }
            (None, false) => return Err("a beat without etx_sop, and no frame has begun".into()),
        };
        let bytes = usize::from(beat.bytes);
        if !(1..=BEAT).contains(&bytes) || (bytes != BEAT && !beat.eop) {
            let (at, eop) = (frame.len(), beat.eop);
            return Err(format!("etx_bytes is {bytes} after {at} bytes of a frame, with etx_eop {}", u8::from(eop)));
        }
        frame.extend(beat.data.iter().flat_map(|word| word.to_le_bytes()).take(bytes));
        let length = frame.len();
        if length > LONGEST {
            self.outward = None;
            return Err(format!("a frame has {length} bytes and goes on, and the longest has {LONGEST}"));
        }
        if !beat.eop {
            return Ok(None);
        }
        if length < MIN_FRAME {
            self.outward = None;
            return Err(format!("a frame of {length} bytes, and an Ethernet header has {MIN_FRAME}"));
        }
        Ok(self.outward.take())
    }
}

impl Ethernet {
    fn by_chance(&mut self, chance: u8) -> bool {
        chance > 0 && self.rng.random::<u8>() < chance
    }

    /// Sets the port's inputs for this clock.
    pub(crate) fn drive(&mut self, now: Duration, inputs: &mut Inputs) {
        // One beat may be saved up, so that a rate that is no whole fraction of the port's comes out right.
        for credit in &mut self.port.credit {
            *credit = (*credit + self.options.bandwidth).min(2 * EthernetOptions::FULL - 1);
        }
        let room = |credit: u32| credit >= EthernetOptions::FULL;
        inputs.etx_ready = room(self.port.credit[1]) && !self.by_chance(self.options.stall);
        if self.port.inward.is_none() {
            self.next_frame(now);
        }
        if self.port.inward.is_some() && !self.port.stands {
            self.port.stands = room(self.port.credit[0]) && !self.by_chance(self.options.gap);
        }
        inputs.erx = self.port.beat().filter(|_| self.port.stands);
    }

    /// The next frame that is one, from the wire.
    fn next_frame(&mut self, now: Duration) {
        while let Some(frame) = self.wire.receive(now) {
            if (MIN_FRAME..=LONGEST).contains(&frame.len()) {
                let error = self.by_chance(self.options.damage);
                (self.port.inward, self.port.given, self.port.error) = (Some(frame), 0, error);
                return;
            }
            self.stats.unfit += 1;
        }
    }

    /// Takes what was transferred in this clock; true if anything was.
    pub(crate) fn step(&mut self, now: Duration, inputs: &Inputs, outputs: &Outputs) -> bool {
        if self.port.stalled.is_some() && self.port.stalled != outputs.etx {
            self.wrong("etx_valid or its beat changed before etx_ready".into());
        }
        self.port.stalled = outputs.etx.filter(|_| !inputs.etx_ready);
        let mut moved = false;
        if let (Some(beat), true) = (outputs.etx, inputs.etx_ready) {
            moved = true;
            self.port.credit[1] = self.port.credit[1].saturating_sub(EthernetOptions::FULL);
            match self.port.push(&beat) {
                Ok(None) => {}
                Ok(Some(frame)) => self.sent(now, &frame),
                Err(what) => self.wrong(what),
            }
        }
        if let (Some(beat), true) = (inputs.erx, outputs.erx_ready) {
            moved = true;
            self.port.credit[0] = self.port.credit[0].saturating_sub(EthernetOptions::FULL);
            self.port.stands = false;
            self.port.given += usize::from(beat.bytes);
            if let Some(frame) = self.port.inward.take_if(|_| beat.eop) {
                self.stats.given += 1;
                self.stats.given_bytes += frame.len() as u64;
                self.note(now, &frame);
            }
        }
        moved
    }

    fn sent(&mut self, now: Duration, frame: &[u8]) {
        self.stats.sent += 1;
        self.stats.sent_bytes += frame.len() as u64;
        self.stats.lost += u64::from(!self.wire.send(frame));
        self.note(now, frame);
    }

    fn note(&mut self, now: Duration, frame: &[u8]) {
        if let Some(capture) = &mut self.capture {
            capture.frame(now, frame);
        }
    }

    fn wrong(&mut self, what: String) {
        self.broken.get_or_insert(format!("Ethernet port: {what}"));
    }
}
