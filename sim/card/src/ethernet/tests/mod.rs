//! The port against a device that echoes frames, or breaks a rule; and each wire by itself.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where

mod rules;
mod wires;

use std::collections::VecDeque;

use crate::device::{EthernetBeat, Inputs, Outputs, TlpDevice};
use crate::{Options, Root};

/// Sends what it is given, beat for beat, if the frame has no error.
#[derive(Default)]
struct Echo {
    begun: Vec<EthernetBeat>,
    out: VecDeque<EthernetBeat>,
}

impl TlpDevice for Echo {
    fn cycle(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        *outputs = Outputs { rx_ready: true, erx_ready: true, etx: self.out.front().copied(), ..Outputs::default() };
        if inputs.etx_ready {
            self.out.pop_front();
        }
        if let Some(beat) = inputs.erx {
            self.begun.push(EthernetBeat { error: false, ..beat });
            if beat.eop {
                let frame = std::mem::take(&mut self.begun);
                self.out.extend(frame.into_iter().filter(|_| !beat.error));
            }
        }
    }
}

/// Shows these beats, one after the other, whatever is taken.
struct Shows(VecDeque<Option<EthernetBeat>>);

impl TlpDevice for Shows {
    fn cycle(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        let next = if inputs.reset { None } else { self.0.pop_front().flatten() };
        *outputs = Outputs { rx_ready: true, etx: next, busy: !self.0.is_empty(), ..Outputs::default() };
    }
}

fn root(device: impl TlpDevice + 'static, options: Options) -> Root {
    Root::new(Box::new(device), options).unwrap()
}

/// A frame of so many bytes, each another.
fn frame(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + length) as u8).collect()
}
