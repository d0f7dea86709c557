//! Tiny guests of 32-bit code without paging, run by the program itself: they need a /dev/kvm of any kind, also one that can not
//! run Linux.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod program;

use std::{fs, path::Path};

use program::{HALT, Output, guest, kernel, kvm, out, power_off, say, vmm, vmm_with};
use serde_json::{Value, json};

fn run(code: &[u8], more: Value) -> Output {
    let (_dir, config) = guest(code, more);
    vmm(&config)
}

#[test]
fn a_guest_speaks_and_switches_itself_off() {
    if !kvm() {
        return;
    }
    let output = run(&[say("hello\n"), power_off()].concat(), json!({ "counters": "json" }));
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "hello\n"), "{}", output.stderr);
    let counters: Value = serde_json::from_str(&output.stderr).unwrap();
    assert_eq!(counters["exits"]["io_out"], 7);
    assert_eq!(counters["regions"]["serial"]["writes"], 6);
    assert_eq!(counters["regions"]["power"]["writes"], 1);
}

#[test]
fn every_way_to_reset_ends_the_guest_with_status_0() {
    if !kvm() {
        return;
    }
    let ways = [
        ("ACPI's register", out(0x602, 0x5a)),
        ("the keyboard controller, reboot=k", out(0x64, 0xfe)),
        ("the chipset's register, reboot=p", [out(0xcf9, 2), out(0xcf9, 6)].concat()),
    ];
    for (way, code) in ways {
        let output = run(&[code, HALT.to_vec()].concat(), json!({}));
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{way}");
    }
    // reboot=t: lidt of nothing, then an exception. It may be a crash as well, and so it is said.
    let output = run(&[0x0f, 0x01, 0x1d, 0, 0, 0x20, 0, 0x0f, 0x0b], json!({}));
    assert_eq!((output.code, output.stderr.lines().count()), (Some(0), 1), "{}", output.stderr);
    assert!(output.stderr.contains("triple fault"), "{}", output.stderr);
}

#[test]
fn the_keyboard_controller_is_ready_to_be_told() {
    if !kvm() {
        return;
    }
    // As Linux does before it resets by it: wait until its input buffer (bit 1) is empty.
    let wait = vec![0xe4, 0x64, 0xa8, 0x02, 0x75, 0xfa];
    let output = run(&[wait, out(0x64, 0xd1), out(0x64, 0xfe), HALT.to_vec()].concat(), json!({}));
    assert_eq!(output.code, Some(0), "{}", output.stderr);
}

#[test]
fn a_guest_that_does_what_no_machine_can_is_a_crash_with_a_line() {
    if !kvm() {
        return;
    }
    // A jump to where there is no memory: KVM can not fetch an instruction.
    let output = run(&[0xb8, 0, 0, 0, 0xd0, 0xff, 0xe0], json!({}));
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    assert!(output.stderr.starts_with("azote: the guest has crashed: ") && output.stderr.lines().count() == 1);
}

/// As the page of the hypervisor says: KVM's 8259 is there, though nothing is connected to it.
#[test]
fn the_8259s_mask_reads_back() {
    if !kvm() {
        return;
    }
    // out 21h, a5h; in al, 21h; out 3f8h, al.
    let ask = vec![0xb0, 0xa5, 0xe6, 0x21, 0xb0, 0, 0xe4, 0x21, 0x66, 0xba, 0xf8, 0x03, 0xee];
    let output = run(&[ask, power_off()].concat(), json!({}));
    assert_eq!((output.code, &output.bytes[..]), (Some(0), &[0xa5][..]), "{}", output.stderr);
}

#[test]
fn a_guest_with_kvms_clock_is_told_that_it_has_stood_still() {
    use azote_hypervisor::api::{Request, request};
    if !kvm() {
        return;
    }
    const CLOCK: u32 = 0x30_0000;
    // wrmsr MSR_KVM_SYSTEM_TIME_NEW: the page, enabled. Then wait for PVCLOCK_GUEST_STOPPED, bit 1 of byte 29.
    let mut code = vec![0xb9, 0x01, 0x4d, 0x56, 0x4b, 0xb8];
    code.extend((CLOCK | 1).to_le_bytes());
    code.extend([0x31, 0xd2, 0x0f, 0x30]);
    code.extend(say("on\n"));
    code.extend([0xf6, 0x05]);
    code.extend((CLOCK + 29).to_le_bytes());
    code.extend([0x02, 0x74, 0xf7]);
    code.extend(say("stopped\n"));
    code.extend(power_off());
    let (dir, mut config) = guest(&code, json!({}));
    let socket = dir.path().join("api");
    config["api_socket"] = json!(socket);
    let log = dir.path().join("log");
    config["serial"] = json!({ "file": log });
    let output = vmm_with(&config, || {
        program::wait_for(|| fs::read_to_string(&log).is_ok_and(|text| text.contains("on\n")));
        assert_eq!(request(&socket, Request::Pause).unwrap()["state"], "paused");
        assert_eq!(request(&socket, Request::Resume).unwrap()["state"], "running");
    });
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(fs::read_to_string(log).unwrap(), "on\nstopped\n");
}

