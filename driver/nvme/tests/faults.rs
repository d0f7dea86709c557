//! The driver on a controller that misbehaves: every case ends, in a named error, with the driver usable or honestly not.

#![allow(clippy::unwrap_used)] // test helpers fail by panicking

mod model;

use std::{sync::Arc, time::Duration};

use azote_dma::{Dma, Pages};
use azote_nvme::{Completions, Controller, Error, Failure, Io, Options};
use azote_regs::nvme::status;
use azote_seam::{Error as SeamError, mock::Mock};
use model::Model;

fn options() -> Options {
    Options { timeout: Duration::from_millis(5), ..Options::default() }
}

fn function() -> Arc<Mock<Model>> {
    Model::new(vec![7; 64 * 512]).function()
}

fn open(f: &Arc<Mock<Model>>, options: Options) -> Result<Controller, Error> {
    Controller::open(f.clone(), Dma::at(1 << 20, Pages::Small, 0x1_0000_0000).unwrap(), options)
}

fn both() -> [Options; 2] {
    [Completions::Polled, Completions::Interrupts].map(|completions| Options { completions, ..options() })
}

/// Reads a block and finds what is on the disk.
fn works(c: &mut Controller) {
    let b = c.dma().alloc(512, 512).unwrap();
    c.read(3, b.whole()).unwrap();
    assert_eq!(b.read_u64(504).unwrap(), 0x0707_0707_0707_0707);
}

#[test]
fn an_error_status_is_named() {
    let f = function();
    let mut c = open(&f, options()).unwrap();
    let code = (status::UNRECOVERED_READ | status::DNR.mask() | status::MORE.mask()) as u16;
    f.with(|m, _| _ = m.faults.status.insert(9, code));
    let b = c.dma().alloc(512, 512).unwrap();
    let e = c.read(9, b.whole()).unwrap_err().to_string();
    assert_eq!(e, "Read: Unrecovered Read Error (SCT 2h, SC 81h, do not retry, more in the error log)");
    works(&mut c);
    assert_eq!(c.resets(), 0);
}

#[test]
fn a_stuck_command_is_aborted_and_the_others_go_on() {
    for options in both() {
        let f = function();
        let mut c = open(&f, options).unwrap();
        f.with(|m, _| m.faults.stuck_lba = Some(5));
        let b = c.dma().alloc(1024, 512).unwrap();
        c.submit(0, Io::Read { lba: 5, data: b.slice(0, 512).unwrap() }, 55).unwrap();
        c.submit(0, Io::Read { lba: 6, data: b.slice(512, 512).unwrap() }, 66).unwrap();
        let first = c.wait(0).unwrap();
        assert_eq!((first.user, first.result), (66, Ok(0)));
        let second = c.wait(0).unwrap();
        assert_eq!((second.user, second.result), (55, Err(Failure::Aborted)));
        f.with(|m, _| assert_eq!(m.aborts, 1));
        assert_eq!(c.resets(), 0);
        works(&mut c);
    }
}

#[test]
fn a_command_that_can_not_be_aborted_ends_in_a_controller_reset() {
    for options in both() {
        let f = function();
        let mut c = open(&f, Options { io_queues: 2, ..options }).unwrap();
        f.with(|m, _| (m.faults.stuck_lba, m.faults.not_abortable) = (Some(5), true));
        let b = c.dma().alloc(1024, 512).unwrap();
        c.submit(0, Io::Read { lba: 5, data: b.slice(0, 512).unwrap() }, 55).unwrap();
        c.submit(1, Io::Read { lba: 5, data: b.slice(512, 512).unwrap() }, 66).unwrap();
        assert_eq!(c.wait(0).unwrap(), azote_nvme::Completion { user: 55, result: Err(Failure::Reset) });
        // The other queue's command went with the controller; it is reported where it was submitted.
        assert_eq!(c.wait(1).unwrap(), azote_nvme::Completion { user: 66, result: Err(Failure::Reset) });
        assert_eq!(c.resets(), 1);
        works(&mut c);
    }
}

#[test]
fn a_plain_call_that_was_reset_is_reported_once() {
    let f = function();
    let mut c = open(&f, options()).unwrap();
    f.with(|m, _| (m.faults.stuck_lba, m.faults.not_abortable) = (Some(5), true));
    let b = c.dma().alloc(512, 512).unwrap();
    let e = c.read(5, b.whole()).unwrap_err();
    assert!(matches!(e, Error::Failed { failure: Failure::Reset, .. }), "{e}");
    assert_eq!(c.poll(0).unwrap(), None, "nobody else hears of it");
    works(&mut c);
}

#[test]
fn a_deaf_admin_queue_ends_in_a_reset_too() {
    let f = function();
    let mut c = open(&f, options()).unwrap();
    f.with(|m, _| m.faults.deaf_admin = true);
    assert!(matches!(c.smart_log(), Err(Error::TimedOut { .. })));
    assert_eq!(c.resets(), 1);
    c.smart_log().unwrap();
    works(&mut c);
}

