//! `azote serve`: functions of a simulated card as PCI devices of other people's machines.

use std::{
    fmt::Write as _,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use azote_regs::{
    function::{FunctionId, Role},
    pcie::{header, sriov},
};
use azote_seam::{Capabilities, Function};
use azote_serve::Server;
use serde_json::json;

use super::{human, nbd::chosen, print};
use crate::{Error, Result, args::SocketSpec, card::Card, nbd::Stop, sim::SimCard, target::Target};

/// What is to be served, and where.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// Functions whose sockets go to `folder`; with none of these and no `sockets`, all that have a volume.
    pub targets: &'a [Target],
    /// Where those go.
    pub folder: Option<&'a Path>,
    /// Functions with a place of their own.
    pub sockets: &'a [SocketSpec],
}

impl Places<'_> {
    /// Every function with its socket, each once.
    fn list(&self, card: &SimCard) -> Result<Vec<(FunctionId, String, PathBuf)>> {
        if self.targets.is_empty() && !self.sockets.is_empty() && self.folder.is_some() {
            let what =
                "--socket-dir has no effect: every function that is served has a --socket; name those that go there";
            return Err(Error::Usage(what.into()));
        }
        let mut list: Vec<(Target, PathBuf)> =
            self.sockets.iter().map(|s| (s.target.clone(), s.path.clone())).collect();
        if !self.targets.is_empty() || self.sockets.is_empty() {
            let folder = self.folder.ok_or_else(|| Error::Usage("give --socket-dir, too".into()))?;
            std::fs::create_dir_all(folder).map_err(|source| Error::File { path: folder.to_owned(), source })?;
            let targets = chosen(card, self.targets)?;
            list.extend(targets.into_iter().map(|t| (t.clone(), folder.join(format!("{t}.sock")))));
        }
        let mut seen: Vec<&Target> = Vec::new();
        let mut functions = Vec::new();
        for (target, path) in &list {
            let Some(id) = target.id() else {
                return Err(Error::Usage(format!("{target}: name functions as vf0, vf1, … here")));
            };
            if seen.contains(&target) {
                return Err(Error::Usage(format!("{target} is given twice; a function has one socket")));
            }
            card.open(target)?;
            seen.push(target);
            functions.push((id, target.to_string(), path.clone()));
        }
        Ok(functions)
    }
}

/// Serves until `stop`, then says what was done; with `json`, one object a function each time.
pub fn run(card: &SimCard, places: Places<'_>, json: bool, out: &mut dyn Write, stop: &Stop) -> Result<()> {
    let functions = places.list(card)?;
    azote_serve::raise_file_limit();
    let mut server = Server::start(card.card())?;
    let mut text = String::new();
    for (id, name, path) in &functions {
        server.add(id.number(), path)?;
        text += &describe(card, *id, name, path, json)?;
    }
    if !json {
        let example = functions.first().map_or_else(PathBuf::new, |(_, _, path)| path.clone());
        text += &usage(&example);
    }
    card.connect()?;
    // Before anybody is told that it is there, who may end it at once.
    stop.set_orderly();
    print(out, &text)?;
    let mut follows = true;
    while !stop.is_stopped() {
        std::thread::sleep(Duration::from_millis(100));
        if let Some(Err(e)) = follows.then(|| card.follow_sizes()) {
            // What is served goes on with the sizes that it has.
            tracing::error!("sizes of volumes are not looked at any more: {e}");
            follows = false;
        }
    }
    server.stop();
    print(out, &summary(&server, &functions, json))?;
    match card.report().filter(|_| !json) {
        Some(report) => print(out, &report),
        None => Ok(()),
    }
}

fn describe(card: &SimCard, id: FunctionId, name: &str, path: &Path, json: bool) -> Result<String> {
    let listed = card.list()?.into_iter().find(|f| f.id == Some(id));
    let Some(listed) = listed else {
        return Err(Error::NoFunction { target: name.into(), known: "it is not enabled".into() });
    };
    let (vendor, device) = ids(card, id)?;
    if json {
        let volume = &listed.json()["volume"];
        let value = json!({
            "event": "start", "function": name, "socket": path, "vendor": vendor, "device": device, "volume": volume,
        });
        return Ok(format!("{value}\n"));
    }
    let volume = if listed.has_volume() { format!("volume {}", listed.volume) } else { "no volume".into() };
    Ok(format!("{name}: {} ({vendor}:{device}, {volume})\n", path.display()))
}

/// Vendor and device of a function; those of a VF are told by its PF.
fn ids(card: &SimCard, id: FunctionId) -> Result<(String, String)> {
    let missing = || Error::NoFunction { target: format!("{id:?}"), known: "it has no physical function".into() };
    let pf = card.card().function(FunctionId::pf(id.kind).number()).ok_or_else(missing)?;
    let device = match (id.role, Capabilities::read(&*pf)?.find_extended(sriov::ID)) {
        (Role::Vf(_), Some(at)) => pf.config_read16(at + sriov::VF_DEVICE_ID)?,
        _ => pf.config_read16(header::DEVICE_ID)?,
    };
    Ok((format!("{:04x}", pf.config_read16(header::VENDOR_ID)?), format!("{device:04x}")))
}

/// What to type at the other end. QEMU's 5 seconds for an answer are too few for a simulation, and without memory that is
/// shared every byte is a message.
fn usage(socket: &Path) -> String {
    let socket = socket.display();
    format!(
        "
QEMU 11:  -object memory-backend-memfd,id=m,size=1G,share=on -m 1G -machine q35,memory-backend=m \\
          -device pcie-root-port,id=rp0,slot=0,chassis=1 \\
          -device '{{\"driver\":\"vfio-user-pci\",\"bus\":\"rp0\",\"x-msg-timeout\":60000,\"socket\":{{\"type\":\"unix\",\"path\":\"{socket}\"}}}}'
Azote:    azote run --user-device socket={socket} --kernel … ; azote id vfio-user:{socket}

Ctrl-C ends it.
"
    )
}

fn summary(server: &Server, functions: &[(FunctionId, String, PathBuf)], json: bool) -> String {
    let mut text = String::new();
    for c in server.counters() {
        let name = functions.iter().find(|(id, ..)| id.number() == c.number).map_or("?", |(_, name, _)| name);
        let mapped = c.dma_bytes.saturating_sub(c.message_bytes);
        // Writing to a String can not fail.
        let _ = if json {
            let value = json!({
                "event": "end", "function": name, "clients": c.clients, "requests": c.requests,
                "interrupts": c.interrupts, "dma_mapped_bytes": mapped, "dma_message_bytes": c.message_bytes,
            });
            writeln!(text, "{value}")
        } else {
            writeln!(
                text,
                "{name}: {} client(s), {} requests, {} interrupts, DMA {} by mapped memory and {} by message",
                c.clients,
                c.requests,
                c.interrupts,
                human(mapped),
                human(c.message_bytes),
            )
        };
    }
    text
}
