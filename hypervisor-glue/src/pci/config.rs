//! The configuration space that a guest sees of a passed-through function.
//!
//! Built once from what the device shows, then every byte is one of three: *shown* (what we hold), *writable* (bits of
//! what we hold that the guest may change), or *live* (read from and written to the device). BARs, the command register
//! and MSI-X are ours; PCI Express control and vendor capabilities are live; what would let a guest reach beyond its
//! function, or what its bus has not, is hidden.

use azote_regs::pcie::{CONFIG_SIZE, EXTENDED, bridge, capability, dsn, express, header, msix, power};

use crate::pci::Device;

/// Bytes of configuration space.
const SIZE: usize = CONFIG_SIZE as usize;
/// The most BARs of a function.
pub const BARS: usize = header::BARS as usize;
/// A capability that is the vendor's own.
const VENDOR_SPECIFIC: u64 = 0x09;
/// An extended capability that is the vendor's own.
const EXT_VENDOR_SPECIFIC: u64 = 0x0b;
/// More capabilities than fit, so that a list that loops ends.
const LIST_MAX: usize = 48;
/// The same for the extended list.
const EXT_LIST_MAX: usize = 480;
/// Where registers of a link begin in the PCI Express capability, and end.
const LINK: std::ops::Range<u64> = express::LINK_CAPS..express::LINK_CAPS + 0x10;

/// A BAR as the guest sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// Its size, a power of two.
    pub size: u64,
    /// It takes the next register, too.
    pub wide: bool,
    /// Reads have no side effects.
    pub prefetchable: bool,
}

/// Where the device has its MSI-X table and PBA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MsixPlace {
    /// Vectors.
    pub vectors: u16,
    /// The BAR of the table and the offset in it.
    pub table: (usize, u64),
    /// The BAR of the pending bits and the offset in it.
    pub pba: (usize, u64),
    /// Where the capability is.
    at: usize,
}

/// What a write asks for beyond the bytes that it changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effects {
    /// BARs or Memory Space Enable have changed.
    pub decode: bool,
    /// The command register has changed, to be told to the device.
    pub command: Option<u16>,
    /// MSI-X Enable or Function Mask has changed.
    pub msix: bool,
    /// Function Level Reset.
    pub reset: bool,
    /// The access goes to the device.
    pub live: bool,
}

