//! What is tried in the lab, a case a file.

pub mod boots;
pub mod demo;
mod figures;
mod native;
mod nested;
mod net_l1;
mod nvme_vf;
mod rtl_l1;

use crate::machine::Outcome;
use crate::pieces::Pieces;
use crate::{Error, Result};

/// One case.
pub struct Case {
    /// How it is called.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Runs it.
    pub run: fn(&Pieces) -> Result<Outcome>,
}

/// All of them, in the order in which they are run.
pub const ALL: &[Case] = &[
    nvme_vf::CASE,
    rtl_l1::CASE,
    rtl_l1::BY_MESSAGE,
    net_l1::CASE,
    nested::NVME,
    nested::RTL,
    nested::CARD,
    nested::USER,
    nested::END,
    native::CASE,
];

/// Those that measure; they are run only when asked for.
pub const MEASURE: &[Case] = &[figures::BESIDE_QEMU, figures::RTL];

/// The cases whose names begin so; all, if nothing is asked for.
pub fn choose(names: &[String]) -> Result<Vec<&'static Case>> {
    if names.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let all = || ALL.iter().chain(MEASURE);
    if let Some(name) = names.iter().find(|name| !all().any(|c| c.name.starts_with(name.as_str()))) {
        return Err(Error::NoCase(name.clone()));
    }
    Ok(all().filter(|case| names.iter().any(|name| case.name.starts_with(name.as_str()))).collect())
}

/// Runs the case of this name; what a test calls.
pub fn run(name: &str) -> Result<Outcome> {
    let case = ALL.iter().chain(MEASURE).find(|c| c.name == name).ok_or_else(|| Error::NoCase(name.into()))?;
    let pieces = Pieces::ready(&|what| eprintln!("lab: {what}"))?;
    attempt(case, &pieces)
}

/// Runs a case. One that is late, or whose emulated machine was gone all at once, is tried once more, and said to be: about one in a
/// hundred nested guests stands still in its boot (docs/not-yet.md). What fails in any other way, or twice, fails; the first
/// console is kept.
pub fn attempt(case: &Case, pieces: &Pieces) -> Result<Outcome> {
    let first = (case.run)(pieces);
    let Err(Error::Late { reason, log } | Error::Gone { reason, log }) = &first else { return first };
    let kept = log.with_extension("first.log");
    std::fs::copy(log, &kept).map_err(Error::io("copy", log))?;
    eprintln!("lab: {}: {reason}; its console is kept in {}; once more", case.name, kept.display());
    (case.run)(pieces)
}
