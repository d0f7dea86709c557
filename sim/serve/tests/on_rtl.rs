//! The same drivers on the RTL: by file, page by page, by message, two at once; and what an idle guest costs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::{Duration, Instant};

use azote_nvme::Completions;
use azote_sim::Hardware;
use common::raw::Raw;
use common::{Maps, controller, exercise, wait_until};

fn hardware() -> Box<Hardware> {
    let design = azote_rtl::card(4).unwrap();
    Box::new(Hardware::build(design.text, &azote_verilate::Options::fast()).unwrap())
}

/// The RTL's functions share what fetches for them: a guest that does not answer for its memory must not hold up others.
#[test]
fn who_never_answers_for_his_memory_does_not_stop_the_rtl() {
    let rig = common::rig(hardware(), 2);
    let mut good = controller(&rig, 1, Maps::Whole, Completions::Interrupts);
    exercise(&mut good, 1, 2);
    for _ in 0..3 {
        let mut raw = Raw::agreed(&rig);
        raw.map_all();
        raw.start_controller(0x4000);
        raw.asked().unwrap();
        let before = Instant::now();
        exercise(&mut good, 1, 5);
        let spent = before.elapsed();
        assert!(spent < Duration::from_secs(8), "the good client took {spent:?} for a few blocks");
        drop(raw);
    }
    wait_until("the end of the bad client", || !rig.server.counters()[0].connected);
    exercise(&mut controller(&rig, 0, Maps::Messages, Completions::Interrupts), 0, 2);
    drop(good);
    rig.check();
}

#[test]
fn drivers_work_over_sockets_on_the_rtl_and_rest_is_rest() {
    let rig = common::rig(hardware(), 4);
    for maps in [Maps::Whole, Maps::Pages, Maps::Messages] {
        for completions in [Completions::Interrupts, Completions::Polled] {
            wait_until("the function's turn", || !rig.server.counters()[0].connected);
            let mut c = controller(&rig, 0, maps, completions);
            exercise(&mut c, 0, 5);
            c.shutdown().unwrap();
        }
    }
    std::thread::scope(|scope| {
        for (i, maps) in [(1, Maps::Whole), (2, Maps::Messages), (3, Maps::Pages)] {
            let rig = &rig;
            scope.spawn(move || exercise(&mut controller(rig, i, maps, Completions::Interrupts), i, 10));
        }
    });
    let _idle = controller(&rig, 1, Maps::Messages, Completions::Interrupts);
    wait_until("rest", || rig.card.root().is_idle());
    let clocks = rig.card.clocks();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(rig.card.clocks(), clocks, "a guest that does nothing costs no clocks");
    let counters = rig.server.counters();
    assert!(counters[0].interrupts > 0 && counters[0].message_bytes > 0 && counters[0].dma_bytes > 0, "{counters:?}");
    rig.check();
    assert!(rig.card.root().take_dma_faults().is_empty());
}
