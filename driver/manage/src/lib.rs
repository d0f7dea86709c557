//! Card management: the driver of the trust PF's BAR2.
//!
//! From here, and from nowhere else, a storage function is given its volume: a range of blocks behind the media port, for
//! reading only or for both; and a net function its port of the switch. What the card was told is read back, since a binding that is not what the host believes
//! gives a guest somebody else's blocks.

#![forbid(unsafe_code)]

mod port;

pub use port::{Counters, Mac, Port};

use std::sync::Arc;
use std::time::{Duration, Instant};

use azote_regs::{Field, bar, clock, function, function::Role, manage as regs, pcie::header};
use azote_seam::{Function, Mmio, set_command};

/// The result of a management operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A management operation that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The seam below.
    #[error(transparent)]
    Seam(#[from] azote_seam::Error),
    /// The BAR is not a management BAR.
    #[error("{function}: BAR2 begins with {found:#010x}, not with the management magic; is this the trust PF?")]
    NotManagement {
        /// The function's name.
        function: String,
        /// What was read.
        found: u32,
    },
    /// The card's management is of another generation.
    #[error("{function}: management version {major}.{minor}; this driver knows major version 1")]
    Version {
        /// The function's name.
        function: String,
        /// The card's major version.
        major: u16,
        /// The card's minor version.
        minor: u16,
    },
    /// The card has no such function.
    #[error("no storage VF {index}; the card has {count} (0 to {})", .count.saturating_sub(1))]
    NoVf {
        /// The VF asked for.
        index: u8,
        /// The number of VFs.
        count: u8,
    },
    /// A limit that the card's registers cannot hold.
    #[error("{what} {value}: at most {most}")]
    BadLimit {
        /// Which one.
        what: &'static str,
        /// What was asked for.
        value: u64,
        /// The largest.
        most: u64,
    },
    /// A time-out that the card's registers cannot hold.
    #[error("a time-out of {asked:?} for {slot}: the card counts {:?} at most", Manager::TIMEOUT_MAX)]
    BadTimeout {
        /// Whose.
        slot: String,
        /// What was asked for.
        asked: Duration,
    },
    /// Commands that were begun under the binding before are under way.
    #[error(
        "{function}: {slot} still has commands under way that were begun with another volume, and in {waited:?} they did not \
         end; reset its controller (CC.EN, or FLR) and do this again; a time-out ends such commands by itself"
    )]
    Busy {
        /// The function's name.
        function: String,
        /// Whose.
        slot: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A volume that can not be.
    #[error("volume {volume}: {blocks} blocks from block {base} is not a range of blocks")]
    BadRange {
        /// The volume's number.
        volume: u8,
        /// Its first block.
        base: u64,
        /// Its length.
        blocks: u64,
    },
    /// The card holds something other than what it was told.
    #[error("{function}: the card did not take the binding of {slot}; are its tables locked?")]
    NotTaken {
        /// The function's name.
        function: String,
        /// Whose binding.
        slot: String,
    },
    /// The card has no such net function.
    #[error("no net VF {index}; the card has {count} (0 to {})", .count.saturating_sub(1))]
    NoNetVf {
        /// The VF asked for.
        index: u8,
        /// The number of VFs.
        count: u8,
    },
    /// An MTU that is too small.
    #[error("an MTU of {mtu}: at least {}", azote_regs::virtio::net::MIN_MTU)]
    BadMtu {
        /// What was asked for.
        mtu: u16,
    },
    /// An address that is nobody's or everybody's.
    #[error("{mac} is no address of a single function")]
    BadAddress {
        /// What was asked for.
        mac: Mac,
    },
    /// The switch does not end the last change.
    #[error("{function}: in {waited:?} the last change of a port did not become effective")]
    PortsBusy {
        /// The function's name.
        function: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The card holds another port than what it was told.
    #[error("{function}: the card did not take the port of {port}; are its tables locked?")]
    PortNotTaken {
        /// The function's name.
        function: String,
        /// Whose port.
        port: String,
    },
}

/// A range of blocks behind the media port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// The volume's number at the media port.
    pub id: u8,
    /// Its first block, of 512 bytes.
    pub base: u64,
    /// Its length in blocks.
    pub blocks: u64,
    /// Writes are refused.
    pub read_only: bool,
    /// Its namespace has blocks of 4 KiB: at first, or, read back, since the guest formatted it so.
    pub large_blocks: bool,
}

