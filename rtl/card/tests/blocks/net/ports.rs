//! The table of ports: fields count at the write of PORT_CTRL, all at once, for their slot alone, and a function is told when it is so.

use azote_regs::{manage, virtio::net};
use azote_rtl::manage::Ports;
use azote_rtl::net::port::Port;
use azote_verilate::Dut;
use rand::Rng;

use crate::bench;

const VFS: u64 = 4;
const SLOTS: usize = VFS as usize + 1;
/// Words of an entry, and those that are kept.
const WORDS: usize = manage::PORT_STRIDE as usize / 4;
const KEPT: usize = 8;

#[derive(Clone, Copy, PartialEq, Debug, Default)]
struct Told {
    mac: u64,
    mtu: u64,
    link: bool,
}

fn told(dut: &mut Dut, slot: usize) -> Told {
    dut.set("told_slot", slot as u128);
    dut.clock();
    dut.eval();
    Told { mac: dut.get("told_mac") as u64, mtu: dut.get("told_mtu") as u64, link: dut.get("told_link") == 1 }
}

/// What an entry's words mean to the function, and to the switch.
fn meaning(w: &[u32; KEPT]) -> (Told, [u64; 9]) {
    let at = |offset: u64| u64::from(w[offset as usize / 4]);
    let ctrl = at(manage::PORT_CTRL);
    let live = manage::PORT_ENABLED.is_set(ctrl) && manage::PORT_LINK.is_set(ctrl);
    let mac = at(manage::PORT_MAC_LO) | manage::PORT_MAC_HIGH.of(at(manage::PORT_MAC_HI)) << 32;
    let mtu = match manage::PORT_MTU_BYTES.of(at(manage::PORT_MTU)) {
        0 => manage::DEFAULT_MTU,
        n => n,
    };
    let port = [
        mac,
        manage::PORT_VNI.of(at(manage::PORT_TENANT)),
        manage::PORT_VLAN_ID.of(at(manage::PORT_VLAN)),
        manage::PORT_VLAN_PRIORITY.of(at(manage::PORT_VLAN)),
        manage::PORT_ANTI_SPOOF.of(ctrl),
        manage::PORT_TRUSTED.of(ctrl),
        manage::PORT_UPLINK.of(ctrl),
        manage::PORT_PROMISCUOUS.of(ctrl),
        (mtu + net::FRAME_HEADER) & 0x3fff,
    ];
    (Told { mac, mtu, link: live }, port)
}

fn access(dut: &mut Dut, offset: u64, write: bool, be: u32, data: u32) -> u32 {
    for (port, v) in [("bus_valid", 1), ("bus_write", write.into()), ("bus_be", be), ("bus_wdata", data)] {
        dut.set(port, v.into());
    }
    dut.set("bus_offset", offset.into());
    for _ in 0..32 {
        dut.eval();
        if dut.get("bus_ack") == 1 {
            let read = dut.get("bus_rdata") as u32;
            dut.clock();
            dut.set("bus_valid", 0);
            return read;
        }
        dut.clock();
    }
    panic!("{offset:x} is not acknowledged");
}

