//! Where the simulation's time goes, by block: what a card notes that was compiled for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use libloading::Library;

use crate::Error;

/// Of a card that is built with [`azote_verilate::Options::profile`]; one at a time of all cards of a file.
pub struct Profiler {
    pub(crate) begin: unsafe extern "C" fn(),
    pub(crate) end: unsafe extern "C" fn(*mut *const u64) -> u32,
    pub(crate) path: PathBuf,
    /// Keeps the code mapped, which a signal may still call.
    pub(crate) _library: Arc<Library>,
}

impl Profiler {
    /// From here on it is noted where the process is, in steps of its processor time.
    pub fn begin(&self) {
        // SAFETY: the call takes nothing; it sets up a timer and its signal, whose code stays mapped with the library.
        unsafe { (self.begin)() }
    }

    /// To here. How often it was in each block; `None` is what is not the model's.
    pub fn end(&self) -> Result<BTreeMap<Option<String>, u64>, Error> {
        let mut places = std::ptr::null();
        // SAFETY: the call stops the timer and sets the pointer to that many numbers, which lie in the library and change only
        // with the next `begin`, for which `self` is needed too.
        let places = unsafe {
            let count = (self.end)(&mut places);
            if places.is_null() { &[] } else { std::slice::from_raw_parts(places, count as usize) }
        };
        Ok(azote_verilate::by_block(&self.path, places)?)
    }
}
