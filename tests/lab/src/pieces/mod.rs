//! What the lab is made of, fetched once: QEMU, a kernel, a shell.
//!
//! Nothing is installed. The packages' files are unpacked into the lab's folder and run from there by their own dynamic
//! linker, so that an older host can run a newer QEMU.

mod apt;
mod kernel;
mod programs;

use std::path::{Path, PathBuf};
use std::process::Command;

pub use kernel::Kernel;
pub use programs::closure;

use crate::{Error, Result, command, folder};
use apt::Apt;

/// Packages of QEMU and where they come from. seabios must be as new as QEMU asks.
const SUITE: &str = "trixie";
const BACKPORTS: &str = "trixie-backports";
const QEMU: [&str; 3] = ["qemu-system-x86", "qemu-system-common", "qemu-system-data"];

/// The pieces, all on disk.
#[derive(Debug)]
pub struct Pieces {
    /// The lab's folder.
    pub root: PathBuf,
    /// Unpacked packages of QEMU and busybox.
    prefix: PathBuf,
    /// The kernel of both Linux machines.
    pub kernel: Kernel,
}

impl Pieces {
    /// Fetches what is not there yet. `say` is told of every step that takes time.
    pub fn ready(say: &dyn Fn(&str)) -> Result<Pieces> {
        let root = folder::root()?;
        // Two at once would unpack over each other.
        let path = root.join("lock");
        let lock = std::fs::File::create(&path).map_err(Error::io("create", &path))?;
        lock.lock().map_err(Error::io("lock", &path))?;
        let prefix = root.join("prefix");
        let kernel = root.join("kernel");
        let apt = Apt::new(&root.join("apt"), SUITE, BACKPORTS)?;
        if !prefix.join("done").exists() {
            say("downloading QEMU 11.1 from Debian's trixie-backports (37 MB)");
            apt.update()?;
            apt.pin("seabios", BACKPORTS)?;
            let packages: Vec<String> = QEMU.iter().map(|p| format!("{p}/{BACKPORTS}")).collect();
            let mut archives = apt.download_with_dependencies(&packages)?;
            archives.extend(apt.download("busybox-static")?);
            say("unpacking QEMU");
            unpack(&archives, &prefix)?;
        }
        if !kernel.join("done").exists() {
            say("downloading a Linux kernel (34 MB)");
            apt.update()?;
            let package = apt.dependency("linux-image-cloud-amd64", SUITE, "linux-image-")?;
            unpack(&apt.download(&package)?, &kernel)?;
        }
        let kernel = Kernel::at(&kernel, say)?;
        Ok(Pieces { root, prefix, kernel })
    }

    /// QEMU, as a command that needs its arguments yet. It ends with this process.
    pub fn qemu(&self) -> Result<Command> {
        let usr = self.prefix.join("usr");
        let mut command = command::tied(self.loader(), "KILL")?;
        command.arg("--library-path").arg(self.libraries()).args(["--argv0", "qemu-system-x86_64"]);
        command.arg(self.qemu_binary());
        for data in ["share/qemu", "share/seabios", "lib/ipxe/qemu"] {
            command.arg("-L").arg(usr.join(data));
        }
        Ok(command)
    }

    /// The static busybox.
    pub fn busybox(&self) -> PathBuf {
        self.prefix.join("usr/bin/busybox")
    }

    /// Files of QEMU's that a machine needs to run QEMU itself: on the host, and below `/q` in the machine.
    pub fn qemu_files(&self) -> Result<Vec<(PathBuf, String)>> {
        let mut list = Command::new(self.loader());
        list.arg("--library-path").arg(self.libraries()).arg("--list").arg(self.qemu_binary());
        let mut files =
            vec![(self.loader(), "lib/ld.so".to_owned()), (self.qemu_binary(), "bin/qemu-system-x86_64".to_owned())];
        for line in command::output(&mut list)?.lines() {
            let path = line.split("=>").nth(1).and_then(|rest| rest.split_whitespace().next()).map(PathBuf::from);
            if let Some((path, name)) = path.and_then(|p| Some((p.clone(), p.file_name()?.to_str()?.to_owned()))) {
                files.push((path, format!("lib/{name}")));
            }
        }
        let data = [
            "seabios/bios-256k.bin",
            "seabios/bios-microvm.bin",
            "qemu/linuxboot_dma.bin",
            "qemu/kvmvapic.bin",
            "qemu/pvh.bin",
        ];
        for name in data {
            let path = self.prefix.join("usr/share").join(name);
            let file = name.rsplit('/').next().unwrap_or(name);
            files.push((path, format!("share/{file}")));
        }
        Ok(files)
    }

    fn loader(&self) -> PathBuf {
        self.prefix.join("usr/lib64/ld-linux-x86-64.so.2")
    }

    fn libraries(&self) -> PathBuf {
        self.prefix.join("usr/lib/x86_64-linux-gnu")
    }

    fn qemu_binary(&self) -> PathBuf {
        self.prefix.join("usr/bin/qemu-system-x86_64")
    }
}

/// Unpacks packages into a folder, and marks it as whole.
fn unpack(archives: &[PathBuf], into: &Path) -> Result<()> {
    folder::make(into)?;
    for archive in archives {
        command::output(Command::new("dpkg-deb").arg("-x").arg(archive).arg(into))?;
    }
    // Debian's merged /usr, which a package that is not among these would make.
    for name in ["bin", "sbin", "lib", "lib64"] {
        let link = into.join(name);
        if !link.exists() {
            std::os::unix::fs::symlink(format!("usr/{name}"), &link).map_err(Error::io("link", &link))?;
        }
    }
    let done = into.join("done");
    std::fs::write(&done, b"").map_err(Error::io("write", &done))
}
