//! Files that a user did not mean are not written, what is in use is refused, and what was begun is ended: the program
//! itself, with the card in software.

#![allow(clippy::unwrap_used, clippy::expect_used)] // tests fail by panicking

use std::{
    os::unix::{fs::MetadataExt, net::UnixListener, process::ExitStatusExt},
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const SIZE: usize = 1 << 20;
/// Long enough for any machine: what takes longer hangs.
const HANGS: Duration = Duration::from_secs(100);

fn azote(dir: &Path, args: &[&str]) -> Command {
    let mut c = Command::new(env!("CARGO_BIN_EXE_azote"));
    c.current_dir(dir).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    c
}

/// With a card in software.
fn sim(dir: &Path, args: &[&str]) -> Command {
    let mut c = azote(dir, &["--sim", "--soft"]);
    c.args(args);
    c
}

/// What a process says and how it ends, if it does.
fn ends(mut child: Child) -> Output {
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > HANGS {
            let _ = child.kill();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

fn works(dir: &Path, args: &[&str]) {
    let out = ends(sim(dir, args).spawn().unwrap());
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Fails with a line, which is returned.
fn fails(command: &mut Command) -> String {
    let out = ends(command.spawn().unwrap());
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(matches!(out.status.code(), Some(1 | 2)), "{command:?}: {:?} {text}", out.status);
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

fn disk(seed: u8) -> Vec<u8> {
    (0..SIZE).map(|i| (i / 512 * 7 + i) as u8 ^ seed).collect()
}

/// A folder with the image `a`.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), disk(1)).unwrap();
    dir
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_copy_touches_nothing_but_its_destination() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("d.part"), disk(2)).unwrap();
    // The source has the name that a copy once used for itself.
    works(dir.path(), &["--volume", "d.part", "copy", "vf0", "d"]);
    assert!(std::fs::read(at("d")).unwrap() == disk(2) && std::fs::read(at("d.part")).unwrap() == disk(2));
    // And so does a file that has nothing to do with it.
    works(dir.path(), &["--volume", "a", "copy", "vf0", "d"]);
    assert!(std::fs::read(at("d")).unwrap() == disk(1) && std::fs::read(at("d.part")).unwrap() == disk(2));
    assert_eq!(names(dir.path()), ["a", "d", "d.part"]);
}

#[test]
fn two_copies_to_one_name_end_in_one_of_them() {
    let dir = folder();
    std::fs::write(dir.path().join("b"), disk(2)).unwrap();
    let copies: Vec<_> = ["a", "b", "a", "b"]
        .map(|image| sim(dir.path(), &["--volume", &format!("{image}:ro"), "copy", "vf0", "d"]).spawn().unwrap())
        .into_iter()
        .map(ends)
        .collect();
    assert!(copies.iter().all(|out| out.status.success()));
    let copied = std::fs::read(dir.path().join("d")).unwrap();
    assert!(copied == disk(1) || copied == disk(2));
    assert_eq!(names(dir.path()), ["a", "b", "d"]);
}

#[test]
fn no_output_replaces_an_image_that_is_bound() {
    let dir = folder();
    std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
    std::fs::hard_link(dir.path().join("a"), dir.path().join("hard")).unwrap();
    for volume in ["a", "a:ro"] {
        for output in ["a", "./a", "link", "hard"] {
            for args in [&["copy", "vf0", output][..], &["read", "vf0", "-o", output], &["--tlp-log", output, "list"]] {
                let text = fails(&mut sim(dir.path(), &[&["--volume", volume], args].concat()));
                assert!(text.contains("is also read or written as a"), "{args:?}: {text}");
            }
            // Waves are of the RTL alone; it is refused before anything is compiled.
            let mut traced = azote(dir.path(), &["--sim", "--volume", volume, "--trace", output, "list"]);
            let text = fails(traced.env("PATH", ""));
            assert!(text.contains("is also read or written as a"), "{text}");
        }
    }
    let text = fails(azote(dir.path(), &["model", "--verilog", "a", "-o", "a"]).env("PATH", ""));
    assert!(text.contains("is also read or written as a"), "{text}");
    assert!(std::fs::read(dir.path().join("a")).unwrap() == disk(1));
    assert_eq!(names(dir.path()), ["a", "hard", "link"]);
}

#[test]
fn what_is_no_file_is_refused_at_once_wherever_it_is_named() {
    let dir = folder();
    fifo(&dir.path().join("fifo"));
    let _socket = UnixListener::bind(dir.path().join("socket")).unwrap();
    for (name, kind) in [("fifo", "FIFO"), ("socket", "socket"), (".", "directory")] {
        for args in [
            &["--volume", name, "list"][..],
            &["--volume", &format!("{name}:ro"), "list"],
            &["--volume", "a", "copy", name, "vf0"],
            &["--volume", "a", "copy", "vf0", name],
            &["--volume", "a", "write", "vf0", name],
            &["--volume", "a", "read", "vf0", "-o", name],
            &["--volume", "a", "--tlp-log", name, "list"],
        ] {
            let text = fails(&mut sim(dir.path(), args));
            assert!(text.contains(&format!("is a {kind}")), "{args:?}: {text}");
        }
        let text = fails(azote(dir.path(), &["model", "-o", name]).env("PATH", ""));
        assert!(text.contains(&format!("is a {kind}")), "model: {text}");
        for args in [&["--verilog", name][..], &["--model", name], &["--trace", name]] {
            let text = fails(azote(dir.path(), &[&["--sim"], args, &["list"]].concat()).env("PATH", ""));
            assert!(text.contains(&format!("is a {kind}")), "{args:?}: {text}");
        }
    }
    assert!(fails(&mut azote(dir.path(), &["model", "--show", "fifo"])).contains("is a FIFO"));
    assert!(fails(&mut sim(dir.path(), &["--volume", "a", "nbd", "--listen", "unix:a"])).contains("a file is there"));
    assert_eq!(names(dir.path()), ["a", "fifo", "socket"]);
}

#[test]
fn standard_output_is_written_and_never_replaced() {
    let dir = folder();
    std::os::unix::fs::symlink("/proc/self/fd/1", dir.path().join("out")).unwrap();
    let to_a_file = |args: &[&str]| {
        use std::io::Write;
        let mut file = std::fs::File::create(dir.path().join("file")).unwrap();
        file.write_all(b"before").unwrap();
        let mut command = sim(dir.path(), &[&["--volume", "a"], args].concat());
        command.stdout(file);
        let out = ends(command.spawn().unwrap());
        (out.status.code(), std::fs::read(dir.path().join("file")).unwrap())
    };
    for name in ["out", "/dev/stdout"] {
        let (status, bytes) = to_a_file(&["read", "vf0", "--blocks", "1", "-o", name]);
        assert_eq!((status, &bytes[..518]), (Some(0), &[b"before", &disk(1)[..512]].concat()[..]), "{name}");
        // A copy is not written from its beginning to its end.
        assert_eq!(to_a_file(&["copy", "-q", "vf0", name]), (Some(1), b"before".into()), "{name}");
        let traced = ends(azote(dir.path(), &["--sim", "--trace", name, "list"]).env("PATH", "").spawn().unwrap());
        assert!(String::from_utf8_lossy(&traced.stderr).contains("link to a descriptor"), "{name}");
    }
    for link in [&dir.path().join("out"), Path::new("/dev/stdout")] {
        assert!(std::fs::symlink_metadata(link).unwrap().is_symlink());
    }
    let out = ends(sim(dir.path(), &["--volume", "a", "read", "vf0", "--blocks", "1", "-o", "out"]).spawn().unwrap());
    assert!(out.status.success() && out.stdout.starts_with(&disk(1)[..512]), "a pipe");
}

#[test]
fn an_image_that_a_server_has_is_no_output_of_another_process() {
    let dir = folder();
    std::fs::write(dir.path().join("b"), disk(2)).unwrap();
    let server = sim(dir.path(), &["--volume", "a", "serve", "--socket-dir", "s"]).spawn().unwrap();
    let start = Instant::now();
    while !dir.path().join("s/vf0.sock").exists() {
        assert!(start.elapsed() < HANGS, "it does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    let inode = || std::fs::metadata(dir.path().join("a")).unwrap().ino();
    let was = inode();
    let texts = [
        fails(&mut azote(dir.path(), &["copy", "-q", "vfio-user:s/vf0.sock", "a"])),
        fails(&mut sim(dir.path(), &["--volume", "b", "read", "vf0", "-o", "a"])),
    ];
    for text in texts {
        assert!(text.contains(&format!("in use by process {} (azote)", server.id())), "{text}");
    }
    assert_eq!(inode(), was);
    signal(&server, "-TERM");
    assert!(ends(server).status.success());
}

#[test]
fn manual_pages_follow_no_link() {
    let dir = folder();
    std::fs::create_dir(dir.path().join("man")).unwrap();
    std::os::unix::fs::symlink("../a", dir.path().join("man/azote.1")).unwrap();
    assert!(ends(azote(dir.path(), &["man", "man"]).spawn().unwrap()).status.success());
    assert!(std::fs::read(dir.path().join("a")).unwrap() == disk(1));
    assert!(std::fs::symlink_metadata(dir.path().join("man/azote.1")).unwrap().is_file());
}

#[test]
fn one_image_has_one_writer() {
    let dir = folder();
    let text = fails(&mut sim(dir.path(), &["--volume", "a", "--volume", "a", "list"]));
    assert!(text.contains("in use by this command itself"), "{text}");
    assert!(fails(&mut sim(dir.path(), &["--volume", "a:ro", "--volume", "a", "list"])).contains("in use"));
    works(dir.path(), &["--volume", "a:ro", "--volume", "a:ro", "list"]);
    let mut server = Command::new("qemu-nbd");
    server.current_dir(dir.path()).args(["--persistent", "--format=raw", "--bind=127.0.0.1", "--port=0", "a"]);
    // A port of its own is not to be had; a socket is.
    server.args([&format!("--socket={}", dir.path().join("s").display())]);
    let server = server.stdin(Stdio::null()).spawn();
    let Ok(mut server) = server else {
        eprintln!("skipped: qemu-nbd is not installed");
        return;
    };
    while !dir.path().join("s").exists() && server.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let texts = ["a", "a:ro"].map(|volume| fails(&mut sim(dir.path(), &["--volume", volume, "list"])));
    let pid = server.id();
    server.kill().unwrap();
    server.wait().unwrap();
    for text in texts {
        assert!(text.contains(&format!("process {pid} (qemu-nbd)")), "{text}");
    }
}

#[test]
fn copies_are_sparse_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let size = 32 << 20;
    let blank = |name: &str| std::fs::File::create(at(name)).unwrap().set_len(size).unwrap();
    blank("source");
    let mut bytes = vec![0; size as usize];
    for (start, len) in [(0, 512), (5 << 20, 200_000), (31 << 20, 1 << 20)] {
        bytes[start..start + len].copy_from_slice(&disk(3)[..len]);
        std::os::unix::fs::FileExt::write_all_at(
            &std::fs::OpenOptions::new().write(true).open(at("source")).unwrap(),
            &disk(3)[..len],
            start as u64,
        )
        .unwrap();
    }
    // Every block of it is there before.
    std::fs::write(at("volume"), vec![0xff; size as usize]).unwrap();
    works(dir.path(), &["--volume", "volume", "copy", "-q", "source", "vf0"]);
    works(dir.path(), &["--volume", "volume:ro", "copy", "-q", "vf0", "out"]);
    for name in ["volume", "out"] {
        assert!(std::fs::read(at(name)).unwrap() == bytes, "{name}");
        let held = std::fs::metadata(at(name)).unwrap().blocks() * 512;
        assert!(held < size / 4, "{name} holds {held} bytes");
    }
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing_half() {
    let dir = folder();
    let log = ["--volume", "a", "--tlp-log", "/dev/full", "read", "vf0", "--blocks", "999", "-o", "/dev/null"];
    let text = fails(&mut sim(dir.path(), &log));
    assert!(text.contains("TLP log") && text.contains("No space"), "{text}");
    let text = fails(&mut sim(dir.path(), &["--volume", "a", "read", "vf0", "-o", "/dev/full"]));
    assert!(text.contains("No space"), "{text}");
    // A limit for files is like a full disk, and needs no other rights. Memory for DMA stays below it.
    std::fs::File::create(dir.path().join("big")).unwrap().set_len(32 << 20).unwrap();
    for args in [&["copy", "-q", "vf0", "d"][..], &["read", "vf0", "--blocks", "40000", "-o", "d"]] {
        let program = env!("CARGO_BIN_EXE_azote");
        let mut limited = Command::new("sh");
        limited.current_dir(dir.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let script = "ulimit -f 20480; exec \"$@\"";
        limited.args(["-c", script, "sh", program, "--sim", "--soft", "--volume", "big"]);
        let text = fails(limited.args(args));
        assert!(text.contains("File too large"), "{text}");
    }
    assert_eq!(names(dir.path()), ["a", "big"]);
    works(dir.path(), &["--volume", "a", "--tlp-log", "/dev/null", "read", "vf0", "-o", "/dev/null"]);
}

/// A copy that takes a while, with a log, in a folder of its own; told to end by a signal when it is under way.
fn interrupted(name: &str) -> (tempfile::TempDir, Output) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::File::create(dir.path().join("big")).unwrap().set_len(64 << 30).unwrap();
    let child = sim(dir.path(), &["--volume", "big:ro", "--tlp-log", "log", "copy", "-q", "vf0", "d"]).spawn().unwrap();
    let start = Instant::now();
    // The log, and the copy.
    while names(dir.path()).iter().filter(|n| n.ends_with(".part")).count() < 2 {
        assert!(start.elapsed() < HANGS, "it does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, name);
    (dir, ends(child))
}

#[test]
fn what_is_interrupted_leaves_whole_files_or_none() {
    for (name, number) in [("-INT", 2), ("-TERM", 15), ("-HUP", 1), ("-QUIT", 3)] {
        let (dir, out) = interrupted(name);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(128 + number), "{text}");
        assert!(text.contains("ended by SIG") && text.lines().count() == 1, "{text}");
        assert_eq!(names(dir.path()), ["big", "log"]);
        let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
        assert!(log.lines().count() > 10 && log.ends_with('\n'), "the log is whole");
    }
}

#[test]
fn who_waits_for_a_silent_server_is_ended_by_a_signal() {
    let dir = folder();
    let _silent = UnixListener::bind(dir.path().join("silent")).unwrap();
    for args in [
        &["id", "vfio-user:silent"][..],
        &["copy", "vfio-user:silent", "d"],
        &["nbd", "--listen", "unix:s", "vfio-user:silent"],
    ] {
        let mut child = azote(dir.path(), args).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        assert!(child.try_wait().unwrap().is_none(), "it waits");
        signal(&child, "-TERM");
        let out = ends(child);
        assert!(out.status.signal() == Some(15) || out.status.code() == Some(143), "{args:?}: {:?}", out.status);
        assert_eq!(names(dir.path()), ["a", "silent"], "{args:?}");
    }
}

#[test]
fn a_compiler_that_runs_is_ended_with_us_and_leaves_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder();
    let (tools, kept) = (dir.path().join("tools"), dir.path().join("kept"));
    std::fs::create_dir(&tools).unwrap();
    std::fs::create_dir(&kept).unwrap();
    // It answers what it is asked before it is needed, and then takes for ever.
    let script = "#!/bin/sh\ncase \"$1\" in --version) echo tool 1;; --getenv) echo /;; *) echo $$ > \"$0.pid\"; exec sleep 1000;; esac\n";
    for tool in ["verilator", "g++"] {
        std::fs::write(tools.join(tool), script).unwrap();
        std::fs::set_permissions(tools.join(tool), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = azote(dir.path(), &["--sim", "list"]);
    let path = format!("{}:/usr/bin:/bin", tools.display());
    let child = command.env("PATH", path).env("AZOTE_VERILATED", &kept).spawn().unwrap();
    let start = Instant::now();
    // Whichever comes first.
    let running = || {
        let said = ["verilator.pid", "g++.pid"].map(|pid| std::fs::read_to_string(tools.join(pid)).ok());
        said.into_iter().flatten().find_map(|text| text.trim().parse::<u32>().ok())
    };
    let compiler = loop {
        match running() {
            Some(pid) => break pid,
            None => assert!(start.elapsed() < HANGS, "it does not begin"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(!names(&kept).is_empty(), "a lock and a work folder");
    signal(&child, "-TERM");
    let out = ends(child);
    assert!(out.status.signal() == Some(15) || out.status.code() == Some(143), "{:?}", out.status);
    assert_eq!(names(&kept), [""; 0]);
    // Ended, whether or not somebody has asked how.
    let ended = || std::fs::read_to_string(format!("/proc/{compiler}/stat")).map_or(true, |stat| stat.contains(") Z "));
    while !ended() {
        assert!(start.elapsed() < HANGS, "the compiler runs on");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_second_signal_ends_it_at_once_and_signals_that_a_parent_blocked_are_heard() {
    let dir = folder();
    let _silent = UnixListener::bind(dir.path().join("silent")).unwrap();
    // A shell cannot block a signal; ignoring one is not blocking. So this program's own mask is what is inherited.
    use nix::sys::signal::{SigSet, Signal};
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGTERM);
    mask.thread_block().unwrap();
    let child = azote(dir.path(), &["id", "vfio-user:silent"]).spawn().unwrap();
    mask.thread_unblock().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "-TERM");
    // Heard; from now on a clock runs that would have it die of this first one.
    let threads = format!("/proc/{}/task", child.id());
    let heard = || {
        let threads = std::fs::read_dir(&threads).into_iter().flatten().flatten();
        threads
            .map(|t| std::fs::read_to_string(t.path().join("comm")))
            .any(|name| name.is_ok_and(|n| n == "patience\n"))
    };
    let start = Instant::now();
    while !heard() {
        assert!(start.elapsed() < HANGS, "the first signal is not heard");
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&child, "-HUP");
    let out = ends(child);
    assert_eq!(out.status.signal(), Some(1), "of the second, and not of the clock: {:?}", out.status);
}

/// The bits of the signals that a process ignores.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap()
}

const HUP_INT_QUIT: u64 = 0b111;

#[test]
fn signals_that_a_parent_ignores_stay_ignored() {
    let dir = folder();
    let mut nohup = Command::new("sh");
    nohup.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let program = env!("CARGO_BIN_EXE_azote");
    nohup.args(["-c", "trap '' HUP INT QUIT; exec \"$@\"", "sh", program, "--sim", "--soft", "--volume", "a"]);
    let mut server = nohup.args(["nbd", "--listen", "unix:s"]).spawn().unwrap();
    let mut line = String::new();
    let mut said = std::io::BufReader::new(server.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    assert!(line.contains("nbd+unix"), "{line}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    assert_eq!(ignored(&status) & HUP_INT_QUIT, HUP_INT_QUIT);
    for name in ["-HUP", "-INT", "-QUIT"] {
        signal(&server, name);
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(server.try_wait().unwrap().is_none(), "it serves on");
    signal(&server, "-TERM");
    assert!(ends(server).status.success());
    assert_eq!(names(dir.path()), ["a"]);
}

#[test]
fn a_guests_hypervisor_finds_signals_as_they_were() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder();
    let (azote, vmm) = (dir.path().join("azote"), dir.path().join("azote-vmm"));
    // Its own program in the hypervisor's place, which says what it is started with.
    std::fs::copy(env!("CARGO_BIN_EXE_azote"), &azote).unwrap();
    std::fs::write(&vmm, "#!/bin/sh\ncat /proc/$$/status\n").unwrap();
    std::fs::set_permissions(&vmm, std::fs::Permissions::from_mode(0o755)).unwrap();
    for (trap, expected) in [("trap '' HUP INT QUIT; ", HUP_INT_QUIT), ("", 0)] {
        let mut run = Command::new("sh");
        run.args(["-c", &format!("{trap}exec \"$@\""), "sh"]).arg(&azote).args(["run", "--kernel", "a"]);
        let out = run.current_dir(dir.path()).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        assert_eq!(ignored(&text) & HUP_INT_QUIT, expected, "{trap}");
    }
}

#[test]
fn a_signal_leaves_a_slow_disk_the_time_to_make_volumes_durable() {
    let dir = folder();
    let size = 64 << 30;
    for name in ["big", "source"] {
        std::fs::File::create(dir.path().join(name)).unwrap().set_len(size).unwrap();
    }
    let may = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        eprintln!("skipped: strace is not installed, or nothing may be traced here");
        return;
    }
    let source = std::fs::OpenOptions::new().write(true).open(dir.path().join("source")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&source, &disk(3), 0).unwrap();
    // A disk that takes longer than a command may take to unwind.
    let mut traced = Command::new("strace");
    traced.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    traced.args(["-D", "-f", "-qq", "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_enter=6s", "-o", "calls"]);
    traced.args([env!("CARGO_BIN_EXE_azote"), "--sim", "--soft", "--volume", "big", "copy", "-q", "source", "vf0"]);
    let child = traced.spawn().unwrap();
    let start = Instant::now();
    // Something is written, and the long rest of zeroes is under way.
    while std::fs::metadata(dir.path().join("big")).unwrap().blocks() == 0 {
        assert!(start.elapsed() < HANGS, "it does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    signal(&child, "-TERM");
    let out = ends(child);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(128 + 15), "{:?} {text}", out.status);
    let calls = std::fs::read_to_string(dir.path().join("calls")).unwrap();
    assert!(calls.lines().any(|line| line.contains("fdatasync") && line.contains("= 0")), "{calls}");
}
