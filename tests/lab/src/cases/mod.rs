//! What is tried in the lab, a case a file.

mod nested;
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
pub const ALL: &[Case] = &[nvme_vf::CASE, rtl_l1::CASE, nested::NVME, nested::RTL];

/// The cases whose names begin so; all, if nothing is asked for.
pub fn choose(names: &[String]) -> Result<Vec<&'static Case>> {
    if let Some(name) = names.iter().find(|name| !ALL.iter().any(|c| c.name.starts_with(name.as_str()))) {
        return Err(Error::NoCase(name.clone()));
    }
    let wanted = |case: &&Case| names.is_empty() || names.iter().any(|name| case.name.starts_with(name.as_str()));
    Ok(ALL.iter().filter(wanted).collect())
}

/// Runs the case of this name; what a test calls.
pub fn run(name: &str) -> Result<Outcome> {
    let case = ALL.iter().find(|c| c.name == name).ok_or_else(|| Error::NoCase(name.into()))?;
    let pieces = Pieces::ready(&|what| eprintln!("lab: {what}"))?;
    (case.run)(&pieces)
}
