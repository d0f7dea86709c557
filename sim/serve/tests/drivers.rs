//! Our NVMe driver over sockets: memory by file, page by page, by message; several clients; a client that dies.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use azote_nvme::Completions;
use azote_regs::pcie::header;
use azote_seam::Function;
use common::{Mapped, Maps, controller, exercise, soft, vf};

#[test]
fn blocks_are_read_and_written_however_memory_is_shown() {
    for maps in [Maps::Whole, Maps::Pages, Maps::Messages] {
        for completions in [Completions::Interrupts, Completions::Polled] {
            let rig = soft(1);
            let mut c = controller(&rig, 0, maps, completions);
            assert_eq!(c.namespace().unwrap().blocks, common::BLOCKS);
            exercise(&mut c, 0, 10);
            c.shutdown().unwrap();
            rig.check();
        }
    }
}

#[test]
fn several_clients_work_at_once_and_see_their_own_volumes() {
    let rig = soft(4);
    std::thread::scope(|scope| {
        for i in 0..4u8 {
            let rig = &rig;
            scope.spawn(move || {
                let maps = [Maps::Whole, Maps::Pages, Maps::Messages][usize::from(i) % 3];
                let mut c = controller(rig, i, maps, Completions::Interrupts);
                exercise(&mut c, i, 30);
                c.shutdown().unwrap();
            });
        }
    });
    rig.check();
    assert!(rig.card.root().take_dma_faults().is_empty());
}

#[test]
fn a_second_guest_on_a_function_is_told_so_and_the_first_does_not_notice() {
    let rig = soft(1);
    let mut c = controller(&rig, 0, Maps::Whole, Completions::Interrupts);
    let path = rig.path(0);
    let error = azote_vfio_user::Client::connect(&path, Arc::new(()), common::TIMEOUT).err().unwrap();
    assert!(matches!(error, azote_vfio_user::Error::Busy { .. }), "{error}");
    assert!(error.to_string().contains("another guest has this function") && !error.to_string().contains('\n'));
    exercise(&mut c, 0, 3);
    drop(c);
    // The next one is served.
    let (mut c, _) = connect_when_free(&rig, Maps::Whole);
    exercise(&mut c, 0, 1);
    drop(c);
    rig.check();
}

#[test]
fn a_client_that_dies_under_load_leaves_a_clean_function_and_others_in_peace() {
    let rig = soft(2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut c = controller(&rig, 1, Maps::Whole, Completions::Interrupts);
            exercise(&mut c, 1, 60);
        });
        for maps in [Maps::Whole, Maps::Messages, Maps::Pages] {
            let (mut c, function) = connect_when_free(&rig, maps);
            let buffer = c.dma().alloc(64 << 10, 4096).unwrap();
            for i in 0..32 {
                let data = buffer.slice(0, 128 * 512).unwrap();
                c.submit(0, azote_nvme::Io::Read { lba: i * 8, data }, i).unwrap();
            }
            // Gone with everything in flight, without a reset, a shutdown, or an unmapping.
            function.user.client().close();
            common::wait_until("its reset", || {
                let f = rig.card.function(vf(0)).unwrap();
                f.config_read32(header::COMMAND).unwrap() & 4 == 0 && rig.card.root().memory().count(vf(0)) == 0
            });
        }
        other.join().unwrap();
    });
    let (mut c, _) = connect_when_free(&rig, Maps::Whole);
    exercise(&mut c, 0, 5);
    drop(c);
    rig.check();
}

fn connect_when_free(rig: &common::Rig, maps: Maps) -> (azote_nvme::Controller, Arc<Mapped>) {
    common::wait_until("the function's turn", || !rig.server.counters()[0].connected);
    common::controller_of(rig, 0, maps, Completions::Interrupts)
}

#[test]
fn registers_answer_soon_while_another_function_keeps_the_card_busy() {
    let rig = soft(2);
    let over = AtomicBool::new(false);
    let longest = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut c = controller(&rig, 1, Maps::Whole, Completions::Polled);
            while !over.load(Ordering::Relaxed) {
                exercise(&mut c, 1, 1);
            }
        });
        common::wait_until("load", || rig.server.counters()[1].dma_bytes > 100_000);
        let client = rig.client(0);
        let mut longest = Duration::ZERO;
        for _ in 0..2000 {
            let before = Instant::now();
            client.read(0, 0x08, &mut [0; 4]).unwrap();
            longest = longest.max(before.elapsed());
        }
        over.store(true, Ordering::Relaxed);
        longest
    });
    // Two cores shared with other tests; alone it is below a millisecond.
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    rig.check();
}

#[test]
fn sixty_functions_have_a_client_each() {
    let rig = common::rig(Box::new(azote_sim::soft::SoftCard::new(60)), 60);
    let clients: Vec<_> = (0..60).map(|i| rig.client(i)).collect();
    for client in &clients {
        client.reset().unwrap();
    }
    for i in [0, 29, 59] {
        let error = azote_vfio_user::Client::connect(&rig.path(i), Arc::new(()), common::TIMEOUT).err().unwrap();
        assert!(matches!(error, azote_vfio_user::Error::Busy { .. }), "{error}");
    }
    drop(clients);
    common::wait_until("their end", || rig.server.counters().iter().all(|c| !c.connected));
    for i in [0, 59] {
        exercise(&mut controller(&rig, i, Maps::Messages, Completions::Interrupts), i, 2);
    }
    rig.check();
}
