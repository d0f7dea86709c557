//! Machines that measure; `cargo xtask bench guest` runs them and makes figures of what they say.

use std::path::PathBuf;

use super::{Case, nested, nvme_vf};
use crate::machine::{Outcome, silent};
use crate::pieces::Pieces;
use crate::server::Server;
use crate::{Initramfs, Result, image, programs};

/// Our hypervisor beside QEMU.
pub const BESIDE_QEMU: Case = Case {
    name: "bench-nvme",
    about: "our hypervisor beside QEMU, on the same VF, kernel and initramfs: boot, memory, exits per I/O",
    run: beside_qemu,
};

/// The RTL in a guest.
pub const RTL: Case = Case {
    name: "bench-rtl",
    about: "the RTL's VF in a guest: reads a second, and a register access through vfio-user",
    run: rtl,
};

fn beside_qemu(pieces: &Pieces) -> Result<Outcome> {
    let name = BESIDE_QEMU.name;
    let script = include_str!("../../guest/bench-nvme.sh");
    let machine = nested::host(pieces, name, script, guest(pieces, name)?, &[])?;
    nvme_vf::with_nvme(machine.timeout(1200), &image::empty(pieces, name, 64)?).run(&mut silent)
}

fn rtl(pieces: &Pieces) -> Result<Outcome> {
    let name = RTL.name;
    let server = Server::start(&pieces.root, name, &[image::empty(pieces, name, 64)?])?;
    let script = include_str!("../../guest/bench-rtl.sh");
    let machine = nested::host(pieces, name, script, guest(pieces, name)?, &[])?;
    let outcome = machine.with_port("rp0", 0).with(&["-device", &server.device(0, "rp0")]).run(&mut silent)?;
    server.stop()?;
    Ok(outcome)
}

/// A guest that reads from its disk.
pub(super) fn guest(pieces: &Pieces, name: &str) -> Result<PathBuf> {
    let guest = Initramfs::new(pieces, &[], include_str!("../../guest/bench-guest.sh"))?;
    guest.program(&programs::probe()?)?.write(&format!("{name}-guest"))
}
