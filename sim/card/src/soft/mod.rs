//! A card in software: configuration spaces, card management, NVMe controllers on the storage functions, virtio-net on the net
//! functions with a switch between them and the Ethernet port, and a copying engine on the trust functions; on net functions as
//! well if a test of the root complex asks for it ([`SoftCard::copying`]).
//!
//! It is there to try the root complex, drivers and tools without Verilator. It says nothing about the RTL.
//!
//! The copying engine, in BAR0 of a net or trust function: write source, destination and length (64 bits each) at [`SOURCE`],
//! [`DESTINATION`] and [`LENGTH`], then anything to the first doorbell. When the copy has ended, [`RESULT`] is 1, or 2 if
//! a read failed, and vector 0 is sent if MSI-X is enabled.

mod config;
mod engine;
mod fetch;
mod identify;
mod net;
mod nvme;
mod transfer;

use std::collections::VecDeque;

use azote_regs::function::{FunctionId, Kind};
use azote_regs::pcie::msix;
use azote_regs::{bar, clock, manage};
use azote_tlp::{Assembler, Body, Completion, Memory, Packet, Rid, Status, Tlp};

use crate::device::{Inputs, Outputs, TlpDevice};
use config::Config;
use engine::Engine;
use net::{Network, Rights};
use nvme::{Binding, Context, Nvme};

/// BAR0 offset: where the engine copies from.
pub const SOURCE: u64 = 0x00;
/// BAR0 offset: where it copies to.
pub const DESTINATION: u64 = 0x08;
/// BAR0 offset: how many bytes, a multiple of 4.
pub const LENGTH: u64 = 0x10;
/// BAR0 offset: how it ended.
pub const RESULT: u64 = 0x18;

/// Ways in which the model misbehaves, to see that the checker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehave {
    /// Requests carry the next function's id.
    WrongRequester,
    /// Bus Master Enable is ignored.
    IgnoreBusMaster,
    /// Reads are as long as the copy, whatever Max_Read_Request_Size says.
    LongReads,
    /// Every read has tag 0, even while it is outstanding.
    SameTag,
    /// Completions are sent twice.
    TwoCompletions,
    /// A beat that is not taken is withdrawn.
    Withdraw,
    /// Register reads are completed by the PF, whoever was asked.
    WrongCompleter,
}

/// What a storage slot is bound to, from the write of CTRL on.
#[derive(Default)]
struct Slot {
    binding: Option<Binding>,
    turn: bool,
    /// Clocks.
    timeout: u64,
}

/// A card in software.
pub struct SoftCard {
    bus: u8,
    config: Config,
    /// BAR0 of every function, and BAR2 of one.
    bars: Vec<Vec<u8>>,
    engine: Engine,
    nvme: Nvme,
    /// Unless its net functions copy.
    network: Option<Network>,
    /// By storage slot.
    slots: Vec<Slot>,
    vfs: u8,
    rx: Assembler,
    tx: VecDeque<Packet>,
    beat: usize,
    misbehave: Option<Misbehave>,
    withdrawn: bool,
}

impl SoftCard {
    /// A card with `vfs` VFs of each kind.
    pub fn new(vfs: u8) -> Self {
        Self::with(vfs, Some(Network::new(vfs)))
    }

    /// The same whose net functions have the copying engine.
    pub fn copying(vfs: u8) -> Self {
        Self::with(vfs, None)
    }

    fn with(vfs: u8, network: Option<Network>) -> Self {
        let mut card = SoftCard {
            bus: 0,
            config: Config::new(vfs, network.is_some()),
            bars: vec![vec![0; bar::BAR2_SIZE as usize]; 257],
            engine: Engine::default(),
            nvme: Nvme::default(),
            network,
            slots: Vec::new(),
            vfs,
            rx: Assembler::default(),
            tx: VecDeque::new(),
            beat: 0,
            misbehave: None,
            withdrawn: false,
        };
        card.initialise();
        card
    }

