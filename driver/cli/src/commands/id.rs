//! `azote id`.

use std::{fmt::Write as _, io::Write};

use azote_nvme::{Controller, Descriptor};
use serde_json::{Value, json};

use super::{human, print, print_json};
use crate::{
    Result,
    args::Facts,
    card::{Card, controller},
};

pub(super) fn run(card: &dyn Card, facts: &Facts, out: &mut dyn Write) -> Result<()> {
    let c = controller(card, &facts.target)?;
    let (text, value) = (words(&c), value(&c));
    c.shutdown()?;
    if facts.json { print_json(out, &value) } else { print(out, &text) }
}

/// What the controller allows, which is not what this program makes of it.
fn words(c: &Controller) -> String {
    let id = c.identity();
    let mut text = format!(
        "function        {}\nmodel           {}\nserial          {}\nfirmware        {}\nNVMe            {}\n\
         subsystem       {}\nI/O queues      {} of up to {} entries\nlargest I/O     {}\n",
        c.function().name(),
        id.model,
        id.serial,
        id.firmware,
        version(id.version),
        id.nqn,
        c.most_queues(),
        c.most_entries(),
        c.most_transfer().map_or_else(|| "no limit".into(), human),
    );
    match c.namespace() {
        None => text += "namespace       none: no volume is bound\n",
        Some(ns) => {
            let access = if ns.read_only { ", read-only" } else { "" };
            let (blocks, block, size) = (ns.blocks, ns.block_size(), human(ns.bytes()));
            // Writing to a String can not fail.
            let _ = writeln!(text, "namespace       {}: {blocks} blocks of {block} bytes, {size}{access}", ns.id);
            for descriptor in &ns.descriptors {
                let (name, hex) = named(descriptor);
                let _ = writeln!(text, "{name:15} {hex}");
            }
        }
    }
    text
}

fn value(c: &Controller) -> Value {
    let id = c.identity();
    let namespace = c.namespace().map(|ns| {
        let identifiers = ns.descriptors.iter().map(named).map(|(name, hex)| (name.to_owned(), hex.into()));
        json!({
            "id": ns.id,
            "blocks": ns.blocks,
            "block_size": ns.block_size(),
            "bytes": ns.bytes(),
            "read_only": ns.read_only,
            "identifiers": identifiers.collect::<serde_json::Map<_, _>>(),
        })
    });
    json!({
        "function": c.function().name(),
        "vendor": id.vendor,
        "model": id.model,
        "serial": id.serial,
        "firmware": id.firmware,
        "nvme": version(id.version),
        "subsystem": id.nqn,
        "controller": id.controller,
        "io_queues": c.most_queues(),
        "queue_entries": c.most_entries(),
        "largest_io": c.most_transfer(),
        "volatile_write_cache": id.write_cache,
        "namespace": namespace,
    })
}

fn version(vs: u32) -> String {
    format!("{}.{}", vs >> 16, vs >> 8 & 0xff)
}

fn named(descriptor: &Descriptor) -> (&'static str, String) {
    let (name, bytes) = match descriptor {
        Descriptor::Eui64(b) => ("EUI-64", &b[..]),
        Descriptor::Nguid(b) => ("NGUID", &b[..]),
        Descriptor::Uuid(b) => ("UUID", &b[..]),
    };
    (name, bytes.iter().map(|b| format!("{b:02x}")).collect())
}
