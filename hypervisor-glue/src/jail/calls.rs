//! The system calls of a running hypervisor.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::report;
use crate::{Error, Result};

/// Calls that are allowed whatever their arguments.
const ALLOWED: &[libc::c_long] = &[
    // The guest's own loop and the main loop.
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_wait,
    libc::SYS_futex,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    // Descriptors that are open: the terminal, volumes, devices.
    libc::SYS_close,
    libc::SYS_fallocate,
    libc::SYS_fdatasync,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_lseek,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    // Sockets that are open: the API, vfio-user. Making one takes `socket`, which is not here.
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_shutdown,
    // Memory; mapping is below.
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // Time and chance.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    libc::SYS_sched_yield,
    // Threads that begin late or end.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getpgrp,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
];

/// Requests of `ioctl`, by their numbers in the kernel's headers.
const REQUESTS: &[u64] = &[
    0xae80,      // KVM_RUN
    0x4020_ae46, // KVM_SET_USER_MEMORY_REGION: BARs that move
    0x4008_ae6a, // KVM_SET_GSI_ROUTING
    0x4020_ae76, // KVM_IRQFD
    0x4020_aea5, // KVM_SIGNAL_MSI
    0xaead,      // KVM_KVMCLOCK_CTRL: a processor that has stood still
    0x8090_ae81, // KVM_GET_REGS: where a guest has crashed
    0x4018_aee1, // KVM_SET_DEVICE_ATTR: a VFIO group that goes
    0x3b69,      // VFIO_GROUP_UNSET_CONTAINER
    0x3b6e,      // VFIO_DEVICE_SET_IRQS
    0x3b6f,      // VFIO_DEVICE_RESET
    0x3b72,      // VFIO_IOMMU_UNMAP_DMA
    0x3b78,      // VFIO_DEVICE_DETACH_IOMMUFD_PT
    0x3b80,      // IOMMU_DESTROY
    0x3b86,      // IOMMU_IOAS_UNMAP
    0x5401,      // TCGETS: the terminal, as it was
    0x5402,      // TCSETS
    0x802c_542a, // TCGETS2: the same for a C library that knows every speed (glibc from 2.42 on)
    0x402c_542b, // TCSETS2
    0x540f,      // TIOCGPGRP: whether it is ours
    0x5421,      // FIONBIO: a client of the API
];

/// Commands of `fcntl`. Not among them are those that let the kernel send signals for a descriptor (F_SETOWN, F_SETSIG):
/// these reach other users' processes.
const COMMANDS: &[libc::c_int] = &[libc::F_DUPFD_CLOEXEC, libc::F_GETFD, libc::F_GETFL];

/// Puts the filter on every thread of this process.
pub fn filter_calls() -> Result<()> {
    let failed = |e: &dyn std::fmt::Display| Error::Jail(format!("seccomp: {e}"));
    report::install().map_err(|e| failed(&e))?;
    let program = program().map_err(|e| failed(&e))?;
    seccompiler::apply_filter_all_threads(&program).map_err(|e| failed(&e))
}

fn program() -> std::result::Result<BpfProgram, seccompiler::BackendError> {
    let equals = |argument, value: u64| -> std::result::Result<SeccompRule, _> {
        SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?])
    };
    let without = |argument, bits: i32| {
        let none = SeccompCmpOp::MaskedEq(bits as u64);
        SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, none, 0)?])
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let requests: std::result::Result<Vec<_>, _> = REQUESTS.iter().map(|r| equals(1, *r)).collect();
    rules.insert(libc::SYS_ioctl, requests?);
    let mut commands: Vec<_> =
        COMMANDS.iter().map(|command| equals(1, *command as u64)).collect::<std::result::Result<_, _>>()?;
    // And F_SETFL but for O_ASYNC, which would switch those signals on.
    let compare = |argument, how, value| SeccompCondition::new(argument, SeccompCmpArgLen::Dword, how, value);
    commands.push(SeccompRule::new(vec![
        compare(1, SeccompCmpOp::Eq, libc::F_SETFL as u64)?,
        compare(2, SeccompCmpOp::MaskedEq(libc::O_ASYNC as u64), 0)?,
    ])?);
    rules.insert(libc::SYS_fcntl, commands);
    // Nothing becomes code that was not code before.
    rules.insert(libc::SYS_mmap, vec![without(2, libc::PROT_EXEC)?]);
    rules.insert(libc::SYS_mprotect, vec![without(2, libc::PROT_EXEC)?]);
    // Kicks go to our own threads.
    rules.insert(libc::SYS_tgkill, vec![equals(0, std::process::id().into())?]);
    rules.insert(libc::SYS_prctl, vec![equals(0, libc::PR_SET_NAME as u64)?]);
    let arch = TargetArch::x86_64;
    SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, arch)?.try_into()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_filter_is_one_that_the_kernel_takes() {
        // BPF programs have up to 4096 instructions.
        assert!(super::program().unwrap().len() < 4096);
    }
}
