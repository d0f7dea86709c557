//! `cargo xtask`: everything that is done with this repository, one word each.
//!
//! It has no dependencies, so that the first command on a fresh machine answers within seconds.

mod fuzz;
mod lint;
mod run;
mod setup;
mod silence;
mod test;
mod tree;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  demo [options]           read real files off a virtual function that exists only as RTL
  test                     run all tests
  lint                     check formatting, clippy and the hardware kernels
  bench storage            measure, against bounds derived from first principles (--json for machines, --quick in seconds)
  bench driver|cells|sim|guest  only that part; guests are no part of `storage`
  bench --html [FILE]      the same on one page, with curves: target/bench.html
  path read|write          show what moves on the card's ports for one command, clock by clock
  fpga --core [--synth-only] the card core on an FPGA: cells by block, clock, worst paths (yosys, nextpnr)
  lab [case…]              try it all with real VFIO, KVM and Linux, in an emulated host; `lab list` lists the cases;
                           `lab boots [N]` boots one guest N times (300) and says which was late
  fuzz [target…] [seconds] fuzz what parses a guest's, a client's or a file's bytes; a minute each
  formal                   prove the isolation rules that can be, and that broken designs are caught
  soak [options]           random commands, resets and faults against a model; --commands, --seed, --replay FILE
  docs                     write the tables and listings in docs/ anew from the code
  setup                    install what the others need, or say what to install

Arguments after `demo`, `bench`, `soak`, `path`, `fpga` and `lab` go to the program; `cargo xtask demo --help` lists them.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    let done = match command {
        "setup" => none(rest).and_then(|()| setup::ensure(setup::ALL)),
        "lint" => none(rest).and_then(|()| lint::run()),
        "test" => none(rest).and_then(|()| test::run()),
        test::TIMED => test::timed(rest),
        "bench" => setup::ensure(bench_needs(rest)).and_then(|()| run::program("azote-tests", "bench", rest)),
        "soak" => setup::ensure(setup::SIMULATION).and_then(|()| run::program("azote-tests", "soak", rest)),
        "path" => setup::ensure(setup::SIMULATION).and_then(|()| run::program("azote-tests", "path", rest)),
        "lab" => setup::ensure(setup::ALL).and_then(|()| run::program("azote-lab", "lab", rest)),
        "fpga" => setup::ensure(setup::FPGA).and_then(|()| run::program("azote-fpga", "fpga", rest)),
        "fuzz" => fuzz::run(rest),
        "formal" => none(rest)
            .and_then(|()| setup::ensure(setup::PROOF))
            .and_then(|()| run::program("azote-formal", "formal", rest)),
        "docs" => none(rest)
            .and_then(|()| setup::ensure(setup::SIMULATION))
            .and_then(|()| run::program("azote-tests", "docs", rest)),
        "demo" => setup::ensure(setup::ALL).and_then(|()| run::program("azote-tests", "demo", rest)),
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        other => Err(format!("no command `{other}`\n\n{HELP}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // What failed has said so itself.
        Err(message) if message.is_empty() => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Only what is measured beside other programs needs them.
fn bench_needs(rest: &[String]) -> &'static [setup::Need] {
    let alone = rest.iter().any(|word| ["guest", "--quick", "--soft", "--help", "-h"].contains(&word.as_str()));
    if alone { setup::SIMULATION } else { setup::BENCH }
}

fn none(rest: &[String]) -> Result<(), String> {
    match rest.first() {
        None => Ok(()),
        Some(extra) => Err(format!("`{extra}`: this command takes no arguments")),
    }
}
