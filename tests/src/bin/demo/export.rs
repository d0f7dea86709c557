//! The NBD server over the card's virtual functions, in a thread of its own.

use std::path::Path;
use std::thread::JoinHandle;

use azote_cli::nbd::{Engine, Export, Listen, Server, Stats, Stop};
use azote_nvme::{Completions, Options as NvmeOptions};
use azote_sim::Card;
use azote_tests::rig::controller;
use azote_tests::{Error, Result};

/// Bytes of memory for each driver's queues and buffers.
const DMA: u64 = 16 << 20;

/// A server with its exports.
pub struct Exports {
    address: Listen,
    stop: Stop,
    server: JoinHandle<()>,
    engines: Vec<Engine>,
}

fn wrong(error: impl std::fmt::Display) -> Error {
    Error::Wrong(error.to_string())
}

impl Exports {
    /// Opens a driver on each storage VF and serves it as `vf0`, `vf1`, ... at the unix socket `path`.
    pub fn start(card: &Card, vfs: &[u8], path: &Path) -> Result<Exports> {
        let server = Server::bind(&Listen::Unix(path.to_owned())).map_err(wrong)?;
        let address = server.address().map_err(wrong)?;
        let (mut exports, mut engines) = (Vec::new(), Vec::new());
        for vf in vfs {
            let options = NvmeOptions { completions: Completions::Interrupts, ..NvmeOptions::default() };
            let driver = controller(card, *vf, DMA, options)?;
            let (export, engine) = Export::start(&format!("vf{vf}"), "demonstration", driver).map_err(wrong)?;
            exports.push(export);
            engines.push(engine);
        }
        let stop = Stop::default();
        let server = {
            let stop = stop.clone();
            std::thread::Builder::new()
                .name("nbd".into())
                .spawn(move || server.serve(exports, &stop))
                .map_err(|source| Error::Io { what: "start the server at", path: path.to_owned(), source })?
        };
        Ok(Exports { address, stop, server, engines })
    }

    /// The address of a VF's export.
    pub fn uri(&self, vf: u8) -> String {
        self.address.uri(&format!("vf{vf}"))
    }

    /// Ends the server, shuts the controllers down, and says what each did.
    pub fn stop(self) -> Result<Vec<Stats>> {
        self.stop.stop();
        self.server.join().map_err(|_| wrong("the NBD server ended in a panic"))?;
        let mut all = Vec::new();
        for engine in self.engines {
            let (controller, stats) = engine.join().map_err(wrong)?;
            controller.shutdown()?;
            all.push(stats);
        }
        Ok(all)
    }
}
