//! The lab's cases as tests, one at a time: each is a machine that uses both cores.

#![allow(clippy::unwrap_used)] // tests fail by panicking

use std::sync::Mutex;

use azote_lab::cases;

static ONE: Mutex<()> = Mutex::new(());

fn case(name: &str) {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    match cases::run(name) {
        Ok(outcome) => {
            if let Some(why) = outcome.skipped {
                eprintln!("{name}: skipped: {why}");
            }
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn nvme_vf() {
    case("nvme-vf");
}

#[test]
fn rtl_in_l1() {
    case("rtl-l1");
}

#[test]
fn rtl_by_message() {
    case("rtl-msg");
}

#[test]
fn stock_linux_drives_net_functions_of_the_card_in_software() {
    case("net-l1");
}

#[test]
fn nvme_in_l2() {
    case("nvme-l2");
}

#[test]
fn rtl_in_l2() {
    case("rtl-l2");
}

#[test]
fn whole_card_in_l2() {
    case("card-l2");
}

#[test]
fn our_server_and_our_hypervisor() {
    case("user-l2");
}

#[test]
fn guests_that_end_in_every_way() {
    case("end-l2");
}

#[test]
fn without_an_emulated_host() {
    case("native");
}
