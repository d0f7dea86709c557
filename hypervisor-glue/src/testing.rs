//! A hostile device and a hostile guest, both made of one string of bytes: for tests and for fuzzers.

use std::{
    collections::BTreeMap,
    io,
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use azote_regs::pcie::CONFIG_SIZE;
use vmm_sys_util::eventfd::EventFd;

use crate::{
    exits::Exits,
    kernel::{LoadError, Loaded, MapEntry, load_kernel, memory_map},
    layout,
    pci::{
        AddressMap, Alarm, Area, Configure, Device, Gsi, Machine, Passthrough, Slot, allocate::Allocator, config::BARS,
    },
};

/// Memory of the machine that the guest would have.
const RAM: u64 = 512 << 20;

/// Numbers out of bytes; zeros when there are no more.
pub struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        let count = self.0.len().min(N);
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        out
    }

    fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.take())
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

/// A device that says what the bytes say.
struct ScriptedDevice {
    config: Mutex<Vec<u8>>,
    sizes: [u64; BARS],
    areas: [Vec<Area>; BARS],
    vectors: u16,
    /// One call in so many fails; 0 is none.
    failing: u32,
    calls: AtomicU32,
}

/// Like QEMU's NVMe: BAR 0 with an MSI-X table, a PCI Express capability, an extended list.
const PLAUSIBLE: &[(usize, &[u8])] = &[
    (0x00, &[0xf4, 0x1a, 0xf1, 0x10, 0, 0, 0x10, 0, 1, 2, 8, 1]),
    (0x10, &[4, 0, 0, 0]),
    (0x34, &[0x40]),
    (0x40, &[0x11, 0x60, 7, 0, 0, 0x20, 0, 0, 0, 0x30, 0, 0]),
    (0x60, &[0x10, 0xa0, 2, 0, 0x21, 0x80, 0, 0x10]),
    (0xa0, &[0x01, 0xb0, 3, 0]),
    (0xb0, &[0x09, 0, 8]),
    (0x100, &[0x10, 0, 1, 0x14]),
    (0x140, &[0x0b, 0, 1, 0x18, 0, 0, 0, 1]),
    (0x180, &[3, 0, 1, 0]),
];

