//! Images: what is refused, and who excludes whom, QEMU's own tools included. They are not worth much without those tools,
//! and so do not skip what needs them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use azote_files::{Error, Image, Use};
use tempfile::TempDir;

const WRITE: Use = Use { read_only: false, raw: false };
const READ: Use = Use { read_only: true, raw: false };

/// One test at a time: a process that one of them starts has, until it has become the tool, every descriptor of the others, and
/// with them their locks.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn image() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.img");
    std::fs::write(&path, vec![0; 1 << 20]).unwrap();
    (folder, path)
}

#[test]
fn one_writer_or_many_readers() {
    let _alone = alone();
    let (_folder, path) = image();
    let first = Image::open(&path, READ).unwrap();
    let second = Image::open(&path, READ).unwrap();
    let e = Image::open(&path, WRITE).unwrap_err();
    assert!(matches!(e, Error::Locked { .. }) && e.to_string().contains("this command itself"), "{e}");
    drop((first, second));
    let writer = Image::open(&path, WRITE).unwrap();
    assert!(Image::open(&path, WRITE).is_err() && Image::open(&path, READ).is_err());
    let again = writer.file().try_clone().unwrap();
    drop(writer);
    assert!(Image::open(&path, READ).is_err(), "a descriptor of it is still open");
    drop(again);
    Image::open(&path, READ).unwrap();
}

#[test]
fn qemus_tools_are_refused_beside_us() {
    let _alone = alone();
    let (folder, path) = image();
    let mut ours = Image::open(&path, WRITE).unwrap();
    for usage in [WRITE, READ] {
        let socket = format!("--socket={}", folder.path().join("s").display());
        for (tool, arguments) in [
            ("qemu-io", &["-f", "raw", "-c", "write 0 512"][..]),
            ("qemu-img", &["resize", "-q", "-f", "raw", "--shrink"]),
            ("qemu-nbd", &["--format=raw", &socket]),
        ] {
            let mut command = Command::new(tool);
            command.args(arguments).arg(&path).args((tool == "qemu-img").then_some("512K"));
            let output = command.output().expect("qemu-utils, of `cargo xtask setup`");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && said.contains("lock"), "{tool} beside {usage:?}: {said}");
        }
        drop(ours);
        ours = Image::open(&path, READ).unwrap();
    }
    let read = ["-r", "-f", "raw", "-c", "read 0 512"];
    let output = Command::new("qemu-io").args(read).arg(&path).output().expect("qemu-utils, of `cargo xtask setup`");
    assert!(output.status.success(), "two readers: {output:?}");
}

#[test]
fn we_are_refused_beside_qemu_and_told_who_it_is() {
    let _alone = alone();
    let (folder, path) = image();
    // A read-only server of QEMU's lets others write: so say its locks.
    for (flags, write, read) in [(&[][..], false, false), (&["--read-only"][..], true, true)] {
        let socket = folder.path().join("s");
        let mut server = Command::new("qemu-nbd")
            .args(["--persistent", "--format=raw"])
            .args(flags)
            .arg(format!("--socket={}", socket.display()))
            .arg(&path)
            .stdin(Stdio::null())
            .spawn()
            .expect("qemu-utils, of `cargo xtask setup`");
        while !socket.exists() {
            assert!(server.try_wait().unwrap().is_none(), "qemu-nbd has ended");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let said = [WRITE, READ].map(|usage| Image::open(&path, usage).map(drop).map_err(|e| e.to_string()));
        let pid = server.id();
        server.kill().unwrap();
        server.wait().unwrap();
        let _ = std::fs::remove_file(&socket);
        assert_eq!(said.each_ref().map(Result::is_ok), [write, read], "{flags:?}");
        for e in said.into_iter().filter_map(Result::err) {
            assert!(e.contains(&format!("process {pid} (qemu-nbd)")), "{e}");
        }
    }
    Image::open(&path, WRITE).unwrap();
}

#[test]
fn formats_with_a_structure_are_refused_with_the_command_that_converts_them() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    for (format, options) in [
        ("qcow2", ""),
        ("qcow", ""),
        ("qed", ""),
        ("vmdk", ""),
        ("vmdk", "subformat=monolithicFlat"),
        ("vhdx", ""),
        ("vdi", ""),
        ("vpc", ""),
        ("vpc", "subformat=fixed"),
        ("parallels", ""),
    ] {
        let path = folder.path().join(format!("a {format}{}", options.len()));
        let mut make = Command::new("qemu-img");
        make.args(["create", "-q", "-f", format]);
        if !options.is_empty() {
            make.args(["-o", options]);
        }
        assert!(make.arg(&path).arg("1M").status().expect("qemu-utils, of `cargo xtask setup`").success(), "{format}");
        let e = Image::open(&path, READ).unwrap_err();
        assert!(matches!(e, Error::Format { format: f, .. } if f == format), "{format} {options}: {e}");
        let Error::Format { command, .. } = e else { unreachable!("matched above") };
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
        assert_eq!(Image::open(&path.with_extension("raw"), WRITE).unwrap().len() >> 20, 1, "{command}");
        Image::open(&path, Use { raw: true, ..READ }).unwrap();
    }
}

#[test]
fn what_is_no_image_is_refused_at_once() {
    let _alone = alone();
    let (folder, path) = image();
    let [fifo, socket] = ["fifo", "socket"].map(|n| folder.path().join(n));
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (path, kind) in [
        (fifo.as_path(), "FIFO"),
        (&socket, "socket"),
        (folder.path(), "directory"),
        (Path::new("/dev/zero"), "character device"),
    ] {
        for usage in [READ, WRITE] {
            let e = Image::open(path, usage).unwrap_err().to_string();
            assert!(e.contains(&format!("is a {kind}")) && e.contains("block device"), "{e}");
        }
    }
    std::fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    assert!(matches!(Image::open(&path, WRITE), Err(Error::NotWritable { .. })));
    Image::open(&path, READ).unwrap();
}

/// A loop device over a file, if this machine and user can have one.
struct Loop(String);

impl Loop {
    fn over(path: &Path, flags: &[&str]) -> Option<Loop> {
        let output = Command::new("losetup").args(["--find", "--show"]).args(flags).arg(path).output().ok()?;
        output.status.success().then(|| Loop(String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[test]
fn a_block_device_is_an_image() {
    let _alone = alone();
    let (_folder, path) = image();
    let Some(device) = Loop::over(&path, &[]) else {
        eprintln!("skipped: this user can make no loop device here");
        return;
    };
    let node = Path::new(&device.0);
    let disk = Image::open(node, WRITE).unwrap();
    assert_eq!(disk.len(), 1 << 20);
    assert!(Image::open(node, WRITE).is_err());
    drop((disk, device));
    let Some(device) = Loop::over(&path, &["--read-only"]) else { return };
    let e = Image::open(Path::new(&device.0), WRITE).unwrap_err();
    assert!(matches!(e, Error::NotWritable { .. }), "{e}");
    Image::open(Path::new(&device.0), READ).unwrap();
}
