//! Enumeration, as an operating system does it after power-on: walk the functions, size and assign BARs, set what the
//! link allows. Bus mastering stays off; that is for each function's driver.

use azote_regs::pcie::{EXTENDED, ari, capability, express, header, sriov};
use azote_tlp::Rid;

use crate::root::Root;
use crate::{Error, RequestError};

/// A BAR that was found and given a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    /// Its index, 0 to 5; a 64-bit BAR takes two.
    pub index: usize,
    /// Where it is.
    pub address: u64,
    /// Its size in bytes.
    pub size: u64,
    /// Whether it has 64 bits.
    pub wide: bool,
}

/// A PF's SR-IOV capability as enumeration left it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SriovInfo {
    /// Where the capability is.
    pub at: u16,
    /// How many VFs there can be.
    pub total: u16,
    /// Distance from the PF to its first VF, in function numbers.
    pub offset: u16,
    /// Distance from VF to VF.
    pub stride: u16,
    /// The BARs of VF 0; those of VF *i* lie *i* times the size further.
    pub bars: Vec<Bar>,
}

/// A physical function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PfInfo {
    /// Its function number.
    pub number: u8,
    /// Vendor and device id.
    pub id: (u16, u16),
    /// Class code.
    pub class: u32,
    /// Its BARs.
    pub bars: Vec<Bar>,
    /// Its SR-IOV capability, if it has one.
    pub sriov: Option<SriovInfo>,
    /// Where its PCI Express capability is.
    pub express: u16,
}

/// What enumeration found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    /// The physical functions, in the order of their numbers.
    pub pfs: Vec<PfInfo>,
}

impl Topology {
    /// Whose function this number is: the PF, and which of its VFs.
    pub fn owner(&self, number: u8) -> Option<(&PfInfo, Option<u16>)> {
        self.pfs.iter().find_map(|pf| {
            if pf.number == number {
                return Some((pf, None));
            }
            let sriov = pf.sriov.as_ref()?;
            let past = u16::from(number).checked_sub(u16::from(pf.number) + sriov.offset)?;
            let fits = sriov.stride > 0 && past.is_multiple_of(sriov.stride) && past / sriov.stride < sriov.total;
            fits.then(|| (pf, Some(past / sriov.stride)))
        })
    }

    /// A BAR of any function, PF or VF.
    pub fn bar(&self, number: u8, index: usize) -> Option<Bar> {
        let (pf, vf) = self.owner(number)?;
        match vf {
            None => pf.bars.iter().find(|b| b.index == index).copied(),
            Some(vf) => {
                let bar = pf.sriov.as_ref()?.bars.iter().find(|b| b.index == index)?;
                Some(Bar { address: bar.address + u64::from(vf) * bar.size, ..*bar })
            }
        }
    }
}

/// One function while it is looked at.
struct Probe<'a> {
    root: &'a mut Root,
    number: u8,
}

