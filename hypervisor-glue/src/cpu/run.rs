//! The thread of a virtual processor.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use kvm_bindings::{KVM_SYSTEM_EVENT_CRASH, KVM_SYSTEM_EVENT_RESET, KVM_SYSTEM_EVENT_SHUTDOWN, kvm_mp_state};
use kvm_ioctls::{VcpuExit, VcpuFd};
use vm_memory::GuestMemoryMmap;
use vmm_sys_util::{
    eventfd::{EFD_NONBLOCK, EventFd},
    signal::SIGRTMIN,
};

use super::registers;
use crate::{
    Error, Result,
    exits::{Exits, Reason},
    kernel::Entry,
};

/// Everything that is not memory. It answers any access, also those to nothing, and never fails: what a guest does is
/// no reason for an error.
pub trait Bus: Send + Sync {
    /// The guest reads a port.
    fn port_read(&self, port: u16, data: &mut [u8]);
    /// The guest writes a port.
    fn port_write(&self, port: u16, data: &[u8]);
    /// The guest reads an address.
    fn mmio_read(&self, address: u64, data: &mut [u8]);
    /// The guest writes an address.
    fn mmio_write(&self, address: u64, data: &[u8]);
}

/// Why a machine stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The guest switched itself off.
    PowerOff,
    /// The guest wants to be started again.
    Reset,
    /// The same, by the way that needs nothing of the machine; or it has lost its way.
    TripleFault,
    /// Somebody outside ended it.
    Shutdown,
    /// A device can not go on, and so the guest can not.
    Device(String),
    /// It can not go on.
    Crash(String),
}

/// What the threads of virtual processors and the rest agree on.
#[derive(Debug)]
pub struct VcpuState {
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Set with every change that running processors must look at; they are kicked as well.
    attention: AtomicBool,
    /// Written when the machine stops.
    wake: EventFd,
}

#[derive(Debug, Default)]
struct Inner {
    paused: bool,
    stop: Option<Stop>,
    /// Processors that have noticed that they are paused.
    parked: usize,
    ended: usize,
}

impl VcpuState {
    /// Running, for now.
    pub fn new() -> io::Result<Self> {
        let wake = EventFd::new(EFD_NONBLOCK)?;
        Ok(Self { inner: Mutex::default(), changed: Condvar::new(), attention: AtomicBool::new(false), wake })
    }

