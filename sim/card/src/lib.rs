//! The simulated card: RTL compiled by Verilator, behind a root complex that does what a host does.
//!
//! ```text
//!   drivers        azote-seam traits            tests
//!      │  SimFunction, its BARs, its vectors      │
//!   ┌──┴───────────────── Card ───────────────────┴──┐  a lock; who waits, clocks
//!   │ Root: requests, DMA, interrupts, faults,       │
//!   │       checker of every TLP, log                │
//!   └──┬──────────── 128-bit beats ──────────────┬───┘
//!      │ rx, tx                                  │ media port, Ethernet port
//!   TlpDevice: Hardware (Verilated) or soft::SoftCard
//! ```
//!
//! Nothing here runs by itself, unless a [`Runner`] is started: there is no thread and no wall clock. The card is clocked by
//! the calls that wait for it, and not at all while nothing is in flight. The same [`Options`] (seed included) and the same calls give the same
//! clocks.
//!
//! Every TLP that the card sends is checked against the isolation rules and the specification; what breaks them is
//! collected, with the packets before it, and [`Root::assert_clean`] ends a test with it.

mod adapter;
mod card;
mod check;
pub mod device;
mod enumerate;
mod error;
mod ethernet;
mod faults;
mod files;
mod hardware;
mod interrupts;
mod log;
mod mapping;
mod media;
mod memory;
mod options;
mod profile;
mod root;
mod runner;
mod shadow;
pub mod soft;
mod stats;
mod waves;

pub use adapter::SimFunction;
pub use card::Card;
pub use check::{Rule, Violation};
pub use device::TlpDevice;
pub use enumerate::{Bar, PfInfo, SriovInfo, Topology, enumerate, set_vfs};
pub use error::{Error, RequestError};
pub use ethernet::{Capture, Ethernet, EthernetStats, Nothing, PeerSocket, Plug, Replay, Tap, Wire, cable};
pub use faults::{FaultPlan, ReadFault};
pub use hardware::{ENGINE_CLOCKS, Hardware, TOP, ports};
pub use interrupts::{Interrupt, Interrupts, RawSink, Sink};
pub use mapping::Mapping;
pub use media::{Disk, Extent, Media, MediaFault};
pub use memory::{Access, HostMemory, Remote};
pub use options::{Chance, EthernetOptions, HostTime, MediaOptions, Options, Split};
pub use profile::Profiler;
pub use root::{DmaFault, Root};
pub use runner::{Bell, Runner};
pub use stats::{FunctionStats, Stats};
