//! The main loop: everything that is not a virtual processor.
//!
//! It waits for events and for nothing else: what could keep it (a reader of output, a terminal) has a thread of its own, and whatever it
//! does wait for ends by itself.

use std::{
    collections::BTreeMap,
    io::{self, Read},
    os::fd::AsRawFd,
    thread,
    time::{Duration, Instant},
};

use vmm_sys_util::{
    epoll::{ControlOperation, Epoll, EpollEvent, EventSet},
    signal::Killable,
};

use super::Machine;
use crate::{
    Error, Result,
    api::{self, Request as Api},
    config::Counters,
    cpu::{self, Stop},
    exits, jail,
    last_will::LastWill,
    log,
    serial::Serial,
    signals::Request,
    sink::{HURRIED, LEISURELY},
    terminal,
};

/// Whose descriptor it is, as epoll remembers it.
const WAKE: u64 = 0;
const SIGNALS: u64 = 1;
const API: u64 = 3;
/// Clients of the API, by their descriptors.
const CLIENTS: u64 = 1 << 40;
/// And from here on, alarms of devices in their order.
const ALARMS: u64 = 1 << 32;
/// How long a processor may take to notice a pause: it may wait for a slow device.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long one may take to notice the end. What it waits for then is as good as dead.
const END_MAX: Duration = Duration::from_secs(15);
/// And how long devices may take to be reset and given back: the slowest has its own time-out of 10 s.
const DEVICES_MAX: Duration = Duration::from_secs(25);
/// How often a processor that has not noticed a kick is kicked again: one may be about to enter the guest.
const KICK_AGAIN: Duration = Duration::from_millis(5);
/// The thread of stdin only moves bytes.
const INPUT_STACK: usize = 64 << 10;
/// How often somebody in the background looks whether the terminal is theirs again.
const BACKGROUND: Duration = Duration::from_secs(1);

