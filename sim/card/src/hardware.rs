//! The Verilated card: loads what `azote-verilate` compiled with this crate's own shim.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use azote_regs::media;
use azote_tlp::Beat;
use azote_verilate::{Dir, Facts, Options, Port, Shim, Source, build_library};
use libloading::Library;

use crate::device::{EthernetBeat, Inputs, MediaBeat, MediaOp, MediaRequest, Outputs, TlpDevice, WaveScope};
use crate::{Error, Profiler};

/// `struct In` of shim.cpp.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct In {
    rx_data: [u32; 4],
    mrd_data: [u32; 4],
    erx_data: [u32; 4],
    mdone_tag: u16,
    reset: u8,
    rx_valid: u8,
    rx_keep: u8,
    rx_sop: u8,
    rx_eop: u8,
    tx_ready: u8,
    mreq_ready: u8,
    mrd_valid: u8,
    mrd_last: u8,
    mrd_error: u8,
    mrd_hole: u8,
    mwr_ready: u8,
    mdone_valid: u8,
    mdone_result: u8,
    mget_ready: u8,
    erx_valid: u8,
    erx_sop: u8,
    erx_eop: u8,
    erx_bytes: u8,
    erx_error: u8,
    etx_ready: u8,
    pad: [u8; 1],
}

/// `struct Out` of shim.cpp.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Out {
    tx_data: [u32; 4],
    mwr_data: [u32; 4],
    etx_data: [u32; 4],
    mreq_lba: u64,
    mreq_blocks: u64,
    mreq_tag: u16,
    mget_tag: u16,
    mreq_volume: u8,
    mreq_op: u8,
    mreq_fua: u8,
    mreq_valid: u8,
    rx_ready: u8,
    tx_valid: u8,
    tx_keep: u8,
    tx_sop: u8,
    tx_eop: u8,
    mrd_ready: u8,
    mwr_valid: u8,
    mwr_last: u8,
    mwr_spoilt: u8,
    mdone_ready: u8,
    mget_valid: u8,
    busy: u8,
    /// A check of the design's own failed, so many clocks ago and one; `azote_failed` says which.
    failed: u8,
    awake: u8,
    erx_ready: u8,
    etx_valid: u8,
    etx_sop: u8,
    etx_eop: u8,
    etx_bytes: u8,
    pad: [u8; 5],
}

const _: () = assert!(size_of::<In>() == 72 && size_of::<Out>() == 96);

/// The C++ between the model and us.
const SHIM: &str = include_str!("shim.cpp");
/// The clocks of the engines, which stand still while these do nothing.
pub const ENGINE_CLOCKS: [&str; 3] = ["engine_clock_0", "engine_clock_1", "engine_clock_2"];
/// Name of the card's top module.
pub const TOP: &str = "azote_card";

