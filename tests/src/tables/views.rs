//! Saved views of the card's waves for GTKWave and Surfer: the ports, stream by stream, and every register whose values have
//! names, by block. Made from the RTL, so that what they show is there.

use std::fmt::Write;

use azote_hdl::Design;

use crate::Result;

/// The card as the wave file calls it: the model's name, then the module's.
const TOP: &str = "azote_card.azote_card";
/// Ports of the card by what they belong to, and what that is.
const STREAMS: [(&str, &str); 9] = [
    ("rx_", "link to card"),
    ("tx_", "card to link"),
    ("mreq_", "requests to the medium"),
    ("mdone_", "answers of the medium"),
    ("mget_", "calls for data"),
    ("mrd_", "data from the medium"),
    ("mwr_", "data to the medium"),
    ("erx_", "frames from the wire"),
    ("etx_", "frames to the wire"),
];

/// A signal of a view: its name, its width, and whether its values have names.
struct Signal {
    name: String,
    width: usize,
    named: bool,
}

/// The files, by their path in the repository.
pub fn files() -> Result<Vec<(&'static str, String)>> {
    let groups = groups(&azote_rtl::card(4)?);
    Ok(vec![("docs/views/card.gtkw", gtkwave(&groups)), ("docs/views/card.sucl", surfer(&groups))])
}

fn groups(design: &Design) -> Vec<(String, Vec<Signal>)> {
    let port = |name: &str, width| Signal { name: format!("{TOP}.{name}"), width, named: false };
    let these = |names: &[&str]| {
        design.ports.iter().filter(|p| names.contains(&p.name.as_str())).map(|p| port(&p.name, p.width)).collect()
    };
    let prefixed = |prefix: &str| {
        design.ports.iter().filter(|p| p.name.starts_with(prefix)).map(|p| port(&p.name, p.width)).collect::<Vec<_>>()
    };
    let mut groups: Vec<(String, Vec<Signal>)> = vec![("clock".into(), these(&["clock"]))];
    groups.push(("clocks of the engines".into(), prefixed("engine_clock_")));
    for (prefix, what) in STREAMS {
        groups.push((what.into(), prefixed(prefix)));
    }
    groups.push(("work of its own".into(), these(&["busy", "awake"])));
    let mut states = Vec::new();
    for (path, module) in azote_verilate::instances(&design.text, &design.top) {
        let named = registers(&design.text, &module).into_iter().map(|(register, width)| Signal {
            name: format!("{TOP}.{path}.{register}_name"),
            width,
            named: true,
        });
        states.extend(named);
    }
    groups.push(("states".into(), states));
    groups
}

/// The registers of a module whose values have names, with their widths: `// st_q[4:0]: IDLE=0 …`.
fn registers(text: &str, module: &str) -> Vec<(String, usize)> {
    let head = format!("module {module}(");
    let lines = text.lines().skip_while(|line| *line != head).take_while(|line| *line != "endmodule");
    let registers = lines.filter_map(|line| {
        let (signal, _) = line.strip_prefix("  // ")?.split_once(": ")?;
        let (name, range) = signal.split_once("_q[")?;
        Some((name.to_owned(), range.strip_suffix(":0]")?.parse::<usize>().ok()? + 1))
    });
    registers.collect()
}

/// GTKWave's save file: a line of flags for what follows (0x200 a remark, 0x28 binary, 0x22 hexadecimal, both right-justified,
/// and bit 32 for values with names), then a name.
fn gtkwave(groups: &[(String, Vec<Signal>)]) -> String {
    let mut out =
        String::from("[*] gtkwave WAVES.fst docs/views/card.gtkw; written by `cargo xtask docs`\n[timestart] 0\n");
    for (what, signals) in groups {
        let _ = writeln!(out, "@200\n-{what}");
        for Signal { name, width, named } in signals {
            let (flags, range) = match (named, width) {
                (true, _) => ("100000028", format!("[{}:0]", width - 1)),
                (false, 1) => ("28", String::new()),
                (false, _) => ("22", format!("[{}:0]", width - 1)),
            };
            // A state is called by its block: they are all `st_name`.
            let short = name.strip_prefix(TOP).unwrap_or(name).replace(".u_", ".").replace("_name", "");
            let alias = if *named { format!("+{{{}}} ", short.trim_start_matches('.')) } else { String::new() };
            let _ = writeln!(out, "@{flags}\n{alias}{name}{range}");
        }
    }
    out
}

/// Surfer's commands.
fn surfer(groups: &[(String, Vec<Signal>)]) -> String {
    let mut out =
        String::from("# surfer WAVES.fst --command-file docs/views/card.sucl; written by `cargo xtask docs`\n");
    for (what, signals) in groups {
        let _ = writeln!(out, "divider_add {what}");
        for signal in signals {
            let _ = writeln!(out, "variable_add {}", signal.name);
        }
    }
    out + "zoom_fit\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_is_shown_and_every_block_with_states() {
        let design = azote_rtl::card(1).unwrap();
        let groups = groups(&design);
        let shown: Vec<_> = groups.iter().flat_map(|(_, signals)| signals).map(|s| s.name.as_str()).collect();
        for port in design.ports.iter().filter(|p| p.name != "reset") {
            assert!(shown.contains(&format!("{TOP}.{}", port.name).as_str()), "{}", port.name);
        }
        for block in ["u_core.u_completer", "u_storage.u_front", "u_storage.u_admin.u_commands"] {
            assert!(shown.contains(&format!("{TOP}.{block}.st_name").as_str()), "{block}: {shown:?}");
        }
    }
}