/// Brings what is typed to the guest. A thread of its own: also a descriptor that is readable can make its reader wait, if
/// somebody else reads first.
fn read_input(serial: &Serial) {
    let mut bytes = [0; 256];
    loop {
        serial.wait_for_room();
        match io::stdin().lock().read(&mut bytes) {
            Ok(0) => return,
            Ok(count) => serial.input(&bytes[..count]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => wait_for_input(),
            // So the kernel answers who reads a terminal from the background.
            Err(e) if e.raw_os_error() == Some(libc::EIO) && !terminal::is_ours() => thread::sleep(BACKGROUND),
            Err(_) => return,
        }
    }
}

fn wait_for_input() {
    let mut poll = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid `pollfd`.
    unsafe { libc::poll(&mut poll, 1, -1) };
}

impl Machine {
    /// Lets the guest run; returns when it has ended.
    pub fn run(mut self) -> Result<Stop> {
        let epoll = Epoll::new().map_err(Error::io("making an epoll"))?;
        let watch = |fd, token| epoll.ctl(ControlOperation::Add, fd, EpollEvent::new(EventSet::IN, token));
        watch(self.state.wake().as_raw_fd(), WAKE).map_err(Error::io("watching the processors"))?;
        watch(self.signals.as_raw_fd(), SIGNALS).map_err(Error::io("watching signals"))?;
        for (i, (_, alarm)) in self.devices.alarms().iter().enumerate() {
            watch(alarm.event.as_raw_fd(), ALARMS + i as u64).map_err(Error::io("watching a device"))?;
        }
        if let Some(api) = &self.api {
            watch(api.listener(), API).map_err(Error::io("watching the API's socket"))?;
        }
        let raw = if self.input { terminal::Raw::take() } else { None };
        if let (true, Some(serial)) = (self.input, self.serial.clone()) {
            // Not joined: it may wait for a key that is never pressed, and the process's end takes it along.
            let input = thread::Builder::new().name("stdin".into()).stack_size(INPUT_STACK);
            input.spawn(move || read_input(&serial)).map_err(Error::io("starting a thread"))?;
        }
        let will = LastWill::new().map_err(Error::io("starting a thread"))?;
        if self.jailed {
            jail::filter_calls()?;
        }
        self.state.pause(false);
        let stop = self.watch(&epoll)?;
        // Keys are not the guest's any more, and ^C is a signal again.
        drop(raw);
        // It stays readable.
        let _ = epoll.ctl(ControlOperation::Delete, self.state.wake().as_raw_fd(), EpollEvent::default());
        if let Err(stuck) = self.end(&stop, &will, &epoll) {
            // Its devices wait for whatever that processor waits for: nothing of this is taken down in order.
            std::mem::forget(self);
            return Err(stuck);
        }
        // Fields are dropped, and wait for their threads.
        will.arm(DEVICES_MAX);
        drop(self);
        Ok(stop)
    }

    fn watch(&mut self, epoll: &Epoll) -> Result<Stop> {
        loop {
            if let Some(stop) = self.state.stopping() {
                return Ok(stop);
            }
            self.look(epoll, -1).map_err(Error::io("waiting for events"))?;
        }
    }

    /// Does what events ask for, having waited so many milliseconds for one; -1 is as long as it takes.
    fn look(&mut self, epoll: &Epoll, wait: i32) -> io::Result<()> {
        let mut events = [EpollEvent::default(); 8];
        let count = match epoll.wait(wait, &mut events) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
            counted => counted?,
        };
        for event in &events[..count] {
            match event.data() {
                SIGNALS => self.look_at_signals(),
                API => self.accept(epoll),
                client @ CLIENTS.. => self.serve(client - CLIENTS),
                alarm @ ALARMS.. => self.alarm(alarm - ALARMS),
                _ => {}
            }
        }
        Ok(())
    }

    fn accept(&mut self, epoll: &Epoll) {
        let Some(fd) = self.api.as_mut().and_then(api::Server::accept) else { return };
        let event = EpollEvent::new(EventSet::IN, CLIENTS + fd as u64);
        // One that can not be waited for is never answered, and gives up.
        let _ = epoll.ctl(ControlOperation::Add, fd, event);
    }

    fn serve(&mut self, fd: u64) {
        // Taken out for the time of a request: the machine answers it.
        if let Some(mut api) = self.api.take() {
            api.serve(fd as i32, self);
            self.api = Some(api);
        }
    }

    fn alarm(&self, index: u64) {
        if let Some((name, alarm)) = self.devices.alarms().get(index as usize) {
            let _ = alarm.event.read();
            self.state.stop(Stop::Device(format!("{name}: {}", alarm.text())));
        }
    }

    fn look_at_signals(&self) {
        while let Some(request) = self.signals.next() {
            match request {
                Request::Counters => log::text(&exits::table(&self.counters_json())),
                Request::End => self.shut_down(),
            }
        }
    }

    /// Somebody wants the end, and, should the guest have come to its own already, does not want to wait for it.
    fn shut_down(&self) {
        self.hurried.set(true);
        self.state.stop(Stop::Shutdown);
    }

    /// Everything that was counted.
    pub(super) fn counters_json(&self) -> serde_json::Value {
        let mut kvm = BTreeMap::new();
        self.stats.iter().for_each(|s| s.add_to(&mut kvm));
        let mut all = self.exits.json();
        all["kvm"] = serde_json::json!(kvm);
        let serial = self.serial.as_ref().map_or(0, |s| s.dropped());
        all["dropped"] = serde_json::json!({ "serial": serial, "stderr": log::dropped() });
        all
    }

    /// Stops the processors; how many did not stop. Those that did then go on again.
    fn pause(&self) -> std::result::Result<(), usize> {
        self.state.pause(true);
        let all = self.threads.len();
        let stopped = |m: &Self| m.state.parked() == all || m.state.stopping().is_some();
        if self.kick_until(PAUSE_MAX, stopped) {
            return Ok(());
        }
        let parked = self.state.parked();
        self.state.pause(false);
        Err(all - parked)
    }

    /// Takes processors out of the guest until `done`, or until that takes too long. Signals are looked at meanwhile.
    fn kick_until(&self, most: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let start = Instant::now();
        while !done(self) {
            if start.elapsed() > most {
                return false;
            }
            for thread in &self.threads {
                let _ = thread.kill(cpu::kick_signal());
            }
            self.look_at_signals();
            thread::sleep(KICK_AGAIN);
        }
        true
    }

    /// Ends the processors, then the devices.
    fn end(&mut self, stop: &Stop, will: &LastWill, epoll: &Epoll) -> Result<()> {
        let all = self.threads.len();
        let ended = self.kick_until(END_MAX, |m| m.state.ended() == all);
        if ended {
            for thread in self.threads.drain(..) {
                let _ = thread.join();
            }
            will.arm(DEVICES_MAX);
            self.devices.end();
            will.disarm();
        }
        if let Some(serial) = self.serial.clone() {
            let by_itself = matches!(stop, Stop::PowerOff | Stop::Reset | Stop::TripleFault);
            serial.flush(|| {
                // What fails here would fail again, and the end comes by itself.
                let _ = self.look(epoll, 0);
                if by_itself && !self.hurried.get() { LEISURELY } else { HURRIED }
            });
            if serial.dropped() != 0 {
                let why = serial.refusal().unwrap_or_else(|| "nobody read them in time".into());
                log::warn(format_args!("serial port: {} bytes were dropped; {why}", serial.dropped()));
            }
        }
        match self.counters {
            Counters::None => {}
            Counters::Text => log::text(&exits::table(&self.counters_json())),
            Counters::Json => log::text(&format!("{}\n", self.counters_json())),
        }
        if ended {
            Ok(())
        } else {
            Err(Error::Stuck { processors: all - self.state.ended(), seconds: END_MAX.as_secs() })
        }
    }
}

impl api::Handler for Machine {
    fn handle(&mut self, request: Api) -> serde_json::Value {
        let state = |m: &Self| match (m.state.stopping().is_some(), m.state.paused()) {
            (true, _) => "ending",
            (false, true) => "paused",
            (false, false) => "running",
        };
        match request {
            Api::State => serde_json::json!({
                "state": state(self),
                "cpus": self.threads.len(),
                "memory": self.memory.size(),
                "devices": self.devices.names(),
                "process": std::process::id(),
            }),
            Api::Pause => match self.pause() {
                Ok(()) => serde_json::json!({ "state": state(self), "stopped_cpus": self.state.parked() }),
                Err(running) => {
                    let (all, seconds) = (self.threads.len(), PAUSE_MAX.as_secs());
                    let why = format!(
                        "{running} of {all} processors did not stop within {seconds} s: they wait for a device; the guest goes on"
                    );
                    serde_json::json!({ "error": why, "state": state(self) })
                }
            },
            Api::Resume => {
                self.state.pause(false);
                serde_json::json!({ "state": state(self) })
            }
            Api::PowerButton => match self.power_button.write(1) {
                Ok(()) => serde_json::json!({}),
                Err(e) => serde_json::json!({ "error": e.to_string() }),
            },
            Api::Counters => self.counters_json(),
            Api::Shutdown => {
                self.shut_down();
                serde_json::json!({})
            }
        }
    }
}