#[test]
fn a_port_counts_whole_from_the_write_of_ctrl_and_touches_no_other_slot() {
    let mut dut = bench::build("ports", || Ports::new(VFS as usize));
    let mut rng = bench::rng(1);
    bench::settle(&mut dut, "busy");
    let mut words = [[0u32; KEPT]; SLOTS];
    let down = Told { mac: 0, mtu: manage::DEFAULT_MTU, link: false };
    let mut tells = [down; SLOTS];
    let (mut commits, mut refused) = (0, 0);
    let mut pending: Option<(usize, Told)> = None;
    for _ in 0..20_000 {
        let slot = rng.random_range(0..VFS as usize + 3);
        let word = if rng.random() { 0 } else { rng.random_range(0..WORDS) };
        let (write, be, data) = (rng.random_bool(0.7), rng.random_range(0..16u32), rng.random::<u32>());
        let known = slot < SLOTS && word < KEPT;
        let read = access(&mut dut, manage::port(slot as u64) + 4 * word as u64, write, be, data);
        let mask = (0..4).fold(0u32, |m, i| if be >> i & 1 == 1 { m | 0xff << (8 * i) } else { m });
        if !write {
            let busy = if word == 0 && known && pending.is_some() { manage::PORT_BUSY.mask() as u32 } else { 0 };
            let kept = if known { words[slot][word] } else { 0 };
            let kept = if word == 0 { kept & !(manage::PORT_BUSY.mask() as u32) } else { kept };
            assert_eq!(read, kept | busy, "slot {slot} word {word}");
        } else if known {
            let refuses = word == 0 && pending.is_some();
            if !refuses {
                words[slot][word] = words[slot][word] & !mask | data & mask;
            }
            if word == 0 {
                refused += u32::from(refuses);
                if !refuses {
                    let (new, port) = meaning(&words[slot]);
                    pending = Some((slot, new));
                    commits += 1;
                    for _ in 0..2 {
                        dut.eval();
                        if dut.get("commit_valid") == 1 {
                            break;
                        }
                        dut.clock();
                    }
                    assert_eq!((dut.get("commit_valid"), dut.get("commit_slot")), (1, slot as u128));
                    assert_eq!(dut.get("commit_live") == 1, new.link);
                    let row = bench::get(&dut, "commit_port");
                    let fields = [
                        Port::MAC,
                        Port::VNI,
                        Port::VLAN,
                        Port::PRIORITY,
                        Port::ANTI_SPOOF,
                        Port::TRUSTED,
                        Port::UPLINK,
                        Port::PROMISCUOUS,
                        Port::LIMIT,
                    ];
                    let seen = fields.map(|f| bench::part(&row, f.lo as usize, f.width as usize) as u64);
                    assert_eq!(seen, port);
                }
            }
        }
        // The switch may take its time; other accesses go on, and the function is told the old port until then.
        if let Some((of, new)) = pending
            && rng.random_ratio(1, 3)
        {
            let before = told(&mut dut, of);
            assert_eq!(before, tells[of]);
            dut.set("commit_done", 1);
            dut.clock();
            dut.set("commit_done", 0);
            dut.eval();
            assert_eq!((dut.get("told_changed"), dut.get("told_changed_slot")), (1, of as u128));
            tells[of] = new;
            assert_eq!(told(&mut dut, of), new, "what was committed, whatever was written later");
            pending = None;
            assert_eq!(dut.get("told_changed"), 0);
        }
        let look = rng.random_range(0..SLOTS);
        assert_eq!(told(&mut dut, look), tells[look]);
    }
    assert!(commits > 1000 && refused > 1000, "{commits} {refused}");
}

#[test]
fn before_management_says_so_every_link_is_down_and_reset_takes_it_down_again() {
    let mut dut = bench::build("ports", || Ports::new(VFS as usize));
    for _ in 0..2 {
        bench::settle(&mut dut, "busy");
        for slot in 0..SLOTS {
            assert_eq!(told(&mut dut, slot), Told { mac: 0, mtu: manage::DEFAULT_MTU, link: false });
        }
        access(&mut dut, manage::port(2) + manage::PORT_MAC_LO, true, 15, 0x1234_5602);
        access(&mut dut, manage::port(2) + manage::PORT_MTU, true, 15, 9000);
        access(&mut dut, manage::port(2), true, 15, 3);
        dut.set("commit_done", 1);
        dut.clock_n(3);
        dut.set("commit_done", 0);
        assert_eq!(told(&mut dut, 2), Told { mac: 0x1234_5602, mtu: 9000, link: true });
        assert_eq!(access(&mut dut, manage::port(2), false, 15, 0), 3);
        dut.reset();
    }
}
