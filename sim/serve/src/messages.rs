//! The way to a client: replies, and what the card sends by itself: requests for memory that the client lent no file of,
//! and interrupts.
//!
//! The card must never wait for a client, so what it sends goes into a queue, and a thread of the session's takes it from
//! there, in order. An interrupt waits until the client has confirmed the writes before it: nothing is told of before it
//! is there.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use azote_sim::Remote;
use azote_vfio_user::wire::payload::{DmaAccess, split};
use azote_vfio_user::wire::{Command, Connection, ERROR, Header, Message, REPLY};
use azote_vfio_user::{Error, Result};
use zerocopy::IntoBytes;

use crate::irqs::Irqs;

/// Requests that a client may have unanswered. The card has 32 reads in flight; more than twice that fills no pipe better.
const WINDOW: usize = 64;
/// What may wait for a client: things, and bytes of them. One that lags by more is as good as gone.
const QUEUED: usize = 16384;
const QUEUED_BYTES: usize = 16 << 20;
/// How long a client may take to answer for its memory.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// After so long the card is told that there is no such memory, and goes on: reads of others may have to wait for this
/// one. Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_millis(500);
/// The same for a client that has not been in time before, until it is once.
const IMPATIENCE: Duration = Duration::from_millis(5);
/// How long an unmapping waits for a message that is just being sent.
const GOING_TIME: Duration = Duration::from_secs(1);
/// How long the end of a session waits for the queue's thread.
const END_TIME: Duration = Duration::from_secs(2);

/// What the card sends.
enum Item {
    /// By the card's token.
    Read {
        token: u64,
        access: DmaAccess,
    },
    Write {
        access: DmaAccess,
        data: Vec<u8>,
    },
    Interrupt(u16),
}

/// What an answer will be to.
#[derive(Clone, Copy)]
enum Asked {
    Read { token: u64, len: usize },
    Write,
}

/// A request that is not answered.
struct Open {
    asked: Asked,
    since: Instant,
    /// The card waits for it no more.
    late: bool,
}

impl Open {
    /// Does the card wait for the answer?
    fn is_awaited(&self) -> bool {
        !self.late && matches!(self.asked, Asked::Read { .. })
    }
}

/// How the card learns that a read, by its token, is not answered.
pub type Refuse = Box<dyn Fn(u64) + Send + Sync>;

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    next: u16,
    asked: HashMap<u16, Open>,
    /// Those of them that are writes.
    writes: usize,
    /// One was taken from the queue, and is being sent.
    going: bool,
    closed: bool,
    ended: bool,
}

/// A client's socket, outwards. Shared by the session, the card, and the thread between them.
pub struct Outbox {
    connection: Connection,
    irqs: Arc<Irqs>,
    refuse: Refuse,
    /// The function's clients have been late; kept from one to the next.
    late: Arc<AtomicBool>,
    /// Held while a message is sent, so that two do not mix.
    sending: Mutex<()>,
    state: Mutex<State>,
    changed: Condvar,
    bytes: AtomicU64,
    interrupts: AtomicU64,
}

