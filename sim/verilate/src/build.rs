//! From Verilog text to a shared object in the cache.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest, Sha256};

use crate::cache::{self, Key};
use crate::facts::{self, Facts};
use crate::gates;
use crate::held;
use crate::names;
use crate::profile;
use crate::shim;
use crate::tools::{self, Tools};
use crate::work::Work;
use crate::{Error, Options, Source};

/// The C++ that Rust calls.
#[derive(Debug, Clone, Copy)]
pub enum Shim<'a> {
    /// Written from the port list; what [`crate::Dut`] uses.
    Generic,
    /// One's own, for a model whose every clock counts. `MODEL` in the text is the model's class; before it stand the
    /// includes, `EXPORT`, `start(context, seed)`, `Wave` with `wave_open`, `wave_dump` and `wave_close`, and `release(sim)`.
    /// The input `x` of such a model is the port `x_in` before a register, which a rising `load` loads; all but `clock` and the
    /// other `clocks`.
    Own {
        /// The C++.
        text: &'a str,
        /// Inputs that are clocks beside `clock`.
        clocks: &'a [&'a str],
    },
}

impl Shim<'_> {
    /// The text that settles the calls of a model.
    pub(crate) fn calls(&self) -> &str {
        match self {
            // Written for the ports at hand; the calls are the same for every model of a version.
            Shim::Generic => concat!("generic ", env!("CARGO_PKG_VERSION")),
            Shim::Own { text, .. } => text,
        }
    }
}

/// Name of the shared object in its folder of the cache.
const OBJECT: &str = "model.so";
/// Name of the checksums of Verilator's runtime in its folder.
const SUMS: &str = "sums";

/// Builds a model with the given shim, unless it is in the cache, and returns the shared object's path.
pub fn build_library(source: &Source, options: &Options, shim: Shim<'_>) -> Result<PathBuf, Error> {
    shim::check(source)?;
    let held = match shim {
        Shim::Generic => source.clone(),
        Shim::Own { clocks, .. } => Source { text: held::held(source, clocks)?, ..source.clone() },
    };
    let tools = Tools::find()?;
    let flags = flags(options);
    let mut key = Key::new().mix(env!("CARGO_PKG_VERSION")).mix(&tools.verilator).mix(&tools.compiler);
    key = key.mix(&tools.processor).mix(&flags.join(" ")).mix(&source.top).mix(&held.text);
    // The class name differs from model to model: two of them in one process must share no symbol.
    let prefix = format!("V{}_{}", source.top, &Key(key.0).name()[..12]);
    let mut text = match shim {
        Shim::Generic => shim::text(source, &prefix),
        Shim::Own { text: own, .. } => shim::preamble(&prefix) + &own.replace("MODEL", &prefix),
    };
    if options.profile {
        text += profile::SAMPLER;
    }
    let name = format!("{}-{}", source.top, key.mix(&text).name());
    let folder = cache::folder()?;
    let runtime = runtime(&folder, tools, options)?;
    let is_whole = |made: &Path| Facts::read(&made.join(OBJECT)).is_ok();
    let made = cache::once_whole(&folder, &name, is_whole, |work| {
        let extra: &[String] = if options.trace { &["--trace-fst".into(), "--trace-structs".into()] } else { &[] };
        let shown = Work::begin(&announcement(source, options));
        shown.at("Verilator makes C++ of it");
        // With waves, states have names.
        let named = options.trace.then(|| Source { text: names::with_states(&held.text), ..held.clone() });
        gates::verilate(named.as_ref().unwrap_or(&held), &prefix, extra, work)?;
        if options.profile {
            profile::keep(work, &work.join("obj"), &source.top)?;
        }
        compile(work, &text, tools, &flags, &runtime, options, &shown)?;
        facts(source, options, shim, tools).seal(&work.join(OBJECT))
    })?;
    Ok(made.join(OBJECT))
}

fn facts(source: &Source, options: &Options, shim: Shim<'_>, tools: &Tools) -> Facts {
    Facts {
        made_by: concat!("azote-verilate ", env!("CARGO_PKG_VERSION")).into(),
        top: source.top.clone(),
        verilog: Key::new().mix(&source.text).name(),
        shim: facts::shim_hash(shim.calls()),
        verilator: tools.verilator.clone(),
        compiler: tools.compiler.clone(),
        // The quick build is made for no processor in particular.
        processor: (!options.portable && !options.fast_build).then(|| tools.processor.clone()),
        waves: options.trace,
        blocks: names::instances(&source.text, &source.top).into_iter().map(|(path, _)| path).collect(),
    }
}

/// What a person reads who has to wait.
fn announcement(source: &Source, options: &Options) -> String {
    let profile = if options.profile { " with a profile" } else { "" };
    let (waves, time) = match (options.fast_build, options.trace) {
        (true, _) => ("", "seconds"),
        (false, false) => ("", "about a minute"),
        (false, true) => (" with waves", "some minutes"),
    };
    format!(
        "compiling the model of {}{waves}{profile} ({time}, once: it is kept until its Verilog changes)",
        source.top
    )
}

/// The compiler's flags; part of the cache key.
fn flags(options: &Options) -> Vec<String> {
    let mut flags: Vec<&str> = vec![
        "-std=gnu++17",
        "-fPIC",
        "-fvisibility=hidden",
        // Without it, statics of inline functions are shared by all models of a process, whatever they are called.
        "-fno-gnu-unique",
        "-fno-plt",
        "-faligned-new",
        "-fcf-protection=none",
        "-w",
        "-DVL_TIME_CONTEXT",
        "-DVERILATOR=1",
    ];
    let processor = if options.portable { "-march=x86-64-v2" } else { "-march=native" };
    flags.extend(if options.fast_build { ["-O1", "-fno-inline-small-functions"] } else { ["-O3", processor] });
    flags.extend(if options.trace {
        ["-DVM_TRACE=1", "-DVM_TRACE_FST=1"]
    } else {
        ["-DVM_TRACE=0", "-DVM_TRACE_FST=0"]
    });
    if options.profile {
        flags.push("-g1");
    }
    flags.into_iter().map(str::to_owned).collect()
}

