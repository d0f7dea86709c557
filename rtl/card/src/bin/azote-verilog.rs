//! Prints the card's Verilog: `azote-verilog [VFS] > azote_card.sv`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let vfs = match std::env::args().nth(1).map(|a| a.parse::<usize>()) {
        None => 4,
        Some(Ok(n)) if (1..=60).contains(&n) => n,
        Some(_) => {
            eprintln!("azote-verilog: the number of VFs a kind is 1 to 60");
            return ExitCode::from(2);
        }
    };
    match azote_rtl::card(vfs) {
        Ok(d) => {
            print!("{}", d.text);
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("azote-verilog: {e}");
            ExitCode::FAILURE
        }
    }
}
