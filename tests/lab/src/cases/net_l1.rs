//! Stock Linux's virtio_net on net VFs of a card, by vfio-user, in an emulated machine with an IOMMU; beyond the card's port is a
//! second card, one in software, driven by our driver.

use std::process::Stdio;

use super::Case;
use crate::machine::{Machine, Outcome, silent};
use crate::pieces::Pieces;
use crate::server::Server;
use crate::{Initramfs, Result, command, programs};

/// The case.
pub const CASE: Case = Case {
    name: "net-l1",
    about: "stock Linux's virtio_net on two net VFs of the RTL: ping through the port, VF to VF, TCP, FLR, rebinding",
    run,
};

const SCRIPT: &str = include_str!("../../guest/net-l1.sh");

fn run(pieces: &Pieces) -> Result<Outcome> {
    let name = "net-l1";
    let server = Server::network(&pieces.root, name, 2)?;
    // It answers while it asks.
    let mut peer = command::tied(programs::azote()?, "KILL")?;
    peer.args(["--sim", "--soft", "--eth"]).arg(format!("socket:{}", server.wire().display()));
    peer.args(["net", "ping", "vf0", "10.5.0.1", "--from", "10.5.0.9/24", "--interval", "300"]);
    let _peer = command::start(peer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
    let initramfs = Initramfs::new(pieces, &["virtio_net"], SCRIPT)?.write(name)?;
    let outcome = Machine::new(pieces, name, initramfs)
        .with_iommu()
        .with_port("rp0", 0)
        .with_port("rp1", 1)
        .with(&["-device", &server.device(0, "rp0"), "-device", &server.device(1, "rp1")])
        .timeout(200)
        .run(&mut silent)?;
    server.stop()?;
    Ok(outcome)
}
