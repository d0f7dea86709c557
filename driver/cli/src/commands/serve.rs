//! `azote serve`: functions of a simulated card as PCI devices of other people's machines.

use std::{fmt::Write as _, io::Write, path::Path, time::Duration};

use azote_regs::function::FunctionId;
use azote_serve::Server;

use super::{human, nbd::chosen, print};
use crate::{Error, Result, card::Card, nbd::Stop, sim::SimCard, target::Target};

/// Serves until `stop`, then says what was done.
pub fn run(card: &SimCard, targets: &[Target], folder: &Path, out: &mut dyn Write, stop: &Stop) -> Result<()> {
    let targets = chosen(card, targets)?;
    std::fs::create_dir_all(folder).map_err(|source| Error::File { path: folder.to_owned(), source })?;
    let mut server = Server::start(card.card())?;
    let mut text = String::new();
    for target in &targets {
        let Some(id) = target.id() else {
            return Err(Error::Usage(format!("{target}: name functions as vf0, vf1, … here")));
        };
        let path = folder.join(format!("{target}.sock"));
        server.add(id.number(), &path)?;
        text += &describe(card, id, target, &path)?;
    }
    text += "\nQEMU 11:  -object memory-backend-memfd,id=m,size=SIZE,share=on -machine q35,memory-backend=m \\\n            \
             -device '{\"driver\":\"vfio-user-pci\",\"x-msg-timeout\":60000,\"socket\":{\"type\":\"unix\",\"path\":\"SOCKET\"}}'\n\
             Azote:    azote run --user-device socket=SOCKET …\n\nCtrl-C ends it.\n";
    print(out, &text)?;
    while !stop.is_stopped() {
        std::thread::sleep(Duration::from_millis(100));
    }
    server.stop();
    print(out, &summary(&server))?;
    match card.report() {
        Some(report) => print(out, &report),
        None => Ok(()),
    }
}

fn describe(card: &SimCard, id: FunctionId, target: &Target, path: &Path) -> Result<String> {
    let listed = card.list()?.into_iter().find(|f| f.id == Some(id));
    let volume = listed.map_or_else(String::new, |f| format!(", volume {}", f.volume));
    Ok(format!("{target}: {}{volume}\n", path.display()))
}

fn summary(server: &Server) -> String {
    let mut text = String::new();
    for c in server.counters() {
        let _ = writeln!(
            text,
            "{}: {} client(s), {} requests, {} interrupts, {} by message",
            c.path.file_stem().unwrap_or_default().to_string_lossy(),
            c.clients,
            c.requests,
            c.interrupts,
            human(c.message_bytes),
        );
    }
    text
}
