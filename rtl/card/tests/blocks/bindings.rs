//! The binding table: fields count at the write of CTRL, all at once, and only for their slot; CTRL is not taken while a
//! command of the binding before the present one is under way.

use azote_regs::manage;
use azote_rtl::manage::Bindings;
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench;

const VFS: u64 = 4;
const SLOTS: usize = VFS as usize + 1;
/// As many commands of a slot may be under way.
const TAGS: usize = 64;
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

/// The time-out of a slot in milliseconds.
fn timeout(w: &[u32; WORDS]) -> u128 {
    let units = manage::VOLUME_TIMEOUT.of(w[manage::BINDING_VOLUME as usize / 4].into());
    (units * manage::TIMEOUT_UNIT).into()
}

/// The limits of a slot as the limiter sees them.
fn rates(w: &[u32; WORDS]) -> u128 {
    let at = |offset: u64| u64::from(w[offset as usize / 4]);
    let rate = |offset| u128::from(manage::RATE.of(at(offset)));
    u128::from(manage::VOLUME_WEIGHT.of(at(manage::BINDING_VOLUME))) << 48
        | rate(manage::BINDING_BLOCKS) << 24
        | rate(manage::BINDING_COMMANDS)
}

/// The turn of a binding that was looked up.
fn turn(dut: &Dut) -> usize {
    bench::part(&bench::get(dut, "tenants_binding"), 107, 1) as usize
}

/// What one clock showed.
struct Shown {
    ack: bool,
    rdata: u32,
    changed: Option<usize>,
}

/// The table, and beside it a front that judges commands by what it looks up, and commands that end.
struct World {
    dut: Dut,
    rng: SmallRng,
    words: [[u32; WORDS]; SLOTS],
    bindings: [Binding; SLOTS],
    limits: [u128; SLOTS],
    timeouts: [u128; SLOTS],
    turns: [usize; SLOTS],
    /// Commands under way: their slot, and the turn of the binding by which they were judged.
    flight: Vec<(usize, usize)>,
    /// Ends that the table may not have counted yet: when they were told.
    ended: Vec<(u64, (usize, usize))>,
    look: usize,
    page: usize,
    /// The look-up's answer is of `look`.
    fresh: bool,
    front_rests: bool,
    /// How many commands are begun and ended in a hundred clocks.
    begins: u32,
    ends: u32,
}

impl World {
    fn new(seed: u64) -> World {
        let mut dut = bench::build("bindings", || Bindings::new(VFS as usize));
        bench::settle(&mut dut, "busy");
        World {
            dut,
            rng: bench::rng(seed),
            words: [[0; WORDS]; SLOTS],
            bindings: [committed(&[0; WORDS]); SLOTS],
            limits: [0; SLOTS],
            timeouts: [0; SLOTS],
            turns: [0; SLOTS],
            flight: vec![],
            ended: vec![],
            look: 0,
            page: 0,
            fresh: false,
            front_rests: false,
            begins: 0,
            ends: 0,
        }
    }

    /// Whether a command of the binding before the present one is under way: surely, and perhaps.
    fn busy(&self, slot: usize) -> (bool, bool) {
        let before = (slot, 1 - self.turns[slot]);
        let surely = self.flight.contains(&before);
        (surely, surely || self.ended.iter().any(|(_, who)| *who == before))
    }