/// What a client's reply brings.
pub enum Arrived {
    /// Data for the card, or a refusal.
    Data(u64, Option<Vec<u8>>),
    /// Nothing that the card waits for.
    Nothing,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outbox {
    /// Starts the thread, which ends with [`Self::close`].
    pub fn start(
        connection: Connection,
        irqs: Arc<Irqs>,
        refuse: Refuse,
        late: Arc<AtomicBool>,
    ) -> std::io::Result<Arc<Outbox>> {
        let outbox = Arc::new(Outbox {
            connection,
            irqs,
            refuse,
            late,
            sending: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
            bytes: AtomicU64::new(0),
            interrupts: AtomicU64::new(0),
        });
        let own = outbox.clone();
        std::thread::Builder::new().name("deliver".into()).spawn(move || {
            own.deliver();
            lock(&own.state).ended = true;
            own.changed.notify_all();
        })?;
        Ok(outbox)
    }

    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Bytes that went by message, both ways.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Interrupts that the card sent.
    pub fn interrupts(&self) -> u64 {
        self.interrupts.load(Ordering::Relaxed)
    }

    /// Answers a request; `Err` is an errno.
    pub fn reply(&self, to: &Header, answer: Result<&[&[u8]], rustix::io::Errno>) -> Result<()> {
        let header = Header { id: to.id, command: to.command, flags: REPLY, ..Header::default() };
        let _one = lock(&self.sending);
        match answer {
            Ok(parts) => self.connection.send(header, parts, &[]),
            Err(errno) => {
                let error = errno.raw_os_error() as u32;
                self.connection.send(Header { flags: REPLY | ERROR, error, ..header }, &[], &[])
            }
        }
    }

    /// Queues. Never waits: a client with too much before it loses its session.
    fn push(&self, item: Item) {
        let mut state = lock(&self.state);
        if state.closed {
            return;
        }
        state.bytes += item.bytes();
        state.items.push_back(item);
        if state.items.len() > QUEUED || state.bytes > QUEUED_BYTES {
            tracing::warn!("a client lags by {} messages: its session ends", state.items.len());
            self.shut(&mut state);
        }
        self.changed.notify_all();
    }

    /// Drops what has not been sent yet and is about addresses from `first` to `last`: they are unmapped. The tokens of
    /// reads among it, which nobody will answer.
    pub fn forget(&self, first: u64, last: u64) -> Vec<u64> {
        let mut state = lock(&self.state);
        let mut tokens = Vec::new();
        let mut bytes = 0;
        state.items.retain(|item| {
            let address = match item {
                Item::Read { access, .. } | Item::Write { access, .. } => access.address,
                Item::Interrupt(_) => return true,
            };
            let gone = (first..=last).contains(&address);
            if let (true, Item::Read { token, .. }) = (gone, item) {
                tokens.push(*token);
            }
            bytes += if gone { item.bytes() } else { 0 };
            !gone
        });
        state.bytes -= bytes;
        self.changed.notify_all();
        // What is just going goes before the reply that tells of the unmapping; a client that does not read may miss that.
        drop(self.changed.wait_timeout_while(state, GOING_TIME, |state| state.going));
        tokens
    }

    /// A vector fires.
    pub fn interrupt(&self, vector: u16) {
        self.interrupts.fetch_add(1, Ordering::Relaxed);
        self.push(Item::Interrupt(vector));
    }

    fn shut(&self, state: &mut State) {
        state.closed = true;
        state.items.clear();
        self.connection.close();
        self.changed.notify_all();
    }

    /// Ends the connection and the thread. A thread that a client has caught in its eventfd (full, and made to block in
    /// just that moment) is left behind; it holds nothing of the card.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        self.shut(&mut state);
        let wait = self.changed.wait_timeout_while(state, END_TIME, |state| !state.ended);
        let (state, _) = wait.unwrap_or_else(PoisonError::into_inner);
        if !state.ended {
            tracing::error!("a client's eventfd does not take interrupts; its thread is left behind");
        }
    }

    /// Takes from the queue what may go now, until the end.
    fn deliver(&self) {
        while let Some((id, item)) = self.next() {
            let sent = match item {
                Item::Interrupt(vector) => {
                    self.irqs.fire(vector);
                    Ok(())
                }
                Item::Read { access, .. } => self.ask(id, Command::DmaRead, access, &[]),
                Item::Write { access, data } => self.ask(id, Command::DmaWrite, access, &data),
            };
            lock(&self.state).going = false;
            self.changed.notify_all();
            if sent.is_err() {
                // The session's own thread sees the closed socket, and ends everything.
                self.connection.close();
            }
        }
    }

