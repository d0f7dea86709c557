//! `azote run` without the rest of `azote`: takes the machine as JSON, and is small.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(text) = std::env::args().nth(1) else {
        eprintln!("azote-vmm: takes a machine as JSON, in one argument; `azote run` makes it");
        return ExitCode::from(2);
    };
    match serde_json::from_str(&text) {
        Ok(config) => azote_hypervisor::run_to_end(&config),
        Err(e) => {
            eprintln!("azote-vmm: the machine: {e}");
            ExitCode::from(2)
        }
    }
}
