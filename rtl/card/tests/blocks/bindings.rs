//! The binding table: fields count at the write of CTRL, all at once, and only for their slot.

use azote_regs::manage;
use azote_rtl::manage::Bindings;
use azote_verilate::Dut;
use rand::Rng;

use crate::bench;

const VFS: u64 = 4;
/// DWs of a binding.
const WORDS: usize = manage::BINDING_STRIDE as usize / 4;

/// As the engines see it: `(valid, read only, volume, base, length, large blocks)`.
type Binding = (bool, bool, u8, u64, u64, bool);

fn seen(dut: &Dut, port: &str) -> Binding {
    let b = bench::get(dut, port);
    let field = |lo, bits| bench::part(&b, lo, bits) as u64;
    (field(0, 1) == 1, field(1, 1) == 1, field(2, 8) as u8, field(10, 48), field(58, 48), field(106, 1) == 1)
}

fn committed(w: &[u32; WORDS]) -> Binding {
    let at = |offset: u64| u64::from(w[offset as usize / 4]);
    let wide = |lo, hi| at(lo) | (at(hi) & 0xffff) << 32;
    (
        manage::CTRL_VALID.is_set(at(manage::BINDING_CTRL)),
        manage::CTRL_READ_ONLY.is_set(at(manage::BINDING_CTRL)),
        manage::VOLUME_ID.of(at(manage::BINDING_VOLUME)) as u8,
        wide(manage::BINDING_BASE_LO, manage::BINDING_BASE_HI),
        wide(manage::BINDING_LENGTH_LO, manage::BINDING_LENGTH_HI),
        manage::CTRL_BIG.is_set(at(manage::BINDING_CTRL)),
    )
}

/// The limits of a slot as the limiter sees them.
fn rates(w: &[u32; WORDS]) -> u128 {
    let at = |offset: u64| u64::from(w[offset as usize / 4]);
    let rate = |offset| u128::from(manage::RATE.of(at(offset)));
    u128::from(manage::VOLUME_WEIGHT.of(at(manage::BINDING_VOLUME))) << 48
        | rate(manage::BINDING_BLOCKS) << 24
        | rate(manage::BINDING_COMMANDS)
}

