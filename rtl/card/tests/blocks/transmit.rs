//! The door to the link: whole packets, in the order in which they passed the gate, without a bubble.

use std::collections::VecDeque;

use azote_rtl::dma::read::ENGINES;
use azote_rtl::engine::Plugged;
use azote_rtl::transaction::Transmit;
use azote_rtl::transaction::transmit::{CLASS, CLASSES, CLIENTS, KINDS, REQUESTS, makers};
use azote_verilate::Dut;
use rand::Rng;
use rand::rngs::SmallRng;

use crate::bench::{self, Feed, Packet, Packets};

const BUS: u64 = 0x5a;

/// Every socket has its engine.
const ALL: Plugged = [true; ENGINES];

fn dut() -> Dut {
    with(ALL)
}

/// The door of a card with these engines.
fn with(plugged: Plugged) -> Dut {
    let mut dut = bench::build("transmit", move || Transmit::new(plugged));
    dut.set("bus_number", BUS.into());
    for class in 0..CLASSES {
        dut.set(&format!("credit_{class}"), 1);
    }
    dut
}

struct Client {
    feed: Feed,
    /// Packets not begun, and the one that is passing: whether it may, and its beats left.
    waiting: VecDeque<Packet>,
    passing: Option<(bool, usize)>,
}

impl Client {
    fn new(i: usize, percent: u32) -> Client {
        Client { feed: Feed::new(&format!("client_{i}_"), percent), waiting: VecDeque::new(), passing: None }
    }

    fn offer(&mut self, rng: &mut SmallRng, longest: usize) {
        let payload = (0..rng.random_range(0..=longest)).map(|_| rng.random()).collect();
        let packet = Packet { header: rng.random(), payload, owner: rng.random_range(0..8) };
        for (sop, eop, keep, data) in packet.beats() {
            let beat: [(&str, u128); 5] = [
                ("sop", sop.into()),
                ("eop", eop.into()),
                ("keep", keep.into()),
                ("data", data),
                ("owner", packet.owner.into()),
            ];
            self.feed.items.push_back(beat.into_iter().map(|(f, v)| (f, v.into())).collect());
        }
        self.waiting.push_back(packet);
    }
}

#[test]
fn packets_leave_whole_and_in_order_and_gated_ones_are_swallowed_and_told() {
    whole_and_in_order(ALL, 1);
}

/// The same without some of the engines: of their makers nothing is there.
#[test]
fn makers_of_engines_that_are_not_plugged_in_are_not_there() {
    for (plugged, seed) in [([false, true, false], 5), ([true, false, true], 6), ([false; ENGINES], 7)] {
        whole_and_in_order(plugged, seed);
    }
}

fn whole_and_in_order(plugged: Plugged, seed: u64) {
    let mut dut = with(plugged);
    let mut rng = bench::rng(seed);
    let there: Vec<usize> = (0..CLIENTS).filter(|i| makers(plugged) >> i & 1 == 1).collect();
    // The others are not heard, whatever they say.
    for i in (0..CLIENTS).filter(|i| !there.contains(i)) {
        for field in ["valid", "sop", "eop"] {
            dut.set(&format!("client_{i}_{field}"), 1);
        }
    }
    let mut clients: Vec<Client> = there.iter().map(|i| Client::new(*i, 70)).collect();
    let mut link = Packets::new("tx_", 70);
    let mut expected: VecDeque<Packet> = VecDeque::new();
    let mut may = [true; 8];
    let (mut sent, mut killed) = (0, 0);
    for _ in 0..30_000 {
        // What is behind the gate changes after the clock that says so.
        let change = rng.random_ratio(1, 8).then(|| (rng.random_range(0..8), rng.random()));
        dut.set("changed", change.is_some().into());
        for c in &mut clients {
            if c.feed.items.len() < 4 {
                c.offer(&mut rng, 20);
            }
            c.feed.drive(&mut dut, &mut rng);
        }
        link.drive(&mut dut, &mut rng);
        dut.eval();
        // The gate is asked and answers in the same clock.
        dut.set("may", may[dut.get("ask") as usize & 7].into());
        dut.eval();
        if let Some(mut packet) = link.taken(&dut) {
            let want = expected.pop_front().unwrap();
            packet.owner = want.owner;
            assert_eq!(packet, want);
            sent += 1;
        }
        let mut takers = 0;
        for (i, c) in there.iter().copied().zip(&mut clients) {
            if c.feed.taken(&dut).is_none() {
                continue;
            }
            takers += 1;
            let (allowed, left) = c.passing.take().unwrap_or_else(|| {
                let packet = &c.waiting[0];
                let allowed = may[usize::from(packet.owner)] || !REQUESTS[i];
                if allowed {
                    // From here on it is finished, whatever the gate says, and it leaves in this order.
                    expected.push_back(packet.clone().signed(KINDS[i], BUS));
                }
                (allowed, packet.beats().len())
            });
            if left == 1 {
                c.waiting.pop_front();
                killed += usize::from(!allowed);
                assert_eq!(dut.get(&format!("client_{i}_killed")) == 1, !allowed);
            } else {
                c.passing = Some((allowed, left - 1));
            }
        }
        assert!(takers <= 1);
        assert!(clients.iter().filter(|c| c.passing.is_some()).count() <= 1, "one packet at a time");
        if let Some((function, allowed)) = change {
            may[function] = allowed;
        }
        dut.clock();
    }
    assert!(sent > 1000 && killed > 300, "{sent} sent, {killed} killed");
}

