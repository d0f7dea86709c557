//! The C++ between Rust and the model: written for the ports at hand, the same four calls for every model.

use std::fmt::Write;

use crate::{Dir, Error, Port, Source};

/// Verilator's name of a public port: it keeps a double underscore apart from its own separators.
fn member(name: &str) -> String {
    name.replace("__", "___05F")
}

/// Refuses ports that cannot be reached by name.
pub(crate) fn check(source: &Source) -> Result<(), Error> {
    for (index, port) in source.ports.iter().enumerate() {
        let bad = |reason| Error::Port { top: source.top.clone(), port: port.name.clone(), reason };
        if port.width == 0 {
            return Err(bad("its width is 0; a port has at least one bit"));
        }
        if port.name.is_empty() || !port.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(bad("only letters, digits and `_` can be reached from C++; rename it in the printed text"));
        }
        if source.ports[..index].iter().any(|other| other.name == port.name) {
            return Err(bad("it is listed twice"));
        }
    }
    Ok(())
}

/// The generic shim's text.
pub(crate) fn text(source: &Source, prefix: &str) -> String {
    let mut out = String::new();
    let mut poke = String::new();
    let mut peek = String::new();
    for (index, port) in source.ports.iter().enumerate() {
        if port.dir == Dir::In {
            let _ = writeln!(poke, "    case {index}: {} break;", poke_line(port));
        }
        let _ = writeln!(peek, "    case {index}: {} break;", peek_line(port));
    }
    let clocked = source.ports.iter().any(|p| p.name == "clock" && p.dir == Dir::In);
    let edge = if clocked { "s->top->clock = 1; step(s); s->top->clock = 0; step(s);" } else { "step(s);" };
    let _ = write!(
        out,
        r#"{preamble}
struct Sim {{ VerilatedContext* context; {prefix}* top; Wave* wave; }};
static inline void step(Sim* s) {{
    s->top->eval();
    wave_dump(s->wave, s->context);
    s->context->timeInc(1);
}}
EXPORT Sim* azote_new(uint32_t seed) {{
    auto* c = new VerilatedContext;
    start(c, seed);
    return new Sim{{c, new {prefix}{{c, "{top}"}}, nullptr}};
}}
EXPORT void azote_free(Sim* s) {{
    release(s);
}}
EXPORT void azote_eval(Sim* s) {{ step(s); }}
EXPORT void azote_clock(Sim* s, uint64_t n) {{ for (; n; --n) {{ {edge} }} }}
EXPORT void azote_poke(Sim* s, uint32_t port, const uint32_t* w) {{
    switch (port) {{
{poke}    default: break;
    }}
}}
EXPORT void azote_peek(Sim* s, uint32_t port, uint32_t* w) {{
    switch (port) {{
{peek}    default: break;
    }}
}}
EXPORT int32_t azote_trace(Sim* s, const char* path) {{
    wave_close(s->wave); s->wave = nullptr;
    return path ? wave_open(s->top, s->context, &s->wave, path) : 0;
}}
"#,
        preamble = preamble(prefix),
        top = source.top,
    );
    out
}

/// What every shim starts with: the model's header, the exported linkage, a start value, waves, and the end.
pub(crate) fn preamble(prefix: &str) -> String {
    format!(
        r#"#include "{prefix}.h"
#include "verilated.h"
#include <cstdint>
#include <sstream>
#include <string>
#if VM_TRACE
#include "verilated_fst_c.h"
#endif
#define EXPORT extern "C" __attribute__((visibility("default")))
/* The first check that failed in this thread's last calls. A model is evaluated by one thread at a time, and that thread
   asks before it does anything else. */
static thread_local std::string check_what;
extern "C" void azote_check_failed(const char* what) {{ if (check_what.empty()) check_what = what; }}
EXPORT const char* azote_failed() {{ return check_what.empty() ? nullptr : check_what.c_str(); }}
EXPORT void azote_forgive() {{ check_what.clear(); }}
/* seed 0: what has no initial value starts at zero; else at random values of that seed */
static inline void start(VerilatedContext* c, uint32_t seed) {{
    c->randReset(seed ? 2 : 0);
    if (seed) c->randSeed(static_cast<int>(seed));
#if VM_TRACE
    c->traceEverOn(true);
#endif
}}
#if VM_TRACE
typedef VerilatedFstC Wave;
/* blocks: scopes to write, a line each, or null for all */
static int wave_open({prefix}* top, VerilatedContext* c, Wave** wave, const char* path, const char* blocks = nullptr) {{
    auto* w = new Wave;
    for (std::istringstream lines{{blocks ? blocks : ""}}; !lines.eof();) {{
        std::string scope;
        std::getline(lines, scope);
        if (!scope.empty()) w->dumpvars(99, scope);
    }}
    top->trace(w, 99);
    w->open(path);
    if (!w->isOpen()) {{ delete w; return 2; }}
    *wave = w;
    return 0;
}}
static inline void wave_dump(Wave* w, VerilatedContext* c) {{ if (w) w->dump(c->time()); }}
static inline void wave_close(Wave* w) {{ if (w) {{ w->close(); delete w; }} }}
#else
struct Wave;
static inline int wave_open({prefix}*, VerilatedContext*, Wave**, const char*, const char* = nullptr) {{ return 1; }}
static inline void wave_dump(Wave*, VerilatedContext*) {{}}
static inline void wave_close(Wave*) {{}}
#endif
/* The end of a model with its context and waves. A model's scopes are taken from the thread's current context: without the
   second line from that of whichever model ran last. */
template <class Sim> static void release(Sim* s) {{
    wave_close(s->wave);
    Verilated::threadContextp(s->context);
    s->top->final();
    delete s->top;
    delete s->context;
    delete s;
}}
"#
    )
}

fn poke_line(port: &Port) -> String {
    let name = member(&port.name);
    match port.width {
        1..=32 => format!("s->top->{name} = w[0];"),
        33..=64 => format!("s->top->{name} = static_cast<uint64_t>(w[1]) << 32 | w[0];"),
        _ => format!("for (int i = 0; i < {}; ++i) s->top->{name}[i] = w[i];", port.words()),
    }
}

fn peek_line(port: &Port) -> String {
    let name = member(&port.name);
    match port.width {
        1..=32 => format!("w[0] = s->top->{name};"),
        33..=64 => format!("w[0] = s->top->{name}; w[1] = s->top->{name} >> 32;"),
        _ => format!("for (int i = 0; i < {}; ++i) w[i] = s->top->{name}[i];", port.words()),
    }
}
