//! A guest's end, as a process ends.

use std::process::ExitCode;

use crate::{Config, Stop};

/// Runs a guest and says on stderr why it ended, if not by itself. A guest that resets itself ends, too: status 0.
#[must_use]
pub fn run_to_end(config: &Config) -> ExitCode {
    match crate::run(config) {
        Ok(Stop::Crash(why)) => {
            eprintln!("azote: the guest has crashed: {why}");
            ExitCode::FAILURE
        }
        Ok(Stop::Device(why)) => {
            eprintln!("azote: the guest was ended: {why}");
            ExitCode::FAILURE
        }
        Ok(Stop::PowerOff | Stop::Reset | Stop::Shutdown) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("azote: {e}");
            ExitCode::FAILURE
        }
    }
}
