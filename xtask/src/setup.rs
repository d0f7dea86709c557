//! What has to be on the machine, and how it gets there.

use std::path::Path;
use std::process::Command;

use crate::run;

/// One thing that is needed.
pub struct Need {
    /// A program to be found on PATH, a file, or `import` and a module of Python's.
    what: &'static str,
    /// The package of Debian and Ubuntu that has it.
    package: &'static str,
    /// Which of our commands cannot do without.
    reason: &'static str,
}

/// Python as a library, wherever this Python has it. The package with it alone has its version in its name.
const LIBPYTHON: &str = "import sysconfig as s, pathlib as p; \
    p.Path(s.get_config_var('LIBDIR'), s.get_config_var('INSTSONAME')).stat() \
    if s.get_config_var('Py_ENABLE_SHARED') else None.missing";

const fn need(what: &'static str, package: &'static str, reason: &'static str) -> Need {
    Need { what, package, reason }
}

/// To build and run the simulated card.
pub const SIMULATION: &[Need] = &[
    need("verilator", "verilator", "turns the card's Verilog into C++"),
    need("g++", "g++", "compiles the simulated card"),
    need("/usr/include/zlib.h", "zlib1g-dev", "compresses waves (--trace)"),
];

/// To measure: cocotb, which comes from PyPI below `target`, and valgrind beside the simulation.
pub const BENCH: &[Need] = &[
    need("verilator", "verilator", "turns the card's Verilog into C++"),
    need("g++", "g++", "compiles the simulated card"),
    need("/usr/include/zlib.h", "zlib1g-dev", "compresses waves (--trace)"),
    need("make", "make", "builds the card with cocotb (cargo xtask bench sim)"),
    need("python3", "python3", "runs cocotb (cargo xtask bench sim)"),
    need("import ensurepip", "python3-venv", "installs cocotb below target (cargo xtask bench sim)"),
    need(LIBPYTHON, "libpython3-dev", "is what cocotb loads Python from (cargo xtask bench sim)"),
    need("valgrind", "valgrind", "counts the driver's instructions (cargo xtask bench driver)"),
    need("yosys", "yosys", "counts the card's cells (cargo xtask bench cells)"),
];

/// To prove.
pub const PROOF: &[Need] = &[
    need("yosys-smtbmc", "yosys", "makes formulas of the card's Verilog (cargo xtask formal)"),
    need("z3", "z3", "decides them (cargo xtask formal)"),
];

/// To put the card on an FPGA. nextpnr comes from PyPI, below `target`.
pub const FPGA: &[Need] = &[
    need("yosys", "yosys", "synthesizes the card"),
    need("python3", "python3", "runs nextpnr"),
    need("import ensurepip", "python3-venv", "installs nextpnr below target"),
];

/// To do everything.
pub const ALL: &[Need] = &[
    need("verilator", "verilator", "turns the card's Verilog into C++"),
    need("g++", "g++", "compiles the simulated card"),
    need("/usr/include/zlib.h", "zlib1g-dev", "compresses waves (--trace)"),
    need("yosys-smtbmc", "yosys", "makes formulas of the card's Verilog (cargo xtask formal) and synthesizes it"),
    need("z3", "z3", "decides them (cargo xtask formal)"),
    need("mkfs.ext4", "e2fsprogs", "makes the demo's file system"),
    need("debugfs", "e2fsprogs", "reads the demo's file system"),
    need("ldd", "libc-bin", "finds what a program of the lab's machines needs"),
    need("depmod", "kmod", "finds the modules of the lab's kernel"),
    need("xz", "xz-utils", "unpacks the modules of the lab's kernel"),
    need("dpkg-deb", "dpkg", "unpacks the lab's packages"),
    need("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring", "checks the lab's packages"),
    need("make", "make", "builds the card with cocotb"),
    need("python3", "python3", "runs cocotb and nextpnr"),
    need("import ensurepip", "python3-venv", "installs cocotb and nextpnr below target"),
    need(LIBPYTHON, "libpython3-dev", "is what cocotb loads Python from"),
    need("valgrind", "valgrind", "counts the driver's instructions"),
    need("strace", "strace", "counts what is made durable (cargo xtask test)"),
    need("qemu-img", "qemu-utils", "reads a virtual function over NBD"),
    need("nbdcopy", "libnbd-bin", "copies to a virtual function over NBD"),
    need("nbdkit", "nbdkit", "backs a volume by a server in tests"),
    need("fio", "fio", "verifies what it wrote to a virtual function over NBD (cargo xtask test)"),
];

/// Where programs are beside PATH: those of the file system are often not on an ordinary user's.
const SYSTEM: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

fn is_there(what: &str) -> bool {
    if what.starts_with('/') {
        return Path::new(what).exists();
    }
    if what.starts_with("import ") {
        return Command::new("python3").args(["-c", what]).output().is_ok_and(|output| output.status.success());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(SYSTEM.map(Into::into)).any(|folder| folder.join(what).is_file())
}

/// Packages whose thing is not there, each once.
fn missing(needs: &[Need]) -> Vec<&Need> {
    let mut found: Vec<&Need> = Vec::new();
    for need in needs {
        if !is_there(need.what) && !found.iter().any(|other| other.package == need.package) {
            found.push(need);
        }
    }
    found
}

/// Installs what is missing if we may, else says what to run.
pub fn ensure(needs: &[Need]) -> Result<(), String> {
    let absent = missing(needs);
    if absent.is_empty() {
        return Ok(());
    }
    for need in &absent {
        eprintln!("setup: {} is missing ({})", need.what, need.reason);
    }
    let packages: Vec<&str> = absent.iter().map(|need| need.package).collect();
    let sudo = if !is_root() && is_there("sudo") { "sudo " } else { "" };
    let by_hand = format!("{sudo}apt-get update && {sudo}apt-get install {}", packages.join(" "));
    if !is_there("apt-get") {
        return Err(format!("this is no Debian or Ubuntu; install what they call: {}", packages.join(" ")));
    }
    if !is_root() {
        let who = if sudo.is_empty() { "run this as root" } else { "run this" };
        return Err(format!("{who}, then try again:\n\n    {by_hand}\n"));
    }
    eprintln!("setup: installing {}", packages.join(" "));
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(&packages);
    apt(&install)?;
    match missing(needs).first() {
        None => Ok(()),
        Some(need) => Err(format!("{} is still missing after `{by_hand}`", need.what)),
    }
}

fn apt(arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(std::process::Stdio::null());
    run::check(&mut command)
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
