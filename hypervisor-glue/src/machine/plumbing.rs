//! KVM's plumbing by the machine's own calls, with a guest of a few instructions: it runs on a `/dev/kvm` of any kind, also one
//! that cannot run Linux.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kvm_bindings::{KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER, KVM_IRQCHIP_PIC_SLAVE, kvm_irqchip};
use kvm_ioctls::{IoEventAddress, NoDatamatch, VcpuExit};
use vm_memory::{Bytes, GuestAddress, MmapRegion, VolatileMemory};
use vmm_sys_util::eventfd::EventFd;

use super::kvm::{Vm, open};
use crate::cpu::registers;
use crate::kernel::Entry;
use crate::memory::Memory;
use crate::pci::{AddressMap, Area, Machine};
use crate::{config, layout};

const CODE: u64 = 0x10_0000;
const HANDLER: u64 = 0x10_1000;
const IDT: u64 = 0x10_2000;
const IDTR: u64 = 0x10_3000;
/// A page that is the device's.
const PAGE: u64 = 0xc000_0000;
/// A doorbell that nobody backs.
const BELL: u64 = 0xc100_0000;
const VECTOR: u64 = 0x40;

/// `opcode address, value`, all little-endian.
fn with(opcode: &[u8], address: u64, value: u32) -> Vec<u8> {
    [opcode, &(address as u32).to_le_bytes(), &value.to_le_bytes()].concat()
}

/// Enables the APIC, rings the bell, and waits for interrupts. Each makes the page count and rings the bell; the second ends
/// it by port 80h.
fn program(memory: &Memory) {
    let store = [0xc7, 0x05];
    let code = [
        vec![0xbc, 0, 0x80, 0, 0],                                        // mov esp, 8000h
        [&[0x0f, 0x01, 0x1d][..], &(IDTR as u32).to_le_bytes()].concat(), // lidt [IDTR]
        with(&store, 0xfee0_00f0, 0x1ff),                                 // APIC on
        with(&store, BELL, 1),                                            // mov dword [BELL], 1
        vec![0xfb, 0xf4, 0xeb, 0xfd],                                     // sti; hlt; jmp hlt
    ]
    .concat();
    let handler = [
        [&[0xff, 0x05][..], &(PAGE as u32).to_le_bytes()].concat(), // inc dword [PAGE]
        with(&store, BELL, 1),                                      // mov dword [BELL], 1
        with(&store, 0xfee0_00b0, 0),                               // end of interrupt
        [&[0x83, 0x3d][..], &(PAGE as u32).to_le_bytes(), &[2]].concat(), // cmp dword [PAGE], 2
        vec![0x75, 0x02, 0xe6, 0x80],                               // jne on; out 80h, al
        // Not iret, which the emulator of some KVMs lacks: its frame is dropped.
        vec![0x83, 0xc4, 0x0c, 0xfb, 0xf4, 0xeb, 0xfd], // on: add esp, 12; sti; hlt; jmp hlt
    ]
    .concat();
    // An interrupt gate of the code segment that `registers::boot` makes.
    let gate = (HANDLER & 0xffff) | 0x10 << 16 | 0x8e00 << 32 | (HANDLER >> 16) << 48;
    let idtr = [&0x7ff_u16.to_le_bytes()[..], &(IDT as u32).to_le_bytes()].concat();
    let guest = memory.guest();
    let pieces: [(u64, &[u8]); 4] =
        [(CODE, &code), (HANDLER, &handler), (IDT + 8 * VECTOR, &gate.to_le_bytes()), (IDTR, &idtr)];
    for (at, bytes) in pieces {
        guest.write_slice(bytes, GuestAddress(at)).unwrap();
    }
}

/// Waits until something holds.
fn soon(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

#[test]
fn events_become_interrupts_and_device_pages_and_bells_cost_no_exit() {
    let kvm = match open() {
        Ok(kvm) => kvm,
        Err(e) => return eprintln!("skipped: {e}"),
    };
    let memory = Arc::new(Memory::new(&config::Memory { size: 16 << 20, ..Default::default() }, false).unwrap());
    program(&memory);
    let vm = Vm::new(&kvm, memory.clone(), AddressMap::new(Vec::new())).unwrap();
    let page = MmapRegion::<()>::new(4096).unwrap();
    let slot = vm.map(PAGE, &Area { offset: 0, len: 4096, host: page.as_ptr() }).unwrap();
    let bell = EventFd::new(libc::EFD_NONBLOCK).unwrap();
    vm.fd().register_ioevent(&bell, &IoEventAddress::Mmio(BELL), NoDatamatch).unwrap();
    let (gsi, event) = (vm.allocate_gsi().unwrap(), EventFd::new(0).unwrap());
    vm.route(&[(gsi, layout::LAPIC, VECTOR as u32)]).unwrap();
    vm.attach(&event, gsi).unwrap();

    let mut vcpu = vm.fd().create_vcpu(0).unwrap();
    registers::common(&vcpu).unwrap();
    registers::boot(&vcpu, memory.guest(), Entry::Pvh(CODE)).unwrap();
    let processor = std::thread::spawn(move || match vcpu.run().unwrap() {
        VcpuExit::IoOut(0x80, _) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    assert!(soon(|| bell.read().is_ok()), "the guest did not ring");
    for count in 1..=2 {
        event.write(1).unwrap();
        assert!(soon(|| page.get_ref::<u32>(0).unwrap().load() == count), "the guest did not count to {count}");
    }
    // Its first exit is the one that ends it: neither interrupts, nor the page, nor the bell made one.
    assert_eq!(processor.join().unwrap(), Ok(()));
    assert_eq!(bell.read().unwrap(), 2);
    vm.detach(&event, gsi);
    vm.unmap(slot);
}

#[test]
fn an_interrupt_reaches_the_io_apic_and_not_the_8259_that_kvm_has() {
    let kvm = match open() {
        Ok(kvm) => kvm,
        Err(e) => return eprintln!("skipped: {e}"),
    };
    let memory = Arc::new(Memory::new(&config::Memory { size: 16 << 20, ..Default::default() }, false).unwrap());
    let vm = Vm::new(&kvm, memory, AddressMap::new(Vec::new())).unwrap();
    let chip = |chip_id| {
        let mut chip = kvm_irqchip { chip_id, ..Default::default() };
        vm.fd().get_irqchip(&mut chip).unwrap();
        chip
    };
    for pin in 0..layout::IOAPIC_PINS {
        vm.fd().set_irq_line(pin, true).unwrap();
        // SAFETY: KVM has filled the part of the union that belongs to the chip that was asked for.
        let (apic, master, slave) = unsafe {
            let irr = |id| chip(id).chip.pic.irr;
            (chip(KVM_IRQCHIP_IOAPIC).chip.ioapic.irr, irr(KVM_IRQCHIP_PIC_MASTER), irr(KVM_IRQCHIP_PIC_SLAVE))
        };
        assert_eq!((apic >> pin & 1, master, slave), (1, 0, 0), "pin {pin}");
    }
}
