//! `cargo xtask docs`: writes tables and listings into the documents.

#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

use azote_tests::tables::{Table, documents, files, fill};

fn main() -> ExitCode {
    let documents = match documents() {
        Ok(documents) => documents,
        Err(error) => {
            eprintln!("docs: {error}");
            return ExitCode::FAILURE;
        }
    };
    for (name, tables) in documents {
        match write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name), &tables) {
            Ok(changed) => println!("{name}: {}", if changed { "written" } else { "up to date" }),
            Err(message) => {
                eprintln!("docs: {name}: {message}");
                return ExitCode::FAILURE;
            }
        }
    }
    match files() {
        Ok(files) => {
            for (name, text) in files {
                if let Err(e) = std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name), text) {
                    eprintln!("docs: {name}: {e}");
                    return ExitCode::FAILURE;
                }
                println!("{name}: written");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("docs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(page: &Path, tables: &[Table]) -> Result<bool, String> {
    let old = std::fs::read_to_string(page).map_err(|e| e.to_string())?;
    let new = fill(&old, tables)?;
    if new != old {
        std::fs::write(page, &new).map_err(|e| e.to_string())?;
    }
    Ok(new != old)
}
