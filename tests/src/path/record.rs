//! A device that notes what is transferred at the ports of another.

use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use azote_sim::TlpDevice;
use azote_sim::device::{Inputs, MediaOp, MediaRequest, Outputs, WaveScope};
use azote_tlp::{Assembler, Beat, Tlp};

/// Beats that went one after the other and belong together.
#[derive(Debug, Clone)]
struct Event {
    first: u64,
    last: u64,
    beats: u64,
    port: &'static str,
    text: String,
}

/// A stream of TLP beats.
#[derive(Default)]
struct Stream {
    packets: Assembler,
    first: u64,
    beats: u64,
}

impl Stream {
    fn beat(&mut self, clock: u64, beat: Beat, port: &'static str, events: &mut Vec<Event>) {
        if beat.sop {
            self.first = clock;
            self.beats = 0;
        }
        self.beats += 1;
        if let Ok(Some(packet)) = self.packets.push(beat) {
            let text = Tlp::decode(&packet).map_or_else(|reason| reason.to_string(), |tlp| tlp.to_string());
            events.push(Event { first: self.first, last: clock, beats: self.beats, port, text });
        }
    }
}

/// Beats of one of the media port's streams up to `last`.
#[derive(Default)]
struct Run {
    first: Option<u64>,
    beats: u64,
}

impl Run {
    fn beat(&mut self, clock: u64, last: bool, port: &'static str, events: &mut Vec<Event>) {
        let first = *self.first.get_or_insert(clock);
        self.beats += 1;
        if last {
            let text = format!("{} bytes", self.beats * 16);
            events.push(Event { first, last: clock, beats: self.beats, port, text });
            *self = Run::default();
        }
    }
}

#[derive(Default)]
struct State {
    clock: u64,
    events: Vec<Event>,
    rx: Stream,
    tx: Stream,
    mrd: Run,
    mwr: Run,
}

/// What was noted.
#[derive(Clone, Default)]
pub struct Record(Arc<Mutex<State>>);

impl Record {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Forgets what was noted so far.
    pub fn clear(&self) {
        self.state().events.clear();
    }

    /// A table, ordered by the first beat; its clocks count from the first beat of all.
    pub fn report(&self) -> String {
        let mut events = self.state().events.clone();
        events.sort_by_key(|e| e.first);
        let start = events.first().map_or(0, |e| e.first);
        let mut out = format!("clock 0 is clock {start} of the simulation\n{:>11}  beats  port   what\n", "clocks");
        for e in &events {
            let (first, last) = (e.first - start, e.last - start);
            let clocks = if first == last { first.to_string() } else { format!("{first} to {last}") };
            // What is in the data is beside the point.
            let text = e.text.split(" : ").next().unwrap_or_default();
            let _ = writeln!(out, "{clocks:>11}  {:>5}  {:<5}  {text}", e.beats, e.port);
        }
        out
    }
}

/// The device.
pub struct Recorder<D> {
    inside: D,
    record: Record,
}

impl<D> Recorder<D> {
    /// Notes what moves at the ports of `inside`.
    pub fn new(inside: D) -> (Recorder<D>, Record) {
        let record = Record::default();
        (Recorder { inside, record: record.clone() }, record)
    }
}

impl<D: TlpDevice> TlpDevice for Recorder<D> {
    fn cycle(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        self.inside.cycle(inputs, outputs);
        let mut state = self.record.state();
        let State { clock, events, rx, tx, mrd, mwr } = &mut *state;
        let now = *clock;
        *clock += 1;
        if inputs.reset {
            return;
        }
        if let (Some(beat), true) = (inputs.rx, outputs.rx_ready) {
            rx.beat(now, beat, "rx", events);
        }
        if let (Some(beat), true) = (outputs.tx, inputs.tx_ready) {
            tx.beat(now, beat, "tx", events);
        }
        if let (Some(request), true) = (outputs.mreq, inputs.mreq_ready) {
            let MediaRequest { tag, op, volume, blocks, lba, .. } = request;
            let what = match op {
                MediaOp::Cancel => String::new(),
                MediaOp::Flush => format!(": volume {volume}"),
                MediaOp::Ranges => format!(": volume {volume}, {blocks} rows"),
                _ => format!(": volume {volume}, {blocks} blocks from {lba}"),
            };
            let text = format!("{} {tag:#05x}{what}", op.name());
            events.push(Event { first: now, last: now, beats: 1, port: "mreq", text });
        }
        if let (Some(tag), true) = (outputs.mget, inputs.mget_ready) {
            let text = format!("data of {tag:#05x}");
            events.push(Event { first: now, last: now, beats: 1, port: "mget", text });
        }
        if let (Some(data), true) = (inputs.mrd, outputs.mrd_ready) {
            mrd.beat(now, data.last, "mrd", events);
        }
        if let (Some(data), true) = (outputs.mwr, inputs.mwr_ready) {
            mwr.beat(now, data.last, "mwr", events);
        }
        if let (Some(done), true) = (inputs.mdone, outputs.mdone_ready) {
            let text = format!("{} {:#05x}", done.result.name(), done.tag);
            events.push(Event { first: now, last: now, beats: 1, port: "mdone", text });
        }
    }

    fn trace(&mut self, path: &Path, scope: &WaveScope) -> Result<(), azote_sim::Error> {
        self.inside.trace(path, scope)
    }

    fn trace_end(&mut self) {
        self.inside.trace_end();
    }
}
