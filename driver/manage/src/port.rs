//! Ports of the embedded switch: which address, tenant and VLAN a net function has, and what was counted at it.

use std::fmt;

use azote_regs::{Field, function::Role, manage as regs, virtio::net};

use crate::{Error, Manager, Result, named};

/// The address of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// What a net function is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port {
    /// Its address.
    pub mac: Mac,
    /// Its tenant: functions of one reach each other.
    pub vni: u32,
    /// Its VLAN on the wire; 0 is none.
    pub vlan: u16,
    /// The priority that its tags have there.
    pub priority: u8,
    /// Its MTU.
    pub mtu: u16,
    /// Its link is up.
    pub link: bool,
    /// It is connected to the wire.
    pub uplink: bool,
    /// It sends from its own address alone.
    pub anti_spoof: bool,
    /// It may send frames with a VLAN tag.
    pub trusted: bool,
    /// It gets all frames of its tenant.
    pub promiscuous: bool,
}

/// What was counted at a port, or at the wire, since the card was reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Frames that it sent (the wire: that went out).
    pub tx_frames: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Frames that it was given (the wire: that came in).
    pub rx_frames: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames that were dropped, by the reasons of [`regs::drop::NAMES`].
    pub drops: [u32; regs::drop::NAMES.len()],
}

impl Counters {
    /// All frames that were dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.drops.iter().copied().map(u64::from).sum()
    }
}

impl Manager {
    /// Connects a net function, in place of what it was connected to. It is so on return: what it was before is over.
    pub fn connect(&self, role: Role, port: Port) -> Result<()> {
        let at = self.net_slot(role)?;
        for (what, value, most) in [
            ("a VNI of", u64::from(port.vni), regs::PORT_VNI.max()),
            // 4095 is reserved (802.1Q 9.6).
            ("a VLAN of", port.vlan.into(), regs::PORT_VLAN_ID.max() - 1),
            ("a priority of", port.priority.into(), regs::PORT_VLAN_PRIORITY.max()),
            ("an MTU of", port.mtu.into(), net::MAX_MTU),
        ] {
            if value > most {
                return Err(Error::BadLimit { what, value, most });
            }
        }
        if u64::from(port.mtu) < net::MIN_MTU {
            return Err(Error::BadMtu { mtu: port.mtu });
        }
        if port.mac.0[0] & 1 == 1 || port.mac == Mac::default() {
            return Err(Error::BadAddress { mac: port.mac });
        }
        self.settle_ports()?;
        let [a, b, c, d, e, f] = port.mac.0;
        let tag = regs::PORT_VLAN_ID.put(port.vlan.into()) | regs::PORT_VLAN_PRIORITY.put(port.priority.into());
        for (offset, value) in [
            (regs::PORT_MAC_LO, u32::from_le_bytes([a, b, c, d])),
            (regs::PORT_MAC_HI, u16::from_le_bytes([e, f]).into()),
            (regs::PORT_TENANT, port.vni),
            (regs::PORT_VLAN, tag as u32),
            (regs::PORT_MTU, port.mtu.into()),
        ] {
            self.registers.write32(at + offset, value)?;
        }
        let flag = |field: Field, on: bool| field.put(on.into());
        let ctrl = flag(regs::PORT_ENABLED, true)
            | flag(regs::PORT_LINK, port.link)
            | flag(regs::PORT_ANTI_SPOOF, port.anti_spoof)
            | flag(regs::PORT_TRUSTED, port.trusted)
            | flag(regs::PORT_PROMISCUOUS, port.promiscuous)
            | flag(regs::PORT_UPLINK, port.uplink);
        self.commit(role, at, ctrl as u32, Some(port))
    }

    /// Takes a net function's port away: its link goes down, and it neither sends nor receives.
    pub fn disconnect(&self, role: Role) -> Result<()> {
        let at = self.net_slot(role)?;
        self.settle_ports()?;
        self.commit(role, at, 0, None)
    }

    /// What a net function is connected to.
    pub fn port(&self, role: Role) -> Result<Option<Port>> {
        let at = self.net_slot(role)?;
        let read = |offset| self.registers.read32(at + offset).map(u64::from);
        let ctrl = read(regs::PORT_CTRL)?;
        if !regs::PORT_ENABLED.is_set(ctrl) {
            return Ok(None);
        }
        let low = (read(regs::PORT_MAC_LO)? as u32).to_le_bytes();
        let high = (regs::PORT_MAC_HIGH.of(read(regs::PORT_MAC_HI)?) as u16).to_le_bytes();
        let tag = read(regs::PORT_VLAN)?;
        Ok(Some(Port {
            mac: Mac([low[0], low[1], low[2], low[3], high[0], high[1]]),
            vni: regs::PORT_VNI.of(read(regs::PORT_TENANT)?) as u32,
            vlan: regs::PORT_VLAN_ID.of(tag) as u16,
            priority: regs::PORT_VLAN_PRIORITY.of(tag) as u8,
            mtu: match regs::PORT_MTU_BYTES.of(read(regs::PORT_MTU)?) {
                0 => regs::DEFAULT_MTU as u16,
                mtu => mtu as u16,
            },
            link: regs::PORT_LINK.is_set(ctrl),
            uplink: regs::PORT_UPLINK.is_set(ctrl),
            anti_spoof: regs::PORT_ANTI_SPOOF.is_set(ctrl),
            trusted: regs::PORT_TRUSTED.is_set(ctrl),
            promiscuous: regs::PORT_PROMISCUOUS.is_set(ctrl),
        }))
    }