/// Verilator's own runtime, compiled once for all models.
fn runtime(folder: &Path, tools: &Tools, options: &Options) -> Result<Vec<PathBuf>, Error> {
    let sources: &[&str] = if options.trace {
        &["verilated.cpp", "verilated_threads.cpp", "verilated_fst_c.cpp"]
    } else {
        &["verilated.cpp", "verilated_threads.cpp"]
    };
    // Always for speed: it is compiled once, and every model runs through it.
    let flags = flags(&Options { fast_build: false, profile: false, ..options.clone() });
    let key = Key::new().mix(&tools.verilator).mix(&tools.compiler).mix(&tools.processor).mix(&flags.join(" "));
    let sums =
        |folder: &Path| sources.iter().map(|name| sum(&object(folder, name))).collect::<std::io::Result<String>>();
    // One that is damaged would fail the linking of every model.
    let is_whole = |made: &Path| {
        let written = std::fs::read_to_string(made.join(SUMS));
        written.is_ok_and(|written| sums(made).is_ok_and(|sums| sums == written))
    };
    let made = cache::once_whole(folder, &format!("runtime-{}", key.name()), is_whole, |work| {
        let jobs = sources.iter().map(|name| (tools.include.join(name), object(work, name), "-O2")).collect();
        compile_all(jobs, tools, &flags, work, &Work::begin("compiling Verilator's runtime (seconds, once)"))?;
        let sums = sums(work).map_err(Error::io("read what was compiled in", work))?;
        std::fs::write(work.join(SUMS), sums).map_err(Error::io("write", work))
    })?;
    Ok(sources.iter().map(|name| object(&made, name)).collect())
}

/// A line with a file's checksum.
fn sum(path: &Path) -> std::io::Result<String> {
    let sum = Sha256::digest(std::fs::read(path)?);
    Ok(sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n")
}

fn object(folder: &Path, source: &str) -> PathBuf {
    folder.join(source).with_extension("o")
}

/// Compiles what Verilator wrote and the shim, and links them with the runtime.
fn compile(
    work: &Path,
    shim: &str,
    tools: &Tools,
    flags: &[String],
    runtime: &[PathBuf],
    options: &Options,
    shown: &Work,
) -> Result<(), Error> {
    let obj = work.join("obj");
    let path = obj.join("shim.cpp");
    std::fs::write(&path, shim).map_err(Error::io("write", &path))?;
    let mut jobs = Vec::new();
    for entry in std::fs::read_dir(&obj).map_err(Error::io("list", &obj))? {
        let path = entry.map_err(Error::io("list", &obj))?.path();
        if path.extension().is_some_and(|e| e == "cpp") {
            // `__Slow` files hold constructors and initial blocks: optimising them only costs time.
            let slow = path.file_name().is_some_and(|n| n.to_string_lossy().contains("Slow"));
            let level = if options.fast_build || slow { "-O1" } else { "-O3" };
            jobs.push((path.clone(), path.with_extension("o"), level));
        }
    }
    // The biggest first, so that no core ends with a long one alone.
    jobs.sort_by_key(|(path, ..)| std::cmp::Reverse(std::fs::metadata(path).map_or(0, |m| m.len())));
    let objects: Vec<PathBuf> = jobs.iter().map(|(_, object, _)| object.clone()).collect();
    compile_all(jobs, tools, flags, &obj, shown)?;
    let mut link = Command::new("g++");
    link.args(["-shared", "-Wl,-Bsymbolic", "-o"]).arg(work.join(OBJECT)).args(objects).args(runtime);
    link.args(["-pthread", "-latomic"]);
    if options.trace {
        link.arg("-lz");
    }
    tools::run("g++", "linking the model", &mut link)?;
    // The C++ is as large as the model and of no more use.
    std::fs::remove_dir_all(&obj).map_err(Error::io("remove", &obj))
}

/// Compiles `(source, object, level)` on all cores; the first error wins.
fn compile_all(
    jobs: Vec<(PathBuf, PathBuf, &'static str)>,
    tools: &Tools,
    flags: &[String],
    include: &Path,
    shown: &Work,
) -> Result<(), Error> {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    shown.parts(jobs.iter().map(|(source, ..)| size(source)).sum());
    shown.at("g++");
    let next = AtomicUsize::new(0);
    let error: Mutex<Option<Error>> = Mutex::new(None);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores.min(jobs.len()) {
            scope.spawn(|| {
                while let Some((source, object, level)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut command = Command::new("g++");
                    command.args(flags).arg(level).arg("-I").arg(&tools.include);
                    command.arg("-I").arg(tools.include.join("vltstd")).arg("-I").arg(include);
                    command.arg("-c").arg(source).arg("-o").arg(object);
                    if let Err(e) = tools::run("g++", &source.display().to_string(), &mut command) {
                        error.lock().unwrap_or_else(|p| p.into_inner()).get_or_insert(e);
                        return;
                    }
                    shown.done(size(source));
                }
            });
        }
    });
    error.into_inner().unwrap_or_else(|p| p.into_inner()).map_or(Ok(()), Err)
}
