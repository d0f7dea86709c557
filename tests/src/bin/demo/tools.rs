//! The tools that nobody here wrote, and how they are watched.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use azote_regs::function::{FunctionId, Kind};
use azote_sim::Card;
use azote_tests::{Error, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Folders of system programs, which are often not on an ordinary user's PATH.
const SYSTEM: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// The program by its name, also where PATH does not lead.
fn find(name: &str) -> PathBuf {
    SYSTEM.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file()).unwrap_or_else(|| name.into())
}

fn named(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn failed(name: &str, status: std::process::ExitStatus, stderr: &[u8]) -> Error {
    let said = String::from_utf8_lossy(stderr);
    let line = said.lines().find(|l| !l.trim().is_empty()).unwrap_or("it said nothing");
    Error::Wrong(format!("{name} failed ({status}): {line}"))
}

fn missing(name: &str, error: &std::io::Error) -> Error {
    Error::Wrong(format!("cannot run {name} ({error}); `cargo xtask setup` installs it"))
}

/// Runs a tool to its end. What it says is shown only if it fails.
pub fn run(command: Command) -> Result<()> {
    output(command).map(drop)
}

/// The same, with what it printed.
pub fn output(mut command: Command) -> Result<Vec<u8>> {
    let name = named(&command);
    let path = find(&name);
    let mut found = Command::new(path);
    found.args(command.get_args()).stdin(Stdio::null());
    for (key, value) in command.get_envs() {
        if let Some(value) = value {
            found.env(key, value);
        }
    }
    std::mem::swap(&mut command, &mut found);
    let output = command.output().map_err(|e| missing(&name, &e))?;
    if output.status.success() { Ok(output.stdout) } else { Err(failed(&name, output.status, &output.stderr)) }
}

/// `qemu-img convert` from an export to a file.
pub fn convert(uri: &str, to: &Path) -> Command {
    let mut command = Command::new("qemu-img");
    // -S 0: every block is written as it was read, zeros too.
    command.args(["convert", "-f", "raw", "-O", "raw", "-S", "0", uri]).arg(to);
    command
}

/// `nbdcopy` from a file to an export.
pub fn nbdcopy(from: &Path, uri: &str) -> Command {
    let mut command = Command::new("nbdcopy");
    command.arg("--flush").arg(from).arg(uri);
    command
}

/// `qemu-img compare` of a file with an export.
pub fn compare(file: &Path, uri: &str) -> Result<()> {
    let mut command = Command::new("qemu-img");
    command.args(["compare", "-f", "raw", "-F", "raw"]).arg(file).arg(uri);
    run(command)
}

/// Ends a tool that is still running when we give up.
struct Running {
    name: String,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs two tools at once, with a bar for each of what has passed its virtual function. The first is VF 0's.
pub fn both(card: &Card, tools: [(&'static str, Command, u64); 2]) -> Result<()> {
    let bars = MultiProgress::new();
    let style =
        ProgressStyle::with_template("    {msg:9} {bar:40} {bytes:>10} of {total_bytes:10} {binary_bytes_per_sec}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    let mut running: Vec<(Running, ProgressBar)> = Vec::new();
    for (label, mut command, bytes) in tools {
        let name = named(&command);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|e| missing(&name, &e))?;
        let bar = bars.add(ProgressBar::new(bytes)).with_style(style.clone()).with_message(label);
        running.push((Running { name, child }, bar));
    }
    let mut left = running.len();
    let mut ended = vec![false; left];
    while left > 0 {
        for (vf, (tool, bar)) in running.iter_mut().enumerate() {
            bar.set_position(moved(card, vf as u8));
            if ended[vf] {
                continue;
            }
            let status = tool.child.try_wait().map_err(|e| missing(&tool.name, &e))?;
            if let Some(status) = status {
                if !status.success() {
                    let mut said = Vec::new();
                    if let Some(mut stderr) = tool.child.stderr.take() {
                        let _ = std::io::Read::read_to_end(&mut stderr, &mut said);
                    }
                    return Err(failed(&tool.name, status, &said));
                }
                bar.finish();
                ended[vf] = true;
                left -= 1;
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Bytes that a storage VF has moved, to or from host memory, whichever is more: the other is queue entries.
fn moved(card: &Card, vf: u8) -> u64 {
    let Some(id) = FunctionId::vf(Kind::Storage, vf) else { return 0 };
    let stats = card.root().stats().function(id.number());
    stats.read_bytes.max(stats.write_bytes)
}
