//! A machine on its way to `azote-vmm`, and the hypervisor's process for whoever has started it.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd},
        unix::fs::OpenOptionsExt,
    },
    path::Path,
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use crate::{Config, Error, Result, log};

/// More than any machine needs as JSON.
const CONFIG_MAX: u64 = 1 << 20;
/// How often a child is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long a hypervisor that was told to end may take: longer than it gives its processors, and its output.
const PATIENCE: Duration = Duration::from_secs(30);

/// A machine in a file without a name. Arguments of a process can be read by everybody; a command line of a guest may hold
/// what is not for everybody.
#[derive(Debug)]
pub struct Handover(File);

impl Handover {
    /// Puts a machine into one, which a process that is executed from here has open.
    pub fn new(config: &Config) -> Result<Self> {
        if let Some((option, path)) = config.paths().find(|(_, path)| path.to_str().is_none()) {
            return Err(Error::NotText { option, path: path.to_owned() });
        }
        Self::of(config).map_err(Error::io("handing the machine over to azote-vmm"))
    }

    fn of(config: &Config) -> io::Result<Self> {
        // SAFETY: the name is a C string; the call touches nothing else of ours.
        let fd = unsafe { libc::memfd_create(c"machine".as_ptr(), 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new descriptor that nobody else has.
        let mut file = unsafe { File::from_raw_fd(fd) };
        file.write_all(&serde_json::to_vec(config)?)?;
        Ok(Self(file))
    }

    /// What that process opens.
    #[must_use]
    pub fn path(&self) -> OsString {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

impl Config {
    /// Reads a machine as JSON. What is no file (a FIFO that nobody writes) is not waited for.
    pub fn read(path: &Path) -> io::Result<Self> {
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "is no regular file"));
        }
        let mut text = Vec::new();
        file.take(CONFIG_MAX).read_to_end(&mut text)?;
        serde_json::from_slice(&text)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("is no machine: {e}")))
    }
}

/// Waits for a hypervisor's end. Once `stopped`, it is told to end; one that does not is killed, so that whoever waits gets its
/// devices back in any case.
pub fn supervise(child: &mut Child, stopped: impl Fn() -> bool) -> io::Result<ExitStatus> {
    supervise_for(child, stopped, PATIENCE)
}

fn supervise_for(child: &mut Child, stopped: impl Fn() -> bool, patience: Duration) -> io::Result<ExitStatus> {
    let mut told: Option<Instant> = None;
    let mut killed = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        match told {
            None if stopped() => {
                // The terminal has told it, too, if there is one; a second time does no harm.
                // SAFETY: a number and a signal. The child has not been waited for: the number is still its own.
                unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) };
                told = Some(Instant::now());
            }
            Some(since) if !killed && since.elapsed() > patience => {
                log::line(format_args!("the hypervisor did not end within {} s, and is killed", patience.as_secs()));
                child.kill()?;
                killed = true;
            }
            _ => {}
        }
        thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        os::unix::{fs::FileExt, process::ExitStatusExt},
        process::{Command, Stdio},
    };

    fn shell(script: &str) -> Child {
        let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        // It has set its traps when it says so.
        child.stdout.as_mut().unwrap().read_exact(&mut [0; 3]).unwrap();
        child
    }

    #[test]
    fn a_child_is_told_once_and_one_that_does_not_listen_is_killed() {
        // Counts what it is told; ends when nothing more has come for a while.
        let mut counts =
            shell("n=0; trap 'n=$((n+1))' TERM; echo go; for i in 1 2 3 4 5 6; do sleep 0.1; done; exit $n");
        assert_eq!(supervise_for(&mut counts, || true, PATIENCE).unwrap().code(), Some(1));
        let mut deaf = shell("trap '' TERM; echo go; exec sleep 1000");
        let status = supervise_for(&mut deaf, || true, Duration::from_millis(10)).unwrap();
        assert_eq!(status.signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn a_path_that_is_no_text_is_refused_by_its_option() {
        use crate::config::{Card, Serial, UserDevice, Volume};
        use std::{os::unix::ffi::OsStringExt, path::PathBuf};
        let bad = || PathBuf::from(OsString::from_vec(b"/tmp/\xff".to_vec()));
        let plain = Config::default;
        let card = |volumes, library| Some(Card { volumes, library, ..Card::default() });
        let machines = [
            ("--kernel ", Config { kernel: bad(), ..plain() }),
            ("--initramfs ", Config { initramfs: Some(bad()), ..plain() }),
            ("--device path=", Config { devices: vec![PathBuf::new(), bad()], ..plain() }),
            (
                "--user-device socket=",
                Config { user_devices: vec![UserDevice { socket: bad(), timeout: 1 }], ..plain() },
            ),
            ("--card volume=", Config { card: card(vec![Volume { path: bad(), read_only: true }], None), ..plain() }),
            ("--card model=", Config { card: card(Vec::new(), Some(bad())), ..plain() }),
            ("--serial file=", Config { serial: Serial::File(bad()), ..plain() }),
            ("--api-socket ", Config { api_socket: Some(bad()), ..plain() }),
        ];
        for (option, config) in machines {
            let said = Handover::new(&config).unwrap_err().to_string();
            assert!(said.starts_with(option) && said.contains("/tmp/") && said.contains("not UTF-8"), "{said}");
        }
    }

    #[test]
    fn a_machine_comes_through_whole_and_without_a_name() {
        let config = Config { cmdline: "secret=1".into(), cpus: 3, ..Config::default() };
        let handover = Handover::new(&config).unwrap();
        assert_eq!(Config::read(Path::new(&handover.path())).unwrap(), config);
        handover.0.write_all_at(b"no", 0).unwrap();
        assert!(Config::read(Path::new(&handover.path())).unwrap_err().to_string().contains("no machine"));
        assert!(Config::read(Path::new("/")).unwrap_err().to_string().contains("no regular file"));
    }
}
