//! Warnings, as lines on stderr. A logging framework would be a third of this program.

/// Prints a line. Whoever calls it because of something that a guest or a device can repeat does so once.
pub(crate) fn warn(text: impl std::fmt::Display) {
    eprintln!("azote: warning: {text}");
}