/// How fast a storage function may go, and its share when all want more than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Commands that it may begin in 2^24 clocks of the card ([`regs::RATE_CLOCKS`]); 0 is no limit.
    pub commands: u32,
    /// Blocks of 512 bytes that it may move in as many; 0 is no limit.
    pub blocks: u32,
    /// Commands of each of its turns; 0 counts as 1.
    pub weight: u8,
}

impl Limits {
    /// The largest rate.
    pub const RATE_MAX: u64 = regs::RATE.max();
    /// The largest weight.
    pub const WEIGHT_MAX: u64 = regs::VOLUME_WEIGHT.max();

    /// So many a second, as a rate of a card that runs at [`clock::HZ`]: never more than was asked for, so that the
    /// least that there is are five.
    #[must_use]
    pub fn rate(per_second: u64) -> u64 {
        // Fewer clocks than a second has: it fits.
        (u128::from(per_second) * u128::from(regs::RATE_CLOCKS) / u128::from(clock::HZ)) as u64
    }

    /// A rate as so many a second of the same card, to the nearest.
    #[must_use]
    pub fn per_second(rate: u32) -> u64 {
        (u64::from(rate) * clock::HZ + regs::RATE_CLOCKS / 2) / regs::RATE_CLOCKS
    }
}

/// The management of a card.
pub struct Manager {
    name: String,
    registers: Arc<dyn Mmio>,
    vfs: u8,
    patience: Duration,
}

impl Manager {
    /// The longest time-out.
    pub const TIMEOUT_MAX: Duration = Duration::from_millis(regs::VOLUME_TIMEOUT.max() * regs::TIMEOUT_UNIT);
    /// How long commands of a binding that is over are waited for, unless told otherwise.
    pub const PATIENCE: Duration = Duration::from_secs(10);
    /// From one look at what is under way to the next. A look is time for a simulated card as well.
    const LOOK: Duration = Duration::from_micros(50);

    /// Takes the trust PF.
    pub fn open(function: &dyn Function) -> Result<Self> {
        let name = function.name().to_owned();
        set_command(function, header::COMMAND_MSE.mask(), 0)?;
        let registers = function.bar(bar::BAR2 as usize)?;
        let found = registers.read32(regs::MAGIC)?;
        if u64::from(found) != regs::MAGIC_VALUE {
            return Err(Error::NotManagement { function: name, found });
        }
        let version = u64::from(registers.read32(regs::VERSION)?);
        let (major, minor) = (regs::VERSION_MAJOR.of(version), regs::VERSION_MINOR.of(version));
        if major != regs::VERSION_MAJOR.of(regs::VERSION_VALUE) {
            return Err(Error::Version { function: name, major: major as u16, minor: minor as u16 });
        }
        let vfs = u64::from(registers.read32(regs::VFS)?).min(function::MAX_VFS) as u8;
        Ok(Self { name, registers, vfs, patience: Self::PATIENCE })
    }

    /// The same, with another bound for the wait for what is under way.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The number of VFs of each kind that the card was built with.
    #[must_use]
    pub fn vfs(&self) -> u8 {
        self.vfs
    }

    /// Gives a storage function its volume, in place of what it had. If commands that were begun with the volume before that one
    /// are still under way, they are waited for: the card remembers two bindings and no more.
    ///
    /// What is under way at the present volume goes on there; [`Self::settle`] waits for its end.
    pub fn bind(&self, role: Role, volume: Volume) -> Result<()> {
        let at = self.slot(role)?;
        if volume.blocks == 0 || volume.base.checked_add(volume.blocks).is_none() {
            return Err(Error::BadRange { volume: volume.id, base: volume.base, blocks: volume.blocks });
        }
        // What is read back is what was written last, so nothing is before it can be taken.
        self.settle(role)?;
        // Nothing is committed before CTRL is written, so the function never shows half of a binding.
        let (base, blocks) = (volume.base, volume.blocks);
        self.set(at + regs::BINDING_VOLUME, regs::VOLUME_ID, volume.id.into())?;
        for (offset, value) in [
            (regs::BINDING_BASE_LO, base as u32),
            (regs::BINDING_BASE_HI, (base >> 32) as u32),
            (regs::BINDING_LENGTH_LO, blocks as u32),
            (regs::BINDING_LENGTH_HI, (blocks >> 32) as u32),
        ] {
            self.registers.write32(at + offset, value)?;
        }
        let ctrl = regs::CTRL_VALID.put(1)
            | regs::CTRL_READ_ONLY.put(volume.read_only.into())
            | regs::CTRL_BIG.put(volume.large_blocks.into());
        self.registers.write32(at + regs::BINDING_CTRL, ctrl as u32)?;
        self.verify(role, Some(volume))
    }

