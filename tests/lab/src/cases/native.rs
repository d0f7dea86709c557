//! The same guests without an emulated host, on a machine whose processor runs them itself.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::{Case, nested};
use crate::machine::{Line, Outcome, follow};
use crate::pieces::Pieces;
use crate::server::Server;
use crate::{Initramfs, Result, command, image, programs};

/// The case.
pub const CASE: Case = Case {
    name: "native",
    about: "on this machine's own KVM: an RTL VF by vfio-user, and the whole card, in stock Linux guests",
    run,
};

/// The longest that a guest may take.
const PATIENCE: Duration = Duration::from_secs(120);

fn run(pieces: &Pieces) -> Result<Outcome> {
    if let Err(why) = usable() {
        return Ok(Outcome { skipped: Some(why), ..Outcome::default() });
    }
    let mut outcome = Outcome::default();
    let server = Server::start(&pieces.root, CASE.name, &[image::empty(pieces, "native", 64)?])?;
    let disk = nested::guest(pieces, CASE.name, nested::DISK_GUEST)?;
    let device = format!("socket={}", server.socket(0).display());
    guest(pieces, &disk, &["--user-device", &device], &mut outcome)?;
    server.stop()?;
    let volumes: Vec<String> = (0..4)
        .map(|i| image::empty(pieces, &format!("native-{i}"), 8).map(|path| format!("volume={}", path.display())))
        .collect::<Result<_>>()?;
    let card = Initramfs::new(pieces, &[], nested::CARD_GUEST)?.write("native-card-guest")?;
    guest(pieces, &card, &["--card", &format!("vfs=4,{}", volumes.join(","))], &mut outcome)?;
    Ok(outcome)
}

/// Can this machine's KVM run a Linux? The PVM kind, and none at all, cannot.
fn usable() -> std::result::Result<(), String> {
    if let Err(e) = std::fs::File::options().read(true).write(true).open("/dev/kvm") {
        return Err(format!("/dev/kvm cannot be opened: {e}"));
    }
    let modules = ["kvm_intel", "kvm_amd"];
    if modules.iter().any(|name| Path::new("/sys/module").join(name).exists()) {
        Ok(())
    } else {
        Err("/dev/kvm is not of the VMX or SVM kind, and runs no Linux; its plumbing is tried by hypervisor-glue's tests".into())
    }
}

fn guest(pieces: &Pieces, initramfs: &Path, device: &[&str], outcome: &mut Outcome) -> Result<()> {
    let mut azote = command::tied(programs::azote()?, "TERM")?;
    programs::vmm()?;
    azote.arg("run").arg("--kernel").arg(&pieces.kernel.elf).arg("--initramfs").arg(initramfs);
    azote.args(["--memory", "size=256M", "--cmdline", "console=ttyS0 quiet panic=-1 lab=guest"]).args(device);
    azote.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let log = pieces.root.join("logs").join("native.log");
    follow(azote, &log, PATIENCE, &mut |line| match line {
        Line::Step(step) => outcome.steps.push(step),
        Line::Value(name, value) => outcome.values.push((name, value)),
        _ => {}
    })
}
