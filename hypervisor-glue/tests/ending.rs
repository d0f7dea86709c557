//! Everything that was begun can be ended: by a signal, by a command, by a fault of ours; whoever reads, blocks or is silent.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod program;

use std::{
    fs,
    os::unix::{
        net::{UnixListener, UnixStream},
        process::CommandExt,
    },
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use azote_hypervisor::api::{Request, request};
use program::{HALT, SPIN, guest, kvm, out, repeat, start, wait_for};
use serde_json::{Value, json};

const BYTES: u64 = 1000;

/// Something that floods the serial port.
fn flood() -> Vec<u8> {
    repeat(out(0x3f8, b'x').repeat(BYTES as usize))
}

fn ask(socket: &Path, what: Request) -> Value {
    request(socket, what).unwrap()
}

fn dropped(socket: &Path) -> u64 {
    ask(socket, Request::Counters)["dropped"]["serial"].as_u64().unwrap()
}

#[test]
fn a_flood_that_nobody_reads_is_dropped_and_counted_and_the_guest_can_be_paused_and_ended() {
    if !kvm() {
        return;
    }
    for by_signal in [true, false] {
        let (dir, mut config) = guest(&flood(), json!({}));
        let socket = dir.path().join("api");
        config["api_socket"] = json!(socket);
        let running = start(&config, |_| {});
        wait_for(|| socket.exists());
        wait_for(|| dropped(&socket) != 0);
        assert_eq!(ask(&socket, Request::Pause), json!({ "state": "paused", "stopped_cpus": 1 }));
        let before = dropped(&socket);
        assert_eq!(dropped(&socket), before, "it stands still");
        ask(&socket, Request::Resume);
        wait_for(|| dropped(&socket) > before);
        if by_signal {
            running.signal(libc::SIGTERM);
        } else {
            assert_eq!(ask(&socket, Request::Shutdown), json!({}));
        }
        let (status, said) = running.end();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.contains("serial port: ") && said.contains("bytes were dropped"), "{said}");
    }
}

/// A file may have so many bytes (`ulimit -f`).
fn with_small_files(most: u64) -> impl FnOnce(&mut Command) {
    move |command| {
        // SAFETY: a call that a child may make between fork and exec; the structure is valid, and only read.
        unsafe {
            command.pre_exec(move || {
                libc::setrlimit(libc::RLIMIT_FSIZE, &libc::rlimit { rlim_cur: most, rlim_max: most });
                Ok(())
            });
        }
    }
}

#[test]
fn output_beyond_the_largest_file_that_there_may_be_is_dropped_and_counted_and_the_guest_goes_on() {
    if !kvm() {
        return;
    }
    const MOST: u64 = 40 << 10;
    let code = [program::say("x").repeat(90 << 10), program::power_off()].concat();
    let (dir, mut config) = guest(&code, json!({}));
    let log = dir.path().join("log");
    config["serial"] = json!({ "file": log });
    let (status, said) = start(&config, with_small_files(MOST)).end();
    assert_eq!((status.code(), said.lines().count()), (Some(0), 1), "{status}: {said}");
    assert!(said.contains(&format!("{} bytes were dropped; File too large", (90 << 10) - MOST)), "{said}");
    assert_eq!(fs::metadata(&log).unwrap().len(), MOST);
}

/// What a sealed file of memory needs is refused like any other file.
#[test]
fn memory_beyond_the_largest_file_that_there_may_be_is_refused_with_a_line() {
    if !kvm() {
        return;
    }
    let (_dir, mut config) = guest(&HALT, json!({}));
    config["memory"]["shared"] = json!(true);
    let (status, said) = start(&config, with_small_files(40 << 10)).end();
    assert_eq!((status.code(), said.lines().count()), (Some(1), 1), "{status}: {said}");
    assert!(said.contains("guest memory of 16777216 bytes") && said.contains("ulimit -f"), "{said}");
}

