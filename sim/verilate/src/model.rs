//! The loaded shared object: the only place with `unsafe`.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;

use libloading::Library;

use crate::{Error, Facts, Shim};

type Sim = *mut c_void;

/// A model in memory, with the generic shim's calls.
pub(crate) struct Model {
    sim: Sim,
    free: unsafe extern "C" fn(Sim),
    eval: unsafe extern "C" fn(Sim),
    clock: unsafe extern "C" fn(Sim, u64),
    poke: unsafe extern "C" fn(Sim, u32, *const u32),
    peek: unsafe extern "C" fn(Sim, u32, *mut u32),
    trace: unsafe extern "C" fn(Sim, *const c_char) -> i32,
    failed: unsafe extern "C" fn() -> *const c_char,
    forgive: unsafe extern "C" fn(),
    /// Keeps the code mapped for as long as the pointers above are used.
    _library: Library,
}

// SAFETY: a Verilated model and its context have no thread affinity (verilated.h: "Multiple contexts ... each used by one
// thread at a time"); `Model` owns both and hands out no pointer, so moving it moves all access to the other thread.
unsafe impl Send for Model {}

impl Model {
    /// Loads a shared object that [`crate::build_library`] made with the generic shim, and makes one instance.
    pub fn load(path: &Path, seed: u32) -> Result<Model, Error> {
        let failed = |source| Error::Load { path: path.to_owned(), source };
        Facts::fit(path, Shim::Generic.calls())?;
        // SAFETY: the file is one that this crate compiled from its own shim, under a name that is the hash of its
        // contents; its only initialisers are those of Verilator's runtime.
        let library = unsafe { Library::new(path) }.map_err(failed)?;
        macro_rules! symbol {
            ($name:literal) => {
                // SAFETY: the type that the field of `Model` (or the annotation below) gives the symbol is the one
                // that shim.rs declares it with.
                *unsafe { library.get(concat!($name, "\0").as_bytes()) }.map_err(failed)?
            };
        }
        let new: unsafe extern "C" fn(u32) -> Sim = symbol!("azote_new");
        let mut model = Model {
            sim: std::ptr::null_mut(),
            free: symbol!("azote_free"),
            eval: symbol!("azote_eval"),
            clock: symbol!("azote_clock"),
            poke: symbol!("azote_poke"),
            peek: symbol!("azote_peek"),
            trace: symbol!("azote_trace"),
            failed: symbol!("azote_failed"),
            forgive: symbol!("azote_forgive"),
            _library: library,
        };
        // SAFETY: the call takes a number and returns a new instance, which `drop` frees once.
        model.sim = unsafe { new(seed) };
        Ok(model)
    }

    pub fn eval(&mut self) {
        // SAFETY: `sim` is the live instance from `load`, and `&mut self` makes this its only use.
        unsafe { (self.eval)(self.sim) }
    }

    pub fn clock(&mut self, n: u64) {
        // SAFETY: as in `eval`.
        unsafe { (self.clock)(self.sim, n) }
    }

    /// The first check of the design that failed since this was asked last, as "path of the block: text".
    pub fn failed(&mut self) -> Option<String> {
        // SAFETY: the call takes nothing and returns null or a string that lives until `forgive`, which comes after it was
        // copied. It is this thread's own, and this thread made the calls that could have failed.
        unsafe {
            let what = (self.failed)();
            if what.is_null() {
                return None;
            }
            let text = CStr::from_ptr(what).to_string_lossy().into_owned();
            (self.forgive)();
            Some(text)
        }
    }

    /// `words` must hold at least the port's words; the caller took both from the same port list as the shim.
    pub fn poke(&mut self, port: u32, words: &[u32]) {
        // SAFETY: as in `eval`; `Dut` gives a slice of exactly the words that the shim reads for this port.
        unsafe { (self.poke)(self.sim, port, words.as_ptr()) }
    }

    /// The same bound on `words` as [`Model::poke`].
    pub fn peek(&self, port: u32, words: &mut [u32]) {
        // SAFETY: the shim only reads the instance here, and writes exactly the port's words, which `Dut` provides.
        unsafe { (self.peek)(self.sim, port, words.as_mut_ptr()) }
    }

    pub fn trace(&mut self, path: Option<&Path>) -> Result<(), Error> {
        let Some(path) = path else {
            // SAFETY: as in `eval`; a null path closes the wave file.
            unsafe { (self.trace)(self.sim, std::ptr::null()) };
            return Ok(());
        };
        let failed = |reason| Error::Trace { path: path.to_owned(), reason };
        let text =
            CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| failed("the path holds a NUL byte"))?;
        // SAFETY: as in `eval`; the string lives through the call, and the shim keeps no pointer to it.
        match unsafe { (self.trace)(self.sim, text.as_ptr()) } {
            0 => Ok(()),
            1 => Err(failed("the model was built without waves; build it with Options { trace: true, .. }")),
            _ => Err(failed("the file cannot be created; does its folder exist and may it be written?")),
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: `sim` came from `azote_new`, is freed here only, and the library is unmapped after this body.
        unsafe { (self.free)(self.sim) }
    }
}
