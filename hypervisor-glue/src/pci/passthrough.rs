//! A device given to the guest: its configuration space emulated, its BAR pages mapped, its MSI-X table held here.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use crate::{
    Error, Result,
    exits::{Exits, Region},
    log::warn,
    pci::{
        Alarm, Area, Configure, Device, Host, Mmio, Once, Slot,
        allocate::Allocator,
        config::{BARS, ConfigSpace, Effects, MsixPlace},
        msix::Table,
        vectors::Vectors,
    },
};

/// The granularity in which pages are mapped into a guest.
const PAGE: u64 = 4096;

/// A passed-through function.
pub struct Passthrough {
    device: Arc<dyn Device>,
    host: Host,
    state: Mutex<State>,
    msix: Option<MsixPlace>,
    /// Accesses of BARs that exit, by BAR, and of the MSI-X table.
    regions: Vec<Arc<Region>>,
    msix_region: Arc<Region>,
    config_region: Arc<Region>,
    broken: Once,
    this: Weak<Self>,
}

struct State {
    config: ConfigSpace,
    table: Table,
    vectors: Vectors,
    /// What is decoded now, by BAR: its address and the pages mapped there.
    decoded: [Option<(u64, Vec<Slot>)>; BARS],
}

impl Passthrough {
    /// Prepares a device for a guest and places its BARs.
    pub fn new(device: Arc<dyn Device>, host: Host, bars: &mut Allocator, exits: &Exits) -> Result<Arc<Self>> {
        let name = device.name().to_owned();
        let refuse = |reason: &dyn std::fmt::Display| Error::device(name.clone(), reason);
        let mut config = ConfigSpace::new(&*device).map_err(|e| refuse(&e))?;
        let places = bars.place(config.bars()).map_err(|i| refuse(&format!("there is no room for its BAR {i}")))?;
        for (bar, address) in places {
            config.place_bar(bar, address);
        }
        let msix = config.msix();
        let vectors = msix.map_or(0, |m| m.vectors);
        let events = Vectors::new(vectors, &host).map_err(|e| refuse(&too_many(vectors, &e)))?;
        let region = |what: &str| exits.region(format!("{name} {what}"));
        Ok(Arc::new_cyclic(|this| Self {
            regions: (0..BARS).map(|i| region(&format!("BAR {i}"))).collect(),
            msix_region: region("MSI-X"),
            config_region: region("config"),
            state: Mutex::new(State {
                config,
                table: Table::new(vectors),
                vectors: events,
                decoded: Default::default(),
            }),
            device,
            host,
            msix,
            broken: Once::default(),
            this: this.clone(),
        }))
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        self.device.name()
    }

