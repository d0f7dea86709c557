//! Which frames a function receives, and the commands of the control queue that say so (virtio §5.1.6.5).

use std::collections::BTreeSet;

use azote_regs::virtio::net::{PAIRS, QUEUES, control, feature};

use super::registers::Registers;

/// Addresses of a table at most.
const TABLE: usize = 128;

/// The state behind the control queue.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    promiscuous: bool,
    all_multicast: bool,
    unicasts: BTreeSet<[u8; 6]>,
    /// `None` until a table is set: all of them.
    multicasts: Option<BTreeSet<[u8; 6]>>,
    vlans: BTreeSet<u16>,
    /// Pairs that frames are received in.
    pub pairs: u16,
    /// What was set for each queue: packets and microseconds. The model interrupts at once all the same.
    coalescing: [[u8; 8]; QUEUES as usize],
}

impl Default for Filter {
    fn default() -> Self {
        Filter {
            promiscuous: false,
            all_multicast: false,
            unicasts: BTreeSet::new(),
            multicasts: None,
            vlans: BTreeSet::new(),
            pairs: 1,
            coalescing: [[0; 8]; QUEUES as usize],
        }
    }
}

impl Filter {
    /// Whether the function receives a frame.
    pub fn takes(&self, frame: &[u8], registers: &Registers) -> bool {
        let Some(to) = frame.first_chunk::<6>() else { return false };
        if registers.has(feature::CTRL_VLAN) && frame.get(12..14) == Some(&[0x81, 0]) {
            let vlan = frame.get(14..16).map_or(0, |tag| u16::from_be_bytes([tag[0] & 15, tag[1]]));
            if !self.vlans.contains(&vlan) {
                return false;
            }
        }
        if self.promiscuous || *to == registers.mac || *to == [0xff; 6] {
            return true;
        }
        if to[0] & 1 == 0 {
            return self.unicasts.contains(to);
        }
        self.all_multicast || self.multicasts.as_ref().is_none_or(|table| table.contains(to))
    }

    /// Obeys a command; what is answered in front of how it ended, or that it is refused.
    pub fn command(&mut self, command: &[u8], registers: &mut Registers) -> Option<Vec<u8>> {
        let [class, number, data @ ..] = command else { return None };
        let on = || match data {
            [on @ (0 | 1)] => Some(*on == 1),
            _ => None,
        };
        let word = |at: usize| Some(u16::from_le_bytes(*data.get(at..)?.first_chunk()?));
        let needs = |feature| registers.has(feature).then_some(());
        match (u64::from(*class), u64::from(*number)) {
            (control::RX, control::RX_PROMISC) => {
                needs(feature::CTRL_RX)?;
                self.promiscuous = on()?;
            }
            (control::RX, control::RX_ALLMULTI) => {
                needs(feature::CTRL_RX)?;
                self.all_multicast = on()?;
            }
            (control::MAC, control::MAC_TABLE_SET) => {
                needs(feature::CTRL_RX)?;
                let (unicasts, rest) = table(data)?;
                let (multicasts, rest) = table(rest)?;
                if !rest.is_empty() {
                    return None;
                }
                (self.unicasts, self.multicasts) = (unicasts, Some(multicasts));
            }
            (control::MAC, control::MAC_ADDR_SET) => {
                needs(feature::CTRL_MAC_ADDR)?;
                let mac: [u8; 6] = data.try_into().ok()?;
                if mac[0] & 1 == 1 || mac == [0; 6] {
                    return None;
                }
                registers.mac = mac;
            }
            (control::VLAN, command @ (control::VLAN_ADD | control::VLAN_DEL)) => {
                needs(feature::CTRL_VLAN)?;
                let vlan = word(0).filter(|vlan| *vlan < 4096 && data.len() == 2)?;
                if command == control::VLAN_ADD {
                    self.vlans.insert(vlan)
                } else {
                    self.vlans.remove(&vlan)
                };
            }
            (control::ANNOUNCE, control::ANNOUNCE_ACK) => {
                needs(feature::GUEST_ANNOUNCE)?;
                registers.announce = false;
            }
            (control::MQ, control::MQ_VQ_PAIRS_SET) => {
                needs(feature::MQ)?;
                self.pairs = word(0).filter(|pairs| (1..=PAIRS as u16).contains(pairs) && data.len() == 2)?;
            }
            (control::NOTF_COAL, command) => return self.coalesce(command, data, registers),
            _ => return None,
        }
        Some(Vec::new())
    }

    fn coalesce(&mut self, command: u64, data: &[u8], registers: &Registers) -> Option<Vec<u8>> {
        let queue = data.first_chunk().map(|queue| usize::from(u16::from_le_bytes(*queue)));
        let one = |queue: Option<usize>| {
            let control = usize::from(registers.control_queue());
            queue.filter(|queue| *queue < control && registers.has(feature::VQ_NOTF_COAL))
        };
        match command {
            control::NOTF_COAL_TX_SET | control::NOTF_COAL_RX_SET => {
                let to: [u8; 8] = data.try_into().ok().filter(|_| registers.has(feature::NOTF_COAL))?;
                let first = usize::from(command == control::NOTF_COAL_TX_SET);
                self.coalescing.iter_mut().skip(first).step_by(2).for_each(|queue| *queue = to);
            }
            control::NOTF_COAL_VQ_SET => {
                let to: [u8; 8] = data.get(4..)?.try_into().ok()?;
                self.coalescing[one(queue)?] = to;
            }
            control::NOTF_COAL_VQ_GET => return Some(self.coalescing[one(queue)?].to_vec()),
            _ => return None,
        }
        Some(Vec::new())
    }
}

/// A table of addresses, and what is behind it.
fn table(data: &[u8]) -> Option<(BTreeSet<[u8; 6]>, &[u8])> {
    let (count, rest) = data.split_first_chunk()?;
    let count = usize::try_from(u32::from_le_bytes(*count)).ok().filter(|count| *count <= TABLE)?;
    let (addresses, rest) = rest.split_at_checked(6 * count)?;
    Some((addresses.as_chunks().0.iter().copied().collect(), rest))
}
