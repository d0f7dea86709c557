//! What is to be built: the text, its ports, and how.

/// Direction of a port, seen from the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dir {
    /// Driven by the bench.
    In,
    /// Driven by the model.
    Out,
}

/// One port of the top module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Port {
    /// Its name in the Verilog text: letters, digits and underscores.
    pub name: String,
    /// Which side drives it.
    pub dir: Dir,
    /// Width in bits, at least 1.
    pub width: usize,
}

impl Port {
    /// A port that the bench drives.
    pub fn input(name: impl Into<String>, width: usize) -> Self {
        Port { name: name.into(), dir: Dir::In, width }
    }

    /// A port that the model drives.
    pub fn output(name: impl Into<String>, width: usize) -> Self {
        Port { name: name.into(), dir: Dir::Out, width }
    }

    /// How many 32-bit words hold its value.
    pub fn words(&self) -> usize {
        self.width.div_ceil(32)
    }
}

/// Verilog text with its top module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// The whole text: every module that the top needs.
    pub text: String,
    /// Name of the top module.
    pub top: String,
    /// The top's ports that a bench reaches, in any order.
    pub ports: Vec<Port>,
}

/// How a model is built.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Options {
    /// Build with waves, so that [`crate::Dut::trace`] works. Costs speed even while no wave is written.
    pub trace: bool,
    /// Compile quickly (`-O1`) rather than for speed (`-O3 -march=native`): right for the bench of a small block.
    pub fast_build: bool,
    /// Compile for any x86-64 processor of the last fifteen years rather than for this one: for a model that runs elsewhere.
    pub portable: bool,
    /// Build it so that it can be said where its time goes: [`crate::by_block`].
    pub profile: bool,
    /// Start registers and memories that have no initial value at a random value of this seed instead of at zero.
    pub random_init: Option<u32>,
}

impl Options {
    /// For a small block's bench: compiled quickly, started at random values so that a missing reset shows.
    pub fn block() -> Self {
        Options { trace: false, fast_build: true, portable: false, profile: false, random_init: Some(1) }
    }

    /// For the card: compiled for speed.
    pub fn fast() -> Self {
        Options { trace: false, fast_build: false, portable: false, profile: false, random_init: None }
    }

    /// The same, for any processor.
    pub fn portable(mut self) -> Self {
        self.portable = true;
        self
    }

    /// The same, with what tells where its time goes.
    pub fn with_profile(mut self, profile: bool) -> Self {
        self.profile = profile;
        self
    }

    /// The same, with waves.
    pub fn with_trace(mut self, trace: bool) -> Self {
        self.trace = trace;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::fast()
    }
}
