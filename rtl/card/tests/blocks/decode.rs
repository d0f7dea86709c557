//! Address decoding against a search through all apertures.

use azote_regs::function::{KINDS, Kind};
use azote_regs::{bar, function};
use azote_rtl::config::Decode;
use rand::Rng;

use crate::bench;

#[derive(Clone, Copy, Default)]
struct Pf {
    bar0: u64,
    vf_bar0: u64,
    memory: bool,
    vf_memory: bool,
    vfs: u64,
    scale: u32,
}

/// `(owner, offset, manage)`.
fn find(pfs: &[Pf; KINDS as usize], manage: u64, a: u64) -> Option<(u64, u64, bool)> {
    if pfs[Kind::Trust as usize].memory && a & !(bar::BAR2_SIZE - 1) == manage {
        return Some((Kind::Trust.code(), a - manage, true));
    }
    for (kind, pf) in pfs.iter().enumerate() {
        if pf.memory && a & !(bar::BAR0_SIZE - 1) == pf.bar0 {
            return Some((kind as u64, a - pf.bar0, false));
        }
        for vf in 0..if pf.vf_memory { pf.vfs } else { 0 } {
            // A VF's aperture is as large as the System Page Size; only its first 16 KiB are there.
            let start = pf.vf_bar0 + vf * (bar::BAR0_SIZE << (2 * pf.scale));
            if a >= start && a < start + bar::BAR0_SIZE {
                return Some(((vf + 1) << 2 | kind as u64, a - start, false));
            }
        }
    }
    None
}

#[test]
fn an_address_hits_the_function_whose_aperture_it_is_in_and_nobody_else() {
    let mut dut = bench::build("decode", Decode::default);
    let mut rng = bench::rng(1);
    let (mut hits, mut misses) = (0, 0);
    for _ in 0..3000 {
        // Apertures that do not overlap, in any order of kinds, some above 4 GiB.
        let mut pfs = [Pf::default(); KINDS as usize];
        let turn = rng.random_range(0..KINDS);
        let mut place: u64 = rng.random_range(1..1 << 12) << if rng.random() { 20 } else { 36 };
        let mut next = |size: u64| {
            let start = place.next_multiple_of(size);
            // Now and then there is nothing between two of them.
            place = start + size * (1 + start / size % 2);
            start
        };
        for i in 0..KINDS {
            let pf = &mut pfs[((i + turn) % KINDS) as usize];
            *pf = Pf {
                bar0: next(bar::BAR0_SIZE),
                vf_bar0: next((function::MAX_VFS + 1).next_power_of_two() * (bar::BAR0_SIZE << 8)),
                memory: rng.random_bool(0.8),
                vf_memory: rng.random_bool(0.8),
                vfs: rng.random_range(0..=function::MAX_VFS),
                scale: rng.random_range(0..5),
            };
        }
        let manage = next(bar::BAR2_SIZE);
        for (k, pf) in pfs.iter().enumerate() {
            dut.set(&format!("apertures_{k}_bar0"), (pf.bar0 >> 14).into());
            dut.set(&format!("apertures_{k}_vf_bar0"), (pf.vf_bar0 >> 14).into());
            dut.set(&format!("apertures_{k}_memory"), pf.memory.into());
            dut.set(&format!("apertures_{k}_vf_memory"), pf.vf_memory.into());
            dut.set(&format!("apertures_{k}_num_vfs"), pf.vfs.into());
            dut.set(&format!("apertures_{k}_vf_scale"), pf.scale.into());
        }
        dut.set("manage_bar", (manage >> 16).into());
        for _ in 0..20 {
            let pf = pfs[rng.random_range(0..KINDS as usize)];
            let size = bar::BAR0_SIZE << (2 * pf.scale);
            let near = match rng.random_range(0..4) {
                0 => pf.bar0,
                1 => manage,
                2 => pf.vf_bar0 + rng.random_range(0..=function::MAX_VFS) * size,
                _ => pf.vf_bar0.wrapping_sub(size),
            };
            let a = (near + rng.random_range(0..2 * bar::BAR2_SIZE)).wrapping_sub(rng.random_range(0..2) * 4) & !3;
            dut.set("address", a.into());
            dut.clock();
            dut.clock();
            let got = (dut.get("hit_valid") == 1)
                .then(|| (dut.get("hit_owner") as u64, dut.get("hit_offset") as u64, dut.get("hit_manage") == 1));
            assert_eq!(got, find(&pfs, manage, a), "{a:x}");
            if got.is_some() { hits += 1 } else { misses += 1 }
        }
    }
    assert!(hits > 5000 && misses > 5000, "{hits} {misses}");
}
