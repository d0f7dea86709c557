//! What is found out of received frames, against plain Rust and the vectors that others publish.

use azote_rtl::net::check::Check;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use super::packet::{Packet, folded, sum};
use super::{Frames, push};
use crate::bench::{self, Feed};

const VFS: usize = 4;
const SLOTS: usize = VFS + 1;

/// Toeplitz, bit by bit.
fn toeplitz(key: &[u8; 40], data: &[u8]) -> u32 {
    let bit = |bytes: &[u8], n: usize| bytes[n / 8] >> (7 - n % 8) & 1 == 1;
    let mut hash = 0;
    for n in (0..8 * data.len()).filter(|n| bit(data, *n)) {
        hash ^= (0..32).fold(0u32, |w, i| w << 1 | u32::from(bit(key, n + i)));
    }
    hash
}

/// `(hash, report, right)` of a frame.
fn expected(frame: &[u8], key: &[u8; 40], types: u8, error: bool) -> (u32, u8, bool) {
    // A header that ends within the last beat is taken with the zeroes behind it: whose packet it is, is his own affair.
    let (mut f, real) = (frame.to_vec(), frame.len());
    f.resize(real.next_multiple_of(16), 0);
    let word = |at: usize| f.get(at..at + 2).map(|w| u16::from_be_bytes([w[0], w[1]]));
    let (Some(kind), mut l3) = (word(12), 14) else { return (0, 0, false) };
    let kind = if kind == 0x8100 {
        l3 = 18;
        let Some(kind) = word(16) else { return (0, 0, false) };
        kind
    } else {
        kind
    };
    let v6 = kind == 0x86dd;
    if !v6 && kind != 0x800 {
        return (0, 0, false);
    }
    let Some(&first) = f.get(l3) else { return (0, 0, false) };
    if first >> 4 != if v6 { 6 } else { 4 } || !v6 && first & 15 < 5 {
        return (0, 0, false);
    }
    let l4 = l3 + if v6 { 40 } else { 4 * usize::from(first & 15) };
    let addresses = if v6 { l3 + 8..l3 + 40 } else { l3 + 12..l3 + 20 };
    let Some(pair) = f.get(addresses.clone()) else { return (0, 0, false) };
    let proto = f[l3 + if v6 { 6 } else { 9 }];
    let fragment = !v6 && u16::from_be_bytes([f[l3 + 6], f[l3 + 7]]) & 0x3fff != 0;
    let tcp = proto == 6 && !fragment;
    let udp = proto == 17 && !fragment;
    let types = if v6 { types >> 3 } else { types & 7 };
    let base = if v6 { 3 } else { 0 };
    let mut told = (0, 0);
    if types & 1 != 0 {
        told = (toeplitz(key, pair), base + 1);
    }
    let ports = f.get(l4..l4 + 4);
    // The headers that are looked at lie in eight beats.
    if let Some(ports) = ports.filter(|_| (tcp || udp) && l4 + 4 <= 128)
        && types & if tcp { 2 } else { 4 } != 0
    {
        told = (toeplitz(key, &[pair, ports].concat()), base + if tcp { 2 } else { 3 });
    }
    let length = usize::from(word(l3 + if v6 { 4 } else { 2 }).unwrap());
    let end = l3 + length + if v6 { 40 } else { 0 };
    let mut right = false;
    if (tcp || udp) && !error && real >= end && l4 + if udp { 8 } else { 4 } <= f.len().min(128) && end >= l4 {
        let pseudo = sum(pair) + u32::from(proto) + (end - l4) as u32;
        right = folded(sum(&f[l4..end]) + pseudo) == 0xffff && !(udp && word(l4 + 6) == Some(0));
    }
    (told.0, told.1, right)
}

struct World {
    dut: Dut,
    rng: SmallRng,
    keys: Vec<[u8; 40]>,
    types: Vec<u8>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut w = World {
            dut: bench::build("check", || Check::new(VFS)),
            rng: bench::rng(seed),
            keys: vec![],
            types: vec![],
        };
        for slot in 0..SLOTS {
            let key = std::array::from_fn(|_| w.rng.random());
            w.key(slot, key);
            w.keys.push(key);
            let types = w.rng.random_range(0..64);
            w.types_of(slot, types);
            w.types.push(types);
        }
        w
    }

    fn key(&mut self, slot: usize, key: [u8; 40]) {
        for (i, word) in key.chunks(2).enumerate() {
            self.dut.set("keys_key_we", 1);
            self.dut.set("keys_key_slot", slot as u128);
            self.dut.set("keys_key_word", i as u128);
            self.dut.set("keys_key_data", u128::from(word[0]) << 8 | u128::from(word[1]));
            self.dut.clock();
        }
        self.dut.set("keys_key_we", 0);
    }

    fn types_of(&mut self, slot: usize, types: u8) {
        self.dut.set("keys_types_we", 1);
        self.dut.set("keys_types_slot", slot as u128);
        self.dut.set("keys_types", types.into());
        self.dut.clock();
        self.dut.set("keys_types_we", 0);
    }

    /// Lets frames pass; what is told of each, and clocks for all of them.
    fn pass(&mut self, frames: &[(usize, Vec<u8>, bool)], percent: u32) -> (Vec<(u32, u8, bool)>, u64) {
        let (mut feed, mut out) = (Feed::new("frame_", percent), Frames::new("out_", percent));
        for (slot, f, error) in frames {
            push(&mut feed, f, *error, &[("slot", *slot as u128)]);
        }
        let (mut told, mut came, mut hash) = (vec![], 0, None);
        let start = self.dut.clocks();
        for _ in 0..2_000_000 {
            feed.drive(&mut self.dut, &mut self.rng);
            out.drive(&mut self.dut, &mut self.rng);
            self.dut.eval();
            if feed.items.is_empty() && self.dut.get("busy") == 0 {
                break;
            }
            feed.taken(&self.dut);
            let error = self.dut.get("out_error") == 1;
            if let Some((slot, f)) = out.taken(&self.dut) {
                assert_eq!((slot as usize, f, error), frames[came].clone());
                came += 1;
            }
            if self.dut.get("told_hashed") == 1 {
                assert!(hash.is_none(), "a hash is told once a frame");
                hash = Some((self.dut.get("told_hash") as u32, self.dut.get("told_report") as u8));
            }
            if self.dut.get("told_checked") == 1 {
                assert_eq!(came, told.len() + 1, "behind the frame's end, and before the next one");
                let (h, report) = hash.take().expect("its hash was told before");
                let still = (self.dut.get("told_hash") as u32, self.dut.get("told_report") as u8);
                assert_eq!(still, (h, report));
                told.push((h, report, self.dut.get("told_right") == 1));
            }
            self.dut.clock();
        }
        assert_eq!((came, told.len()), (frames.len(), frames.len()));
        (told, self.dut.clocks() - start)
    }
}