    /// Takes a storage function's volume away. Nothing happens if it has none. Commands may still be under way at it afterwards:
    /// before it is given to somebody else, [`Self::settle`].
    pub fn unbind(&self, role: Role) -> Result<()> {
        let at = self.slot(role)?;
        self.settle(role)?;
        self.registers.write32(at + regs::BINDING_CTRL, 0)?;
        self.verify(role, None)
    }

    /// Whether a command is under way that was begun before the last [`Self::bind`] or [`Self::unbind`].
    pub fn is_busy(&self, role: Role) -> Result<bool> {
        Ok(regs::CTRL_BUSY.is_set(self.registers.read32(self.slot(role)? + regs::BINDING_CTRL)?.into()))
    }

    /// Waits until none is, for a bounded time.
    pub fn settle(&self, role: Role) -> Result<()> {
        let late = || Error::Busy { function: self.name.clone(), slot: named("storage", role), waited: self.patience };
        self.wait_while(|| self.is_busy(role), late)
    }

    /// Looks as long as something is under way, for a bounded time.
    fn wait_while(&self, busy: impl Fn() -> Result<bool>, late: impl FnOnce() -> Error) -> Result<()> {
        let start = Instant::now();
        while busy()? {
            if start.elapsed() >= self.patience {
                return Err(late());
            }
            std::thread::sleep(Self::LOOK);
        }
        Ok(())
    }

    /// How long a request of a storage function may wait for its volume before the card gives it up and fails the command; zero
    /// is for ever. It counts from the next [`Self::bind`] on, whatever volume that gives, in the card's own time
    /// ([`clock::HZ`]), and in units of 16 ms, of which the next higher number is taken, less the part of a millisecond in which a request begins.
    pub fn set_timeout(&self, role: Role, timeout: Duration) -> Result<()> {
        let at = self.slot(role)? + regs::BINDING_VOLUME;
        let units = timeout.as_micros().div_ceil(1000 * u128::from(regs::TIMEOUT_UNIT));
        let bad = || Error::BadTimeout { slot: named("storage", role), asked: timeout };
        let units = u64::try_from(units).ok().filter(|n| *n <= regs::VOLUME_TIMEOUT.max());
        let units = units.ok_or_else(bad)?;
        self.set(at, regs::VOLUME_TIMEOUT, units)?;
        let held = regs::VOLUME_TIMEOUT.of(self.registers.read32(at)?.into());
        if held == units { Ok(()) } else { Err(self.not_taken(role)) }
    }

    /// The same, read back: what was asked for, or up to 16 ms more.
    pub fn timeout(&self, role: Role) -> Result<Duration> {
        let word = self.registers.read32(self.slot(role)? + regs::BINDING_VOLUME)?;
        Ok(Duration::from_millis(regs::VOLUME_TIMEOUT.of(word.into()) * regs::TIMEOUT_UNIT))
    }

    /// The volume of a storage function.
    pub fn binding(&self, role: Role) -> Result<Option<Volume>> {
        let at = self.slot(role)?;
        let read = |offset| self.registers.read32(at + offset).map(u64::from);
        let ctrl = read(regs::BINDING_CTRL)?;
        if !regs::CTRL_VALID.is_set(ctrl) {
            return Ok(None);
        }
        Ok(Some(Volume {
            id: regs::VOLUME_ID.of(read(regs::BINDING_VOLUME)?) as u8,
            base: read(regs::BINDING_BASE_LO)? | read(regs::BINDING_BASE_HI)? << 32,
            blocks: read(regs::BINDING_LENGTH_LO)? | read(regs::BINDING_LENGTH_HI)? << 32,
            read_only: regs::CTRL_READ_ONLY.is_set(ctrl),
            large_blocks: regs::CTRL_BIG.is_set(ctrl),
        }))
    }

