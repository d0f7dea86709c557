//! `azote nbd`.

use std::{fmt::Write as _, io::Write, time::Duration};

use serde_json::{Value, json};

use super::{human, latency, print};
use crate::{
    Error, Result,
    args::Nbd,
    card::{Card, controller},
    nbd::{Export, Server, Stats, Stop},
    target::Target,
};

pub(super) fn run(card: &dyn Card, arguments: &Nbd, out: &mut dyn Write, stop: &Stop) -> Result<()> {
    let Nbd { target, listen, json, .. } = arguments;
    let targets = chosen(card, target)?;
    // The address first: a port that is taken should not cost the start of a controller.
    let server = Server::bind(listen)?;
    let address = server.address()?;
    let (mut exports, mut engines, mut text) = (Vec::new(), Vec::new(), String::new());
    for target in &targets {
        let name = target.to_string();
        let c = controller(card, target)?;
        let description = format!("{} at {}", c.identity().model, c.function().name());
        let (export, engine) = Export::start(&name, &description, c)?;
        let export = export.with_allocation(card.allocation(target)?);
        let uri = address.uri(&name);
        let _ = if *json {
            let value = json!({
                "event": "start", "export": name, "uri": uri, "bytes": export.size, "read_only": export.read_only,
            });
            writeln!(text, "{value}")
        } else {
            let access = if export.read_only { ", read-only" } else { "" };
            writeln!(text, "{name}: {uri} ({}{access})", human(export.size))
        };
        exports.push(export);
        engines.push((name, engine));
    }
    // Before anybody is told that it is there, who may end it at once.
    stop.set_orderly();
    print(out, &text)?;
    server.serve(exports, stop);
    let mut text = String::new();
    for (name, engine) in engines {
        let (mut controller, stats) = engine.join()?;
        text += &if *json {
            format!("{}\n", value(&name, &stats, card.clock_period()))
        } else {
            summary(&name, &stats, card.clock_period())
        };
        // A shutdown makes a volume durable, too, but has no way to say that it could not.
        if controller.namespace().is_some_and(|ns| !ns.read_only) {
            controller.flush()?;
        }
        controller.shutdown()?;
    }
    print(out, &text)?;
    match card.report().filter(|_| !json) {
        Some(report) => print(out, &report),
        None => Ok(()),
    }
}

/// The functions to export or serve: those that were named, or all that have a volume.
pub(super) fn chosen(card: &dyn Card, targets: &[Target]) -> Result<Vec<Target>> {
    let mut chosen = targets.to_vec();
    if chosen.is_empty() {
        let listed = card.list()?;
        let bound = listed.iter().filter(|f| f.has_volume()).filter_map(|f| f.id);
        chosen = bound.map(|id| Target::Storage(id.role)).collect();
    }
    chosen.sort();
    chosen.dedup();
    if chosen.is_empty() {
        return Err(Error::Usage("nothing to export: name a function, or bind a volume to a VF with --volume".into()));
    }
    Ok(chosen)
}

fn value(name: &str, s: &Stats, period: Option<Duration>) -> Value {
    json!({
        "event": "end", "export": name, "commands": s.commands, "bytes_read": s.bytes_read,
        "bytes_written": s.bytes_written, "errors": s.errors, "latency": latency::value_of_export(&s.latency, period),
    })
}

fn summary(name: &str, s: &Stats, period: Option<Duration>) -> String {
    let (read, written) = (human(s.bytes_read), human(s.bytes_written));
    let mut text = format!("{name}: {} commands, {read} read, {written} written, {} errors\n", s.commands, s.errors);
    if s.commands > 0 {
        text += &latency::of_export(&s.latency, period);
    }
    text
}
