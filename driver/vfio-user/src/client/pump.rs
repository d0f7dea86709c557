//! The thread that receives: it hands replies to who asked, and serves the device's own requests.

use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use zerocopy::IntoBytes;

use super::Guest;
use crate::wire::payload::{DmaAccess, split};
use crate::wire::{Command, Connection, ERROR, Header, MAX_TRANSFER, Message, NO_REPLY, REPLY};
use crate::{Error, Result};

/// A session's socket and who waits for what.
pub struct Pump {
    connection: Connection,
    state: Mutex<State>,
    guest: Arc<dyn Guest>,
    timeout: Duration,
}

#[derive(Default)]
struct State {
    next: u16,
    waiting: HashMap<u16, SyncSender<Message>>,
    /// The session is over.
    over: bool,
    /// Who has the device is told of its end. Not before they have it, nor when they end it themselves.
    tell: bool,
}

/// It only moves messages; a thread's usual stack would count against a small hypervisor.
const STACK: usize = 128 << 10;

impl Pump {
    pub fn connect(path: &Path, guest: Arc<dyn Guest>, timeout: Duration) -> Result<(Arc<Pump>, JoinHandle<()>)> {
        let failed = |source: io::Error| Error::Connect { path: path.to_owned(), source };
        let connection = Connection::new(UnixStream::connect(path).map_err(failed)?)?;
        let pump = Arc::new(Pump { connection, state: Mutex::default(), guest, timeout });
        let thread = {
            let pump = pump.clone();
            let builder = std::thread::Builder::new().name("vfio-user".into()).stack_size(STACK);
            builder.spawn(move || pump.run()).map_err(failed)?
        };
        Ok((pump, thread))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request and its answer.
    pub fn call(&self, command: Command, parts: &[&[u8]], fds: &[BorrowedFd<'_>]) -> Result<Message> {
        let (sender, receiver) = sync_channel(1);
        let id = {
            let mut state = self.lock();
            if state.over {
                return Err(Error::Closed);
            }
            while state.waiting.contains_key(&state.next) {
                state.next = state.next.wrapping_add(1);
            }
            let id = state.next;
            state.next = id.wrapping_add(1);
            state.waiting.insert(id, sender);
            // Sent under the lock, so that messages of two threads do not mix.
            let header = Header { id, command: command as u16, ..Header::default() };
            if let Err(error) = self.connection.send(header, parts, fds) {
                state.waiting.remove(&id);
                return Err(error);
            }
            id
        };
        let reply = receiver.recv_timeout(self.timeout).map_err(|error| {
            self.lock().waiting.remove(&id);
            match error {
                RecvTimeoutError::Disconnected => Error::Closed,
                RecvTimeoutError::Timeout => {
                    // Its answer may still come and would be taken for another's: the session is of no use any more.
                    self.connection.close();
                    Error::Silent { what: command.name(), seconds: self.timeout.as_secs() }
                }
            }
        })?;
        if reply.header.command != command as u16 {
            self.connection.close();
            return Err(Error::Protocol(format!(
                "an answer to command {} for {}",
                reply.header.command,
                command.name()
            )));
        }
        if reply.header.flags & ERROR != 0 {
            let source = io::Error::from_raw_os_error(reply.header.error.try_into().unwrap_or(0));
            return Err(Error::Refused { command: command.name(), source });
        }
        Ok(reply)
    }

    /// The device is somebody's from now on, who will be told of its end; an error if that was already.
    pub fn arm(&self) -> Result<()> {
        let mut state = self.lock();
        state.tell = true;
        if state.over { Err(Error::Closed) } else { Ok(()) }
    }

    /// Ends the session.
    pub fn end(&self) {
        self.lock().tell = false;
        self.connection.close();
    }

    fn run(&self) {
        let error = loop {
            let done = self.connection.receive(None).and_then(|message| match message.header.is_reply() {
                true => self.hand_over(message),
                false => self.serve(&message),
            });
            if let Err(error) = done {
                break error;
            }
        };
        self.connection.close();
        let tell = {
            let mut state = self.lock();
            state.over = true;
            // Dropping the senders tells all who wait.
            state.waiting.clear();
            state.tell
        };
        if tell {
            self.guest.gone(&error);
        }
    }

    fn hand_over(&self, message: Message) -> Result<()> {
        match self.lock().waiting.remove(&message.header.id) {
            Some(sender) => {
                // Who gave up meanwhile has closed the session.
                let _ = sender.try_send(message);
                Ok(())
            }
            None => Err(Error::Protocol(format!("an answer to a question ({}) that was not asked", message.header.id))),
        }
    }

    /// The device wants memory.
    fn serve(&self, message: &Message) -> Result<()> {
        let header = message.header;
        let command = Command::new(header.command);
        let reply = Header { id: header.id, command: header.command, flags: REPLY, ..Header::default() };
        let parsed = match command {
            Some(c @ (Command::DmaRead | Command::DmaWrite)) => split::<DmaAccess>(c, &message.payload).ok(),
            _ => None,
        };
        let answer = match (command, parsed) {
            (Some(Command::DmaRead), Some((access, _))) if access.count <= MAX_TRANSFER as u64 => {
                let mut data = vec![0; access.count as usize];
                self.guest.read(access.address, &mut data).then_some((access, data))
            }
            (Some(Command::DmaWrite), Some((access, data))) if access.count == data.len() as u64 => {
                self.guest.write(access.address, data).then_some((access, Vec::new()))
            }
            _ => None,
        };
        if header.flags & NO_REPLY != 0 {
            return Ok(());
        }
        let _one = self.lock();
        match answer {
            Some((access, data)) => self.connection.send(reply, &[access.as_bytes(), &data], &[]),
            None => {
                let error = rustix::io::Errno::FAULT.raw_os_error() as u32;
                self.connection.send(Header { flags: REPLY | ERROR, error, ..reply }, &[], &[])
            }
        }
    }
}