    /// Limits a storage function, whatever volume it has and will have; counts from now on, all of it at once.
    pub fn limit(&self, role: Role, limits: Limits) -> Result<()> {
        let at = self.slot(role)?;
        for (what, value, most) in [
            ("a limit of commands of", limits.commands.into(), Limits::RATE_MAX),
            ("a limit of blocks of", limits.blocks.into(), Limits::RATE_MAX),
            ("a weight of", u64::from(limits.weight), Limits::WEIGHT_MAX),
        ] {
            if value > most {
                return Err(Error::BadLimit { what, value, most });
            }
        }
        self.set(at + regs::BINDING_VOLUME, regs::VOLUME_WEIGHT, limits.weight.into())?;
        self.registers.write32(at + regs::BINDING_COMMANDS, limits.commands)?;
        self.registers.write32(at + regs::BINDING_BLOCKS, limits.blocks)?;
        if self.limits(role)? == limits {
            return Ok(());
        }
        Err(self.not_taken(role))
    }

    /// The limits of a storage function.
    pub fn limits(&self, role: Role) -> Result<Limits> {
        let at = self.slot(role)?;
        let word = u64::from(self.registers.read32(at + regs::BINDING_VOLUME)?);
        Ok(Limits {
            commands: self.registers.read32(at + regs::BINDING_COMMANDS)?,
            blocks: self.registers.read32(at + regs::BINDING_BLOCKS)?,
            weight: regs::VOLUME_WEIGHT.of(word) as u8,
        })
    }

    /// Every binding of the card.
    pub fn bindings(&self) -> Result<Vec<(Role, Volume)>> {
        let mut found = Vec::new();
        for role in self.roles() {
            if let Some(volume) = self.binding(role)? {
                found.push((role, volume));
            }
        }
        Ok(found)
    }

    fn roles(&self) -> impl Iterator<Item = Role> {
        std::iter::once(Role::Pf).chain((0..self.vfs).map(Role::Vf))
    }

    /// Changes one field of a register, and leaves the others as they are.
    fn set(&self, at: u64, field: Field, value: u64) -> Result<()> {
        let word = self.registers.read32(at)?;
        Ok(self.registers.write32(at, field.set(word.into(), value) as u32)?)
    }

    fn verify(&self, role: Role, wanted: Option<Volume>) -> Result<()> {
        if self.binding(role)? == wanted {
            return Ok(());
        }
        Err(self.not_taken(role))
    }

    fn not_taken(&self, role: Role) -> Error {
        Error::NotTaken { function: self.name.clone(), slot: named("storage", role) }
    }

    fn slot(&self, role: Role) -> Result<u64> {
        match role {
            Role::Vf(index) if index >= self.vfs => Err(Error::NoVf { index, count: self.vfs }),
            role => Ok(regs::binding(role.slot())),
        }
    }
}