    /// What goes next, with the id under which its answer is waited for; `None` at the end.
    fn next(&self) -> Option<(u16, Item)> {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return None;
            }
            if state.asked.values().any(|open| open.since.elapsed() > ANSWER_TIME) {
                tracing::warn!("a client does not answer for its memory: its session ends");
                self.shut(&mut state);
                return None;
            }
            let late = state.late(self.patience());
            if !late.is_empty() {
                self.late.store(true, Ordering::Relaxed);
                // The card takes this lock while it holds its own.
                drop(state);
                late.into_iter().for_each(&self.refuse);
                state = lock(&self.state);
                continue;
            }
            let may_go = match state.items.front() {
                None => false,
                Some(Item::Interrupt(_)) => state.writes == 0,
                Some(_) => state.asked.len() < WINDOW,
            };
            if may_go && let Some(item) = state.items.pop_front() {
                return Some((state.take(&item), item));
            }
            let look =
                state.asked.values().map(|open| if open.is_awaited() { self.patience() } else { ANSWER_TIME }).min();
            state = match look {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(look) => self.changed.wait_timeout(state, look).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    fn patience(&self) -> Duration {
        if self.late.load(Ordering::Relaxed) { IMPATIENCE } else { PATIENCE }
    }

    fn ask(&self, id: u16, command: Command, access: DmaAccess, data: &[u8]) -> Result<()> {
        self.bytes.fetch_add(access.count, Ordering::Relaxed);
        let header = Header { id, command: command as u16, ..Header::default() };
        let _one = lock(&self.sending);
        self.connection.send(header, &[access.as_bytes(), data], &[])
    }

    /// A reply to one of those requests.
    pub fn arrived(&self, message: &Message) -> Result<Arrived> {
        let asked = {
            let mut state = lock(&self.state);
            let asked = state.asked.remove(&message.header.id);
            if let Some(Open { asked: Asked::Write, .. }) = asked {
                state.writes -= 1;
            }
            self.changed.notify_all();
            asked
        };
        let refused = message.header.flags & ERROR != 0;
        match asked {
            None => Err(Error::Protocol(format!("an answer to a question ({}) that was not asked", message.header.id))),
            // A write that is refused is lost, as one into no memory is.
            Some(Open { asked: Asked::Write, .. } | Open { late: true, .. }) => Ok(Arrived::Nothing),
            Some(Open { asked: Asked::Read { token, .. }, .. }) if refused => Ok(Arrived::Data(token, None)),
            Some(Open { asked: Asked::Read { token, len }, since, .. }) => {
                if since.elapsed() < IMPATIENCE {
                    self.late.store(false, Ordering::Relaxed);
                }
                let parsed = split::<DmaAccess>(Command::DmaRead, &message.payload);
                let (_, data) = parsed.map_err(|e| Error::Protocol(e.to_string()))?;
                Ok(Arrived::Data(token, data.get(..len).map(<[u8]>::to_vec)))
            }
        }
    }
}

impl Item {
    fn bytes(&self) -> usize {
        if let Item::Write { data, .. } = self { data.len() } else { 0 }
    }
}

impl State {
    /// The tokens of reads that have become late, and are so from now on.
    fn late(&mut self, patience: Duration) -> Vec<u64> {
        let mut late = Vec::new();
        for open in self.asked.values_mut().filter(|open| open.is_awaited() && open.since.elapsed() >= patience) {
            if let Asked::Read { token, .. } = open.asked {
                open.late = true;
                late.push(token);
            }
        }
        late
    }

