//! The host machine of a case: Linux in an emulated computer with an IOMMU and nested virtualization.

mod console;
mod end;
mod monitor;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub use console::Line;
pub use monitor::Monitor;

use crate::patience::Patience;
use crate::pieces::Pieces;
use crate::{Error, Result, command, folder};
use console::Console;
use end::End;

/// How long a hypervisor may take to end when it has said all that it says.
const END: Duration = Duration::from_secs(60);

/// A machine to be started.
pub struct Machine<'a> {
    pieces: &'a Pieces,
    name: String,
    initramfs: PathBuf,
    memory: u32,
    append: String,
    arguments: Vec<String>,
    timeout: Duration,
    private: bool,
    on_step: Option<&'a mut dyn FnMut(&str)>,
}

/// How a run went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The steps that the machine went through.
    pub steps: Vec<String>,
    /// What it measured.
    pub values: Vec<(String, f64)>,
    /// What it computed of its files.
    pub digest: Option<String>,
    /// Why it was not run at all.
    pub skipped: Option<String>,
}

impl Outcome {
    /// A measured value.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(n, _)| n == name).map(|(_, v)| *v)
    }
}

impl<'a> Machine<'a> {
    /// A machine of 1 GiB that runs an initramfs. Its memory is a shared file, as devices in other processes need.
    pub fn new(pieces: &'a Pieces, name: &str, initramfs: PathBuf) -> Self {
        Machine {
            pieces,
            name: name.to_owned(),
            initramfs,
            memory: 1024,
            append: String::new(),
            arguments: Vec::new(),
            timeout: Duration::from_secs(120),
            private: false,
            on_step: None,
        }
    }

    /// Tells of each step as it happens.
    pub fn on_step(mut self, tell: &'a mut dyn FnMut(&str)) -> Self {
        self.on_step = Some(tell);
        self
    }

    /// Its memory is its own: other processes reach it by messages only.
    pub fn private(mut self) -> Self {
        self.private = true;
        self
    }

    /// Memory in MiB.
    pub fn memory(mut self, mib: u32) -> Self {
        self.memory = mib;
        self
    }

    /// The longest that it may take on a machine that does nothing else; under load, longer ([`Patience`]).
    pub fn timeout(mut self, seconds: u64) -> Self {
        self.timeout = Duration::from_secs(seconds);
        self
    }

    /// More words for its kernel.
    pub fn append(mut self, words: &str) -> Self {
        self.append.push(' ');
        self.append.push_str(words);
        self
    }

