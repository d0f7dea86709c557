//! `azote serve`: functions of a simulated card as PCI devices of other people's machines.

use std::{
    fmt::Write as _,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use azote_regs::{function::FunctionId, ids};
use azote_serve::Server;

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

/// Serves until `stop`, then says what was done.
pub fn run(card: &SimCard, places: Places<'_>, out: &mut dyn Write, stop: &Stop) -> Result<()> {
    let functions = places.list(card)?;
    azote_serve::raise_file_limit();
    let mut server = Server::start(card.card())?;
    let mut text = String::new();
    for (id, name, path) in &functions {
        server.add(id.number(), path)?;
        text += &describe(card, *id, name, path)?;
    }
    let example = functions.first().map_or_else(PathBuf::new, |(_, _, path)| path.clone());
    text += &usage(&example);
    print(out, &text)?;
    stop.set_orderly();
    while !stop.is_stopped() {
        std::thread::sleep(Duration::from_millis(100));
    }
    server.stop();
    print(out, &summary(&server, &functions))?;
    match card.report() {
        Some(report) => print(out, &report),
        None => Ok(()),
    }
}

fn describe(card: &SimCard, id: FunctionId, name: &str, path: &Path) -> Result<String> {
    let listed = card.list()?.into_iter().find(|f| f.id == Some(id));
    let volume = match listed {
        None => return Err(Error::NoFunction { target: name.into(), known: "it is not enabled".into() }),
        Some(f) if f.has_volume() => format!("volume {}", f.volume),
        Some(_) => "no volume".into(),
    };
    Ok(format!("{name}: {} ({:04x}:{:04x}, {volume})\n", path.display(), ids::VENDOR, ids::device(id.kind)))
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

fn summary(server: &Server, functions: &[(FunctionId, String, PathBuf)]) -> String {
    let mut text = String::new();
    for c in server.counters() {
        let name = functions.iter().find(|(id, ..)| id.number() == c.number).map_or("?", |(_, name, _)| name);
        // Writing to a String can not fail.
        let _ = writeln!(
            text,
            "{name}: {} client(s), {} requests, {} interrupts, DMA {} by mapped memory and {} by message",
            c.clients,
            c.requests,
            c.interrupts,
            human(c.dma_bytes.saturating_sub(c.message_bytes)),
            human(c.message_bytes),
        );
    }
    text
}