/// Ports of the card's top module: what the printed text must have.
pub fn ports() -> Vec<Port> {
    use Dir::{In, Out};
    let port = |name: &str, dir, width| Port { name: name.into(), dir, width };
    vec![
        port("clock", In, 1),
        port("engine_clock_0", In, 1),
        port("engine_clock_1", In, 1),
        port("engine_clock_2", In, 1),
        port("reset", In, 1),
        port("rx_valid", In, 1),
        port("rx_ready", Out, 1),
        port("rx_sop", In, 1),
        port("rx_eop", In, 1),
        port("rx_keep", In, 4),
        port("rx_data", In, 128),
        port("tx_valid", Out, 1),
        port("tx_ready", In, 1),
        port("tx_sop", Out, 1),
        port("tx_eop", Out, 1),
        port("tx_keep", Out, 4),
        port("tx_data", Out, 128),
        port("mreq_valid", Out, 1),
        port("mreq_ready", In, 1),
        port("mreq_tag", Out, media::TAG_BITS as usize),
        port("mreq_op", Out, 4),
        port("mreq_fua", Out, 1),
        port("mreq_volume", Out, 8),
        port("mreq_lba", Out, 64),
        port("mreq_blocks", Out, 48),
        port("mrd_valid", In, 1),
        port("mrd_ready", Out, 1),
        port("mrd_data", In, 128),
        port("mrd_last", In, 1),
        port("mrd_error", In, 1),
        port("mrd_hole", In, 1),
        port("mwr_valid", Out, 1),
        port("mwr_ready", In, 1),
        port("mwr_data", Out, 128),
        port("mwr_last", Out, 1),
        port("mwr_spoilt", Out, 1),
        port("mdone_valid", In, 1),
        port("mdone_ready", Out, 1),
        port("mdone_tag", In, media::TAG_BITS as usize),
        port("mdone_result", In, 3),
        port("mget_valid", Out, 1),
        port("mget_ready", In, 1),
        port("mget_tag", Out, media::TAG_BITS as usize),
        port("erx_valid", In, 1),
        port("erx_ready", Out, 1),
        port("erx_sop", In, 1),
        port("erx_eop", In, 1),
        port("erx_bytes", In, 5),
        port("erx_error", In, 1),
        port("erx_data", In, 128),
        port("etx_valid", Out, 1),
        port("etx_ready", In, 1),
        port("etx_sop", Out, 1),
        port("etx_eop", Out, 1),
        port("etx_bytes", Out, 5),
        port("etx_data", Out, 128),
        port("busy", Out, 1),
        port("awake", Out, 3),
    ]
}

type Sim = *mut c_void;

/// A Verilated card.
pub struct Hardware {
    sim: Sim,
    cycle: unsafe extern "C" fn(Sim, *const In, *mut Out),
    trace: unsafe extern "C" fn(Sim, *const c_char, u64, u64, *const c_char) -> i32,
    free: unsafe extern "C" fn(Sim),
    failed: unsafe extern "C" fn() -> *const c_char,
    forgive: unsafe extern "C" fn(),
    always: unsafe extern "C" fn(Sim),
    clocks: u64,
    /// Paths of its blocks, as its Verilog has them.
    blocks: Vec<String>,
    /// Keeps the code mapped for as long as the pointers above are used.
    library: Arc<Library>,
    path: PathBuf,
}

// SAFETY: a Verilated model and its context have no thread affinity; `Hardware` owns both and hands out no pointer, so
// moving it moves all access to the other thread.
unsafe impl Send for Hardware {}

impl Hardware {
    /// Builds the card from its Verilog text, unless it is in the cache, and loads it.
    pub fn build(text: String, options: &Options) -> Result<Hardware, Error> {
        Self::load(&Self::compile(text, options)?, options.random_init.unwrap_or(0))
    }

    /// Compiles the card, unless it is in the cache, and says where it is: a file that [`Self::load`] loads, here or, if it
    /// was compiled to be portable, on a machine without Verilator.
    pub fn compile(text: String, options: &Options) -> Result<PathBuf, Error> {
        let source = Source { text, top: TOP.into(), ports: ports() };
        Ok(build_library(&source, options, Shim::Own { text: SHIM, clocks: &ENGINE_CLOCKS })?)
    }

