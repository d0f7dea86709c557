//! What clients can take: a namespace under a name.

use std::{
    io,
    ops::Range,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
};

use azote_nvme::Controller;

use super::{
    engine::{Engine, Worker},
    job::Job,
    wire::transmission,
};
use crate::Error;

/// Says of a range of bytes whether it begins with a hole, which reads as zeroes, and up to where that is so. NVMe does not
/// tell; who has the medium can.
pub type Allocation = Arc<dyn Fn(Range<u64>) -> io::Result<(bool, u64)> + Send + Sync>;

/// What a namespace's controller can do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Abilities {
    /// Write Zeroes.
    pub zeroes: bool,
    /// Blocks can be given back.
    pub trim: bool,
}

/// A namespace that clients can take.
pub struct Export {
    /// Its name.
    pub name: String,
    /// Text for people.
    pub description: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its block size.
    pub block: u32,
    /// It can not be written.
    pub read_only: bool,
    pub(super) abilities: Abilities,
    pub(super) allocation: Option<Allocation>,
    pub(super) jobs: Sender<Job>,
}

impl Export {
    /// Starts the engine of a controller's namespace. It ends when the export is dropped and gives the controller back.
    pub fn start(name: &str, description: &str, controller: Controller) -> Result<(Self, Engine), Error> {
        let ns = controller.require_namespace()?;
        let (size, block, read_only) = (ns.bytes(), ns.block_size() as u32, ns.read_only);
        let identity = controller.identity();
        let abilities = Abilities { zeroes: identity.write_zeroes, trim: identity.dataset || identity.write_zeroes };
        let (jobs, inbox) = channel();
        let engine = Engine::start(name, Worker::new(controller)?, inbox)?;
        let (name, description) = (name.into(), description.into());
        let export = Self { name, description, size, block, read_only, abilities, allocation: None, jobs };
        Ok((export, engine))
    }

    /// Lets clients ask where there are holes (`base:allocation`).
    #[must_use]
    pub fn with_allocation(self, allocation: Option<Allocation>) -> Self {
        Self { allocation, ..self }
    }

    /// Its transmission flags, for a client with or without structured replies.
    pub(super) fn flags(&self, structured: bool) -> u16 {
        use transmission::*;
        let mut flags = HAS_FLAGS | SEND_FLUSH | CAN_MULTI_CONN;
        if self.read_only {
            flags |= READ_ONLY;
        } else {
            flags |= SEND_FUA;
            if self.abilities.zeroes {
                flags |= SEND_WRITE_ZEROES | SEND_FAST_ZERO;
            }
            if self.abilities.trim {
                flags |= SEND_TRIM;
            }
        }
        if structured { flags | SEND_DF } else { flags }
    }
}