#[test]
fn a_binding_counts_whole_from_the_write_of_ctrl_and_touches_no_other_slot() {
    let mut dut = bench::build("bindings", || Bindings::new(VFS as usize));
    let mut rng = bench::rng(1);
    bench::settle(&mut dut, "busy");
    let mut words = [[0u32; WORDS]; VFS as usize + 1];
    let mut bindings = [committed(&words[0]); VFS as usize + 1];
    let mut limits = [0u128; VFS as usize + 1];
    for _ in 0..4000 {
        if rng.random_ratio(1, 10) {
            // A guest formats its namespace: readers see that, and so does who reads the register.
            let (slot, big) = (rng.random_range(0..=VFS) as usize, rng.random::<bool>());
            for (port, v) in [("format", 1), ("format_slot", slot as u128), ("format_big", big.into())] {
                dut.set(port, v);
            }
            dut.clock();
            dut.set("format", 0);
            dut.clock_n(3);
            words[slot][0] = words[slot][0] & 3 | (big as u32) << 2;
            bindings[slot].5 = big;
        }
        let slot = rng.random_range(0..VFS + 3) as usize;
        let word = rng.random_range(0..WORDS);
        let table = rng.random_ratio(9, 10);
        let offset = if table { manage::binding(slot as u64) + 4 * word as u64 } else { rng.random_range(0..8) * 4 };
        let (write, be, data) = (rng.random_bool(0.7), rng.random_range(0..16u32), rng.random::<u32>());
        for (port, v) in [("bus_valid", 1), ("bus_write", write.into()), ("bus_be", be), ("bus_wdata", data)] {
            dut.set(port, v.into());
        }
        dut.set("bus_offset", offset.into());
        let exists = table && slot <= VFS as usize;
        let old = match offset {
            _ if exists => words[slot][word],
            manage::MAGIC => manage::MAGIC_VALUE as u32,
            manage::VERSION => manage::VERSION_VALUE as u32,
            manage::VFS => VFS as u32,
            _ => 0,
        };
        let before = bindings;
        if write && exists {
            let mask = (0..4).fold(0u32, |m, i| if be >> i & 1 == 1 { m | 0xff << (8 * i) } else { m });
            words[slot][word] = old & !mask | data & mask;
            if word == 0 {
                words[slot][0] &= 7;
                bindings[slot] = committed(&words[slot]);
            }
            if word == (manage::BINDING_BLOCKS / 4) as usize {
                limits[slot] = rates(&words[slot]);
            }
        }
        // While it is written a reader sees the old binding or the new one, never a mixture.
        let (mut look, mut told) = (0, 0);
        loop {
            look = (look + 1) % (VFS as usize + 1);
            let page = rng.random_range(0..=VFS as usize);
            dut.set("slot", look as u128);
            dut.set("page_slot", page as u128);
            dut.eval();
            let ack = dut.get("bus_ack") == 1;
            if dut.get("changed") == 1 {
                told += 1;
                assert_eq!(dut.get("changed_slot"), slot as u128);
            }
            if ack && !write {
                assert_eq!(dut.get("bus_rdata") as u32, old, "{offset:x}");
            }
            dut.clock();
            for (at, port) in [(look, "binding"), (page, "page_binding")] {
                let b = seen(&dut, port);
                assert!(b == before[at] || b == bindings[at], "slot {at}: {b:x?}");
            }
            if ack {
                break;
            }
        }
        assert_eq!(told, u32::from(write && exists && word == 0), "a new binding is told once, and nothing else is");
        dut.set("bus_valid", 0);
        dut.set("slot", slot.min(VFS as usize) as u128);
        dut.set("page_slot", slot.min(VFS as usize) as u128);
        dut.set("rate_slot", slot.min(VFS as usize) as u128);
        dut.clock();
        assert_eq!(dut.get("rates"), limits[slot.min(VFS as usize)]);
        // From the acknowledgement on it is the new one.
        assert_eq!(seen(&dut, "binding"), bindings[slot.min(VFS as usize)]);
        assert_eq!(seen(&dut, "page_binding"), bindings[slot.min(VFS as usize)]);
    }
}

#[test]
fn a_format_beside_a_commit_of_another_slot_is_not_lost() {
    let mut dut = bench::build("bindings", || Bindings::new(VFS as usize));
    bench::settle(&mut dut, "busy");
    // Whatever the clock of the format is, from before the write to after it.
    for delay in 0..24u128 {
        for (port, v) in [("bus_valid", 1), ("bus_write", 1), ("bus_be", 15), ("bus_wdata", 1)] {
            dut.set(port, v);
        }
        dut.set("bus_offset", manage::binding(1).into());
        dut.set("format_slot", 2);
        dut.set("format_big", delay % 2);
        for clock in 0..24u128 {
            dut.set("format", (clock == delay).into());
            dut.eval();
            let ack = dut.get("bus_ack") == 1;
            dut.clock();
            if ack {
                dut.set("bus_valid", 0);
            }
        }
        dut.set("slot", 2);
        dut.clock_n(2);
        assert_eq!(seen(&dut, "binding").5, delay % 2 == 1, "format in clock {delay}");
    }
}

#[test]
fn reset_unbinds_every_slot() {
    let mut dut = bench::build("bindings", || Bindings::new(VFS as usize));
    bench::settle(&mut dut, "busy");
    for (port, v) in [("bus_valid", 1), ("bus_write", 1), ("bus_be", 15), ("bus_wdata", 1)] {
        dut.set(port, v);
    }
    dut.set("bus_offset", manage::binding(1).into());
    dut.clock_n(16);
    dut.set("bus_valid", 0);
    dut.set("slot", 1);
    dut.clock_n(12);
    assert!(seen(&dut, "binding").0);
    dut.reset();
    bench::settle(&mut dut, "busy");
    dut.clock();
    assert!(!seen(&dut, "binding").0);
}