fn any_frame(rng: &mut SmallRng) -> Vec<u8> {
    let n = match rng.random_range(0..6) {
        0 => rng.random_range(0..10),
        1 => rng.random_range(1400..1500),
        2 => rng.random_range(0..9000),
        _ => rng.random_range(0..200),
    };
    let (v6, udp) = rng.random();
    let p = Packet::random(rng, v6, udp, n);
    let mut f = p.bytes();
    match rng.random_range(0..12) {
        // A bit of it is wrong.
        0 => {
            let at = rng.random_range(12..f.len());
            f[at] ^= 1 << rng.random_range(0..8);
        }
        1 => f.truncate(rng.random_range(14..f.len() + 1)),
        // Padding.
        2 | 3 => f.resize_with(f.len() + rng.random_range(1..40), || rng.random()),
        4 if !v6 => f[p.l3() + 6] |= rng.random_range(0..64),
        5 => f[p.l3() + if v6 { 6 } else { 9 }] = rng.random(),
        6 if udp && !v6 => f[p.place()..p.place() + 2].copy_from_slice(&[0, 0]),
        7 => f[12] = rng.random(),
        _ => {}
    }
    f
}

#[test]
fn what_is_told_of_a_frame_is_true() {
    let mut w = World::new(1);
    for percent in [100, 60] {
        let frames: Vec<(usize, Vec<u8>, bool)> = (0..3000)
            .map(|_| (w.rng.random_range(0..SLOTS), any_frame(&mut w.rng), w.rng.random_ratio(1, 50)))
            .collect();
        let (told, _) = w.pass(&frames, percent);
        let mut seen = [0; 8];
        for ((slot, f, error), told) in frames.iter().zip(told) {
            assert_eq!(told, expected(f, &w.keys[*slot], w.types[*slot], *error), "{f:02x?}");
            seen[usize::from(told.1)] += 1;
            seen[7] += usize::from(told.2);
        }
        assert!(seen.iter().all(|n| *n > 40) && seen[7] > 1500, "{seen:?}");
    }
}

#[test]
fn the_hash_is_that_of_published_vectors() {
    // Microsoft, "Verifying the RSS Hash Calculation".
    const KEY: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca,
        0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b,
        0xbe, 0xac, 0x01, 0xfa,
    ];
    let mut w = World::new(2);
    w.key(1, KEY);
    let base = Packet { tagged: false, ip_options: 0, ..Packet::random(&mut w.rng, false, false, 0) };
    let address = |bytes: [u8; 4]| {
        let mut a = [0; 16];
        a[..4].copy_from_slice(&bytes);
        a
    };
    let v4 = Packet {
        source: address([66, 9, 149, 187]),
        destination: address([161, 142, 100, 80]),
        ports: [2794, 1766],
        ..base.clone()
    };
    let v6 = Packet {
        v6: true,
        source: [0x3f, 0xfe, 0x25, 1, 2, 0, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7],
        destination: [0x3f, 0xfe, 0x25, 1, 2, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1],
        ports: [2794, 1766],
        ..base
    };
    for (p, types, hash, report) in
        [(&v4, 7, 0x51cc_c178, 2), (&v4, 1, 0x323e_8fc2, 1), (&v6, 63, 0x4020_7d3d, 5), (&v6, 8, 0x2cc1_8cd5, 4)]
    {
        w.types_of(1, types);
        assert_eq!(w.pass(&[(1, p.bytes(), false)], 100).0, [(hash, report, true)]);
    }
}

#[test]
fn a_short_frame_takes_few_clocks_and_a_long_one_its_beats() {
    let mut w = World::new(3);
    (0..SLOTS).for_each(|slot| w.types_of(slot, 63));
    for (v6, payload, most) in [(false, 6, 20.0), (true, 0, 30.0), (false, 1460, 102.0), (true, 1440, 102.0)] {
        let frames: Vec<_> = (0..200)
            .map(|_| {
                let p = Packet::random(&mut w.rng, v6, false, payload);
                (1, Packet { tagged: false, ip_options: 0, options: vec![], ..p }.bytes(), false)
            })
            .collect();
        let (_, clocks) = w.pass(&frames, 100);
        let each = clocks as f64 / 200.0;
        println!("TCP, IPv6 {v6}, {} bytes: {each:.1} clocks", frames[0].1.len());
        assert!(each <= most, "{each}");
    }
}
