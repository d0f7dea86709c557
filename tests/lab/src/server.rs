//! `azote serve` on this machine: the simulated card, at full speed, for machines that are emulated.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::{Error, Result, command, folder, programs};

/// A running server; ended, and its sockets removed, when dropped.
pub struct Server {
    child: Child,
    folder: PathBuf,
    log: PathBuf,
    text: String,
}

/// Building the model the first time takes minutes.
const PATIENCE: Duration = Duration::from_secs(900);

impl Server {
    /// Serves a card with these volumes, one for each VF.
    pub fn start(root: &Path, name: &str, volumes: &[PathBuf]) -> Result<Server> {
        let folder = root.join(format!("{name}-{}.sockets", std::process::id()));
        folder::make(&folder)?;
        let log = root.join("logs").join(format!("{name}-server.log"));
        folder::make(&root.join("logs"))?;
        let file = std::fs::File::create(&log).map_err(Error::io("create", &log))?;
        let mut azote = Command::new(programs::azote()?);
        azote.arg("--sim");
        for volume in volumes {
            azote.arg("--volume").arg(volume);
        }
        azote.args(["serve", "--socket-dir"]).arg(&folder);
        azote.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
        let text = command::line(&azote);
        let failed = |reason: String| Error::Command { command: text.clone(), reason };
        let child = azote.spawn().map_err(|e| failed(e.to_string()))?;
        let mut server = Server { child, folder, log, text: text.clone() };
        let deadline = Instant::now() + PATIENCE;
        while (0..volumes.len()).any(|i| !server.socket(i).exists()) {
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

    /// The socket of a VF.
    pub fn socket(&self, vf: usize) -> PathBuf {
        self.folder.join(format!("vf{vf}.sock"))
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

    /// Ends it as Ctrl-C does, and gives what it reports.
    pub fn stop(mut self) -> Result<String> {
        let failed = |reason: String| Error::Command { command: self.text.clone(), reason };
        command::output(Command::new("kill").arg("-INT").arg(self.child.id().to_string()))?;
        let mut report = String::new();
        if let Some(output) = self.child.stdout.take() {
            BufReader::new(output).lines().map_while(|l| l.ok()).for_each(|line| report += &(line + "\n"));
        }
        let status = self.child.wait().map_err(|e| failed(e.to_string()))?;
        if status.success() {
            return Ok(report);
        }
        let mut said = String::new();
        if let Ok(mut file) = std::fs::File::open(&self.log) {
            let _ = file.read_to_string(&mut said);
        }
        Err(failed(format!("{status}; {}", said.lines().last().unwrap_or("it said nothing"))))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
