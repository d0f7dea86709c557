//! The program itself: one line on stderr, the right exit status, and nothing damaged.

#![allow(clippy::unwrap_used)] // test helpers fail by panicking

use std::process::{Command, Output};

fn azote(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_azote")).args(args).output().unwrap()
}

/// Fails with one line, which is returned.
fn fails(args: &[&str], status: i32) -> String {
    line(&azote(args), status)
}

fn line(out: &Output, status: i32) -> String {
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(status), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "one line: {text}");
    assert!(out.stdout.is_empty());
    text
}

#[test]
fn a_missing_image_is_named() {
    let text = fails(&["--sim", "--volume", "/no/such.img", "list"], 1);
    assert!(text.starts_with("azote: /no/such.img: "), "{text}");
}

#[test]
fn a_guests_path_that_is_no_text_is_named_with_its_option() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let mut command = Command::new(env!("CARGO_BIN_EXE_azote"));
    let out = command.args(["run", "--kernel"]).arg(OsStr::from_bytes(b"/tmp/\xff")).output().unwrap();
    let text = line(&out, 2);
    assert!(text.starts_with("azote: --kernel /tmp/") && text.contains("not UTF-8"), "{text}");
}

#[test]
fn images_that_can_not_be_used_are_left_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.img");
    std::fs::write(&path, vec![5; 1000]).unwrap();
    let file = path.to_str().unwrap();
    assert!(fails(&["--sim", "--volume", file, "list"], 1).contains("truncated"));
    std::fs::write(&path, vec![5; 1024]).unwrap();
    assert!(fails(&["--sim", "--volume", &format!("{file}:size=1M"), "list"], 1).contains("enlarge"));
    assert_eq!(std::fs::read(&path).unwrap(), vec![5; 1024]);
}

#[test]
fn more_volumes_than_vfs_are_a_usage_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.img");
    std::fs::write(&path, vec![5; 1024]).unwrap();
    let volume = format!("{}:ro", path.display());
    let text = fails(&["--sim", "--vfs", "1", "--volume", &volume, "--volume", &volume, "list"], 2);
    assert!(text.contains("--vfs 2"), "{text}");
}

#[test]
fn no_verilator_is_said_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_azote"))
        .args(["--sim", "list"])
        .env("PATH", dir.path())
        // Nor a card that was built before.
        .env("CARGO_TARGET_DIR", dir.path())
        .env_remove("AZOTE_VERILATED")
        .current_dir(dir.path())
        .output()
        .unwrap();
    let text = line(&out, 1);
    assert!(text.to_lowercase().contains("verilator"), "{text}");
}

#[test]
fn usage_errors_end_with_two() {
    for args in [&["frobnicate"][..], &["id", "vf99"], &["list", "--volume", "x"], &["nbd", "--listen", "8.8.8.8:1"]] {
        assert_eq!(azote(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn waves_and_logs_that_can_not_be_written_are_named_before_the_card_is_built() {
    for option in ["--trace", "--tlp-log"] {
        let text = fails(&["--sim", option, "/no/such/folder/file", "list"], 1);
        assert!(text.starts_with("azote: /no/such/folder/file: "), "{text}");
    }
}