    /// What ends the guest on its behalf.
    pub fn alarms(&self) -> &[Alarm] {
        self.device.alarms()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A device that fails goes on failing; the log needs it once.
    fn failed(&self, what: &str, e: &io::Error) {
        if self.broken.first() {
            warn(format_args!("{}: {what}: {e}", self.device.name()));
        }
    }

    /// As after power-on: for a guest that starts anew, and when the machine ends.
    pub fn reset(&self) {
        let mut state = self.lock();
        self.reset_locked(&mut state);
    }

    fn reset_locked(&self, state: &mut State) {
        if let Err(e) = state.vectors.disable(&*self.device, &self.host) {
            self.failed("disabling its interrupts", &e);
        }
        if let Err(e) = self.device.reset() {
            self.failed("resetting it", &e);
        }
        state.table.reset();
        state.config.reset();
        self.decode(state);
    }

    /// Makes the address map and the mapped pages be as BARs and the command register say.
    fn decode(&self, state: &mut State) {
        let enabled = state.config.memory_enabled();
        for bar in 0..BARS {
            let Some(size) = state.config.bars()[bar].map(|b| b.size) else { continue };
            let wanted = enabled.then(|| state.config.bar_address(bar));
            if state.decoded[bar].as_ref().map(|d| d.0) == wanted {
                continue;
            }
            if let Some((address, slots)) = state.decoded[bar].take() {
                slots.into_iter().for_each(|s| self.host.unmap(s));
                self.host.addresses().remove(address);
            }
            let Some(address) = wanted else { continue };
            let target = Arc::new(BarTarget { function: self.this.clone(), bar });
            if !self.host.addresses().insert_bar(address, size, target) {
                // Not a place for BARs: nobody answers there, until it is moved.
                continue;
            }
            let slots = self.map(bar, address, size);
            state.decoded[bar] = Some((address, slots));
        }
    }

    /// Maps what may be mapped of a BAR: its areas without the pages of the MSI-X table and pending bits.
    fn map(&self, bar: usize, address: u64, size: u64) -> Vec<Slot> {
        let mut slots = Vec::new();
        if !address.is_multiple_of(PAGE) {
            return slots;
        }
        for area in self.device.areas(bar) {
            for piece in cut(area, &self.trapped(bar), size) {
                match self.host.map(address + piece.offset, &piece) {
                    Ok(slot) => slots.push(slot),
                    // It still works, by exits.
                    Err(e) => self.failed("mapping a BAR into the guest", &e),
                }
            }
        }
        slots
    }

    /// The parts of a BAR that are ours to answer.
    fn trapped(&self, bar: usize) -> Vec<(u64, u64)> {
        let Some(msix) = self.msix else { return Vec::new() };
        let vectors = u64::from(msix.vectors);
        let parts = [(msix.table, vectors * 16), (msix.pba, vectors.div_ceil(64) * 8)];
        parts.iter().filter(|((b, _), _)| *b == bar).map(|((_, offset), len)| (*offset, *len)).collect()
    }

    fn bar_read(&self, bar: usize, offset: u64, data: &mut [u8]) {
        if let Some(msix) = self.msix {
            if let Some(inner) = within(msix.table, bar, offset, u64::from(msix.vectors) * 16) {
                self.msix_region.read();
                return self.lock().table.read(inner, data);
            }
            if let Some(inner) = within(msix.pba, bar, offset, u64::from(msix.vectors).div_ceil(64) * 8) {
                self.msix_region.read();
                let word = self.lock().vectors.pending((inner / 8) as usize).to_le_bytes();
                for (i, byte) in data.iter_mut().enumerate() {
                    *byte = word.get((inner % 8) as usize + i).copied().unwrap_or(0);
                }
                return;
            }
        }
        self.regions[bar].read();
        if let Err(e) = self.device.bar_read(bar, offset, data) {
            data.fill(0xff);
            self.failed("reading a BAR", &e);
        }
    }

    fn bar_write(&self, bar: usize, offset: u64, data: &[u8]) {
        if let Some(msix) = self.msix {
            if let Some(inner) = within(msix.table, bar, offset, u64::from(msix.vectors) * 16) {
                self.msix_region.write();
                let mut state = self.lock();
                if state.table.write(inner, data).is_some() {
                    self.apply_msix(&mut state);
                }
                return;
            }
            if within(msix.pba, bar, offset, u64::from(msix.vectors).div_ceil(64) * 8).is_some() {
                return self.msix_region.write();
            }
        }
        self.regions[bar].write();
        if let Err(e) = self.device.bar_write(bar, offset, data) {
            self.failed("writing a BAR", &e);
        }
    }

    fn apply_msix(&self, state: &mut State) {
        let (enabled, masked) = state.config.msix_control();
        let State { table, vectors, .. } = state;
        if let Err(e) = vectors.apply(&*self.device, &self.host, table, enabled, masked) {
            self.failed("setting its interrupts", &e);
        }
    }

    fn follow(&self, state: &mut State, effects: Effects, offset: u16, data: &[u8]) {
        if effects.reset {
            return self.reset_locked(state);
        }
        if let Some(command) = effects.command
            && let Err(e) = self.device.config_write(0x04, &command.to_le_bytes())
        {
            self.failed("writing its command register", &e);
        }
        if effects.decode {
            self.decode(state);
        }
        if effects.msix {
            self.apply_msix(state);
        }
        if effects.live {
            let data = state.config.defused(offset, data);
            if let Err(e) = self.device.config_write(offset, &data) {
                self.failed("writing its configuration space", &e);
            }
        }
    }
}

impl Configure for Passthrough {
    fn config_read(&self, offset: u16, data: &mut [u8]) {
        self.config_region.read();
        let state = self.lock();
        state.config.read(offset, data);
        let mut live = vec![0; data.len()];
        let is_live = |i: usize| offset.checked_add(i as u16).is_some_and(|o| state.config.is_live(o));
        if (0..data.len()).any(is_live) {
            if let Err(e) = self.device.config_read(offset, &mut live) {
                self.failed("reading its configuration space", &e);
                live.fill(0xff);
            }
            for (i, byte) in data.iter_mut().enumerate().filter(|(i, _)| is_live(*i)) {
                *byte = live[i];
            }
        }
    }