/// A device that can not be shown to a guest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Its configuration space can not be read.
    #[error("its configuration space can not be read: {0}")]
    Read(String),
    /// Nobody is there.
    #[error("there is no function: its vendor id reads {0:#06x}")]
    Absent(u16),
    /// A bridge or so.
    #[error("its header is of type {0}; only endpoints (type 0) can be given to a guest")]
    Header(u8),
    /// BARs that no decoder can have.
    #[error("its BAR {0} {1}")]
    Bar(usize, &'static str),
    /// An MSI-X capability that contradicts the BARs.
    #[error("its MSI-X {0}")]
    Msix(&'static str),
}

/// The space.
pub struct ConfigSpace {
    shown: Box<[u8]>,
    writable: Box<[u8]>,
    live: Box<[bool]>,
    bars: [Option<Bar>; BARS],
    msix: Option<MsixPlace>,
    express: Option<usize>,
    initial: Box<[u8]>,
}

impl ConfigSpace {
    /// Builds it from what a device shows.
    pub fn new(device: &dyn Device) -> Result<Self, ConfigError> {
        let raw = snapshot(device)?;
        let mut this = Self {
            shown: vec![0; SIZE].into(),
            writable: vec![0; SIZE].into(),
            live: vec![false; SIZE].into(),
            bars: [None; BARS],
            msix: None,
            express: None,
            initial: Box::default(),
        };
        this.header(&raw)?;
        this.find_bars(&raw, device)?;
        this.capabilities(&raw, device)?;
        this.extended(&raw);
        this.initial = this.shown.clone();
        Ok(this)
    }

    fn header(&mut self, raw: &[u8]) -> Result<(), ConfigError> {
        let vendor = get16(raw, header::VENDOR_ID);
        if vendor == 0 || vendor == u16::MAX {
            return Err(ConfigError::Absent(vendor));
        }
        let layout = raw[header::HEADER_TYPE as usize] & 0x7f;
        if layout != 0 {
            return Err(ConfigError::Header(layout));
        }
        // Vendor, device, then revision and class, then the subsystem.
        for range in [0x00..0x04, 0x08..0x0c, 0x2c..0x30] {
            self.shown[range.clone()].copy_from_slice(&raw[range]);
        }
        let command = header::COMMAND_MSE.mask()
            | header::COMMAND_BME.mask()
            | header::COMMAND_PARITY.mask()
            | header::COMMAND_SERR.mask()
            | header::COMMAND_INTX_DISABLE.mask();
        put16(&mut self.writable, header::COMMAND, command as u16);
        self.writable[header::CACHE_LINE_SIZE as usize] = 0xff;
        self.writable[header::INTERRUPT_LINE as usize] = 0xff;
        Ok(())
    }

    fn find_bars(&mut self, raw: &[u8], device: &dyn Device) -> Result<(), ConfigError> {
        let mut i = 0;
        while i < BARS {
            let at = header::BAR0 as usize + 4 * i;
            let low = u64::from(get32(raw, at as u64));
            let wide = header::BAR_TYPE.of(low) == header::BAR_TYPE_64 && !header::BAR_IO.is_set(low);
            let size = device.bar_size(i);
            // A BAR of ports is not shown: nothing here has ports.
            if size != 0 && !header::BAR_IO.is_set(low) {
                let size = size.checked_next_power_of_two().unwrap_or(0).max(16);
                if wide && i + 1 == BARS {
                    return Err(ConfigError::Bar(i, "is 64 bits wide and has no register for the upper half"));
                }
                if !(16..=1 << 40).contains(&size) || (!wide && size > 1 << 31) {
                    return Err(ConfigError::Bar(i, "is too large"));
                }
                let prefetchable = header::BAR_PREFETCHABLE.is_set(low);
                let flags =
                    if wide { header::BAR_FLAGS } else { 0 } | header::BAR_PREFETCHABLE.put(prefetchable.into());
                put32(&mut self.shown, at, flags as u32);
                let mask = !(size - 1);
                put32(&mut self.writable, at, mask as u32);
                if wide {
                    put32(&mut self.writable, at + 4, (mask >> 32) as u32);
                }
                self.bars[i] = Some(Bar { size, wide, prefetchable });
            }
            i += if wide { 2 } else { 1 };
        }
        Ok(())
    }

    fn capabilities(&mut self, raw: &[u8], device: &dyn Device) -> Result<(), ConfigError> {
        let mut next = u64::from(raw[header::CAPABILITIES as usize]) & !3;
        // The register that points to the next capability shown.
        let mut link = header::CAPABILITIES as usize;
        let has_list = header::STATUS_CAPABILITIES.is_set(get16(raw, header::STATUS).into());
        for _ in 0..LIST_MAX {
            if !has_list || !(0x40..EXTENDED - 4).contains(&next) {
                break;
            }
            let at = next as usize;
            let head = u64::from(get32(raw, next));
            let (id, following) = (capability::ID.of(head), capability::NEXT.of(head) & !3);
            let limit = EXTENDED as usize;
            let shown = self.shown[at] == 0
                && match id {
                    power::ID => self.show_power(raw, at),
                    msix::ID => self.show_msix(raw, at, device)?,
                    express::ID => self.show_express(raw, at),
                    VENDOR_SPECIFIC => {
                        let len = usize::from(raw[at + 2]).clamp(3, limit - at);
                        self.shown[at..at + len].copy_from_slice(&raw[at..at + len]);
                        self.live[at + 3..at + len].fill(true);
                        true
                    }
                    _ => false,
                };
            if shown {
                self.shown[link] = at as u8;
                self.shown[at] = id as u8;
                self.shown[at + 1] = 0;
                link = at + 1;
            }
            next = following;
        }
        if link != header::CAPABILITIES as usize {
            put16(&mut self.shown, header::STATUS, header::STATUS_CAPABILITIES.mask() as u16);
        }
        Ok(())
    }

    fn show_power(&mut self, raw: &[u8], at: usize) -> bool {
        let end = at + power::SIZE as usize;
        if end > EXTENDED as usize {
            return false;
        }
        self.shown[at..end].copy_from_slice(&raw[at..end]);
        // No PME: it would be a signal that nobody here takes. The state can be written and is only remembered; the host has the
        // device's real one.
        self.shown[at + 3] &= 0x07;
        // No_Soft_Reset, always: going to D3hot and back resets nothing here, and a guest must not take it for a reset.
        self.shown[at + 4] = power::PMCSR_NO_SOFT_RESET.mask() as u8;
        self.shown[at + 5] = 0;
        self.writable[at + 4] = 0x03;
        true
    }

    fn show_msix(&mut self, raw: &[u8], at: usize, device: &dyn Device) -> Result<bool, ConfigError> {
        let end = at + msix::SIZE as usize;
        if end > EXTENDED as usize || self.msix.is_some() {
            return Ok(false);
        }
        let control = u64::from(get16(raw, at as u64 + msix::CONTROL));
        let vectors = (msix::CONTROL_TABLE_SIZE.of(control) + 1) as u16;
        let place = |register: u64| {
            let word = u64::from(get32(raw, at as u64 + register));
            (msix::BIR.of(word) as usize, msix::OFFSET.of(word) << msix::OFFSET.lo)
        };
        let (table, pba) = (place(msix::TABLE), place(msix::PBA));
        let inside = |(bar, offset): (usize, u64), len: u64| {
            let size = self.bars.get(bar).copied().flatten().map_or(0, |b| b.size);
            offset.checked_add(len).is_some_and(|end| end <= size)
        };
        if !inside(table, u64::from(vectors) * msix::ENTRY_SIZE) || !inside(pba, u64::from(vectors).div_ceil(64) * 8) {
            return Err(ConfigError::Msix("table or pending bits lie outside of its BARs"));
        }
        if device.vectors() < vectors {
            return Err(ConfigError::Msix("table is larger than the interrupts that the device is said to have"));
        }
        self.shown[at..end].copy_from_slice(&raw[at..end]);
        let control = msix::CONTROL_TABLE_SIZE.mask() as u16 & control as u16;
        put16(&mut self.shown, at as u64 + msix::CONTROL, control);
        let writable = msix::CONTROL_ENABLE.mask() | msix::CONTROL_FUNCTION_MASK.mask();
        put16(&mut self.writable, at as u64 + msix::CONTROL, writable as u16);
        self.msix = Some(MsixPlace { vectors, table, pba, at });
        Ok(true)
    }

    fn show_express(&mut self, raw: &[u8], at: usize) -> bool {
        // Version 1 ends after the link registers, which are not shown anyway.
        let caps = u64::from(get16(raw, at as u64 + express::CAPS));
        let version = express::CAPS_VERSION.of(caps);
        let len = if version >= 2 { express::SIZE as usize } else { 0x14 };
        if at + len > EXTENDED as usize || self.express.is_some() {
            return false;
        }
        self.shown[at..at + len].copy_from_slice(&raw[at..at + len]);
        put16(
            &mut self.shown,
            at as u64 + express::CAPS,
            express::CAPS_TYPE.set(caps, bridge::TYPE_INTEGRATED_ENDPOINT) as u16,
        );
        for range in [LINK, express::LINK_CAPS_2..express::LINK_CAPS_2 + 8] {
            for offset in range.filter(|o| *o < len as u64) {
                self.shown[at + offset as usize] = 0;
            }
        }
        for control in [express::DEVICE_CONTROL, express::DEVICE_CONTROL_2] {
            let range = at + control as usize..at + control as usize + 4;
            if range.end <= at + len {
                self.live[range].fill(true);
            }
        }
        self.express = Some(at);
        true
    }

    /// The extended list: serial number and vendor capabilities. SR-IOV, ARI, ACS, ATS and their like are the host's.
    fn extended(&mut self, raw: &[u8]) {
        let mut next = EXTENDED;
        let mut link = None;
        for _ in 0..EXT_LIST_MAX {
            if !(EXTENDED..CONFIG_SIZE - 4).contains(&next) {
                break;
            }
            let at = next as usize;
            let head = u64::from(get32(raw, next));
            if head == 0 || head == u64::from(u32::MAX) {
                break;
            }
            let len = match capability::EXT_ID.of(head) {
                dsn::ID => dsn::SIZE as usize,
                EXT_VENDOR_SPECIFIC => (get32(raw, (next + 4) & 0xffc) >> 20) as usize,
                _ => 0,
            };
            let free = get32(&self.shown, next) == 0;
            if (8..=SIZE - at).contains(&len) && free {
                self.shown[at..at + len].copy_from_slice(&raw[at..at + len]);
                if capability::EXT_ID.of(head) == EXT_VENDOR_SPECIFIC {
                    self.live[at + 8..at + len].fill(true);
                }
                put32(&mut self.shown, at, capability::EXT_NEXT.set(head, 0) as u32);
                self.point(link, at);
                link = Some(at);
            }
            next = capability::EXT_NEXT.of(head) & !3;
        }
    }

    /// Lets the previous extended capability, or an empty one at the list's fixed beginning, point to this one.
    fn point(&mut self, from: Option<usize>, to: usize) {
        let from = from.unwrap_or(EXTENDED as usize);
        if from != to {
            let head = u64::from(get32(&self.shown, from as u64));
            put32(&mut self.shown, from, capability::EXT_NEXT.set(head, to as u64) as u32);
        }
    }

    /// Its BARs.
    pub fn bars(&self) -> &[Option<Bar>; BARS] {
        &self.bars
    }

    /// Its MSI-X capability.
    pub fn msix(&self) -> Option<MsixPlace> {
        self.msix
    }

    /// Enable and Function Mask of MSI-X.
    pub fn msix_control(&self) -> (bool, bool) {
        let Some(place) = self.msix else { return (false, false) };
        let control = u64::from(get16(&self.shown, place.at as u64 + msix::CONTROL));
        (msix::CONTROL_ENABLE.is_set(control), msix::CONTROL_FUNCTION_MASK.is_set(control))
    }

    /// Memory Space Enable.
    pub fn memory_enabled(&self) -> bool {
        header::COMMAND_MSE.is_set(get16(&self.shown, header::COMMAND).into())
    }

    /// The address in a BAR.
    pub fn bar_address(&self, bar: usize) -> u64 {
        let at = header::BAR0 + 4 * bar as u64;
        let low = u64::from(get32(&self.shown, at)) & !0xf;
        match self.bars.get(bar).copied().flatten() {
            Some(b) if b.wide => low | u64::from(get32(&self.shown, at + 4)) << 32,
            _ => low,
        }
    }

    /// Sets the address in a BAR, as firmware does. It holds over resets.
    pub fn place_bar(&mut self, bar: usize, address: u64) {
        let at = header::BAR0 as usize + 4 * bar;
        let Some(b) = self.bars.get(bar).copied().flatten() else { return };
        for space in [&mut self.shown, &mut self.initial] {
            let flags = get32(space, at as u64) & 0xf;
            put32(space, at, address as u32 | flags);
            if b.wide {
                put32(space, at + 4, (address >> 32) as u32);
            }
        }
    }

    /// Back to how it was before the guest.
    pub fn reset(&mut self) {
        self.shown.clone_from(&self.initial);
    }

    /// Whether the access begins at a byte that the device answers for itself.
    pub fn is_live(&self, offset: u16) -> bool {
        self.live.get(usize::from(offset)).copied().unwrap_or(false)
    }

    /// Reads what is shown; beyond the space, ones.
    pub fn read(&self, offset: u16, data: &mut [u8]) {
        for (i, byte) in data.iter_mut().enumerate() {
            *byte = self.shown.get(usize::from(offset) + i).copied().unwrap_or(0xff);
        }
    }

    /// Writes what may be written, and says what follows from it.
    pub fn write(&mut self, offset: u16, data: &[u8]) -> Effects {
        let mut effects = Effects::default();
        for (i, byte) in data.iter().enumerate() {
            let at = usize::from(offset) + i;
            let Some(mask) = self.writable.get(at).copied() else { break };
            effects.live |= self.live[at];
            effects.reset |= self.is_flr(at, *byte);
            let new = (self.shown[at] & !mask) | (byte & mask);
            if new == self.shown[at] {
                continue;
            }
            self.shown[at] = new;
            let at = at as u64;
            if (header::BAR0..header::BAR0 + 4 * header::BARS).contains(&at) {
                effects.decode = true;
            }
            if (header::COMMAND..header::COMMAND + 2).contains(&at) {
                effects.decode |= at == header::COMMAND;
                effects.command = Some(get16(&self.shown, header::COMMAND));
            }
            effects.msix |= self.msix.is_some_and(|m| at == m.at as u64 + msix::CONTROL + 1);
        }
        effects
    }

    /// Whether this byte is the upper one of Device Control with Initiate FLR set, on a device that has FLR.
    fn is_flr(&self, at: usize, byte: u8) -> bool {
        let Some(express) = self.express else { return false };
        let caps = get32(&self.shown, express as u64 + express::DEVICE_CAPS);
        at == express + express::DEVICE_CONTROL as usize + 1
            && byte & (express::DEVICE_CONTROL_FLR.mask() >> 8) as u8 != 0
            && express::DEVICE_CAPS_FLR.is_set(caps.into())
    }

    /// The bytes of a live write as they may reach the device: without the reset, which is made by other means.
    pub fn defused(&self, offset: u16, data: &[u8]) -> Vec<u8> {
        let mut data = data.to_vec();
        if let Some(express) = self.express {
            let upper = express + express::DEVICE_CONTROL as usize + 1;
            if let Some(byte) = upper.checked_sub(usize::from(offset)).and_then(|i| data.get_mut(i)) {
                *byte &= !(express::DEVICE_CONTROL_FLR.mask() >> 8) as u8;
            }
        }
        data
    }
}

/// What a device shows of itself. Only the header and the bodies of capabilities are read: on many hosts each DW is a slow access.
fn snapshot(device: &dyn Device) -> Result<Vec<u8>, ConfigError> {
    let mut raw = vec![0; SIZE];
    let read = |raw: &mut [u8], range: std::ops::Range<usize>| -> Result<(), ConfigError> {
        for at in (range.start & !3..range.end.min(SIZE)).step_by(4) {
            device.config_read(at as u16, &mut raw[at..at + 4]).map_err(|e| ConfigError::Read(e.to_string()))?;
        }
        Ok(())
    };
    read(&mut raw, 0..0x40)?;
    let mut next = usize::from(raw[header::CAPABILITIES as usize]) & !3;
    for _ in 0..LIST_MAX {
        if !(0x40..EXTENDED as usize - 4).contains(&next) {
            break;
        }
        read(&mut raw, next..next + 4)?;
        let len = match u64::from(raw[next]) {
            power::ID => power::SIZE as usize,
            msix::ID => msix::SIZE as usize,
            express::ID => express::SIZE as usize,
            VENDOR_SPECIFIC => raw[next + 2].into(),
            _ => 4,
        };
        read(&mut raw, next..(next + len).min(EXTENDED as usize))?;
        next = usize::from(raw[next + 1]) & !3;
    }
    let mut next = EXTENDED as usize;
    for _ in 0..EXT_LIST_MAX {
        // A device with 256 bytes only has no extended space.
        if !(EXTENDED as usize..SIZE - 4).contains(&next) || read(&mut raw, next..next + 8).is_err() {
            break;
        }
        let head = u64::from(get32(&raw, next as u64));
        let len = match capability::EXT_ID.of(head) {
            _ if head == 0 || head == u64::from(u32::MAX) => break,
            dsn::ID => dsn::SIZE as usize,
            EXT_VENDOR_SPECIFIC => (get32(&raw, next as u64 + 4) >> 20) as usize,
            _ => 8,
        };
        if read(&mut raw, next..next + len).is_err() {
            break;
        }
        next = (capability::EXT_NEXT.of(head) & !3) as usize;
    }
    Ok(raw)
}

fn get16(space: &[u8], at: u64) -> u16 {
    let at = at as usize;
    space.get(at..at + 2).map_or(u16::MAX, |b| u16::from_le_bytes([b[0], b[1]]))
}

fn get32(space: &[u8], at: u64) -> u32 {
    let at = at as usize;
    space.get(at..at + 4).map_or(u32::MAX, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn put16(space: &mut [u8], at: u64, value: u16) {
    if let Some(bytes) = space.get_mut(at as usize..at as usize + 2) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
}

fn put32(space: &mut [u8], at: usize, value: u32) {
    if let Some(bytes) = space.get_mut(at..at + 4) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
}
