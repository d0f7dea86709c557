//! The jail keeps what it says: each forbidden call ends the process with a line that names it, and what a hypervisor needs gets
//! through. Each in a process of its own, on a terminal of its own.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

mod terminal;

use std::{
    env, fs,
    io::Write,
    os::unix::process::ExitStatusExt,
    process::{Command, ExitStatus, Stdio},
    thread,
};

use azote_hypervisor::{STATUS_JAIL, jail};
use terminal::Terminal;

const ATTEMPT: &str = "AZOTE_JAIL_ATTEMPT";

/// The terminal's settings by both generations of requests, as the C library of glibc 2.41 and before makes them, and of 2.42 and
/// after: read, then written.
const SETTINGS: [(libc::c_ulong, libc::c_ulong); 2] = [(0x5401, 0x5402), (0x802c_542a, 0x402c_542b)];

fn fcntl(command: libc::c_int, argument: libc::c_int) -> libc::c_int {
    // SAFETY: commands that take numbers, on stdin.
    unsafe { libc::fcntl(0, command, argument) }
}

/// What somebody might try who has taken over the hypervisor. Runs in the child.
fn attempt(what: &str) {
    match what {
        "nothing" => {}
        "openat" => drop(fs::File::open("/etc/passwd")),
        "execute" => drop(Command::new("/bin/true").status()),
        "socket" => drop(std::net::TcpStream::connect("127.0.0.1:1")),
        "thread" => drop(thread::Builder::new().spawn(|| {})),
        "unlink" => drop(fs::remove_file("/azote-jail-has-no-such-file")),
        "kill" => unsafe {
            // SAFETY: signal 0 is none; only whether the call is let through matters.
            libc::kill(1, 0);
        },
        "mmap" => unsafe {
            // SAFETY: a new anonymous mapping, never used.
            let prot = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
            libc::mmap(std::ptr::null_mut(), 4096, prot, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        },
        "ioctl" => unsafe {
            // SAFETY: TIOCSTI with a valid byte: types on somebody's terminal, if it is let through.
            libc::ioctl(0, libc::TIOCSTI, &b' ');
        },
        "ioctl: FIOASYNC" => unsafe {
            // SAFETY: a valid number.
            libc::ioctl(0, libc::FIOASYNC, &1);
        },
        "fcntl: F_SETOWN" => drop(fcntl(libc::F_SETOWN, 1)),
        "fcntl: F_SETSIG" => drop(fcntl(10, libc::SIGKILL)),
        "fcntl: O_ASYNC" => drop(fcntl(libc::F_SETFL, libc::O_ASYNC | libc::O_RDWR)),
        other => panic!("{other}?"),
    }
}

/// What the hypervisor does behind the jail, as far as it needs no device. Anything that is not let through ends the child.
fn work(kicked: &thread::JoinHandle<()>) {
    use std::os::unix::thread::JoinHandleExt;
    let mut settings = [0u8; 64];
    for (get, set) in SETTINGS {
        for request in [get, set] {
            // SAFETY: the structures have 36 and 44 bytes.
            assert_eq!(unsafe { libc::ioctl(0, request, settings.as_mut_ptr()) }, 0, "{request:#x}");
        }
    }
    assert!(fcntl(libc::F_GETFL, 0) >= 0 && fcntl(libc::F_SETFL, libc::O_RDWR) == 0);
    let copy = fcntl(libc::F_DUPFD_CLOEXEC, 3);
    // SAFETY: a descriptor of ours; a thread that is there; calls without pointers otherwise.
    unsafe {
        assert!(copy >= 3 && libc::close(copy) == 0);
        assert_eq!(libc::pthread_kill(kicked.as_pthread_t(), 0), 0);
        assert!(libc::tcgetpgrp(0) == libc::getpgrp());
    }
}

/// In the child: closes the jail, tries one thing, and says that it is still there.
#[test]
fn child() {
    let Ok(what) = env::var(ATTEMPT) else { return };
    jail::drop_privileges().unwrap();
    jail::close_files().unwrap();
    // A thread that exists already is caught, too.
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let in_thread = what.strip_prefix("thread:").unwrap_or("nothing").to_owned();
    let here = if in_thread == "nothing" { what } else { "nothing".into() };
    let handle = thread::spawn(move || {
        let _ = wait.recv();
        attempt(&in_thread);
    });
    jail::filter_calls().unwrap();
    work(&handle);
    let _ = go.send(());
    let _ = handle.join();
    attempt(&here);
    let allowed: Vec<u8> = vec![1; 1 << 20];
    assert_eq!(allowed.iter().map(|b| u32::from(*b)).sum::<u32>(), 1 << 20);
    let _ = std::io::stdout().write_all(b"survived\n");
    let _ = std::io::stdout().flush();
    // SAFETY: ends the process here; the harness would go on to open and spawn.
    unsafe { libc::_exit(0) };
}

fn try_it(what: &str) -> (ExitStatus, String, String) {
    let terminal = Terminal::new();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture", "--test-threads=1"]).env(ATTEMPT, what);
    terminal.give(&mut command);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status, text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_jailed_process_goes_on_with_its_work_on_a_terminal_of_either_generation() {
    let (status, output, said) = try_it("nothing");
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(output.contains("survived"), "{output}");
}

#[test]
fn each_forbidden_call_ends_the_process_and_is_named() {
    let attempts = [
        "openat",
        "socket",
        "unlink",
        "kill",
        "mmap",
        "ioctl",
        "ioctl: FIOASYNC",
        "fcntl: F_SETOWN",
        "fcntl: F_SETSIG",
        "fcntl: O_ASYNC",
        "thread:openat",
    ];
    for what in attempts {
        let (status, output, said) = try_it(what);
        assert_eq!(status.code(), Some(STATUS_JAIL.into()), "{what}: {output} {said}");
        assert!(!output.contains("survived"), "{what}");
        let call = what.trim_start_matches("thread:").split(':').next().unwrap();
        let named = said.contains(&format!("does not know the system call {call} (")) && said.contains("--no-jail");
        assert!(named, "{what}: {said}");
    }
    // The C library blocks all signals while it makes a process or a thread: then the kernel ends the process itself.
    for what in ["execute", "thread"] {
        let (status, output, said) = try_it(what);
        assert_eq!(status.signal(), Some(libc::SIGSYS), "{what}: {output} {said}");
    }
}
