//! What the hypervisor gives up before the guest's first instruction: whoever breaks out of the guest and into this process
//! can run what is here, with the descriptors that are open, and little else.
//!
//! In this order, for each a reason:
//! 1. [`take_namespaces`], as root: networks, mounts, names and messages of its own. At the very start, before any thread.
//! 2. [`drop_privileges`]: not root any more, an empty root folder, no capability, none to be had by executing a file, no dump of its
//!    memory. Before the processors' threads are made, which inherit it.
//! 3. [`close_files`]: Landlock lets no file be opened, no port be bound or connected to, and no signal leave. The same.
//! 4. [`filter_calls`]: seccomp, on all threads at once: system calls that are in [`calls`]' list, and the end for all others.

mod calls;
mod isolate;
mod report;

use std::io;

use landlock::{ABI, Access, AccessFs, AccessNet, RestrictionStatus, Ruleset, RulesetAttr, RulesetStatus, Scope};

use crate::{Error, Result, log};

pub use calls::filter_calls;
pub use isolate::take_namespaces;

/// Capabilities that there may be; the kernel says where they end.
const CAPABILITIES: libc::c_ulong = 64;
/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// Gives up being root, and every capability of this thread, for good.
pub fn drop_privileges() -> Result<()> {
    let failed = |what: &'static str| move || Error::Jail(format!("{what}: {}", io::Error::last_os_error()));
    for capability in 0..CAPABILITIES {
        // SAFETY: prctl with numbers only. Fails beyond the last capability, and without the right to do it: then there is nothing
        // to give up.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    isolate::become_nobody();
    // SAFETY: prctl with numbers only.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(failed("no_new_privs")());
    }
    // SAFETY: prctl with numbers only.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } != 0 {
        return Err(failed("making its memory unreadable")());
    }
    // struct __user_cap_header_struct: version and process (0 is this thread); then two of effective, permitted, inheritable.
    let (header, none) = ([CAPABILITY_VERSION, 0], [0u32; 6]);
    // SAFETY: both structures are as long as the version says; the kernel only reads them.
    if unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) } != 0 {
        return Err(failed("capset")());
    }
    Ok(())
}

/// Lets this thread open no file and no port any more, and signal no other process. A kernel without Landlock leaves that to
/// [`filter_calls`], and that is said.
pub fn close_files() -> Result<()> {
    let failed = |e: landlock::RulesetError| Error::Jail(format!("Landlock: {e}"));
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V5))
        .and_then(|r| r.handle_access(AccessNet::from_all(ABI::V5)))
        .and_then(|r| r.scope(Scope::from_all(ABI::V6)))
        .and_then(Ruleset::create);
    let status = ruleset.and_then(|r| r.restrict_self()).map_err(failed)?;
    if let Some(missing) = missing(&status) {
        log::warn(missing);
    }
    Ok(())
}

/// What is to be said of a kernel that has not all of Landlock: nothing where it keeps files shut.
fn missing(status: &RestrictionStatus) -> Option<&'static str> {
    (status.ruleset == RulesetStatus::NotEnforced).then_some(
        "jail: this kernel has no Landlock, or it is switched off (lsm=): files are kept shut by seccomp alone",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use landlock::{CompatLevel, Compatible};

    #[test]
    fn a_kernel_without_landlock_is_said_and_one_with_it_is_not() {
        // In a thread of its own, which alone is restricted.
        let status = std::thread::spawn(|| {
            // SAFETY: prctl with numbers only.
            unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
            let ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
            ruleset.handle_access(AccessFs::from_all(ABI::V1)).unwrap().create().unwrap().restrict_self().unwrap()
        });
        let mut status = status.join().unwrap();
        status.ruleset = RulesetStatus::FullyEnforced;
        assert_eq!(missing(&status), None);
        status.ruleset = RulesetStatus::NotEnforced;
        assert!(missing(&status).unwrap().contains("no Landlock"));
    }
}