    /// A clock: commands begin, come to nothing and end.
    fn clock(&mut self) -> Shown {
        let (dut, rng) = (&mut self.dut, &mut self.rng);
        for port in ["tenants_uses", "tenants_unuses", "tenants_over"] {
            dut.set(port, 0);
        }
        if rng.random_ratio(1, 3) {
            self.fresh = false;
            (self.look, self.page) = (rng.random_range(0..SLOTS), rng.random_range(0..SLOTS));
        }
        dut.set("tenants_slot", self.look as u128);
        dut.set("tenants_page_slot", self.page as u128);
        let mine = self.flight.iter().filter(|(slot, _)| *slot == self.look).count();
        let mut event = false;
        if !self.front_rests && self.fresh && rng.random_ratio(self.begins, 100) && mine < TAGS {
            let seen = turn(dut);
            dut.set("tenants_uses", 1);
            dut.set("tenants_use_turn", seen as u128);
            self.flight.push((self.look, seen));
            event = true;
        } else if !self.front_rests
            && rng.random_ratio(self.ends, 200)
            && let Some(at) = self.flight.iter().rposition(|(slot, _)| *slot == self.look)
        {
            let (_, of) = self.flight.remove(at);
            dut.set("tenants_unuses", 1);
            dut.set("tenants_use_turn", of as u128);
            self.ended.push((dut.clocks(), (self.look, of)));
            event = true;
        }
        let rests = self.ended.last().is_none_or(|(at, _)| dut.clocks() - at >= 3);
        if rests && !self.flight.is_empty() && rng.random_ratio(self.ends, 100) {
            let last = self.flight.len() - usize::from(event && dut.get("tenants_uses") == 1);
            if last > 0 {
                let who = self.flight.remove(rng.random_range(0..last));
                dut.set("tenants_over", 1);
                dut.set("tenants_over_slot", who.0 as u128);
                dut.set("tenants_over_turn", who.1 as u128);
                self.ended.push((dut.clocks(), who));
            }
        }
        self.front_rests = event;
        dut.eval();
        let told = dut.get("tenants_changed") == 1;
        let changed = told.then(|| dut.get("tenants_changed_slot") as usize);
        let shown = Shown { ack: dut.get("bus_ack") == 1, rdata: dut.get("bus_rdata") as u32, changed };
        dut.clock();
        self.fresh = true;
        let now = dut.clocks();
        self.ended.retain(|(at, _)| now - at < 6);
        shown
    }

    fn format(&mut self, slot: usize, big: bool, of: usize) {
        let ports = [
            ("tenants_format", 1),
            ("tenants_format_slot", slot as u128),
            ("tenants_format_big", big.into()),
            ("tenants_format_turn", of as u128),
        ];
        for (port, v) in ports {
            self.dut.set(port, v);
        }
        self.clock();
        self.dut.set("tenants_format", 0);
        (0..3).for_each(|_| _ = self.clock());
        if of == self.turns[slot] {
            self.words[slot][0] = self.words[slot][0] & 3 | u32::from(big) << 2;
            self.bindings[slot].5 = big;
        }
    }

