//! The hot path allocates nothing: counted, not believed.

#![allow(clippy::unwrap_used)] // test helpers fail by panicking

mod model;

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use azote_dma::{Dma, Pages};
use azote_nvme::{Controller, Io, Options};
use azote_seam::Function;
use model::Model;

struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is passed to the system's allocator as it came; the counter is thread-local, without a destructor and
// without an allocation of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(p, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of `f`.
fn count<T>(f: impl FnOnce() -> T) -> (T, u64) {
    let before = COUNT.get();
    let value = f();
    (value, COUNT.get() - before)
}

#[test]
fn submission_and_completion_allocate_nothing() {
    let f = Model::new(vec![1; 1 << 20]).function();
    let dma = Dma::at(8 << 20, Pages::Small, 0x1_0000_0000).unwrap();
    let mut c = Controller::open(f.clone(), dma, Options::default()).unwrap();
    let buffer = c.dma().alloc(128 << 10, 4096).unwrap();
    for round in 0..400 {
        let data = buffer.whole();
        let io = if round % 2 == 0 { Io::Read { lba: 0, data } } else { Io::Write { lba: 0, data } };
        let (result, n) = count(|| c.submit(0, io, 7));
        result.unwrap();
        assert_eq!(n, 0, "submission, with a PRP list");
        // The model allocates as it likes.
        f.relax();
        let (done, n) = count(|| c.poll(0));
        assert_eq!(done.unwrap().unwrap().user, 7);
        assert_eq!(n, 0, "completion");
    }
}
