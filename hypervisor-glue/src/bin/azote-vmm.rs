//! `azote run` without the rest of `azote`: takes the machine as a file of JSON, and is small.

use std::process::ExitCode;

fn main() -> ExitCode {
    azote_hypervisor::program(std::env::args_os())
}