    /// An access to this word, and whether a binding counts since. It may be refused only while somebody is under way, and
    /// may be taken only when nobody is.
    fn access(&mut self, offset: u64, write: bool, be: u32, data: u32) -> bool {
        for (port, v) in [("bus_valid", 1), ("bus_write", write.into()), ("bus_be", be), ("bus_wdata", data)] {
            self.dut.set(port, v.into());
        }
        self.dut.set("bus_offset", offset.into());
        let slot = (offset.wrapping_sub(manage::BINDINGS) / manage::BINDING_STRIDE) as usize;
        let word = (offset % manage::BINDING_STRIDE / 4) as usize;
        let exists = offset >= manage::BINDINGS && slot < SLOTS;
        let old = match offset {
            _ if exists => self.words[slot][word],
            manage::MAGIC => manage::MAGIC_VALUE as u32,
            manage::VERSION => manage::VERSION_VALUE as u32,
            manage::VFS => VFS as u32,
            _ => 0,
        };
        let is_ctrl = exists && word == 0;
        let mask = (0..4).fold(0u32, |m, i| if be >> i & 1 == 1 { m | 0xff << (8 * i) } else { m });
        let mut new = old & !mask | data & mask;
        if is_ctrl {
            new &= (manage::CTRL_VALID.mask() | manage::CTRL_READ_ONLY.mask() | manage::CTRL_BIG.mask()) as u32;
        }
        let (mut could, mut must) = (false, true);
        let mut told = false;
        loop {
            let busy = if is_ctrl { self.busy(slot) } else { (false, false) };
            (could, must) = (could | busy.1, must & busy.0);
            let before = self.bindings;
            let turns = self.turns;
            let shown = self.clock();
            if let Some(who) = shown.changed {
                assert!(write && is_ctrl && !told, "told once, and nothing but a new binding");
                assert_eq!(who, slot);
                assert!(!must, "a binding counts while a command of the one before it is under way");
                told = true;
                self.words[slot][0] = new;
                self.bindings[slot] = committed(&self.words[slot]);
                self.timeouts[slot] = timeout(&self.words[slot]);
                self.turns[slot] = 1 - self.turns[slot];
            }
            // A reader sees the old binding or the new one, never a mixture, and its own turn with each.
            let (b, of) = (seen(&self.dut, "tenants_binding"), turn(&self.dut));
            let was = (before[self.look], turns[self.look]);
            let is = (self.bindings[self.look], self.turns[self.look]);
            assert!((b, of) == was || (b, of) == is, "slot {}: {b:x?} of turn {of}, {is:x?}", self.look);
            let b = seen(&self.dut, "tenants_page_binding");
            assert!(b == before[self.page] || b == self.bindings[self.page], "slot {}: {b:x?}", self.page);
            if shown.ack {
                if !write {
                    let said = manage::CTRL_BUSY.is_set(shown.rdata.into()) && is_ctrl;
                    assert!(!said || could, "{offset:x} says busy, and nobody is under way");
                    assert!(said || !must || !is_ctrl, "{offset:x} does not say busy");
                    let busy = if said { manage::CTRL_BUSY.mask() as u32 } else { 0 };
                    assert_eq!(shown.rdata, old | busy, "{offset:x}");
                }
                break;
            }
        }
        self.dut.set("bus_valid", 0);
        if write && exists && !is_ctrl {
            self.words[slot][word] = new;
            if word == (manage::BINDING_BLOCKS / 4) as usize {
                self.limits[slot] = rates(&self.words[slot]);
            }
        }
        assert!(!(write && is_ctrl) || told || could, "a write of CTRL is refused, and nobody is under way");
        told
    }

    /// Everything that is told of a slot, from the acknowledgement on.
    fn check(&mut self, slot: usize) {
        self.dut.set("tenants_rate_slot", slot as u128);
        self.dut.set("tenants_patience_slot", slot as u128);
        self.dut.eval();
        assert_eq!(self.dut.get("tenants_patience"), self.timeouts[slot], "time-out of slot {slot}, in the same clock");
        self.clock();
        assert_eq!(self.dut.get("tenants_rates"), self.limits[slot]);
        assert_eq!(seen(&self.dut, "tenants_binding"), self.bindings[self.look]);
        assert_eq!(turn(&self.dut), self.turns[self.look]);
        assert_eq!(seen(&self.dut, "tenants_page_binding"), self.bindings[self.page]);
    }
}

#[test]
fn a_binding_counts_whole_from_the_write_of_ctrl_and_touches_no_other_slot() {
    let mut w = World::new(1);
    let (mut taken, mut refused) = (0, 0);
    for round in 0..12_000 {
        // Times in which much is under way, little, and nothing at all.
        (w.begins, w.ends) = [(30, 30), (60, 10), (5, 40), (0, 60)][round / 250 % 4];
        if w.rng.random_ratio(1, 10) {
            // A guest formats its namespace: readers see that, and so does who reads the register. Who was judged by the
            // binding before it formats nothing.
            let (slot, big, of) = (w.rng.random_range(0..SLOTS), w.rng.random(), w.rng.random_range(0..2));
            w.format(slot, big, of);
        }
        let slot = w.rng.random_range(0..VFS + 3);
        let word = if w.rng.random() { 0 } else { w.rng.random_range(0..WORDS as u64) };
        let table = w.rng.random_ratio(9, 10);
        let offset = if table { manage::binding(slot) + 4 * word } else { w.rng.random_range(0..8) * 4 };
        let (write, be, data) = (w.rng.random_bool(0.7), w.rng.random_range(0..16u32), w.rng.random::<u32>());
        let told = w.access(offset, write, be, data);
        if table && write && word == 0 && slot <= VFS {
            taken += u32::from(told);
            refused += u32::from(!told);
        }
        w.check(slot.min(VFS) as usize);
    }
    assert!(taken > 500 && refused > 500, "taken {taken}, refused {refused}");
}

