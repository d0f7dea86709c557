//! Each command ends once, whatever else does.

use std::collections::BTreeSet;

use rand::Rng;

use super::{SLOTS, World};

#[test]
fn every_command_ends_once_with_the_first_error_whatever_the_order_of_answers() {
    let mut w = World::new(1);
    for round in 0..12 {
        (w.percent, w.answers) = [(100, 100), (70, 10), (30, 50), (100, 2)][round % 4];
        w.load(6000);
        w.drain();
    }
    assert!(w.last_code.len() > 1000 && w.pages > 100 && w.continued > 100, "{} {}", w.last_code.len(), w.continued);
    assert!(w.last_code.values().collect::<BTreeSet<_>>().len() >= 5, "all sorts of ends");
    assert!(w.again > 20 && w.gone > 20, "{} were asked again, {} ended", w.again, w.gone);
    assert_eq!(w.cancels, 0, "nobody gave anything up");
}

#[test]
fn a_function_that_is_closed_ends_in_bounded_time_and_nobody_else_notices() {
    let mut w = World::new(2);
    for round in 0..40 {
        (w.percent, w.answers) = [(100, 30), (60, 10), (40, 30)][round % 3];
        let slot = w.rng.random_range(0..SLOTS as u64);
        if w.rng.random() {
            w.stuck.insert(slot);
        }
        w.load(3000);
        if round % 2 == 0 {
            // The medium takes nothing for a while, and a command is just asking.
            while w.front.is_some() {
                w.clock();
            }
            let op = w.some();
            w.begin(slot, op);
            w.stall = 300;
            w.load(5);
        }
        w.close_slot(slot, 100_000);
        w.stuck.clear();
    }
    assert!(w.cancels > 100 && w.gone_cancelled > 0, "{}, {} of them spoilt", w.cancels, w.gone_cancelled);
    assert!(w.asides > 20, "{} of those set aside", w.asides);
    w.drain();
    assert!((0..SLOTS as u64).all(|slot| w.closed[&slot] > 200), "{:?}", w.closed);
}
