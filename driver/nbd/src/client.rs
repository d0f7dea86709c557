//! A server's export as a disk: every call ends in a bounded time, over as many connections as that takes.
//!
//! A server that is killed may take with it what it had answered and was not asked to make durable, and the next flush, on a
//! new connection, would still succeed. So the client keeps what is not durable yet, and on a new connection writes
//! it again before anything else. What is kept is bounded: beyond that it asks for a flush of its own.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::haggle::Terms;
use crate::link::{Answer, Failure, Link, Request};
use crate::wire::{self, command, errno, flag, meta, transmission};
use crate::{Error, Result, Uri};

/// How a client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Nothing is written.
    pub read_only: bool,
    /// How long a request may take, new connections included, before it has failed.
    pub patience: Duration,
}

impl Settings {
    /// How long a request may take unless told otherwise: less than the 30 s after which Linux resets a controller.
    pub const PATIENCE: Duration = Duration::from_secs(20);
}

/// From one attempt to connect to the next.
const AGAIN: Duration = Duration::from_millis(200);
/// The most that is kept for a server that may die.
const KEPT: usize = 32 << 20;
/// The longest request without data; what a server takes longer for than one is patient is no request.
const LONG: u64 = 32 << 20;
/// The block of a volume.
const BLOCK: u32 = 512;

/// A change that may not be durable.
#[derive(Debug)]
struct Kept {
    serial: u64,
    command: u16,
    flags: u16,
    offset: u64,
    len: u32,
    data: Vec<u8>,
    /// The server has answered it.
    answered: bool,
}

impl Kept {
    fn request(&self) -> Request<'_> {
        Request { command: self.command, flags: self.flags, offset: self.offset, len: self.len, data: &self.data }
    }
}

#[derive(Debug, Default)]
struct State {
    link: Option<Arc<Link>>,
    connecting: bool,
    terms: Terms,
    kept: Vec<Arc<Mutex<Kept>>>,
    bytes: usize,
    serial: u64,
    /// Something that was to be kept is not.
    lost: bool,
    /// Why there is no connection.
    why: String,
}

/// An export.
#[derive(Debug)]
pub struct Client {
    uri: Uri,
    settings: Settings,
    state: Mutex<State>,
    changed: Condvar,
    /// Its size, as the server said last.
    size: AtomicU64,
}

impl Client {
    /// Connects once; later a connection that ends is made anew.
    ///
    /// # Errors
    /// If the server is not there, or its export cannot be a volume that is used so.
    pub fn open(uri: &Uri, settings: Settings) -> Result<Client> {
        let link = Link::open(uri, Instant::now() + settings.patience, settings.patience)?;
        let terms = link.terms;
        let text = uri.to_string();
        if terms.size < u64::from(BLOCK) {
            return Err(Error::Small { uri: text, bytes: terms.size });
        }
        if terms.least > BLOCK {
            return Err(Error::Blocks { uri: text, least: terms.least });
        }
        if terms.has(transmission::READ_ONLY) && !settings.read_only {
            return Err(Error::ReadOnly { uri: text });
        }
        let state = State { link: Some(Arc::new(link)), terms, ..State::default() };
        let size = AtomicU64::new(terms.size);
        Ok(Client { uri: uri.clone(), settings, state: Mutex::new(state), changed: Condvar::new(), size })
    }

