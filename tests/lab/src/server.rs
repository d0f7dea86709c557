//! `azote serve` on this machine: the simulated card, at full speed, for machines that are emulated.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::command::Running;
use crate::{Error, Result, command, folder, programs};

/// A running server; ended, and its sockets removed, when dropped.
pub struct Server {
    child: Running,
    folder: PathBuf,
    log: PathBuf,
    text: String,
    /// What its functions are called.
    kind: &'static str,
}

/// Building the model the first time takes minutes.
const PATIENCE: Duration = Duration::from_secs(900);
/// Its end writes back what guests have written.
const END: Duration = Duration::from_secs(120);

impl Server {
    /// Serves a card with these volumes, one for each VF.
    pub fn start(root: &Path, name: &str, volumes: &[PathBuf]) -> Result<Server> {
        let volumes: Vec<&OsStr> = volumes.iter().flat_map(|path| ["--volume".as_ref(), path.as_os_str()]).collect();
        Self::with(root, name, &volumes, &[], ("vf", volumes.len() / 2))
    }

    /// Serves so many net VFs, whose card's port is at [`Server::wire`].
    pub fn network(root: &Path, name: &str, vfs: usize) -> Result<Server> {
        let wire = root.join(format!("{name}-{}.wire", std::process::id()));
        let eth = format!("socket:{}", wire.display());
        let functions: Vec<String> = (0..vfs).map(|i| format!("net-vf{i}")).collect();
        let functions: Vec<&OsStr> = functions.iter().map(AsRef::as_ref).collect();
        Self::with(root, name, &["--eth".as_ref(), eth.as_ref()], &functions, ("net-vf", vfs))
    }

    /// `card` is what stands before the command, `functions` behind it; of `kind` there are so many to wait for.
    fn with(
        root: &Path,
        name: &str,
        card: &[&OsStr],
        functions: &[&OsStr],
        kind: (&'static str, usize),
    ) -> Result<Server> {
        let folder = root.join(format!("{name}-{}.sockets", std::process::id()));
        folder::make(&folder)?;
        let log = root.join("logs").join(format!("{name}-server.log"));
        folder::make(&root.join("logs"))?;
        let file = std::fs::File::create(&log).map_err(Error::io("create", &log))?;
        // As Ctrl-C: it takes its sockets along.
        let mut azote = command::tied(programs::azote()?, "INT")?;
        azote.arg("--sim").args(card).arg("serve").args(functions).arg("--socket-dir").arg(&folder);
        azote.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
        let text = command::line(&azote);
        let failed = |reason: String| Error::Command { command: text.clone(), reason };
        let child = command::start(&mut azote)?;
        let (kind, count) = kind;
        let mut server = Server { child, folder, log, text: text.clone(), kind };
        let deadline = Instant::now() + PATIENCE;
        while (0..count).any(|i| !server.socket(i).exists()) {
            let ended = server.child.try_wait().map_err(|e| failed(e.to_string()))?;
            if let Some(status) = ended {
                return Err(failed(format!("{status}; see {}", server.log.display())));
            }
            if Instant::now() > deadline {
                return Err(failed(format!("no sockets in {PATIENCE:?}; see {}", server.log.display())));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }

    /// Where the card's port can be reached, if it serves net VFs.
    pub fn wire(&self) -> PathBuf {
        self.folder.with_extension("wire")
    }

    /// The socket of a VF.
    pub fn socket(&self, vf: usize) -> PathBuf {
        self.folder.join(format!("{}{vf}.sock", self.kind))
    }

    /// QEMU's arguments for a VF, in a slot of its own.
    pub fn device(&self, vf: usize, bus: &str) -> String {
        let path = self.socket(vf);
        // A slow model must not count as dead.
        format!(
            r#"{{"driver":"vfio-user-pci","id":"vf{vf}","bus":"{bus}","x-msg-timeout":60000,"socket":{{"type":"unix","path":"{}"}}}}"#,
            path.display()
        )
    }

    /// Ends it as Ctrl-C does, and gives what it reports. One that does not end is killed, which is an error.
    pub fn stop(self) -> Result<String> {
        self.stop_within(END)
    }

    fn stop_within(mut self, most: Duration) -> Result<String> {
        let failed = |reason: String| Error::Command { command: self.text.clone(), reason };
        let output = self.child.stdout.take();
        // On a thread: a report that nobody reads would keep it.
        let report = std::thread::spawn(move || {
            let mut report = Vec::new();
            // What can be read of it is the report.
            let _ = output.map(|mut output| output.read_to_end(&mut report));
            String::from_utf8_lossy(&report).into_owned()
        });
        command::output(Command::new("kill").arg("-INT").arg(self.child.id().to_string()))?;
        match self.child.wait_for(most).map_err(|e| failed(e.to_string()))? {
            Some(status) if status.success() => report.join().map_err(|_| failed("its report was lost".into())),
            Some(status) => Err(failed(format!("{status}; {}", self.last_words()))),
            None => Err(failed(format!("did not end within {most:?} of SIGINT; {}", self.last_words()))),
        }
    }

    fn last_words(&self) -> String {
        let mut said = String::new();
        if let Ok(mut file) = std::fs::File::open(&self.log) {
            let _ = file.read_to_string(&mut said);
        }
        said.lines().last().unwrap_or("it said nothing").to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Before its folder goes.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // tests fail by panicking
mod tests {
    use super::*;

    /// A server that is a script; it makes `up` in its folder when it has set its traps.
    fn server(script: &str) -> Server {
        let folder = tempfile::tempdir().unwrap().keep();
        let mut shell = Command::new("sh");
        shell.current_dir(&folder).args(["-c", script]).stdout(Stdio::piped());
        let child = command::start(&mut shell).unwrap();
        let server = Server { child, log: folder.join("log"), folder, text: "azote serve".into(), kind: "vf" };
        while !server.folder.join("up").exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    #[test]
    fn a_server_reports_at_its_end() {
        let script = "trap 'echo 7 commands; exit 0' INT; : > up; while :; do sleep 0.01; done";
        assert_eq!(server(script).stop().unwrap(), "7 commands\n");
    }

    #[test]
    fn a_server_that_does_not_end_is_killed_and_its_last_words_are_said() {
        let server = server("trap '' INT; echo stuck > log; : > up; exec sleep 1000");
        let (number, folder) = (server.child.id(), server.folder.clone());
        let said = server.stop_within(Duration::from_millis(100)).unwrap_err().to_string();
        assert!(said.contains("did not end within 100ms") && said.contains("stuck"), "{said}");
        assert!(!Path::new(&format!("/proc/{number}")).exists() && !folder.exists());
    }
}