    /// More of QEMU's arguments.
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&a| a.to_owned()));
        self
    }

    /// An IOMMU that protects and remaps, behind which VFIO is safe.
    pub fn with_iommu(self) -> Self {
        self.append("intel_iommu=on").with(&["-device", "intel-iommu,intremap=on,caching-mode=on"])
    }

    /// A root port, a slot of its own.
    pub fn with_port(self, id: &str, slot: u32) -> Self {
        self.with(&["-device", &format!("pcie-root-port,id={id},slot={slot},chassis={}", slot + 1)])
    }

    /// A read-only disk (`/dev/vd…`).
    pub fn with_disk(self, image: &Path) -> Self {
        let id = format!("disk{}", self.arguments.len());
        self.with(&[
            "-drive",
            &format!("file={},if=none,id={id},format=raw,readonly=on", image.display()),
            "-device",
            &format!("virtio-blk-pci,drive={id}"),
        ])
    }

    /// Runs it to its end. `answer` is called for what the machine asks of the host; what it returns is typed into the
    /// console.
    pub fn run(mut self, answer: &mut dyn FnMut(&str, &mut Monitor) -> Result<String>) -> Result<Outcome> {
        let logs = self.pieces.root.join("logs");
        folder::make(&logs)?;
        let log = logs.join(format!("{}.log", self.name));
        let socket = self.pieces.root.join(format!("{}-{}.qmp", self.name, std::process::id()));
        let failed = |reason: String| Error::Failed { reason, log: log.clone() };

        let mut qemu = self.pieces.qemu()?;
        let memory = self.memory;
        qemu.args(["-accel", "tcg", "-cpu", "EPYC,+svm", "-smp", "2", "-m", &memory.to_string()]);
        if self.private {
            qemu.args(["-machine", "q35,kernel-irqchip=split"]);
        } else {
            qemu.args(["-object", &format!("memory-backend-memfd,id=memory,size={memory}M,share=on")]);
            qemu.args(["-machine", "q35,kernel-irqchip=split,memory-backend=memory"]);
        }
        qemu.args(["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"]);
        // What becomes of a processor that ends without a word of its kernel's.
        let resets = logs.join(format!("{}.resets", self.name));
        qemu.args(["-d", "cpu_reset", "-D"]).arg(&resets);
        qemu.arg("-qmp").arg(format!("unix:{},server=on,wait=off", socket.display()));
        qemu.arg("-kernel").arg(&self.pieces.kernel.image).arg("-initrd").arg(&self.initramfs);
        qemu.args(["-append", &format!("console=ttyS0 panic=-1 quiet{}", self.append)]).args(&self.arguments);
        qemu.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let text = command::line(&qemu);
        let mut child = command::start(&mut qemu)?;
        let mut console = Console::of(&mut child, &log, &text)?;
        let mut monitor = Monitor::new(socket);

        let mut patience = Patience::new(self.timeout);
        let mut outcome = Outcome::default();
        let verdict = loop {
            let Some(line) = console.next(&mut patience)? else {
                let last = outcome.steps.last().map_or("its start", String::as_str);
                if patience.left().is_none() {
                    let story = patience.story();
                    let reason = format!("the machine took too long ({story}) after: {last}{}", console.hint());
                    break Err(Error::Late { reason, log: log.clone() });
                }
                let end = End::of(&mut child, &resets);
                let reason = format!("the machine ended by itself ({end}) after: {last}{}", console.hint());
                break Err(if end.is_the_emulators() {
                    Error::Gone { reason, log: log.clone() }
                } else {
                    failed(reason)
                });
            };
            match line {
                Line::Step(step) => {
                    if let Some(tell) = &mut self.on_step {
                        tell(&step);
                    }
                    outcome.steps.push(step);
                }
                Line::Digest(digest) => outcome.digest = Some(digest),
                Line::Value(name, value) => outcome.values.push((name, value)),
                Line::Ask(what) => match answer(&what, &mut monitor) {
                    Ok(reply) => console.reply(&reply),
                    Err(error) => break Err(error),
                },
                Line::Fail(reason) => break Err(failed(reason)),
                Line::Done => break Ok(()),
                Line::Guest | Line::Other => {}
            }
        };
        // It may still be at work; nothing that it does matters now.
        drop(child);
        console.close();
        verdict.map(|()| outcome)
    }
}

/// For machines that ask nothing.
pub fn silent(what: &str, _: &mut Monitor) -> Result<String> {
    Err(Error::Piece(format!("the machine asks for `{what}`, which this case does not know")))
}

/// Runs a hypervisor on this machine until its guest is done; every line of its console goes to `tell`.
pub fn follow(mut command: Command, log: &Path, limit: Duration, tell: &mut dyn FnMut(Line)) -> Result<()> {
    let text = command::line(&command);
    let failed = |reason: String| Error::Failed { reason, log: log.to_owned() };
    let mut child = command::start(&mut command)?;
    let mut console = Console::of(&mut child, log, &text)?;
    let mut done = false;
    let mut patience = Patience::new(limit);
    let verdict = loop {
        match console.next(&mut patience)? {
            Some(Line::Fail(reason)) => break Err(failed(reason)),
            Some(Line::Guest) => done = true,
            Some(line) => tell(line),
            None if done => break Ok(()),
            None => break Err(failed(format!("the guest did not come to its end{}", console.hint()))),
        }
    };
    if verdict.is_err() {
        let _ = child.kill();
    }
    // Its outputs are at their end, and so, in a moment, is it.
    let ended = child.wait_for(END).map_err(|e| failed(e.to_string()))?;
    drop(child);
    console.close();
    verdict?;
    let status = ended.ok_or_else(|| failed(format!("the guest is done, but `{text}` did not end within {END:?}")))?;
    if status.success() { Ok(()) } else { Err(failed(format!("the guest is done, but `{text}` ended with {status}"))) }
}