#[test]
fn a_guests_own_end_waits_for_a_slow_reader_until_somebody_wants_it_now() {
    if !kvm() {
        return;
    }
    for by_signal in [true, false] {
        // More than a pipe holds.
        let (dir, mut config) = guest(&[program::drone(150_000), program::power_off()].concat(), json!({}));
        let socket = dir.path().join("api");
        config["api_socket"] = json!(socket);
        let mut running = start(&config, |_| {});
        program::read_slowly(running.child.stdout.take().unwrap(), 4096);
        wait_for(|| request(&socket, Request::State).is_ok_and(|answer| answer["state"] == "ending"));
        if by_signal {
            running.signal(libc::SIGTERM);
        } else {
            assert_eq!(ask(&socket, Request::Shutdown), json!({}));
        }
        // The reader would have got all of it.
        let (status, said) = running.end();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(said.contains("bytes were dropped; nobody read them in time"), "{said}");
    }
}

#[test]
fn every_signal_that_asks_for_an_end_is_one() {
    if !kvm() {
        return;
    }
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
        let (dir, mut config) = guest(&SPIN, json!({}));
        let socket = dir.path().join("api");
        config["api_socket"] = json!(socket);
        let running = start(&config, |_| {});
        wait_for(|| request(&socket, Request::State).is_ok());
        running.signal(signal);
        let (status, said) = running.end();
        assert_eq!((status.code(), said.as_str()), (Some(0), ""), "signal {signal}");
        wait_for(|| !socket.exists());
    }
}

#[test]
fn a_full_pipe_of_reports_keeps_nobody() {
    if !kvm() {
        return;
    }
    let (dir, mut config) = guest(&SPIN, json!({}));
    let socket = dir.path().join("api");
    config["api_socket"] = json!(socket);
    let running = start(&config, |_| {});
    wait_for(|| socket.exists());
    // More reports than the pipe and the buffer hold; each has a few hundred bytes.
    while ask(&socket, Request::Counters)["dropped"]["stderr"] == json!(0) {
        running.signal(libc::SIGUSR1);
    }
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
fn a_signal_ends_a_start_that_waits_for_a_silent_server() {
    let (dir, mut config) = guest(&HALT, json!({}));
    if !kvm() {
        return;
    }
    // It accepts nobody, and may take an hour for an answer.
    let (server, socket) = (dir.path().join("silent"), dir.path().join("api"));
    let listener = UnixListener::bind(&server).unwrap();
    config["user_devices"] = json!([{ "socket": server, "timeout": 3600 }]);
    config["api_socket"] = json!(socket);
    let running = start(&config, |_| {});
    let _connection = listener.accept().unwrap();
    running.signal(libc::SIGTERM);
    let (status, said) = running.end();
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
    wait_for(|| !socket.exists());
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    for what in ["kernel", "initramfs", "serial"] {
        let (dir, mut config) = guest(&HALT, json!({}));
        let fifo = dir.path().join("fifo");
        let name = std::ffi::CString::new(fifo.to_str().unwrap()).unwrap();
        // SAFETY: a C string; the call makes a file.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        config[what] = if what == "serial" { json!({ "file": fifo }) } else { json!(fifo) };
        if what == "serial" && !kvm() {
            continue;
        }
        let (status, said) = start(&config, |_| {}).end();
        assert_eq!(status.code(), Some(1), "{what}: {said}");
        assert!(said.contains("is a FIFO") && said.lines().count() == 1, "{what}: {said}");
    }
}

#[test]
fn an_output_is_never_an_input() {
    let (_dir, mut config) = guest(&HALT, json!({}));
    if !kvm() {
        return;
    }
    let kernel = config["kernel"].clone();
    let before = fs::read(kernel.as_str().unwrap()).unwrap();
    for output in ["serial", "api_socket"] {
        let mut config = config.clone();
        config[output] = if output == "serial" { json!({ "file": kernel }) } else { kernel.clone() };
        let (status, said) = start(&config, |_| {}).end();
        assert_eq!((status.code(), said.lines().count()), (Some(1), 1), "{said}");
        assert!(said.contains("guest.elf"), "{said}");
    }
    assert!(fs::read(kernel.as_str().unwrap()).unwrap() == before);
    config["api_socket"] = Value::Null;
}

/// Blocks every signal and ignores those that may be ignored, as a careless parent does.
fn deaf(command: &mut Command) {
    // SAFETY: calls that a child may make between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::sigprocmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
            for signal in [libc::SIGTERM, libc::SIGUSR1, libc::SIGCHLD] {
                libc::signal(signal, libc::SIG_IGN);
            }
            Ok(())
        });
    }
}

