//! Runs yosys and yosys-smtbmc.
//!
//! The design is taken down to gates before it goes to the solver: z3 answers in seconds what it does not answer at all
//! over words. The contents of block RAMs are left to the solver in every clock, so that what is proved holds whatever
//! stands in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use azote_hdl::Design;
use azote_verilate::Work;

use crate::jobs::{Flaw, How, Job};
use crate::{Error, Result};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It holds.
    Holds,
    /// These checks can fail; the trace shows how.
    Fails {
        /// Their texts.
        checks: Vec<String>,
        /// A VCD file.
        trace: PathBuf,
    },
    /// It held for the bound, and the step of the induction does not close: no counterexample, and no proof.
    Open {
        /// Texts of the checks that do not follow.
        checks: Vec<String>,
        /// A VCD file that begins in a state which may not be reachable.
        trace: PathBuf,
    },
}

/// Tries a job on its design, or on a broken one, with files in `folder`.
pub fn prove(job: &Job, flaw: Option<&Flaw>, folder: &Path) -> Result<Answer> {
    let design = job.design(flaw)?;
    let name = match flaw {
        None => job.name.to_owned(),
        Some(flaw) => format!("{}_{}", job.name, flaw.name.replace(' ', "_")),
    };
    let file = |ext: &str| folder.join(format!("{name}.{ext}"));
    let _shown = Work::begin(&format!("formal: {name}"));
    write(&file("v"), &design.text)?;
    write(&file("ys"), &script(job, &design, &file("v"), &file("smt2")))?;
    let yosys = run("yosys", Command::new("yosys").args(["-q", "-s"]).arg(file("ys")))?;
    if !yosys.status.success() {
        return Err(failed("yosys", &name, &yosys));
    }
    let trace = file("vcd");
    let (first, step) = match job.how {
        How::Bounded(n) => (n, None),
        How::Induction(n) => (n, Some(n)),
    };
    if let Some(checks) = solve(&design, &name, &["-t", &first.to_string()], &trace, &file("smt2"))? {
        return Ok(Answer::Fails { checks, trace });
    }
    if let Some(n) = step
        && let Some(checks) = solve(&design, &name, &["-i", "-t", &n.to_string()], &trace, &file("smt2"))?
    {
        return Ok(Answer::Open { checks, trace });
    }
    Ok(Answer::Holds)
}

fn script(job: &Job, design: &Design, from: &Path, to: &Path) -> String {
    let top = &design.top;
    let reset = match job.no_reset {
        true => format!("cd {top}; delete -port w:reset; connect -set reset 1'b0; cd ..\nopt -fast\n"),
        false => String::new(),
    };
    // Only designs with block RAMs have such modules, and yosys would remark that there are none.
    let rams = if design.text.contains("module Ram(") { "cutpoint Ram Ram_*\n" } else { "" };
    format!(
        "read_verilog -sv -formal {}\nhierarchy -top {top}\nproc\n{rams}prep -flatten -top {top}\nmemory_nordff\n\
         async2sync\nformalff -clk2ff -ff2anyinit\nmemory_map\nopt -full\ntechmap\nopt -fast\n{reset}dffunmap\n\
         abc -g AND -fast\nopt_clean\nwrite_smt2 -wires {}\n",
        from.display(),
        to.display()
    )
}

/// Texts of the checks that can fail; `None` if none can.
fn solve(design: &Design, name: &str, how: &[&str], trace: &Path, smt2: &Path) -> Result<Option<Vec<String>>> {
    let mut command = Command::new("yosys-smtbmc");
    command.args(["--noprogress", "-s", "z3"]).args(how).arg("--dump-vcd").arg(trace).arg(smt2);
    let output = run("yosys-smtbmc", &mut command)?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("Status: PASSED") {
        return Ok(None);
    }
    // "Assert failed in gate: u_door.must_check_7": the label is the check's number in the module of that instance.
    let labels: BTreeSet<&str> = text
        .lines()
        .filter_map(|l| l.split_once("Assert failed in "))
        .filter_map(|(_, l)| l.split_whitespace().last())
        .collect();
    if labels.is_empty() {
        return Err(failed("yosys-smtbmc", name, &output));
    }
    Ok(Some(labels.into_iter().map(|l| check_text(&design.text, &design.top, l)).collect()))
}

/// The text of the check with the label `u_a.u_b.must_check_3`, found in the module that `u_b` is an instance of; or in the
/// top module, if the label has no path.
fn check_text(verilog: &str, top: &str, label: &str) -> String {
    let text = || {
        let (path, check) = label.rsplit_once('.').unwrap_or(("", label));
        let module = match path.rsplit('.').next() {
            None | Some("") => top,
            Some(instance) => {
                let instance = format!(" {instance} (");
                verilog.lines().find(|l| l.contains(&instance))?.split_whitespace().next()?
            }
        };
        let (_, body) = verilog.split_once(&format!("\nmodule {module}("))?;
        let wanted = format!("{check}: ");
        body.lines().find(|l| l.trim_start().starts_with(&wanted))?.split('"').nth(1).map(str::to_owned)
    };
    text().unwrap_or_else(|| label.to_owned())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|source| Error::Io { path: path.to_owned(), source })
}

fn run(tool: &'static str, command: &mut Command) -> Result<Output> {
    command.output().map_err(|source| Error::Tool { tool, source })
}

fn failed(tool: &'static str, what: &str, output: &Output) -> Error {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    Error::Failed { tool, what: what.to_owned(), output: String::from_utf8_lossy(&text).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::check_text;

    #[test]
    fn a_label_leads_to_the_text_of_its_check() {
        let verilog = "\nmodule A(\n    must_check_1: `CHECK(check_1, \"of a\");\nendmodule\n\nmodule B(\n  \
                       A u_x (.a(b));\n  B_2 u_y (.a(b));\nendmodule\n\nmodule B_2(\n    \
                       must_check_1: `CHECK(check_1, \"of b\");\nendmodule\n";
        assert_eq!(check_text(verilog, "B", "u_z.u_x.must_check_1"), "of a");
        assert_eq!(check_text(verilog, "B", "u_y.must_check_1"), "of b");
        assert_eq!(check_text(verilog, "B", "u_q.must_check_1"), "u_q.must_check_1");
    }
}
