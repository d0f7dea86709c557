//! `azote net stats`.

use std::io::Write;

use azote_regs::virtio::net::feature;
use serde_json::json;

use super::super::{print, print_json};
use crate::args::net::NetFacts;
use crate::{Result, card::Card};

/// Features by name.
const FEATURES: [(u32, &str); 14] = [
    (feature::CSUM, "CSUM"),
    (feature::GUEST_CSUM, "GUEST_CSUM"),
    (feature::HOST_TSO4, "HOST_TSO4"),
    (feature::HOST_TSO6, "HOST_TSO6"),
    (feature::HOST_ECN, "HOST_ECN"),
    (feature::MRG_RXBUF, "MRG_RXBUF"),
    (feature::CTRL_VQ, "CTRL_VQ"),
    (feature::CTRL_RX, "CTRL_RX"),
    (feature::CTRL_VLAN, "CTRL_VLAN"),
    (feature::GUEST_ANNOUNCE, "GUEST_ANNOUNCE"),
    (feature::MQ, "MQ"),
    (feature::CTRL_MAC_ADDR, "CTRL_MAC_ADDR"),
    (feature::NOTF_COAL, "NOTF_COAL"),
    (feature::VQ_NOTF_COAL, "VQ_NOTF_COAL"),
];

pub(super) fn run(card: &dyn Card, facts: &NetFacts, out: &mut dyn Write) -> Result<()> {
    let net = super::open(card, &facts.target.0)?;
    let link = net.link()?;
    let mac = net.mac().map(|byte| format!("{byte:02x}")).join(":");
    let features: Vec<_> = FEATURES.iter().filter(|(bit, _)| net.has(*bit)).map(|(_, name)| *name).collect();
    let mtu = net.mtu();
    drop(net);
    let port = card.ethernet();
    if facts.json {
        let port = port.map(|port| {
            json!({
                "sent": port.sent, "sent_bytes": port.sent_bytes, "lost": port.lost, "given": port.given,
                "given_bytes": port.given_bytes, "unfit": port.unfit,
            })
        });
        let value = json!({
            "mac": mac, "mtu": mtu, "features": features, "port": port,
            "link": { "up": link.up, "mbps": link.speed, "full_duplex": link.full_duplex },
        });
        return print_json(out, &value);
    }
    let state = if link.up { "up" } else { "down" };
    let speed = link.speed.map_or("speed unknown".into(), |speed| format!("{speed} Mb/s"));
    let duplex = if link.full_duplex { "full duplex" } else { "half duplex or unknown" };
    let mut text = format!(
        "address            {mac}\nmtu                {mtu}\nlink               {state}, {speed}, {duplex}\n\
         features           {}\n",
        features.join(" ")
    );
    if let Some(port) = port {
        text += &format!(
            "port sent          {} frames, {} bytes, {} of them lost\nport received      {} frames, {} bytes; {} unfit\n",
            port.sent, port.sent_bytes, port.lost, port.given, port.given_bytes, port.unfit
        );
    }
    print(out, &text)
}
