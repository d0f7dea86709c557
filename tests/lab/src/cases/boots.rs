//! One guest of our hypervisor, booted many times in one emulated host: how often one is late or dies.

use super::{figures, nested, nvme_vf};
use crate::machine::{Outcome, silent};
use crate::pieces::Pieces;
use crate::{Result, image};

/// Boots, unless somebody asks for another number.
pub const COUNT: u32 = 300;
/// The name of its console's log.
pub const NAME: &str = "boots";
/// Seconds that a boot may take on average: three times what it takes on a quiet machine.
const EACH: u64 = 45;

/// Boots so many times, and tells of each. What is late or dies fails nothing here: it is looked at, counted, and in the outcome.
pub fn run(pieces: &Pieces, count: u32, tell: &mut dyn FnMut(&str)) -> Result<Outcome> {
    let script = include_str!("../../guest/boots.sh");
    let machine = nested::host(pieces, NAME, script, figures::guest(pieces, NAME)?, &[])?;
    let machine = machine.append(&format!("boots={count}")).timeout(300 + EACH * u64::from(count)).on_step(tell);
    nvme_vf::with_nvme(machine, &image::empty(pieces, NAME, 64)?).run(&mut silent)
}

/// The outcome in a line.
#[must_use]
pub fn summary(outcome: &Outcome) -> String {
    let value = |name: &str| outcome.value(&format!("boots.{name}")).unwrap_or(0.0);
    format!(
        "{} boots: {} well (median {:.1} s, 99 % within {:.1} s, the longest {:.1} s), {} late, {} dead",
        value("well") + value("late") + value("died"),
        value("well"),
        value("median_s"),
        value("p99_s"),
        value("most_s"),
        value("late"),
        value("died"),
    )
}

/// Whether all of them came up.
#[must_use]
pub fn all_well(outcome: &Outcome) -> bool {
    ["late", "died"].iter().all(|name| outcome.value(&format!("boots.{name}")) == Some(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_boot_that_is_late_is_told_and_is_not_well() {
        let outcome = |late: f64| Outcome {
            values: [("well", 9.0), ("late", late), ("died", 0.0), ("median_s", 8.04), ("most_s", 30.0)]
                .map(|(name, value)| (format!("boots.{name}"), value))
                .into(),
            ..Outcome::default()
        };
        assert!(all_well(&outcome(0.0)) && !all_well(&outcome(1.0)) && !all_well(&Outcome::default()));
        let line = summary(&outcome(1.0));
        assert!(line.starts_with("10 boots: 9 well (median 8.0 s") && line.contains("1 late, 0 dead"), "{line}");
    }
}
