//! Virtio-net functions in software: what they are to a driver and on the wire is what the RTL's are to be, how they do it is not.
//!
//! Each function has a task, an `async fn` that is polled once a clock: it reads rings and buffers as the driver has them, and
//! awaits what the host answers. Between the functions and the wire is a [`switch`].

mod bus;
mod filter;
mod function;
mod packet;
mod port;
mod registers;
mod ring;
mod switch;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU8, Ordering};

use azote_regs::bar;
use azote_regs::function::{FunctionId, Kind};
use azote_regs::virtio::pci;
use azote_tlp::{Completion, Packet};

use self::bus::Bus;
pub(super) use self::bus::Rights;
use self::function::Function;
use self::port::EthernetPort;
use self::switch::{Port, Switch};
use crate::device::{Inputs, Outputs};

/// The net functions of a card.
pub(super) struct Network {
    bus: Bus,
    functions: BTreeMap<u8, Function>,
    macs: BTreeMap<u8, [u8; 6]>,
    switch: Switch,
    port: EthernetPort,
}

/// Cards of this process so far, so that no two have the same addresses.
static CARDS: AtomicU8 = AtomicU8::new(0);

impl Network {
    pub fn new(vfs: u8) -> Self {
        let numbers =
            std::iter::once(FunctionId::pf(Kind::Net)).chain((0..vfs).filter_map(|i| FunctionId::vf(Kind::Net, i)));
        // Locally administered: the process, the card and the function tell it from all others of this machine.
        let process = std::process::id().to_le_bytes();
        let card = CARDS.fetch_add(1, Ordering::Relaxed);
        let mac = |number: u8| [2, process[0], process[1], process[2], card, number];
        let macs: BTreeMap<u8, [u8; 6]> = numbers.map(|id| (id.number(), mac(id.number()))).collect();
        let bus = Bus::default();
        let functions = macs.iter().map(|(number, mac)| (*number, Function::new(*number, *mac, &bus))).collect();
        Network { bus, functions, macs, switch: Switch::default(), port: EthernetPort::default() }
    }

    /// The card is reset.
    pub fn reset(&mut self) {
        let macs = std::mem::take(&mut self.macs);
        let bus = Bus::default();
        self.functions = macs.iter().map(|(number, mac)| (*number, Function::new(*number, *mac, &bus))).collect();
        (self.bus, self.macs, self.switch, self.port) = (bus, macs, Switch::default(), EthernetPort::default());
    }

    /// A function is reset, by FLR, by VF Enable or by its driver.
    pub fn clear(&mut self, function: u8, memory: &mut [u8]) {
        let (Some(served), Some(mac)) = (self.functions.get_mut(&function), self.macs.get(&function)) else { return };
        served.reset(*mac, &self.bus);
        self.switch.forget(function);
        served.state().registers.show(memory);
    }

    /// The BAR as a driver is to see it.
    pub fn show(&self, function: u8, memory: &mut [u8]) {
        if let Some(served) = self.functions.get(&function) {
            served.state().registers.show(memory);
        }
    }

    /// Bytes from `at` to `end` of the BAR were read.
    pub fn read(&mut self, function: u8, at: u64, end: u64) {
        if at < pci::ISR_AT + pci::ISR_LENGTH
            && end > pci::ISR_AT
            && let Some(served) = self.functions.get(&function)
        {
            served.state().registers.isr_read();
        }
    }

    /// Bytes from `at` to `end` of the BAR were written, and `memory` has them.
    pub fn written(&mut self, function: u8, at: u64, end: u64, memory: &mut [u8]) {
        if at >= bar::MSIX_TABLE {
            return;
        }
        let Some(served) = self.functions.get(&function) else { return };
        let reset = {
            let mut state = served.state();
            let reset = state.registers.written(at, end, memory);
            state.look();
            state.registers.show(memory);
            reset
        };
        if reset {
            self.clear(function, memory);
        }
    }

    pub fn busy(&self) -> bool {
        self.port.busy() || self.bus.busy() || self.functions.values().any(Function::busy)
    }

    /// A completion of a read of its functions.
    pub fn complete(&mut self, completion: &Completion, data: &[u8], poisoned: bool) {
        self.bus.complete(completion, data, poisoned);
    }

    /// Whose request to the host is next.
    pub fn next(&self) -> Option<u8> {
        self.bus.next()
    }

    /// Sends the next request.
    pub fn send(&mut self, rights: &Rights, tx: &mut VecDeque<Packet>) {
        self.bus.work(rights, tx);
    }

    /// What the port shows in this clock.
    pub fn show_port(&self, outputs: &mut Outputs) {
        self.port.show(outputs);
    }

    /// One clock.
    pub fn work(&mut self, inputs: &Inputs) {
        if let Some(frame) = self.port.step(inputs) {
            self.forward(Port::Wire, &frame);
        }
        let numbers: Vec<u8> = self.functions.iter().filter(|(_, f)| f.busy()).map(|(number, _)| *number).collect();
        for number in numbers {
            let Some(served) = self.functions.get_mut(&number) else { continue };
            served.work();
            let sent = std::mem::take(&mut served.state().sent);
            for frame in sent {
                self.forward(Port::Function(number), &frame);
            }
        }
    }

    fn forward(&mut self, from: Port, frame: &[u8]) {
        let ports = self.functions.keys().map(|number| Port::Function(*number)).chain([Port::Wire]);
        for port in self.switch.forward(from, frame, ports) {
            match port {
                Port::Wire => self.port.send(frame),
                Port::Function(number) => {
                    if let Some(served) = self.functions.get(&number) {
                        served.state().give(frame);
                    }
                }
            }
        }
    }
}
