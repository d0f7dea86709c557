//! Servers behind a card, and clients of the card: processes that end with their test.

use std::{
    io::{BufRead, BufReader},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use azote_nbd::{Client, Settings, Uri};

pub const AZOTE: &str = env!("CARGO_BIN_EXE_azote");
pub const SIZE: u64 = 4 << 20;
/// Longer than anything takes that is not stuck, however much else the machine does.
pub const LONG: Duration = Duration::from_secs(60);

/// A process that ends with the test.
pub struct Process(pub Child);

impl Process {
    pub fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub fn signal(&self, name: &str) -> bool {
        Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap().success()
    }

    pub fn interrupt(mut self) -> bool {
        self.signal("-INT") && self.0.wait().unwrap().success()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server behind the card, at a socket in `dir`.
pub fn backing(dir: &Path, name: &str, tool: &str, arguments: &[&str]) -> Process {
    let socket = dir.join(name);
    let _ = std::fs::remove_file(&socket);
    let mut command = Command::new(tool);
    let own: &[&str] = match tool {
        "nbdkit" => &["-f", "-U"],
        _ if arguments.iter().any(|a| a.starts_with("--format=")) => {
            &["--persistent", "--shared=4", "-x", "disk", "-k"]
        }
        _ => &["--persistent", "--shared=4", "--format=raw", "-x", "disk", "-k"],
    };
    command.current_dir(dir).args(own).arg(&socket).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    let child = command.spawn().expect("nbdkit and qemu-nbd are there: `cargo xtask setup` installs them");
    until(&format!("{command:?} listens"), || UnixStream::connect(&socket).is_ok());
    Process(child)
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + LONG;
    while !so() {
        assert!(Instant::now() < end, "not within {LONG:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn uri(dir: &Path, name: &str, export: &str) -> String {
    format!("nbd+unix:///{export}?socket={}", dir.join(name).display())
}

/// The card, exporting its VFs in turn; with the URIs of these.
pub fn card(dir: &Path, arguments: &[&str]) -> (Process, Vec<Uri>) {
    let mut command = Command::new(AZOTE);
    command.current_dir(dir).args(["--sim"]).args(arguments).args(["nbd", "--listen", "unix:card"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let volumes = arguments.iter().filter(|a| **a == "--volume").count();
    let mut line = || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        // Relative, as it was given.
        let printed = line.split_whitespace().nth(1).expect("a URI").replace("socket=card", "socket=./card");
        printed.replace("./card", dir.join("card").to_str().unwrap()).parse().unwrap()
    };
    let uris = (0..volumes).map(|_| line()).collect();
    child.stdout = Some(out.into_inner());
    (Process(child), uris)
}

pub fn client(uri: &Uri) -> Client {
    Client::open(uri, Settings { read_only: false, patience: LONG }).unwrap()
}

pub fn image(dir: &Path) -> PathBuf {
    let path = dir.join("image");
    std::fs::File::create(&path).unwrap().set_len(SIZE).unwrap();
    path
}
