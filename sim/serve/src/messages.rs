//! The way back to a client: replies, and the card's own requests for memory that the client lent no file of.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use azote_sim::Remote;
use azote_vfio_user::wire::payload::{DmaAccess, split};
use azote_vfio_user::wire::{Command, Connection, ERROR, Header, Message, REPLY};
use azote_vfio_user::{Error, Result};
use zerocopy::IntoBytes;

use crate::irqs::Irqs;

/// A client's socket, outwards. Shared by the session and the card.
pub struct Outbox {
    connection: Connection,
    irqs: Arc<Irqs>,
    state: Mutex<State>,
    bytes: AtomicU64,
}

#[derive(Default)]
struct State {
    next: u16,
    waiting: HashMap<u16, Waiting>,
}

/// What a reply will be to.
enum Waiting {
    /// A read of so many bytes, by the card's token.
    Read(u64, u32),
    Write,
}

/// What a client's reply brings.
pub enum Arrived {
    /// Data for the card, or a refusal.
    Data(u64, Option<Vec<u8>>),
    /// Nothing that the card waits for.
    Nothing,
}

impl Outbox {
    pub fn new(connection: Connection, irqs: Arc<Irqs>) -> Outbox {
        Outbox { connection, irqs, state: Mutex::default(), bytes: AtomicU64::new(0) }
    }

    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Bytes that went by message, both ways.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request; `Err` is an errno.
    pub fn reply(&self, to: &Header, answer: Result<&[&[u8]], rustix::io::Errno>) -> Result<()> {
        let header = Header { id: to.id, command: to.command, flags: REPLY, ..Header::default() };
        let _one = self.lock();
        match answer {
            Ok(parts) => self.connection.send(header, parts, &[]),
            Err(errno) => {
                let error = errno.raw_os_error() as u32;
                self.connection.send(Header { flags: REPLY | ERROR, error, ..header }, &[], &[])
            }
        }
    }

    /// Sends a request of the card's. A client that does not take it in time is as good as gone: the session ends.
    fn ask(&self, command: Command, access: DmaAccess, data: &[u8], waiting: Waiting) {
        let mut state = self.lock();
        while state.waiting.contains_key(&state.next) {
            state.next = state.next.wrapping_add(1);
        }
        let id = state.next;
        state.next = id.wrapping_add(1);
        state.waiting.insert(id, waiting);
        self.bytes.fetch_add(access.count, Ordering::Relaxed);
        let header = Header { id, command: command as u16, ..Header::default() };
        if self.connection.send(header, &[access.as_bytes(), data], &[]).is_err() {
            self.connection.close();
        }
    }

    /// A reply to one of those requests.
    pub fn arrived(&self, message: &Message) -> Result<Arrived> {
        let waiting = self.lock().waiting.remove(&message.header.id);
        let refused = message.header.flags & ERROR != 0;
        match waiting {
            None => Err(Error::Protocol(format!("an answer to a question ({}) that was not asked", message.header.id))),
            Some(Waiting::Write) => {
                self.irqs.write_confirmed();
                Ok(Arrived::Nothing)
            }
            Some(Waiting::Read(token, _)) if refused => Ok(Arrived::Data(token, None)),
            Some(Waiting::Read(token, len)) => {
                let parsed = split::<DmaAccess>(Command::DmaRead, &message.payload);
                let (_, data) = parsed.map_err(|e| Error::Protocol(e.to_string()))?;
                let data = data.get(..len as usize).map(<[u8]>::to_vec);
                Ok(Arrived::Data(token, data))
            }
        }
    }
}

impl Remote for Outbox {
    fn read(&self, token: u64, address: u64, len: u32) {
        let access = DmaAccess { address, count: len.into() };
        self.ask(Command::DmaRead, access, &[], Waiting::Read(token, len));
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        self.irqs.write_sent();
        let access = DmaAccess { address, count: bytes.len() as u64 };
        self.ask(Command::DmaWrite, access, bytes, Waiting::Write);
    }
}