#[test]
fn a_parent_that_blocks_and_ignores_signals_changes_nothing() {
    if !kvm() {
        return;
    }
    let (dir, mut config) = guest(&SPIN, json!({ "cpus": 2 }));
    let socket = dir.path().join("api");
    config["api_socket"] = json!(socket);
    let running = start(&config, deaf);
    wait_for(|| socket.exists());
    assert_eq!(ask(&socket, Request::Pause)["stopped_cpus"], 2);
    ask(&socket, Request::Resume);
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
fn a_hangup_that_somebody_has_had_ignored_ends_nothing() {
    if !kvm() {
        return;
    }
    let (dir, mut config) = guest(&SPIN, json!({}));
    let socket = dir.path().join("api");
    config["api_socket"] = json!(socket);
    let running = start(&config, |command| {
        // SAFETY: as nohup does it.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGHUP, libc::SIG_IGN);
                Ok(())
            });
        }
    });
    wait_for(|| socket.exists());
    running.signal(libc::SIGHUP);
    assert_eq!(ask(&socket, Request::State)["state"], "running");
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
fn the_api_socket_is_gone_however_the_guest_has_ended() {
    if !kvm() {
        return;
    }
    for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGSEGV] {
        let (dir, mut config) = guest(&SPIN, json!({}));
        let socket = dir.path().join("api");
        config["api_socket"] = json!(socket);
        let running = start(&config, |_| {});
        wait_for(|| socket.exists());
        ask(&socket, Request::State);
        running.signal(signal);
        drop(running.end());
        wait_for(|| !socket.exists());
        // And nothing else has come to its folder.
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

fn limited(descriptors: u64) -> impl FnOnce(&mut Command) {
    move |command| {
        // SAFETY: a call that a child may make between fork and exec.
        unsafe {
            command.pre_exec(move || {
                let limit = libc::rlimit { rlim_cur: descriptors, rlim_max: descriptors };
                libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
                Ok(())
            });
        }
    }
}

#[test]
fn too_few_descriptors_are_said_before_the_guest_runs() {
    if !kvm() {
        return;
    }
    let (dir, mut config) = guest(&SPIN, json!({}));
    config["api_socket"] = json!(dir.path().join("api"));
    let (status, said) = start(&config, limited(16)).end();
    assert_eq!((status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("16 open files") && said.contains("ulimit -n"), "{said}");
}

#[test]
fn more_clients_than_there_are_descriptors_for_take_nothing_from_the_guest() {
    if !kvm() {
        return;
    }
    let (dir, mut config) = guest(&HALT, json!({}));
    let socket = dir.path().join("api");
    config["api_socket"] = json!(socket);
    // The least with which it starts.
    let mut running = None;
    for descriptors in 24..64 {
        let candidate = start(&config, limited(descriptors));
        wait_for(|| socket.exists() || candidate.child.id() == 0 || ended(candidate.child.id()));
        if !ended(candidate.child.id()) && request(&socket, Request::State).is_ok() {
            running = Some(candidate);
            break;
        }
        wait_for(|| !socket.exists());
    }
    let running = running.unwrap();
    let clients: Vec<_> = (0..60).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    drop(clients);
    wait_for(|| request(&socket, Request::State).is_ok());
    // Nobody connects: the hypervisor rests. What it works is counted by the kernel in ticks of 10 ms.
    let busy = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", running.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().map(str::to_owned).collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = busy();
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(busy() - before < 50, "it spins");
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().0.code(), Some(0));
}

fn ended(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat")).map_or(true, |s| s.contains(") Z "))
}

