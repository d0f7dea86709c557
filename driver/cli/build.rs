//! Which commit this is, for `azote --version` and `azote-vmm --version`.

use std::process::Command;

fn main() {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|text| !text.is_empty())
    };
    // Asked again after each commit. Outside of a repository there is nothing to watch.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    // Of the package, whichever it is: with nothing to watch at all, cargo would watch all of it.
    println!("cargo::rerun-if-changed=Cargo.toml");
    let commit =
        git(&["rev-parse", "--short=10", "HEAD"]).map_or("of no known commit".to_owned(), |c| format!("commit {c}"));
    println!("cargo::rustc-env=AZOTE_COMMIT={commit}");
}