#[test]
fn a_completion_that_can_not_be_is_noticed() {
    type Fault = fn(&mut model::Faults);
    let faults: [(&str, Fault); 4] = [
        ("command 0x3f", |f| f.wrong_cid = Some(63)),
        ("command 0xffff", |f| f.wrong_cid = Some(0xffff)),
        ("submission queue 2", |f| f.wrong_sqid = Some(2)),
        ("head 64", |f| f.wrong_head = Some(64)),
    ];
    for (says, fault) in faults {
        let f = function();
        let mut c = open(&f, options()).unwrap();
        f.with(|m, _| fault(&mut m.faults));
        c.submit(0, Io::Flush, 1).unwrap();
        let e = c.wait(0).unwrap_err();
        assert!(matches!(&e, Error::BadCompletion { what, .. } if what.contains(says)), "{e}");
        let left = c.wait(0);
        // A wrong head or queue comes with the right command: that one's end has been seen.
        assert!(
            matches!(left, Ok(azote_nvme::Completion { user: 1, result: Err(Failure::Reset) })),
            "{says}: {left:?}"
        );
        works(&mut c);
    }
}

#[test]
fn a_fatal_status_is_noticed_long_before_the_time_out() {
    for options in both() {
        let f = function();
        let mut c = open(&f, Options { timeout: Duration::from_secs(1), ..options }).unwrap();
        f.with(|m, _| m.faults.fatal = true);
        c.submit(0, Io::Flush, 1).unwrap();
        let before = c.function().now();
        assert!(matches!(c.wait(0), Err(Error::Fatal { .. })));
        assert!(c.function().now() - before < Duration::from_millis(200));
        assert_eq!(c.wait(0).unwrap().result, Err(Failure::Reset));
        works(&mut c);
    }
}

#[test]
fn a_controller_that_does_not_become_ready_is_an_error() {
    let f = function();
    f.with(|m, _| m.faults.stuck_ready = true);
    let e = open(&f, options()).err().unwrap();
    assert!(matches!(&e, Error::Seam(SeamError::Timeout { .. })), "{e}");
    f.with(|_, host| assert_eq!(host.mappings(), 0, "nothing stays mapped"));
}

#[test]
fn a_controller_that_can_not_be_disabled_gets_a_function_reset() {
    let f = function();
    let mut c = open(&f, options()).unwrap();
    f.with(|m, _| m.faults.stuck_on = true);
    c.submit(0, Io::Flush, 1).unwrap();
    c.reset().unwrap();
    f.with(|m, _| assert_eq!(m.flrs, 1));
    assert_eq!(c.wait(0).unwrap().result, Err(Failure::Reset));
    works(&mut c);
}

#[test]
fn a_controller_that_stays_dead_is_given_up() {
    let f = function();
    let mut c = open(&f, options()).unwrap();
    f.with(|m, _| m.faults.deaf_forever = true);
    assert!(matches!(c.smart_log(), Err(Error::TimedOut { .. })));
    assert!(c.smart_log().is_err(), "and again, without hanging");
}

#[test]
fn a_function_that_went_away_is_named() {
    let f = function();
    let mut c = open(&f, options()).unwrap();
    f.with(|m, _| m.faults.gone = true);
    let b = c.dma().alloc(512, 512).unwrap();
    c.submit(0, Io::Read { lba: 0, data: b.whole() }, 1).unwrap();
    let e = c.wait(0).unwrap_err();
    assert!(matches!(&e, Error::Seam(SeamError::Gone { .. })), "{e}");
    drop(c);
    f.with(|_, host| assert_eq!(host.mappings(), 0));
    assert!(matches!(open(&f, options()), Err(Error::Seam(SeamError::Gone { .. }))));
}

#[test]
fn a_storm_of_events_does_not_keep_the_driver_from_its_work() {
    let f = function();
    let mut c = open(&f, Options { events: 4, ..options() }).unwrap();
    f.with(|m, _| m.faults.event_storm = true);
    for _ in 0..20 {
        c.smart_log().unwrap();
        while c.next_event().unwrap().is_some() {}
    }
    works(&mut c);
}

#[test]
fn a_read_only_namespace_refuses_writes_and_stays_readable() {
    let f = function();
    f.with(|m, _| m.read_only = true);
    let mut c = open(&f, options()).unwrap();
    assert!(c.namespace().unwrap().read_only);
    let e = c.write_zeroes(0, 1).unwrap_err().to_string();
    assert!(e.contains("Read Only"), "{e}");
    works(&mut c);
}

#[test]
fn completions_of_random_words_end_in_errors_and_never_in_a_hang() {
    for seed in 1..200 {
        let f = function();
        let mut c = open(&f, Options { timeout: Duration::from_millis(1), ..options() }).unwrap();
        f.with(|m, _| m.faults.garbage = Some(seed));
        let b = c.dma().alloc(4096, 4096).unwrap();
        for i in 0..8 {
            // It may be refused: the queue can be full of what was never completed.
            let _ = c.submit(0, Io::Read { lba: i, data: b.slice(512 * i, 512).unwrap() }, i);
            let _ = c.poll(0);
            let _ = c.smart_log();
        }
        for _ in 0..8 {
            let _ = c.wait(0);
        }
        // A controller that comes to its senses is brought back.
        f.with(|m, _| m.faults.garbage = None);
        c.reset().unwrap();
        while c.poll(0).unwrap().is_some() {}
        works(&mut c);
    }
}
