//! Where a model's time goes, by block of the design.
//!
//! Verilator makes a few large functions of all blocks, so that symbols tell nothing. A model that is built for it has a timer
//! that notes where the processor is, some hundred times in a second of its time, and line numbers; and beside it stands which
//! lines of the C++ are of which block: that of the signal which the line's statement assigns or, if it is a condition, asks for
//! first. What is measured is that alone: the compiler moves code between lines, and a signal that crosses a border is of the block
//! that Verilator named it by.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::{Error, tools};

/// Beside the model: a line for each run of lines of one block, as `file first-line block`.
const LINES: &str = "lines";
/// Addresses of one call of `addr2line`.
const CALL: usize = 2000;

/// Behind the shim: `azote_profile_begin()` begins, and `azote_profile_end(&places)` ends and says how many there are. A place is an
/// address in the model's file, or 0 outside of it.
pub(crate) const SAMPLER: &str = r#"
#include <dlfcn.h>
#include <signal.h>
#include <sys/time.h>
#include <ucontext.h>
static uint64_t profile_places[1 << 20];
static uint32_t profile_count;
static void profile_sample(int, siginfo_t*, void* context) {
    const uint32_t n = __atomic_fetch_add(&profile_count, 1, __ATOMIC_RELAXED);
    const auto& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
    const uint64_t at = machine.gregs[REG_RIP];
#else
    const uint64_t at = machine.pc;
#endif
    if (n < sizeof profile_places / sizeof *profile_places) profile_places[n] = at;
}
static void profile_timer(suseconds_t period) {
    const itimerval timer = {{0, period}, {0, period}};
    setitimer(ITIMER_PROF, &timer, nullptr);
}
EXPORT void azote_profile_begin() {
    struct sigaction action = {};
    action.sa_sigaction = profile_sample;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(SIGPROF, &action, nullptr);
    profile_count = 0;
    profile_timer(1000);
}
EXPORT uint32_t azote_profile_end(const uint64_t** places) {
    profile_timer(0);
    /* One may be on its way. */
    signal(SIGPROF, SIG_IGN);
    Dl_info own, other;
    dladdr(&profile_count, &own);
    const uint32_t most = sizeof profile_places / sizeof *profile_places;
    const uint32_t count = profile_count < most ? profile_count : most;
    for (uint32_t n = 0; n < count; ++n) {
        auto& place = profile_places[n];
        const bool ours = dladdr(reinterpret_cast<void*>(place), &other) && other.dli_fbase == own.dli_fbase;
        place = ours ? place - reinterpret_cast<uint64_t>(own.dli_fbase) : 0;
    }
    *places = profile_places;
    return count;
}
"#;

/// Keeps beside the model which lines of its C++, in `obj`, are of which block.
pub(crate) fn keep(work: &Path, obj: &Path, top: &str) -> Result<(), Error> {
    let mut kept = String::new();
    for entry in std::fs::read_dir(obj).map_err(Error::io("list", obj))? {
        let path = entry.map_err(Error::io("list", obj))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.ends_with(".cpp") && name != "shim.cpp" {
            let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
            for (line, block) in blocks(&text, top) {
                kept += &format!("{name} {line} {block}\n");
            }
        }
    }
    let path = work.join(LINES);
    std::fs::write(&path, kept).map_err(Error::io("write", &path))
}

/// The lines, counted from 1, with which another block begins, and its name: `storage.front`, or none at the top.
fn blocks(text: &str, top: &str) -> Vec<(usize, String)> {
    let signal = format!("{top}__DOT__");
    let mut found: Vec<(usize, String)> = Vec::new();
    let (mut begin, mut named) = (1, false);
    for (number, line) in (1..).zip(text.lines()) {
        if !named && let Some((_, path)) = line.split_once(&signal) {
            let parts = path.split("__DOT__").map_while(|part| part.strip_prefix("u_"));
            // The last part is the signal, whatever it is called.
            let depth = path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            let depth = depth.matches("__DOT__").count();
            let block = parts.take(depth).collect::<Vec<_>>().join(".");
            if found.last().is_none_or(|(_, last)| *last != block) {
                found.push((begin, block));
            }
            named = true;
        }
        if line.trim_end().ends_with([';', '{', '}']) {
            (begin, named) = (number + 1, false);
        }
    }
    found
}

/// How many of the places that the model noted are in which block: `storage.front`; none of the top's own, `None` outside of the
/// model.
///
/// # Errors
/// If the model was not built for it, or `addr2line`, which is beside every linker, cannot be run.
pub fn by_block(model: &Path, places: &[u64]) -> Result<BTreeMap<Option<String>, u64>, Error> {
    let path = model.with_file_name(LINES);
    let kept = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    let mut lines: BTreeMap<(&str, usize), &str> = BTreeMap::new();
    for line in kept.lines() {
        if let [file, number, block] = line.splitn(3, ' ').collect::<Vec<_>>()[..] {
            lines.insert((file, number.parse().unwrap_or(0)), block);
        }
    }
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for place in places {
        *counts.entry(*place).or_default() += 1;
    }
    let mut blocks = BTreeMap::from([(None, counts.remove(&0).unwrap_or(0))]);
    let counts: Vec<_> = counts.into_iter().collect();
    for some in counts.chunks(CALL) {
        let mut command = Command::new("addr2line");
        command.arg("-e").arg(model).args(some.iter().map(|(place, _)| format!("{place:#x}")));
        let output = tools::run("addr2line", "the profile", &mut command)?;
        for (said, (_, count)) in String::from_utf8_lossy(&output.stdout).lines().zip(some) {
            *blocks.entry(Some(block_of(said, &lines).to_owned())).or_default() += count;
        }
    }
    Ok(blocks)
}

/// The block of a place that `addr2line` has written as `/folder/file:line (discriminator 3)`. What is of no block of the design is
/// the shim's, Verilator's runtime's and what it needs to know which clock has risen.
fn block_of<'a>(said: &str, lines: &BTreeMap<(&'a str, usize), &'a str>) -> &'a str {
    let place = said.split(' ').next().unwrap_or_default();
    let (file, line) = place.rsplit_once(':').unwrap_or_default();
    let file = file.rsplit('/').next().unwrap_or_default();
    let line = line.parse().unwrap_or(0);
    lines
        .range(..=(file, line))
        .next_back()
        .filter(|((of, _), _)| *of == file)
        .map_or("(around the blocks)", |(_, b)| b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_of_the_block_of_its_first_signal() {
        let text = "void f() {\n    vlSelf->t__DOT__u_a__DOT__u_b__DOT__x\n        = (vlSelf->t__DOT__u_c__DOT__y\n           \
                    & 1U);\n    if (vlSelf->t__DOT__u_a__DOT__u_b__DOT__z) {\n        vlSelf->t__DOT__u_name = 1U;\n    }\n";
        assert_eq!(blocks(text, "t"), [(2, "a.b".into()), (6, String::new())]);
    }

    #[test]
    fn a_place_is_found_by_file_and_line() {
        let lines = BTreeMap::from([(("a.cpp", 5), "front"), (("a.cpp", 9), "queues"), (("b.cpp", 2), "tags")]);
        assert_eq!(block_of("/x/a.cpp:8 (discriminator 2)", &lines), "front");
        assert_eq!(block_of("/x/a.cpp:900", &lines), "queues");
        assert_eq!(block_of("/x/b.cpp:2", &lines), "tags");
        assert_eq!(block_of("/x/b.cpp:1", &lines), "(around the blocks)");
        assert_eq!(block_of("??:0", &lines), "(around the blocks)");
    }
}
