//! Where the data of a read comes from: the media's, passed on untouched, or a page, in the order of the commands.

use std::collections::VecDeque;

use azote_hdl::BigUint;
use azote_regs::function::{FunctionId, Kind};
use azote_regs::ids;
use azote_regs::nvme::{controller, identify as id, limits, log, virtualization as virt, volume};
use azote_rtl::storage::pages::{Pages, What};
use azote_rtl::storage::records::volume::Word;
use rand::Rng;

use crate::bench::{self, Feed, Sink, cat, part};

/// What the binding and the counters say of a function.
fn facts(slot: u64) -> [(&'static str, u64); 12] {
    [
        ("bound", 1),
        ("read_only", slot & 1),
        ("length", 1000 + slot),
        ("volume", 0xa0 | slot),
        ("base", 0x1234_5678_9a00 | slot),
        ("reads", 10 + slot),
        ("writes", 20 + slot),
        ("units_read", 30 + slot),
        ("units_written", 40 + slot),
        ("media_errors", 50 + slot),
        ("errors", if slot == 3 { 0 } else { 60 + slot }),
        ("big", slot >> 1 & 1),
    ]
}

const VFS: u64 = 4;
const ENABLED: u64 = 3;
const OFFLINE: u64 = 1 << 3;
const WARM: u64 = 1 << 2;
/// The first secondary controller of lists.
const FROM: u64 = 2;

/// A word of the statistics.
fn word(slot: u64, index: u64) -> u64 {
    slot << 40 | index << 8 | 0xa5
}

/// Entry `at` of a function's ring of errors: `{location, nsid, lba, status, cid, sqid}`.
fn entry(slot: u64, at: u64) -> BigUint {
    let field = [(40 + at, 16), (slot, 32), (slot << 50 | at, 64), (0x4000 + 2 * at, 16), (90 + at, 16), (at, 3)];
    cat(&field.map(|(v, bits)| (u128::from(v), bits)))
}

enum Source {
    Page { what: u64, slot: u64, beats: usize },
    Media(Vec<(u128, bool)>),
}

/// A page of so many beats.
fn page(sources: &[Source]) -> Vec<Vec<(u128, bool)>> {
    let mut dut = bench::build("pages", || Pages::new(VFS as usize));
    let mut rng = bench::rng(1);
    let (mut src, mut media, mut out) = (Feed::new("src_", 50), Feed::new("rd_", 60), Sink::new("out_", 70));
    let mut shape = VecDeque::new();
    for s in sources {
        let (page, what, slot, beats) = match s {
            Source::Page { what, slot, beats } => (1, *what, *slot, *beats),
            Source::Media(rows) => (0, 0, 0, rows.len()),
        };
        src.items.push_back(vec![
            ("from", FROM.into()),
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
    dut.set("enabled_vfs", ENABLED.into());
    dut.set("offline", OFFLINE.into());
    dut.set("warm", WARM.into());
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
        // Facts of the slot that is asked for come a clock later, and so does the entry of the error log.
        let slot = dut.get("slot") as u64;
        let at = dut.get("error_at") as u64;
        // A word of the statistics comes in its own time.
        let asks = dut.get("word_ask") == 1 && dut.get("word_ack") == 0;
        let index = dut.get("word_index") as u64;
        dut.clock();
        let acks = asks && rng.random_ratio(1, 4);
        dut.set("word_ack", u32::from(acks).into());
        dut.set("word", word(slot, index).into());
        bench::set(&mut dut, "error_entry", &entry(slot, at));
        for (port, v) in facts(slot) {
            dut.set(port, v.into());
        }
        assert!(dut.clocks() < 400_000, "stuck");
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
fn identify_controller_tells_what_the_specification_wants_and_controllers_apart() {
    let pages = all_pages(What::CONTROLLER);
    for (slot, p) in pages.iter().enumerate() {
        let f =
            if slot == 0 { Some(FunctionId::pf(Kind::Storage)) } else { FunctionId::vf(Kind::Storage, slot as u8 - 1) };
        assert_eq!(le(p, id::CNTLID, 2), u64::from(f.unwrap().number()));
        assert_eq!((le(p, id::VID, 2), le(p, id::VER, 4)), (ids::VENDOR, controller::VS_VALUE));
        assert_eq!((le(p, id::MDTS, 1), le(p, id::NN, 4)), (limits::MDTS, limits::NAMESPACES));
        // A write cache, and Flush of all namespaces flushes (NVMe 1.4 figure 247, VWC).
        assert_eq!(le(p, id::VWC, 1), 0b111);
        assert_eq!(le(p, id::SQES, 1), limits::SQE_SHIFT << 4 | limits::SQE_SHIFT);
        assert_eq!(p[id::MN as usize..][..id::MN_LEN as usize], id::MODEL);
        for other in &pages[..slot] {
            // One subsystem: the same name and serial number, and another controller.
            for (at, n) in [(id::SN, id::SN_LEN), (id::SUBNQN, id::SUBNQN_LEN)] {
                let field = |p: &[u8]| p[at as usize..(at + n) as usize].to_vec();
                assert_eq!(field(p), field(other));
            }
            assert_ne!(le(p, id::CNTLID, 2), le(other, id::CNTLID, 2));
        }
        let vf = id::CMIC_VF.put(u64::from(slot != 0));
        assert_eq!(le(p, id::CMIC, 1), id::CMIC_CONTROLLERS.mask() | vf);
        assert!(p[id::SUBNQN as usize..].starts_with(b"nqn.2014-08.org.nvmexpress:"));
        let serial = &p[id::SN as usize..][..id::SN_LEN as usize];
        assert!(serial.iter().all(|c| c.is_ascii_alphanumeric() || *c == b' '));
    }
}

#[test]
fn identify_namespace_tells_the_binding_of_its_function() {
    for (slot, p) in all_pages(What::NAMESPACE).iter().enumerate() {
        let big = slot >> 1 & 1 == 1;
        for at in [id::NSZE, id::NCAP, id::NUSE] {
            assert_eq!(le(p, at, 8), if big { 125 } else { 1000 + slot as u64 });
        }
        assert_eq!(le(p, id::FLBAS, 1), u64::from(big));
        assert_eq!(id::LBAF_LBADS.of(le(p, id::LBAF1, 4)), limits::BIG_LBA_SHIFT);
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
        // A UUID by RFC 9562, version 8: its end is the volume and the block that the namespace begins at.
        let third = second + id::NID + 16;
        assert_eq!((le(p, third + id::NIDT, 1), le(p, third + id::NIDL, 1)), (id::NIDT_UUID, 16));
        let uuid = &p[(third + id::NID) as usize..][..16];
        assert_eq!((uuid[6] >> 4, uuid[8] >> 6), (8, 2));
        let fact = |name: &str| facts(slot as u64).iter().find(|f| f.0 == name).unwrap().1;
        assert_eq!(u64::from(uuid[9]), fact("volume"));
        assert_eq!(uuid[10..].iter().fold(0, |v, b| v << 8 | u64::from(*b)), fact("base"));
        assert!(p[third as usize + 20..].iter().all(|b| *b == 0), "and no further descriptor");
    }
    assert_eq!(le(&all_pages(What::LIST)[0], 0, 8), limits::NSID);
}

#[test]
fn logs_tell_the_counters_of_their_function() {
    for (slot, p) in all_pages(What::SMART).iter().enumerate() {
        let slot = slot as u64;
        let fact = |name: &str| facts(slot).iter().find(|f| f.0 == name).unwrap().1;
        assert_eq!(le(p, log::SMART_CRITICAL_WARNING, 1), u64::from(WARM >> slot & 1 == 1) << 1);
        assert_eq!(le(p, log::SMART_READS, 8), fact("reads"));
        assert_eq!(le(p, log::SMART_WRITES, 8), fact("writes"));
        assert_eq!(le(p, log::SMART_UNITS_READ, 8), fact("units_read"));
        assert_eq!(le(p, log::SMART_UNITS_WRITTEN, 8), fact("units_written"));
        assert_eq!(le(p, log::SMART_MEDIA_ERRORS, 8), fact("media_errors"));
        assert_eq!(le(p, log::SMART_ERROR_ENTRIES, 8), fact("errors"));
    }
    for (slot, p) in all_pages(What::ERROR).iter().enumerate() {
        let none = slot == 3;
        for number in 0..log::ERROR_ENTRIES {
            let at = number * log::ERROR_SIZE;
            let count = 60 + slot as u64 - number;
            let here = |offset: u64, n: usize| le(p, at + offset, n);
            if none {
                assert!((0..log::ERROR_SIZE).all(|i| here(i, 1) == 0), "no entry is there");
                continue;
            }
            // The newest lies one before the count, in the ring.
            let place = (count - 1) % log::ERROR_ENTRIES;
            let got = [
                here(log::ERROR_COUNT, 8),
                here(log::ERROR_SQID, 2),
                here(log::ERROR_CID, 2),
                here(log::ERROR_STATUS, 2),
                here(log::ERROR_LOCATION, 2),
                here(log::ERROR_LBA, 8),
                here(log::ERROR_NSID, 4),
            ];
            let slot = slot as u64;
            assert_eq!(got, [count, place, 90 + place, 0x4000 + 2 * place, 40 + place, slot << 50 | place, slot]);
            assert!((28..log::ERROR_SIZE).all(|i| here(i, 1) == 0));
        }
        assert!(p[(log::ERROR_ENTRIES * log::ERROR_SIZE) as usize..].iter().all(|b| *b == 0));
    }
}

#[test]
fn lists_of_secondary_controllers_begin_where_they_are_asked_to() {
    let list = &all_pages(What::SECONDARY)[0];
    let entries = VFS - FROM + 1;
    assert_eq!(u64::from(list[virt::secondary::COUNT]), entries);
    for i in 0..entries {
        let at = (virt::secondary::FIRST + i as usize * virt::secondary::ENTRY) as u64;
        let n = |offset: usize, bytes: usize| le(list, at + offset as u64, bytes);
        let slot = FROM + i;
        let f = FunctionId::vf(Kind::Storage, slot as u8 - 1).unwrap();
        assert_eq!(n(virt::secondary::SCID, 2), u64::from(f.number()));
        assert_eq!(n(virt::secondary::PCID, 2), virt::PRIMARY_ID);
        let online = slot <= ENABLED && OFFLINE >> slot & 1 == 0;
        assert_eq!(n(virt::secondary::STATE, 1), u64::from(online), "slot {slot}");
        assert_eq!((n(virt::secondary::VFN, 2), n(virt::secondary::NVQ, 4)), (slot, 0));
    }
    let end = virt::secondary::FIRST + entries as usize * virt::secondary::ENTRY;
    assert!(list[end..].iter().all(|b| *b == 0));
    let primary = &all_pages(What::PRIMARY)[0];
    assert_eq!(le(primary, virt::primary::VQPRT as u64, 2), limits::QUEUES);
}

#[test]
fn only_the_primary_says_that_it_manages_others() {
    for (slot, p) in all_pages(What::CONTROLLER).iter().enumerate() {
        assert_eq!(virt::OACS_SUPPORTED.is_set(le(p, id::OACS, 2)), slot == 0);
    }
    for (slot, p) in all_pages(What::EFFECTS).iter().enumerate() {
        assert_eq!(le(p, log::EFFECTS_ADMIN + 4 * virt::OPCODE, 4) != 0, slot == 0);
        assert_ne!(le(p, log::EFFECTS_ADMIN + 4 * azote_regs::nvme::opcode::FORMAT, 4), 0);
    }
}

#[test]
fn the_volume_page_is_the_statistics_in_their_places() {
    for (slot, p) in all_pages(What::VOLUME).iter().enumerate() {
        let slot = slot as u64;
        assert_eq!(le(p, volume::MAGIC, 4), volume::MAGIC_VALUE);
        for (i, at) in (0..).zip([
            volume::READ_OPS,
            volume::WRITE_OPS,
            volume::READ_BYTES,
            volume::WRITE_BYTES,
            volume::READ_TIME,
            volume::WRITE_TIME,
            volume::OVER_IOPS,
            volume::OVER_THROUGHPUT,
        ]) {
            assert_eq!(le(p, at, 8), word(slot, i), "word {i}");
        }
        assert_eq!(le(p, volume::INSTANCE_OVER_IOPS, 8), 0);
        for (first, histogram) in
            [(Word::READ_BINS, volume::READ_HISTOGRAM), (Word::WRITE_BINS, volume::WRITE_HISTOGRAM)]
        {
            assert_eq!(le(p, histogram, 8), volume::BINS);
            for bin in 0..volume::BINS {
                let at = histogram + volume::FIRST_BIN + bin * volume::BIN_SIZE;
                assert_eq!((le(p, at, 8), le(p, at + volume::BIN_UPPER, 8)), (volume::lower(bin), volume::upper(bin)));
                assert_eq!(le(p, at + volume::BIN_COUNT, 8), word(slot, first + bin));
            }
        }
    }
}

#[test]
fn a_page_ends_at_4_kib_and_reads_as_zero_beyond() {
    let long = page(&[Source::Page { what: What::CONTROLLER, slot: 0, beats: WHOLE * 2 }]);
    assert!(long[0][WHOLE..].iter().all(|r| r.0 == 0));
    assert!(long[0][..WHOLE].iter().any(|r| r.0 != 0));
}
