//! `azote run` without the rest of `azote`: takes the machine as JSON, and is small.

use std::process::ExitCode;

use azote_hypervisor::{Config, Stop};

fn main() -> ExitCode {
    let Some(text) = std::env::args().nth(1) else {
        eprintln!("azote-vmm: takes a machine as JSON, in one argument; `azote run` makes it");
        return ExitCode::from(2);
    };
    let config: Config = match serde_json::from_str(&text) {
        Ok(config) => config,
        Err(e) => {
            eprintln!("azote-vmm: the machine: {e}");
            return ExitCode::from(2);
        }
    };
    match azote_hypervisor::run(&config) {
        Ok(Stop::Crash(why)) => {
            eprintln!("azote: the guest has crashed: {why}");
            ExitCode::FAILURE
        }
        Ok(Stop::Device(why)) => {
            eprintln!("azote: the guest was ended: {why}");
            ExitCode::FAILURE
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("azote: {e}");
            ExitCode::FAILURE
        }
    }
}
