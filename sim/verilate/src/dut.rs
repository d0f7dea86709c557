//! The device under test: ports by name or by handle, clocks, waves.

use std::path::Path;

use crate::build::{Shim, build_library};
use crate::model::Model;
use crate::{Dir, Error, Options, Port, Source};

/// A port that was looked up once; cheaper than its name in a loop. Of use only with the [`Dut`] that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortId {
    index: u32,
    width: u32,
    input: bool,
}

/// A loaded model of one design.
///
/// A bench that names a port that is not there, drives an output, or drives a value wider than its port is wrong in
/// its text, not in its input: those calls panic with the port's name.
pub struct Dut {
    model: Model,
    top: String,
    ports: Vec<Port>,
    clocks: u64,
}

/// Words of the widest value that goes through `u128`.
const WORDS: usize = 4;

impl Dut {
    /// Builds the model, unless it is in the cache, and loads an instance of it with all inputs at zero.
    pub fn build(source: &Source, options: &Options) -> Result<Dut, Error> {
        let path = build_library(source, options, Shim::Generic)?;
        let model = Model::load(&path, options.random_init.unwrap_or(0))?;
        let mut dut = Dut { model, top: source.top.clone(), ports: source.ports.clone(), clocks: 0 };
        for index in 0..dut.ports.len() {
            if dut.ports[index].dir == Dir::In {
                let zero = vec![0; dut.ports[index].words()];
                dut.model.poke(index as u32, &zero);
            }
        }
        dut.eval();
        Ok(dut)
    }

    /// The handle of a port, or `None` if the design has none of that name.
    pub fn port(&self, name: &str) -> Option<PortId> {
        let index = self.ports.iter().position(|p| p.name == name)?;
        let port = &self.ports[index];
        Some(PortId { index: index as u32, width: port.width as u32, input: port.dir == Dir::In })
    }

    /// All ports, in the order of the source.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    fn named(&self, name: &str) -> PortId {
        match self.port(name) {
            Some(port) => port,
            None => {
                let names: Vec<&str> = self.ports.iter().map(|p| p.name.as_str()).collect();
                panic!("{}: no port `{name}`; it has {}", self.top, names.join(", "))
            }
        }
    }

    fn name(&self, port: PortId) -> &str {
        self.ports.get(port.index as usize).map_or("?", |p| &p.name)
    }

    /// Drives an input of up to 128 bits; it takes effect at the next [`Dut::eval`] or clock.
    pub fn set(&mut self, name: &str, value: u128) {
        self.write(self.named(name), value);
    }

    /// Reads any port of up to 128 bits, as of the last [`Dut::eval`] or clock.
    pub fn get(&self, name: &str) -> u128 {
        self.read(self.named(name))
    }

    /// [`Dut::set`] by handle.
    pub fn write(&mut self, port: PortId, value: u128) {
        assert!(port.width <= 128, "{}.{}: {} bits; use set_words", self.top, self.name(port), port.width);
        assert!(
            port.width == 128 || value >> port.width == 0,
            "{}.{}: {value:#x} does not fit its {} bits",
            self.top,
            self.name(port),
            port.width
        );
        assert!(port.input, "{}.{} is an output", self.top, self.name(port));
        let words: [u32; WORDS] = std::array::from_fn(|i| (value >> (32 * i)) as u32);
        self.model.poke(port.index, &words);
    }

    /// [`Dut::get`] by handle.
    pub fn read(&self, port: PortId) -> u128 {
        assert!(port.width <= 128, "{}.{}: {} bits; use get_words", self.top, self.name(port), port.width);
        let mut words = [0u32; WORDS];
        self.model.peek(port.index, &mut words);
        words.iter().rev().fold(0, |value, word| value << 32 | u128::from(*word))
    }

    /// Drives an input of any width; `words` holds exactly its 32-bit words, the lowest first.
    pub fn set_words(&mut self, name: &str, words: &[u32]) {
        let port = self.named(name);
        let count = port.width.div_ceil(32) as usize;
        assert!(words.len() == count, "{}.{name}: {} words given, it has {count}", self.top, words.len());
        let spare = count as u32 * 32 - port.width;
        let top = words.last().copied().unwrap_or(0);
        assert!(top.leading_zeros() >= spare, "{}.{name}: the value does not fit its {} bits", self.top, port.width);
        assert!(port.input, "{}.{name} is an output", self.top);
        self.model.poke(port.index, words);
    }

    /// Reads a port of any width as 32-bit words, the lowest first.
    pub fn get_words(&self, name: &str) -> Vec<u32> {
        let port = self.named(name);
        let mut words = vec![0; port.width.div_ceil(32) as usize];
        self.model.peek(port.index, &mut words);
        words
    }

    /// Settles combinational outputs after inputs changed.
    pub fn eval(&mut self) {
        self.model.eval();
        self.look();
    }

    /// One clock: inputs settle, `clock` rises, `clock` falls. Outputs then show the state after the edge.
    pub fn clock(&mut self) {
        self.clock_n(1);
    }

    /// `n` clocks with the inputs as they are, in one call.
    pub fn clock_n(&mut self, n: u64) {
        self.model.clock(n);
        self.clocks += n;
        self.look();
    }

    /// Holds `reset` for two clocks and lets go of it.
    pub fn reset(&mut self) {
        self.set("reset", 1);
        self.clock_n(2);
        self.set("reset", 0);
        self.eval();
    }

    /// Ends the bench if a check of the design's own failed: whatever it computes from there on is of no use.
    fn look(&mut self) {
        if let Some(what) = self.model.failed() {
            panic!("a check failed in or before clock {}: {what}", self.clocks);
        }
    }

    /// Clocks since the model was built.
    pub fn clocks(&self) -> u64 {
        self.clocks
    }

    /// Writes waves (FST, for GTKWave or Surfer) to `path` from now on; needs `Options { trace: true, .. }`.
    pub fn trace(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.model.trace(Some(path.as_ref()))
    }

    /// Ends and completes the wave file.
    pub fn trace_end(&mut self) -> Result<(), Error> {
        self.model.trace(None)
    }
}

impl std::fmt::Debug for Dut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dut").field("top", &self.top).field("clocks", &self.clocks).finish_non_exhaustive()
    }
}
