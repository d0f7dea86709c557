//! A function's registers (virtio §4.1.4.3) and device configuration (§5.1.4).

use azote_regs::function::FunctionId;
use azote_regs::virtio::net::feature as net;
use azote_regs::virtio::net::{
    CONTROL_QUEUE, CONTROL_QUEUE_ONE_PAIR, MAX_MTU, PAIRS, QUEUES, S_ANNOUNCE, S_LINK_UP, config,
};
use azote_regs::virtio::pci::{self, common};
use azote_regs::virtio::ring::MAX_SIZE;
use azote_regs::virtio::{NO_VECTOR, bit, feature, status};
use azote_regs::{bar, function};

use super::ring::Ring;

/// Features of every net function; the PF has SR_IOV as well.
const OFFERED: u64 = bit(feature::VERSION_1)
    | bit(feature::ACCESS_PLATFORM)
    | bit(feature::ORDER_PLATFORM)
    | bit(feature::INDIRECT_DESC)
    | bit(feature::EVENT_IDX)
    | bit(feature::RING_RESET)
    | bit(net::CSUM)
    | bit(net::GUEST_CSUM)
    | bit(net::MTU)
    | bit(net::MAC)
    | bit(net::HOST_TSO4)
    | bit(net::HOST_TSO6)
    | bit(net::HOST_ECN)
    | bit(net::MRG_RXBUF)
    | bit(net::STATUS)
    | bit(net::CTRL_VQ)
    | bit(net::CTRL_RX)
    | bit(net::CTRL_VLAN)
    | bit(net::GUEST_ANNOUNCE)
    | bit(net::MQ)
    | bit(net::CTRL_MAC_ADDR)
    | bit(net::NOTF_COAL)
    | bit(net::VQ_NOTF_COAL)
    | bit(net::SPEED_DUPLEX);
/// What is said of the wire, in Mb/s: a beat of 16 bytes each of 62.5 million clocks a second is 8 Gb/s.
const SPEED: u32 = 8000;

/// A queue's registers.
#[derive(Debug, Clone, Copy)]
struct Queue {
    size: u16,
    vector: u16,
    enabled: bool,
    addresses: [u64; 3],
    taken: u16,
    done: u16,
    /// Counts enablings, so that what was begun for one is not done to another.
    turn: u32,
    rung: bool,
}

impl Queue {
    const RESET: Queue = Queue {
        size: MAX_SIZE as u16,
        vector: NO_VECTOR as u16,
        enabled: false,
        addresses: [0; 3],
        taken: 0,
        done: 0,
        turn: 0,
        rung: false,
    };
}

/// A function's registers.
#[derive(Debug, Clone)]
pub(super) struct Registers {
    number: u8,
    pub mac: [u8; 6],
    status: u8,
    device_select: u32,
    driver_select: u32,
    accepted: u64,
    config_vector: u16,
    queue_select: u16,
    queues: [Queue; QUEUES as usize],
    pub announce: bool,
    isr: u8,
    generation: u8,
}

impl Registers {
    pub fn new(number: u8, mac: [u8; 6]) -> Self {
        Registers {
            number,
            mac,
            status: 0,
            device_select: 0,
            driver_select: 0,
            accepted: 0,
            config_vector: NO_VECTOR as u16,
            queue_select: 0,
            queues: [Queue::RESET; QUEUES as usize],
            announce: false,
            isr: 0,
            generation: 0,
        }
    }

    fn offered(&self) -> u64 {
        let pf = FunctionId::from_number(self.number).is_some_and(|id| id.role == function::Role::Pf);
        OFFERED | if pf { bit(feature::SR_IOV) } else { 0 }
    }

    /// Whether a feature was agreed on.
    pub fn has(&self, feature: u32) -> bool {
        self.accepted & bit(feature) != 0
    }

    /// The driver drives it, and nothing is wrong.
    pub fn runs(&self) -> bool {
        let now = self.status.into();
        status::DRIVER_OK.is_set(now) && !status::DEVICE_NEEDS_RESET.is_set(now)
    }

    /// It cannot go on; says by which vector that is to be told.
    pub fn needs_reset(&mut self) -> u16 {
        self.status |= status::DEVICE_NEEDS_RESET.mask() as u8;
        self.isr |= pci::ISR_CONFIG.mask() as u8;
        self.generation = self.generation.wrapping_add(1);
        self.config_vector
    }

    /// The control queue's number.
    pub fn control_queue(&self) -> u16 {
        (if self.has(net::MQ) { CONTROL_QUEUE } else { CONTROL_QUEUE_ONE_PAIR }) as u16
    }

