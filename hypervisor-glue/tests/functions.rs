//! What a guest sees of a passed-through function and of the root port, register by register.

#![allow(clippy::unwrap_used, clippy::single_range_in_vec_init, reason = "helpers of tests; one window is meant")]

use std::sync::{Arc, Mutex};

use azote_hypervisor::{
    exits::Exits,
    pci::{
        Configure, Machine, Passthrough,
        ecam::Buses,
        port::{Downstream, RootPort},
    },
    testing::{CheckingMachine, plausible},
};

fn read32(f: &dyn Configure, at: u16) -> u32 {
    let mut data = [0; 4];
    f.config_read(at, &mut data);
    u32::from_le_bytes(data)
}

fn write32(f: &dyn Configure, at: u16, value: u32) {
    f.config_write(at, &value.to_le_bytes());
}

fn ready() -> (Arc<Passthrough>, Arc<CheckingMachine>, u64) {
    let (f, machine) = plausible().unwrap();
    f.config_write(4, &6u16.to_le_bytes());
    let bar = u64::from(read32(&*f, 0x10) & !0xf) | u64::from(read32(&*f, 0x14)) << 32;
    (f, machine, bar)
}

fn mmio(machine: &CheckingMachine, at: u64) -> u32 {
    let mut data = [0; 4];
    machine.addresses().read(at, &mut data);
    u32::from_le_bytes(data)
}

#[test]
fn a_bar_tells_its_size_and_comes_back_where_it_was() {
    let (f, machine, bar) = ready();
    assert_eq!(machine.mapped(), [bar..bar + 0x2000], "the table's pages are not mapped");
    write32(&*f, 0x10, !0);
    write32(&*f, 0x14, !0);
    assert_eq!((read32(&*f, 0x10), read32(&*f, 0x14)), (0xffff_c004, !0));
    assert_eq!(machine.mapped(), [], "all ones is no place for a BAR");
    write32(&*f, 0x10, bar as u32 + 0x8000);
    write32(&*f, 0x14, 0);
    assert_eq!(machine.mapped(), [bar + 0x8000..bar + 0xa000]);
    f.config_write(4, &4u16.to_le_bytes());
    assert_eq!(machine.mapped(), [], "without Memory Space Enable");
    // RAM, configuration space and the APIC are no places either.
    for place in [0u32, 0x10_0000, 0xe000_0000, 0xfee0_0000] {
        write32(&*f, 0x10, place);
        f.config_write(4, &6u16.to_le_bytes());
        assert_eq!(machine.mapped(), [], "{place:#x}");
    }
}

#[test]
fn what_is_the_hosts_is_hidden() {
    let (f, _, _) = ready();
    assert_eq!(read32(&*f, 0), 0x10f1_1af4);
    // MSI-X, PCI Express, power management, vendor: 0x40, 0x60, 0xa0, 0xb0.
    assert_eq!(read32(&*f, 0x60) >> 20 & 0xf, 9, "an integrated endpoint");
    // SR-IOV at the list's beginning became an empty entry that points on; the vendor's and the serial number are there.
    assert_eq!((read32(&*f, 0x100), read32(&*f, 0x140), read32(&*f, 0x180)), (0x1400_0000, 0x1801_000b, 0x0001_0003));
    assert_eq!(read32(&*f, 0x3c), 0, "no interrupt pin");
    write32(&*f, 0, !0);
    assert_eq!(read32(&*f, 0), 0x10f1_1af4);
}

#[test]
fn a_masked_vector_is_pending_and_an_unmasked_one_is_attached() {
    let (f, machine, bar) = ready();
    let write = |at: u64, value: u32| machine.addresses().write(bar + at, &value.to_le_bytes());
    f.config_write(0x42, &0x8000u16.to_le_bytes());
    assert_eq!((machine.attached(), mmio(&machine, bar + 0x3000)), (0, 0xff), "all are masked, all were signalled");
    write(0x2010, 0xfee0_0000);
    write(0x2018, 0x41);
    write(0x201c, 0);
    assert_eq!(machine.attached(), 1);
    assert_eq!(mmio(&machine, bar + 0x3000), 0xfd, "what is attached is delivered");
    f.config_write(0x42, &0xc000u16.to_le_bytes());
    assert_eq!(machine.attached(), 0, "function mask");
    f.config_write(0x42, &0x8000u16.to_le_bytes());
    assert_eq!(machine.attached(), 1);
    write(0x201c, 1);
    assert_eq!(machine.attached(), 0);
    write(0x201c, 0);
    f.config_write(0x42, &0u16.to_le_bytes());
    assert_eq!(machine.attached(), 0, "MSI-X off");
    assert_eq!(mmio(&machine, bar + 0x3000), 0);
}

#[test]
fn function_mask_and_enable_are_as_vfio_pci_has_them() {
    let (f, machine, bar) = ready();
    let write = |at: u64, value: u32| machine.addresses().write(bar + at, &value.to_le_bytes());
    let control = |value: u16| f.config_write(0x42, &value.to_le_bytes());
    // The table is written, and a vector unmasked, before MSI-X is on: nothing follows yet.
    write(0x2000, 0xfee0_0000);
    write(0x2008, 0x41);
    write(0x200c, 0);
    assert_eq!(machine.attached(), 0);
    // As Linux does it: on with Function Mask set, then the mask off. What came while it was set is pending.
    control(0xc000);
    assert_eq!((read32(&*f, 0x40) >> 16, machine.attached(), mmio(&machine, bar + 0x3000)), (0xc007, 0, 0xff));
    control(0x8000);
    assert_eq!((machine.attached(), mmio(&machine, bar + 0x3000)), (1, 0xfe));
    // Function Mask hides no mask of a vector, and off means off whatever it says.
    control(0xc000);
    write(0x200c, 1);
    control(0x8000);
    assert_eq!(machine.attached(), 0);
    write(0x200c, 0);
    control(0x4000);
    assert_eq!((machine.attached(), mmio(&machine, bar + 0x3000)), (0, 0), "nothing is kept for the next driver");
    // The size of the table is not to be written.
    control(0x07ff);
    assert_eq!(read32(&*f, 0x40) >> 16, 7);
}

