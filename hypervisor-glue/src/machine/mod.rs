//! A guest, from its configuration to its end.

mod build;
mod bus;
mod devices;
mod kvm;
#[cfg(test)]
mod plumbing;
mod run;

use std::{cell::Cell, sync::Arc, thread::JoinHandle};

pub use kvm::open as open_kvm;

use crate::{
    Config, Result, api,
    cpu::{Stop, VcpuState},
    descriptors,
    exits::Exits,
    jail,
    memory::Memory,
    serial::Serial,
    signals::{self, Signals},
    stats::Stats,
};

/// A machine whose processors have their threads and stand still until [`Machine::run`].
pub struct Machine {
    memory: Arc<Memory>,
    state: Arc<VcpuState>,
    exits: Arc<Exits>,
    serial: Option<Arc<Serial>>,
    input: bool,
    threads: Vec<JoinHandle<()>>,
    stats: Vec<Stats>,
    api: Option<api::Server>,
    devices: devices::Devices,
    power_button: vmm_sys_util::eventfd::EventFd,
    counters: crate::config::Counters,
    jailed: bool,
    signals: Signals,
    /// Somebody has asked for the end: it is not to wait for readers.
    hurried: Cell<bool>,
}

/// Makes a guest, runs it to its end, and says why it ended. The signals were taken before this process had other threads.
pub fn run(config: &Config, taken: Signals) -> Result<Stop> {
    descriptors::raise();
    if !config.no_jail {
        jail::take_namespaces();
    }
    if let Some(parent) = config.supervisor {
        // Once more when the user has changed; that it is gone already is seen to then.
        signals::end_with(parent);
    }
    let starting = taken.guard().map_err(crate::Error::io("starting a thread"))?;
    let machine = Machine::new(config, taken)?;
    drop(starting);
    machine.run()
}
