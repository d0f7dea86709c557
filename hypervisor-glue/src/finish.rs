//! The program `azote-vmm`: from its argument to its exit status.

use std::{
    ffi::OsString,
    io::{self, Write},
    panic::{self, PanicHookInfo},
    path::Path,
    process::ExitCode,
    thread,
};

use crate::{
    Config, Stop, caretaker, config, log,
    signals::{self, Signals},
    terminal,
};

/// The exit status of a fault of ours: a panic in any thread.
pub const STATUS_INTERNAL: u8 = 70;
/// The exit status of a system call that the jail did not let through.
pub const STATUS_JAIL: u8 = 71;

const VERSION: &str = concat!("azote-vmm ", env!("CARGO_PKG_VERSION"), " (", env!("AZOTE_COMMIT"), ")");
const USAGE: &str = "usage: azote-vmm FILE, with a machine as JSON in it; `azote run` makes it (`azote run --help`)";

/// Says something that was asked for.
fn answer(what: &str) -> ExitCode {
    match writeln!(io::stdout(), "{what}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("azote-vmm: stdout: {e}");
            ExitCode::FAILURE
        }
    }
}

/// The whole program: takes the file with the machine, runs it, and says how it went.
#[must_use]
pub fn program(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.skip(1).collect();
    let file = match &arguments[..] {
        [word] if word == "--version" || word == "-V" => return answer(VERSION),
        [word] if word == "--help" || word == "-h" => return answer(USAGE),
        [word] if word.as_encoded_bytes().starts_with(b"-") => {
            eprintln!("azote-vmm: there is no option {}; {USAGE}", word.display());
            return ExitCode::from(2);
        }
        [file] => file,
        _ => {
            eprintln!("azote-vmm: takes one argument; {USAGE}");
            return ExitCode::from(2);
        }
    };
    let config = match Config::read(Path::new(file)) {
        Ok(config) => config,
        Err(reason) => {
            eprintln!("azote-vmm: {}: {reason}", Path::new(file).display());
            return ExitCode::from(2);
        }
    };
    // What the parent had open is not for a process that runs a guest; our own are opened later.
    signals::close_inherited();
    run_to_end(&config)
}

/// Runs a guest and says on stderr why it ended, if not by itself. A guest that resets itself ends, too: status 0.
///
/// The process must have one thread: it forks.
#[must_use]
pub fn run_to_end(config: &Config) -> ExitCode {
    let with_terminal = config.serial == config::Serial::Tty;
    // A thread that does not block the signals would be ended by one in the old way, and all others with it.
    let prepared = || {
        signals::let_large_writes_fail();
        caretaker::start(config.api_socket.as_deref(), with_terminal)?;
        let signals = Signals::take()?;
        log::start()?;
        Ok::<_, std::io::Error>(signals)
    };
    let signals = match prepared() {
        Ok(signals) => signals,
        Err(e) => {
            eprintln!("azote: starting: {e}");
            return ExitCode::FAILURE;
        }
    };
    panic::set_hook(Box::new(panicked));
    let code = match crate::run(config, signals) {
        Ok(Stop::Crash(why)) => {
            log::line(format_args!("the guest has crashed: {why}"));
            ExitCode::FAILURE
        }
        Ok(Stop::Device(why)) => {
            log::line(format_args!("the guest was ended: {why}"));
            ExitCode::FAILURE
        }
        Ok(Stop::TripleFault) => {
            log::line("the guest has reset itself by a triple fault: reboot=t, or a crash");
            ExitCode::SUCCESS
        }
        Ok(Stop::PowerOff | Stop::Reset | Stop::Shutdown) => ExitCode::SUCCESS,
        Err(e) => {
            log::line(e);
            ExitCode::FAILURE
        }
    };
    terminal::restore();
    log::drain();
    code
}

/// A thread of ours is at its end by a fault of ours: the machine would go on without it, and nobody would know. So all of
/// it ends, with a line. VFIO and vfio-user servers reset what a process that is gone had.
pub fn panicked(info: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let what = info.payload_as_str().unwrap_or("no message");
    let at = info.location().map_or_else(String::new, |l| format!(", at {}:{}", l.file(), l.line()));
    log::line(format_args!(
        "internal error in thread {}{at}: {}; the guest was ended; please report it",
        thread.name().unwrap_or("without a name"),
        what.replace('\n', " "),
    ));
    terminal::restore();
    log::drain();
    // SAFETY: ends the process; no destructor runs, which could wait for the thread that is no more.
    unsafe { libc::_exit(STATUS_INTERNAL.into()) }
}
