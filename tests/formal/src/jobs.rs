//! What is proved, how far, and the broken designs that the same proof must refuse.

use azote_hdl::{Design, print};

use crate::crossing::Crossing;
use crate::tops::{Gate, Silent};
use crate::{Error, Result};

/// How a proof goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Every run of so many clocks from the start.
    Bounded(u32),
    /// For ever: so many clocks from the start, and from any state in which the checks held so many clocks long.
    Induction(u32),
}

/// One proof.
#[derive(Clone, Copy)]
pub struct Job {
    /// The top module's name, and the files'.
    pub name: &'static str,
    /// What is proved, for a reader.
    pub claim: &'static str,
    /// The rules of `docs/formal.md`.
    pub rules: &'static str,
    /// How.
    pub how: How,
    /// Without `reset`: for a design that starts as after it.
    pub no_reset: bool,
    make: fn(&'static str) -> Result<Design>,
}

/// A place in the printed design where it is made wrong.
#[derive(Debug, Clone, Copy)]
pub struct Flaw {
    /// What is wrong.
    pub name: &'static str,
    /// The job that must find it.
    pub job: &'static str,
    /// The text, which stands there once, and what is put in its place.
    find: &'static str,
    replace: &'static str,
    /// Another such place.
    also: Option<(&'static str, &'static str)>,
    /// A text of one of the checks that must fail.
    pub caught_by: &'static str,
}

fn gate(name: &'static str) -> Result<Design> {
    Ok(print(&Gate::default(), name)?)
}

fn silent(name: &'static str) -> Result<Design> {
    Ok(print(&Silent::new(name == AWAKE), name)?)
}

fn crossing(name: &'static str) -> Result<Design> {
    let mut design = print(&Crossing::new(name == WORDS), name)?;
    // Without resets: nor is one side told of the other's.
    let text =
        design.text.replace("(in_reset | in_stops_to)", "in_reset").replace("(out_reset | out_stops_to)", "out_reset");
    // Words are looked at from outside alone.
    let inside = |line: &&str| name != WORDS || !line.starts_with("  Between u_between");
    let text: String = text.split_inclusive('\n').filter(inside).collect();
    design.text = in_steps(&text, name);
    Ok(design)
}

/// The same design in steps of the prover's, which takes every clock edge for a step, whatever clock it is: the clock of a side is then
/// what lets it go on in a step, and any of them may in any step, or both. What is said of both sides holds in every step.
fn in_steps(text: &str, top: &str) -> String {
    let modules = text.split_inclusive("endmodule\n").map(|module| {
        let (before, rest) = module.split_once("\nmodule ").unwrap_or((module, ""));
        let name = rest.split_once('(').map_or("", |(name, _)| name);
        if name.is_empty() || name == top || name == "Between" {
            return module.to_owned();
        }
        let body = rest.replace("@(posedge clock)", "@(posedge tick) if (clock)");
        let body = body.replacen(");\n", ");\n(* anyseq *) reg tick;\n", 1);
        format!("{before}\nmodule {body}")
    });
    modules.collect()
}

const WORDS: &str = "crossing_words";
const PLACES: &str = "crossing_places";

const AWAKE: &str = "silent_awake";

/// All proofs.
pub const JOBS: [Job; 8] = [
    Job {
        name: "gate",
        claim: "what leaves is what a maker gave, with its function's id, and if the gate let it",
        rules: "1 3 5",
        how: How::Bounded(6),
        no_reset: false,
        make: gate,
    },
    Job { name: "gate", claim: "the same", rules: "1 3 5", how: How::Induction(3), no_reset: false, make: gate },
    Job {
        name: AWAKE,
        claim: "the gate is shut for Bus Master Enable off, FLR, VFs that are not enabled",
        rules: "2 3",
        how: How::Bounded(40),
        no_reset: true,
        make: silent,
    },
    Job { name: AWAKE, claim: "the same", rules: "2 3", how: How::Induction(8), no_reset: true, make: silent },
    Job {
        name: "silent",
        claim: "the same, from and through any reset",
        rules: "2 3",
        how: How::Induction(8),
        no_reset: false,
        make: silent,
    },
    Job {
        name: WORDS,
        claim: "between two clocks each word comes out once, as it was written and in order",
        rules: "-",
        how: How::Bounded(15),
        no_reset: true,
        make: crossing,
    },
    Job {
        name: PLACES,
        claim: "no word is written where there is no room, or read that is not there",
        rules: "-",
        how: How::Bounded(16),
        no_reset: true,
        make: crossing,
    },
    Job { name: PLACES, claim: "the same", rules: "-", how: How::Induction(4), no_reset: true, make: crossing },
];

/// Broken designs. Each is one line of the printed Verilog, such as a slip in the kernel would change it.
pub const FLAWS: [Flaw; 14] = [
    Flaw {
        name: "the transmitter does not ask the gate",
        job: "gate",
        find: "(answered & (may ? 10'h3ff : 10'h0))",
        replace: "answered",
        also: None,
        caught_by: "rule 3: what is believed of the gate does not hold any more",
    },
    Flaw {
        name: "the transmitter asks about another function",
        job: "gate",
        find: "assign ask = asked_q;",
        replace: "assign ask = asked_q ^ 8'h4;",
        also: None,
        caught_by: "rule 3: what is believed of the gate does not hold any more",
    },
    Flaw {
        name: "the transmitter believes what was said before a change",
        job: "gate",
        find: "known_d = (changed ? 10'h0 : (known_q | answered));",
        replace: "known_d = (known_q | answered);",
        also: None,
        caught_by: "rule 3: what is believed of the gate does not hold any more",
    },
    Flaw {
        name: "the transmitter takes one function's answer for another's",
        job: "gate",
        find: "assign told_3 = (known_q[2] & same_3);",
        replace: "assign told_3 = known_q[2];",
        also: None,
        caught_by: "rule 3: the gate is not obeyed",
    },
    Flaw {
        name: "the transmitter damages the requester id",
        job: "gate",
        find: "assign tx_data = data_q;",
        replace: "assign tx_data = data_q ^ (128'h4 << 48);",
        also: None,
        caught_by: "rule 1: a beat leaves that is not what its maker gave",
    },
    Flaw {
        name: "the transmitter signs for another kind of function",
        job: "gate",
        find: "whose[1:0]}})}, data[47:32]}",
        replace: "2'h0}})}, data[47:32]}",
        also: None,
        caught_by: "rule 1: a beat leaves that is not what its maker gave",
    },
    Flaw {
        name: "the transmitter leaves the kind of a packet to its maker",
        job: "gate",
        find: "data_d = beat;",
        replace: "data_d = {beat[127:32], data[31:24], beat[23:0]};",
        also: None,
        caught_by: "rule 1: a beat leaves that is not what its maker gave",
    },
    Flaw {
        name: "the transmitter loses a beat that the link has not taken",
        job: "gate",
        find: "assign ready_2 = ((mine_2 & passes_2) & (room | stops_2));",
        replace: "assign ready_2 = (mine_2 & passes_2);",
        also: None,
        caught_by: "rule 5: a beat goes in where there is no room",
    },
    Flaw {
        name: "the configuration space does not say that the gate changes",
        job: AWAKE,
        find: "((((boot | (st_q == 5'h4))",
        replace: "((((boot | 1'b0)",
        also: None,
        caught_by: "rule 3: the gate changes and does not say so",
    },
    Flaw {
        name: "FLR does not silence",
        job: AWAKE,
        find: "assign resets_0_wdata = (resetting_new & (~boot_w));",
        replace: "assign resets_0_wdata = 1'b0;",
        also: None,
        caught_by: "rule 3: a function in FLR is not silent",
    },
    Flaw {
        name: "Bus Master Enable can not be turned off",
        job: AWAKE,
        find: "gate_bme_new = value[2];",
        replace: "gate_bme_new = 1'b1;",
        also: None,
        caught_by: "rule 3: Bus Master Enable is off, and the gate has it on",
    },
    Flaw {
        name: "VFs that are not enabled are served",
        job: AWAKE,
        find: "(asked_vfe & (asked_slot <= asked_num))",
        replace: "1'b1",
        also: None,
        caught_by: "rule 2: an access to a VF that is not enabled is served",
    },
    Flaw {
        name: "places cross as binary numbers",
        job: WORDS,
        find: "assign read_other = write_told;",
        replace: "assign read_other = write_place;",
        also: Some(("assign valid_w = (code_q != seen_to);", "assign valid_w = (at_q != seen_to);")),
        caught_by: "a word is not what was written, or not in order",
    },
    Flaw {
        name: "full is seen a slot late",
        job: PLACES,
        find: "assign ready_w = (code_q != round);",
        replace: "assign ready_w = (((at_q - 3'h1) ^ ((at_q - 3'h1) >> 1)) != round);",
        also: None,
        caught_by: "a word is written where there is no room",
    },
];

impl Job {
    /// The design, right or wrong.
    pub fn design(&self, flaw: Option<&Flaw>) -> Result<Design> {
        let (make, name) = (self.make, self.name);
        // A configuration space is a deep value.
        let thread = std::thread::Builder::new().stack_size(256 << 20).spawn(move || make(name));
        let mut design = match thread.map_err(Error::Thread)?.join() {
            Ok(design) => design?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        if let Some(flaw) = flaw {
            for (find, replace) in std::iter::once((flaw.find, flaw.replace)).chain(flaw.also) {
                let times = design.text.matches(find).count();
                if times != 1 {
                    return Err(Error::Flaw { flaw: flaw.name, find, times });
                }
                design.text = design.text.replace(find, replace);
            }
        }
        Ok(design)
    }
}