/// A vfio-user server of a function with one BAR, on whose registers an access is answered once `go` says so.
fn slow_device(listener: UnixListener, go: Arc<AtomicBool>) {
    use azote_vfio_user::wire::payload::{DeviceInfo, IrqInfo, RegionAccess, RegionInfo};
    use azote_vfio_user::wire::{Command, Connection, Header, REPLY, version_text};
    use zerocopy::{FromBytes, IntoBytes};
    std::thread::spawn(move || {
        let connection = Connection::new(listener.accept().unwrap().0).unwrap();
        while let Ok(m) = connection.receive(None) {
            let payload = match Command::new(m.header.command) {
                Some(Command::Version) => version_text(),
                Some(Command::DeviceGetInfo) => {
                    DeviceInfo { argsz: 16, flags: 3, regions: 9, irqs: 5 }.as_bytes().to_vec()
                }
                Some(Command::GetRegionInfo) => {
                    let index = RegionInfo::read_from_prefix(&m.payload).unwrap().0.index;
                    let size = if index == 0 || index == 7 { 4096 } else { 0 };
                    RegionInfo { argsz: 32, flags: 3, index, size, ..RegionInfo::default() }.as_bytes().to_vec()
                }
                Some(Command::GetIrqInfo) => {
                    let index = IrqInfo::read_from_prefix(&m.payload).unwrap().0.index;
                    IrqInfo { argsz: 16, flags: 1, index, count: 0 }.as_bytes().to_vec()
                }
                Some(Command::RegionRead) => {
                    let ask = RegionAccess::read_from_prefix(&m.payload).unwrap().0;
                    while ask.region == 0 && !go.load(Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    // Vendor and device; all else of its registers is zero.
                    let mut data = vec![0; ask.count as usize];
                    if ask.region == 7 && ask.offset == 0 {
                        data.iter_mut().zip(0x10f1_1af4u32.to_le_bytes()).for_each(|(slot, byte)| *slot = byte);
                    }
                    [ask.as_bytes(), &data].concat()
                }
                _ => Vec::new(),
            };
            if connection.send(Header { flags: REPLY, ..m.header }, &[&payload], &[]).is_err() {
                return;
            }
        }
    });
}

/// Switches the device's memory on, says that it begins, and reads a register for ever.
fn reader() -> Vec<u8> {
    // mov word [e0000004h], 2
    let mut code = vec![0x66, 0xc7, 0x05, 4, 0, 0, 0xe0, 2, 0];
    code.extend(program::say("begin\n"));
    // mov eax, [c0000000h]
    code.extend(repeat(vec![0xa1, 0, 0, 0, 0xc0]));
    code
}

#[test]
fn a_processor_that_waits_for_a_device_is_not_said_to_be_paused_and_does_not_keep_the_guest() {
    if !kvm() {
        return;
    }
    let (dir, mut config) = guest(&reader(), json!({ "cpus": 2 }));
    let (server, socket, log) = (dir.path().join("device"), dir.path().join("api"), dir.path().join("log"));
    let go = Arc::new(AtomicBool::new(false));
    slow_device(UnixListener::bind(&server).unwrap(), go.clone());
    config["user_devices"] = json!([{ "socket": server, "timeout": 3600 }]);
    config["api_socket"] = json!(socket);
    config["serial"] = json!({ "file": log });
    let running = start(&config, |_| {});
    wait_for(|| fs::read_to_string(&log).is_ok_and(|text| text.contains("begin")));
    let refused = ask(&socket, Request::Pause);
    let why = refused["error"].as_str().unwrap_or_default();
    assert!(why.contains("1 of 2 processors") && refused["state"] == "running", "{refused}");
    assert_eq!(ask(&socket, Request::State)["state"], "running");
    // The device answers again, and the same request succeeds.
    go.store(true, Ordering::SeqCst);
    assert_eq!(ask(&socket, Request::Pause)["stopped_cpus"], 2);
    ask(&socket, Request::Resume);
    go.store(false, Ordering::SeqCst);
    running.signal(libc::SIGTERM);
    let (status, said) = running.end();
    // If the processor was caught while it waits, the hypervisor has ended without it, and says so.
    let without = status.code() == Some(1) && said.contains("1 processors did not stop");
    assert!(without || status.code() == Some(0), "{status:?} {said}");
    wait_for(|| !socket.exists());
}

#[test]
fn a_guest_ends_with_whoever_gives_its_devices_back() {
    if !kvm() {
        return;
    }
    let (dir, mut config) = guest(&SPIN, json!({}));
    let (socket, machine) = (dir.path().join("api"), dir.path().join("machine"));
    config["api_socket"] = json!(socket);
    // A supervisor: writes itself into the machine, starts it, and is killed.
    let template = config.to_string();
    let script = r#"printf '%s' "${1%\}},\"supervisor\":$$}" >"$2"; "$3" "$2" & wait"#;
    let program = env!("CARGO_BIN_EXE_azote-vmm");
    let mut command = Command::new("bash");
    command.args(["-c", script, "supervisor", &template]).arg(&machine).arg(program);
    let mut supervisor = command.stdin(std::process::Stdio::null()).spawn().unwrap();
    wait_for(|| socket.exists() && request(&socket, Request::State).is_ok());
    let hypervisor = ask(&socket, Request::State)["process"].as_u64().unwrap() as u32;
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    wait_for(|| ended(hypervisor) && !socket.exists());
}

const FAULT: &str = "AZOTE_FAULT";

/// In a process of its own: something goes wrong in a thread of a device.
#[test]
fn child() {
    match std::env::var(FAULT).as_deref() {
        Ok("panic") => {
            std::panic::set_hook(Box::new(azote_hypervisor::panicked));
            let thread = std::thread::Builder::new().name("card".into()).spawn(|| panic!("a fault\nof two lines"));
            let _ = thread.unwrap().join();
            // As a main loop that has noticed nothing.
            loop {
                std::thread::park();
            }
        }
        Ok("parent") => {
            // SAFETY: valid sets; ignoring a signal runs no code of ours. The process ends here.
            unsafe {
                let (mut all, mut left) = (std::mem::zeroed(), std::mem::zeroed());
                libc::sigfillset(&mut all);
                libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
                libc::signal(libc::SIGCHLD, libc::SIG_IGN);
                azote_hypervisor::signals::as_a_parent().unwrap();
                libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut left);
                assert_eq!(libc::sigismember(&left, libc::SIGTERM), 0);
                let mut child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
                let status = azote_hypervisor::supervise(&mut child, || false).unwrap();
                libc::_exit(status.code().unwrap_or(1));
            }
        }
        Ok("vectors") => {
            let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
            // SAFETY: a valid structure, which is only read.
            unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
            let refused = azote_hypervisor::testing::with_vectors(1000).err().unwrap();
            eprintln!("{refused}");
            // SAFETY: ends this process, which could open nothing any more.
            unsafe { libc::_exit(9) };
        }
        _ => {}
    }
}

fn fault(what: &str) -> (Option<i32>, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(FAULT, what)
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn who_waits_for_a_hypervisor_learns_of_its_end_whatever_the_parent_has_set() {
    let (code, said) = fault("parent");
    assert_eq!(code, Some(7), "{said}");
}

#[test]
fn a_panic_in_any_thread_ends_the_process_with_a_line_and_a_status() {
    let (code, said) = fault("panic");
    assert_eq!(code, Some(azote_hypervisor::STATUS_INTERNAL.into()), "{said}");
    let line = said.lines().find(|l| l.starts_with("azote: internal error in thread card")).unwrap_or_default();
    assert!(line.contains("ending.rs") && line.contains("a fault of two lines"), "{said}");
}

#[test]
fn a_device_with_more_vectors_than_descriptors_is_refused_with_the_reason() {
    let (code, said) = fault("vectors");
    assert_eq!(code, Some(9), "{said}");
    assert!(said.contains("its 1000 vectors can not be prepared") && said.contains("ulimit -n"), "{said}");
}
