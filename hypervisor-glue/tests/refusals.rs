//! Wrong input: one clear line, a clean end.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod program;

use std::{fs, os::unix::net::UnixListener, path::Path};

use program::{kernel, vmm};
use serde_json::{Value, json};

/// What the program says to a configuration, changed from a good one.
fn refused(change: impl FnOnce(&Path, &mut Value)) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("guest.elf");
    fs::write(&path, kernel(&[0xf4, 0xeb, 0xfd])).unwrap();
    let mut config = json!({ "kernel": path, "cpus": 1, "memory": { "size": 16 << 20 } });
    change(dir.path(), &mut config);
    let output = vmm(&config);
    assert!(output.code == Some(1) || output.code == Some(2), "{:?}: {}", output.code, output.stderr);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    output.stderr
}

fn has(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "`{word}` is not in: {line}");
    }
}

#[test]
fn files_that_are_not_what_they_should_be() {
    has(&refused(|_, c| c["kernel"] = json!("/no/such/kernel")), &["/no/such/kernel", "No such file"]);
    has(&refused(|_, c| c["kernel"] = json!("/etc")), &["/etc"]);
    let text = refused(|dir, c| {
        fs::write(dir.join("text"), "not a kernel").unwrap();
        c["kernel"] = json!(dir.join("text"));
    });
    has(&text, &["is no kernel"]);
    let cut = refused(|dir, c| {
        let whole = kernel(&[0x90; 5000]);
        fs::write(dir.join("cut"), &whole[..whole.len() - 1000]).unwrap();
        c["kernel"] = json!(dir.join("cut"));
    });
    has(&cut, &["truncated"]);
    let bz = refused(|dir, c| {
        let mut image = vec![0; 0x400];
        image[0x202..0x206].copy_from_slice(b"HdrS");
        fs::write(dir.join("bz"), image).unwrap();
        c["kernel"] = json!(dir.join("bz"));
    });
    has(&bz, &["boot protocol 2.12"]);
    let astray = refused(|dir, c| {
        let mut whole = kernel(&[0x90; 100]);
        let note = whole.windows(4).position(|w| w == b"Xen\0").unwrap();
        whole[note + 4..note + 8].copy_from_slice(&0x1000_0000u32.to_le_bytes());
        fs::write(dir.join("astray"), whole).unwrap();
        c["kernel"] = json!(dir.join("astray"));
    });
    has(&astray, &["PVH entry at 0x10000000"]);
    has(&refused(|_, c| c["initramfs"] = json!("/no/such/initramfs")), &["/no/such/initramfs"]);
    let empty = refused(|dir, c| {
        fs::write(dir.join("empty"), "").unwrap();
        c["initramfs"] = json!(dir.join("empty"));
    });
    has(&empty, &["is empty"]);
}

#[test]
fn too_little_memory_says_how_much_is_needed() {
    let large = refused(|dir, c| {
        fs::write(dir.join("large"), vec![0; 15 << 20]).unwrap();
        c["initramfs"] = json!(dir.join("large"));
    });
    has(&large, &["initramfs", "needs", "--memory size="]);
    has(&refused(|_, c| c["memory"]["size"] = json!(1 << 20)), &["kernel", "needs", "--memory size="]);
    has(&refused(|_, c| c["memory"]["size"] = json!(4096)), &["1 MiB"]);
    has(&refused(|_, c| c["memory"]["size"] = json!(1000)), &["whole pages"]);
    has(&refused(|_, c| c["cpus"] = json!(0)), &["--cpus"]);
    let huge = |c: &mut Value| c["memory"] = json!({ "size": 512u64 << 30, "hugepages": true });
    has(&refused(|_, c| huge(c)), &["guest memory"]);
    has(&refused(|_, c| c["surprise"] = json!(1)), &["surprise"]);
}

#[test]
fn a_command_line_that_the_kernel_would_cut_off_is_refused_with_the_numbers() {
    // What azote puts first counts, and without it every byte is the user's.
    has(&refused(|_, c| c["cmdline"] = json!("x".repeat(2047))), &["guest.elf", "takes 2047", "--bare-cmdline"]);
    let bare = |count: usize| {
        move |_: &Path, c: &mut Value| {
            c["bare_cmdline"] = json!(true);
            c["cmdline"] = json!("x".repeat(count));
        }
    };
    has(&refused(bare(2048)), &["has 2048 bytes"]);
    has(&refused(bare(70_000)), &["has 70000 bytes"]);
    has(&refused(|_, c| c["cmdline"] = json!("a\0b")), &["zero byte"]);
}

#[test]
fn devices_that_can_not_be_given() {
    has(&refused(|_, c| c["devices"] = json!(["/sys/bus/pci/devices/ffff:ff:1f.7"])), &["ffff:ff:1f.7", "no such PCI"]);
    let gone = refused(|dir, c| c["user_devices"] = json!([{ "socket": dir.join("none") }]));
    has(&gone, &["none", "azote serve"]);
    let silent = refused(|dir, c| {
        // Nobody accepts; the connection stands and nothing ever comes.
        std::mem::forget(UnixListener::bind(dir.join("silent")).unwrap());
        c["user_devices"] = json!([{ "socket": dir.join("silent"), "timeout": 1 }]);
    });
    has(&silent, &["silent", "no answer within 1 s"]);
    let closing = refused(|dir, c| {
        let listener = UnixListener::bind(dir.join("closing")).unwrap();
        std::thread::spawn(move || drop(listener.accept()));
        c["user_devices"] = json!([{ "socket": dir.join("closing") }]);
    });
    has(&closing, &["closing", "closed"]);
    let card = refused(|_, c| c["card"] = json!({ "vfs": 1, "library": "/no/such/card.so" }));
    has(&card, &["/no/such/card.so"]);
    let volume = refused(|_, c| c["card"] = json!({ "vfs": 1, "volumes": [{ "path": "/no/such/volume" }] }));
    has(&volume, &["/no/such/volume"]);
    let many = refused(|_, c| c["card"] = json!({ "vfs": 1, "volumes": [{ "path": "/a" }, { "path": "/b" }] }));
    has(&many, &["2 volumes for 1 VFs"]);
}

/// What the program does with these arguments.
fn asked(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_azote-vmm")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn it_says_what_it_is_and_what_it_takes() {
    for option in ["--version", "-V"] {
        let (code, said, none) = asked(&[option]);
        assert_eq!((code, none.as_str(), said.lines().count()), (Some(0), "", 1), "{said}");
        has(&said, &["azote-vmm ", env!("CARGO_PKG_VERSION"), "commit"]);
    }
    for option in ["--help", "-h"] {
        let (code, said, none) = asked(&[option]);
        assert_eq!((code, none.as_str(), said.lines().count()), (Some(0), "", 1), "{said}");
        has(&said, &["usage: azote-vmm FILE", "azote run"]);
    }
    for (arguments, why) in
        [(&[][..], "one argument"), (&["a", "b"], "one argument"), (&["--explode"], "no option --explode")]
    {
        let (code, none, said) = asked(arguments);
        assert_eq!((code, none.as_str(), said.lines().count()), (Some(2), "", 1), "{said}");
        has(&said, &[why, "usage: azote-vmm FILE"]);
    }
}
