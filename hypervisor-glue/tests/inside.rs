//! What a running hypervisor is, seen from outside: whose, with which rights, and what it lets others see.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod program;

use std::{fs, os::unix::process::CommandExt, path::PathBuf};

use azote_hypervisor::api::{Request, request};
use program::{Running, SPIN, guest, kvm, start, wait_for};
use serde_json::{Value, json};

/// A guest that runs, and its folder in /proc.
fn running(more: Value) -> Option<(tempfile::TempDir, Running, PathBuf)> {
    if !kvm() {
        return None;
    }
    let (dir, mut config) = guest(&SPIN, more);
    let socket = dir.path().join("api");
    config["api_socket"] = json!(socket);
    let running = start(&config, |command| {
        // A descriptor that the parent has forgotten to close: its end of a pipe, above those that are handed over.
        // SAFETY: a call that a child may make between fork and exec.
        unsafe {
            command.pre_exec(|| {
                assert_eq!(libc::dup2(2, 77), 77);
                Ok(())
            });
        }
    });
    wait_for(|| socket.exists());
    assert_eq!(request(&socket, Request::State).unwrap()["state"], "running");
    let proc = PathBuf::from(format!("/proc/{}", running.child.id()));
    Some((dir, running, proc))
}

/// A line of a thread's status.
fn status(task: &std::path::Path, name: &str) -> String {
    let text = fs::read_to_string(task.join("status")).unwrap();
    text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().trim().to_owned()
}

fn tasks(proc: &std::path::Path) -> Vec<PathBuf> {
    fs::read_dir(proc.join("task")).unwrap().map(|t| t.unwrap().path()).collect()
}

fn is_root() -> bool {
    // SAFETY: asks for a number.
    let root = unsafe { libc::geteuid() == 0 };
    if !root {
        eprintln!("skipped: only root gives up being root");
    }
    root
}

#[test]
fn no_thread_has_a_right_that_it_does_not_need() {
    let Some((_dir, _running, proc)) = running(json!({ "cpus": 2, "card": { "vfs": 1 } })) else { return };
    let all = tasks(&proc);
    assert!(all.len() >= 4, "processors, serial port, card, main loop");
    for task in all {
        assert_eq!(status(&task, "CapEff"), "0000000000000000", "{}", status(&task, "Name"));
        assert_eq!(status(&task, "CapPrm"), "0000000000000000");
        assert_eq!(status(&task, "Seccomp"), "2");
    }
    assert_eq!(status(&proc, "NoNewPrivs"), "1");
}

#[test]
fn one_that_root_has_started_is_nobody_in_an_empty_folder_of_its_own() {
    if !is_root() {
        return;
    }
    let Some((_dir, _first, proc)) = running(json!({ "card": { "vfs": 1 } })) else { return };
    let Some((_other_dir, _second, other)) = running(json!({})) else { return };
    let mut users = Vec::new();
    for task in tasks(&proc) {
        let user = status(&task, "Uid");
        assert!(user.split_whitespace().all(|id| id.parse::<u32>().unwrap() >= 2_000_000_000), "{user}");
        assert_eq!(status(&task, "Gid"), user);
        assert_eq!(status(&task, "Groups"), "");
        users.push(user);
    }
    assert!(!users.contains(&status(&other, "Uid")), "two guests have two users");
    for space in ["net", "ipc", "uts", "mnt", "cgroup"] {
        let link = |of: &std::path::Path| fs::read_link(of.join("ns").join(space)).unwrap();
        assert_ne!(link(&proc), link("/proc/self".as_ref()), "{space}");
        assert_ne!(link(&proc), link(&other), "{space}");
    }
    assert_eq!(fs::read_dir(proc.join("root")).unwrap().count(), 0);
}

#[test]
fn nothing_of_its_parents_is_open_and_its_memory_and_arguments_say_nothing() {
    let secret = "password=swordfish";
    let Some((_dir, _running, proc)) = running(json!({ "cmdline": secret })) else { return };
    assert!(!proc.join("fd/77").exists() && proc.join("fd/0").exists());
    let arguments = fs::read_to_string(proc.join("cmdline")).unwrap();
    assert!(arguments.contains("azote-vmm") && !arguments.contains("swordfish"), "{arguments}");
    // Not dumpable: what /proc shows of it is root's, whoever it runs as.
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(proc.join("environ")).unwrap().uid(), 0);
    assert_eq!(status(&proc, "CoreDumping"), "0");
}
