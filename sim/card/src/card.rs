//! The card as several drivers share it: a lock, and fairness between those who wait.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use azote_tlp::Status;
use parking_lot::{Mutex, MutexGuard};

use crate::adapter::SimFunction;
use crate::device::TlpDevice;
use crate::enumerate::{Topology, enumerate, release, set_vfs};
use crate::root::Root;
use crate::{Error, Options, RequestError};

/// An enumerated card. Clones are handles to the same one.
///
/// The card moves only while a thread waits for something; whoever waits clocks it for everyone. With one thread the
/// same calls give the same clocks; with several, the order in which they come is the system's.
#[derive(Clone)]
pub struct Card {
    shared: Arc<Shared>,
}

struct Shared {
    /// A thread that panicked with it left the card as it was after some clock, which is as good a state as any: this
    /// lock knows no poison. Who holds it for long stretches hands it to those who wait, by `bump`.
    root: Mutex<Root>,
    topology: Topology,
    interrupted: Arc<AtomicBool>,
}

/// The most clocks for which a waiting driver keeps the card to itself. It looks again at every announcement anyway.
pub(crate) const TURN: u64 = 64;
/// How long a function may take over a reset (PCIe 5.0 §6.6.2).
pub(crate) const RESET_TIME: Duration = Duration::from_millis(100);

impl Card {
    /// Puts a device behind a root complex, resets and enumerates it.
    pub fn over(device: Box<dyn TlpDevice>, options: Options) -> Result<Card, Error> {
        Self::new(device, options, None)
    }

    /// The same, with waves from the first clock.
    pub fn traced(device: Box<dyn TlpDevice>, options: Options, waves: &Path) -> Result<Card, Error> {
        Self::new(device, options, Some(waves))
    }

    fn new(device: Box<dyn TlpDevice>, options: Options, waves: Option<&Path>) -> Result<Card, Error> {
        let mut root = Root::traced(device, options, waves)?;
        let topology = enumerate(&mut root)?;
        Ok(Self::with(root, topology))
    }

    /// A card behind a root complex, reset and not enumerated: for a guest that does so itself, by
    /// [`Root::config_read_at`] and its like. [`Card::topology`] is empty and [`Card::function`] finds nothing.
    pub fn bare(root: Root) -> Card {
        Self::with(root, Topology::default())
    }

    /// Takes back what enumeration and drivers have set in configuration space, VFs included: the card is then as after
    /// its reset, but for what management has bound, which stays. A guest can be given the whole card now, already
    /// with its volumes. Functions of this card must no longer be used.
    pub fn hand_over(&self) -> Result<(), Error> {
        let mut root = self.root();
        for pf in &self.shared.topology.pfs {
            release(&mut root, pf)?;
        }
        Ok(())
    }

    fn with(root: Root, topology: Topology) -> Card {
        let interrupted = root.options().interrupted.clone();
        let shared = Shared { root: Mutex::new(root), topology, interrupted };
        Card { shared: Arc::new(shared) }
    }

    /// The root complex, for as long as the guard lives: settings, faults, statistics, raw packets. Everything else that
    /// uses the card waits meanwhile, the same thread's drivers for ever: keep the guard for one statement.
    pub fn root(&self) -> MutexGuard<'_, Root> {
        self.shared.root.lock()
    }

    /// Whether drivers' accesses are to fail ([`Options::interrupted`]).
    pub(crate) fn is_interrupted(&self) -> bool {
        self.shared.interrupted.load(Ordering::Relaxed)
    }

    /// A waiting driver's turn: clocks the card, then lets others have it.
    pub(crate) fn turn(&self) {
        let mut root = self.root();
        root.advance(TURN);
        // The lock is not fair by itself: two threads that wait could keep out a third that wants to work.
        MutexGuard::unlock_fair(root);
    }

    /// Sends a configuration request, and sends it anew while the function answers Configuration Request Retry: what a root
    /// complex does for software that does not want to see that (§2.3.2). Others have the card in between.
    pub fn retried<T>(&self, mut request: impl FnMut(&mut Root) -> Result<T, RequestError>) -> Result<T, RequestError> {
        let deadline = self.root().now() + RESET_TIME;
        loop {
            let answer = request(&mut self.root());
            let retry = matches!(answer, Err(RequestError::Status(Status::Retry)));
            if !retry || self.root().now() >= deadline {
                return answer;
            }
            self.turn();
        }
    }

    /// [`Root::finish`]. The card can be used afterwards, without waves and log.
    pub fn finish(&self) -> Result<(), Error> {
        self.root().finish()
    }

    /// Clocks so far.
    pub fn clocks(&self) -> u64 {
        self.root().clocks()
    }

    /// [`Root::run_idle`].
    pub fn run_idle(&self, clocks: u64) -> bool {
        self.root().run_idle(clocks)
    }

    /// [`Root::assert_clean`].
    #[track_caller]
    pub fn assert_clean(&self) {
        self.root().assert_clean();
    }

    /// What enumeration found.
    pub fn topology(&self) -> &Topology {
        &self.shared.topology
    }

    /// The physical functions.
    pub fn pfs(&self) -> Vec<Arc<SimFunction>> {
        self.topology().pfs.iter().filter_map(|pf| self.function(pf.number)).collect()
    }

    /// A function by its number; `None` if no PF or VF can have it. It need not be enabled: one that is not answers
    /// nothing, as a driver of a real one finds.
    pub fn function(&self, number: u8) -> Option<Arc<SimFunction>> {
        self.topology().owner(number)?;
        Some(Arc::new(SimFunction::new(self.clone(), number)))
    }

    /// Sets the number of enabled VFs of the PF with this function number; 0 disables them.
    pub fn set_vfs(&self, pf: u8, count: u16) -> Result<(), Error> {
        let topology = self.topology();
        let missing = || Error::Enumerate {
            function: azote_tlp::Rid::new(0, pf),
            reason: "is no physical function of this card".into(),
        };
        let pf = topology.pfs.iter().find(|p| p.number == pf).ok_or_else(missing)?;
        set_vfs(&mut self.root(), pf, count)
    }
}

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Card").field("topology", &self.shared.topology).finish_non_exhaustive()
    }
}
