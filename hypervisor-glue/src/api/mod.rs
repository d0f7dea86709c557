//! The API: a Unix socket that takes a JSON object a line, and answers each with one.
//!
//! ```text
//! {"command":"state"}         {"state":"running","cpus":2,"memory":536870912,…}
//! {"command":"pause"}         {"state":"paused","stopped_cpus":2}; an error if not all stop
//! {"command":"resume"}        {"state":"running"}
//! {"command":"power-button"}  {}
//! {"command":"counters"}      {"exits":{…},"regions":{…},"kvm":{…}}
//! {"command":"shutdown"}      {}
//! anything else               {"error":"…"}
//! ```

mod client;
mod server;

use serde::{Deserialize, Serialize};

pub use client::request;
pub use server::{Handler, Server};

/// What can be asked of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// What it is and whether it runs.
    State,
    /// Stop its processors; devices go on.
    Pause,
    /// Let them go on.
    Resume,
    /// Press its power button: the guest then does what it is set up to do, or nothing.
    PowerButton,
    /// What was counted.
    Counters,
    /// End it now, as if its power failed.
    Shutdown,
}

/// The longest request.
const LINE_MAX: usize = 4096;
