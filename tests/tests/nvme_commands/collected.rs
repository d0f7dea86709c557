//! Interrupt coalescing: fewer interrupts, and none too late.

use azote_regs::clock;

use super::*;

impl Bench {
    fn interrupts(&self) -> u64 {
        self.card.root().stats().function(rig::storage_vf(0).unwrap().number()).interrupts
    }

    fn clocks(&self, clocks: u64) {
        for _ in 0..clocks {
            self.card.root().clock();
        }
    }
}

/// Interrupts for `n` reads that are rung one by one.
fn interrupts(b: &mut Bench, n: u32) -> u64 {
    let slice = b.buffer.slice(0, 512).unwrap();
    let before = b.interrupts();
    for _ in 0..n {
        b.nvme.submit_command(0, admin(opcode::READ, 1, [0; 6], Data::Slice(slice)), 0).unwrap();
        // Long enough for it to be complete, too short for the timer.
        b.clocks(1000);
    }
    let seen = b.interrupts() - before;
    for _ in 0..n {
        b.nvme.wait(0).unwrap();
    }
    seen
}

#[test]
fn completions_are_collected_up_to_the_threshold() {
    let options =
        NvmeOptions { io_queues: 1, events: 0, completions: Completions::Interrupts, ..NvmeOptions::default() };
    let mut b = bench_with(Options::default(), options, false);
    let set = |fid: u64, v: u64| admin(opcode::SET_FEATURES, 0, [fid as u32, v as u32, 0, 0, 0, 0], Data::None);
    assert_eq!(interrupts(&mut b, 6), 6);
    // Four at a time, or after two milliseconds.
    b.admin(set(opcode::FEATURE_COALESCING, cmd::COALESCING_THR.put(3) | cmd::COALESCING_TIME.put(20))).unwrap();
    assert_eq!(interrupts(&mut b, 8), 2);
    // One that is alone comes when its time is over, and not before.
    let slice = b.buffer.slice(0, 512).unwrap();
    let before = b.interrupts();
    b.nvme.submit_command(0, admin(opcode::READ, 1, [0; 6], Data::Slice(slice)), 0).unwrap();
    let tick = 100 * clock::MHZ;
    b.clocks(18 * tick);
    assert_eq!(b.interrupts(), before);
    b.clocks(4 * tick);
    assert_eq!(b.interrupts(), before + 1);
    b.nvme.wait(0).unwrap();
    // A vector of its own mind; and the admin queue is never made to wait.
    let vector = 1;
    b.admin(set(opcode::FEATURE_VECTOR, cmd::VECTOR_IV.put(vector) | cmd::VECTOR_CD.put(1))).unwrap();
    assert_eq!(interrupts(&mut b, 5), 5);
    b.admin(set(opcode::FEATURE_VECTOR, cmd::VECTOR_IV.put(vector))).unwrap();
    assert_eq!(interrupts(&mut b, 8), 2);
    // A reset of the controller ends it.
    b.nvme.reset().unwrap();
    assert_eq!(interrupts(&mut b, 3), 3);
    b.card.assert_clean();
}