    /// Becomes readable when the machine stops.
    pub fn wake(&self) -> &EventFd {
        &self.wake
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks all processors to stop. The first reason is the one that counts.
    pub fn stop(&self, why: Stop) {
        let mut inner = self.lock();
        inner.stop.get_or_insert(why);
        self.attention.store(true, Ordering::SeqCst);
        self.changed.notify_all();
        // A counter that is full is readable, too.
        let _ = self.wake.write(1);
    }

    /// Why the machine stops, if it does.
    pub fn stopping(&self) -> Option<Stop> {
        self.lock().stop.clone()
    }

    /// Pauses or resumes; whoever pauses must kick the processors.
    pub fn pause(&self, paused: bool) {
        let mut inner = self.lock();
        inner.paused = paused;
        self.attention.store(paused || inner.stop.is_some(), Ordering::SeqCst);
        self.changed.notify_all();
    }

    /// That it is paused.
    pub fn paused(&self) -> bool {
        self.lock().paused
    }

    /// How many processors stand still because of a pause.
    pub fn parked(&self) -> usize {
        self.lock().parked
    }

    /// How many threads have ended.
    pub fn ended(&self) -> usize {
        self.lock().ended
    }

    /// A thread ends.
    fn end(&self) {
        self.lock().ended += 1;
        self.changed.notify_all();
    }

    /// Waits while paused, and says what follows.
    fn wait(&self) -> Go {
        if !self.attention.load(Ordering::SeqCst) {
            return Go::On;
        }
        let mut inner = self.lock();
        let paused = inner.paused;
        inner.parked += 1;
        while inner.paused && inner.stop.is_none() {
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.parked -= 1;
        match (&inner.stop, paused) {
            (Some(_), _) => Go::End,
            (None, true) => Go::AfterPause,
            (None, false) => Go::On,
        }
    }
}

/// What a processor is to do.
enum Go {
    On,
    /// It has stood still for a while.
    AfterPause,
    End,
}

/// A virtual processor, before it has its thread.
pub struct Vcpu {
    /// Its file.
    pub fd: VcpuFd,
    /// Its number.
    pub id: u8,
}

/// The signal that takes a processor out of the guest. Its handler does nothing; that it came is enough.
pub fn kick_signal() -> libc::c_int {
    SIGRTMIN()
}

impl Vcpu {
    /// Gives it its registers: the first one starts the kernel, the others wait for it.
    pub fn prepare(&self, memory: &GuestMemoryMmap, entry: Entry) -> Result<()> {
        registers::common(&self.fd)?;
        if self.id == 0 {
            registers::boot(&self.fd, memory, entry)?;
            let running = kvm_mp_state { mp_state: kvm_bindings::KVM_MP_STATE_RUNNABLE };
            self.fd.set_mp_state(running).map_err(Error::kvm("starting a processor"))?;
        }
        Ok(())
    }

    /// Runs until the machine stops.
    pub fn run(&mut self, bus: &Arc<dyn Bus>, exits: &Exits, state: &VcpuState) {
        loop {
            match state.wait() {
                Go::On => {}
                // Its guest is told, so that it does not take the time for a processor that hangs (soft lockup). One without KVM's
                // clock can not be told, and that is what KVM answers.
                Go::AfterPause => drop(self.fd.kvmclock_ctrl()),
                Go::End => break,
            }
            if let Some(stop) = self.once(&**bus, exits) {
                state.stop(stop);
            }
        }
        state.end();
    }

    /// Into the guest and out again.
    fn once(&mut self, bus: &dyn Bus, exits: &Exits) -> Option<Stop> {
        match self.fd.run() {
            Ok(VcpuExit::IoOut(port, data)) => {
                exits.count(Reason::IoOut);
                bus.port_write(port, data);
            }
            Ok(VcpuExit::IoIn(port, data)) => {
                exits.count(Reason::IoIn);
                bus.port_read(port, data);
            }
            Ok(VcpuExit::MmioRead(address, data)) => {
                exits.count(Reason::MmioRead);
                bus.mmio_read(address, data);
            }
            Ok(VcpuExit::MmioWrite(address, data)) => {
                exits.count(Reason::MmioWrite);
                bus.mmio_write(address, data);
            }
            Ok(VcpuExit::Hlt) => exits.count(Reason::Hlt),
            Ok(VcpuExit::Intr) => exits.count(Reason::Signal),
            Ok(VcpuExit::Shutdown) => {
                exits.count(Reason::Shutdown);
                return Some(Stop::TripleFault);
            }
            Ok(VcpuExit::SystemEvent(kind, _)) => {
                exits.count(Reason::Shutdown);
                return Some(match kind {
                    KVM_SYSTEM_EVENT_SHUTDOWN => Stop::PowerOff,
                    KVM_SYSTEM_EVENT_RESET => Stop::Reset,
                    KVM_SYSTEM_EVENT_CRASH => Stop::Crash("it says so itself".into()),
                    other => Stop::Crash(format!("system event {other}")),
                });
            }
            Ok(VcpuExit::InternalError) => {
                exits.count(Reason::Other);
                return Some(Stop::Crash(format!("KVM can not emulate what it does{}", self.place())));
            }
            Ok(VcpuExit::FailEntry(reason, cpu)) => {
                exits.count(Reason::Other);
                return Some(Stop::Crash(format!("processor {cpu} does not enter it: {reason:#x}")));
            }
            Ok(VcpuExit::MemoryFault { gpa, .. }) => {
                exits.count(Reason::Other);
                return Some(Stop::Crash(format!("memory fault at {gpa:#x}{}", self.place())));
            }
            Ok(other) => {
                exits.count(Reason::Other);
                return Some(Stop::Crash(format!("KVM says {other:?}")));
            }
            Err(e) if [libc::EINTR, libc::EAGAIN].contains(&e.errno()) => exits.count(Reason::Signal),
            Err(e) => {
                exits.count(Reason::Other);
                let e = io::Error::from_raw_os_error(e.errno());
                return Some(Stop::Crash(format!("KVM_RUN: {e}{}", self.place())));
            }
        }
        None
    }

    /// Where it stands, for a message.
    fn place(&self) -> String {
        self.fd.get_regs().map_or(String::new(), |r| format!(", at instruction {:#x}", r.rip))
    }
}
