//! The jail keeps what it says: each forbidden call ends the process, in a process of its own.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::{
    env, fs,
    io::Write,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    thread,
};

use azote_hypervisor::jail;

const ATTEMPT: &str = "AZOTE_JAIL_ATTEMPT";

/// What somebody might try who has taken over the hypervisor. Runs in the child.
fn attempt(what: &str) {
    match what {
        "nothing" => {}
        "open" => drop(fs::File::open("/etc/passwd")),
        "execute" => drop(Command::new("/bin/true").status()),
        "connect" => drop(std::net::TcpStream::connect("127.0.0.1:1")),
        "thread" => drop(thread::Builder::new().spawn(|| {})),
        "remove" => drop(fs::remove_file("/tmp/azote-jail-has-no-such-file")),
        "signal" => unsafe {
            // SAFETY: signal 0 is none; only whether the call is let through matters.
            libc::kill(1, 0);
        },
        "code" => unsafe {
            // SAFETY: a new anonymous mapping, never used.
            let prot = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
            libc::mmap(std::ptr::null_mut(), 4096, prot, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0);
        },
        "ioctl" => unsafe {
            // SAFETY: TIOCSTI with a valid byte: types on somebody's terminal, if it is let through.
            libc::ioctl(0, libc::TIOCSTI, &b' ');
        },
        other => panic!("{other}?"),
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
    let in_thread = what.strip_prefix("thread:").map(str::to_owned);
    let handle = in_thread.map(|what| {
        thread::spawn(move || {
            let _ = wait.recv();
            attempt(&what);
        })
    });
    jail::filter_calls().unwrap();
    match handle {
        Some(handle) => {
            let _ = go.send(());
            let _ = handle.join();
        }
        None => attempt(&what),
    }
    let allowed: Vec<u8> = vec![1; 1 << 20];
    assert_eq!(allowed.iter().map(|b| u32::from(*b)).sum::<u32>(), 1 << 20);
    let _ = std::io::stdout().write_all(b"survived\n");
    let _ = std::io::stdout().flush();
    // SAFETY: ends the process here; the harness would go on to open and spawn.
    unsafe { libc::_exit(0) };
}

fn try_it(what: &str) -> (Option<i32>, String) {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(ATTEMPT, what)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.signal(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_jailed_process_goes_on_with_its_work() {
    let (signal, output) = try_it("nothing");
    assert_eq!(signal, None);
    assert!(output.contains("survived"), "{output}");
}

#[test]
fn each_forbidden_call_ends_the_process() {
    for what in ["open", "execute", "connect", "thread", "remove", "signal", "code", "ioctl", "thread:open"] {
        let (signal, output) = try_it(what);
        assert_eq!(signal, Some(libc::SIGSYS), "{what}: {output}");
        assert!(!output.contains("survived"), "{what}");
    }
}
