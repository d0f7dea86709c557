//! Where the data of a read comes from: the media's, passed on untouched, or a page, in the order of the commands.

use std::collections::VecDeque;

use azote_regs::function::{FunctionId, Kind};
use azote_regs::ids;
use azote_regs::nvme::{controller, identify as id, limits, log};
use azote_rtl::storage::pages::{Pages, What};
use rand::Rng;

use crate::bench::{self, Feed, Sink, part};

/// What the binding and the counters say of a function.
fn facts(slot: u64) -> [(&'static str, u64); 10] {
    [
        ("bound", 1),
        ("read_only", slot & 1),
        ("length", 1000 + slot),
        ("reads", 10 + slot),
        ("writes", 20 + slot),
        ("units_read", 30 + slot),
        ("units_written", 40 + slot),
        ("media_errors", 50 + slot),
        ("errors", if slot == 3 { 0 } else { 60 + slot }),
        ("error_entry", 70 + slot),
    ]
}

enum Source {
    Page { what: u64, slot: u64, beats: usize },
    Media(Vec<(u128, bool)>),
}

/// A page of so many beats.
fn page(sources: &[Source]) -> Vec<Vec<(u128, bool)>> {
    let mut dut = bench::build("pages", Pages::new);
    let mut rng = bench::rng(1);
    let (mut src, mut media, mut out) = (Feed::new("src_", 50), Feed::new("rd_", 60), Sink::new("out_", 70));
    let mut shape = VecDeque::new();
    for s in sources {
        let (page, what, slot, beats) = match s {
            Source::Page { what, slot, beats } => (1, *what, *slot, *beats),
            Source::Media(rows) => (0, 0, 0, rows.len()),
        };
        src.items.push_back(vec![
            ("page", (page as u32).into()),
            ("what", what.into()),
            ("slot", slot.into()),
            ("beats", beats.into()),
        ]);
        if let Source::Media(rows) = s {
            for (i, (row, error)) in rows.iter().enumerate() {
                let last = i + 1 == rows.len();
                let fields =
                    [("data", (*row).into()), ("last", u32::from(last).into()), ("error", u32::from(*error).into())];
                media.items.push_back(fields.into());
            }
        }
        shape.push_back(beats);
    }
    let mut done = vec![vec![]];
    while done.len() <= sources.len() {
        src.drive(&mut dut, &mut rng);
        media.drive(&mut dut, &mut rng);
        out.drive(&mut dut, &mut rng);
        dut.eval();
        let taken = out.taken(&dut, "data");
        dut.set("drained", u32::from(taken.is_some()).into());
        if let Some(v) = taken {
            let rows = done.last_mut().unwrap();
            rows.push((part(&v, 0, 128), part(&v, 129, 1) == 1));
            let last = part(&v, 128, 1) == 1;
            assert_eq!(last, rows.len() == shape[done.len() - 1], "the last beat is marked");
            if last {
                done.push(vec![]);
            }
        }
        src.taken(&dut);
        media.taken(&dut);
        // Facts of the slot that is asked for come a clock later.
        let slot = dut.get("slot") as u64;
        dut.clock();
        for (port, v) in facts(slot) {
            dut.set(port, v.into());
        }
        assert!(dut.clocks() < 200_000, "stuck");
    }
    done.pop();
    done
}

fn bytes(rows: &[(u128, bool)]) -> Vec<u8> {
    rows.iter().flat_map(|r| r.0.to_le_bytes()).collect()
}

fn le(page: &[u8], at: u64, n: usize) -> u64 {
    page[at as usize..at as usize + n].iter().rev().fold(0, |v, b| v << 8 | u64::from(*b))
}

const WHOLE: usize = id::SIZE as usize / 16;

fn all_pages(what: u64) -> Vec<Vec<u8>> {
    let sources: Vec<_> = (0..5).map(|slot| Source::Page { what, slot, beats: WHOLE }).collect();
    page(&sources).iter().map(|p| bytes(p)).collect()
}

#[test]
fn the_media_s_data_passes_untouched_and_in_the_order_of_the_commands() {
    let mut rng = bench::rng(2);
    let sources: Vec<_> = (0..60u64)
        .map(|i| match rng.random_range(0..3) {
            0 => Source::Page { what: What::ZERO, slot: i % 5, beats: rng.random_range(1..40) },
            _ => {
                // Only the last beat tells an error.
                let n = rng.random_range(1..80);
                let broken = rng.random();
                Source::Media((0..n).map(|k| (rng.random(), broken && k + 1 == n)).collect())
            }
        })
        .collect();
    for (s, got) in sources.iter().zip(page(&sources)) {
        match s {
            Source::Page { .. } => assert!(got.iter().all(|r| *r == (0, false))),
            Source::Media(rows) => assert_eq!(*rows, got),
        }
    }
}

#[test]
fn identify_controller_tells_what_the_specification_wants_and_functions_apart() {
    let pages = all_pages(What::CONTROLLER);
    for (slot, p) in pages.iter().enumerate() {
        let f =
            if slot == 0 { Some(FunctionId::pf(Kind::Storage)) } else { FunctionId::vf(Kind::Storage, slot as u8 - 1) };
        assert_eq!(le(p, id::CNTLID, 2), u64::from(f.unwrap().number()));
        assert_eq!((le(p, id::VID, 2), le(p, id::VER, 4)), (ids::VENDOR, controller::VS_VALUE));
        assert_eq!((le(p, id::MDTS, 1), le(p, id::NN, 4)), (limits::MDTS, limits::NAMESPACES));
        assert_eq!(le(p, id::SQES, 1), limits::SQE_SHIFT << 4 | limits::SQE_SHIFT);
        assert_eq!(p[id::MN as usize..][..id::MN_LEN as usize], id::MODEL);
        for other in &pages[..slot] {
            for (at, n) in [(id::SN, id::SN_LEN), (id::SUBNQN, id::SUBNQN_LEN)] {
                let field = |p: &[u8]| p[at as usize..(at + n) as usize].to_vec();
                assert_ne!(field(p), field(other));
            }
        }
        assert!(p[id::SN as usize..][..id::SN_LEN as usize].iter().all(u8::is_ascii_alphanumeric));
    }
}

#[test]
fn identify_namespace_tells_the_binding_of_its_function() {
    for (slot, p) in all_pages(What::NAMESPACE).iter().enumerate() {
        for at in [id::NSZE, id::NCAP, id::NUSE] {
            assert_eq!(le(p, at, 8), 1000 + slot as u64);
        }
        assert_eq!(id::LBAF_LBADS.of(le(p, id::LBAF0, 4)), limits::LBA_SHIFT);
        assert_eq!(le(p, id::NSATTR, 1), if slot % 2 == 1 { id::NSATTR_WRITE_PROTECTED } else { 0 });
        assert_eq!((p[id::EUI64 as usize + 7], p[id::NGUID as usize + 15]), (slot as u8, slot as u8));
        assert_ne!(le(p, id::EUI64, 7), 0);
    }
    for (slot, p) in all_pages(What::DESCRIPTORS).iter().enumerate() {
        assert_eq!((le(p, id::NIDT, 1), le(p, id::NIDL, 1)), (id::NIDT_EUI64, 8));
        assert_eq!(p[id::NID as usize + 7], slot as u8);
        let second = id::NID + 8;
        assert_eq!((le(p, second + id::NIDT, 1), le(p, second + id::NIDL, 1)), (id::NIDT_NGUID, 16));
        assert_eq!(p[(second + id::NID) as usize + 15], slot as u8);
    }
    assert_eq!(le(&all_pages(What::LIST)[0], 0, 8), limits::NSID);
}

#[test]
fn logs_tell_the_counters_of_their_function() {
    for (slot, p) in all_pages(What::SMART).iter().enumerate() {
        let slot = slot as u64;
        let fact = |name: &str| facts(slot).iter().find(|f| f.0 == name).unwrap().1;
        assert_eq!(le(p, log::SMART_READS, 8), fact("reads"));
        assert_eq!(le(p, log::SMART_WRITES, 8), fact("writes"));
        assert_eq!(le(p, log::SMART_UNITS_READ, 8), fact("units_read"));
        assert_eq!(le(p, log::SMART_UNITS_WRITTEN, 8), fact("units_written"));
        assert_eq!(le(p, log::SMART_MEDIA_ERRORS, 8), fact("media_errors"));
        assert_eq!(le(p, log::SMART_ERROR_ENTRIES, 8), fact("errors"));
    }
    for (slot, p) in all_pages(What::ERROR).iter().enumerate() {
        let none = slot == 3;
        assert_eq!(le(p, log::ERROR_COUNT, 8), if none { 0 } else { 60 + slot as u64 });
        assert_eq!(le(p, log::ERROR_SQID, 8), if none { 0 } else { 70 + slot as u64 });
        assert!(p[log::ERROR_SIZE as usize..].iter().all(|b| *b == 0), "one entry exists");
    }
}

#[test]
fn a_page_ends_at_4_kib_and_reads_as_zero_beyond() {
    let long = page(&[Source::Page { what: What::CONTROLLER, slot: 0, beats: WHOLE * 2 }]);
    assert!(long[0][WHOLE..].iter().all(|r| r.0 == 0));
    assert!(long[0][..WHOLE].iter().any(|r| r.0 != 0));
}