#[test]
fn ctrl_is_taken_again_when_the_last_command_of_the_binding_before_is_over() {
    let mut w = World::new(2);
    let bind = |w: &mut World, slot: u64| w.access(manage::binding(slot), true, 15, 1);
    // As many as may be under way of two bindings, and one more slot that has nothing to do with it.
    assert!(bind(&mut w, 1) && bind(&mut w, 2));
    w.begins = 100;
    while w.flight.iter().filter(|who| **who == (1, 1)).count() < TAGS {
        w.clock();
    }
    assert!(bind(&mut w, 1), "what is judged by the present binding keeps nobody from the next");
    w.begins = 0;
    assert!(!bind(&mut w, 1), "now they are the one before's");
    assert!(bind(&mut w, 3), "another slot's");
    w.ends = 60;
    while w.flight.contains(&(1, 1)) {
        if w.flight.iter().filter(|who| **who == (1, 1)).count() == 1 {
            w.ends = 0;
            (0..8).for_each(|_| _ = w.clock());
            assert!(!bind(&mut w, 1), "one is left");
            assert_eq!(w.busy(1), (true, true));
            w.ends = 60;
        }
        w.clock();
    }
    w.ends = 0;
    (0..8).for_each(|_| _ = w.clock());
    assert!(bind(&mut w, 1));
    assert!(!w.access(manage::binding(1), false, 15, 0));
}

#[test]
fn a_format_of_the_binding_before_never_touches_the_next() {
    let mut w = World::new(3);
    let mut counted = [0; 2];
    // Whatever the clock of the format is, from before the write to after it.
    for round in 0..4 * 24u64 {
        let (delay, big, new) = (round / 4, round % 2 == 1, round % 4 / 2 == 1);
        w.look = 1;
        for (port, v) in [("bus_valid", 1), ("bus_write", 1), ("bus_be", 15), ("bus_wdata", 1 | u128::from(!big) << 2)]
        {
            w.dut.set(port, v);
        }
        w.dut.set("bus_offset", manage::binding(1).into());
        let before = w.turns[1];
        let mut of = before;
        for clock in 0..24 {
            w.dut.set("tenants_format", (clock == delay).into());
            if clock == delay {
                of = if new { w.turns[1] } else { before };
                let ports = [
                    ("tenants_format_slot", 1),
                    ("tenants_format_big", big.into()),
                    ("tenants_format_turn", of as u128),
                ];
                ports.into_iter().for_each(|(port, v)| w.dut.set(port, v));
            }
            let shown = w.clock();
            if shown.changed.is_some() {
                w.turns[1] = 1 - w.turns[1];
            }
            if shown.ack {
                w.dut.set("bus_valid", 0);
            }
        }
        assert_ne!(w.turns[1], before);
        let counts = of == w.turns[1];
        counted[usize::from(counts)] += 1;
        w.dut.set("tenants_slot", 1);
        w.dut.clock_n(2);
        assert_eq!(
            seen(&w.dut, "tenants_binding").5,
            if counts { big } else { !big },
            "format in clock {delay} of turn {of}"
        );
    }
    assert!(counted[0] > 24 && counted[1] > 10, "{counted:?}");
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
        dut.set("tenants_format_slot", 2);
        dut.set("tenants_format_big", delay % 2);
        for clock in 0..24u128 {
            dut.set("tenants_format", (clock == delay).into());
            dut.eval();
            let ack = dut.get("bus_ack") == 1;
            dut.clock();
            if ack {
                dut.set("bus_valid", 0);
            }
        }
        dut.set("tenants_slot", 2);
        dut.clock_n(2);
        assert_eq!(seen(&dut, "tenants_binding").5, delay % 2 == 1, "format in clock {delay}");
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
    dut.set("tenants_slot", 1);
    dut.clock_n(12);
    assert!(seen(&dut, "tenants_binding").0);
    dut.reset();
    bench::settle(&mut dut, "busy");
    dut.clock();
    assert!(!seen(&dut, "tenants_binding").0);
}
