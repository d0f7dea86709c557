//! Synthesis by yosys: from the card's Verilog to LUTs, and what each block takes.
//!
//! The design is flattened, as it is for the device, so that the numbers are those of what is placed: nothing is counted
//! that the optimiser took out across a border. Block names survive in the names of the cells (`names`).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::cells::Netlist;
use crate::paths::Called;
use crate::work::{self, Job};
use crate::{Error, device, names};

/// What installs yosys.
const REMEDY: &str = "apt-get install yosys";
/// What `synth_ecp5` does between `coarse` and `map_ram`, but for SHARE: that makes one shifter of two in different blocks when
/// only one is needed in a clock, and joins their paths to one through both blocks.
const COARSE: &str = "\
proc
flatten
tribuf -logic
deminout
opt_expr
opt_clean
check
opt -nodffe -nosdff
fsm
opt
wreduce
peepopt
opt_clean
techmap -map +/cmp2lut.v -D LUT_WIDTH=4
opt_expr
opt_clean
techmap -map +/mul2dsp.v -map +/ecp5/dsp_map.v -D DSP_A_MAXWIDTH=18 -D DSP_B_MAXWIDTH=18 -D DSP_A_MINWIDTH=2 \
-D DSP_B_MINWIDTH=2 -D DSP_NAME=$__MUL18X18
chtype -set $mul t:$__soft_mul
alumacc
opt
memory -nomap
opt_clean";
/// How ABC makes LUTs of the logic. LUT4s alone: they take one place in 25 fewer than LUTs of up to seven inputs, which are several with
/// multiplexers behind them (`synth_ecp5 -abc9`: 29,605 and 28,491 places for the core with 8 VFs). Which of them is faster is not known yet.
/// Two rounds for depth: the second finds two in a hundred that the first has not.
const MAP: &str = "\
strash
&get -n
&fraig -x
&put
scorr
dc2
strash
dch -f
if -K 4
mfs2
strash
dch -f
if -K 4
mfs2 -a
";
/// Raised when the meaning of what is kept changes.
const VERSION: &str = "1";

/// A synthesized design, and where its netlist is.
#[derive(Debug, Clone)]
pub struct Synthesis {
    /// Counts by block.
    pub netlist: Netlist,
    /// yosys's netlist for nextpnr.
    pub json: PathBuf,
    /// First words of `yosys -V`.
    pub tool: String,
    /// The hash of everything that went in.
    pub key: String,
}

impl Synthesis {
    /// What the registers of the netlist are called in the source.
    pub(crate) fn called(&self) -> Result<Called, Error> {
        let path = self.json.with_file_name("called.json");
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        serde_json::from_str(&text).map_err(|e| Error::format(&path, e))
    }
}

/// What yosys is to do.
fn script(top: &str) -> String {
    // Memories are counted as they are declared, before they are cut into the device's; then everything else.
    format!(
        "read_verilog -sv design.sv\n\
         synth_ecp5 -nomux -top {top} -run begin:coarse\n\
         {COARSE}\n\
         json -o memories.json t:$mem*\n\
         synth_ecp5 -nomux -top {top} -run map_ram:map_luts\n\
         techmap -map +/ecp5/latches_map.v\n\
         abc -dress -lut 4 -script map.abc\n\
         clean\n\
         synth_ecp5 -nomux -top {top} -run map_cells:\n\
         write_json netlist.json\n"
    )
}

/// The hash of everything that a synthesis is made from.
pub(crate) fn key(design: &azote_hdl::Design) -> Result<String, Error> {
    // What the printer remarks for readers makes no other netlist.
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let code: Vec<_> = design.text.lines().filter(is_code).collect();
    Ok(work::key(&[VERSION, &version()?, &script(&design.top), MAP, &code.join("\n")]))
}

