//! What the model's controllers say of themselves (NVMe 1.4 §5.15).

use azote_regs::ids;
use azote_regs::nvme::{controller as regs, identify as at, limits, opcode};

use super::nvme::Binding;

fn put(page: &mut [u8], offset: u64, bytes: &[u8]) {
    page[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
}

/// The page for an Identify command; `None` for a structure that there is not.
pub(super) fn page(cns: u64, nsid: u64, function: u8, binding: Option<Binding>) -> Option<Vec<u8>> {
    let mut page = vec![0; at::SIZE as usize];
    match cns {
        opcode::CNS_CONTROLLER => controller(&mut page, function),
        opcode::CNS_NAMESPACE if nsid == limits::NSID => {
            if let Some(binding) = binding {
                for offset in [at::NSZE, at::NCAP, at::NUSE] {
                    put(&mut page, offset, &binding.blocks.to_le_bytes());
                }
                put(&mut page, at::NSATTR, &[if binding.read_only { at::NSATTR_WRITE_PROTECTED as u8 } else { 0 }]);
                put(&mut page, at::LBAF0, &(at::LBAF_LBADS.put(limits::LBA_SHIFT) as u32).to_le_bytes());
            }
        }
        opcode::CNS_ACTIVE_LIST => {
            if binding.is_some() && nsid < limits::NSID {
                put(&mut page, 0, &(limits::NSID as u32).to_le_bytes());
            }
        }
        opcode::CNS_DESCRIPTORS if nsid == limits::NSID => {
            put(&mut page, at::NIDT, &[at::NIDT_EUI64 as u8, 8]);
            put(&mut page, at::NID, &(ids::SERIAL ^ u64::from(function)).to_be_bytes());
        }
        _ => return None,
    }
    Some(page)
}

fn controller(page: &mut [u8], function: u8) {
    put(page, at::VID, &(ids::VENDOR as u16).to_le_bytes());
    put(page, at::SSVID, &(ids::SUBSYSTEM_VENDOR as u16).to_le_bytes());
    put(page, at::SN, format!("SOFT{function:016x}").as_bytes());
    put(page, at::MN, &at::MODEL);
    put(page, at::FR, &at::FIRMWARE);
    put(page, at::MDTS, &[limits::MDTS as u8]);
    put(page, at::CNTLID, &u16::from(function).to_le_bytes());
    put(page, at::VER, &(regs::VS_VALUE as u32).to_le_bytes());
    put(page, at::CNTRLTYPE, &[1]);
    put(page, at::ACL, &[limits::ACL as u8]);
    put(page, at::AERL, &[limits::AERL as u8]);
    put(page, at::SQES, &[(limits::SQE_SHIFT << 4 | limits::SQE_SHIFT) as u8]);
    put(page, at::CQES, &[(limits::CQE_SHIFT << 4 | limits::CQE_SHIFT) as u8]);
    put(page, at::NN, &(limits::NAMESPACES as u32).to_le_bytes());
    put(page, at::ONCS, &((at::ONCS_WRITE_ZEROES | at::ONCS_DATASET) as u16).to_le_bytes());
    put(page, at::VWC, &[1]);
}
