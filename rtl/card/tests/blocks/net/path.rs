//! The whole path: what one function's driver leaves to the device is right when another function gets it, or the wire.

use azote_regs::virtio::net::header;
use azote_rtl::net::path::Path;
use rand::Rng;

use super::packet::Packet;
use super::{Frames, push};
use crate::bench::{self, Feed};

const VFS: usize = 4;

#[test]
fn checksums_and_segments_are_right_at_their_receiver() {
    let mut dut = bench::build("path", || Path::new(VFS));
    let mut rng = bench::rng(1);
    bench::settle(&mut dut, "busy");
    // Two functions of one tenant, connected to the wire, by the addresses that the packets have.
    for (slot, mac) in [(1u128, 0x0202_0202_0202u128), (2, 0x0101_0101_0102)] {
        let limit = 9018;
        let port = bench::cat(&[(limit, 14), (0, 1), (1, 1), (1, 1), (1, 1), (0, 3), (9, 12), (77, 24), (mac, 48)]);
        for (name, v) in [("ports_valid", 1), ("ports_slot", slot), ("ports_live", 1)] {
            dut.set(name, v);
        }
        bench::set(&mut dut, "ports_port", &port);
        while dut.get("ports_done") == 0 {
            dut.clock();
            dut.eval();
        }
        dut.clock();
        dut.set("ports_valid", 0);
    }
    let (mut feed, mut gets, mut tx) = (Feed::new("", 90), Frames::new("gets_", 80), Frames::new("tx_", 80));
    let mut due = [vec![], vec![]];
    for _ in 0..120 {
        let n = rng.random_range(1..4000);
        let (v6, udp) = rng.random();
        let p = Packet::random(&mut rng, v6, udp, n);
        let size = rng.random_range(100..1500u16);
        let outside = rng.random_ratio(1, 3);
        let offset = p.place() - p.l4();
        let gso = if udp { header::GSO_NONE } else { if v6 { header::GSO_TCPV6 } else { header::GSO_TCPV4 } };
        let wants = 1u128
            | u128::from(gso) << (8 * header::GSO_TYPE)
            | u128::from(size) << (8 * header::GSO_SIZE)
            | (p.l4() as u128) << (8 * header::CSUM_START)
            | (offset as u128) << (8 * header::CSUM_OFFSET);
        let mut f = p.partial();
        let mut whole = if udp { vec![p.bytes()] } else { p.segments(size.into()) };
        if outside {
            for f in whole.iter_mut().chain([&mut f]) {
                f[5] = 0x99;
            }
            // With the tag of its VLAN.
            whole = whole.iter().map(|f| [&f[..12], &[0x81, 0, 0, 9], &f[12..]].concat()).collect();
        }
        due[usize::from(outside)].extend(whole);
        push(&mut feed, &f, false, &[("slot", 1)]);
        let beats = f.len().div_ceil(16);
        let from = feed.items.len() - beats;
        for item in feed.items.iter_mut().skip(from) {
            item.extend([("header", wants.into()), ("length", f.len().into())]);
        }
    }
    let mut came = [0, 0];
    let mut right = 0;
    dut.set("room_free", 1);
    for _ in 0..200_000 {
        let offered = feed.offer(&mut rng);
        dut.set("sends_valid", offered.into());
        if offered {
            for (field, v) in &feed.items[0] {
                let of = if ["header", "length"].contains(field) { "wants_" } else { "sends_" };
                bench::set(&mut dut, &format!("{of}{field}"), v);
            }
        }
        gets.drive(&mut dut, &mut rng);
        tx.drive(&mut dut, &mut rng);
        dut.eval();
        if dut.get("sends_ready") == 1 {
            feed.accepted();
        }
        let got = [gets.taken(&dut), tx.taken(&dut)];
        for (to, got) in got.into_iter().enumerate().filter_map(|(to, got)| got.map(|g| (to, g))) {
            assert!(got.1 == due[to][came[to]], "{:02x?}\nand due is\n{:02x?}", got.1, due[to][came[to]]);
            assert!(to == 1 || got.0 == 2);
            came[to] += 1;
        }
        if dut.get("told_checked") == 1 {
            assert_eq!(dut.get("told_right"), 1, "what the one half of the card made the other finds right");
            right += 1;
        }
        if feed.items.is_empty() && dut.get("busy") == 0 {
            break;
        }
        dut.clock();
    }
    assert_eq!((came, right), (due.each_ref().map(Vec::len), due[0].len()));
    assert!(came[0] > 100 && came[1] > 50);
}
