//! The pin harness against the card alone, with the shift register and the fold in software.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where

use azote_fpga::pins::{INPUTS, OUTPUTS, design};
use azote_verilate::{Dut, Options, Port, Source};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// Inputs in the order of the shift register, from the bit that is nearest to the pin; outputs from the lowest bit.
const IN: [(&str, usize); 24] = [
    ("rx_data", 128),
    ("mrd_data", 128),
    ("rx_keep", 4),
    ("rx_valid", 1),
    ("rx_sop", 1),
    ("rx_eop", 1),
    ("tx_ready", 1),
    ("mreq_ready", 1),
    ("mrd_valid", 1),
    ("mrd_last", 1),
    ("mrd_error", 1),
    ("mwr_ready", 1),
    ("mdone_valid", 1),
    ("mdone_result", 3),
    ("mdone_tag", 12),
    ("mget_ready", 1),
    ("mrd_hole", 1),
    ("erx_data", 128),
    ("erx_valid", 1),
    ("erx_sop", 1),
    ("erx_eop", 1),
    ("erx_bytes", 5),
    ("erx_error", 1),
    ("etx_ready", 1),
];

fn build(design: azote_hdl::Design) -> Dut {
    let port =
        |p: &azote_hdl::Port| if p.input { Port::input(&p.name, p.width) } else { Port::output(&p.name, p.width) };
    // Random bits keep to no rule of the link or the medium: as on a board, nobody checks.
    let text = format!("`define SYNTHESIS\n{}", design.text);
    // The harness ties the engines' clocks to its own; around the card alone it is done here.
    let text = (0..3).fold(text, |text, e| text.replace(&format!(".clock(engine_clock_{e})"), ".clock(clock)"));
    let source = Source { ports: design.ports.iter().map(port).collect(), text, top: design.top };
    let mut dut = Dut::build(&source, &Options::block()).unwrap();
    dut.reset();
    dut
}

/// Parity of all outputs of the card.
fn parity(card: &Dut) -> u32 {
    let outputs = card.ports().iter().filter(|p| p.dir == azote_verilate::Dir::Out);
    outputs.map(|p| card.get_words(&p.name).iter().map(|w| w.count_ones()).sum::<u32>()).sum::<u32>() & 1
}

#[test]
fn every_port_of_the_card_is_behind_a_pin() {
    let card = azote_rtl::card(1).unwrap();
    let bits = |input| card.ports.iter().filter(|p| p.input == input).map(|p| p.width).sum::<usize>();
    // Clock and reset have pins of their own, and the engines' clocks are that clock.
    assert_eq!((bits(true), bits(false)), (INPUTS + 2 + 3, OUTPUTS));
    assert_eq!(design(1).unwrap().ports.len(), 4);
}

#[test]
fn the_pin_shows_the_parity_of_the_cards_outputs_for_inputs_that_entered_bit_by_bit() {
    let mut pins = build(design(1).unwrap());
    let mut card = build(azote_rtl::card(1).unwrap());
    let mut rng = SmallRng::seed_from_u64(1);
    let mut shift = vec![false; INPUTS];
    // The registers between an output and the pin.
    let mut pipe = [0; 4];
    let mut ones = 0;
    for clock in 0..3000 {
        let mut at = 0;
        for (name, width) in IN {
            let bit = |i: usize| u32::from(shift[at + i]) << (i % 32);
            let words: Vec<u32> =
                (0..width.div_ceil(32)).map(|w| (32 * w..width.min(32 * w + 32)).map(bit).sum()).collect();
            card.set_words(name, &words);
            at += width;
        }
        assert_eq!(at, INPUTS);
        let bit = rng.random::<bool>();
        pins.set("serial_in", bit.into());
        pins.eval();
        card.eval();
        assert_eq!(pins.get("serial_out"), u128::from(pipe[3]), "clock {clock}");
        ones += pipe[3];
        pipe = [parity(&card), pipe[0], pipe[1], pipe[2]];
        shift.rotate_right(1);
        shift[0] = bit;
        pins.clock();
        card.clock();
    }
    // What random bits make of the card's ports is mostly malformed, and moves few of its outputs.
    assert!(ones > 0 && ones < 3000, "the pin does not move: {ones} of 3000");
}
