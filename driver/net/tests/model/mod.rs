//! A network device that lies, as it is told to.

use std::sync::Arc;

use azote_regs::pcie::header;
use azote_regs::virtio::net::{QUEUES, feature};
use azote_regs::virtio::pci::{self, common};
use azote_regs::virtio::ring::{AVAIL_IDX, AVAIL_RING, USED_IDX, USED_RING};
use azote_regs::virtio::{bit, feature as all, status};
use azote_seam::mock::{Device, Host, Mock};

/// What the device does with what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lie {
    /// Nothing: it never uses a buffer.
    #[default]
    Silent,
    /// In this queue it uses a descriptor, says that it wrote so much, and that it used so many.
    Uses { queue: u16, id: u32, len: u32, count: u16 },
    /// It receives a packet whose header says so many buffers.
    Buffers(u16),
    /// Commands end with this.
    Acknowledges(u8),
}

/// The device.
pub struct Model {
    pub lie: Lie,
    pub offered: u64,
    /// Features that it does not agree to after all.
    pub refuses: bool,
    pub never_reset: bool,
    pub queue_size: u16,
    pub notify_off: u16,
    pub needs_reset: bool,
    pub status: u8,
    pub selects: [u32; 2],
    pub queue: u16,
    pub addresses: Vec<[u64; 3]>,
    pub done: Vec<u16>,
    pub rung: Vec<u16>,
}

impl Default for Model {
    fn default() -> Self {
        let offered = bit(all::VERSION_1)
            | bit(feature::MAC)
            | bit(feature::MRG_RXBUF)
            | bit(feature::CTRL_VQ)
            | bit(feature::CTRL_RX);
        Model {
            lie: Lie::Silent,
            offered,
            refuses: false,
            never_reset: false,
            queue_size: 16,
            notify_off: 0,
            needs_reset: false,
            status: 0,
            selects: [0; 2],
            queue: 0,
            addresses: vec![[0; 3]; QUEUES as usize],
            done: vec![0; QUEUES as usize],
            rung: Vec::new(),
        }
    }
}

/// Where its structures are told of.
const CAPABILITIES: u64 = 0x40;

impl Model {
    pub fn function(self) -> Arc<Mock<Model>> {
        let mock = Mock::new("model", self);
        mock.set_config32(header::VENDOR_ID, 0x1041_1af4);
        mock.set_config32(header::CAPABILITIES, CAPABILITIES as u32);
        let structures = [
            (pci::COMMON_CFG, pci::COMMON_AT, pci::COMMON_LENGTH),
            (pci::ISR_CFG, pci::ISR_AT, pci::ISR_LENGTH),
            (pci::DEVICE_CFG, pci::DEVICE_AT, 24),
            (pci::NOTIFY_CFG, pci::NOTIFY_AT, 0x100),
        ];
        for (i, (kind, at, len)) in structures.into_iter().enumerate() {
            let (from, last) = (CAPABILITIES + 0x20 * i as u64, i + 1 == structures.len());
            let next = if last { 0 } else { from + 0x20 };
            mock.set_config32(from, pci::header(next, 0x14, kind) as u32);
            mock.set_config32(from + pci::OFFSET, at as u32);
            mock.set_config32(from + pci::LENGTH, len as u32);
            mock.set_config32(from + pci::NOTIFY_MULTIPLIER, 4);
        }
        mock
    }
}

impl Device for Model {
    fn bar_size(&self, bar: usize) -> u64 {
        if bar == 0 { 0x4000 } else { 0 }
    }

    fn read(&mut self, _: usize, offset: u64, _: u64) -> u64 {
        let half = |features: u64, select: u32| if select < 2 { features >> (32 * select) & 0xffff_ffff } else { 0 };
        match offset {
            common::DEVICE_FEATURE => half(self.offered, self.selects[0]),
            common::NUM_QUEUES => QUEUES,
            common::DEVICE_STATUS if self.never_reset => 0x0f,
            common::DEVICE_STATUS if self.needs_reset => status::DEVICE_NEEDS_RESET.mask(),
            common::DEVICE_STATUS => self.status.into(),
            common::QUEUE_SIZE => self.queue_size.into(),
            common::QUEUE_NOTIFY_OFF => self.notify_off.into(),
            common::QUEUE_MSIX_VECTOR => 0xffff,
            _ => 0,
        }
    }