/// A function of a kind as messages name it.
fn named(kind: &str, role: Role) -> String {
    match role {
        Role::Pf => format!("the {kind} PF"),
        Role::Vf(i) => format!("{kind} VF {i}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use azote_seam::mock::{Mock, Plain};
    use std::sync::atomic::{AtomicU32, Ordering};

    fn card(vfs: u32) -> (Arc<Mock<Plain>>, Manager) {
        let f = Mock::new("trust", Plain::default());
        let bar = f.bar(2).unwrap();
        bar.write32(regs::MAGIC, regs::MAGIC_VALUE as u32).unwrap();
        bar.write32(regs::VERSION, regs::VERSION_VALUE as u32).unwrap();
        bar.write32(regs::VFS, vfs).unwrap();
        let m = Manager::open(&*f).unwrap();
        (f, m)
    }

    const VOLUME: Volume =
        Volume { id: 3, base: 0x1_0000_0008, blocks: 0x2_0000_0001, read_only: true, large_blocks: false };

    #[test]
    fn a_volume_is_bound_listed_and_unbound() {
        let (f, m) = card(4);
        m.bind(Role::Vf(1), VOLUME).unwrap();
        assert_eq!(m.binding(Role::Vf(1)).unwrap(), Some(VOLUME));
        assert_eq!(m.bindings().unwrap(), [(Role::Vf(1), VOLUME)]);
        // Slot 2, field by field, as the register page has it.
        let word = |at: u64| f.bar(2).unwrap().read32(0x1040 + at).unwrap();
        assert_eq!([0, 4, 8, 12, 16, 20].map(word), [3, 3, 8, 1, 1, 2]);
        m.unbind(Role::Vf(1)).unwrap();
        assert_eq!(m.bindings().unwrap(), []);
        m.bind(Role::Pf, VOLUME).unwrap();
        assert_eq!(f.bar(2).unwrap().read32(0x1000).unwrap(), 3);
    }

    #[test]
    fn limits_stand_beside_the_binding_and_survive_another() {
        let (f, m) = card(4);
        let limits = Limits { commands: 1000, blocks: 0xff_ffff, weight: 15 };
        m.bind(Role::Vf(1), VOLUME).unwrap();
        m.limit(Role::Vf(1), limits).unwrap();
        assert_eq!(m.binding(Role::Vf(1)).unwrap(), Some(VOLUME));
        m.bind(Role::Vf(1), Volume { id: 9, ..VOLUME }).unwrap();
        assert_eq!(m.limits(Role::Vf(1)).unwrap(), limits);
        let word = |at: u64| f.bar(2).unwrap().read32(0x1040 + at).unwrap();
        assert_eq!([4, 24, 28].map(word), [0xf_0009, 1000, 0xff_ffff]);
        assert_eq!(m.limits(Role::Vf(2)).unwrap(), Limits::default());
    }

    #[test]
    fn limits_that_the_card_cannot_hold_are_refused() {
        let (_, m) = card(4);
        let e = m.limit(Role::Pf, Limits { commands: 1 << 24, ..Limits::default() }).unwrap_err();
        assert_eq!(e.to_string(), "a limit of commands of 16777216: at most 16777215");
        let e = m.limit(Role::Pf, Limits { weight: 16, ..Limits::default() }).unwrap_err();
        assert_eq!(e.to_string(), "a weight of 16: at most 15");
    }

    #[test]
    fn rates_are_said_in_seconds_of_a_card_at_80_mhz() {
        assert_eq!(
            [0, 4, 5, 5000, 80_000_000, u64::MAX].map(Limits::rate),
            [0, 0, 1, 1048, 1 << 24, 3_868_562_622_766_813_358]
        );
        assert_eq!([1, 1000, 0xff_ffff].map(Limits::per_second), [5, 4768, 79_999_995]);
    }

    #[test]
    fn an_unknown_vf_is_named() {
        let (_, m) = card(4);
        let e = m.bind(Role::Vf(4), VOLUME).unwrap_err();
        assert_eq!(e.to_string(), "no storage VF 4; the card has 4 (0 to 3)");
    }

    #[test]
    fn ranges_that_can_not_be_are_refused() {
        let (_, m) = card(4);
        for bad in [Volume { blocks: 0, ..VOLUME }, Volume { base: u64::MAX, ..VOLUME }] {
            assert!(matches!(m.bind(Role::Pf, bad), Err(Error::BadRange { .. })));
        }
        assert_eq!(m.bindings().unwrap(), []);
    }

    #[test]
    fn something_else_than_the_management_bar_is_refused() {
        let f = Mock::new("other", Plain::default());
        assert!(matches!(Manager::open(&*f), Err(Error::NotManagement { .. })));
        let bar = f.bar(2).unwrap();
        bar.write32(regs::MAGIC, regs::MAGIC_VALUE as u32).unwrap();
        bar.write32(regs::VERSION, 2 << 16).unwrap();
        assert!(matches!(Manager::open(&*f), Err(Error::Version { major: 2, .. })));
    }

    #[test]
    fn a_binding_that_was_not_taken_is_an_error() {
        /// A card whose tables are locked: writes are dropped.
        struct Locked;
        impl Mmio for Locked {
            fn size(&self) -> u64 {
                bar::BAR2_SIZE
            }
            fn read32(&self, _: u64) -> azote_seam::Result<u32> {
                Ok(0)
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
        let m = Manager { name: "trust".into(), registers: Arc::new(Locked), vfs: 4, patience: Duration::ZERO };
        assert!(matches!(m.bind(Role::Vf(0), VOLUME), Err(Error::NotTaken { .. })));
    }
    #[test]
    fn a_time_out_stands_beside_the_binding_and_is_never_shorter_than_asked() {
        let (f, m) = card(4);
        let role = Role::Vf(1);
        assert_eq!(m.timeout(role).unwrap(), Duration::ZERO);
        for (asked, units) in [(1u64, 1), (16_000, 1), (16_001, 2), (500_000, 32), (65_520_000, 4095), (0, 0)] {
            m.set_timeout(role, Duration::from_micros(asked)).unwrap();
            assert_eq!(m.timeout(role).unwrap(), Duration::from_millis(16 * units));
            assert_eq!(f.bar(2).unwrap().read32(0x1044).unwrap() >> 20, units as u32);
        }
        m.set_timeout(role, Duration::from_millis(32)).unwrap();
        m.limit(role, Limits { weight: 5, ..Limits::default() }).unwrap();
        m.bind(role, VOLUME).unwrap();
        assert_eq!(f.bar(2).unwrap().read32(0x1044).unwrap(), 0x25_0003);
        assert_eq!(
            (m.timeout(role).unwrap(), m.timeout(Role::Vf(0)).unwrap()),
            (Duration::from_millis(32), Duration::ZERO)
        );
        let e = m.set_timeout(role, Duration::from_micros(65_520_001)).unwrap_err();
        assert_eq!(e.to_string(), "a time-out of 65.520001s for storage VF 1: the card counts 65.52s at most");
        assert!(m.set_timeout(role, Duration::MAX).is_err() && m.set_timeout(Role::Vf(4), Duration::ZERO).is_err());
        assert_eq!(m.timeout(role).unwrap(), Duration::from_millis(32));
    }

    /// A card on which something is under way at the first slots: CTRL says so for so many looks, and drops what is written.
    struct Busy {
        looks: AtomicU32,
        ctrl: AtomicU32,
        refused: AtomicU32,
    }

    impl Mmio for Busy {
        fn size(&self) -> u64 {
            bar::BAR2_SIZE
        }
        fn read32(&self, at: u64) -> azote_seam::Result<u32> {
            if at != regs::binding(0) {
                return Ok(if at == regs::binding(0) + regs::BINDING_LENGTH_LO { 8 } else { 0 });
            }
            let one_less = |n: u32| n.checked_sub(1);
            let busy = self.looks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok();
            Ok(self.ctrl.load(Ordering::SeqCst) | regs::CTRL_BUSY.put(busy.into()) as u32)
        }
        fn write32(&self, at: u64, value: u32) -> azote_seam::Result<()> {
            if at == regs::binding(0) {
                let (busy, place) = (self.looks.load(Ordering::SeqCst) > 0, &self.ctrl);
                if busy {
                    self.refused.fetch_add(1, Ordering::SeqCst)
                } else {
                    place.swap(value, Ordering::SeqCst)
                };
            }
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
    fn what_is_under_way_is_waited_for_and_not_for_ever() {
        let volume = Volume { id: 0, base: 0, blocks: 8, read_only: false, large_blocks: false };
        let busy = |looks, patience| {
            let (looks, ctrl, refused) = (AtomicU32::new(looks), AtomicU32::new(0), AtomicU32::new(0));
            let card = Arc::new(Busy { looks, ctrl, refused });
            let m = Manager { name: "trust".into(), registers: card.clone(), vfs: 4, patience };
            (card, m)
        };
        let (card, m) = busy(30, Duration::from_secs(60));
        assert!(m.is_busy(Role::Pf).unwrap());
        m.bind(Role::Pf, volume).unwrap();
        assert_eq!(m.binding(Role::Pf).unwrap(), Some(volume));
        // Busy with what was begun before that bind.
        card.looks.store(20, Ordering::SeqCst);
        assert_eq!(m.binding(Role::Pf).unwrap(), Some(volume), "that is no other binding");
        m.unbind(Role::Pf).unwrap();
        assert_eq!((m.binding(Role::Pf).unwrap(), card.refused.load(Ordering::SeqCst)), (None, 0));

        let (card, m) = busy(u32::MAX, Duration::from_millis(3));
        for e in [m.bind(Role::Pf, volume), m.unbind(Role::Pf), m.settle(Role::Pf)] {
            assert_eq!(
                e.unwrap_err().to_string(),
                "trust: the storage PF still has commands under way that were begun with another volume, and in 3ms they did \
                 not end; reset its controller (CC.EN, or FLR) and do this again; a time-out ends such commands by itself"
            );
        }
        assert_eq!(card.refused.load(Ordering::SeqCst), 0, "nothing is written that would be dropped");
        m.settle(Role::Vf(0)).unwrap();
    }
}
