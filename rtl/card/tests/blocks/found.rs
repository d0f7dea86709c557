//! Errors on their way to configuration space: all are told, whoever finds them, however many come at once.

use std::collections::{HashMap, HashSet};

use azote_rtl::config::Errors;
use azote_rtl::transaction::Found;
use rand::Rng;

use crate::bench;

const VFS: u8 = 4;
/// Errors that wait with their headers.
const DEPTH: usize = 16;

/// Whose (nobody's: all PFs), and which.
type Error = (Option<u8>, u64);

#[test]
fn every_error_is_told_in_its_function_and_the_first_with_their_headers() {
    let mut dut = bench::build("found", || Errors::new(VFS.into()));
    let mut rng = bench::rng(1);
    dut.set("out_ready", 0);
    bench::settle(&mut dut, "busy");
    for round in 0..200 {
        // A burst, in which nobody takes anything; then they are taken slowly.
        let burst = if round % 2 == 0 { rng.random_range(1..DEPTH) } else { rng.random_range(DEPTH..200) };
        let mut held: HashMap<&str, (Error, u128)> = HashMap::new();
        let mut order: Vec<(Error, u128)> = vec![];
        let (mut begun, mut told) = (0, vec![]);
        for clock in 0.. {
            for name in ["read", "completer", "posted", "receive"] {
                // The finder of completions' errors has them for one clock each.
                if !held.contains_key(name) && begun < burst && rng.random_ratio(2, 3) {
                    // Some are of functions that the card has not.
                    let slot =
                        if rng.random_ratio(1, 8) { rng.random_range(VFS + 1..64) } else { rng.random_range(0..=VFS) };
                    let owner = rng.random_ratio(3, 4).then(|| slot << 2 | rng.random_range(0..3));
                    let event = rng.random_range(0..Found::COUNT as u64);
                    held.insert(name, ((owner, event), rng.random()));
                    begun += 1;
                }
                let here = held.get(name);
                dut.set(&format!("{name}_valid"), here.is_some().into());
                if let Some(((owner, event), header)) = here {
                    dut.set(&format!("{name}_owner"), owner.unwrap_or(0).into());
                    dut.set(&format!("{name}_everyone"), owner.is_none().into());
                    dut.set(&format!("{name}_event"), (*event).into());
                    dut.set(&format!("{name}_header"), *header);
                }
            }
            let takes = begun == burst && rng.random_ratio(1, 5);
            dut.set("out_ready", takes.into());
            dut.eval();
            assert!(!held.contains_key("read") || dut.get("read_ready") == 1, "a completion cannot wait");
            for name in ["read", "completer", "posted", "receive"] {
                if dut.get(&format!("{name}_ready")) == 1 {
                    let its = |((owner, event), header): (Error, u128)| {
                        ((owner.filter(|owner| owner >> 2 <= VFS), event), header)
                    };
                    order.extend(held.remove(name).map(its));
                }
            }
            if takes && dut.get("out_valid") == 1 {
                let owner = (dut.get("out_everyone") == 0).then(|| dut.get("out_owner") as u8);
                told.push(((owner, dut.get("out_event") as u64), dut.get("out_header")));
            }
            let busy = dut.get("busy") == 1;
            dut.clock();
            if begun == burst && held.is_empty() && !busy {
                break;
            }
            assert!(clock < 20_000, "never at rest");
        }
        let first = order.len().min(DEPTH);
        if order.len() <= DEPTH {
            assert_eq!(told, order, "all of them, as they came");
        } else {
            // The first with their headers; of the others each once at least, and none that was not found.
            for e in &order[..first] {
                assert!(told.contains(e), "{e:x?}");
            }
            let found: HashSet<Error> = order.iter().map(|e| e.0).collect();
            let heard: HashSet<Error> = told.iter().map(|e| e.0).collect();
            assert_eq!(heard, found);
            assert!(told.iter().all(|e| e.1 == u128::MAX || order.contains(e)), "a header of another");
        }
    }
}