impl Probe<'_> {
    fn rid(&self) -> Rid {
        Rid::new(self.root.options().bus, self.number)
    }

    fn bad(&self, reason: impl Into<String>) -> Error {
        Error::Enumerate { function: self.rid(), reason: reason.into() }
    }

    fn read(&mut self, register: u64) -> Result<u32, Error> {
        let function = self.rid();
        self.root.config_read(self.number, register as u16).map_err(|source| Error::Request {
            what: format!("configuration read at {register:#x}"),
            function,
            source,
        })
    }

    fn read16(&mut self, register: u64) -> Result<u16, Error> {
        Ok((self.read(register & !3)? >> (8 * (register & 2))) as u16)
    }

    fn write(&mut self, register: u64, value: u32) -> Result<(), Error> {
        self.write_bytes(register, 0xf, value)
    }

    fn write16(&mut self, register: u64, value: u16) -> Result<(), Error> {
        let shift = register & 2;
        self.write_bytes(register & !3, 3 << shift, u32::from(value) << (8 * shift))
    }

    fn write_bytes(&mut self, register: u64, first_be: u8, value: u32) -> Result<(), Error> {
        let function = self.rid();
        self.root.config_write_bytes(self.number, register as u16, first_be, value).map_err(|source| Error::Request {
            what: format!("configuration write at {register:#x}"),
            function,
            source,
        })
    }

    /// The offset of an ordinary capability.
    fn capability(&mut self, id: u64) -> Result<Option<u64>, Error> {
        let mut at = u64::from(self.read16(header::CAPABILITIES)? & 0xfc);
        // 48 capabilities of four bytes fill the space: a longer list loops.
        for _ in 0..48 {
            if at == 0 {
                return Ok(None);
            }
            let word = u64::from(self.read(at)?);
            if capability::ID.of(word) == id {
                return Ok(Some(at));
            }
            at = capability::NEXT.of(word) & !3;
        }
        Err(self.bad("its capability list loops"))
    }

    /// The offset of an extended capability.
    fn extended(&mut self, id: u64) -> Result<Option<u64>, Error> {
        let mut at = EXTENDED;
        for _ in 0..960 {
            let word = u64::from(self.read(at)?);
            if word == 0 || word == u64::from(u32::MAX) {
                return Ok(None);
            }
            if capability::EXT_ID.of(word) == id {
                return Ok(Some(at));
            }
            at = capability::EXT_NEXT.of(word) & !3;
            if at == 0 {
                return Ok(None);
            }
            if at < EXTENDED {
                return Err(self.bad(format!("its extended capability list leaves the extended space at {at:#x}")));
            }
        }
        Err(self.bad("its extended capability list loops"))
    }

    /// Sizes `BARS` BARs from register `first` on (§7.5.1.2.1), and gives them places; each takes `copies` times its size.
    fn bars(&mut self, first: u64, copies: u64, next: &mut u64) -> Result<Vec<Bar>, Error> {
        let mut bars = Vec::new();
        let mut index = 0;
        while index < header::BARS {
            let register = first + 4 * index;
            let old = self.read(register)?;
            self.write(register, u32::MAX)?;
            let low = self.read(register)?;
            self.write(register, old)?;
            if low == 0 {
                index += 1;
                continue;
            }
            if header::BAR_IO.is_set(low.into()) {
                return Err(self.bad(format!("BAR {index} is an I/O BAR: {low:#010x}")));
            }
            let wide = header::BAR_TYPE.of(low.into()) == header::BAR_TYPE_64;
            if wide && index + 1 == header::BARS {
                return Err(self.bad(format!("BAR {index} is the last and has 64 bits: {low:#010x}")));
            }
            let mut mask = u64::from(low & !0xf) | 0xffff_ffff_0000_0000;
            if wide {
                self.write(register + 4, u32::MAX)?;
                mask = u64::from(self.read(register + 4)?) << 32 | mask & 0xffff_ffff;
            }
            let size = mask.wrapping_neg();
            if !size.is_power_of_two() || size < 16 {
                return Err(self.bad(format!("BAR {index}: size mask {mask:#x} is no power of two")));
            }
            let address = next.next_multiple_of(size);
            *next = address + size * copies;
            if !wide && *next > 1 << 32 {
                return Err(self.bad(format!("BAR {index} has 32 bits and there is no room below 4 GiB")));
            }
            self.write(register, address as u32)?;
            if wide {
                self.write(register + 4, (address >> 32) as u32)?;
            }
            bars.push(Bar { index: index as usize, address, size, wide });
            index += if wide { 2 } else { 1 };
        }
        Ok(bars)
    }

    fn sriov(&mut self, at: u64, next: &mut u64) -> Result<SriovInfo, Error> {
        let page = self.read(at + sriov::SUPPORTED_PAGE_SIZES)?;
        if page & sriov::SYSTEM_PAGE_SIZE_RESET as u32 == 0 {
            return Err(self.bad("SR-IOV: 4 KiB pages are not supported"));
        }
        self.write(at + sriov::SYSTEM_PAGE_SIZE, sriov::SYSTEM_PAGE_SIZE_RESET as u32)?;
        let total = self.read16(at + sriov::TOTAL_VFS)?;
        let initial = self.read16(at + sriov::INITIAL_VFS)?;
        if initial != total {
            return Err(self.bad(format!("SR-IOV: InitialVFs {initial} is not TotalVFs {total}")));
        }
        let bars = self.bars(at + sriov::VF_BAR0, total.into(), next)?;
        let offset = self.read16(at + sriov::FIRST_VF_OFFSET)?;
        let stride = self.read16(at + sriov::VF_STRIDE)?;
        if total > 0 && (offset == 0 || total > 1 && stride == 0) {
            return Err(self.bad(format!("SR-IOV: First VF Offset {offset}, VF Stride {stride}")));
        }
        Ok(SriovInfo { at: at as u16, total, offset, stride, bars })
    }

    fn pf(&mut self, next: &mut u64) -> Result<PfInfo, Error> {
        let id = self.read(header::VENDOR_ID)?;
        let class = self.read(header::REVISION_ID)? >> 8;
        let layout = self.read16(header::HEADER_TYPE)?;
        if header::HEADER_LAYOUT.of(layout.into()) != 0 {
            return Err(self.bad(format!("header type {layout:#04x} is no endpoint's")));
        }
        // Decoding stays off while BARs hold all ones.
        self.write16(header::COMMAND, 0)?;
        let bars = self.bars(header::BAR0, 1, next)?;
        let Some(express) = self.capability(express::ID)? else {
            return Err(self.bad("no PCI Express capability"));
        };
        self.link_settings(express)?;
        let sriov = match self.extended(sriov::ID)? {
            Some(at) => Some(self.sriov(at, next)?),
            None => None,
        };
        self.write16(header::COMMAND, header::COMMAND_MSE.mask() as u16)?;
        Ok(PfInfo {
            number: self.number,
            id: (id as u16, (id >> 16) as u16),
            class,
            bars,
            sriov,
            express: express as u16,
        })
    }

    /// Max_Payload_Size, Max_Read_Request_Size and extended tags, as far as the card and the settings allow.
    fn link_settings(&mut self, at: u64) -> Result<(), Error> {
        let capable = self.read(at + express::DEVICE_CAPS)?.into();
        let options = self.root.options();
        let code = |bytes: u32| u64::from((bytes.max(128) / 128).ilog2()).min(5);
        let payload = code(options.max_payload).min(express::DEVICE_CAPS_MPS.of(capable));
        let read = code(options.max_read);
        let mut control = u64::from(self.read16(at + express::DEVICE_CONTROL)?);
        control = express::DEVICE_CONTROL_MPS.set(control, payload);
        control = express::DEVICE_CONTROL_MRRS.set(control, read);
        control = express::DEVICE_CONTROL_EXT_TAG.set(control, express::DEVICE_CAPS_EXT_TAG.of(capable));
        self.write16(at + express::DEVICE_CONTROL, control as u16)
    }

    /// The function after this one: by ARI where there is the capability, else the next of eight.
    fn next(&mut self, multi: bool) -> Result<Option<u8>, Error> {
        if let Some(at) = self.extended(ari::ID)? {
            let next = ari::NEXT_FUNCTION.of(self.read16(at + ari::CAPABILITY)?.into()) as u8;
            if next != 0 && next <= self.number {
                return Err(self.bad(format!("ARI: the next function {next:#04x} goes backwards")));
            }
            return Ok((next != 0).then_some(next));
        }
        Ok((multi && self.number < 7).then_some(self.number + 1))
    }
}

