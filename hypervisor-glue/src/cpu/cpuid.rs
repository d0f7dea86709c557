//! What CPUID tells a guest: what KVM supports on this host, with the processor's place filled in.
//!
//! Two things make a guest boot fast. The TSC deadline timer and KVM's clock need no calibration; and KVM's paravirtual
//! leaves let it leave out end-of-interrupt writes and shootdown interrupts.

use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2};
use kvm_ioctls::{Cap, Kvm};

use crate::{Error, Result};

/// Leaf 1, ECX: x2APIC.
const X2APIC: u32 = 1 << 21;
/// Leaf 1, ECX: TSC deadline timer.
const TSC_DEADLINE: u32 = 1 << 24;
/// Leaf 1, ECX: there is a hypervisor.
const HYPERVISOR: u32 = 1 << 31;
/// Leaf 1, EDX: several logical processors in a package.
const HTT: u32 = 1 << 28;
/// The leaf with KVM's features.
const KVM_FEATURES: u32 = 0x4000_0001;
/// Hint in its EDX: virtual processors are never preempted for long. Not given: it is the host's to know.
const KVM_HINTS: u32 = 0;

/// CPUID of every processor, to be specialised by [`for_cpu`].
pub fn supported(kvm: &Kvm) -> Result<CpuId> {
    let mut cpuid = kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(Error::kvm("asking for CPUID"))?;
    let deadline = kvm.check_extension(Cap::TscDeadlineTimer);
    for entry in cpuid.as_mut_slice() {
        match entry.function {
            1 => {
                entry.ecx |= HYPERVISOR | X2APIC | if deadline { TSC_DEADLINE } else { 0 };
            }
            KVM_FEATURES => entry.edx = KVM_HINTS,
            _ => {}
        }
    }
    Ok(cpuid)
}

/// The same for one processor of `cpus`: one package, a core each.
#[must_use]
pub fn for_cpu(supported: &CpuId, id: u8, cpus: u8) -> CpuId {
    let mut cpuid = supported.clone();
    // APIC ids of the package, in bits.
    let bits = u32::from(cpus).next_power_of_two().trailing_zeros();
    for entry in cpuid.as_mut_slice() {
        place(entry, u32::from(id), u32::from(cpus), bits);
    }
    cpuid
}

fn place(entry: &mut kvm_cpuid_entry2, id: u32, cpus: u32, bits: u32) {
    match entry.function {
        1 => {
            entry.ebx = (entry.ebx & 0xffff) | cpus << 16 | id << 24;
            entry.edx = if cpus > 1 { entry.edx | HTT } else { entry.edx & !HTT };
        }
        // Caches: EAX 31:26 counts cores a package, 25:14 those that share the cache. One core has its own.
        4 if entry.eax & 0x1f != 0 => entry.eax = (entry.eax & 0x3fff) | (cpus - 1).min(63) << 26,
        // Extended topology: level 0 is threads (one), level 1 cores.
        0xb | 0x1f => {
            entry.edx = id;
            match entry.index {
                0 => (entry.eax, entry.ebx, entry.ecx) = (0, 1, 1 << 8),
                1 => (entry.eax, entry.ebx, entry.ecx) = (bits, cpus, 2 << 8 | 1),
                n => (entry.eax, entry.ebx, entry.ecx) = (0, 0, n),
            }
        }
        // AMD: the number of cores and the width of their ids; the extended APIC id.
        0x8000_0008 => entry.ecx = (entry.ecx & !0xf0ff) | bits << 12 | (cpus - 1),
        0x8000_001e => {
            entry.eax = id;
            entry.ebx = (entry.ebx & !0xffff) | id;
            entry.ecx &= !0x7ff;
        }
        _ => {}
    }
}

/// Physical address bits that the guest believes in.
#[must_use]
pub fn physical_bits(cpuid: &CpuId) -> u32 {
    cpuid.as_slice().iter().find(|e| e.function == 0x8000_0008).map_or(36, |e| e.eax & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_processor_has_its_place() {
        let entry = |function, index| kvm_cpuid_entry2 { function, index, edx: HTT, ..Default::default() };
        let leaves = CpuId::from_entries(&[entry(1, 0), entry(0xb, 0), entry(0xb, 1), entry(0x8000_001e, 0)]).unwrap();
        let third = for_cpu(&leaves, 2, 3);
        let third = third.as_slice();
        assert_eq!((third[0].ebx >> 24, third[0].ebx >> 16 & 0xff), (2, 3));
        assert_eq!((third[2].eax, third[2].ebx, third[2].edx), (2, 3, 2));
        assert_eq!(third[3].eax, 2);
        assert_eq!(for_cpu(&leaves, 0, 1).as_slice()[0].edx & HTT, 0);
    }
}