#[test]
fn a_message_that_kvm_has_refused_is_not_kept_and_spoils_no_other() {
    use azote_hypervisor::testing::REFUSED;
    let (f, machine, bar) = ready();
    let write = |vector: u64, at: u64, value: u32| {
        machine.addresses().write(bar + 0x2000 + 16 * vector + at, &value.to_le_bytes());
    };
    let message = |vector, high: u32| {
        write(vector, 12, 1);
        write(vector, 0, 0xfee0_0000);
        write(vector, 4, high);
        write(vector, 8, 0x40 + vector as u32);
        write(vector, 12, 0);
    };
    let bad = (REFUSED >> 32) as u32;
    message(0, bad);
    message(1, 0);
    f.config_write(0x42, &0x8000u16.to_le_bytes());
    assert_eq!(machine.attached(), 1, "one of two that came in one call");
    message(1, bad);
    assert_eq!(machine.attached(), 0, "not delivered by the message before");
    message(1, 0);
    message(0, 0);
    assert_eq!(machine.attached(), 2);
}

#[test]
fn a_guest_is_offered_no_reset_by_power_states() {
    let (f, _, _) = ready();
    // PMCSR: No_Soft_Reset, and it stays over D3hot and back, and whatever is written.
    let pmcsr = || read32(&*f, 0xa4) & 0xffff;
    assert_eq!(pmcsr(), 8);
    write32(&*f, 0xa4, 3);
    assert_eq!(pmcsr(), 0xb);
    write32(&*f, 0xa4, 0xfff0);
    assert_eq!(pmcsr(), 8);
    f.config_write(0x69, &[0x80]);
    assert_eq!(pmcsr(), 8, "after FLR");
}

#[test]
fn function_level_reset_puts_everything_back() {
    let (f, machine, bar) = ready();
    f.config_write(0x42, &0x8000u16.to_le_bytes());
    machine.addresses().write(bar + 0x200c, &0u32.to_le_bytes());
    assert_eq!(machine.attached(), 1);
    // Initiate FLR, in the upper byte of Device Control.
    f.config_write(0x69, &[0x80]);
    assert_eq!((machine.attached(), machine.mapped()), (0, vec![]));
    assert_eq!((read32(&*f, 4) & 0xffff, read32(&*f, 0x40) >> 16, read32(&*f, 0x68) & 0x8000), (0, 7, 0));
    f.config_write(4, &2u16.to_le_bytes());
    assert_eq!(mmio(&machine, bar + 0x200c), 1, "masked again; the BAR is where it was");
}

/// Remembers what came through the port.
#[derive(Default)]
struct Behind(Mutex<Vec<String>>);

impl Downstream for Behind {
    fn config_read(&self, bus: u8, function: u8, offset: u16, data: &mut [u8]) {
        self.0.lock().unwrap().push(format!("{bus}:{function} {offset:#x}"));
        data.fill(0x11);
    }
    fn config_write(&self, bus: u8, function: u8, offset: u16, _: &[u8]) {
        self.0.lock().unwrap().push(format!("{bus}:{function} {offset:#x} written"));
    }
    fn memory_read(&self, address: u64, data: &mut [u8]) {
        self.0.lock().unwrap().push(format!("{address:#x}"));
        data.fill(0x22);
    }
    fn memory_write(&self, address: u64, _: &[u8]) {
        self.0.lock().unwrap().push(format!("{address:#x} written"));
    }
}

#[test]
fn the_port_forwards_what_its_registers_say() {
    let behind = Arc::new(Behind::default());
    let machine = CheckingMachine::new(vec![0xc000_0000..0xe000_0000]);
    let port = RootPort::new(behind.clone(), machine.clone(), 0xc000_0000..0xc100_0000, &Exits::default());
    port.start();
    let taken = || std::mem::take(&mut *behind.0.lock().unwrap());
    let ask = |bus, function| {
        let mut data = [0; 4];
        Buses::config_read(&*port, bus, function, 0, &mut data);
        data[0]
    };
    assert_eq!((ask(1, 7), ask(1, 8), ask(2, 0)), (0x11, 0xff, 0xff), "without ARI forwarding: device 0 only");
    write32(&*port, 0x68, 0x20);
    assert_eq!((ask(1, 0xff), taken().len()), (0x11, 2));
    // Another bus number, and none.
    write32(&*port, 0x18, 0x00_05_05_00);
    assert_eq!((ask(1, 0), ask(5, 16)), (0xff, 0x11));
    write32(&*port, 0x18, 0);
    assert_eq!((ask(0, 0), ask(5, 0)), (0xff, 0xff));
    taken();
    assert_eq!(mmio(&machine, 0xc0ff_fffc), 0x2222_2222);
    assert_eq!(taken(), ["0xc0fffffc"]);
    // The window moves, closes, and goes where it may not.
    write32(&*port, 0x20, 0xd010_d010);
    assert_eq!((mmio(&machine, 0xc000_0000), mmio(&machine, 0xd010_0000)), (!0, 0x2222_2222));
    for window in [0xd000_d010u32, 0xe000_e000, 0xfff0_0000] {
        write32(&*port, 0x20, window);
        assert_eq!(mmio(&machine, 0xd010_0000), !0, "{window:#x}");
    }
    write32(&*port, 0, !0);
    assert_eq!(read32(&*port, 0), 0x10ff_1af4);
}