    fn config_write(&self, offset: u16, data: &[u8]) {
        self.config_region.write();
        let mut state = self.lock();
        let effects = state.config.write(offset, data);
        self.follow(&mut state, effects, offset, data);
    }
}

/// What answers in a BAR's window.
struct BarTarget {
    function: Weak<Passthrough>,
    bar: usize,
}

impl Mmio for BarTarget {
    fn read(&self, offset: u64, data: &mut [u8]) {
        match self.function.upgrade() {
            Some(f) => f.bar_read(self.bar, offset, data),
            None => data.fill(0xff),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) {
        if let Some(f) = self.function.upgrade() {
            f.bar_write(self.bar, offset, data);
        }
    }
}

/// Why a device's vectors can not be had.
fn too_many(vectors: u16, e: &io::Error) -> String {
    let hint = match e.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => {
            "; each needs a descriptor: raise the limit (ulimit -n, LimitNOFILE=), or give the guest fewer devices"
        }
        _ => "",
    };
    format!("its {vectors} vectors can not be prepared: {e}{hint}")
}

/// The offset from a place in a BAR, if the access is inside of so many bytes from there.
fn within(place: (usize, u64), bar: usize, offset: u64, len: u64) -> Option<u64> {
    let inner = offset.checked_sub(place.1)?;
    (place.0 == bar && inner < len).then_some(inner)
}

/// An area in whole pages without those that hold any of `trapped`, and not beyond `size`.
fn cut(area: &Area, trapped: &[(u64, u64)], size: u64) -> Vec<Area> {
    if !area.offset.is_multiple_of(PAGE) || area.offset >= size {
        return Vec::new();
    }
    let end = area.offset.saturating_add(area.len).min(size) / PAGE * PAGE;
    let mut holes: Vec<_> =
        trapped.iter().map(|(at, len)| (at / PAGE * PAGE, (at + len).next_multiple_of(PAGE))).collect();
    holes.push((end, end));
    holes.sort_unstable();
    let (mut pieces, mut from) = (Vec::new(), area.offset);
    for (start, stop) in holes {
        let to = start.min(end);
        if to > from {
            let host = area.host.wrapping_add((from - area.offset) as usize);
            pieces.push(Area { offset: from, len: to - from, host });
        }
        from = from.max(stop);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_table_are_left_out() {
        let area =
            |offset, len| Area { offset, len, host: std::ptr::without_provenance_mut(0x10_0000 + offset as usize) };
        let pieces = |a: &Area, t: &[(u64, u64)], size| -> Vec<_> {
            cut(a, t, size).iter().map(|p| (p.offset, p.len)).collect()
        };
        assert_eq!(pieces(&area(0, 0x4000), &[(0x2000, 128), (0x3000, 8)], 0x4000), [(0, 0x2000)]);
        assert_eq!(pieces(&area(0, 0x4000), &[(0x1800, 0x20)], 0x4000), [(0, 0x1000), (0x2000, 0x2000)]);
        assert_eq!(pieces(&area(0, 0x4000), &[], 0x4000), [(0, 0x4000)]);
        assert_eq!(pieces(&area(0, 0x4000), &[(0, 16), (0x3ff0, 16)], 0x4000), [(0x1000, 0x2000)]);
        assert_eq!(pieces(&area(0x1000, 0x1800), &[(0, 16)], 0x4000), [(0x1000, 0x1000)], "whole pages only");
        assert_eq!(pieces(&area(0x800, 0x4000), &[], 0x4000), []);
        assert_eq!(pieces(&area(0x8000, 0x4000), &[], 0x4000), []);
        let second = cut(&area(0, 0x4000), &[(0x1000, 16)], 0x4000)[1];
        assert_eq!(second.host as usize, 0x10_0000 + 0x2000);
    }
}
