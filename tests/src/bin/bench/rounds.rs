//! One thing measured in several rounds: its median, and how far the rounds lie apart, which is what a difference must exceed to
//! be one.

use azote_lab::machine::Outcome;
use azote_tests::{Error, Result};

/// The rounds of a value, in order of size.
pub struct Rounds(Vec<f64>);

impl Rounds {
    /// All that a machine measured under one name.
    pub fn of(outcome: &Outcome, name: &str) -> Result<Rounds> {
        let mut values: Vec<f64> = outcome.values.iter().filter(|(n, _)| n == name).map(|(_, v)| *v).collect();
        values.sort_unstable_by(f64::total_cmp);
        if values.is_empty() {
            Err(Error::Wrong(format!("the machine did not measure {name}")))
        } else {
            Ok(Rounds(values))
        }
    }

    /// The one in the middle; of two, the mean.
    pub fn median(&self) -> f64 {
        let (half, odd) = (self.0.len() / 2, self.0.len() % 2 == 1);
        if odd { self.0[half] } else { (self.0[half - 1] + self.0[half]) / 2.0 }
    }

    /// The least and the most.
    pub fn range(&self) -> (f64, f64) {
        (self.0[0], self.0[self.0.len() - 1])
    }

    /// How far the rounds lie apart, as a share of the median.
    pub fn spread(&self) -> f64 {
        let ((least, most), median) = (self.range(), self.median());
        if median == 0.0 { 0.0 } else { (most - least) / median }
    }

    /// The ratio of another's to ours below which we are worse by more than noise: the larger of both spreads.
    pub fn within_noise_of(&self, other: &Rounds) -> f64 {
        1.0 / (1.0 + self.spread().max(other.spread()))
    }
}

/// Two of them beside each other, for people.
pub fn beside(what: &str, ours: &Rounds, theirs: &Rounds) -> String {
    let text = |r: &Rounds| {
        let (least, most) = r.range();
        format!("{:.3} ({least:.3} to {most:.3} in {} rounds)", r.median(), r.0.len())
    };
    let difference = (ours.median() - theirs.median()).abs();
    let share = if theirs.median() == 0.0 { 0.0 } else { difference / theirs.median() };
    let noise = share <= ours.spread().max(theirs.spread());
    let verdict = if noise { "the difference is noise" } else { "the difference is larger than the noise" };
    format!("{what:<24} ours {}, QEMU's {}: {verdict}\n", text(ours), text(theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(values: &[f64]) -> Rounds {
        let outcome = Outcome { values: values.iter().map(|v| ("x".to_owned(), *v)).collect(), ..Outcome::default() };
        Rounds::of(&outcome, "x").unwrap()
    }

    #[test]
    fn a_difference_within_the_rounds_is_noise_and_one_beyond_them_is_not() {
        let (ours, theirs) = (rounds(&[2.45, 1.35, 1.36]), rounds(&[1.37, 2.11, 1.38]));
        assert_eq!((ours.median(), ours.range()), (1.36, (1.35, 2.45)));
        assert!(beside("qd1", &ours, &theirs).contains("is noise"));
        assert!(theirs.median() / ours.median() >= ours.within_noise_of(&theirs));
        let worse = rounds(&[2.0, 2.01, 2.02]);
        let quiet = rounds(&[1.37, 1.37, 1.38]);
        assert!(beside("qd1", &worse, &quiet).contains("larger than the noise"));
        assert!(quiet.median() / worse.median() < worse.within_noise_of(&quiet));
        assert_eq!((rounds(&[1.0, 2.0]).median(), rounds(&[0.0]).spread()), (1.5, 0.0));
        assert!(Rounds::of(&Outcome::default(), "x").is_err());
    }
}