    /// Loads a compiled card. `seed` is for the random start of what has no initial value, if it was built so.
    ///
    /// The file's code becomes part of this program: give it only what [`Self::compile`] made.
    pub fn load(path: &Path, seed: u32) -> Result<Hardware, Error> {
        let failed = |source| Error::Load { path: path.to_owned(), source };
        let facts = Facts::fit(path, SHIM)?;
        // A name without a slash would be looked for where libraries are.
        let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        // SAFETY: the file was compiled from this crate's shim, as the caller was told; its only initialisers are those of
        // Verilator's runtime. One that is no shared object or has not its symbols is an error.
        let library = unsafe { Library::new(path) }.map_err(failed)?;
        // SAFETY: the types are those that shim.cpp and the shim's common part declare.
        let (new, cycle, trace, free, failed, forgive, always) = unsafe {
            let new = *library.get::<unsafe extern "C" fn(u32) -> Sim>(b"card_new\0").map_err(failed)?;
            (
                new,
                *library.get(b"card_cycle\0").map_err(failed)?,
                *library.get(b"card_trace\0").map_err(failed)?,
                *library.get(b"card_free\0").map_err(failed)?,
                *library.get(b"azote_failed\0").map_err(failed)?,
                *library.get(b"azote_forgive\0").map_err(failed)?,
                *library.get(b"card_always\0").map_err(failed)?,
            )
        };
        // SAFETY: the call takes a number and returns a new instance, which `drop` frees once.
        let sim = unsafe { new(seed) };
        Ok(Hardware {
            sim,
            cycle,
            trace,
            free,
            failed,
            forgive,
            always,
            clocks: 0,
            blocks: facts.blocks,
            library: Arc::new(library),
            path: path.clone(),
        })
    }

    /// From now on engines are clocked in every clock, as on a board. What the card does is the same.
    pub fn clock_always(&mut self) {
        // SAFETY: as in `cycle`.
        unsafe { (self.always)(self.sim) };
    }

    /// What tells where its time goes; nothing if it was not compiled for that.
    pub fn profiler(&self) -> Option<Profiler> {
        // SAFETY: the types are those that the sampler behind the shim declares.
        let (begin, end) = unsafe {
            (*self.library.get(b"azote_profile_begin\0").ok()?, *self.library.get(b"azote_profile_end\0").ok()?)
        };
        Some(Profiler { begin, end, path: self.path.clone(), _library: self.library.clone() })
    }

    /// A block as the wave file calls it: `storage.front` is `azote_card.azote_card.u_storage.u_front`.
    fn scope(&self, name: &str) -> Result<String, String> {
        let wanted = name.split('.').map(|part| format!("u_{part}")).collect::<Vec<_>>().join(".");
        if self.blocks.contains(&wanted) {
            return Ok(format!("{TOP}.{TOP}.{wanted}"));
        }
        // Those below the deepest one that there is: a list of all is longer than a screen.
        let depth = name.split('.').count();
        let near = self.blocks.iter().filter(|block| block.split('.').count() == depth).map(|block| {
            block.split('.').map(|part| part.strip_prefix("u_").unwrap_or(part)).collect::<Vec<_>>().join(".")
        });
        Err(format!("the card has no block `{name}`; there are {}", near.collect::<Vec<_>>().join(", ")))
    }

    /// Ends the simulation: one of the card's own rules is broken, and nothing that it does from here on can be trusted. Whoever
    /// cleans up after that failure still clocks the card: a second panic would end the process before the first is told.
    #[cold]
    fn broken(&self, clock: u64) {
        // SAFETY: the call takes nothing and returns null or a string of this thread's that lives until `forgive`.
        let what = unsafe {
            let text = (self.failed)();
            let what = if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() };
            (self.forgive)();
            what
        };
        assert!(std::thread::panicking(), "a check of the card's own failed in clock {clock}: {what}");
    }
}

