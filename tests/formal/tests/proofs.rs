//! The proofs as tests: each holds, and each broken design is caught by the check that is about it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use azote_formal::jobs::{FLAWS, JOBS};
use azote_formal::prove::{Answer, prove};

#[test]
fn every_proof_holds() {
    let folder = tempfile::tempdir().unwrap();
    for job in &JOBS {
        assert_eq!(prove(job, None, folder.path()).unwrap(), Answer::Holds, "{}, {:?}", job.name, job.how);
    }
}

#[test]
fn every_broken_design_is_caught_and_its_trace_is_there() {
    let folder = tempfile::tempdir().unwrap();
    for flaw in &FLAWS {
        let job = JOBS.iter().find(|job| job.name == flaw.job).unwrap();
        match prove(job, Some(flaw), folder.path()).unwrap() {
            Answer::Fails { checks, trace } => {
                assert!(checks.iter().any(|c| c == flaw.caught_by), "{}: {checks:?}", flaw.name);
                assert!(trace.is_file(), "{}", trace.display());
            }
            other => panic!("{}: {other:?}", flaw.name),
        }
    }
}
