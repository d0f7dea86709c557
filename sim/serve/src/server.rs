//! Sockets, and who is behind them.

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use azote_files::Socket;
use azote_sim::{Bell, Card, Runner};
use azote_vfio_user::Error as WireError;
use azote_vfio_user::wire::{Connection, ERROR, Header, REPLY};

use crate::device::Device;
use crate::messages::Outbox;
use crate::session::Session;
use crate::view::View;
use crate::{Error, Result};

/// What a socket has done so far.
#[derive(Debug, Default)]
pub struct Tally {
    pub requests: AtomicU64,
    pub interrupts: AtomicU64,
    pub message_bytes: AtomicU64,
    pub clients: AtomicU64,
    pub connected: AtomicU64,
    /// Its clients did not answer for their memory in time.
    pub late: Arc<AtomicBool>,
}

/// What a socket has done, for people. Of a client that is still connected, interrupts and messages are counted at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// The function's number.
    pub number: u8,
    /// Its socket.
    pub path: PathBuf,
    /// Clients that said who they are, one after the other.
    pub clients: u64,
    /// One is connected now.
    pub connected: bool,
    /// Their requests: register accesses, mappings, and the rest.
    pub requests: u64,
    /// Interrupts.
    pub interrupts: u64,
    /// Bytes of DMA.
    pub dma_bytes: u64,
    /// Those of them that went by message; the rest by mapped memory.
    pub message_bytes: u64,
}

/// A card and the sockets of its functions. Everything ends, and the sockets are removed, when it is dropped.
pub struct Server {
    card: Card,
    runner: Runner,
    sockets: Vec<Served>,
}

/// Ends a server's sessions from another thread.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

struct Served {
    path: PathBuf,
    /// Until it is stopped; then its file is gone.
    socket: Option<Arc<Socket>>,
    number: u8,
    tally: Arc<Tally>,
    stop: Stop,
    current: Arc<Mutex<Option<Arc<Outbox>>>>,
    thread: Option<JoinHandle<()>>,
}

/// How long a client that comes second may take to say who it is before it is sent away.
const IMPATIENCE: Duration = Duration::from_secs(1);

impl Server {
    /// Starts to clock the card. It has no sockets yet.
    pub fn start(card: &Card) -> Result<Server> {
        let system = |source| Error::System { what: "starting the card's thread", source };
        Ok(Server { card: card.clone(), runner: Runner::start(card).map_err(system)?, sockets: Vec::new() })
    }

    /// Serves a function at a socket. One that was left behind by a server that is gone is replaced.
    pub fn add(&mut self, number: u8, path: &Path) -> Result<()> {
        // The socket last: it must not be left behind by what fails before.
        let device = Device::new(&self.card, number, self.bell())?;
        let view = View::of(&device)?;
        device.ring();
        let socket = Arc::new(Socket::claim(path)?);
        let mut served = Served {
            path: path.to_owned(),
            socket: Some(socket.clone()),
            number,
            tally: Arc::default(),
            stop: Stop::default(),
            current: Arc::default(),
            thread: None,
        };
        let (tally, stop, current) = (served.tally.clone(), served.stop.clone(), served.current.clone());
        let builder = std::thread::Builder::new().name(format!("function {number:02x}"));
        let run = move || accept(socket.listener(), (&device, &view), &tally, &stop, &current);
        served.thread = Some(builder.spawn(run).map_err(|source| Error::System { what: "starting a thread", source })?);
        self.sockets.push(served);
        Ok(())
    }

    fn bell(&self) -> Arc<Bell> {
        self.runner.bell()
    }

    /// What each socket has done.
    #[must_use]
    pub fn counters(&self) -> Vec<Counters> {
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let stats = self.card.root().stats();
        let of = |s: &Served| Counters {
            number: s.number,
            path: s.path.clone(),
            clients: count(&s.tally.clients),
            connected: count(&s.tally.connected) > 0,
            dma_bytes: stats.function(s.number).read_bytes + stats.function(s.number).write_bytes,
            requests: count(&s.tally.requests),
            interrupts: count(&s.tally.interrupts),
            message_bytes: count(&s.tally.message_bytes),
        };
        self.sockets.iter().map(of).collect()
    }

