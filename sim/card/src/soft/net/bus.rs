//! Host memory as the tasks of functions see it: a read is awaited, a write goes out behind what went before.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use azote_tlp::{Body, Completion, Memory, Packet, Rid, Status, Tlp};

/// Reads of a function in flight at a time.
const AHEAD: usize = 16;

/// What a function may do now.
pub(in crate::soft) struct Rights {
    pub rid: Rid,
    pub allowed: bool,
    pub max_payload: u64,
    pub max_read: u64,
    /// The message of each vector that may be sent.
    pub vectors: Vec<Option<(u64, u32)>>,
}

enum Request {
    Read { id: u64, address: u64, len: usize },
    Write { address: u64, data: Vec<u8> },
    Interrupt(u16),
}

/// A read that the host has not answered. One whose task is gone still has its tag.
struct Read {
    id: u64,
    rid: Rid,
    tag: u8,
    at: usize,
    wanted: usize,
    got: usize,
}

#[derive(Default)]
struct State {
    requests: VecDeque<(u8, Request)>,
    reads: Vec<Read>,
    /// By id: what came, how much is still to come, and whether something failed.
    fetches: Vec<(u64, Vec<u8>, usize, bool)>,
    next_id: u64,
    next_tag: u8,
}

/// A handle to it.
#[derive(Clone, Default)]
pub(super) struct Bus(Arc<Mutex<State>>);

impl Bus {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads; `None` if the host does not give it.
    pub async fn read(&self, function: u8, address: u64, len: usize) -> Option<Vec<u8>> {
        if len == 0 {
            return Some(Vec::new());
        }
        // Whole DWs are read, and cut here.
        let (from, skip) = (address & !3, (address & 3) as usize);
        let whole = (skip + len).next_multiple_of(4);
        let id = {
            let mut state = self.lock();
            state.next_id += 1;
            let id = state.next_id;
            state.fetches.push((id, vec![0; whole], whole, false));
            state.requests.push_back((function, Request::Read { id, address: from, len: whole }));
            id
        };
        let data = Fetch { bus: self, id }.await?;
        Some(data[skip..skip + len].to_vec())
    }

    pub fn write(&self, function: u8, address: u64, data: Vec<u8>) {
        if !data.is_empty() {
            self.lock().requests.push_back((function, Request::Write { address, data }));
        }
    }

    pub fn interrupt(&self, function: u8, vector: u16) {
        self.lock().requests.push_back((function, Request::Interrupt(vector)));
    }

    /// A function is reset: what it has not sent is gone, and what it is answered is nobody's.
    pub fn forget(&self, function: u8) {
        self.lock().requests.retain(|(of, _)| *of != function);
    }

    /// True while something waits to be sent or answered.
    pub fn busy(&self) -> bool {
        let state = self.lock();
        !state.requests.is_empty() || !state.reads.is_empty()
    }

    /// Whose request is next.
    pub fn next(&self) -> Option<u8> {
        self.lock().requests.front().map(|(function, _)| *function)
    }

    /// Sends the next request, or a part of it, if there is one.
    pub fn work(&self, rights: &Rights, tx: &mut VecDeque<Packet>) {
        let state = &mut *self.lock();
        let Some((function, request)) = state.requests.pop_front() else { return };
        let Rights { rid, max_payload, max_read, .. } = *rights;
        match request {
            Request::Interrupt(vector) => {
                if let Some(Some((address, data))) = rights.vectors.get(usize::from(vector)).filter(|_| rights.allowed)
                {
                    let memory = Memory::span(rid, 0, *address, 4);
                    tx.push_back(Tlp::from(Body::MemWrite(memory, data.to_le_bytes().to_vec())).packet());
                }
            }
            Request::Write { mut address, data } => {
                let mut rest = &data[..];
                while !rest.is_empty() && rights.allowed {
                    let chunk = (rest.len() as u64).min(max_payload - address % max_payload) as usize;
                    let memory = Memory::span(rid, 0, address, chunk as u32);
                    let mut payload = vec![0; usize::from(memory.length) * 4];
                    payload[(address & 3) as usize..][..chunk].copy_from_slice(&rest[..chunk]);
                    tx.push_back(Tlp::from(Body::MemWrite(memory, payload)).packet());
                    rest = &rest[chunk..];
                    address += chunk as u64;
                }
            }
            Request::Read { id, address, len } => {
                let Some((_, buffer, left, failed)) = state.fetches.iter_mut().find(|(of, ..)| *of == id) else {
                    return;
                };
                if !rights.allowed {
                    (*left, *failed) = (0, true);
                    return;
                }
                let at = buffer.len() - len;
                let taken = |tag: u8| state.reads.iter().any(|read| (read.rid, read.tag) == (rid, tag));
                let under_way = state.reads.iter().filter(|read| read.rid == rid).count();
                let tag = (0..=255).map(|i| state.next_tag.wrapping_add(i)).find(|tag| !taken(*tag));
                let Some(tag) = tag.filter(|_| under_way < AHEAD) else {
                    return state.requests.push_front((function, Request::Read { id, address, len }));
                };
                state.next_tag = tag.wrapping_add(1);
                let bytes = (len as u64).min(max_read - address % max_read) as usize;
                tx.push_back(Tlp::from(Body::MemRead(Memory::span(rid, tag, address, bytes as u32))).packet());
                state.reads.push(Read { id, rid, tag, at, wanted: bytes, got: 0 });
                if bytes < len {
                    let rest = Request::Read { id, address: address + bytes as u64, len: len - bytes };
                    state.requests.push_front((function, rest));
                }
            }
        }
    }

    /// A completion of one of its reads.
    pub fn complete(&self, completion: &Completion, data: &[u8], poisoned: bool) {
        let state = &mut *self.lock();
        let of = |read: &Read| (read.rid, read.tag) == (completion.requester, completion.tag);
        let Some(place) = state.reads.iter().position(of) else { return };
        let read = &mut state.reads[place];
        let failed = completion.status != Status::Success || poisoned;
        let bytes = data.len().min(read.wanted - read.got);
        if let Some((_, buffer, left, bad)) = state.fetches.iter_mut().find(|(id, ..)| *id == read.id) {
            if failed {
                (*left, *bad) = (0, true);
            } else {
                buffer[read.at + read.got..][..bytes].copy_from_slice(&data[..bytes]);
                *left = left.saturating_sub(bytes);
            }
        }
        read.got += bytes;
        if failed || read.got >= read.wanted {
            state.reads.remove(place);
        }
    }
}

/// A read that is awaited. One that is dropped is nobody's.
struct Fetch<'a> {
    bus: &'a Bus,
    id: u64,
}

impl Future for Fetch<'_> {
    type Output = Option<Vec<u8>>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.bus.lock();
        let Some(place) = state.fetches.iter().position(|(id, ..)| *id == self.id) else { return Poll::Ready(None) };
        if state.fetches[place].2 > 0 {
            return Poll::Pending;
        }
        let (_, data, _, failed) = state.fetches.remove(place);
        Poll::Ready((!failed).then_some(data))
    }
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        self.bus.lock().fetches.retain(|(id, ..)| *id != self.id);
    }
}
