//! One connection to a server. Requests of several threads are under way on it; a thread of its own reads the replies.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::haggle::{Terms, agree};
use crate::stream::Stream;
use crate::wire::{self, chunk, command};
use crate::{Error, Result, Uri};

/// A request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub command: u16,
    pub flags: u16,
    pub offset: u64,
    pub len: u32,
    /// What a write writes.
    pub data: &'a [u8],
}

/// The answer to a request that succeeded.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// What a read read.
    pub data: Vec<u8>,
    /// The first stretch of block status: its length and state.
    pub extent: Option<(u32, u32)>,
}

/// How a request failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server says so.
    Errno(u32),
    /// The connection ended.
    Lost,
    /// No answer came in time.
    Late,
}

/// A request whose answer has not come.
#[derive(Debug, Default)]
struct Waiting {
    offset: u64,
    answer: Answer,
    /// Bytes of a read that have come.
    come: usize,
    error: Option<u32>,
    done: bool,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<u64, Waiting>,
    cookie: u64,
    dead: bool,
}

#[derive(Debug, Default)]
struct Replies {
    state: Mutex<State>,
    changed: Condvar,
}

impl Replies {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn die(&self) {
        self.lock().dead = true;
        self.changed.notify_all();
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    writer: Mutex<Stream>,
    stream: Stream,
    replies: Arc<Replies>,
    pub terms: Terms,
}

impl Link {
    /// Connects and takes the export, all of it before `deadline`. A write that the server does not take ends the connection
    /// after `patience`.
    pub fn open(uri: &Uri, deadline: Instant, patience: Duration) -> Result<Link> {
        let no_server = |source| Error::Connect { uri: uri.to_string(), source };
        let talk = |source| Error::Talk { uri: uri.to_string(), source };
        let mut stream = Stream::connect(&uri.address, deadline).map_err(no_server)?;
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_timeouts(Some(left), Some(left)).map_err(talk)?;
        let terms = agree(&mut stream, uri).map_err(|error| match error {
            // The system's word for a time-out is no help.
            Error::Talk { uri, source } if source.kind() == io::ErrorKind::WouldBlock => {
                let source =
                    io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {} s", left.as_secs_f32().ceil()));
                Error::Talk { uri, source }
            }
            other => other,
        })?;
        stream.set_timeouts(None, Some(patience)).map_err(talk)?;
        let replies = Arc::new(Replies::default());
        let (mut reader, heard, structured) = (stream.try_clone().map_err(talk)?, replies.clone(), terms.structured);
        let allocation = terms.allocation;
        let thread = std::thread::Builder::new().name("nbd".into());
        let read = move || {
            while read_reply(&mut reader, &heard, structured, allocation).is_ok() {}
            reader.shutdown();
            heard.die();
        };
        thread.spawn(read).map_err(talk)?;
        let writer = Mutex::new(stream.try_clone().map_err(talk)?);
        Ok(Link { writer, stream, replies, terms })
    }

    pub fn is_dead(&self) -> bool {
        self.replies.lock().dead
    }

    /// Ends the connection: whoever waits for an answer hears of it.
    pub fn end(&self) {
        self.stream.shutdown();
        self.replies.die();
    }