impl ScriptedDevice {
    fn new(input: &mut Input<'_>) -> Self {
        let mut config = vec![0; CONFIG_SIZE as usize];
        for (at, bytes) in PLAUSIBLE {
            config[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        let mut sizes = [0x4000, 0, 0, 0, 0, 0];
        for _ in 0..input.u8() % 16 {
            let (at, value) = (usize::from(input.u16()) % config.len(), input.u8());
            config[at] = value;
        }
        for _ in 0..input.u8() % 4 {
            let (bar, exponent, odd) = (input.u8(), input.u8(), input.u16());
            sizes[usize::from(bar) % BARS] = (1u64 << (exponent % 64)).wrapping_add(odd.into());
        }
        let mut areas: [Vec<Area>; BARS] = Default::default();
        areas[0].push(Area { offset: 0, len: 0x4000, host: std::ptr::without_provenance_mut(0x10_0000) });
        for _ in 0..input.u8() % 4 {
            let bar = usize::from(input.u8()) % BARS;
            let shift = u32::from(input.u8() % 16);
            let (offset, len) = (u64::from(input.u16()) << shift, u64::from(input.u16()) << shift);
            areas[bar].push(Area { offset, len, host: std::ptr::without_provenance_mut(0x10_0000) });
        }
        let (vectors, failing) = (2048 - input.u16() % 4096 % 2048, u32::from(input.u8() % 8));
        Self { config: Mutex::new(config), sizes, areas, vectors, failing, calls: AtomicU32::new(0) }
    }

    fn call(&self) -> io::Result<()> {
        let count = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.failing != 0 && count % 8 >= 8 - self.failing { Err(io::Error::other("scripted")) } else { Ok(()) }
    }
}

impl Device for ScriptedDevice {
    fn name(&self) -> &str {
        "scripted"
    }
    fn config_read(&self, offset: u16, data: &mut [u8]) -> io::Result<()> {
        // The first reading must succeed at all, or nothing would be tried.
        let config = lock(&self.config);
        for (i, byte) in data.iter_mut().enumerate() {
            *byte = config.get(usize::from(offset) + i).copied().unwrap_or(0xff);
        }
        Ok(())
    }
    fn config_write(&self, offset: u16, data: &[u8]) -> io::Result<()> {
        let mut config = lock(&self.config);
        for (i, byte) in data.iter().enumerate() {
            if let Some(slot) = config.get_mut(usize::from(offset) + i) {
                *slot = *byte;
            }
        }
        self.call()
    }
    fn bar_size(&self, bar: usize) -> u64 {
        self.sizes[bar]
    }
    fn areas(&self, bar: usize) -> &[Area] {
        &self.areas[bar]
    }
    fn bar_read(&self, _: usize, offset: u64, data: &mut [u8]) -> io::Result<()> {
        data.fill(offset as u8);
        self.call()
    }
    fn bar_write(&self, _: usize, _: u64, _: &[u8]) -> io::Result<()> {
        self.call()
    }
    fn vectors(&self) -> u16 {
        self.vectors
    }
    fn set_vectors(&self, first: u16, events: &[&EventFd]) -> io::Result<()> {
        assert!(usize::from(first) + events.len() <= usize::from(self.vectors), "more vectors than the device has");
        for event in events {
            let _ = event.write(1);
        }
        self.call()
    }
    fn clear_vectors(&self) -> io::Result<()> {
        self.call()
    }
    fn reset(&self) -> io::Result<()> {
        self.call()
    }
    fn alarms(&self) -> &[Alarm] {
        &[]
    }
}

/// A machine that checks what is asked of it.
pub struct CheckingMachine {
    addresses: AddressMap,
    windows: Vec<Range<u64>>,
    slots: Mutex<BTreeMap<u32, Range<u64>>>,
    next: AtomicU32,
    attached: Mutex<BTreeMap<Gsi, usize>>,
    routed: Mutex<BTreeMap<Gsi, (u64, u32)>>,
}

/// Messages to addresses from here on are refused, as KVM refuses some.
pub const REFUSED: u64 = 1 << 60;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Machine for CheckingMachine {
    fn addresses(&self) -> &AddressMap {
        &self.addresses
    }
    fn map(&self, guest: u64, area: &Area) -> io::Result<Slot> {
        let range = guest..guest + area.len;
        assert!(area.len != 0 && (guest | area.len).is_multiple_of(4096), "{range:x?} are no pages");
        assert!(
            self.windows.iter().any(|w| w.start <= range.start && range.end <= w.end),
            "{range:x?} is no place for BARs"
        );
        let mut slots = lock(&self.slots);
        if slots.values().any(|s| s.start < range.end && range.start < s.end) {
            // As KVM does; areas of one BAR may overlap if the device says so.
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let slot = self.next.fetch_add(1, Ordering::Relaxed);
        slots.insert(slot, range);
        Ok(Slot(slot))
    }
    fn unmap(&self, slot: Slot) {
        assert!(lock(&self.slots).remove(&slot.0).is_some(), "a slot is taken back twice");
    }
    fn allocate_gsi(&self) -> io::Result<Gsi> {
        Ok(Gsi(self.next.fetch_add(1, Ordering::Relaxed)))
    }
    fn route(&self, routes: &[(Gsi, u64, u32)]) -> io::Result<()> {
        if routes.iter().any(|r| r.1 >= REFUSED) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        lock(&self.routed).extend(routes.iter().map(|r| (r.0, (r.1, r.2))));
        Ok(())
    }
    fn attach(&self, _: &EventFd, gsi: Gsi) -> io::Result<()> {
        assert!(lock(&self.routed).contains_key(&gsi), "attached without a message");
        *lock(&self.attached).entry(gsi).or_default() += 1;
        assert_eq!(lock(&self.attached)[&gsi], 1, "attached twice");
        Ok(())
    }
    fn detach(&self, _: &EventFd, gsi: Gsi) {
        assert_eq!(lock(&self.attached).remove(&gsi), Some(1), "detached without having been attached");
    }
}

/// A function of a plausible device in a machine: 8 vectors, their table at 0x2000 of BAR 0, pending bits at 0x3000, all vectors
/// signalled once when the device is given their events.
#[must_use]
pub fn plausible() -> Option<(Arc<Passthrough>, Arc<CheckingMachine>)> {
    give(&mut Input(&[]))
}

impl CheckingMachine {
    /// What is mapped into the guest: first address and the one after the last.
    pub fn mapped(&self) -> Vec<Range<u64>> {
        lock(&self.slots).values().cloned().collect()
    }

    /// How many events are attached to interrupts.
    pub fn attached(&self) -> usize {
        lock(&self.attached).len()
    }

    /// An empty machine.
    #[must_use]
    pub fn new(windows: Vec<Range<u64>>) -> Arc<Self> {
        Arc::new(Self {
            addresses: AddressMap::new(windows.clone()),
            windows,
            slots: Mutex::default(),
            next: AtomicU32::new(0),
            attached: Mutex::default(),
            routed: Mutex::default(),
        })
    }
}

fn give(input: &mut Input<'_>) -> Option<(Arc<Passthrough>, Arc<CheckingMachine>)> {
    // Each of its up to 2048 vectors has an event.
    crate::descriptors::raise();
    put(ScriptedDevice::new(input)).ok()
}

fn put(device: ScriptedDevice) -> Result<(Arc<Passthrough>, Arc<CheckingMachine>), crate::Error> {
    let mut allocator = Allocator::new(RAM)?;
    let machine = CheckingMachine::new(allocator.windows());
    let function = Passthrough::new(Arc::new(device), machine.clone(), &mut allocator, &Exits::default())?;
    Ok((function, machine))
}

/// The plausible device with so many vectors, up to 2048, in a machine.
pub fn with_vectors(count: u16) -> Result<Arc<Passthrough>, crate::Error> {
    let mut device = ScriptedDevice::new(&mut Input(&[]));
    // Its table and pending bits have more room.
    device.sizes[0] = 0x40_0000;
    if let Ok(config) = device.config.get_mut() {
        config[0x42..0x44].copy_from_slice(&(count - 1).to_le_bytes());
        config[0x44..0x48].copy_from_slice(&0x10_0000u32.to_le_bytes());
        config[0x48..0x4c].copy_from_slice(&0x20_0000u32.to_le_bytes());
    }
    put(device).map(|given| given.0)
}

/// Makes a device of the first bytes, gives it to a machine, and does with it what the others say. True if the device was one that
/// is given to guests at all. Panics if a rule is broken.
pub fn play(bytes: &[u8]) -> bool {
    let mut input = Input(bytes);
    let Some((function, machine)) = give(&mut input) else { return false };
    // What firmware would do: BARs are placed, decoding is on.
    function.config_write(4, &6u16.to_le_bytes());
    while !input.0.is_empty() {
        let (what, at, value) = (input.u8(), input.u16(), input.u64());
        let len = [1, 2, 4, 8][usize::from(what >> 6)];
        let bytes = &value.to_le_bytes()[..len];
        let mut data = vec![0; len];
        match what & 7 {
            0 => function.config_read(at % 4096, &mut data),
            1 => function.config_write(at % 4096, bytes),
            // Registers that do something.
            2 => function.config_write(0x40 + at % 0x40, bytes),
            3 => function.config_write(0x04 + at % 0x24, bytes),
            4 => drop(machine.addresses.write(layout::MMIO_32 + u64::from(at), bytes)),
            5 => drop(machine.addresses.read(layout::MMIO_32 + u64::from(at), &mut data)),
            6 => drop(machine.addresses.write(value, bytes)),
            _ => drop(machine.addresses.read(value, &mut data)),
        }
    }
    function.reset();
    assert!(lock(&machine.slots).is_empty(), "after a reset nothing is decoded");
    assert!(lock(&machine.attached).is_empty(), "nor does anything interrupt");
    true
}

/// Loads a kernel of any bytes into a small machine.
pub fn load(bytes: &[u8]) -> Result<Loaded, LoadError> {
    let ram = 16 << 20;
    let map: Vec<MapEntry> = memory_map(ram, 1);
    let memory = crate::memory::Memory::new(&crate::config::Memory { size: ram, ..Default::default() }, false)
        .map_err(|e| LoadError::Bad(e.to_string()))?;
    load_kernel(memory.guest(), &mut io::Cursor::new(bytes), &map)
}
