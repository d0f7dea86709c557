//! Each rule catches what it is for, and leaves alone what it is not.

#![allow(clippy::unwrap_used)] // test helpers fail by panicking

use azote_lint::{Allowed, check};

/// Lines and first words of what is found.
fn found(path: &str, text: &str) -> Vec<(usize, String)> {
    let findings = check(path, text, Allowed::of(path)).unwrap();
    findings.into_iter().map(|f| (f.line, f.what.chars().take(14).collect())).collect()
}

fn is(lines: &[(usize, &str)]) -> Vec<(usize, String)> {
    lines.iter().map(|(line, what)| (*line, (*what).to_owned())).collect()
}

#[test]
fn hdl_gen_is_refused_wherever_it_stands() {
    let text = "#[hdl_gen]\nimpl Logic for A { fn update(&mut self) {} }";
    assert_eq!(found("hdl/tests/a.rs", text), is(&[(1, "`hdl_gen` prin")]));
    assert_eq!(found("card/src/a.rs", "use rust_hdl::core::prelude::hdl_gen;"), is(&[(1, "`hdl_gen` prin")]));
    assert_eq!(found("card/src/a.rs", "m! { x\n#[rust_hdl::hdl_gen] impl A {} }"), is(&[(2, "`hdl_gen` prin")]));
    assert_eq!(found("card/src/a.rs", "// hdl_gen\n/// hdl_gen\nconst A: &str = \"hdl_gen\";"), is(&[]));
}

#[test]
fn verilog_as_text_is_for_primitives_only() {
    for text in [
        "fn f() -> Verilog { Verilog::Custom(String::new()) }",
        "fn f() -> Verilog { ast::Verilog::Wrapper(w) }",
        "fn f() -> Verilog { Verilog::Blackbox(b) }",
        "use rust_hdl::core::ast::Verilog::{self, Custom};",
        "use rust_hdl::core::ast::Verilog::*;",
        "use rust_hdl::core::ast::Verilog as Text;",
        "m!(Verilog::Custom(s));",
    ] {
        assert_eq!(found("card/src/a.rs", text), is(&[(1, "Verilog as tex")]), "{text}");
        assert_eq!(found("hdl/tests/a.rs", text), is(&[(1, "Verilog as tex")]), "{text}");
        assert_eq!(found("hdl/src/prim/a.rs", text), is(&[]), "{text}");
        assert_eq!(found("hdl/src/print/a.rs", text), is(&[]), "{text}");
    }
    assert_eq!(found("card/src/a.rs", "fn f() -> Verilog { Verilog::Empty }"), is(&[]));
}

#[test]
fn logic_by_hand_is_refused() {
    let by_hand = "impl<const N: usize> Logic for A<N> { fn update(&mut self) {} }";
    assert_eq!(found("card/src/a.rs", by_hand), is(&[(1, "`impl Logic` b")]));
    assert_eq!(found("card/src/a.rs", "impl rust_hdl::core::logic::Logic for A {}"), is(&[(1, "`impl Logic` b")]));
    assert_eq!(found("hdl/src/prim/a.rs", by_hand), is(&[]));
    assert_eq!(found("hdl/tests/a.rs", by_hand), is(&[]));
    assert_eq!(found("hdl/src/signal.rs", by_hand), is(&[]));
    assert_eq!(found("card/src/a.rs", &format!("#[kernel] {by_hand}")), is(&[]));
    assert_eq!(found("card/src/a.rs", &format!("#[azote_hdl::kernel] {by_hand}")), is(&[]));
    let hidden = "macro_rules! b { ($n:ident) => {\n impl Logic for $n { fn update(&mut self) {} } } }";
    assert_eq!(found("card/src/a.rs", hidden), is(&[(2, "`impl Logic` i")]));
}

#[test]
fn guards_are_refused_in_kernels_and_pure_functions_and_nowhere_else() {
    let body = "{ match x {\n 1 if y => 2,\n _ => 3 } }";
    let kernel = format!("#[kernel] impl Logic for A {{ fn update(&mut self) {body} }}");
    assert_eq!(found("card/src/a.rs", &kernel), is(&[(2, "a match guard ")]));
    assert_eq!(found("card/src/a.rs", &format!("#[pure] fn f(x: V) -> V {body}")), is(&[(2, "a match guard ")]));
    assert_eq!(found("card/src/a.rs", &format!("fn f(x: u8) -> u8 {body}")), is(&[]));
}

#[test]
fn the_hardware_of_this_repository_is_clean() {
    let rtl = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_azote-lint")).arg(rtl).output().unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
}

#[test]
fn the_program_says_where_and_fails() {
    let folder = std::env::temp_dir().join(format!("azote-lint-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("card/src")).unwrap();
    std::fs::write(folder.join("card/src/a.rs"), "\n#[hdl_gen]\nimpl Logic for A {}\n").unwrap();
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_azote-lint")).arg(&folder).output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let text = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(text.contains("card/src/a.rs:2: `hdl_gen`") && text.contains("card/src/a.rs:3: `impl Logic`"), "{text}");
    assert!(text.ends_with("2 place(s) break the rules of the hardware's source (rtl/lint/src/lib.rs)\n"), "{text}");
}
