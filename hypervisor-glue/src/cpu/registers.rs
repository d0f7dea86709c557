//! The state in which a virtual processor starts.

use kvm_bindings::{Msrs, kvm_fpu, kvm_msr_entry, kvm_regs, kvm_segment};
use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use crate::{Error, Result, kernel::Entry, layout};

const CR0_PE: u64 = 1;
const CR0_PG: u64 = 1 << 31;
const CR0_ET: u64 = 1 << 4;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;

const MSR_MISC_ENABLE: u32 = 0x1a0;
const MISC_ENABLE_FAST_STRING: u64 = 1;
const MSR_MTRR_DEFAULT: u32 = 0x2ff;
/// MTRRs on, and everything that they do not name is write-back.
const MTRR_WRITE_BACK: u64 = 1 << 11 | 6;

/// Local vector table of the APIC: LINT0 and LINT1.
const APIC_LVT0: usize = 0x350;
const APIC_LVT1: usize = 0x360;
const APIC_MODE_NMI: u32 = 4 << 8;
const APIC_MASKED: u32 = 1 << 16;

/// A flat segment of 4 GiB.
fn flat(selector: u16, kind: u8, long: bool) -> kvm_segment {
    kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector,
        type_: kind,
        present: 1,
        dpl: 0,
        db: u8::from(!long),
        s: 1,
        l: u8::from(long),
        g: 1,
        ..Default::default()
    }
}

/// The descriptor of a segment, as it stands in the GDT.
fn descriptor(s: &kvm_segment) -> u64 {
    let limit = u64::from(if s.g == 1 { s.limit >> 12 } else { s.limit });
    let access = u64::from(s.type_) | u64::from(s.s) << 4 | u64::from(s.dpl) << 5 | u64::from(s.present) << 7;
    let flags = u64::from(s.l) << 1 | u64::from(s.db) << 2 | u64::from(s.g) << 3;
    limit & 0xffff | access << 40 | (limit >> 16) << 48 | flags << 52
}

/// Sets up any processor: what firmware does on all of them.
pub fn common(vcpu: &VcpuFd) -> Result<()> {
    let fpu = kvm_fpu { fcw: 0x37f, mxcsr: 0x1f80, ..Default::default() };
    vcpu.set_fpu(&fpu).map_err(Error::kvm("setting the FPU"))?;
    let entry = |index, data| kvm_msr_entry { index, data, ..Default::default() };
    // One at a time: hosts differ in which of them they know, and the guest starts without any of them.
    for msr in [entry(MSR_MISC_ENABLE, MISC_ENABLE_FAST_STRING), entry(MSR_MTRR_DEFAULT, MTRR_WRITE_BACK)] {
        if let Ok(msrs) = Msrs::from_entries(&[msr]) {
            let _ = vcpu.set_msrs(&msrs);
        }
    }
    let mut lapic = vcpu.get_lapic().map_err(Error::kvm("reading an APIC"))?;
    let mut set = |register: usize, value: u32| {
        for (slot, byte) in lapic.regs.iter_mut().skip(register).zip(value.to_le_bytes()) {
            *slot = byte as _;
        }
    };
    // Nothing is connected to KVM's 8259, whose interrupts LINT0 would pass on.
    set(APIC_LVT0, APIC_MASKED);
    set(APIC_LVT1, APIC_MODE_NMI);
    vcpu.set_lapic(&lapic).map_err(Error::kvm("setting an APIC"))
}

/// Sets up the processor that boots; the others wait for it in KVM.
pub fn boot(vcpu: &VcpuFd, memory: &GuestMemoryMmap, entry: Entry) -> Result<()> {
    let mut sregs = vcpu.get_sregs().map_err(Error::kvm("reading system registers"))?;
    let long = matches!(entry, Entry::Linux64(_));
    // The boot protocol's selectors: __BOOT_CS 0x10, __BOOT_DS 0x18.
    let (code, data) = (flat(0x10, 0xb, long), flat(0x18, 0x3, false));
    let tss = kvm_segment { selector: 0x20, type_: 0xb, present: 1, limit: 0x67, ..Default::default() };
    let gdt = [0, 0, descriptor(&code), descriptor(&data), descriptor(&tss)];
    let bytes: Vec<u8> = gdt.iter().flat_map(|d| d.to_le_bytes()).collect();
    let no_memory = |_| Error::Config("the guest has no memory at 0".into());
    memory.write_slice(&bytes, GuestAddress(layout::GDT)).map_err(no_memory)?;
    sregs.gdt.base = layout::GDT;
    sregs.gdt.limit = (bytes.len() - 1) as u16;
    sregs.idt.limit = 0;
    sregs.cs = code;
    (sregs.ds, sregs.es, sregs.fs, sregs.gs, sregs.ss) = (data, data, data, data, data);
    sregs.tr = tss;
    sregs.cr0 = CR0_PE | CR0_ET;
    let mut regs = kvm_regs { rflags: 2, ..Default::default() };
    match entry {
        Entry::Pvh(at) => {
            regs.rip = at;
            regs.rbx = layout::PVH_START_INFO;
        }
        Entry::Linux64(at) => {
            sregs.cr3 = layout::PAGE_TABLES;
            sregs.cr4 |= CR4_PAE;
            sregs.cr0 |= CR0_PG;
            sregs.efer |= EFER_LME | EFER_LMA;
            regs.rip = at;
            regs.rsi = layout::ZERO_PAGE;
        }
    }
    vcpu.set_sregs(&sregs).map_err(Error::kvm("setting system registers"))?;
    vcpu.set_regs(&regs).map_err(Error::kvm("setting registers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_as_the_processor_reads_them() {
        assert_eq!(descriptor(&flat(0x10, 0xb, false)), 0x00cf_9b00_0000_ffff);
        assert_eq!(descriptor(&flat(0x10, 0xb, true)), 0x00af_9b00_0000_ffff);
        assert_eq!(descriptor(&flat(0x18, 0x3, false)), 0x00cf_9300_0000_ffff);
    }
}
