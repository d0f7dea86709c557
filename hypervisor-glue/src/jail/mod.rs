//! What the hypervisor gives up before the guest's first instruction: whoever breaks out of the guest and into this process
//! can run what is here, with the descriptors that are open, and little else.
//!
//! In this order, for each a reason:
//! 1. [`drop_privileges`]: no capability, none to be had by executing a file. Before the processors' threads are made, which
//!    inherit it.
//! 2. [`close_files`]: Landlock lets no file be opened and no port be bound or connected to. The same.
//! 3. [`filter_calls`]: seccomp, on all threads at once: system calls that are in [`calls`]' list, and death for all others.

mod calls;

use std::io;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr};

use crate::{Error, Result};

pub use calls::filter_calls;

/// Capabilities that there may be; the kernel says where they end.
const CAPABILITIES: libc::c_ulong = 64;
/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// Gives up every capability of this thread, for good.
pub fn drop_privileges() -> Result<()> {
    let failed = |what: &'static str| move || Error::Jail(format!("{what}: {}", io::Error::last_os_error()));
    // SAFETY: prctl with numbers only.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(failed("no_new_privs")());
    }
    for capability in 0..CAPABILITIES {
        // SAFETY: prctl with numbers only. Fails beyond the last capability, and without the right to do it: then there is nothing
        // to give up.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    // struct __user_cap_header_struct: version and process (0 is this thread); then two of effective, permitted, inheritable.
    let (header, none) = ([CAPABILITY_VERSION, 0], [0u32; 6]);
    // SAFETY: both structures are as long as the version says; the kernel only reads them.
    if unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) } != 0 {
        return Err(failed("capset")());
    }
    Ok(())
}

/// Lets this thread open no file and no port any more. A kernel without Landlock leaves that to [`filter_calls`].
pub fn close_files() -> Result<()> {
    let failed = |e: landlock::RulesetError| Error::Jail(format!("Landlock: {e}"));
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V5))
        .and_then(|r| r.handle_access(AccessNet::from_all(ABI::V5)))
        .and_then(Ruleset::create);
    ruleset.and_then(|r| r.restrict_self()).map(drop).map_err(failed)
}