    /// Sends a request and waits for its answer.
    pub fn call(&self, request: &Request, deadline: Instant) -> std::result::Result<Answer, Failure> {
        let cookie = {
            let mut state = self.replies.lock();
            state.cookie += 1;
            let cookie = state.cookie;
            let data = if request.command == command::READ { vec![0; request.len as usize] } else { Vec::new() };
            let answer = Answer { data, extent: None };
            state.waiting.insert(cookie, Waiting { offset: request.offset, answer, ..Waiting::default() });
            cookie
        };
        if self.send(request, cookie).is_err() {
            self.end();
        }
        let mut state = self.replies.lock();
        loop {
            let done = state.waiting.get(&cookie).is_some_and(|waiting| waiting.done);
            let left = deadline.saturating_duration_since(Instant::now());
            if done || state.dead || left.is_zero() {
                let waiting = state.waiting.remove(&cookie).unwrap_or_default();
                return match waiting.error {
                    Some(errno) if done => Err(Failure::Errno(errno)),
                    None if done => Ok(waiting.answer),
                    _ if state.dead => Err(Failure::Lost),
                    _ => {
                        drop(state);
                        // Its answer would have nobody any more, and the server is not well.
                        self.end();
                        Err(Failure::Late)
                    }
                };
            }
            state = self.replies.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn send(&self, request: &Request, cookie: u64) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(28 + request.data.len());
        bytes.extend(wire::REQUEST_MAGIC.to_be_bytes());
        bytes.extend(request.flags.to_be_bytes());
        bytes.extend(request.command.to_be_bytes());
        bytes.extend(cookie.to_be_bytes());
        bytes.extend(request.offset.to_be_bytes());
        bytes.extend(request.len.to_be_bytes());
        bytes.extend(request.data);
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).write_all(&bytes)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.is_dead() {
            // An orderly end; it is not waited for.
            let disc = Request { command: command::DISC, flags: 0, offset: 0, len: 0, data: &[] };
            let _ = self.send(&disc, 0);
        }
        self.end();
    }
}

/// Reads one reply, or one chunk of one.
fn read_reply(from: &mut impl Read, replies: &Replies, structured: bool, allocation: Option<u32>) -> io::Result<()> {
    match wire::read_u32(from)? {
        wire::REPLY_MAGIC => {
            let (error, cookie) = (wire::read_u32(from)?, wire::read_u64(from)?);
            let len = with(replies, cookie, |waiting| waiting.answer.data.len())?;
            let mut data = vec![0; if error == 0 { len } else { 0 }];
            if structured && !data.is_empty() {
                return Err(wire::protocol("a read was answered by a simple reply"));
            }
            from.read_exact(&mut data)?;
            with(replies, cookie, |waiting| {
                waiting.answer.data = data;
                waiting.error = (error != 0).then_some(error);
                waiting.done = true;
            })?;
        }
        wire::CHUNK_MAGIC if structured => {
            let (flags, kind, cookie) = (wire::read_u16(from)?, wire::read_u16(from)?, wire::read_u64(from)?);
            let len = wire::read_u32(from)?;
            let most = with(replies, cookie, |waiting| waiting.answer.data.len())?.max(64 << 10) as u32 + 64;
            if len > most {
                return Err(wire::protocol("a chunk is longer than anything that was asked for"));
            }
            let mut data = vec![0; len as usize];
            from.read_exact(&mut data)?;
            with(replies, cookie, |waiting| {
                waiting.chunk(kind, &data, allocation)?;
                if flags & chunk::DONE != 0 {
                    if waiting.error.is_none() && waiting.come < waiting.answer.data.len() {
                        return Err(wire::protocol("a read was answered with less than was asked for"));
                    }
                    waiting.done = true;
                }
                Ok(())
            })??;
        }
        _ => return Err(wire::protocol("what came is no reply")),
    }
    replies.changed.notify_all();
    Ok(())
}

fn with<T>(replies: &Replies, cookie: u64, what: impl FnOnce(&mut Waiting) -> T) -> io::Result<T> {
    let mut state = replies.lock();
    let waiting = state.waiting.get_mut(&cookie).filter(|waiting| !waiting.done);
    waiting.map(what).ok_or_else(|| wire::protocol("a reply to nothing that was asked"))
}

impl Waiting {
    fn chunk(&mut self, kind: u16, mut data: &[u8], allocation: Option<u32>) -> io::Result<()> {
        match kind {
            chunk::NONE => {}
            chunk::OFFSET_DATA => {
                let at = self.place(wire::read_u64(&mut data)?, data.len())?;
                self.answer.data[at..at + data.len()].copy_from_slice(data);
            }
            chunk::OFFSET_HOLE => {
                let (offset, len) = (wire::read_u64(&mut data)?, wire::read_u32(&mut data)? as usize);
                let at = self.place(offset, len)?;
                self.answer.data[at..at + len].fill(0);
            }
            chunk::BLOCK_STATUS => {
                if Some(wire::read_u32(&mut data)?) == allocation && self.answer.extent.is_none() {
                    self.answer.extent = Some((wire::read_u32(&mut data)?, wire::read_u32(&mut data)?));
                }
            }
            kind if kind & chunk::ERROR_BIT != 0 => {
                // The first is what went wrong; zero would be none.
                let errno = wire::read_u32(&mut data)?.max(1);
                self.error.get_or_insert(errno);
            }
            _ => return Err(wire::protocol("a chunk of an unknown type")),
        }
        Ok(())
    }

    fn place(&mut self, offset: u64, len: usize) -> io::Result<usize> {
        let at = offset.checked_sub(self.offset).and_then(|at| usize::try_from(at).ok());
        let at = at.filter(|at| at.checked_add(len).is_some_and(|end| end <= self.answer.data.len()));
        self.come += len;
        at.ok_or_else(|| wire::protocol("data that was not asked for"))
    }
}

/// What a server's bytes do to requests that wait for it.
#[cfg(feature = "testing")]
pub(crate) fn replies(mut from: &[u8], structured: bool) {
    let replies = Replies::default();
    for cookie in 0..4u64 {
        let answer = Answer { data: vec![0; 512 * cookie as usize], extent: None };
        replies.lock().waiting.insert(cookie, Waiting { offset: 4096 * cookie, answer, ..Waiting::default() });
    }
    while read_reply(&mut from, &replies, structured, Some(1)).is_ok() {}
    for (cookie, waiting) in &replies.lock().waiting {
        let whole = waiting.answer.data.len() as u64 == 512 * cookie || waiting.error.is_some();
        assert!(whole, "a request has {} bytes", waiting.answer.data.len());
        let said = waiting.done && waiting.error.is_none();
        assert!(!said || !structured || waiting.come >= waiting.answer.data.len(), "a read that is done has holes");
    }
}
