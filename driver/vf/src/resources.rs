//! Queues and interrupts for NVMe virtual functions (NVMe 1.4 §8.5): a controller with flexible resources has its VFs
//! offline until its primary controller has given them some.

use std::path::PathBuf;

use azote_regs::nvme::{identify, opcode, virtualization as vm};

use crate::admin::Admin;
use crate::{Error, Host, Result};

/// What has to be done for so many VFs.
pub struct Plan {
    admin: Admin,
    node: PathBuf,
    host: Host,
    address: String,
    count: u16,
    queues: u64,
    interrupts: u64,
    /// The primary controller holds flexible resources that it must give up first.
    to_free: [bool; 2],
}

/// The least that a controller needs: an admin and an I/O queue pair, and a vector.
const LEAST: (u32, u32) = (2, 1);

/// What to do for `count` VFs of this PF; `None` if its VFs need nothing, as those of an Azote card, or if no nvme driver
/// has the PF and so nobody can be asked.
pub fn plan(host: &Host, address: &str, count: u16) -> Result<Option<Plan>> {
    let Some(name) = controller(host, address) else { return Ok(None) };
    let admin = Admin::open(address, &host.dev.join(&name))?;
    let mut page = [0; 4096];
    admin.command("Identify Controller", opcode::IDENTIFY, opcode::CNS_CONTROLLER, 0, &mut page)?;
    if !vm::OACS_SUPPORTED.is_set(word(&page, identify::OACS as usize).into()) {
        return Ok(None);
    }
    admin.command("Identify (Primary Controller Capabilities)", opcode::IDENTIFY, vm::CNS_PRIMARY, 0, &mut page)?;
    let (queues, interrupts) = (dword(&page, vm::primary::VQFRT), dword(&page, vm::primary::VIFRT));
    let share = |total: u32, most: usize| (total / u32::from(count)).min(word(&page, most).into());
    let (each_queue, each_interrupt) = (share(queues, vm::primary::VQFRSM), share(interrupts, vm::primary::VIFRSM));
    if each_queue < LEAST.0 || each_interrupt < LEAST.1 {
        return Err(Error::Resources { address: address.into(), wanted: count, queues, interrupts });
    }
    Ok(Some(Plan {
        admin,
        node: host.sys.join("class/nvme").join(&name),
        host: host.clone(),
        address: address.to_owned(),
        count,
        queues: each_queue.into(),
        interrupts: each_interrupt.into(),
        to_free: [vm::primary::VQRFAP, vm::primary::VIRFAP].map(|at| word(&page, at) > 0),
    }))
}

impl Plan {
    /// Gives the VFs their resources and brings them online.
    pub fn carry_out(&self) -> Result<()> {
        self.free_primary()?;
        let mut list = [0; 4096];
        self.admin.command(
            "Identify (Secondary Controller List)",
            opcode::IDENTIFY,
            vm::CNS_SECONDARY,
            0,
            &mut list,
        )?;
        for index in 0..usize::from(list[vm::secondary::COUNT]).min(127) {
            let at = vm::secondary::FIRST + index * vm::secondary::ENTRY;
            let entry = &list[at..at + vm::secondary::ENTRY];
            let (id, number) = (word(entry, vm::secondary::SCID), word(entry, vm::secondary::VFN));
            if number == 0 || number > self.count {
                continue;
            }
            let id = u64::from(id);
            if entry[vm::secondary::STATE] & 1 != 0 {
                self.manage("Secondary Controller Offline", id, vm::OFFLINE, 0, 0)?;
            }
            self.manage("Secondary Controller Assign (queues)", id, vm::ASSIGN, vm::VQ, self.queues)?;
            self.manage("Secondary Controller Assign (interrupts)", id, vm::ASSIGN, vm::VI, self.interrupts)?;
            self.manage("Secondary Controller Online", id, vm::ONLINE, 0, 0)?;
        }
        Ok(())
    }

    /// What the primary controller holds of the flexible resources it gives up at its next reset.
    fn free_primary(&self) -> Result<()> {
        for (held, kind) in self.to_free.into_iter().zip([vm::VQ, vm::VI]) {
            if held {
                self.manage("Primary Controller Flexible Allocation", 0, vm::PRIMARY_FLEXIBLE, kind, 0)?;
            }
        }
        if self.to_free.contains(&true) {
            self.host.write(&self.node.join("reset_controller"), "1")?;
            let live = || std::fs::read_to_string(self.node.join("state")).is_ok_and(|s| s.trim() == "live");
            if !self.host.until(live) {
                let reason = "the controller did not come back".into();
                return Err(Error::Admin { address: self.address.clone(), command: "controller reset", reason });
            }
        }
        Ok(())
    }

    fn manage(&self, name: &'static str, controller: u64, action: u64, kind: u64, count: u64) -> Result<()> {
        let cdw10 = vm::CNTLID.set(vm::RT.set(vm::ACT.set(0, action), kind), controller);
        self.admin.command(name, vm::OPCODE, cdw10, vm::NR.set(0, count), &mut []).map(drop)
    }
}

/// The name of the kernel's controller on a function: `nvme0`.
fn controller(host: &Host, address: &str) -> Option<String> {
    let entries = std::fs::read_dir(host.devices().join(address).join("nvme")).ok()?;
    entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).next()
}

fn word(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u16::from_le_bytes(*b))
}

fn dword(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_le_bytes(*b))
}
