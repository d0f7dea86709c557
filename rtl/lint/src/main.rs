//! Checks every Rust file below a folder (`rtl/`), and says a line for each place that breaks a rule.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use azote_lint::{Allowed, check};

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: azote-lint FOLDER");
        return ExitCode::from(2);
    };
    match run(Path::new(&folder)) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(found) => {
            eprintln!("azote-lint: {found} place(s) break the rules of the hardware's source (rtl/lint/src/lib.rs)");
            ExitCode::FAILURE
        }
        Err(message) => {
            eprintln!("azote-lint: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(root: &Path) -> Result<usize, String> {
    let mut files = Vec::new();
    collect(root, &mut files)?;
    files.sort();
    if files.is_empty() {
        return Err(format!("no Rust below {}", root.display()));
    }
    let mut count = 0;
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        let findings = check(&path.to_string_lossy(), &text, Allowed::of(&below))
            .map_err(|e| format!("{} is no Rust: {e}", path.display()))?;
        for finding in &findings {
            eprintln!("{finding}");
        }
        count += findings.len();
    }
    Ok(count)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("cannot read the folder {}: {e}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, files)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