    /// Registers with a value after reset.
    fn initialise(&mut self) {
        for (function, memory) in self.bars.iter_mut().enumerate() {
            memory.fill(0);
            if u8::try_from(function).is_ok_and(is_storage) {
                Nvme::registers(memory);
            }
            if let (Ok(function), Some(network)) = (u8::try_from(function), &self.network) {
                network.show(function, memory);
            }
        }
        self.slots = (0..=self.vfs).map(|_| Slot::default()).collect();
        for (at, value) in [
            (manage::MAGIC, manage::MAGIC_VALUE),
            (manage::VERSION, manage::VERSION_VALUE),
            (manage::VFS, self.vfs.into()),
        ] {
            self.bars[MANAGEMENT][at as usize..][..4].copy_from_slice(&(value as u32).to_le_bytes());
        }
    }

    fn slot(&self, function: u8) -> Option<&Slot> {
        let id = FunctionId::from_number(function).filter(|id| id.kind == Kind::Storage)?;
        self.slots.get(id.slot() as usize)
    }

    /// Whether a command is under way that was judged by the binding before this slot's.
    fn is_busy(&self, slot: usize) -> bool {
        let of = |(function, turn)| FunctionId::from_number(function).map(|id| (id.slot() as usize, turn));
        self.nvme.judged().and_then(of).is_some_and(|(of, turn)| of == slot && turn != self.slots[slot].turn)
    }

    /// Slots whose CTRL is among these bytes of card management.
    fn controls(&self, offset: u64, len: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let slots =
            (0..self.slots.len()).map(|slot| (slot, (manage::binding(slot as u64) + manage::BINDING_CTRL) as usize));
        let (from, to) = (offset as usize, offset as usize + len);
        slots.filter(move |(_, at)| *at + 4 > from && *at < to)
    }

    /// What was written to a CTRL counts from now on, with all that was written before.
    fn bind(&mut self, slot: usize) {
        let from = manage::binding(slot as u64) as usize;
        let words = &mut self.bars[MANAGEMENT][from..][..manage::BINDING_STRIDE as usize];
        let taken = manage::CTRL_VALID.mask() | manage::CTRL_READ_ONLY.mask() | manage::CTRL_BIG.mask();
        words[manage::BINDING_CTRL as usize] &= taken as u8;
        words[manage::BINDING_CTRL as usize + 1..][..3].fill(0);
        let word = |at: u64| words[at as usize..].first_chunk().map_or(0, |b| u64::from(u32::from_le_bytes(*b)));
        let wide = |low: u64, high: u64| word(low) | word(high) << 32;
        let turn = !self.slots[slot].turn;
        let (control, volume) = (word(manage::BINDING_CTRL), word(manage::BINDING_VOLUME));
        let binding = manage::CTRL_VALID.is_set(control).then(|| Binding {
            volume: manage::VOLUME_ID.of(volume) as u8,
            base: wide(manage::BINDING_BASE_LO, manage::BINDING_BASE_HI),
            blocks: wide(manage::BINDING_LENGTH_LO, manage::BINDING_LENGTH_HI),
            read_only: manage::CTRL_READ_ONLY.is_set(control),
        });
        let timeout = manage::VOLUME_TIMEOUT.of(volume) * manage::TIMEOUT_UNIT * 1000 * clock::MHZ;
        self.slots[slot] = Slot { binding, turn, timeout };
    }

    /// The message of each vector of a function that may be sent.
    fn vectors(&self, function: u8) -> Vec<Option<(u64, u32)>> {
        let memory = &self.bars[usize::from(function)];
        let word = |at: u64| memory[at as usize..].first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
        let kind = FunctionId::from_number(function).map(|id| id.kind);
        (0..kind.map_or(0, bar::msix_vectors))
            .map(|vector| {
                let at = msix::entry(vector);
                let masked = msix::ENTRY_CONTROL_MASK.is_set(word(at + msix::ENTRY_CONTROL).into());
                let high = u64::from(word(at + msix::ENTRY_ADDRESS_HI)) << 32;
                let message = (high | u64::from(word(at + msix::ENTRY_ADDRESS_LO)), word(at + msix::ENTRY_DATA));
                (self.config.msix_enabled(function) && !masked).then_some(message)
            })
            .collect()
    }

