//! The main loop: everything that is not a virtual processor.

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
    terminal::Terminal,
};

use super::{Machine, build::stdin_is_terminal};
use crate::{
    Error, Result,
    api::{self, Request as Api},
    config::Counters,
    cpu::{self, Stop},
    exits, jail,
    signals::{Request, Signals},
};

/// Whose descriptor it is, as epoll remembers it.
const WAKE: u64 = 0;
const SIGNALS: u64 = 1;
const STDIN: u64 = 2;
const API: u64 = 3;
/// Clients of the API, by their descriptors.
const CLIENTS: u64 = 1 << 40;
/// And from here on, alarms of devices in their order.
const ALARMS: u64 = 1 << 32;
/// How long a processor may take to notice a pause: as long as the slowest device.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often a processor that has not noticed a kick is kicked again: one may be about to enter the guest.
const KICK_AGAIN: Duration = Duration::from_millis(5);

/// stdin, put back as it was found.
struct Raw(bool);

impl Raw {
    fn new(wanted: bool) -> Self {
        Self(wanted && stdin_is_terminal() && io::stdin().lock().set_raw_mode().is_ok())
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if self.0 {
            let _ = io::stdin().lock().set_canon_mode();
        }
    }
}

impl Machine {
    /// Lets the guest run; returns when it has ended.
    pub fn run(mut self, signals: &Signals) -> Result<Stop> {
        let _raw = Raw::new(self.input);
        let epoll = Epoll::new().map_err(Error::io("making an epoll"))?;
        let watch = |fd, token| epoll.ctl(ControlOperation::Add, fd, EpollEvent::new(EventSet::IN, token));
        watch(self.state.wake().as_raw_fd(), WAKE).map_err(Error::io("watching the processors"))?;
        watch(signals.as_raw_fd(), SIGNALS).map_err(Error::io("watching signals"))?;
        for (i, (_, alarm)) in self.devices.alarms().iter().enumerate() {
            watch(alarm.event.as_raw_fd(), ALARMS + i as u64).map_err(Error::io("watching a device"))?;
        }
        if let Some(api) = &self.api {
            watch(api.listener(), API).map_err(Error::io("watching the API's socket"))?;
        }
        // A file or /dev/null can not be waited for, and then nothing comes in.
        self.input &= watch(io::stdin().as_raw_fd(), STDIN).is_ok();
        if self.jailed {
            if let Some(api) = &mut self.api {
                api.leave_behind();
            }
            jail::filter_calls()?;
        }
        self.state.pause(false);
        let stop = self.watch(&epoll, signals)?;
        self.end();
        Ok(stop)
    }

    fn watch(&mut self, epoll: &Epoll, signals: &Signals) -> Result<Stop> {
        let mut events = [EpollEvent::default(); 8];
        loop {
            if let Some(stop) = self.state.stopping() {
                return Ok(stop);
            }
            // While the guest takes no input, stdin would be ready all the time.
            let throttled = self.input && self.serial.as_ref().is_some_and(|s| !s.wants_input());
            let timeout = if throttled { 10 } else { -1 };
            let count = match epoll.wait(timeout, &mut events) {
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
                Err(e) => return Err(Error::io("waiting for events")(e)),
            };
            for event in &events[..count] {
                match event.data() {
                    SIGNALS => self.signal(signals),
                    STDIN if !throttled => self.stdin(epoll),
                    API => self.accept(epoll),
                    client @ CLIENTS.. => self.serve(client - CLIENTS),
                    alarm @ ALARMS.. => self.alarm(alarm - ALARMS),
                    _ => {}
                }
            }
            if throttled {
                thread::sleep(Duration::from_millis(10));
            }
        }
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

    fn signal(&self, signals: &Signals) {
        match signals.next() {
            Some(Request::Counters) => eprint!("{}", exits::table(&self.counters_json())),
            Some(Request::End) => self.state.stop(Stop::Shutdown),
            None => {}
        }
    }

    fn stdin(&mut self, epoll: &Epoll) {
        let mut bytes = [0; 256];
        let count = io::stdin().lock().read(&mut bytes).unwrap_or(0);
        match &self.serial {
            Some(serial) if count != 0 => serial.input(&bytes[..count]),
            // Its end: nothing more will come.
            _ => {
                let _ = epoll.ctl(ControlOperation::Delete, io::stdin().as_raw_fd(), EpollEvent::default());
                self.input = false;
            }
        }
    }

    /// Everything that was counted.
    pub(super) fn counters_json(&self) -> serde_json::Value {
        let mut kvm = BTreeMap::new();
        self.stats.iter().for_each(|s| s.add_to(&mut kvm));
        let mut all = self.exits.json();
        all["kvm"] = serde_json::json!(kvm);
        all
    }

    fn pause(&self) {
        self.state.pause(true);
        let start = Instant::now();
        let all = self.threads.len();
        self.kick_until(|m| m.state.parked() == all || m.state.stopping().is_some() || start.elapsed() > PAUSE_MAX);
    }

    /// Takes processors out of the guest until `done`.
    fn kick_until(&self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            for thread in &self.threads {
                let _ = thread.kill(cpu::kick_signal());
            }
            thread::sleep(KICK_AGAIN);
        }
    }

    /// Ends the processors, then the devices.
    fn end(&mut self) {
        self.kick_until(|m| m.state.ended() == m.threads.len());
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        if let Some(serial) = &self.serial {
            serial.flush();
        }
        self.devices.end();
        match self.counters {
            Counters::None => {}
            Counters::Text => eprint!("{}", exits::table(&self.counters_json())),
            Counters::Json => eprintln!("{}", self.counters_json()),
        }
    }
}

impl api::Handler for Machine {
    fn handle(&mut self, request: Api) -> serde_json::Value {
        let state = |m: &Self| if m.state.paused() { "paused" } else { "running" };
        match request {
            Api::State => serde_json::json!({
                "state": state(self),
                "cpus": self.threads.len(),
                "memory": self.memory.size(),
                "devices": self.devices.names(),
                "process": std::process::id(),
            }),
            Api::Pause => {
                self.pause();
                serde_json::json!({ "state": state(self), "stopped_cpus": self.state.parked() })
            }
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
                self.state.stop(Stop::Shutdown);
                serde_json::json!({})
            }
        }
    }
}
