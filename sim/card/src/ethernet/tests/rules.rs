//! What the port promises and what it demands.

use super::*;
use crate::{EthernetOptions, cable};

#[test]
fn frames_of_every_length_come_back_whole_whatever_stalls() {
    let ethernet = EthernetOptions { bandwidth: EthernetOptions::FULL / 3, stall: 90, gap: 90, damage: 0 };
    for ethernet in [EthernetOptions::default(), ethernet] {
        let mut root = root(Echo::default(), Options { ethernet, ..Options::default() });
        let (here, there) = cable();
        root.ethernet().connect(Box::new(there));
        let lengths: Vec<usize> = (14..100).chain([1514, 9017, 9018]).collect();
        for &length in &lengths {
            assert!(here.send(&frame(length)));
        }
        assert!(!root.is_idle(), "the card is clocked while frames wait");
        assert!(root.run_idle(100_000));
        for &length in &lengths {
            assert_eq!(here.receive(), Some(frame(length)));
        }
        assert_eq!(here.receive(), None);
        root.assert_clean();
        let stats = root.ethernet().stats();
        assert_eq!((stats.sent, stats.given, stats.lost, stats.unfit), (89, 89, 0, 0));
        assert_eq!(stats.sent_bytes, lengths.iter().sum::<usize>() as u64);
    }
}

#[test]
fn what_is_no_frame_is_not_given_and_one_with_an_error_says_so() {
    let damaged = EthernetOptions { damage: 128, ..EthernetOptions::default() };
    let mut root = root(Echo::default(), Options { ethernet: damaged, ..Options::default() });
    let (here, there) = cable();
    root.ethernet().connect(Box::new(there));
    for length in [0, 13, 9019] {
        here.send(&frame(length));
    }
    for _ in 0..100 {
        here.send(&frame(60));
    }
    root.run_idle(10_000);
    let stats = root.ethernet().stats();
    assert_eq!((stats.unfit, stats.given), (3, 100));
    assert!((20..80).contains(&stats.sent), "{stats:?}: half of them had an error, and the echo drops those");
}

#[test]
fn a_rate_is_kept_both_ways() {
    for share in [1, 2, 5] {
        let ethernet = EthernetOptions { bandwidth: EthernetOptions::FULL / share, ..EthernetOptions::default() };
        let mut root = root(Echo::default(), Options { ethernet, ..Options::default() });
        let (here, there) = cable();
        root.ethernet().connect(Box::new(there));
        (0..100).for_each(|_| assert!(here.send(&frame(160))));
        let before = root.clocks();
        root.run_idle(100_000);
        let clocks = root.clocks() - before;
        let bound = 1000 * u64::from(share);
        assert!((bound..bound + bound / 20 + 20).contains(&clocks), "{clocks} clocks for 1000 beats at 1/{share}");
    }
}

#[test]
fn with_nothing_connected_frames_are_counted_as_lost() {
    let first = EthernetBeat { bytes: 16, sop: true, ..EthernetBeat::default() };
    let last = EthernetBeat { bytes: 3, eop: true, ..EthernetBeat::default() };
    let mut root = root(Shows([Some(first), Some(last)].into()), Options::default());
    root.run_idle(100);
    root.assert_clean();
    let stats = root.ethernet().stats();
    assert_eq!((stats.sent, stats.sent_bytes, stats.lost), (1, 19, 1));
}

#[test]
fn each_rule_that_the_card_breaks_is_said() {
    let beat = |bytes, sop, eop| Some(EthernetBeat { bytes, sop, eop, ..EthernetBeat::default() });
    let long: Vec<_> = (0..600).map(|i| beat(16, i == 0, false)).collect();
    for (beats, said) in [
        (vec![beat(16, false, true)], "without etx_sop"),
        (vec![beat(16, true, false), beat(16, true, true)], "etx_sop after 16 bytes"),
        (vec![beat(15, true, false)], "etx_bytes is 15 after 0 bytes of a frame, with etx_eop 0"),
        (vec![beat(16, true, false), beat(0, false, true)], "etx_bytes is 0"),
        (vec![beat(17, true, true)], "etx_bytes is 17"),
        (vec![beat(13, true, true)], "a frame of 13 bytes"),
        (long, "a frame has 9024 bytes and goes on"),
    ] {
        let mut root = root(Shows(beats.into()), Options::default());
        root.run_idle(1000);
        let (_, violations) = root.violations();
        assert!(violations.first().is_some_and(|v| v.text.contains(said)), "{said}: {violations:?}");
    }
}

#[test]
fn what_waits_must_stand() {
    let ethernet = EthernetOptions { stall: 255, ..EthernetOptions::default() };
    let beat = |data| Some(EthernetBeat { data: [data; 4], bytes: 16, sop: true, eop: true, error: false });
    let mut root = root(Shows([beat(1), beat(2)].into()), Options { ethernet, ..Options::default() });
    root.run_idle(100);
    assert!(root.violations().1[0].text.contains("changed before etx_ready"));
}