    fn context(&self, function: u8) -> Context {
        let (max_payload, max_read) = self.config.sizes(function);
        let slot = self.slot(function);
        Context {
            rid: self.rid(function),
            allowed: self.config.may_request(function),
            max_payload,
            max_read,
            binding: slot.and_then(|slot| slot.binding),
            turn: slot.is_some_and(|slot| slot.turn),
            timeout: slot.map_or(0, |slot| slot.timeout),
            vectors: self.vectors(function),
        }
    }

    /// One whose net functions copy, with a fault.
    pub fn misbehaving(vfs: u8, how: Misbehave) -> Self {
        SoftCard { misbehave: Some(how), ..Self::copying(vfs) }
    }

    fn rid(&self, function: u8) -> Rid {
        Rid::new(self.bus, function)
    }

    fn complete(&mut self, completion: Completion, data: Option<Vec<u8>>) {
        let body = match data {
            Some(data) => Body::CplD(completion, data),
            None => Body::Cpl(completion),
        };
        let packet = Tlp::from(body).packet();
        if self.misbehave == Some(Misbehave::TwoCompletions) {
            self.tx.push_back(packet.clone());
        }
        self.tx.push_back(packet);
    }

    fn receive(&mut self, packet: &Packet) {
        let Ok(tlp) = Tlp::decode(packet) else { return };
        match tlp.body {
            Body::CfgRead { requester, tag, target, register, .. } => {
                self.window(target.function(), register, None);
                let value = self.config.read(target.function(), register);
                let status = if value.is_some() { Status::Success } else { Status::Unsupported };
                let completion = self.answer(target.function(), requester, tag, status);
                self.complete(completion, value.map(|v| v.to_le_bytes().to_vec()));
            }
            Body::CfgWrite { requester, tag, target, register, first_be, data, .. } => {
                self.bus = target.bus();
                let done = self.config.write(target.function(), register, first_be, data);
                self.window(target.function(), register, Some(data));
                for function in 0..=255 {
                    if is_storage(function) && self.config.take_reset(function) {
                        Nvme::registers(&mut self.bars[usize::from(function)]);
                        self.nvme.clear(function);
                    }
                    if let Some(network) = &mut self.network
                        && is_net(function)
                        && self.config.take_reset(function)
                    {
                        network.clear(function, &mut self.bars[usize::from(function)]);
                    }
                }
                // VFs that are disabled are reset (PCIe 9.2.1.2).
                for function in
                    (4..=255).filter(|f| target.function() == NET_PF && is_net(*f) && !self.config.exists(*f))
                {
                    if let Some(network) = &mut self.network {
                        network.clear(function, &mut self.bars[usize::from(function)]);
                    }
                }
                let status = if done { Status::Success } else { Status::Unsupported };
                let completion = self.answer(target.function(), requester, tag, status);
                self.complete(completion, None);
            }
            Body::MemRead(m) => self.mem_read(&m),
            Body::MemWrite(m, data) => self.mem_write(&m, &data),
            Body::CplD(c, data) if is_storage(c.requester.function()) => {
                self.nvme.complete(&c, &data, tlp.attributes.poisoned);
            }
            Body::Cpl(c) if is_storage(c.requester.function()) => self.nvme.complete(&c, &[], false),
            Body::CplD(c, data) if self.has_network(c.requester.function()) => {
                if let Some(network) = &mut self.network {
                    network.complete(&c, &data, tlp.attributes.poisoned);
                }
            }
            Body::Cpl(c) if self.has_network(c.requester.function()) => {
                if let Some(network) = &mut self.network {
                    network.complete(&c, &[], false);
                }
            }
            Body::CplD(c, data) => self.engine.data(&c, &data, tlp.attributes.poisoned),
            Body::Cpl(c) => self.engine.refused(&c),
            _ => {}
        }
    }

    fn answer(&self, function: u8, requester: Rid, tag: u8, status: Status) -> Completion {
        let completer = self.rid(function);
        let (byte_count, lower_address) = (4, 0);
        Completion { completer, status, byte_count_modified: false, byte_count, requester, tag, lower_address }
    }

    fn has_network(&self, function: u8) -> bool {
        self.network.is_some() && is_net(function)
    }

    /// Bytes of a BAR as they are now.
    fn bar_bytes(&mut self, function: u8, index: u64, offset: u64, len: usize) -> Vec<u8> {
        let memory = &mut self.bars[Self::bar(function, index)];
        if let (Some(network), bar::BAR0) = (&self.network, index) {
            network.show(function, memory);
        }
        memory.iter().skip(offset as usize).take(len).copied().collect()
    }