    /// Which export it is.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Bytes of the export now: a server that comes again may have another size.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// How long a request may take.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.settings.patience
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn terms(&self) -> Terms {
        self.lock().terms
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// What the server says, or that it does not answer.
    pub fn read(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let most = self.longest();
        for (piece, at) in out.chunks_mut(most).zip((offset..).step_by(most)) {
            let request = Request { command: command::READ, flags: 0, offset: at, len: piece.len() as u32, data: &[] };
            piece.copy_from_slice(&self.call(&request)?.data);
        }
        Ok(())
    }

    /// Writes bytes; `durable`: and has them durable.
    ///
    /// # Errors
    /// As above.
    pub fn write(&self, data: &[u8], offset: u64, durable: bool) -> io::Result<()> {
        let most = self.longest();
        for (piece, at) in data.chunks(most).zip((offset..).step_by(most)) {
            self.change(command::WRITE, 0, at, piece.len() as u32, piece, durable)?;
        }
        if durable && !self.terms().has(transmission::SEND_FUA) { self.flush() } else { Ok(()) }
    }

    /// Whether a write can be made durable without a flush of everything.
    #[must_use]
    pub fn has_fua(&self) -> bool {
        self.terms().has(transmission::SEND_FUA)
    }

    /// Makes bytes zero; `give_back`: they may become a hole, else they stay allocated. (TRIM is never asked for: what it leaves
    /// is anything, and a volume's blocks that were given back are zero.)
    ///
    /// # Errors
    /// As above.
    pub fn zero(&self, offset: u64, len: u64, give_back: bool) -> io::Result<()> {
        let (mut at, end) = (offset, offset.saturating_add(len));
        let can = self.terms().has(transmission::SEND_WRITE_ZEROES);
        let most = if can { LONG } else { self.longest().min(1 << 20) as u64 };
        let zeroes = vec![0; if can { 0 } else { most.min(len) as usize }];
        while at < end {
            let n = (end - at).min(most);
            if can {
                let flags = if give_back { 0 } else { flag::NO_HOLE };
                self.change(command::WRITE_ZEROES, flags, at, n as u32, &[], false)?;
            } else {
                self.change(command::WRITE, 0, at, n as u32, &zeroes[..n as usize], false)?;
            }
            at += n;
        }
        Ok(())
    }

    /// Makes all changes durable that were answered before.
    ///
    /// # Errors
    /// As above; and if a server that came again did not take what it may have lost.
    pub fn flush(&self) -> io::Result<()> {
        let covered: Vec<u64> = {
            let state = self.lock();
            state.kept.iter().map(|kept| lock(kept)).filter(|kept| kept.answered).map(|kept| kept.serial).collect()
        };
        if self.terms().has(transmission::SEND_FLUSH) {
            self.call(&Request { command: command::FLUSH, flags: 0, offset: 0, len: 0, data: &[] })?;
        }
        let mut state = self.lock();
        state.forget(|kept| covered.binary_search(&kept.serial).is_ok());
        if state.lost {
            return Err(io::Error::other("a server that was started anew did not take again what it may have lost"));
        }
        Ok(())
    }

    /// Whether there is nothing at `offset` but a hole, which reads as zeroes, and up to which offset, at most `end`, that is so.
    ///
    /// # Errors
    /// As above.
    pub fn extent(&self, offset: u64, end: u64) -> io::Result<(bool, u64)> {
        let len = end.saturating_sub(offset).min(1 << 30) as u32;
        if self.terms().allocation.is_none() || len == 0 {
            return Ok((false, end));
        }
        let request = Request { command: command::BLOCK_STATUS, flags: flag::REQ_ONE, offset, len, data: &[] };
        Ok(match self.call(&request)?.extent {
            Some((len, state)) if len > 0 => {
                let hole = state & (meta::HOLE | meta::ZERO) == meta::HOLE | meta::ZERO;
                (hole, offset.saturating_add(len.into()).min(end))
            }
            _ => (false, end),
        })
    }

    /// The longest data of a request.
    fn longest(&self) -> usize {
        let most = self.terms().most;
        let most = if most == 0 { wire::MAX_LENGTH } else { most.min(wire::MAX_LENGTH) };
        (most / BLOCK * BLOCK).max(BLOCK) as usize
    }

    /// Changes something, and keeps it until it is durable.
    fn change(&self, command: u16, flags: u16, offset: u64, len: u32, data: &[u8], fua: bool) -> io::Result<()> {
        let terms = self.terms();
        if self.settings.read_only || terms.has(transmission::READ_ONLY) {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        if fua && terms.has(transmission::SEND_FUA) {
            self.call(&Request { command, flags: flags | flag::FUA, offset, len, data })?;
            return Ok(());
        }
        if !terms.has(transmission::SEND_FLUSH) {
            // Nothing can be made durable, or everything is.
            return self.call(&Request { command, flags, offset, len, data }).map(drop);
        }
        if self.lock().bytes > KEPT {
            self.flush()?;
        }
        let (kept, serial) = {
            let mut state = self.lock();
            state.serial += 1;
            let serial = state.serial;
            let kept = Kept { serial, command, flags, offset, len, data: data.to_vec(), answered: false };
            state.bytes += kept.data.len() + size_of::<Kept>();
            let kept = Arc::new(Mutex::new(kept));
            state.kept.push(kept.clone());
            (kept, serial)
        };
        let done = self.call(&Request { command, flags, offset, len, data });
        match done {
            Ok(_) => lock(&kept).answered = true,
            Err(_) => self.lock().forget(|kept| kept.serial == serial),
        }
        done.map(drop)
    }

    /// Sends a request, over as many connections as it takes in the time that there is.
    fn call(&self, request: &Request) -> io::Result<Answer> {
        let deadline = Instant::now() + self.settings.patience;
        loop {
            let link = self.link(deadline)?;
            match link.call(request, deadline) {
                Ok(answer) => return Ok(answer),
                // It is about to end, and another may come.
                Err(Failure::Errno(errno::ESHUTDOWN)) => link.end(),
                Err(Failure::Errno(code)) => return Err(said(code)),
                Err(Failure::Lost) => tracing::warn!("{}: the connection has ended", self.uri),
                Err(Failure::Late) => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, format!("{}: no answer in time", self.uri)));
                }
            }
            if Instant::now() >= deadline {
                return Err(io::Error::new(io::ErrorKind::NotConnected, format!("{}: the server is gone", self.uri)));
            }
        }
    }

    /// A connection that lives. One of those who want one makes it.
    fn link(&self, deadline: Instant) -> io::Result<Arc<Link>> {
        let mut state = self.lock();
        loop {
            if let Some(link) = state.link.take_if(|link| !link.is_dead()) {
                state.link = Some(link.clone());
                return Ok(link);
            }
            state.link = None;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::NotConnected, state.why.clone()));
            }
            if state.connecting {
                state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            state.connecting = true;
            drop(state);
            let made = self.connect(deadline);
            state = self.lock();
            match made {
                Ok(link) => {
                    tracing::info!("{}: connected again", self.uri);
                    self.size.store(link.terms.size, Ordering::Relaxed);
                    (state.terms, state.link) = (link.terms, Some(Arc::new(link)));
                }
                Err(error) => {
                    state.why = error.to_string();
                    // The others wait with this one.
                    state = self.changed.wait_timeout(state, left.min(AGAIN)).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
            state.connecting = false;
            self.changed.notify_all();
        }
    }

    /// Makes a connection on which the export is as it was.
    fn connect(&self, deadline: Instant) -> Result<Link> {
        let link = Link::open(&self.uri, deadline, self.settings.patience)?;
        let kept: Vec<_> = self.lock().kept.clone();
        for kept in kept {
            let done = link.call(&lock(&kept).request(), deadline);
            match done {
                Ok(_) => {}
                // What nobody has been promised is tried again by the one who wants it.
                Err(Failure::Errno(code)) if code != errno::ESHUTDOWN => {
                    if !lock(&kept).answered {
                        continue;
                    }
                    tracing::error!("{}: what was written cannot be written again: {}", self.uri, said(code));
                    self.lock().lost = true;
                }
                Err(_) => {
                    let source = io::Error::new(io::ErrorKind::ConnectionReset, "it ended again");
                    return Err(Error::Talk { uri: self.uri.to_string(), source });
                }
            }
        }
        Ok(link)
    }
}

impl State {
    fn forget(&mut self, which: impl Fn(&Kept) -> bool) {
        self.kept.retain(|kept| !which(&lock(kept)));
        self.bytes = self.kept.iter().map(|kept| lock(kept).data.len() + size_of::<Kept>()).sum();
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error of the server's.
fn said(code: u32) -> io::Error {
    let kind = match code {
        errno::EPERM => io::ErrorKind::ReadOnlyFilesystem,
        errno::ENOSPC => io::ErrorKind::StorageFull,
        errno::EINVAL => io::ErrorKind::InvalidInput,
        errno::ENOTSUP => io::ErrorKind::Unsupported,
        // Linux's numbers are the protocol's; those that it has not are the server's failure.
        _ => return io::Error::from_raw_os_error(i32::try_from(code).unwrap_or(errno::EIO as i32)),
    };
    io::Error::new(kind, format!("the server says {}", io::Error::from_raw_os_error(code as i32)))
}
