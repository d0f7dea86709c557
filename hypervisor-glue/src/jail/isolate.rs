//! For a hypervisor that was started as root: namespaces of its own from the beginning, and from the guest's first
//! instruction on a user of its own, with an empty folder for its root.
//!
//! A user of its own and not `nobody`: two guests that have broken out must not reach each other either. The number is that of
//! the process above a range that nobody gives to people or services; nothing has to be set up for it.

use std::io;

use crate::log;

/// Where users of guests begin: between the last that systemd takes for containers and the end of 31 bits.
const FIRST_USER: u32 = 2_000_000_000;

/// Other processes' messages, names, mounts and networks are not ours to see.
const NAMESPACES: libc::c_int =
    libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;

fn is_root() -> bool {
    // SAFETY: asks for a number.
    unsafe { libc::geteuid() == 0 }
}

fn check(done: libc::c_int) -> io::Result<()> {
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes namespaces, if we are root. Before the first thread, so that all have them. Root without the right to it (in a container)
/// goes on without, and says so.
pub fn take_namespaces() {
    if !is_root() {
        return;
    }
    // SAFETY: calls with numbers and C strings. What is mounted here is not seen outside; what is unmounted there is here, too.
    let done = unsafe {
        check(libc::unshare(NAMESPACES)).and_then(|()| {
            let flags = libc::MS_REC | libc::MS_SLAVE;
            check(libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null()))
        })
    };
    if let Err(e) = done {
        log::warn(format_args!("jail: no namespaces of its own for this process: {e}"));
    }
}

/// Gives up being root for all threads: an empty root folder, a user and a group of its own. Every file has been opened before.
/// Root without the right to it (in a container whose users have no such number) goes on without, and says so.
pub fn become_nobody() {
    if !is_root() {
        return;
    }
    if let Err(e) = empty_root() {
        log::warn(format_args!("jail: no root folder of its own for this process: {e}"));
    }
    let user = FIRST_USER.saturating_add(std::process::id());
    // SAFETY: calls with numbers. The C library makes them for all threads.
    let done = unsafe {
        check(libc::setgroups(0, std::ptr::null()))
            .and_then(|()| check(libc::setresgid(user, user, user)))
            .and_then(|()| check(libc::setresuid(user, user, user)))
    };
    if let Err(e) = done {
        log::warn(format_args!("jail: this process stays root, without capabilities: becoming user {user}: {e}"));
    }
}

/// An empty file system that nothing can be written to, as the root of all threads.
fn empty_root() -> io::Result<()> {
    let (tmpfs, at) = (c"tmpfs".as_ptr(), c"/tmp".as_ptr());
    let flags = libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    // SAFETY: C strings, and otherwise numbers. Mounted over a folder in our own namespace; without one of our own, `take_namespaces`
    // has said so, and mounting here would be for everybody: then it is left.
    unsafe {
        if !has_own_mounts() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        check(libc::mount(tmpfs, at, tmpfs, flags, c"size=4k,nr_inodes=2,mode=0555".as_ptr().cast()))?;
        check(libc::chdir(at))?;
        check(libc::chroot(c".".as_ptr()))
    }
}

/// Whether our mounts are not those of who has started us.
fn has_own_mounts() -> bool {
    let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    let ours = namespace("thread-self");
    // SAFETY: asks for a number.
    let parent = unsafe { libc::getppid() };
    ours.is_some() && ours != namespace(&parent.to_string()) && ours != namespace("1")
}