#[test]
fn no_bubble_stands_between_packets_and_every_maker_has_its_turn() {
    let mut dut = dut();
    let mut rng = bench::rng(2);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|i| Client::new(i, 100)).collect();
    dut.set("may", 1);
    dut.set("tx_ready", 1);
    let mut turns = vec![0usize; CLIENTS];
    for clock in 0..2000 {
        for c in &mut clients {
            while c.feed.items.len() < 4 {
                c.offer(&mut rng, 6);
            }
            c.feed.drive(&mut dut, &mut rng);
        }
        dut.eval();
        // At first the gate has not been asked about anybody.
        assert!(clock < 2 * CLIENTS || dut.get("tx_valid") == 1, "a bubble at clock {clock}");
        for (i, c) in clients.iter_mut().enumerate() {
            if let Some(beat) = c.feed.taken(&dut)
                && beat[1].1 == 1u8.into()
            {
                turns[i] += 1;
            }
        }
        let (least, most) = (turns.iter().min().unwrap(), turns.iter().max().unwrap());
        assert!(most - least <= 1, "{turns:?}");
        dut.clock();
    }
}

#[test]
fn a_class_without_credit_holds_up_no_other_and_what_is_swallowed_needs_none() {
    let mut rng = bench::rng(3);
    for shut in 0..CLASSES {
        for may in [true, false] {
            let mut dut = dut();
            dut.set(&format!("credit_{shut}"), 0);
            dut.set("tx_ready", 1);
            dut.set("may", may.into());
            let mut clients: Vec<Client> = (0..CLIENTS).map(|i| Client::new(i, 100)).collect();
            let mut packets = [0usize; CLIENTS];
            for _ in 0..2000 {
                for c in &mut clients {
                    while c.feed.items.len() < 4 {
                        c.offer(&mut rng, 6);
                    }
                    c.feed.drive(&mut dut, &mut rng);
                }
                dut.eval();
                assert_eq!(dut.get("busy"), 1, "who waits for credit is not asleep");
                for (i, c) in clients.iter_mut().enumerate() {
                    let begins = c.feed.items[0][0].1 == 1u8.into();
                    if c.feed.taken(&dut).is_some() {
                        packets[i] += usize::from(begins);
                    }
                }
                dut.clock();
            }
            for (i, n) in packets.into_iter().enumerate() {
                let swallowed = !may && REQUESTS[i];
                let moves = CLASS[i] != shut || swallowed;
                assert!(if moves { n > 50 } else { n == 0 }, "maker {i} sent {n} with class {shut} shut, may {may}");
            }
        }
    }
}

#[test]
fn a_packet_that_began_is_finished_when_its_credit_is_used_up() {
    let mut dut = dut();
    let mut rng = bench::rng(4);
    let mut clients: Vec<Client> = (0..CLIENTS).map(|i| Client::new(i, 80)).collect();
    let mut link = Packets::new("tx_", 80);
    dut.set("may", 1);
    let (mut sent, mut midway) = (0, [false; CLIENTS]);
    for _ in 0..10_000 {
        let credit: [bool; CLASSES] = std::array::from_fn(|_| rng.random_ratio(1, 4));
        for (class, has) in credit.into_iter().enumerate() {
            dut.set(&format!("credit_{class}"), has.into());
        }
        for c in &mut clients {
            if c.feed.items.len() < 4 {
                c.offer(&mut rng, 12);
            }
            c.feed.drive(&mut dut, &mut rng);
        }
        link.drive(&mut dut, &mut rng);
        dut.eval();
        sent += usize::from(link.taken(&dut).is_some());
        for (i, c) in clients.iter_mut().enumerate() {
            if let Some(beat) = c.feed.taken(&dut) {
                assert!(midway[i] || credit[CLASS[i]], "maker {i} began without credit");
                midway[i] = beat[1].1 == 0u8.into();
            }
        }
        dut.clock();
    }
    assert!(sent > 1000, "{sent}");
}

/// The gate is asked first about who waits: one maker alone, whose packets are each another function's, waits as long for every one,
/// whichever maker it is.
#[test]
fn a_new_function_is_known_a_few_clocks_after_its_packet_is_there() {
    for maker in (0..CLIENTS).filter(|maker| REQUESTS[*maker]) {
        let mut dut = dut();
        dut.set("may", 1);
        dut.set("tx_ready", 1);
        dut.set(&format!("client_{maker}_sop"), 1);
        dut.set(&format!("client_{maker}_eop"), 1);
        dut.set(&format!("client_{maker}_valid"), 1);
        for packet in 0..50u128 {
            dut.set(&format!("client_{maker}_owner"), packet % 7);
            let mut waited = 0;
            loop {
                dut.eval();
                let taken = dut.get(&format!("client_{maker}_ready")) == 1;
                dut.clock();
                if taken {
                    break;
                }
                waited += 1;
                assert!(waited <= 4, "maker {maker}, packet {packet}");
            }
        }
    }
}
