//! `azote completions` and `azote man`: both made from the command line's own description.

use std::io::Write;
use std::path::Path;

use azote_files::{Inputs, Output};
use clap::CommandFactory;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

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
    let mut all = Cli::command().disable_help_subcommand(true);
    all.build();
    page(&all, folder)
}

/// The pages of a command and of those below it, each a new file in its place.
fn page(command: &clap::Command, folder: &Path) -> Result<()> {
    command.get_subcommands().filter(|below| !below.is_hide_set()).try_for_each(|below| page(below, folder))?;
    let man = Man::new(command.clone());
    let path = folder.join(man.get_filename());
    let mut output = Output::create(&path, &Inputs::new())?;
    man.render(&mut output).map_err(|source| Error::File { path, source })?;
    Ok(output.finish()?)
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