    /// Takes a queue that was rung and is no receive queue.
    pub fn take_rung(&mut self) -> Option<u16> {
        let control = self.control_queue();
        let queue = (0..QUEUES as u16).find(|q| {
            let queue = &self.queues[usize::from(*q)];
            queue.enabled && queue.rung && (*q == control || q % 2 == 1)
        })?;
        self.queues[usize::from(queue)].rung = false;
        Some(queue)
    }

    /// Takes whether a receive queue has buffers again.
    pub fn take_fed(&mut self, queue: u16) -> bool {
        let queue = &mut self.queues[usize::from(queue)];
        queue.enabled && std::mem::take(&mut queue.rung)
    }

    /// A queue as a ring, and which of its enablings it is; `None` if it is not enabled.
    pub fn ring(&self, queue: u16) -> Option<(Ring, u32)> {
        let queue = self.queues.get(usize::from(queue)).filter(|queue| queue.enabled)?;
        let [desc, avail, used] = queue.addresses;
        let ring = Ring {
            function: self.number,
            size: queue.size,
            desc,
            avail,
            used,
            vector: queue.vector,
            event_idx: self.has(feature::EVENT_IDX),
            indirect: self.has(feature::INDIRECT_DESC),
            taken: queue.taken,
            done: queue.done,
        };
        Some((ring, queue.turn))
    }

    /// How far a ring is now, unless it was disabled meanwhile.
    pub fn keep(&mut self, queue: u16, ring: &Ring, turn: u32) {
        let queue = &mut self.queues[usize::from(queue)];
        if queue.enabled && queue.turn == turn {
            (queue.taken, queue.done) = (ring.taken, ring.done);
            self.isr |= pci::ISR_QUEUE.mask() as u8;
        }
    }

    /// Shows all of it in the function's BAR.
    pub fn show(&self, memory: &mut [u8]) {
        let mut put = |at: u64, bytes: &[u8]| memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
        let half = |features: u64, select: u32| if select < 2 { (features >> (32 * select)) as u32 } else { 0 };
        put(common::DEVICE_FEATURE_SELECT, &self.device_select.to_le_bytes());
        put(common::DEVICE_FEATURE, &half(self.offered(), self.device_select).to_le_bytes());
        put(common::DRIVER_FEATURE_SELECT, &self.driver_select.to_le_bytes());
        put(common::DRIVER_FEATURE, &half(self.accepted, self.driver_select).to_le_bytes());
        put(common::CONFIG_MSIX_VECTOR, &self.config_vector.to_le_bytes());
        put(common::NUM_QUEUES, &(QUEUES as u16).to_le_bytes());
        put(common::DEVICE_STATUS, &[self.status]);
        put(common::CONFIG_GENERATION, &[self.generation]);
        put(common::QUEUE_SELECT, &self.queue_select.to_le_bytes());
        let none = Queue { size: 0, ..Queue::RESET };
        let queue = self.queues.get(usize::from(self.queue_select)).unwrap_or(&none);
        put(common::QUEUE_SIZE, &queue.size.to_le_bytes());
        put(common::QUEUE_MSIX_VECTOR, &queue.vector.to_le_bytes());
        put(common::QUEUE_ENABLE, &u16::from(queue.enabled).to_le_bytes());
        put(common::QUEUE_NOTIFY_OFF, &if queue.size == 0 { 0 } else { self.queue_select }.to_le_bytes());
        for (register, address) in
            [common::QUEUE_DESC, common::QUEUE_DRIVER, common::QUEUE_DEVICE].into_iter().zip(queue.addresses)
        {
            put(register, &address.to_le_bytes());
        }
        put(common::QUEUE_NOTIFY_DATA, &[0; 8]);
        put(pci::ISR_AT, &[self.isr, 0, 0, 0]);
        let at = |offset| pci::DEVICE_AT + offset;
        put(at(config::MAC), &self.mac);
        let link = S_LINK_UP.mask() | if self.announce { S_ANNOUNCE.mask() } else { 0 };
        put(at(config::STATUS), &(link as u16).to_le_bytes());
        put(at(config::MAX_VIRTQUEUE_PAIRS), &(PAIRS as u16).to_le_bytes());
        put(at(config::MTU), &(MAX_MTU as u16).to_le_bytes());
        put(at(config::SPEED), &SPEED.to_le_bytes());
        put(at(config::DUPLEX), &[1]);
        put(at(config::RSS_MAX_KEY_SIZE), &[0; 7]);
    }