#[test]
fn a_guest_sees_its_processor_count_in_the_tables() {
    if !kvm() {
        return;
    }
    // The RSDP's first bytes, by the address in the start info: mov esi,[ebx+32]; then four bytes of it.
    let mut code = vec![0x8b, 0x73, 0x20, 0x8b, 0x06];
    code.extend(print_eax());
    code.extend(power_off());
    let output = run(&code, json!({ "cpus": 2 }));
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "RSD "), "{}", output.stderr);
}

/// The four bytes of EAX to the serial port.
fn print_eax() -> Vec<u8> {
    let byte = [0x66, 0xba, 0xf8, 0x03, 0xee, 0xc1, 0xe8, 0x08];
    byte.repeat(4)
}

#[test]
fn a_guest_enumerates_the_whole_card_behind_its_root_port() {
    if !kvm() {
        return;
    }
    let mut code = Vec::new();
    // The port; PF 1 of the card on bus 1, by function number; a VF that is not enabled; a bus that is not there.
    for address in [0xe000_0000u32, 0xe010_1000, 0xe011_1000, 0xe020_0000] {
        code.push(0xa1);
        code.extend(address.to_le_bytes());
        code.extend(print_eax());
    }
    code.extend(power_off());
    let output = run(&code, json!({ "card": { "vfs": 4 } }));
    let ids: Vec<_> = output.bytes.chunks(4).map(|b| u32::from_le_bytes(b.try_into().unwrap())).collect();
    assert_eq!((output.code, ids), (Some(0), vec![0x10ff_1af4, 0x10f1_1af4, !0, !0]), "{}", output.stderr);
}

/// Random accesses to configuration space, BAR windows and ports, some thousands.
fn hostile(seed: u32, count: u32) -> Vec<u8> {
    let mut code = vec![0xb9];
    code.extend(count.to_le_bytes());
    code.push(0xbb);
    code.extend(seed.to_le_bytes());
    let start = code.len();
    // xorshift32 in EBX.
    for (shift, by) in [(0xe0, 13), (0xe8, 17), (0xe0, 5)] {
        code.extend([0x89, 0xd8, 0xc1, shift, by, 0x31, 0xc3]);
    }
    // EDI: the first 4 MiB of the window of BARs or of configuration space.
    code.extend([0x89, 0xdf, 0x81, 0xe7, 0xff, 0xff, 0x3f, 0x20, 0x81, 0xcf, 0, 0, 0, 0xc0]);
    // Write and read four bytes, one, and two.
    code.extend([0x89, 0x1f, 0x8b, 0x07, 0x88, 0x1f, 0x66, 0x8b, 0x07]);
    // Any port but those below 0x800, where power off is.
    code.extend([0x89, 0xda, 0xc1, 0xea, 0x10, 0x81, 0xca, 0, 8, 0, 0, 0xef, 0xed]);
    // A register of the serial port but its data.
    code.extend([0x89, 0xda, 0x83, 0xe2, 7, 0x83, 0xca, 1, 0x81, 0xc2, 0xf8, 3, 0, 0, 0x88, 0xd8, 0xee, 0xec]);
    // Configuration registers that do something: function 0 to 2 of bus 1 and the port, the first 256 bytes.
    code.extend([0x89, 0xdf, 0x81, 0xe7, 0xff, 0x20, 0x10, 0, 0x81, 0xcf, 0, 0, 0, 0xe0, 0x89, 0x1f, 0x8b, 0x07]);
    code.push(0x49);
    code.extend([0x0f, 0x85]);
    let back = start as i32 - (code.len() as i32 + 4);
    code.extend(back.to_le_bytes());
    // The last word, with the UART out of its loopback and the baud rate latch closed.
    code.extend(out(0x3fb, 3));
    code.extend(out(0x3fc, 0));
    code.extend(say("alive\n"));
    code.extend(power_off());
    code
}

#[test]
fn a_hostile_guest_breaks_nothing_but_itself() {
    if !kvm() {
        return;
    }
    for (seed, more) in
        [(1, json!({})), (0xdead_beef, json!({ "card": { "vfs": 4 } })), (77, json!({ "card": { "vfs": 60 } }))]
    {
        let output = run(&hostile(seed, 1500), more);
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert!(output.stdout.ends_with("alive\n"), "{}", output.stderr);
    }
}

#[test]
fn commands_reach_a_running_guest() {
    use azote_hypervisor::api::{Request, request};
    if !kvm() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (path, socket) = (dir.path().join("guest.elf"), dir.path().join("api"));
    // Counts in memory, for ever.
    fs::write(&path, kernel(&[0xff, 0x05, 0, 0, 0x20, 0, 0xeb, 0xf8])).unwrap();
    let config = json!({ "kernel": path, "cpus": 2, "memory": { "size": 16 << 20 }, "api_socket": socket });
    let asked = socket.clone();
    let output = vmm_with(&config, move || {
        let ask = |r| request(&asked, r).unwrap();
        program::wait_for(|| Path::exists(&asked));
        assert_eq!(ask(Request::State)["state"], "running");
        let paused = ask(Request::Pause);
        assert_eq!((&paused["state"], &paused["stopped_cpus"]), (&json!("paused"), &json!(2)));
        assert_eq!(ask(Request::Resume)["state"], "running");
        assert_eq!(ask(Request::PowerButton), json!({}));
        assert!(ask(Request::Counters)["exits"].is_object());
        assert_eq!(ask(Request::Shutdown), json!({}));
    });
    assert_eq!(output.code, Some(0), "{}", output.stderr);
}
