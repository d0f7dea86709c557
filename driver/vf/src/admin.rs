//! Admin commands to a controller that the kernel's nvme driver has: its pass-through ioctl.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use crate::{Error, Result};

/// `struct nvme_passthru_cmd` (linux/nvme_ioctl.h).
#[repr(C)]
#[derive(Default)]
struct Passthru {
    opcode: u8,
    flags: u8,
    rsvd1: u16,
    nsid: u32,
    cdw2: u32,
    cdw3: u32,
    metadata: u64,
    addr: u64,
    metadata_len: u32,
    data_len: u32,
    cdw10: u32,
    cdw11: u32,
    cdw12: u32,
    cdw13: u32,
    cdw14: u32,
    cdw15: u32,
    timeout_ms: u32,
    result: u32,
}

/// `NVME_IOCTL_ADMIN_CMD`: `_IOWR('N', 0x41, struct nvme_passthru_cmd)`.
const NVME_IOCTL_ADMIN_CMD: libc::c_ulong = 0xc048_4e41;
const _: () = assert!(size_of::<Passthru>() == 72);

/// A controller's character device.
pub struct Admin {
    address: String,
    file: File,
}

impl Admin {
    /// Opens `/dev/nvmeN`.
    pub fn open(address: &str, node: &Path) -> Result<Admin> {
        let file = File::options().read(true).write(true).open(node).map_err(Error::io("open", node))?;
        Ok(Admin { address: address.to_owned(), file })
    }

    /// One command; `data` is what it reads.
    pub fn command(&self, name: &'static str, opcode: u64, cdw10: u64, cdw11: u64, data: &mut [u8]) -> Result<u32> {
        let mut command = Passthru {
            opcode: opcode as u8,
            addr: if data.is_empty() { 0 } else { data.as_mut_ptr() as u64 },
            data_len: data.len() as u32,
            cdw10: cdw10 as u32,
            cdw11: cdw11 as u32,
            ..Passthru::default()
        };
        // SAFETY: `command` has the layout that the ioctl takes, and its address and length are those of `data`, which is
        // borrowed mutably until the call returns.
        let status = unsafe { libc::ioctl(self.file.as_raw_fd(), NVME_IOCTL_ADMIN_CMD, &raw mut command) };
        let failed = |reason: String| Error::Admin { address: self.address.clone(), command: name, reason };
        match status {
            0 => Ok(command.result),
            s if s < 0 => Err(failed(std::io::Error::last_os_error().to_string())),
            s => Err(failed(format!("status {:#x}", s & 0x7ff))),
        }
    }
}
