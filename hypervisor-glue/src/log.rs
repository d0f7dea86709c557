//! Lines on stderr. A logging framework would be a third of this program.
//!
//! A program that has called [`start`] never waits for whoever should read them ([`crate::sink`]).

use std::{fs::File, io, os::fd::AsFd, sync::OnceLock};

use crate::sink::{HURRIED, Sink};

/// Bytes that wait for a reader.
const CAPACITY: usize = 64 << 10;

static STDERR: OnceLock<Sink> = OnceLock::new();

/// From here on, lines are left to a thread.
pub(crate) fn start() -> io::Result<()> {
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let _ = STDERR.set(Sink::new("stderr", stderr, CAPACITY)?);
    Ok(())
}

/// Prints text as it is.
pub(crate) fn text(text: &str) {
    match STDERR.get() {
        Some(sink) => sink.write(text.as_bytes()),
        None => eprint!("{text}"),
    }
}

/// Prints a line of ours.
pub(crate) fn line(line: impl std::fmt::Display) {
    text(&format!("azote: {line}\n"));
}

/// Prints a warning. Whoever calls it because of something that a guest or a device can repeat does so once.
pub(crate) fn warn(text: impl std::fmt::Display) {
    line(format_args!("warning: {text}"));
}

/// Bytes that nobody has read.
pub(crate) fn dropped() -> u64 {
    STDERR.get().map_or(0, Sink::dropped)
}

/// Before the process ends.
pub(crate) fn drain() {
    if let Some(sink) = STDERR.get() {
        sink.drain(HURRIED);
    }
}
