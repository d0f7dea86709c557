//! The server: accepts connections and gives each its threads.

use std::{
    collections::HashMap,
    io,
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use super::{
    export::Export,
    listen::{Listen, Listener, Stream},
    negotiate::negotiate,
    session,
};
use crate::{Error, Stop};

/// Connections at a time; nbdcopy takes four, qemu one or a few.
const MAX_CONNECTIONS: usize = 64;
/// How long a client may be silent during the handshake.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// How often a server without news looks for new connections and for its end.
const LOOK: Duration = Duration::from_millis(5);

/// A server that listens.
pub struct Server {
    listener: Listener,
}

impl Server {
    /// Binds the address; clients that connect now wait until [`Self::serve`].
    pub fn bind(listen: &Listen) -> Result<Self, Error> {
        Ok(Self { listener: Listener::bind(listen)? })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<Listen, Error> {
        self.listener.address().map_err(|source| Error::Io { what: "asking for the server's address".into(), source })
    }

    /// Serves until `stop`: connections are closed then, requests that have arrived are finished.
    pub fn serve(self, exports: Vec<Export>, stop: &Stop) {
        let open: Mutex<HashMap<u64, Stream>> = Mutex::default();
        let lock = || open.lock().unwrap_or_else(PoisonError::into_inner);
        let exports = &exports;
        thread::scope(|scope| {
            let mut serial = 0u64;
            while !stop.is_stopped() {
                let stream = match self.listener.accept() {
                    Ok(Some(stream)) => stream,
                    Ok(None) => {
                        thread::sleep(LOOK);
                        continue;
                    }
                    Err(e) => {
                        tracing::warn!("accept: {e}");
                        thread::sleep(LOOK);
                        continue;
                    }
                };
                if lock().len() >= MAX_CONNECTIONS {
                    tracing::warn!("more than {MAX_CONNECTIONS} connections; one was refused");
                    stream.close();
                    continue;
                }
                let Ok(handle) = stream.try_clone() else { continue };
                serial += 1;
                let id = serial;
                lock().insert(id, handle);
                let lock = &lock;
                scope.spawn(move || {
                    if let Err(e) = connection(stream, exports) {
                        tracing::debug!("connection {id}: {e}");
                    }
                    lock().remove(&id);
                });
            }
            for stream in lock().values() {
                stream.close();
            }
        });
    }
}

fn connection(mut stream: Stream, exports: &[Export]) -> io::Result<()> {
    stream.set_timeout(Some(HANDSHAKE))?;
    let Some((export, terms)) = negotiate(&mut stream, exports)? else { return Ok(()) };
    stream.set_timeout(None)?;
    let result = session::run(stream.try_clone()?, export, terms);
    stream.close();
    result
}