impl TlpDevice for Hardware {
    fn cycle(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        let mut i = In {
            reset: inputs.reset.into(),
            tx_ready: inputs.tx_ready.into(),
            mreq_ready: inputs.mreq_ready.into(),
            mwr_ready: inputs.mwr_ready.into(),
            mget_ready: inputs.mget_ready.into(),
            etx_ready: inputs.etx_ready.into(),
            ..In::default()
        };
        if let Some(beat) = inputs.rx {
            i.rx_valid = 1;
            i.rx_data = beat.data;
            i.rx_keep = beat.keep;
            i.rx_sop = beat.sop.into();
            i.rx_eop = beat.eop.into();
        }
        if let Some(data) = inputs.mrd {
            i.mrd_valid = 1;
            i.mrd_data = data.data;
            i.mrd_last = data.last.into();
            i.mrd_error = data.error.into();
            i.mrd_hole = data.hole.into();
        }
        if let Some(done) = inputs.mdone {
            i.mdone_valid = 1;
            i.mdone_tag = done.tag;
            i.mdone_result = done.result.code() as u8;
        }
        if let Some(beat) = inputs.erx {
            i.erx_valid = 1;
            i.erx_data = beat.data;
            i.erx_sop = beat.sop.into();
            i.erx_eop = beat.eop.into();
            i.erx_bytes = beat.bytes;
            i.erx_error = beat.error.into();
        }
        let mut o = Out::default();
        // SAFETY: `sim` is the live instance from `load` and `&mut self` makes this its only use; both structures have
        // the layout that shim.cpp gives them (their sizes are asserted on both sides) and live through the call.
        unsafe { (self.cycle)(self.sim, &i, &mut o) };
        self.clocks += 1;
        if let Some(ago) = o.failed.checked_sub(1) {
            self.broken(self.clocks - u64::from(ago));
        }
        *outputs = Outputs {
            rx_ready: o.rx_ready != 0,
            tx: (o.tx_valid != 0).then_some(Beat {
                data: o.tx_data,
                keep: o.tx_keep,
                sop: o.tx_sop != 0,
                eop: o.tx_eop != 0,
            }),
            mreq: (o.mreq_valid != 0).then_some(MediaRequest {
                tag: o.mreq_tag,
                op: MediaOp::from_code(o.mreq_op),
                volume: o.mreq_volume,
                fua: o.mreq_fua != 0,
                lba: o.mreq_lba,
                blocks: o.mreq_blocks,
            }),
            mrd_ready: o.mrd_ready != 0,
            mwr: (o.mwr_valid != 0).then_some(MediaBeat {
                data: o.mwr_data,
                last: o.mwr_last != 0,
                spoilt: o.mwr_spoilt != 0,
            }),
            mdone_ready: o.mdone_ready != 0,
            mget: (o.mget_valid != 0).then_some(o.mget_tag),
            erx_ready: o.erx_ready != 0,
            etx: (o.etx_valid != 0).then_some(EthernetBeat {
                data: o.etx_data,
                bytes: o.etx_bytes,
                sop: o.etx_sop != 0,
                eop: o.etx_eop != 0,
                error: false,
            }),
            busy: o.busy != 0,
            awake: o.awake,
        };
    }

    fn trace(&mut self, path: &Path, scope: &WaveScope) -> Result<(), Error> {
        let failed = |reason: &str| Error::Trace { path: path.to_owned(), reason: reason.into() };
        let text =
            CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| failed("the path holds a NUL byte"))?;
        let blocks = scope.blocks.iter().map(|name| self.scope(name).map_err(|why| failed(&why)));
        let blocks = blocks.collect::<Result<Vec<_>, _>>()?.join("\n");
        let blocks = CString::new(blocks).map_err(|_| failed("a block's name holds a NUL byte"))?;
        // SAFETY: as in `cycle`; the strings live through the call, and the shim keeps no pointer to them.
        match unsafe { (self.trace)(self.sim, text.as_ptr(), scope.from, scope.to, blocks.as_ptr()) } {
            0 => Ok(()),
            1 => Err(failed("the card was built without waves; `azote model --waves` builds one with them")),
            _ => Err(failed("the file cannot be created; does its folder exist and may it be written?")),
        }
    }

    fn trace_end(&mut self) {
        // SAFETY: as in `cycle`; null ends the waves.
        unsafe { (self.trace)(self.sim, std::ptr::null(), 0, 0, std::ptr::null()) };
    }
}

impl Drop for Hardware {
    fn drop(&mut self) {
        // SAFETY: `sim` came from `card_new`, is freed here only, and the library is unmapped after this body.
        unsafe { (self.free)(self.sim) };
        // The last clock's edge may have been done only now.
        // SAFETY: the call takes nothing.
        if !unsafe { (self.failed)() }.is_null() {
            self.broken(self.clocks);
        }
    }
}
