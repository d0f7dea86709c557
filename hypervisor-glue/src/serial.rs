//! The serial port: vm-superio's 16550, its output collected and its input held back while its FIFO is full.
//!
//! Neither the guest nor the main loop ever waits for whoever is behind it: output goes by way of a [`Sink`], input comes
//! from a thread of its own.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use vm_superio::{Serial as Uart, Trigger, serial::NoEvents};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::{
    Error, Result,
    exits::Region,
    sink::{Patience, Sink},
};

/// Bytes of output that are collected before they are written.
const COLLECT: usize = 256;
/// Bytes of output that wait for a reader: some seconds of a busy console.
const OUTPUT_MAX: usize = 256 << 10;
/// Bytes of input that wait for the guest; more are left with whoever sends them.
const HELD_MAX: usize = 4096;
/// The register that tells whether the transmitter is empty; reading it, a guest looks whether to go on.
const LSR: u16 = 5;

/// A 16550 with a terminal or a file behind it.
pub struct Serial {
    inner: Mutex<Inner>,
    /// The guest has taken input.
    taken: Condvar,
    output: Arc<Sink>,
    interrupt: EventFd,
    region: Arc<Region>,
}

struct Inner {
    uart: Uart<Event, NoEvents, Output>,
    held: VecDeque<u8>,
}

struct Event(EventFd);

impl Trigger for Event {
    type E = io::Error;
    fn trigger(&self) -> io::Result<()> {
        self.0.write(1)
    }
}

/// Collects lines. What nobody reads is lost in the end, as on a cable that nobody holds.
struct Output {
    to: Arc<Sink>,
    bytes: Vec<u8>,
}

impl Output {
    fn drain(&mut self) {
        if !self.bytes.is_empty() {
            self.to.write(&self.bytes);
            self.bytes.clear();
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= COLLECT || bytes.contains(&b'\n') {
            self.drain();
        }
        Ok(bytes.len())
    }

    /// The UART flushes after each byte; collected bytes go with a newline, or when the guest looks at the port.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Serial {
    /// A port that writes to `to`; accesses are counted in `region`.
    pub fn new(to: File, region: Arc<Region>) -> Result<Self> {
        let interrupt = EventFd::new(EFD_NONBLOCK).map_err(Error::io("making an event"))?;
        let event = Event(interrupt.try_clone().map_err(Error::io("making an event"))?);
        let output =
            Arc::new(Sink::new("serial", to, OUTPUT_MAX).map_err(Error::io("starting the serial port's thread"))?);
        let uart = Uart::new(event, Output { to: output.clone(), bytes: Vec::with_capacity(COLLECT) });
        let inner = Mutex::new(Inner { uart, held: VecDeque::new() });
        Ok(Self { inner, taken: Condvar::new(), output, interrupt, region })
    }

    /// Its interrupt.
    pub fn interrupt(&self) -> &EventFd {
        &self.interrupt
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guest reads a register.
    pub fn read(&self, register: u16, data: &mut [u8]) {
        self.region.read();
        let mut inner = self.lock();
        data.fill(0xff);
        if let Some(byte) = data.first_mut() {
            *byte = inner.uart.read(register as u8);
        }
        match register {
            0 => {
                inner.feed();
                self.taken.notify_all();
            }
            LSR => inner.uart.writer_mut().drain(),
            _ => {}
        }
    }

    /// The guest writes a register; a string instruction writes several bytes to it.
    pub fn write(&self, register: u16, data: &[u8]) {
        self.region.write();
        let mut inner = self.lock();
        for byte in data {
            // What fails is the interrupt's event, and only if its count is full: then there is one pending.
            let _ = inner.uart.write(register as u8, *byte);
        }
    }

    /// Bytes for the guest.
    pub fn input(&self, bytes: &[u8]) {
        let mut inner = self.lock();
        inner.held.extend(bytes);
        inner.feed();
    }

    /// Waits until more input is welcome: for the thread that reads it.
    pub fn wait_for_room(&self) {
        let mut inner = self.lock();
        while inner.held.len() >= HELD_MAX {
            inner = self.taken.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// At the end: writes out what was collected, as far as somebody takes it ([`Sink::drain_while`]).
    pub fn flush(&self, look: impl FnMut() -> Patience) {
        self.lock().uart.writer_mut().drain();
        self.output.drain_while(look);
    }

    /// Bytes of output that nobody has read.
    pub fn dropped(&self) -> u64 {
        self.output.dropped()
    }

    /// Why, if whoever is behind it has said so.
    pub fn refusal(&self) -> Option<String> {
        self.output.refusal()
    }
}

impl Inner {
    fn feed(&mut self) {
        let room = self.uart.fifo_capacity().min(self.held.len());
        if room != 0 {
            let bytes: Vec<_> = self.held.drain(..room).collect();
            let _ = self.uart.enqueue_raw_bytes(&bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};

    fn port() -> (Serial, File) {
        let file = tempfile::tempfile().unwrap();
        (Serial::new(file.try_clone().unwrap(), Arc::default()).unwrap(), file)
    }

    fn written(serial: &Serial, file: &mut File) -> Vec<u8> {
        serial.output.drain(crate::sink::HURRIED);
        let mut all = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut all).unwrap();
        all
    }

    #[test]
    fn output_comes_with_a_newline_or_a_look() {
        let (serial, mut file) = port();
        serial.write(0, b"abc");
        assert_eq!(written(&serial, &mut file), b"");
        serial.write(0, b"\n");
        serial.write(0, b"$");
        serial.read(LSR, &mut [0]);
        assert_eq!(written(&serial, &mut file), b"abc\n$");
    }

    #[test]
    fn input_waits_for_the_guest() {
        let (serial, _file) = port();
        let sent: Vec<u8> = (0..200).collect();
        serial.input(&sent);
        let mut got = Vec::new();
        for _ in 0..200 {
            let mut byte = [0];
            serial.read(0, &mut byte);
            got.push(byte[0]);
        }
        assert_eq!(got, sent);
    }

    #[test]
    fn who_brings_input_waits_until_the_guest_has_taken_some() {
        let (serial, _file) = port();
        let serial = Arc::new(serial);
        serial.input(&[0; HELD_MAX + 100]);
        let waiting = {
            let serial = serial.clone();
            std::thread::spawn(move || serial.wait_for_room())
        };
        assert!(serial.lock().held.len() >= HELD_MAX && !waiting.is_finished());
        while serial.lock().held.len() >= HELD_MAX {
            serial.read(0, &mut [0]);
        }
        waiting.join().unwrap();
    }

    #[test]
    fn any_register_takes_any_access() {
        let (serial, _file) = port();
        for register in 0..=u16::from(u8::MAX) {
            for len in [0, 1, 2, 4, 8] {
                serial.write(register, &vec![0xff; len]);
                serial.read(register, &mut vec![0; len]);
            }
        }
    }
}
