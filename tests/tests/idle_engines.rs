//! An engine that has nothing to do is not clocked, and nobody can tell: the card beside one whose engines are clocked always, through
//! everything that the random test does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use azote_tests::rig::Model;
use azote_tests::soak::{Case, Steps, attempt_on};

fn same(seed: u64, commands: u64, rough: bool) {
    let case = Case { seed, rough, events: rough, planted: false, steps: Steps::Until(commands) };
    let report = attempt_on(Model::Twin, &case, &mut Vec::new());
    eprintln!("seed {seed}: {:?}", report.unwrap_or_else(|reason| panic!("{reason}")));
}

#[test]
fn an_engine_that_sleeps_between_commands_does_in_each_clock_what_one_does_that_is_always_clocked() {
    same(11, 1500, false);
}

#[test]
fn and_so_it_does_between_resets_deletions_new_bindings_limits_and_faults() {
    same(12, 1500, true);
}
