//! `azote ctl`: commands to a running guest's hypervisor.

use std::{io::Write, path::Path};

use azote_hypervisor::{api, exits};

use super::print;
use crate::{Error, Result};

/// What can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Word {
    /// Show what the guest is made of and whether it runs.
    State,
    /// Stop its processors; its devices go on.
    Pause,
    /// Let them go on.
    Resume,
    /// Press its power button.
    PowerButton,
    /// Show exits by reason and by region.
    Counters,
    /// The same as JSON.
    CountersJson,
    /// End it at once.
    Shutdown,
}

/// Asks and prints the answer.
pub fn run(socket: &Path, word: Word, out: &mut dyn Write) -> Result<()> {
    let request = match word {
        Word::State => api::Request::State,
        Word::Pause => api::Request::Pause,
        Word::Resume => api::Request::Resume,
        Word::PowerButton => api::Request::PowerButton,
        Word::Counters | Word::CountersJson => api::Request::Counters,
        Word::Shutdown => api::Request::Shutdown,
    };
    let failed = |source| Error::File { path: socket.to_owned(), source };
    let answer = api::request(socket, request).map_err(failed)?;
    if let Some(why) = answer.get("error") {
        return Err(failed(std::io::Error::other(why.as_str().unwrap_or("refused").to_owned())));
    }
    let text = if word == Word::Counters { exits::table(&answer) } else { format!("{answer}\n") };
    print(out, &text)
}
