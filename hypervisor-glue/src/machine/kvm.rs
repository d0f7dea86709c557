//! KVM as the rest of the machine sees it: memory slots, interrupt routing, and interrupts by events.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kvm_bindings::{
    KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQ_ROUTING_MSI, KVM_IRQCHIP_IOAPIC, KvmIrqRouting, kvm_irq_routing_entry, kvm_msi,
    kvm_userspace_memory_region,
};
use kvm_ioctls::{Cap, Kvm, VmFd};
use vmm_sys_util::eventfd::EventFd;

use crate::{
    Error, Result, layout,
    memory::Memory,
    pci::{self, AddressMap, Area, Gsi, Slot},
};

/// Messages that KVM routes at most (`KVM_MAX_IRQ_ROUTES`).
const ROUTES_MAX: u32 = 4096;

/// The virtual machine.
pub struct Vm {
    fd: Arc<VmFd>,
    addresses: AddressMap,
    state: Mutex<State>,
    // The slots refer to it.
    _memory: Arc<Memory>,
}

struct State {
    next_slot: u32,
    free_slots: Vec<u32>,
    mapped: BTreeMap<u32, kvm_userspace_memory_region>,
    next_gsi: u32,
    messages: BTreeMap<Gsi, (u64, u32)>,
}

/// Opens /dev/kvm, or says what is to be done.
pub fn open() -> Result<Kvm> {
    let kvm = Kvm::new().map_err(|e| {
        let source = io::Error::from_raw_os_error(e.errno());
        let hint = match e.errno() {
            libc::ENOENT | libc::ENXIO | libc::ENODEV => {
                "load kvm_amd or kvm_intel (modprobe), and look whether the firmware allows virtualization"
            }
            libc::EACCES | libc::EPERM => "run as root or as a member of the group kvm",
            _ => "is it KVM's?",
        };
        Error::NoKvm { source, hint }
    })?;
    for (cap, name) in [
        (Cap::Irqchip, "in-kernel interrupt controllers"),
        (Cap::Irqfd, "interrupts by events (irqfd)"),
        (Cap::IrqRouting, "interrupt routing"),
        (Cap::UserMemory, "memory slots"),
        (Cap::ImmediateExit, "immediate exits"),
    ] {
        if !kvm.check_extension(cap) {
            return Err(Error::Capability(name));
        }
    }
    Ok(kvm)
}

impl Vm {
    /// Makes a machine of memory, a local APIC a processor and an I/O APIC. There is no 8254. KVM's I/O APIC comes with a pair of 8259s, which
    /// answers at its ports; nothing is connected to it, and nobody listens to it.
    pub fn new(kvm: &Kvm, memory: Arc<Memory>, addresses: AddressMap) -> Result<Self> {
        let fd = kvm.create_vm().map_err(Error::kvm("making a virtual machine"))?;
        // Wanted by Intel processors only, and before any virtual processor.
        fd.set_identity_map_address(layout::KVM_IDENTITY_MAP).map_err(Error::kvm("placing the identity map"))?;
        fd.set_tss_address(layout::KVM_TSS as usize).map_err(Error::kvm("placing the task state segment"))?;
        fd.create_irq_chip().map_err(Error::kvm("making interrupt controllers"))?;
        let mut state = State {
            next_slot: 0,
            free_slots: Vec::new(),
            mapped: BTreeMap::new(),
            next_gsi: layout::IOAPIC_PINS,
            messages: BTreeMap::new(),
        };
        for piece in memory.pieces() {
            let region = kvm_userspace_memory_region {
                slot: state.next_slot,
                guest_phys_addr: piece.guest,
                memory_size: piece.len,
                userspace_addr: piece.host as u64,
                flags: 0,
            };
            // SAFETY: the piece is mapped as long as `memory`, which this value holds, and only through volatile accesses of vm-memory does
            // this process touch what the guest changes.
            unsafe { fd.set_user_memory_region(region) }.map_err(Error::kvm("giving it memory"))?;
            state.next_slot += 1;
        }
        let vm = Self { fd: Arc::new(fd), addresses, state: Mutex::new(state), _memory: memory };
        // KVM's own table has the 8259s' pins, too.
        pci::Machine::route(&vm, &[]).map_err(Error::io("routing interrupts"))?;
        Ok(vm)
    }