    /// Takes note of an item that goes: the id of its request.
    fn take(&mut self, item: &Item) -> u16 {
        self.bytes -= item.bytes();
        self.going = true;
        let asked = match item {
            Item::Interrupt(_) => return 0,
            Item::Read { token, access } => Asked::Read { token: *token, len: access.count as usize },
            Item::Write { .. } => {
                self.writes += 1;
                Asked::Write
            }
        };
        // The window is much smaller than the numbers there are.
        while self.asked.contains_key(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let id = self.next;
        self.next = id.wrapping_add(1);
        self.asked.insert(id, Open { asked, since: Instant::now(), late: false });
        id
    }
}

impl Remote for Outbox {
    fn read(&self, token: u64, address: u64, len: u32) {
        self.push(Item::Read { token, access: DmaAccess { address, count: len.into() } });
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        self.push(Item::Write { access: DmaAccess { address, count: bytes.len() as u64 }, data: bytes.to_vec() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};
    use std::os::unix::net::UnixStream;

    /// An outbox with one vector, its client's socket, and the vector's eventfd.
    fn connected() -> (Arc<Outbox>, Connection, std::os::fd::OwnedFd) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let irqs = Arc::new(Irqs::default());
        irqs.clear(1);
        let fd = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        irqs.set(0, [Some(fd.try_clone().unwrap())]);
        let (sender, _) = std::sync::mpsc::channel();
        (started(ours, irqs, sender), Connection::new(theirs).unwrap(), fd)
    }

    fn started(socket: UnixStream, irqs: Arc<Irqs>, refused: std::sync::mpsc::Sender<u64>) -> Arc<Outbox> {
        let refuse = Box::new(move |token| refused.send(token).unwrap_or_default());
        Outbox::start(Connection::new(socket).unwrap(), irqs, refuse, Arc::default()).unwrap()
    }

    #[test]
    fn reads_that_are_not_answered_are_refused_and_the_next_ones_sooner() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (sender, refused) = std::sync::mpsc::channel();
        let outbox = started(ours, Arc::default(), sender);
        let client = Connection::new(theirs).unwrap();
        let before = Instant::now();
        outbox.read(7, 0x1000, 64);
        let asked = client.receive(soon()).unwrap();
        assert_eq!(refused.recv_timeout(Duration::from_secs(10)), Ok(7));
        assert!(before.elapsed() >= PATIENCE);
        outbox.read(8, 0x2000, 4);
        let second = client.receive(soon()).unwrap();
        assert_eq!(refused.recv_timeout(Duration::from_secs(10)), Ok(8));
        assert!(outbox.late.load(Ordering::Relaxed));
        // An answer that comes after all is nothing to the card, and no error.
        for late in [asked, second] {
            let reply = Message { header: Header { flags: REPLY, ..late.header }, ..late };
            assert!(matches!(outbox.arrived(&reply), Ok(Arrived::Nothing)));
        }
        outbox.close();
    }

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(10))
    }

    #[test]
    fn no_interrupt_overtakes_the_data_that_it_announces() {
        let (outbox, client, fd) = connected();
        outbox.write(0x1000, &[1, 2, 3, 4]);
        outbox.interrupt(0);
        let write = client.receive(soon()).unwrap();
        assert_eq!(Command::new(write.header.command), Some(Command::DmaWrite));
        std::thread::sleep(Duration::from_millis(50));
        assert!(rustix::io::read(&fd, &mut [0; 8]).is_err(), "not yet");
        let reply = Message { header: Header { flags: REPLY, ..write.header }, ..write };
        assert!(matches!(outbox.arrived(&reply), Ok(Arrived::Nothing)));
        let mut fds = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        assert_eq!(rustix::event::poll(&mut fds, Some(&Duration::from_secs(10).try_into().unwrap())), Ok(1));
        assert!(outbox.arrived(&reply).is_err(), "only one answer");
        outbox.close();
    }

    #[test]
    fn what_is_unmapped_is_not_sent_any_more() {
        let (outbox, client, _fd) = connected();
        // Until the window is full; the rest waits.
        for i in 0..2 * WINDOW as u64 {
            outbox.read(i, i * 4096, 4);
        }
        let first: Vec<_> = (0..WINDOW).map(|_| client.receive(soon()).unwrap()).collect();
        outbox.write(0x8000_0000, &[1; 4]);
        outbox.interrupt(0);
        let gone = outbox.forget(0, 0x8000_0fff);
        assert_eq!(gone, (WINDOW as u64..2 * WINDOW as u64).collect::<Vec<_>>());
        for asked in first {
            let reply = Message { header: Header { flags: REPLY | ERROR, ..asked.header }, ..asked };
            assert!(matches!(outbox.arrived(&reply), Ok(Arrived::Data(_, None))));
        }
        outbox.write(0x9000_0000, &[2; 4]);
        let next = client.receive(soon()).unwrap();
        assert_eq!(next.payload[..8], 0x9000_0000u64.to_ne_bytes(), "nothing of what was unmapped is between");
        outbox.close();
    }

    #[test]
    fn a_client_that_does_not_listen_never_stops_the_card_and_loses_its_session() {
        let (outbox, client, _fd) = connected();
        let before = Instant::now();
        for i in 0..2 * QUEUED as u64 {
            outbox.write(i * 4096, &[0; 256]);
        }
        assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
        let end = loop {
            match client.receive(soon()) {
                Ok(_) => {}
                Err(end) => break end,
            }
        };
        assert!(matches!(end, Error::Closed), "{end}");
        outbox.close();
    }
}
