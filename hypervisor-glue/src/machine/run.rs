//! The main loop: everything that is not a virtual processor.

use std::{
    io::{self, Read},
    os::fd::AsRawFd,
    thread,
    time::Duration,
};

use vmm_sys_util::{
    epoll::{ControlOperation, Epoll, EpollEvent, EventSet},
    signal::Killable,
    terminal::Terminal,
};

use super::{Machine, build::stdin_is_terminal};
use crate::{
    Error, Result,
    config::Counters,
    cpu::{self, Stop},
    exits,
    signals::{Request, Signals},
};

/// Whose descriptor it is, as epoll remembers it.
const WAKE: u64 = 0;
const SIGNALS: u64 = 1;
const STDIN: u64 = 2;
/// And from here on, alarms of devices in their order.
const ALARMS: u64 = 1 << 32;
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
        // A file or /dev/null can not be waited for, and then nothing comes in.
        self.input &= watch(io::stdin().as_raw_fd(), STDIN).is_ok();
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
                    alarm @ ALARMS.. => self.alarm(alarm - ALARMS),
                    _ => {}
                }
            }
            if throttled {
                thread::sleep(Duration::from_millis(10));
            }
        }
    }

    fn alarm(&self, index: u64) {
        if let Some((name, alarm)) = self.devices.alarms().get(index as usize) {
            let _ = alarm.event.read();
            self.state.stop(Stop::Device(format!("{name}: {}", alarm.meaning)));
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
        self.exits.json()
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