    /// Every port that is connected.
    pub fn ports(&self) -> Result<Vec<(Role, Port)>> {
        let mut found = Vec::new();
        for role in self.roles() {
            if let Some(port) = self.port(role)? {
                found.push((role, port));
            }
        }
        Ok(found)
    }

    /// What was counted at a net function's port.
    pub fn port_counters(&self, role: Role) -> Result<Counters> {
        self.net_slot(role)?;
        self.counters_of(role.slot())
    }

    /// What was counted at the wire.
    pub fn wire_counters(&self) -> Result<Counters> {
        self.counters_of(regs::WIRE)
    }

    fn counters_of(&self, slot: u64) -> Result<Counters> {
        let base = regs::counters(slot);
        let mut drops = [0; regs::drop::NAMES.len()];
        for (n, at) in drops.iter_mut().zip((base + regs::COUNTER_DROPS..).step_by(4)) {
            *n = self.registers.read32(at)?;
        }
        Ok(Counters {
            tx_frames: self.wide(base + regs::COUNTER_TX_FRAMES)?,
            tx_bytes: self.wide(base + regs::COUNTER_TX_BYTES)?,
            rx_frames: self.wide(base + regs::COUNTER_RX_FRAMES)?,
            rx_bytes: self.wide(base + regs::COUNTER_RX_BYTES)?,
            drops,
        })
    }

    /// A counter of 64 bits, which goes on meanwhile.
    fn wide(&self, at: u64) -> Result<u64> {
        let mut high = self.registers.read32(at + 4)?;
        // Its high half changes once in 2^32 events: the second look is the last one, whatever a card answers.
        for _ in 0..2 {
            let low = self.registers.read32(at)?;
            let again = self.registers.read32(at + 4)?;
            if again == high {
                return Ok(u64::from(high) << 32 | u64::from(low));
            }
            high = again;
        }
        Ok(u64::from(high) << 32)
    }

    /// Waits until the last change of a port is effective, for a bounded time.
    fn settle_ports(&self) -> Result<()> {
        let busy = || Ok(regs::PORT_BUSY.is_set(self.registers.read32(regs::port(0) + regs::PORT_CTRL)?.into()));
        self.wait_while(busy, || Error::PortsBusy { function: self.name.clone(), waited: self.patience })
    }

    fn commit(&self, role: Role, at: u64, ctrl: u32, wanted: Option<Port>) -> Result<()> {
        self.registers.write32(at + regs::PORT_CTRL, ctrl)?;
        self.settle_ports()?;
        if self.port(role)? == wanted {
            return Ok(());
        }
        Err(Error::PortNotTaken { function: self.name.clone(), port: named("net", role) })
    }

