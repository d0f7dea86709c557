//! What a person sees of a design beside its signals: the names of states, and which block is inside of which.

use std::collections::{BTreeMap, BTreeSet};

/// The text with a second signal beside each register whose values have names: `st_name`, an enumeration, which a viewer of
/// waves shows by name. The printer says the names in a comment of the module: `// st_q[4:0]: IDLE=0 GO=1`.
pub(crate) fn with_states(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let mut used = BTreeSet::new();
    for line in text.lines() {
        out.push_str(line);
        out.push('\n');
        if line.starts_with("module ") {
            used.clear();
        } else if let Some(states) = enumeration(line, &mut used) {
            out.push_str(&states);
        }
    }
    out
}

/// The enumeration of a comment, and a signal of it. A name that the module has used is told apart by the register's.
fn enumeration(line: &str, used: &mut BTreeSet<String>) -> Option<String> {
    let (signal, names) = line.trim().strip_prefix("// ")?.split_once(": ")?;
    let (signal, range) = signal.split_once('[')?;
    let register = signal.strip_suffix("_q")?;
    let width: usize = range.strip_suffix(":0]")?.parse::<usize>().ok()? + 1;
    let mut items = Vec::new();
    let mut values = BTreeSet::new();
    for item in names.split(' ') {
        let (name, value) = item.split_once('=')?;
        let value: u64 = value.parse().ok()?;
        // Of two names of a value the first counts.
        if !values.insert(value) {
            continue;
        }
        let name = if used.insert(name.to_owned()) { name.to_owned() } else { format!("{register}_{name}") };
        items.push(format!("{name} = {width}'d{value}"));
    }
    let (kind, items) = (format!("{register}_names"), items.join(", "));
    Some(format!(
        "  typedef enum logic [{}:0] {{{items}}} {kind};\n  {kind} {register}_name;\n  \
         assign {register}_name = {kind}'({signal});\n",
        width - 1
    ))
}

/// The paths of all instances below the top, as `u_storage.u_front`, each with its module, in the order of the text.
#[must_use]
pub fn instances(text: &str, top: &str) -> Vec<(String, String)> {
    let mut modules: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    let mut inside = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("module"), Some(name), _) => {
                let name = name.trim_end_matches(['(', ';']);
                modules.entry(name).or_default();
                inside = Some(name);
            }
            (Some(kind), Some(name), Some(rest)) if rest.starts_with('(') => {
                if let Some(module) = inside.and_then(|module| modules.get_mut(module)) {
                    module.push((kind, name));
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(&modules, top, "", &mut found, 0);
    found
}

/// More levels than any design has: a text that contains itself ends there.
const DEEPEST: usize = 32;

fn walk(
    modules: &BTreeMap<&str, Vec<(&str, &str)>>,
    module: &str,
    path: &str,
    found: &mut Vec<(String, String)>,
    depth: usize,
) {
    for (kind, name) in modules.get(module).into_iter().flatten() {
        if modules.contains_key(kind) && depth < DEEPEST {
            let path = if path.is_empty() { (*name).to_owned() } else { format!("{path}.{name}") };
            found.push((path.clone(), (*kind).to_owned()));
            walk(modules, kind, &path, found, depth + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_become_an_enumeration_beside_their_register() {
        let text = "module A(\n);\n  logic [1:0] st_q;\n  // st_q[1:0]: IDLE=0 GO=2 ALSO=2\n  // tx_q[0:0]: IDLE=0\n\
                    endmodule\nmodule B(\n);\n  // st_q[1:0]: IDLE=0\n  // a remark: b\nendmodule\n";
        let named = with_states(text);
        assert!(named.contains("typedef enum logic [1:0] {IDLE = 2'd0, GO = 2'd2} st_names;"), "{named}");
        assert!(named.contains("assign st_name = st_names'(st_q);"), "{named}");
        assert!(named.contains("typedef enum logic [0:0] {tx_IDLE = 1'd0} tx_names;"), "{named}");
        assert_eq!(named.matches("typedef").count(), 3, "{named}");
    }

    #[test]
    fn instances_are_found_below_the_top_alone() {
        let text = "module Leaf(\n);\nendmodule\nmodule Mid(\n);\n  Leaf u_a (.x(x));\n  always @(posedge clock) if (a) b;\n\
                    endmodule\nmodule top(\n);\n  Mid u_m (.x(x));\n  Other u_o (.x(x));\nendmodule\n\
                    module Alone(\n);\n  Leaf u_z (.x(x));\nendmodule\n";
        let pair = |path: &str, module: &str| (path.to_owned(), module.to_owned());
        assert_eq!(instances(text, "top"), [pair("u_m", "Mid"), pair("u_m.u_a", "Leaf")]);
        assert_eq!(instances("module t(\n);\n  t u_t (.x(x));\nendmodule\n", "t").len(), DEEPEST);
    }
}
