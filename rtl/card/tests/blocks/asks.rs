//! Who reads host memory and who asks the medium: each request goes out as it was asked, once, and in the stated order.

use azote_rtl::storage::data::reads::Reads;
use azote_rtl::storage::flight::requests::Requests;
use azote_verilate::Dut;
use rand::Rng;

use crate::bench;

/// A block with three askers and a taker: their names, and the fields of a request with their widths.
struct Asks {
    dut: Dut,
    askers: [&'static str; 3],
    fields: &'static [(&'static str, u32)],
}

/// What the askers want, field by field.
type Wanted = [Option<Vec<u128>>; 3];

impl Asks {
    /// So many clocks with askers that are as busy as they may be; `next` says whose turn it is, of those who want and the one before.
    fn run(&mut self, next: impl Fn(&[bool; 3], &mut usize) -> usize) -> [usize; 3] {
        let mut rng = bench::rng(1);
        let mut wanted: Wanted = [None, None, None];
        let mut stands: Option<usize> = None;
        let (mut served, mut turn) = ([0; 3], 0);
        for clock in 0..20_000 {
            for (i, name) in self.askers.iter().enumerate() {
                if wanted[i].is_none() && rng.random_ratio(1, [2, 4, 20][(clock / 500 + i) % 3]) {
                    let values: Vec<u128> =
                        self.fields.iter().map(|(_, bits)| rng.random::<u128>() >> (128 - bits)).collect();
                    for ((field, _), value) in self.fields.iter().zip(&values) {
                        self.dut.set(&format!("{name}_{field}"), *value);
                    }
                    wanted[i] = Some(values);
                }
                self.dut.set(&format!("{name}_valid"), wanted[i].is_some().into());
            }
            let takes = rng.random_bool(0.4);
            self.dut.set("out_ready", takes.into());
            self.dut.eval();
            assert_eq!(self.dut.get("out_valid") == 1, stands.is_some());
            for (i, name) in self.askers.iter().enumerate() {
                assert_eq!(self.dut.get(&format!("{name}_ready")) == 1, takes && stands == Some(i), "{name}");
            }
            if let Some(i) = stands {
                let seen: Vec<u128> = self.fields.iter().map(|(f, _)| self.dut.get(&format!("out_{f}"))).collect();
                assert_eq!(Some(&seen), wanted[i].as_ref(), "{}", self.askers[i]);
                if takes {
                    wanted[i] = None;
                    served[i] += 1;
                    stands = None;
                }
            } else if wanted.iter().any(Option::is_some) {
                let wants = [0, 1, 2].map(|i: usize| wanted[i].is_some());
                stands = Some(next(&wants, &mut turn));
            }
            self.dut.clock();
        }
        served
    }
}

#[test]
fn entries_are_read_before_lists_and_lists_before_data() {
    let mut asks = Asks {
        dut: bench::build("reads", Reads::default),
        askers: ["entries", "lists", "data"],
        fields: &[("owner", 8), ("address", 64), ("bytes", 13), ("client", 4), ("dest", 13)],
    };
    let served = asks.run(|wants, _| wants.iter().position(|w| *w).unwrap());
    assert!(served.iter().all(|n| *n > 200), "{served:?}");
}

#[test]
fn the_books_requests_go_first_and_reads_and_writes_take_turns() {
    let mut asks = Asks {
        dut: bench::build("requests", Requests::default),
        askers: ["books", "reads", "writes"],
        fields: &[("tag", 12), ("op", 4), ("fua", 1), ("volume", 8), ("lba", 48), ("blocks", 48)],
    };
    let served = asks.run(|wants, last| match wants {
        [true, ..] => 0,
        [_, true, true] => {
            *last = if *last == 2 { 1 } else { 2 };
            *last
        }
        [_, reads, _] => {
            *last = if *reads { 1 } else { 2 };
            *last
        }
    });
    assert!(served.iter().all(|n| *n > 200), "{served:?}");
}
