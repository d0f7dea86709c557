//! Stock Linux on the RTL: a virtual function of the simulated card, by vfio-user, in an emulated machine with an IOMMU.

use super::Case;
use crate::machine::{Machine, Outcome, silent};
use crate::pieces::Pieces;
use crate::server::Server;
use crate::{Error, Initramfs, Result, image, programs};

/// The case.
pub const CASE: Case = Case {
    name: "rtl-l1",
    about: "stock Linux on two RTL VFs (vfio-user): file system, tree, checksums, fsck, FLR and rebinding under I/O",
    run,
};

/// The same without shared memory.
pub const BY_MESSAGE: Case = Case {
    name: "rtl-msg",
    about: "stock Linux on an RTL VF without shared memory: all DMA by vfio-user messages",
    run: by_message,
};

const SCRIPT: &str = include_str!("../../guest/rtl-l1.sh");

fn run(pieces: &Pieces) -> Result<Outcome> {
    let volumes = [image::empty(pieces, "rtl-l1-vf0", 64)?, image::empty(pieces, "rtl-l1-vf1", 16)?];
    let server = Server::start(&pieces.root, "rtl-l1", &volumes)?;
    let initramfs = Initramfs::new(pieces, &[], SCRIPT)?
        // It is a part of the tree that is copied, and a large one.
        .program(&programs::azote()?)?
        .program(&programs::host("mke2fs")?)?
        .program(&programs::host("e2fsck")?)?
        .write("rtl-l1")?;
    let outcome = Machine::new(pieces, "rtl-l1", initramfs)
        .with_iommu()
        .with_port("rp0", 0)
        .with_port("rp1", 1)
        .with(&["-device", &server.device(0, "rp0"), "-device", &server.device(1, "rp1")])
        .timeout(300)
        .run(&mut silent)?;
    server.stop()?;
    Ok(outcome)
}

fn by_message(pieces: &Pieces) -> Result<Outcome> {
    let name = "rtl-msg";
    let server = Server::start(&pieces.root, name, &[image::empty(pieces, name, 32)?])?;
    let initramfs = Initramfs::new(pieces, &[], include_str!("../../guest/rtl-msg.sh"))?
        .program(&programs::host("mke2fs")?)?
        .program(&programs::host("e2fsck")?)?
        .write(name)?;
    let outcome = Machine::new(pieces, name, initramfs)
        .private()
        .with_port("rp0", 0)
        .with(&["-device", &server.device(0, "rp0")])
        .timeout(200)
        .run(&mut silent)?;
    let report = server.stop()?;
    // Nothing may have gone the other way.
    if report.contains("and 0 B by message") {
        return Err(Error::Piece(format!("no DMA went by message: {report}")));
    }
    Ok(outcome)
}
