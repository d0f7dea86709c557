//! What callgrind counted: instructions of each function itself.

use std::collections::BTreeMap;
use std::ops::Sub;

/// A profile: instructions of each function itself, without those that it calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile(pub BTreeMap<String, u64>);

/// Those that give memory from the heap.
const HEAP: [&str; 6] = ["malloc", "calloc", "realloc", "aligned_alloc", "memalign", "posix_memalign"];

impl Profile {
    /// Reads callgrind's output, as far as there is something to count in it: `fn=` and `cfn=` say a name or the number that
    /// it was given before, and the line after `calls=` has the callee's cost, which is not the caller's own (Valgrind's
    /// manual, "Callgrind Format Specification").
    #[must_use]
    pub fn parse(text: &str) -> Profile {
        let mut own = BTreeMap::new();
        let mut names: BTreeMap<&str, &str> = BTreeMap::new();
        let (mut function, mut of_callee) = ("", false);
        for line in text.lines() {
            if let Some(text) = line.strip_prefix("fn=") {
                function = resolve(&mut names, text);
            } else if let Some(text) = line.strip_prefix("cfn=") {
                resolve(&mut names, text);
            } else if line.starts_with("calls=") {
                of_callee = true;
            } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
                let cost: u64 = line.split(' ').nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0);
                if !std::mem::take(&mut of_callee) && cost > 0 {
                    *own.entry(function.to_owned()).or_default() += cost;
                }
            }
        }
        Profile(own)
    }

    /// All instructions.
    #[must_use]
    pub fn instructions(&self) -> u64 {
        self.0.values().sum()
    }

    /// Instructions of those that give memory from the heap.
    #[must_use]
    pub fn heap(&self) -> u64 {
        HEAP.iter().filter_map(|name| self.0.get(*name)).sum()
    }
}

/// `(7) name` gives a number a name, `(7)` refers to it.
fn resolve<'a>(names: &mut BTreeMap<&'a str, &'a str>, text: &'a str) -> &'a str {
    match text.split_once(' ') {
        Some((number, name)) => {
            names.insert(number, name);
            name
        }
        None => names.get(text).copied().unwrap_or(text),
    }
}

/// What a longer run did beyond a shorter one.
impl Sub for &Profile {
    type Output = Profile;

    fn sub(self, less: &Profile) -> Profile {
        let beyond = |(name, n): (&String, &u64)| {
            let left = n.saturating_sub(less.0.get(name).copied().unwrap_or(0));
            (left > 0).then(|| (name.clone(), left))
        };
        Profile(self.0.iter().filter_map(beyond).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
version: 1
events: Ir
fl=(1) io.rs
fn=(1) push
10 5
+3 2
cfn=(2) malloc
calls=3 0
11 60
fn=(2)
1 60
fn=(1)
* 4
";

    #[test]
    fn a_caller_has_not_its_callees_cost() {
        let profile = Profile::parse(TEXT);
        assert_eq!(profile.0, BTreeMap::from([("push".into(), 11), ("malloc".into(), 60)]));
        assert_eq!((profile.instructions(), profile.heap()), (71, 60));
    }

    #[test]
    fn the_difference_is_what_the_longer_run_did_beyond() {
        let (short, long) = (Profile::parse(TEXT), Profile::parse(&TEXT.replace("+3 2", "+3 9")));
        let beyond = &long - &short;
        assert_eq!((beyond.0.len(), beyond.instructions(), beyond.heap()), (1, 7, 0));
    }
}
