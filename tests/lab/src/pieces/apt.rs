//! Debian's own resolver and downloader, on a state of its own: the host's packages are not touched.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Error, Result, command, folder};

/// Where Debian's keys are, on Debian and (by package debian-archive-keyring) on others.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An apt that knows of two suites and of no installed package.
#[derive(Debug)]
pub struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Writes its configuration.
    pub fn new(folder: &Path, suite: &str, backports: &str) -> Result<Apt> {
        for sub in ["state/lists/partial", "cache/archives/partial", "etc/preferences.d", "etc/apt.conf.d"] {
            folder::make(&folder.join(sub))?;
        }
        let apt = Apt { folder: folder.to_owned() };
        apt.write("status", "")?;
        let mut sources = String::new();
        for suite in [suite, backports] {
            let _ = writeln!(sources, "deb [signed-by={KEYRING}] http://deb.debian.org/debian {suite} main");
        }
        apt.write("etc/sources.list", &sources)?;
        let at = folder.display();
        apt.write(
            "apt.conf",
            &format!(
                "Dir::State \"{at}/state\"; Dir::State::status \"{at}/status\"; Dir::Cache \"{at}/cache\"; Dir::Etc \"{at}/etc\";\n\
                 Dir::Etc::sourcelist \"{at}/etc/sources.list\"; Dir::Etc::sourceparts \"-\"; Dir::Etc::Parts \"{at}/etc/apt.conf.d\";\n\
                 APT::Install-Recommends \"false\"; APT::Sandbox::User \"root\"; Debug::NoLocking \"1\"; Acquire::Languages \"none\";\n\
                 APT::Architecture \"amd64\"; Acquire::Retries \"3\";\n"
            ),
        )?;
        Ok(apt)
    }

    /// Fetches the lists of packages, once.
    pub fn update(&self) -> Result<()> {
        let marker = self.folder.join("updated");
        if marker.exists() {
            return Ok(());
        }
        command::output(self.tool("apt-get").args(["update", "-qq"]))?;
        self.write("updated", "")
    }

    /// Takes a package from a suite even where another would do.
    pub fn pin(&self, package: &str, suite: &str) -> Result<()> {
        let text = format!("Package: {package}\nPin: release n={suite}\nPin-Priority: 600\n");
        self.write(&format!("etc/preferences.d/{package}"), &text)
    }

    /// Downloads packages and all that they depend on.
    pub fn download_with_dependencies(&self, packages: &[String]) -> Result<Vec<PathBuf>> {
        let mut install = self.tool("apt-get");
        install.args(["install", "-y", "-qq", "--download-only", "--no-install-recommends"]).args(packages);
        command::output(&mut install)?;
        archives(&self.folder.join("cache/archives"))
    }

    /// Downloads one package without what it depends on.
    pub fn download(&self, package: &str) -> Result<Vec<PathBuf>> {
        let into = self.folder.join("single").join(package);
        folder::make(&into)?;
        command::output(self.tool("apt-get").args(["download", "-qq", package]).current_dir(&into))?;
        archives(&into)
    }

    /// The dependency of a (meta-)package whose name starts with `prefix`.
    pub fn dependency(&self, package: &str, suite: &str, prefix: &str) -> Result<String> {
        let text = command::output(self.tool("apt-cache").args(["depends", &format!("{package}/{suite}")]))?;
        let found = text.lines().filter_map(|l| l.trim().strip_prefix("Depends: ")).find(|p| p.starts_with(prefix));
        found.map(str::to_owned).ok_or_else(|| Error::Piece(format!("{package} depends on no {prefix}… package")))
    }

    fn tool(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.folder.join("apt.conf")).env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).map_err(Error::io("write", &path))
    }
}

fn archives(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(Error::io("read", folder))?;
    let mut found: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    found.retain(|path| path.extension().is_some_and(|e| e == "deb"));
    found.sort();
    Ok(found)
}