    /// The machine's file.
    pub fn fd(&self) -> &Arc<VmFd> {
        &self.fd
    }

    /// Sends a message, as a device that writes to an APIC's address does.
    pub fn signal(&self, address: u64, data: u32) -> io::Result<()> {
        let msi =
            kvm_msi { address_lo: address as u32, address_hi: (address >> 32) as u32, data, ..Default::default() };
        self.fd.signal_msi(msi).map(drop).map_err(errno)
    }

    /// Lets an event raise a pin of the I/O APIC, as an edge.
    pub fn attach_pin(&self, event: &EventFd, pin: u32) -> Result<()> {
        self.fd.register_irqfd(event, pin).map_err(Error::kvm("attaching an event to an interrupt"))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn errno(e: kvm_ioctls::Error) -> io::Error {
    io::Error::from_raw_os_error(e.errno())
}

impl pci::Machine for Vm {
    fn addresses(&self) -> &AddressMap {
        &self.addresses
    }

    fn map(&self, guest: u64, area: &Area) -> io::Result<Slot> {
        let mut state = self.lock();
        let slot = state.free_slots.pop().unwrap_or_else(|| {
            state.next_slot += 1;
            state.next_slot - 1
        });
        let region = kvm_userspace_memory_region {
            slot,
            guest_phys_addr: guest,
            memory_size: area.len,
            userspace_addr: area.host as u64,
            flags: 0,
        };
        // SAFETY: the area is mapped as long as its device, which takes its slots back before it goes; this process accesses it by
        // volatile means, if at all. KVM refuses a slot that covers another.
        match unsafe { self.fd.set_user_memory_region(region) } {
            Ok(()) => {
                state.mapped.insert(slot, region);
                Ok(Slot(slot))
            }
            Err(e) => {
                state.free_slots.push(slot);
                Err(errno(e))
            }
        }
    }

    fn unmap(&self, slot: Slot) {
        let mut state = self.lock();
        let Some(region) = state.mapped.remove(&slot.0) else { return };
        let gone = kvm_userspace_memory_region { memory_size: 0, ..region };
        // SAFETY: a slot of size zero is one less; nothing is made accessible.
        if unsafe { self.fd.set_user_memory_region(gone) }.is_ok() {
            state.free_slots.push(slot.0);
        }
    }

    fn allocate_gsi(&self) -> io::Result<Gsi> {
        let mut state = self.lock();
        if state.next_gsi == ROUTES_MAX {
            return Err(io::Error::other("all of KVM's 4096 interrupt routes are taken"));
        }
        state.next_gsi += 1;
        Ok(Gsi(state.next_gsi - 1))
    }

    fn route(&self, routes: &[(Gsi, u64, u32)]) -> io::Result<()> {
        let mut state = self.lock();
        let mut messages = state.messages.clone();
        messages.extend(routes.iter().map(|(gsi, address, data)| (*gsi, (*address, *data))));
        let pins = (0..layout::IOAPIC_PINS).map(|pin| {
            let mut entry = kvm_irq_routing_entry { gsi: pin, type_: KVM_IRQ_ROUTING_IRQCHIP, ..Default::default() };
            entry.u.irqchip.irqchip = KVM_IRQCHIP_IOAPIC;
            entry.u.irqchip.pin = pin;
            entry
        });
        let entries = messages.iter().map(|(gsi, (address, data))| {
            let mut entry = kvm_irq_routing_entry { gsi: gsi.0, type_: KVM_IRQ_ROUTING_MSI, ..Default::default() };
            entry.u.msi.address_lo = *address as u32;
            entry.u.msi.address_hi = (address >> 32) as u32;
            entry.u.msi.data = *data;
            entry
        });
        let table: Vec<_> = pins.chain(entries).collect();
        let table = KvmIrqRouting::from_entries(&table).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.fd.set_gsi_routing(&table).map_err(errno)?;
        // Only now: KVM takes all of a table or nothing, and one message that it has refused would spoil every later one.
        state.messages = messages;
        Ok(())
    }

    fn attach(&self, event: &EventFd, gsi: Gsi) -> io::Result<()> {
        self.fd.register_irqfd(event, gsi.0).map_err(errno)
    }

    fn detach(&self, event: &EventFd, gsi: Gsi) {
        // It was attached; what KVM could refuse is only that it is no longer.
        let _ = self.fd.unregister_irqfd(event, gsi.0);
    }
}