/// Synthesizes `design`, or finds what was made from the same text before.
pub fn synthesize(design: &azote_hdl::Design, what: &str) -> Result<Synthesis, Error> {
    let (tool, key) = (version()?, key(design)?);
    let (top, script) = (&design.top, script(&design.top));
    let folder = work::once(&format!("synth-{key}"), |folder| {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(Error::io("write", &path))
        };
        write("design.sv", &design.text)?;
        write("script.ys", &script)?;
        write("map.abc", MAP)?;
        let log = folder.join("yosys.log");
        let job = Job { program: "yosys", what, log: &log, remedy: REMEDY };
        let mut command = Command::new("yosys");
        command.current_dir(folder).args(["-s", "script.ys"]);
        job.run(&mut command, |line| {
            let step = line.split_once(". Executing ")?;
            Some(step.1.trim_end_matches('.').to_owned())
        })?;
        let (netlist, called) = count(&folder.join("netlist.json"), &folder.join("memories.json"), top)?;
        let text = serde_json::to_string_pretty(&netlist).map_err(|e| Error::format(folder, e))?;
        write("cells.json", &text)?;
        let text = serde_json::to_string(&called).map_err(|e| Error::format(folder, e))?;
        write("called.json", &text)
    })?;
    let path = folder.join("cells.json");
    let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    let netlist = serde_json::from_str(&text).map_err(|e| Error::format(&path, e))?;
    Ok(Synthesis { netlist, json: folder.join("netlist.json"), tool, key })
}

/// The first words of `yosys -V`: part of the key, for another yosys makes another netlist.
pub(crate) fn version() -> Result<String, Error> {
    let output = Command::new("yosys").arg("-V").output().map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::Missing { program: "yosys".into(), remedy: REMEDY },
        _ => Error::Io { what: "run", path: "yosys".into(), source },
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

fn read(path: &Path) -> Result<Value, Error> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    serde_json::from_slice(&bytes).map_err(|e| Error::format(path, e))
}

/// The cells of a module of a netlist: name, type, and the whole.
fn cells<'a>(json: &'a Value, top: &str, path: &Path) -> Result<Vec<(&'a str, &'a str, &'a Value)>, Error> {
    let cells = json["modules"][top]["cells"].as_object();
    let cells = cells.ok_or_else(|| Error::format(path, format!("no cells of `{top}`")))?;
    Ok(cells.iter().map(|(name, cell)| (name.as_str(), cell["type"].as_str().unwrap_or_default(), cell)).collect())
}

/// What each register of a netlist is called in the source: after the signal at its output.
fn called(json: &Value, top: &str, path: &Path) -> Result<Called, Error> {
    let nets = json["modules"][top]["netnames"].as_object();
    let nets = nets.ok_or_else(|| Error::format(path, format!("no nets of `{top}`")))?;
    // A register's output is a signal of its block and, as a port, of others; the printer calls it `_q` in its block alone.
    let mut signals: HashMap<u64, &str> = HashMap::new();
    for (name, net) in nets.iter().filter(|(name, _)| name.ends_with("_q")) {
        for bit in net["bits"].as_array().into_iter().flatten().filter_map(Value::as_u64) {
            signals.insert(bit, name);
        }
    }
    let mut called = Called::new();
    for (name, kind, cell) in cells(json, top, path)? {
        let output = cell["connections"]["Q"][0].as_u64().filter(|_| kind == "TRELLIS_FF");
        if let Some(signal) = output.and_then(|bit| signals.get(&bit)) {
            called.insert(name.to_owned(), (*signal).to_owned());
        }
    }
    Ok(called)
}

/// Counts what each block takes.
fn count(netlist: &Path, memories: &Path, top: &str) -> Result<(Netlist, Called), Error> {
    let mut counted = Netlist::default();
    let json = read(netlist)?;
    let called = called(&json, top, netlist)?;
    for (name, kind, _) in cells(&json, top, netlist)? {
        let name = called.get(name).map_or(name, String::as_str);
        counted.blocks.entry(names::block(name)).or_default().cells.count(kind);
    }
    let json = read(memories)?;
    for (name, _, cell) in cells(&json, top, memories)? {
        let number = |key: &str| {
            let bits = cell["parameters"][key].as_str().and_then(|b| u64::from_str_radix(b, 2).ok());
            bits.ok_or_else(|| Error::format(memories, format!("the memory {name} has no {key}")))
        };
        counted.blocks.entry(names::block(name)).or_default().ram_bits += number("SIZE")? * number("WIDTH")?;
    }
    Ok((counted, called))
}

/// Does it fit the device at all?
///
/// # Errors
/// If not, which resource there is too little of.
pub fn fits(netlist: &Netlist) -> Result<(), Error> {
    let cells = netlist.whole().cells;
    for (what, used, have) in [
        ("LUT4s", cells.places(), device::LUTS),
        ("flip-flops", cells.ff, device::FFS),
        ("block RAMs", cells.block_ram, device::BLOCK_RAMS),
        ("multipliers", cells.multiplier, device::MULTIPLIERS),
    ] {
        if used > have {
            return Err(Error::TooLarge { what, used, have });
        }
    }
    Ok(())
}
