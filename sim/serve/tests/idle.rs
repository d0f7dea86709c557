//! A guest that does nothing costs nothing. In a process of its own, whose processor time is looked at.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::time::Duration;

use common::{Maps, controller, exercise, soft, wait_until};

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn idle_guests_cost_no_clocks_and_next_to_no_processor() {
    let rig = soft(3);
    let mut working = controller(&rig, 0, Maps::Whole, azote_nvme::Completions::Interrupts);
    exercise(&mut working, 0, 5);
    let _by_message = controller(&rig, 1, Maps::Messages, azote_nvme::Completions::Interrupts);
    let _silent = rig.client(2);
    wait_until("rest", || rig.card.root().is_idle());
    let (clocks, before) = (rig.card.clocks(), processor_time());
    std::thread::sleep(Duration::from_secs(1));
    let spent = processor_time() - before;
    assert_eq!(rig.card.clocks(), clocks);
    assert!(spent < Duration::from_millis(50), "{spent:?} of processor time in a second of idleness");
    exercise(&mut working, 0, 1);
}
