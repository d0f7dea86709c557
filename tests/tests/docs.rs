//! What the documents say is what the code says.

use std::path::Path;

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn tables_and_listings_are_those_of_the_code() {
    for (name, tables) in azote_tests::tables::documents().unwrap() {
        let old = page(name);
        let new = azote_tests::tables::fill(&old, &tables).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(
            new == old,
            "{name} is out of date: run `cargo xtask docs`, and look at the numbers in the text around them"
        );
    }
}

#[test]
fn views_of_waves_show_signals_that_there_are() {
    for (name, text) in azote_tests::tables::files().unwrap() {
        assert!(page(name) == text, "{name} is out of date: run `cargo xtask docs`");
    }
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let pages = std::fs::read_dir(docs).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages = pages.filter(|name| name.ends_with(".md")).map(|name| format!("docs/{name}"));
    for name in pages.chain(["README.md".to_owned(), "driver/README.md".to_owned()]) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(&name).parent().unwrap().to_owned();
        for link in page(&name).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !link.contains("://") {
                assert!(folder.join(file).exists(), "{name}: nothing at {link}");
            }
        }
    }
}
