//! Pages: what they tell of each function, from any place of them, piece by piece.

use azote_hdl::BigUint;
use azote_regs::function::{FunctionId, Kind};
use azote_regs::ids;
use azote_regs::nvme::{controller, identify as id, limits, log, status, virtualization as virt, volume};
use azote_rtl::storage::pages::Pages;
use azote_rtl::storage::records::volume::Word;
use azote_rtl::storage::terms::What;
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

/// What a command reads of a page, in DWs.
struct Ask {
    what: u64,
    slot: u64,
    offset: u64,
    dws: u64,
}

const PIECE: u64 = limits::PAGE_SIZE / 4;

/// The bytes that each of these commands gets, and the status that it ends with if `code` is that of its pieces.
fn read(asks: &[Ask], code: u64) -> Vec<Vec<u8>> {
    let mut dut = bench::build("pages", || Pages::new(VFS as usize));
    let mut rng = bench::rng(1);
    let (mut pieces, mut called, mut out, mut done) =
        (Feed::new("in_", 50), Sink::new("piece_", 30), Sink::new("out_", 70), Sink::new("done_", 40));
    for (n, ask) in (0u64..).zip(asks) {
        let mut left = ask.dws;
        while left > 0 {
            let dws = left.min(PIECE);
            left -= dws;
            let place = cat(&[(n.into(), 52), ((n + 1).into(), 52), (n.into(), 10), (dws.into(), 11)]);
            pieces.items.push_back(vec![
                ("place", place),
                ("last", u32::from(left == 0).into()),
                ("slot", ask.slot.into()),
                ("qid", 0u32.into()),
                ("cid", n.into()),
                ("what", ask.what.into()),
                ("from", FROM.into()),
                ("offset", ask.offset.into()),
            ]);
        }
    }
    dut.set("enabled_vfs", ENABLED.into());
    dut.set("offline", OFFLINE.into());
    dut.set("warm", WARM.into());
    let mut got: Vec<Vec<u8>> = vec![vec![]];
    // The piece that was called for: DWs to skip, DWs; what has come of it; clocks until it has left.
    let mut piece: Option<(usize, usize)> = None;
    let mut rows: Vec<u8> = vec![];
    let mut leaves: Option<u32> = None;
    while got.len() <= asks.len() {
        pieces.drive(&mut dut, &mut rng);
        called.drive(&mut dut, &mut rng);
        out.drive(&mut dut, &mut rng);
        done.drive(&mut dut, &mut rng);
        dut.set("left", u32::from(leaves == Some(0)).into());
        dut.set("left_code", code.into());
        leaves = leaves.filter(|n| *n > 0).map(|n| n - 1);
        dut.eval();
        let n = got.len() - 1;
        if let Some(v) = called.taken(&dut, "data") {
            assert!(piece.is_none() && leaves.is_none(), "one at a time");
            assert_eq!((part(&v, 140, 1), part(&v, 131, 6)), (1, asks[n].slot.into()));
            assert_eq!((part(&v, 73, 52), part(&v, 21, 52), part(&v, 11, 10)), (n as u128, n as u128 + 1, n as u128));
            let dws = part(&v, 0, 11) as usize;
            if part(&v, 139, 1) == 1 {
                got[n].extend(std::iter::repeat_n(0, 4 * dws));
                leaves = Some(rng.random_range(0..20));
            } else {
                piece = Some((part(&v, 137, 2) as usize, dws));
                assert_eq!(part(&v, 137, 2) as u64, asks[n].offset % 4);
            }
        }
        if let Some(v) = out.taken(&dut, "data") {
            let (skip, dws) = piece.expect("a row that was not called for");
            rows.extend(part(&v, 0, 128).to_le_bytes());
            let all = (skip + dws).div_ceil(4) * 16;
            assert_eq!(
                (part(&v, 128, 1) == 1, part(&v, 129, 1)),
                (rows.len() == all, 0),
                "the last row is marked: {} of {all}, {} DWs",
                rows.len(),
                dws
            );
            if rows.len() == all {
                got[n].extend(&rows[4 * skip..4 * (skip + dws)]);
                rows.clear();
                piece = None;
                leaves = Some(rng.random_range(0..20));
            }
        }
        if done.takes(&dut) {
            let told = ["slot", "qid", "cid", "code"].map(|f| dut.get(&format!("done_{f}")) as u64);
            assert_eq!(told, [asks[n].slot, 0, n as u64, code]);
            assert_eq!(got[n].len() as u64, 4 * asks[n].dws);
            got.push(vec![]);
        }
        pieces.taken(&dut);
        // Facts of the slot that is asked for come a clock later, and so does the entry of the error log.
        let slot = dut.get("slot") as u64;
        let at = dut.get("error_at") as u64;
        // A word of the statistics comes in its own time.
        let asks_word = dut.get("word_ask") == 1 && dut.get("word_ack") == 0;
        let index = dut.get("word_index") as u64;
        dut.clock();
        let acks = asks_word && rng.random_ratio(1, 4);
        dut.set("word_ack", u32::from(acks).into());
        dut.set("word", word(slot, index).into());
        bench::set(&mut dut, "error_entry", &entry(slot, at));
        for (port, v) in facts(slot) {
            dut.set(port, v.into());
        }
        assert!(dut.clocks() < 900_000, "stuck");
    }
    got.pop();
    got
}

fn le(page: &[u8], at: u64, n: usize) -> u64 {
    page[at as usize..at as usize + n].iter().rev().fold(0, |v, b| v << 8 | u64::from(*b))
}

fn all_pages(what: u64) -> Vec<Vec<u8>> {
    let asks: Vec<_> = (0..5).map(|slot| Ask { what, slot, offset: 0, dws: PIECE }).collect();
    read(&asks, status::SUCCESS)
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
fn a_page_can_be_read_from_any_dw_of_it_and_is_zeroes_beyond_its_end() {
    for what in [What::CONTROLLER, What::ERROR, What::ZERO] {
        let whole = &all_pages(what)[1];
        let mut rng = bench::rng(7);
        let asks: Vec<_> = (0..24)
            .map(|i| {
                let dws = if i % 3 == 0 { rng.random_range(1..=3 * PIECE) } else { rng.random_range(1..200) };
                Ask { what, slot: 1, offset: rng.random_range(0..=PIECE + 8), dws }
            })
            .collect();
        for (ask, got) in asks.iter().zip(read(&asks, status::SUCCESS)) {
            let wanted: Vec<u8> = whole
                .iter()
                .copied()
                .chain(std::iter::repeat(0))
                .skip(4 * ask.offset as usize)
                .take(4 * ask.dws as usize)
                .collect();
            assert_eq!(got, wanted, "{} DWs from {}", ask.dws, ask.offset);
        }
    }
}

#[test]
fn a_command_ends_with_the_error_of_its_pieces_and_the_next_does_not() {
    let ask = || Ask { what: What::ZERO, slot: 2, offset: 0, dws: 3 * PIECE };
    read(&[ask(), ask()], status::DATA_TRANSFER);
}