    /// What reading clears is cleared.
    fn bar_was_read(&mut self, function: u8, index: u64, m: &Memory, offset: u64) {
        let enabled = (0..usize::from(m.length) * 4).filter(|i| m.enabled(*i));
        let read = enabled.clone().min().zip(enabled.max());
        if let (Some(network), bar::BAR0, Some((first, last))) = (&mut self.network, index, read) {
            network.read(function, offset + first as u64, offset + last as u64 + 1);
        }
    }

    /// PCI configuration access (virtio §4.1.4.9): reading or writing its data does so in the BAR.
    fn window(&mut self, function: u8, register: u16, written: Option<[u8; 4]>) {
        let Some((offset, len)) = self.config.window(function, register).filter(|_| self.has_network(function)) else {
            return;
        };
        let memory = &mut self.bars[usize::from(function)];
        let Some(network) = &mut self.network else { return };
        match written {
            None => {
                network.show(function, memory);
                let mut data = [0; 4];
                data.iter_mut().zip(&memory[offset as usize..][..len]).for_each(|(to, from)| *to = *from);
                self.config.set_window(function, data);
                network.read(function, offset, offset + len as u64);
            }
            Some(data) => {
                memory[offset as usize..][..len].copy_from_slice(&data[..len]);
                network.written(function, offset, offset + len as u64, memory);
            }
        }
    }

    /// Which of `bars` holds a function's BAR.
    fn bar(function: u8, index: u64) -> usize {
        if index == bar::BAR2 { MANAGEMENT } else { function.into() }
    }

    fn mem_read(&mut self, m: &Memory) {
        let Some((mut function, index, offset)) = self.config.decode(m.address) else {
            let completion = Completion {
                byte_count: m.byte_count(),
                lower_address: m.lower_address(),
                ..self.answer(0, m.requester, m.tag, Status::Unsupported)
            };
            return self.complete(completion, None);
        };
        let mut data = self.bar_bytes(function, index, offset, usize::from(m.length) * 4);
        self.bar_was_read(function, index, m, offset);
        if index == bar::BAR2 {
            for (slot, at) in self.controls(offset, data.len()) {
                if self.is_busy(slot)
                    && let Some(byte) = at.checked_sub(offset as usize).and_then(|at| data.get_mut(at))
                {
                    *byte |= manage::CTRL_BUSY.mask() as u8;
                }
            }
        }
        if self.misbehave == Some(Misbehave::WrongCompleter) {
            function &= 3;
        }
        let completion = Completion {
            byte_count: m.byte_count(),
            lower_address: m.lower_address(),
            ..self.answer(function, m.requester, m.tag, Status::Success)
        };
        self.complete(completion, Some(data));
    }

    fn mem_write(&mut self, m: &Memory, data: &[u8]) {
        let Some((function, index, offset)) = self.config.decode(m.address) else { return };
        let controls: Vec<_> =
            if index == bar::BAR2 { self.controls(offset, data.len()).collect() } else { Vec::new() };
        let before: Vec<_> = controls.iter().map(|(_, at)| self.bars[MANAGEMENT][*at..][..4].to_vec()).collect();
        let memory = &mut self.bars[Self::bar(function, index)];
        for (i, byte) in data.iter().enumerate() {
            if m.enabled(i)
                && let Some(slot) = memory.get_mut(offset as usize + i)
            {
                *slot = *byte;
            }
        }
        for ((slot, at), before) in controls.into_iter().zip(before) {
            // It is not taken while a command of the binding before is under way.
            if self.is_busy(slot) {
                self.bars[MANAGEMENT][at..][..4].copy_from_slice(&before);
            } else {
                self.bind(slot);
            }
        }
        let enabled = (0..data.len()).filter(|i| m.enabled(*i));
        let written = enabled.clone().min().zip(enabled.max());
        let memory = &mut self.bars[Self::bar(function, index)];
        if self.network.is_some() && is_net(function) {
            if let (Some((first, last)), Some(network)) = (written, &mut self.network) {
                network.written(function, offset + first as u64, offset + last as u64 + 1, memory);
            }
        } else if is_storage(function) {
            self.nvme.written(function, offset, memory);
        } else if index == bar::BAR0 && offset == bar::DOORBELLS {
            self.engine.start(function, memory);
        }
    }

