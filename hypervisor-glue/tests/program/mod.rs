//! `azote-vmm` as a process, and guests of a few bytes.
#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests, each of which uses some")]

#[path = "../../../tests/lab/src/patience.rs"]
mod patience;

use std::{
    fs,
    io::{Read, Write},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use patience::Patience;

/// How a run ended.
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub bytes: Vec<u8>,
    pub stderr: String,
}

/// No guest here runs for longer: by far, on a machine that has a processor for it; where others want them, a second counts less. It
/// is there for what would never end.
const MOST: Duration = Duration::from_secs(200);

pub fn vmm(config: &serde_json::Value) -> Output {
    vmm_with(config, || {})
}

/// A guest that runs. Its outputs are pipes that nobody reads before its end, unless a test does.
pub struct Running {
    pub child: Child,
    // The program reads it when it starts.
    _machine: tempfile::NamedTempFile,
}

impl Running {
    /// Its exit status, and what it had to say on stderr.
    pub fn end(mut self) -> (ExitStatus, String) {
        let status = wait(&mut self.child);
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut text).unwrap();
        }
        (status, text)
    }

    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: a number and a signal; the child has not been waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a guest, as a command that may be changed before.
pub fn start(config: &serde_json::Value, change: impl FnOnce(&mut Command)) -> Running {
    let mut machine = tempfile::NamedTempFile::new().unwrap();
    machine.write_all(config.to_string().as_bytes()).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_azote-vmm"));
    command.arg(machine.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    change(&mut command);
    Running { child: command.spawn().unwrap(), _machine: machine }
}

/// Runs a guest, and something else meanwhile.
pub fn vmm_with(config: &serde_json::Value, meanwhile: impl FnOnce()) -> Output {
    let mut running = start(config, |_| {});
    let reader = |pipe: Option<Box<dyn Read + Send>>| {
        let mut pipe = pipe.unwrap();
        thread::spawn(move || {
            let mut all = Vec::new();
            let _ = pipe.read_to_end(&mut all);
            all
        })
    };
    let stdout = reader(running.child.stdout.take().map(|p| Box::new(p) as _));
    let stderr = reader(running.child.stderr.take().map(|p| Box::new(p) as _));
    meanwhile();
    let code = wait(&mut running.child).code();
    let bytes = stdout.join().unwrap();
    let stderr = String::from_utf8_lossy(&stderr.join().unwrap()).into_owned();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Output { code, stdout: text, bytes, stderr }
}

fn wait(child: &mut Child) -> ExitStatus {
    let mut patience = Patience::new(MOST);
    while patience.left().is_some() {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("the guest did not end: {}", patience.story());
}

/// Whether this machine has KVM; says so if not.
pub fn kvm() -> bool {
    match fs::OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Ok(_) => true,
        Err(e) => {
            eprintln!("skipped: /dev/kvm: {e}");
            false
        }
    }
}

/// A folder with a guest of this code in it, and its machine.
pub fn guest(code: &[u8], more: serde_json::Value) -> (tempfile::TempDir, serde_json::Value) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guest.elf");
    fs::write(&path, kernel(code)).unwrap();
    let mut config = serde_json::json!({ "kernel": path, "cpus": 1, "memory": { "size": 16 << 20 } });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    (dir, config)
}

/// `mov dx, port; mov al, value; out dx, al`
pub fn out(port: u16, value: u8) -> Vec<u8> {
    let [low, high] = port.to_le_bytes();
    vec![0x66, 0xba, low, high, 0xb0, value, 0xee]
}

pub fn say(text: &str) -> Vec<u8> {
    text.bytes().flat_map(|b| out(0x3f8, b)).collect()
}

/// A letter, so many times.
pub fn drone(count: u32) -> Vec<u8> {
    // mov ecx, count; mov dx, 3f8h; mov al, 'x'; out dx, al; loop.
    let [a, b, c, d] = count.to_le_bytes();
    vec![0xb9, a, b, c, d, 0x66, 0xba, 0xf8, 0x03, 0xb0, b'x', 0xee, 0xe2, 0xf7]
}

/// Reads a little now and then, on a thread of its own: enough to be no silence.
pub fn read_slowly(mut from: impl Read + Send + 'static, at_once: usize) {
    thread::spawn(move || {
        let mut bytes = vec![0; at_once];
        while from.read(&mut bytes).is_ok_and(|count| count != 0) {
            thread::sleep(Duration::from_secs(1));
        }
    });
}

/// Sleep type 5, sleep enable.
pub fn power_off() -> Vec<u8> {
    let mut code = out(0x600, 0x34);
    // If that was not enough: hlt, for ever.
    code.extend(HALT);
    code
}

/// `hlt`, for ever.
pub const HALT: [u8; 3] = [0xf4, 0xeb, 0xfd];
/// A jump to itself.
pub const SPIN: [u8; 2] = [0xeb, 0xfe];

/// The same piece of code for ever.
pub fn repeat(mut code: Vec<u8>) -> Vec<u8> {
    let back = -(code.len() as i32 + 5);
    code.push(0xe9);
    code.extend(back.to_le_bytes());
    code
}

pub fn wait_for(condition: impl Fn() -> bool) {
    let mut patience = Patience::new(MOST);
    while !condition() {
        assert!(patience.left().is_some(), "nothing happened: {}", patience.story());
        thread::sleep(Duration::from_millis(5));
    }
}

/// A vmlinux of this code, at 2 MiB, with a PVH entry.
pub fn kernel(code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x20_0000;
    // Header, two program headers, the note, then the code in a page of its own.
    let note_at = 64 + 2 * 56;
    let code_at = 0x1000u64;
    let mut elf = vec![0; code_at as usize];
    elf[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0");
    let mut put = |at: usize, bytes: &[u8]| elf[at..at + bytes.len()].copy_from_slice(bytes);
    put(20, &1u32.to_le_bytes());
    put(24, &BASE.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, 2, 0]);
    let size = code.len() as u64;
    let mut segment = |i: usize, kind: u32, offset: u64, address: u64, size: u64| {
        let at = 64 + 56 * i;
        put(at, &kind.to_le_bytes());
        for (k, value) in [offset, address, address, size, size].into_iter().enumerate() {
            put(at + 8 + 8 * k, &value.to_le_bytes());
        }
    };
    segment(0, 1, code_at, BASE, size);
    segment(1, 4, note_at as u64, 0, 20);
    // XEN_ELFNOTE_PHYS32_ENTRY.
    put(note_at, &[4, 0, 0, 0, 4, 0, 0, 0, 18, 0, 0, 0]);
    put(note_at + 12, b"Xen\0");
    put(note_at + 16, &(BASE as u32).to_le_bytes());
    elf.extend_from_slice(code);
    elf
}
