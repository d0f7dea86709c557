//! A pseudo-terminal, its other end in our hands.
#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests, each of which uses some")]

use std::{
    fs::File,
    io::{Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, FromRawFd},
        unix::process::CommandExt,
    },
    process::{Command, Stdio},
};

pub struct Terminal {
    ours: File,
    theirs: File,
}

impl Terminal {
    pub fn new() -> Self {
        let (mut ours, mut theirs) = (-1, -1);
        let none = std::ptr::null_mut();
        // SAFETY: two valid numbers to be filled; nothing else is asked for. The descriptors are new.
        unsafe {
            assert_eq!(libc::openpty(&mut ours, &mut theirs, none, none.cast(), none.cast()), 0);
            Self { ours: File::from_raw_fd(ours), theirs: File::from_raw_fd(theirs) }
        }
    }

    /// Lets a command have it: stdin, stdout and stderr, as the terminal of a session of its own.
    pub fn give(&self, command: &mut Command) {
        let theirs = || Stdio::from(self.theirs.try_clone().unwrap());
        command.stdin(theirs()).stdout(theirs()).stderr(theirs());
        // SAFETY: calls that a child may make between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
    }

    /// Its flags: of input, output, control and local.
    pub fn flags(&self) -> [u32; 4] {
        let mut settings = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: filled, as the call has succeeded.
        let s = unsafe {
            assert_eq!(libc::tcgetattr(self.theirs.as_raw_fd(), settings.as_mut_ptr()), 0);
            settings.assume_init()
        };
        [s.c_iflag, s.c_oflag, s.c_cflag, s.c_lflag]
    }

    pub fn echoes(&self) -> bool {
        self.flags()[3] & libc::ECHO != 0
    }

    /// Our end of it once more.
    pub fn ours(&self) -> File {
        self.ours.try_clone().unwrap()
    }

    pub fn type_in(&self, text: &str) {
        (&self.ours).write_all(text.as_bytes()).unwrap();
    }

    /// Reads until this was said.
    pub fn read_until(&self, what: &str) -> String {
        let mut text = String::new();
        while !text.contains(what) {
            let mut byte = [0];
            (&self.ours).read_exact(&mut byte).unwrap();
            text.push(byte[0].into());
        }
        text
    }
}
