//! Figures: a measured value beside the bound that nothing can beat.

use std::fmt::Write;

use serde_json::json;

/// One figure.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// What was measured.
    pub value: f64,
    /// In which unit.
    pub unit: &'static str,
    /// The bound, in the same unit.
    pub bound: f64,
    /// How near the bound is: 1 is the bound, less is worse.
    pub ratio: f64,
    /// The least ratio that is accepted, if one is.
    pub least: Option<f64>,
}

impl Figure {
    /// A figure of which more is better.
    pub fn rate(name: impl Into<String>, value: f64, unit: &'static str, bound: f64) -> Figure {
        Figure { name: name.into(), value, unit, bound, ratio: value / bound, least: None }
    }

    /// A figure of which less is better.
    pub fn cost(name: impl Into<String>, value: f64, unit: &'static str, bound: f64) -> Figure {
        // Nothing at all is as good as any bound.
        let ratio = if value == 0.0 { 1.0 } else { bound / value };
        Figure { name: name.into(), value, unit, bound, ratio, least: None }
    }

    /// The same, with the least ratio that is accepted.
    pub fn at_least(self, ratio: f64) -> Figure {
        Figure { least: Some(ratio), ..self }
    }

    /// Is it as good as it must be?
    pub fn is_met(&self) -> bool {
        self.least.is_none_or(|least| self.ratio >= least)
    }

    /// One JSON object.
    pub fn json(&self) -> serde_json::Value {
        let (name, unit) = (&self.name, self.unit);
        let [value, bound, ratio] = [self.value, self.bound, self.ratio].map(|x| (x * 1e4).round() / 1e4);
        json!({ "name": name, "value": value, "unit": unit, "bound": bound, "ratio": ratio, "least": self.least })
    }
}

/// A table for people.
pub fn table(figures: &[Figure]) -> String {
    let width = figures.iter().map(|f| f.name.len()).max().unwrap_or(0);
    let mut out = format!("{:width$}  {:>12}  {:>12}  {:>6}  unit\n", "figure", "value", "bound", "ratio");
    for f in figures {
        let _ = write!(out, "{:width$}  {:>12.2}  {:>12.2}  {:>6.3}  {}", f.name, f.value, f.bound, f.ratio, f.unit);
        match f.least {
            Some(least) if !f.is_met() => out.push_str(&format!("  BELOW {least:.2}\n")),
            Some(least) => out.push_str(&format!("  (at least {least:.2})\n")),
            None => out.push('\n'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_of_one_is_the_bound_both_ways() {
        assert_eq!(Figure::rate("r", 7.0, "bytes/clock", 14.0).ratio, 0.5);
        assert_eq!(Figure::cost("c", 400.0, "clocks", 200.0).ratio, 0.5);
        assert_eq!(Figure::cost("none", 0.0, "exits", 0.0).ratio, 1.0);
        let low = Figure::rate("r", 7.0, "bytes/clock", 14.0).at_least(0.7);
        assert!(!low.is_met() && table(std::slice::from_ref(&low)).contains("BELOW 0.70"));
        let expected = json!({
            "name": "r", "value": 7.0, "unit": "bytes/clock", "bound": 14.0, "ratio": 0.5, "least": 0.7
        });
        assert_eq!(low.json(), expected);
    }
}
