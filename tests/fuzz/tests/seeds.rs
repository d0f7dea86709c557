//! The seeds of every fuzz target, and each of them changed some hundred times: what a fuzzer begins with, in every run of the
//! tests. `cargo xtask fuzz` goes on from there.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use azote_fuzz_targets::TARGETS;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Changed copies of each seed; fewer if they take longer than this.
const CHANGED: usize = 200;
const TIME: Duration = Duration::from_secs(5);

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut names: Vec<_> = entries.map(|p| p.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn every_target_has_a_program_and_seeds() {
    let targets: Vec<_> = TARGETS.iter().map(|t| t.0).collect();
    assert_eq!(names(&fuzz().join("fuzz_targets")), targets);
    assert_eq!(names(&fuzz().join("seeds")), targets);
}

fn change(rng: &mut SmallRng, seed: &[u8]) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..rng.random_range(1..8) {
        let at = rng.random_range(0..=data.len());
        match rng.random_range(0..4) {
            0 => data.truncate(at),
            1 => data.insert(at, rng.random()),
            2 if at < data.len() => data[at] ^= 1 << rng.random_range(0..8),
            _ if at < data.len() => data[at] = rng.random(),
            _ => {}
        }
    }
    data
}

#[test]
fn seeds_and_changed_seeds_break_no_rule() {
    for (name, target) in TARGETS {
        let folder = fuzz().join("seeds").join(name);
        let mut seeds: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
        seeds.sort();
        let mut rng = SmallRng::seed_from_u64(1);
        let mut runs = 0;
        let start = Instant::now();
        target(&[]);
        for path in &seeds {
            let seed = std::fs::read(path).unwrap();
            eprintln!("{}", path.display());
            target(&seed);
        }
        for _ in 0..CHANGED {
            for path in &seeds {
                if start.elapsed() < TIME {
                    let data = change(&mut rng, &std::fs::read(path).unwrap());
                    // Shown only if it fails: then it is a seed.
                    eprintln!("{name}: {data:02x?}");
                    target(&data);
                    runs += 1;
                }
            }
        }
        println!("{name}: {} seeds, {runs} changed", seeds.len());
    }
}
