//! `azote id`.

use std::{fmt::Write as _, io::Write};

use azote_nvme::Descriptor;

use super::{human, print};
use crate::{
    Result,
    card::{Card, controller},
    target::Target,
};

pub(super) fn run(card: &dyn Card, target: &Target, out: &mut dyn Write) -> Result<()> {
    let c = controller(card, target)?;
    let id = c.identity();
    let (major, minor) = (id.version >> 16, id.version >> 8 & 0xff);
    let mut text = format!(
        "function        {}\nmodel           {}\nserial          {}\nfirmware        {}\nNVMe            {major}.{minor}\n\
         subsystem       {}\nI/O queues      {} of {} entries\nlargest I/O     {}\n",
        c.function().name(),
        id.model,
        id.serial,
        id.firmware,
        id.nqn,
        c.queues(),
        c.depth() + 1,
        human(c.max_transfer()),
    );
    match c.namespace() {
        None => text += "namespace       none: no volume is bound\n",
        Some(ns) => {
            let access = if ns.read_only { ", read-only" } else { "" };
            let (blocks, block, size) = (ns.blocks, ns.block_size(), human(ns.bytes()));
            // Writing to a String can not fail.
            let _ = writeln!(text, "namespace       {}: {blocks} blocks of {block} bytes, {size}{access}", ns.id);
            for descriptor in &ns.descriptors {
                let (name, bytes) = match descriptor {
                    Descriptor::Eui64(b) => ("EUI-64", &b[..]),
                    Descriptor::Nguid(b) => ("NGUID", &b[..]),
                    Descriptor::Uuid(b) => ("UUID", &b[..]),
                };
                let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
                let _ = writeln!(text, "{name:15} {hex}");
            }
        }
    }
    c.shutdown()?;
    print(out, &text)
}
