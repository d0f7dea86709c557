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

#[test]
fn figures_of_the_card_are_those_that_are_told() {
    let bench = std::process::Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["storage", "--quick", "--json"])
        .output()
        .unwrap();
    assert!(bench.status.success(), "{}", String::from_utf8_lossy(&bench.stderr));
    let text = String::from_utf8(bench.stdout).unwrap();
    let told = azote_tests::tables::told().unwrap();
    let mut compared = 0;
    for line in text.lines() {
        let measured: serde_json::Value = serde_json::from_str(line).unwrap();
        let Some(name) = measured["name"].as_str() else { continue };
        let told = told.iter().find(|figure| figure["name"] == name);
        assert_eq!(
            told,
            Some(&measured),
            "{name} is out of date: `cargo xtask bench storage --json > docs/figures.json`, then `cargo xtask docs`"
        );
        compared += 1;
    }
    assert!(compared >= 10, "{compared} figures");
}

#[test]
fn the_path_of_a_read_tells_the_clock_of_its_listing() {
    let text = page("docs/path-of-a-read.md");
    let (before, _) = text.split_once(" clocks later the interrupt is on the link").unwrap();
    let told = before.rsplit(' ').next().unwrap();
    // The last packet from the card in the listing of the read: the message, from its first beat on.
    let listing = text.split_once("<!-- table path-read -->").unwrap().1;
    let sent = listing.lines().take_while(|line| *line != "<!-- end -->").filter(|line| line.contains("  tx "));
    let message = sent.last().unwrap();
    assert!(message.contains("MWr") && message.trim_start().starts_with(&format!("{told} to ")), "{told}: {message}");
    // And the sum of its steps is the figure.
    let latency = azote_tests::tables::told().unwrap();
    let latency = latency.iter().find(|figure| figure["name"] == "storage.latency.read.4k.qd1").unwrap();
    let clocks = format!("**{:.0}**", latency["value"].as_f64().unwrap());
    assert!(text.lines().any(|line| line.contains("**together**") && line.contains(&clocks)), "{clocks}");
}