    /// ISR status was read.
    pub fn isr_read(&mut self) {
        self.isr = 0;
    }

    /// Bytes from `at` to `end` of the BAR were written, and `memory` has them; true if that resets the function.
    pub fn written(&mut self, at: u64, end: u64, memory: &[u8]) -> bool {
        let value =
            |at: u64, len: usize| memory[at as usize..][..len].iter().rev().fold(0u64, |v, b| v << 8 | u64::from(*b));
        if (pci::NOTIFY_AT..pci::NOTIFY_AT + bar::PAGE_SIZE).contains(&at) {
            if let Some(queue) = self.queues.get_mut(((at - pci::NOTIFY_AT) / pci::NOTIFY_STRIDE) as usize) {
                queue.rung = true;
            }
            return false;
        }
        let meets = |register: u64, len: usize| at < register + len as u64 && end > register;
        let mut reset = false;
        for (register, len) in [
            (common::DEVICE_FEATURE_SELECT, 4),
            (common::DRIVER_FEATURE_SELECT, 4),
            (common::DRIVER_FEATURE, 4),
            (common::CONFIG_MSIX_VECTOR, 2),
            (common::DEVICE_STATUS, 1),
            (common::QUEUE_SELECT, 2),
            (common::QUEUE_SIZE, 2),
            (common::QUEUE_MSIX_VECTOR, 2),
            (common::QUEUE_DESC, 8),
            (common::QUEUE_DRIVER, 8),
            (common::QUEUE_DEVICE, 8),
            (common::QUEUE_ENABLE, 2),
            (common::QUEUE_RESET, 2),
        ] {
            if meets(register, len) {
                reset |= self.set(register, value(register, len));
            }
        }
        reset
    }

    fn set(&mut self, register: u64, value: u64) -> bool {
        let vector = if value < bar::msix_vectors(function::Kind::Net) { value as u16 } else { NO_VECTOR as u16 };
        let agreed = status::FEATURES_OK.is_set(self.status.into());
        match register {
            common::DEVICE_FEATURE_SELECT => self.device_select = value as u32,
            common::DRIVER_FEATURE_SELECT => self.driver_select = value as u32,
            common::DRIVER_FEATURE if self.driver_select < 2 && !agreed => {
                let shift = 32 * self.driver_select;
                self.accepted = self.accepted & !(0xffff_ffff << shift) | value << shift;
            }
            common::CONFIG_MSIX_VECTOR => self.config_vector = vector,
            common::DEVICE_STATUS if value == 0 => return true,
            common::DEVICE_STATUS => self.set_status(value),
            common::QUEUE_SELECT => self.queue_select = value as u16,
            _ => self.set_queue(register, value, vector),
        }
        false
    }

    fn set_status(&mut self, value: u64) {
        let refused = self.accepted & !self.offered() != 0 || !self.has(feature::VERSION_1);
        let agreed = status::FEATURES_OK.is_set(self.status.into());
        let mut value = value & !status::DEVICE_NEEDS_RESET.mask();
        if status::FEATURES_OK.is_set(value) && !agreed && refused {
            value &= !status::FEATURES_OK.mask();
        }
        if status::DRIVER_OK.is_set(value) && !status::FEATURES_OK.is_set(value) {
            value &= !status::DRIVER_OK.mask();
        }
        // What was rung before is looked at now.
        self.status = value as u8 | self.status & status::DEVICE_NEEDS_RESET.mask() as u8;
    }

    fn set_queue(&mut self, register: u64, value: u64, vector: u16) {
        let may_reset = self.has(feature::RING_RESET);
        let Some(queue) = self.queues.get_mut(usize::from(self.queue_select)) else { return };
        match register {
            common::QUEUE_MSIX_VECTOR => queue.vector = vector,
            common::QUEUE_ENABLE if value == 1 && !queue.enabled => {
                let turn = queue.turn + 1;
                *queue = Queue { enabled: true, taken: 0, done: 0, turn, ..*queue };
            }
            common::QUEUE_RESET if value == 1 && may_reset => *queue = Queue { turn: queue.turn, ..Queue::RESET },
            _ if queue.enabled => {}
            common::QUEUE_SIZE if value.is_power_of_two() && value <= MAX_SIZE => queue.size = value as u16,
            common::QUEUE_DESC => queue.addresses[0] = value & !15,
            common::QUEUE_DRIVER => queue.addresses[1] = value & !1,
            common::QUEUE_DEVICE => queue.addresses[2] = value & !3,
            _ => {}
        }
    }
}
