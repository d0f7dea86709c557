//! What a system call that the jail does not let through ends in: a line that names it, and an exit status of its own.
//!
//! The kernel has not made the call; it sends SIGSYS to the thread instead, and what is here runs in its place. Should
//! somebody have blocked the signal, the kernel ends the process itself.

use std::{
    fmt::{self, Write},
    io, ptr,
};

use crate::{finish::STATUS_JAIL, terminal};

/// `struct siginfo` of SIGSYS: the address of the call, then its number.
const SIGINFO_SYSCALL: usize = 24;

/// Text on the stack: a handler of signals takes no memory.
struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let count = room.len().min(text.len());
        room[..count].copy_from_slice(&text.as_bytes()[..count]);
        self.len += count;
        Ok(())
    }
}

fn compose(number: i32, arguments: [u64; 3]) -> Line {
    let name = usize::try_from(number).ok().and_then(syscalls::Sysno::new).map_or("unknown", |call| call.name());
    let [a, b, c] = arguments;
    let mut line = Line { bytes: [0; 512], len: 0 };
    // It always has room, or is cut.
    let _ = writeln!(
        line,
        "azote: the jail does not know the system call {name} ({number}; {a:#x}, {b:#x}, {c:#x}), and has ended the guest. If \
         the guest has not broken out, a library here is newer than azote: report this line; --no-jail runs without a jail"
    );
    line
}

extern "C" fn on_sigsys(_: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel hands both to a handler with SA_SIGINFO; the number lies where x86-64's structure has it.
    let (number, arguments) = unsafe {
        let number = ptr::read_unaligned(info.cast::<u8>().add(SIGINFO_SYSCALL).cast::<i32>());
        let registers = &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let register = |r: libc::c_int| registers[r as usize] as u64;
        (number, [register(libc::REG_RDI), register(libc::REG_RSI), register(libc::REG_RDX)])
    };
    let line = compose(number, arguments);
    let mut poll = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: calls that a handler may make, with memory of its own. A stderr that takes nothing is not waited for; the process ends
    // here, without destructors.
    unsafe {
        if libc::poll(&mut poll, 1, 0) == 1 {
            libc::write(libc::STDERR_FILENO, line.bytes.as_ptr().cast(), line.len);
        }
        terminal::restore();
        libc::_exit(STATUS_JAIL.into())
    }
}

/// Takes SIGSYS.
pub(super) fn install() -> io::Result<()> {
    // SAFETY: an action of zeros is one, and its set of signals is empty; the handler makes only calls that it may.
    let done = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_sigsys as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGSYS, &action, ptr::null_mut())
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_the_call_or_its_number() {
        let text = |number| {
            let line = compose(number, [1, 0x5452, u64::MAX]);
            String::from_utf8(line.bytes[..line.len].to_vec()).unwrap()
        };
        assert!(text(16).contains("ioctl (16; 0x1, 0x5452, 0xffffffffffffffff)"), "{}", text(16));
        for odd in [-1, 9999, i32::MIN] {
            assert!(text(odd).contains(&format!("unknown ({odd};")) && text(odd).ends_with('\n'));
        }
    }
}
