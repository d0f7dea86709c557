//! Random commands on several VFs at once against a model, with limits, resets, faults, queues deleted, VFs bound anew, offline,
//! off the bus and disabled, and volumes that are slow or stuck, all beside each other.
//! What a step can be is in `azote_tests::soak`; a failure leaves its steps in a file that `cargo xtask soak` makes smaller.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use azote_tests::soak::{Case, Report, Steps, attempt, minimise};

fn run(seed: u64, commands: u64, rough: bool) -> Report {
    let case = Case { seed, rough, events: rough, planted: false, steps: Steps::Until(commands) };
    let mut steps = Vec::new();
    match attempt(&case, &mut steps) {
        Ok(report) => {
            eprintln!("seed {seed}: {report:?}");
            report
        }
        Err(reason) => {
            let path = std::env::temp_dir().join(format!("azote-soak-{seed}.case"));
            Case { steps: Steps::These(steps), ..case }.save(&path).unwrap();
            panic!("{reason}\nto run it again and make it smaller: cargo xtask soak --replay {}", path.display());
        }
    }
}

#[test]
fn random_commands_on_three_vfs_do_what_the_model_does() {
    let r = run(1, 40_000, false);
    assert!(r.limits > 50 && r.held > 10, "the seed must bring limits: {r:?}");
}

#[test]
fn random_commands_with_resets_and_faults_on_a_rough_host() {
    let r = run(2, 20_000, true);
    let events = [r.resets, r.faults, r.deletions, r.mutes, r.offline, r.rebinds, r.stuck, r.beside, r.cut];
    assert!(events.iter().all(|n| *n > 50) && r.disables > 10, "the seed must bring events: {r:?}");
    assert!(r.aborted > 10, "and slow media something to abort: {r:?}");
    assert!(r.limits > 50 && r.held > 10, "and limits: {r:?}");
}

#[test]
fn a_planted_failure_becomes_a_case_of_two_steps_that_fails_again() {
    let case = Case { seed: 3, rough: true, events: true, planted: true, steps: Steps::Until(10_000) };
    let mut steps = Vec::new();
    assert_eq!(attempt(&case, &mut steps).unwrap_err(), "planted");
    let with = |steps: &[u64]| Case { steps: Steps::These(steps.to_vec()), ..case.clone() };
    let fails = |steps: &[u64]| attempt(&with(steps), &mut Vec::new()).is_err();
    let small = minimise(steps, Duration::from_secs(120), fails);
    assert_eq!(small.len(), 2, "a fault, and a reset of the third VF");
    let again = Case::parse(&with(&small).text()).unwrap();
    assert_eq!(again, with(&small));
    assert_eq!(attempt(&again, &mut Vec::new()).unwrap_err(), "planted");
}
