//! `azote-vmm` as a process, and guests of a few bytes.
#![allow(dead_code, clippy::unwrap_used, reason = "helpers of tests, each of which uses some")]

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How a run ended.
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub bytes: Vec<u8>,
    pub stderr: String,
    pub time: Duration,
}

/// No guest here runs for longer.
const MOST: Duration = Duration::from_secs(60);

pub fn vmm(config: &serde_json::Value) -> Output {
    vmm_with(config, || {})
}

/// Runs a guest, and something else meanwhile.
pub fn vmm_with(config: &serde_json::Value, meanwhile: impl FnOnce()) -> Output {
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_azote-vmm"))
        .arg(config.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let reader = |pipe: Option<Box<dyn Read + Send>>| {
        let mut pipe = pipe.unwrap();
        thread::spawn(move || {
            let mut all = Vec::new();
            let _ = pipe.read_to_end(&mut all);
            all
        })
    };
    let stdout = reader(child.stdout.take().map(|p| Box::new(p) as _));
    let stderr = reader(child.stderr.take().map(|p| Box::new(p) as _));
    meanwhile();
    let code = wait(&mut child, start + MOST);
    let bytes = stdout.join().unwrap();
    let stderr = String::from_utf8_lossy(&stderr.join().unwrap()).into_owned();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Output { code, stdout: text, bytes, stderr, time: start.elapsed() }
}

fn wait(child: &mut Child, until: Instant) -> Option<i32> {
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("the guest did not end in {MOST:?}");
}

pub fn wait_for(condition: impl Fn() -> bool) {
    let until = Instant::now() + MOST;
    while !condition() {
        assert!(Instant::now() < until, "nothing happened in {MOST:?}");
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