    fn net_slot(&self, role: Role) -> Result<u64> {
        match role {
            Role::Vf(index) if index >= self.vfs => Err(Error::NoNetVf { index, count: self.vfs }),
            role => Ok(regs::port(role.slot())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use azote_seam::Function;
    use azote_seam::mock::{Mock, Plain};

    use super::*;

    fn card() -> (Arc<Mock<Plain>>, Manager) {
        let f = Mock::new("trust", Plain::default());
        let bar = f.bar(2).unwrap();
        bar.write32(regs::MAGIC, regs::MAGIC_VALUE as u32).unwrap();
        bar.write32(regs::VERSION, regs::VERSION_VALUE as u32).unwrap();
        bar.write32(regs::VFS, 4).unwrap();
        let m = Manager::open(&*f).unwrap();
        (f, m)
    }

    const PORT: Port = Port {
        mac: Mac([2, 0x11, 0x22, 0x33, 0x44, 0x55]),
        vni: 0xab_cdef,
        vlan: 100,
        priority: 5,
        mtu: 9000,
        link: true,
        uplink: true,
        anti_spoof: true,
        trusted: false,
        promiscuous: false,
    };

    #[test]
    fn a_port_is_connected_listed_and_disconnected() {
        let (f, m) = card();
        m.connect(Role::Vf(1), PORT).unwrap();
        assert_eq!(m.port(Role::Vf(1)).unwrap(), Some(PORT));
        assert_eq!(m.ports().unwrap(), [(Role::Vf(1), PORT)]);
        // Slot 2, field by field, as the register page has it.
        let word = |at: u64| f.bar(2).unwrap().read32(0x2080 + at).unwrap();
        assert_eq!([0, 4, 8, 12, 16, 20].map(word), [0x27, 0x3322_1102, 0x5544, 0xab_cdef, 0xa064, 9000]);
        let other = Port { link: false, uplink: false, anti_spoof: false, trusted: true, promiscuous: true, ..PORT };
        m.connect(Role::Vf(1), other).unwrap();
        assert_eq!((m.port(Role::Vf(1)).unwrap(), word(0)), (Some(other), 0x19));
        m.disconnect(Role::Vf(1)).unwrap();
        assert_eq!(m.ports().unwrap(), []);
        assert_eq!(PORT.mac.to_string(), "02:11:22:33:44:55");
    }

    #[test]
    fn ports_that_can_not_be_are_refused() {
        let (_, m) = card();
        let refused = |port| m.connect(Role::Pf, port).unwrap_err().to_string();
        assert_eq!(refused(Port { vni: 1 << 24, ..PORT }), "a VNI of 16777216: at most 16777215");
        assert_eq!(refused(Port { vlan: 4095, ..PORT }), "a VLAN of 4095: at most 4094");
        assert_eq!(refused(Port { priority: 8, ..PORT }), "a priority of 8: at most 7");
        assert_eq!(refused(Port { mtu: 9001, ..PORT }), "an MTU of 9001: at most 9000");
        assert_eq!(refused(Port { mtu: 67, ..PORT }), "an MTU of 67: at least 68");
        let mac = Mac([1, 0, 0, 0, 0, 0]);
        assert_eq!(refused(Port { mac, ..PORT }), "01:00:00:00:00:00 is no address of a single function");
        assert!(refused(Port { mac: Mac::default(), ..PORT }).starts_with("00:00"));
        let e = m.connect(Role::Vf(4), PORT).unwrap_err();
        assert_eq!(e.to_string(), "no net VF 4; the card has 4 (0 to 3)");
        assert_eq!(m.ports().unwrap(), []);
    }

    #[test]
    fn counters_are_read_where_they_stand() {
        let (f, m) = card();
        for i in 0..32 {
            f.bar(2).unwrap().write32(0x4100 + 4 * i, 100 + i as u32).unwrap();
        }
        let c = m.port_counters(Role::Vf(1)).unwrap();
        assert_eq!([c.tx_frames, c.rx_frames], [101 << 32 | 100, 103 << 32 | 102]);
        assert_eq!([c.tx_bytes, c.rx_bytes], [117 << 32 | 116, 119 << 32 | 118]);
        assert_eq!(c.drops, [104, 105, 106, 107, 108, 109, 110, 111, 112, 113]);
        assert_eq!(c.dropped(), 1085);
        assert_eq!(m.wire_counters().unwrap(), Counters::default());
        f.bar(2).unwrap().write32(0x4000 + 63 * 128, 7).unwrap();
        assert_eq!(m.wire_counters().unwrap().tx_frames, 7);
        assert!(m.port_counters(Role::Vf(4)).is_err());
    }

    /// A card that is busy for so many looks, takes nothing, and whose counters overflow between two looks.
    struct Odd {
        looks: AtomicU32,
        high: AtomicU32,
    }

    impl azote_seam::Mmio for Odd {
        fn size(&self) -> u64 {
            azote_regs::bar::BAR2_SIZE
        }
        fn read32(&self, at: u64) -> azote_seam::Result<u32> {
            if at == regs::port(0) {
                let one_less = |n: u32| n.checked_sub(1);
                let busy = self.looks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok();
                return Ok(regs::PORT_BUSY.put(busy.into()) as u32);
            }
            Ok(match at - regs::COUNTERS {
                0 => {
                    self.high.store(1, Ordering::SeqCst);
                    3
                }
                4 => self.high.load(Ordering::SeqCst),
                _ => 0,
            })
        }
        fn write32(&self, _: u64, _: u32) -> azote_seam::Result<()> {
            Ok(())
        }
        fn read64(&self, _: u64) -> azote_seam::Result<u64> {
            Ok(0)
        }
        fn write64(&self, _: u64, _: u64) -> azote_seam::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_change_is_waited_for_and_not_for_ever_and_must_be_there_afterwards() {
        let odd = |looks, patience| Manager {
            name: "trust".into(),
            registers: Arc::new(Odd { looks: AtomicU32::new(looks), high: AtomicU32::new(0) }),
            vfs: 4,
            patience,
        };
        let e = odd(u32::MAX, Duration::from_millis(3)).connect(Role::Pf, PORT).unwrap_err();
        assert_eq!(e.to_string(), "trust: in 3ms the last change of a port did not become effective");
        let e = odd(20, Duration::from_secs(60)).connect(Role::Pf, PORT).unwrap_err();
        assert_eq!(e.to_string(), "trust: the card did not take the port of the net PF; are its tables locked?");
        let c = odd(0, Duration::ZERO).port_counters(Role::Pf).unwrap();
        assert_eq!(c.tx_frames, 1 << 32 | 3, "of the same moment");
    }
}