    /// Ends all sessions and removes the sockets. What they did is counted then.
    pub fn stop(&mut self) {
        for served in &self.sockets {
            served.stop.0.store(true, Ordering::Relaxed);
            if let Some(outbox) = &*served.current.lock().unwrap_or_else(PoisonError::into_inner) {
                outbox.connection().close();
            }
            // Wakes it from `accept`, whatever has become of the socket's name.
            if let Some(socket) = &served.socket {
                let _ = rustix::net::shutdown(socket.listener(), rustix::net::Shutdown::Both);
            }
        }
        for served in &mut self.sockets {
            if let Some(thread) = served.thread.take() {
                let _ = thread.join();
            }
            served.socket = None;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Clients that wait for a function, or are being sent away, at one time; more are sent away without a word.
const WAITING: usize = 4;
/// How long a client waits for the one before it. One that has just gone has its function reset, which takes some time; one
/// that is there stays.
const TURN: Duration = Duration::from_millis(500);

/// A number of places, of which a client takes one.
struct Places {
    free: Mutex<usize>,
    changed: Condvar,
}

/// A place, until it is dropped.
struct Place<'a>(&'a Places);

impl Places {
    fn new(free: usize) -> Places {
        Places { free: Mutex::new(free), changed: Condvar::new() }
    }

    fn take(&self, wait: Duration) -> Option<Place<'_>> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(free, wait, |free| *free == 0);
        let (mut free, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(1)?;
        Some(Place(self))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.changed.notify_one();
    }
}

/// Takes clients, one at a time; whoever comes while one is there, and stays, is told so.
fn accept(
    listener: &UnixListener,
    (device, view): (&Device, &View),
    tally: &Tally,
    stop: &Stop,
    current: &Mutex<Option<Arc<Outbox>>>,
) {
    let (seat, queue) = (Places::new(1), Places::new(1 + WAITING));
    std::thread::scope(|scope| {
        while !stop.is_set() {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                // Too many files, say: that passes, or it does not; not at full speed.
                Err(_) => {
                    std::thread::sleep(Duration::from_millis(100));
                    continue;
                }
            };
            if stop.is_set() {
                break;
            }
            let Ok(connection) = Connection::new(stream) else { continue };
            let Some(queued) = queue.take(Duration::ZERO) else { continue };
            let thread = std::thread::Builder::new().name(format!("session {:02x}", device.number()));
            let seat = &seat;
            let started = thread.spawn_scoped(scope, move || {
                match seat.take(TURN) {
                    Some(place) => {
                        one((device, view), connection, tally, stop, current);
                        drop(place);
                    }
                    None => turn_away(&connection),
                }
                drop(queued);
            });
            // No thread to be had: the client sees its socket closed, and may come again.
            if let Err(error) = started {
                tracing::error!("cannot serve a client: {error}");
            }
        }
    });
}

/// A client, from its first message until its function is clean again.
fn one(
    (device, view): (&Device, &View),
    connection: Connection,
    tally: &Tally,
    stop: &Stop,
    current: &Mutex<Option<Arc<Outbox>>>,
) {
    let name = azote_seam::Function::name(device.function()).to_owned();
    let lock = || current.lock().unwrap_or_else(PoisonError::into_inner);
    let mut session = match Session::new(device, view.clone(), connection, tally) {
        Ok(session) => session,
        Err(error) => return tracing::error!("{name}: {error}"),
    };
    tally.connected.store(1, Ordering::Relaxed);
    *lock() = Some(session.outbox());
    // The server may have looked for it just before.
    if !stop.is_set() {
        match session.run() {
            WireError::Closed => tracing::info!("{name}: its client is gone"),
            error => tracing::warn!("{name}: its client is sent away: {error}"),
        }
    }
    *lock() = None;
    drop(session);
    tally.connected.store(0, Ordering::Relaxed);
}

/// Tells a second client that the function has one.
fn turn_away(connection: &Connection) {
    if let Ok(message) = connection.receive(Some(Instant::now() + IMPATIENCE)) {
        let error = rustix::io::Errno::BUSY.raw_os_error() as u32;
        let header =
            Header { id: message.header.id, command: message.header.command, flags: REPLY | ERROR, error, size: 0 };
        let _ = connection.send(header, &[], &[]);
    }
    connection.close();
}
