//! `azote completions` and `azote man`: both made from the command line's own description.

use std::io::Write;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::print;
use crate::{Error, Result, args::Cli};

/// Prints the completions of a shell.
pub fn completions(shell: Shell, out: &mut dyn Write) -> Result<()> {
    let mut text = Vec::new();
    generate(shell, &mut Cli::command(), "azote", &mut text);
    print(out, &String::from_utf8_lossy(&text))
}

/// Writes the manual pages: azote.1, azote-list.1, …
pub fn man(folder: &Path) -> Result<()> {
    let failed = |source| Error::File { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_shell_completes_the_options_of_a_command() {
        for shell in Shell::value_variants() {
            let mut text = Vec::new();
            completions(*shell, &mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert!(text.contains("socket-dir") && text.contains("tlp-log"), "{shell}");
        }
    }

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        man(folder.path()).unwrap();
        for command in Cli::command().get_subcommands().map(|command| command.get_name().to_owned()) {
            let page = std::fs::read_to_string(folder.path().join(format!("azote-{command}.1"))).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{command}");
        }
        let page = std::fs::read_to_string(folder.path().join("azote.1")).unwrap();
        assert!(page.contains("Exit status"), "what an exit status means stands in the manual");
    }
}
