//! Card management: the driver of the trust PF's BAR2.
//!
//! From here, and from nowhere else, a storage function is given its volume: a range of blocks behind the media port, for
//! reading only or for both. What the card was told is read back, since a binding that is not what the host believes
//! gives a guest somebody else's blocks.

#![forbid(unsafe_code)]

use std::sync::Arc;

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
    pub const RATE_MAX: u64 = regs::RATE.of(regs::RATE.mask());
    /// The largest weight.
    pub const WEIGHT_MAX: u64 = regs::VOLUME_WEIGHT.of(regs::VOLUME_WEIGHT.mask());

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
}

impl Manager {
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
        Ok(Self { name, registers, vfs })
    }

    /// The number of VFs of each kind that the card was built with.
    #[must_use]
    pub fn vfs(&self) -> u8 {
        self.vfs
    }

    /// Gives a storage function its volume, in place of what it had.
    pub fn bind(&self, role: Role, volume: Volume) -> Result<()> {
        let at = self.slot(role)?;
        if volume.blocks == 0 || volume.base.checked_add(volume.blocks).is_none() {
            return Err(Error::BadRange { volume: volume.id, base: volume.base, blocks: volume.blocks });
        }
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

    /// Takes a storage function's volume away. Nothing happens if it has none.
    pub fn unbind(&self, role: Role) -> Result<()> {
        self.registers.write32(self.slot(role)? + regs::BINDING_CTRL, 0)?;
        self.verify(role, None)
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
        let roles = std::iter::once(Role::Pf).chain((0..self.vfs).map(Role::Vf));
        let mut found = Vec::new();
        for role in roles {
            if let Some(volume) = self.binding(role)? {
                found.push((role, volume));
            }
        }
        Ok(found)
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
        let slot = match role {
            Role::Pf => "the storage PF".into(),
            Role::Vf(i) => format!("storage VF {i}"),
        };
        Error::NotTaken { function: self.name.clone(), slot }
    }

    fn slot(&self, role: Role) -> Result<u64> {
        match role {
            Role::Vf(index) if index >= self.vfs => Err(Error::NoVf { index, count: self.vfs }),
            role => Ok(regs::binding(role.slot())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use azote_seam::mock::{Mock, Plain};

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
        let m = Manager { name: "trust".into(), registers: Arc::new(Locked), vfs: 4 };
        assert!(matches!(m.bind(Role::Vf(0), VOLUME), Err(Error::NotTaken { .. })));
    }
}