    fn work(&mut self) {
        let function = self.engine.function();
        let allowed = self.config.may_request(function) || self.misbehave == Some(Misbehave::IgnoreBusMaster);
        let (payload, mut read) = self.config.sizes(function);
        if self.misbehave == Some(Misbehave::LongReads) {
            read = 4096;
        }
        let same_tag = self.misbehave == Some(Misbehave::SameTag);
        let wrong = u8::from(self.misbehave == Some(Misbehave::WrongRequester));
        let rid = self.rid(function.wrapping_add(wrong));
        self.engine.work(rid, allowed, (payload, read), same_tag, &mut self.tx);
        if let Some(failed) = self.engine.finished() {
            let memory = &mut self.bars[usize::from(function)];
            memory[RESULT as usize] = if failed { 2 } else { 1 };
            if let (Some(Some((address, data))), true) = (self.vectors(function).first(), allowed) {
                let memory = Memory::span(rid, 0, *address, 4);
                self.tx.push_back(Tlp::from(Body::MemWrite(memory, data.to_le_bytes().to_vec())).packet());
            }
        }
        if let Some(function) = self.nvme.function() {
            let context = self.context(function);
            self.nvme.work(&context, &mut self.tx);
        }
        if let Some(function) = self.network.as_ref().and_then(Network::next) {
            let (max_payload, max_read) = self.config.sizes(function);
            let rights = Rights {
                rid: self.rid(function),
                allowed: self.config.may_request(function),
                max_payload,
                max_read,
                vectors: self.vectors(function),
            };
            if let Some(network) = &mut self.network {
                network.send(&rights, &mut self.tx);
            }
        }
        while let Some(function) = self.nvme.shut_down() {
            Nvme::show_shut_down(&mut self.bars[Self::bar(function, bar::BAR0)]);
        }
    }
}

/// Which of `bars` is card management.
const MANAGEMENT: usize = 256;

/// Function number of the net PF.
const NET_PF: u8 = Kind::Net as u8;

fn is_net(function: u8) -> bool {
    FunctionId::from_number(function).is_some_and(|f| f.kind == Kind::Net)
}

fn is_storage(function: u8) -> bool {
    FunctionId::from_number(function).is_some_and(|f| f.kind == Kind::Storage)
}

impl TlpDevice for SoftCard {
    fn cycle(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        *outputs = Outputs::default();
        if inputs.reset {
            let misbehave = self.misbehave;
            self.config.reset();
            self.engine = Engine::default();
            self.nvme = Nvme::default();
            if let Some(network) = &mut self.network {
                network.reset();
            }
            self.initialise();
            self.rx = Assembler::default();
            self.tx.clear();
            (self.beat, self.bus, self.misbehave) = (0, 0, misbehave);
            return;
        }
        outputs.rx_ready = true;
        let network = self.network.as_ref().is_some_and(Network::busy);
        outputs.busy = self.engine.busy() || self.nvme.busy() || network || !self.tx.is_empty();
        self.nvme.show(outputs);
        match &self.network {
            Some(network) => network.show_port(outputs),
            None => outputs.erx_ready = true,
        }
        if let Some(packet) = self.tx.front()
            && !std::mem::take(&mut self.withdrawn)
        {
            outputs.tx = Some(packet.beat(self.beat));
            if inputs.tx_ready {
                self.beat += 1;
                if self.beat as u64 == packet.beat_count() {
                    self.beat = 0;
                    self.tx.pop_front();
                }
            } else {
                self.withdrawn = self.misbehave == Some(Misbehave::Withdraw);
            }
        }
        if let Some(Ok(Some(packet))) = inputs.rx.map(|beat| self.rx.push(beat)) {
            self.receive(&packet);
        }
        if let Some(function) = self.nvme.function() {
            let context = self.context(function);
            self.nvme.media(inputs, &context, &mut self.tx);
        }
        if let Some(network) = &mut self.network {
            network.work(inputs);
        }
        self.work();
    }
}
