//! A guest on a terminal: keys reach it, and the terminal is as it was found, whatever ends the hypervisor.

mod program;
mod terminal;

use program::{drone, guest, kvm, out, power_off, read_slowly, repeat, say, start, wait_for};
use serde_json::json;
use terminal::Terminal;

/// Says that it is there, waits for a key, says it back.
fn echo() -> Vec<u8> {
    let mut code = say("there\n");
    // in al, 3fdh; test al, 1; jz; in al, 3f8h; out 3f8h, al.
    code.extend([0x66, 0xba, 0xfd, 0x03, 0xec, 0xa8, 0x01, 0x74, 0xfb, 0x66, 0xba, 0xf8, 0x03, 0xec, 0xee]);
    code
}

#[test]
fn a_key_reaches_the_guest_and_the_terminal_is_as_it_was() {
    if !kvm() {
        return;
    }
    let terminal = Terminal::new();
    let before = terminal.flags();
    let (_dir, config) = guest(&[echo(), say("\nbye\n"), power_off()].concat(), json!({}));
    let running = start(&config, |command| terminal.give(command));
    terminal.read_until("there");
    wait_for(|| !terminal.echoes());
    // ^C is the guest's, too.
    terminal.type_in("\x03");
    assert!(terminal.read_until("bye").contains('\x03'));
    let (status, _) = running.end();
    assert_eq!((status.code(), terminal.flags()), (Some(0), before));
}

#[test]
fn whatever_ends_the_hypervisor_the_terminal_is_as_it_was() {
    if !kvm() {
        return;
    }
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGKILL, libc::SIGABRT] {
        let terminal = Terminal::new();
        let before = terminal.flags();
        let (_dir, config) = guest(&repeat(say("x")), json!({}));
        let running = start(&config, |command| terminal.give(command));
        wait_for(|| !terminal.echoes());
        running.signal(signal);
        drop(running.end());
        wait_for(|| terminal.flags() == before);
    }
}

#[test]
fn a_flood_on_a_terminal_that_nobody_reads_is_ended_by_a_signal() {
    if !kvm() {
        return;
    }
    let terminal = Terminal::new();
    let before = terminal.flags();
    let (dir, mut config) = guest(&repeat(out(0x3f8, b'x').repeat(1000)), json!({}));
    let socket = dir.path().join("api");
    config["api_socket"] = json!(socket);
    let running = start(&config, |command| terminal.give(command));
    wait_for(|| socket.exists());
    let counters = || azote_hypervisor::api::request(&socket, azote_hypervisor::api::Request::Counters);
    wait_for(|| counters().is_ok_and(|c| c["dropped"]["serial"].as_u64() > Some(0)));
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().0.code(), Some(0));
    wait_for(|| terminal.flags() == before && !socket.exists());
}

#[test]
fn a_guest_that_is_over_gives_the_terminal_back_before_its_last_words_are_read() {
    use azote_hypervisor::api::{Request, request};
    if !kvm() {
        return;
    }
    let terminal = Terminal::new();
    let before = terminal.flags();
    // More than a terminal holds.
    let (dir, mut config) = guest(&[drone(50_000), power_off()].concat(), json!({}));
    let socket = dir.path().join("api");
    config["api_socket"] = json!(socket);
    let running = start(&config, |command| terminal.give(command));
    read_slowly(terminal.ours(), 64);
    let is_ending = || request(&socket, Request::State).is_ok_and(|answer| answer["state"] == "ending");
    wait_for(is_ending);
    wait_for(|| terminal.flags() == before);
    assert!(is_ending(), "it still waits for its reader");
    // It makes a signal of ^C again.
    terminal.type_in("\x03");
    assert_eq!(running.end().0.code(), Some(0));
}