/// Enumerates the card.
pub fn enumerate(root: &mut Root) -> Result<Topology, Error> {
    let mut topology = Topology::default();
    let mut next = root.options().mmio_base;
    let mut number = Some(0);
    let mut multi = false;
    while let Some(function) = number {
        let mut probe = Probe { root, number: function };
        // §2.3.1: a function that is not there answers UR, which software sees as all ones.
        let id = match probe.root.config_read(function, header::VENDOR_ID as u16) {
            Ok(id) => id,
            Err(RequestError::Status(azote_tlp::Status::Unsupported)) => u32::MAX,
            Err(source) => {
                return Err(Error::Request { what: "the vendor id".into(), function: probe.rid(), source });
            }
        };
        if id as u16 == u16::MAX {
            if function == 0 {
                return Err(probe.bad("no device answers"));
            }
        } else {
            if function == 0 {
                multi = header::HEADER_MULTI_FUNCTION.is_set(probe.read16(header::HEADER_TYPE)?.into());
                // ARI numbering has to be known before First VF Offset is read (§9.3.3.3.5).
                if let Some(at) = probe.extended(sriov::ID)? {
                    probe.write16(at + sriov::CONTROL, sriov::CONTROL_ARI.mask() as u16)?;
                }
            }
            topology.pfs.push(probe.pf(&mut next)?);
        }
        number = if id as u16 == u16::MAX {
            (multi && function < 7).then_some(function + 1)
        } else {
            Probe { root, number: function }.next(multi)?
        };
    }
    Ok(topology)
}

/// Sets the number of enabled VFs of a PF, 0 for none, and lets them answer memory requests.
pub fn set_vfs(root: &mut Root, pf: &PfInfo, count: u16) -> Result<(), Error> {
    let mut probe = Probe { root, number: pf.number };
    let Some(sriov) = &pf.sriov else {
        return Err(probe.bad("has no SR-IOV capability"));
    };
    if count > sriov.total {
        return Err(probe.bad(format!("{count} VFs asked for, it can have {}", sriov.total)));
    }
    let at = u64::from(sriov.at);
    let enable = (sriov::CONTROL_VF_ENABLE.mask() | sriov::CONTROL_VF_MSE.mask()) as u16;
    let control = probe.read16(at + sriov::CONTROL)? & !enable;
    probe.write16(at + sriov::CONTROL, control)?;
    if count > 0 {
        probe.write16(at + sriov::NUM_VFS, count)?;
        probe.write16(at + sriov::CONTROL, control | enable)?;
    }
    Ok(())
}

/// Undoes enumeration of a PF: VFs off, BARs and controls as after reset.
pub(crate) fn release(root: &mut Root, pf: &PfInfo) -> Result<(), Error> {
    let mut probe = Probe { root, number: pf.number };
    if let Some(sriov) = &pf.sriov {
        let at = u64::from(sriov.at);
        probe.write16(at + sriov::CONTROL, 0)?;
        probe.write16(at + sriov::NUM_VFS, 0)?;
        for index in 0..header::BARS {
            probe.write(at + sriov::VF_BAR0 + 4 * index, 0)?;
        }
    }
    probe.write16(header::COMMAND, 0)?;
    for index in 0..header::BARS {
        probe.write(header::BAR0 + 4 * index, 0)?;
    }
    probe.write16(u64::from(pf.express) + express::DEVICE_CONTROL, express::DEVICE_CONTROL_RESET as u16)
}