    fn write(&mut self, _: usize, offset: u64, _: u64, value: u64) {
        let addresses = &mut self.addresses[usize::from(self.queue) % QUEUES as usize];
        let mut put = |at: u64| {
            let (register, shift) = ((at / 8) as usize, 8 * (at % 8));
            addresses[register] = addresses[register] & !(0xffff_ffff << shift) | value << shift;
        };
        match offset {
            common::DEVICE_FEATURE_SELECT => self.selects[0] = value as u32,
            common::DRIVER_FEATURE_SELECT => self.selects[1] = value as u32,
            common::DEVICE_STATUS if value == 0 => self.status = 0,
            common::DEVICE_STATUS if self.refuses => self.status = value as u8 & !(status::FEATURES_OK.mask() as u8),
            common::DEVICE_STATUS => self.status = value as u8,
            common::QUEUE_SELECT => self.queue = value as u16,
            common::QUEUE_SIZE => self.queue_size = value as u16,
            common::QUEUE_DESC..common::QUEUE_NOTIFY_DATA => put(offset - common::QUEUE_DESC),
            pci::NOTIFY_AT..0x2000 => self.rung.push(value as u16),
            _ => {}
        }
    }

    fn step(&mut self, host: &mut Host) {
        match self.lie {
            Lie::Silent => {}
            Lie::Uses { queue, id, len, count } => self.uses(host, queue, &[(id, len)], count),
            Lie::Buffers(count) => {
                // The first buffer that was given, with a header in it.
                let mut head = [0; 2];
                let [desc, avail, _] = self.addresses[0];
                host.read(avail + AVAIL_RING, &mut head);
                let mut address = [0; 8];
                host.read(desc + 16 * u64::from(u16::from_le_bytes(head)), &mut address);
                let mut packet = [0; 60];
                packet[10..12].copy_from_slice(&count.to_le_bytes());
                host.write(u64::from_le_bytes(address), &packet);
                self.uses(host, 0, &[(u16::from_le_bytes(head).into(), 60)], 1);
            }
            Lie::Acknowledges(ack) => {
                let Some(queue) = self.rung.pop().filter(|queue| *queue == 2) else { return };
                let [desc, avail, _] = self.addresses[usize::from(queue)];
                let (mut idx, mut head) = ([0; 2], [0; 2]);
                host.read(avail + AVAIL_IDX, &mut idx);
                let last = u16::from_le_bytes(idx).wrapping_sub(1) % self.queue_size;
                host.read(avail + AVAIL_RING + 2 * u64::from(last), &mut head);
                let head = u16::from_le_bytes(head);
                let (mut next, mut address) = ([0; 2], [0; 8]);
                host.read(desc + 16 * u64::from(head) + 14, &mut next);
                host.read(desc + 16 * u64::from(u16::from_le_bytes(next)), &mut address);
                host.write(u64::from_le_bytes(address), &[ack]);
                self.uses(host, queue, &[(head.into(), 1)], 1);
            }
        }
    }

    fn reset(&mut self) {
        self.status = 0;
    }
}

impl Model {
    /// Writes entries of a used ring, and an index that is `count` further.
    fn uses(&mut self, host: &mut Host, queue: u16, entries: &[(u32, u32)], count: u16) {
        let used = self.addresses[usize::from(queue)][2];
        if used == 0 {
            return;
        }
        let done = &mut self.done[usize::from(queue)];
        for (i, (id, len)) in entries.iter().enumerate() {
            let at = USED_RING + 8 * u64::from(done.wrapping_add(i as u16) % self.queue_size);
            host.write(used + at, &[id.to_le_bytes(), len.to_le_bytes()].concat());
        }
        *done = done.wrapping_add(count);
        host.write(used + USED_IDX, &done.to_le_bytes());
    }
}
