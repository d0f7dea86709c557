//! What `cargo xtask docs` writes into the documents: register tables from the constants of the register crate and the
//! card's own template of configuration space, and what moves on the ports from the simulation. A test says if a document
//! is older than they are.

mod config;
mod figures;
mod nvme;
mod pci;
mod views;

use std::fmt::Write;

use crate::path::Path;

/// A table with its name.
pub type Table = (&'static str, String);

/// The documents that have tables, with those tables.
///
/// # Errors
/// If the card cannot be simulated.
pub fn documents() -> crate::Result<Vec<(&'static str, Vec<Table>)>> {
    let path = |write| -> crate::Result<String> {
        let text = Path { write, depth: 1, commands: 1, waves: None }.run()?;
        // The first line says where in the simulation this is, which nobody needs to know here.
        let listing = text.split_once('\n').map_or("", |(_, rest)| rest);
        Ok(format!("```text\n{listing}```\n"))
    };
    let paths = vec![("path-read", path(false)?), ("path-write", path(true)?)];
    Ok(vec![
        ("docs/programmers-guide.md", registers()),
        ("docs/path-of-a-read.md", paths),
        ("docs/measurements.md", figures::tables()?),
    ])
}

/// Files that are written whole: what a viewer of waves shows first.
///
/// # Errors
/// If the card's RTL cannot be printed.
pub fn files() -> crate::Result<Vec<(&'static str, String)>> {
    views::files()
}

/// The figures that the documents tell, as the bench printed them.
///
/// # Errors
/// If they are not there, or not the bench's lines.
pub fn told() -> crate::Result<Vec<serde_json::Value>> {
    figures::read()
}

/// The tables of the programmer's guide.
#[must_use]
pub fn registers() -> Vec<Table> {
    let mut all = pci::tables();
    all.extend(config::tables());
    all.extend(nvme::tables());
    all
}

/// The page with every `<!-- table NAME -->` … `<!-- end -->` filled in anew.
///
/// # Errors
/// A line: a table that no place asks for, a place that asks for no table, a place without an end.
pub fn fill(page: &str, tables: &[Table]) -> Result<String, String> {
    let mut used = Vec::new();
    let mut out = String::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let _ = writeln!(out, "{line}");
        let Some(name) = line.strip_prefix("<!-- table ").and_then(|l| l.strip_suffix(" -->")) else { continue };
        let (name, text) = tables.iter().find(|t| t.0 == name).ok_or_else(|| format!("there is no table `{name}`"))?;
        used.push(*name);
        let _ = writeln!(out, "\n{text}");
        if !lines.any(|line| line == "<!-- end -->") {
            return Err(format!("the place of table `{name}` has no <!-- end -->"));
        }
        out.push_str("<!-- end -->\n");
    }
    match tables.iter().find(|t| !used.contains(&t.0)) {
        Some((name, _)) => Err(format!("the page has no place for table `{name}`")),
        None => Ok(out),
    }
}

/// A table in Markdown.
fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut out = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(N));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out
}

/// What the register crate says of a constant: the comment above it in this source, without its full stop.
///
/// # Panics
/// If the source has no such constant, which a test would show.
fn said(source: &str, name: &str) -> String {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let starts = |line: &str| {
        line.strip_prefix("pub const ").is_some_and(|l| l.starts_with(&format!("{name}:")))
            || line.starts_with(&format!("{name} = "))
    };
    let Some(at) = lines.iter().position(|l| starts(l)) else { panic!("the register crate has no constant {name}") };
    let comment = lines[..at].iter().rev().map_while(|l| l.strip_prefix("///"));
    let mut words: Vec<&str> = comment.map(str::trim).collect();
    words.reverse();
    // A link of rustdoc's leads nowhere in a document.
    words.join(" ").trim_end_matches('.').replace('|', "\\|").replace("[`", "`").replace("`]", "`")
}

/// The same without what stands before the first colon: a module's prefix.
fn said_after_colon(source: &str, name: &str) -> String {
    let text = said(source, name);
    text.split_once(": ").map_or(text.clone(), |(_, rest)| rest.to_owned())
}

/// `[hi:lo]`, or `[n]`.
fn bits(field: azote_regs::Field) -> String {
    if field.width == 1 { format!("[{}]", field.lo) } else { format!("[{}:{}]", field.hi(), field.lo) }
}

fn hex(v: u64, digits: usize) -> String {
    format!("`{v:0digits$x}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_found_above_its_constant() {
        let source = "/// Not this.\npub const AB: u64 = 1;\n/// Group: this\n/// one (here).\npub const A: u64 = 2;";
        assert_eq!(said(source, "A"), "Group: this one (here)");
        assert_eq!(said_after_colon(source, "A"), "this one (here)");
        assert_eq!(said("/// As [`B`].\npub const C: u64 = 1;", "C"), "As `B`");
    }

    #[test]
    fn a_page_says_what_it_lacks() {
        let tables = [("sun", "| sun |\n".to_owned())];
        assert!(fill("nothing", &tables).unwrap_err().contains("no place for table `sun`"));
        assert_eq!(fill("<!-- table moon -->\n", &tables).unwrap_err(), "there is no table `moon`");
        assert!(fill("<!-- table sun -->\n", &tables).unwrap_err().contains("no <!-- end -->"));
        let new = "a\n<!-- table sun -->\n\n| sun |\n\n<!-- end -->\nb\n";
        assert_eq!(fill("a\n<!-- table sun -->\nold\n<!-- end -->\nb\n", &tables).unwrap(), new);
        assert_eq!(fill(new, &tables).unwrap(), new);
    }
}
