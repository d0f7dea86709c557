//! The Ethernet port: frames as beats.

use std::collections::VecDeque;

use crate::device::{EthernetBeat, Inputs, Outputs};

/// Bytes of a beat.
const BEAT: usize = 16;
/// Frames that wait for the wire at most.
const WAITING: usize = 1024;

/// The port.
#[derive(Debug, Default)]
pub(super) struct EthernetPort {
    outward: VecDeque<Vec<u8>>,
    given: usize,
    inward: Vec<u8>,
}

impl EthernetPort {
    /// A frame for the wire; it is lost if too many wait.
    pub fn send(&mut self, frame: &[u8]) {
        if self.outward.len() < WAITING {
            self.outward.push_back(frame.to_vec());
        }
    }

    pub fn busy(&self) -> bool {
        !self.outward.is_empty()
    }

    fn beat(&self) -> Option<EthernetBeat> {
        let rest = self.outward.front()?.get(self.given..)?;
        let mut data = [0; BEAT];
        data.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let word = |i: usize| data[4 * i..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
        let (bytes, eop) = (rest.len().min(BEAT) as u8, rest.len() <= BEAT);
        Some(EthernetBeat { data: std::array::from_fn(word), bytes, sop: self.given == 0, eop, error: false })
    }

    pub fn show(&self, outputs: &mut Outputs) {
        (outputs.erx_ready, outputs.etx) = (true, self.beat());
    }

    /// What was transferred in this clock; a frame that is whole.
    pub fn step(&mut self, inputs: &Inputs) -> Option<Vec<u8>> {
        if let Some(beat) = self.beat().filter(|_| inputs.etx_ready) {
            self.given += usize::from(beat.bytes);
            if beat.eop {
                self.outward.pop_front();
                self.given = 0;
            }
        }
        let beat = inputs.erx?;
        self.inward.extend(beat.data.iter().flat_map(|word| word.to_le_bytes()).take(beat.bytes.into()));
        let frame = beat.eop.then(|| std::mem::take(&mut self.inward))?;
        (!beat.error).then_some(frame)
    }
}
