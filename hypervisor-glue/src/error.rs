//! What ends a guest before it begins, or while it runs. Each is one line for a person.

use std::{io, path::PathBuf};

use crate::descriptors;

/// The result of the hypervisor's calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a guest can not run, or can not run on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine has no KVM, or does not let us use it.
    #[error("/dev/kvm: {source}; {hint}")]
    NoKvm {
        /// The system's answer.
        #[source]
        source: io::Error,
        /// What to do about it.
        hint: &'static str,
    },
    /// KVM has refused something.
    #[error("KVM: {what}: {source}")]
    Kvm {
        /// What was asked of it.
        what: &'static str,
        /// Its answer.
        #[source]
        source: io::Error,
    },
    /// This KVM lacks something that the machine is made of.
    #[error("KVM has no {0}; a newer host kernel has it")]
    Capability(&'static str),
    /// The configuration contradicts itself or asks for what there is not.
    #[error("{0}")]
    Config(String),
    /// A path that a machine as JSON can not hold.
    #[error("{option} {}: the path is not UTF-8, and a machine is handed over as JSON, which is; rename it, or give a link to it", path.display())]
    NotText {
        /// The option of `azote run` that names it.
        option: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// A file of the guest can not be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A kernel that can not be booted.
    #[error("{}: {reason}", path.display())]
    Kernel {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// What is to be loaded has no place in the guest's memory.
    #[error("{what} needs {needed} bytes of guest memory and finds {room}; give the guest more with --memory size=")]
    TooLittleMemory {
        /// What it is.
        what: String,
        /// How much it needs.
        needed: u64,
        /// How much there is for it.
        room: u64,
    },
    /// The guest's memory could not be had.
    #[error("guest memory of {size} bytes: {what}: {source}{hint}")]
    Memory {
        /// Its size.
        size: u64,
        /// The step that failed.
        what: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
        /// What to do about it, after a semicolon, or nothing.
        hint: &'static str,
    },
    /// A file is not what it should be, or not free.
    #[error(transparent)]
    Files(#[from] azote_files::Error),
    /// There are no descriptors left for what a guest needs.
    #[error(
        "{what}: a process here may have {limit} open files (RLIMIT_NOFILE), and this guest needs more; raise the limit \
         (ulimit -n, LimitNOFILE=)"
    )]
    Descriptors {
        /// What was tried.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// A device that can not be given to the guest.
    #[error("{device}: {reason}")]
    Device {
        /// Its address or socket.
        device: String,
        /// Why not.
        reason: String,
    },
    /// A thread or a descriptor could not be had, and the like.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The guest did what ends a machine: a triple fault, or an instruction that KVM can not emulate.
    #[error("the guest has crashed: {0}")]
    GuestCrash(String),
    /// Processors that can not be stopped, since what they wait for does not come.
    #[error(
        "{processors} processors did not stop within {seconds} s: a device does not answer; the guest was ended without them"
    )]
    Stuck {
        /// How many.
        processors: usize,
        /// How long they were given.
        seconds: u64,
    },
    /// The jail could not be closed behind us.
    #[error("jail: {0}")]
    Jail(String),
}

impl Error {
    /// A refusal of KVM's, as its crates report it.
    pub(crate) fn kvm(what: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> Self {
        move |e| {
            let source = io::Error::from_raw_os_error(e.errno());
            descriptors::missing(what, &source).unwrap_or(Self::Kvm { what, source })
        }
    }

    /// A failed system call.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| descriptors::missing(what, &source).unwrap_or(Self::Io { what, source })
    }

    /// A device that fails.
    pub(crate) fn device(device: impl Into<String>, reason: impl ToString) -> Self {
        Self::Device { device: device.into(), reason: reason.to_string() }
    }
}
