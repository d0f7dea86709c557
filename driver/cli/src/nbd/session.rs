//! A connection after its handshake: requests in, replies out.

use std::{
    io::{self, BufReader, BufWriter, Read, Write},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use super::{
    budget::{Budget, Permit},
    engine::{Export, Job, Op},
    listen::Stream,
    wire::{self, command, errno, protocol},
};

/// The answer to a request.
pub(super) struct Reply {
    pub cookie: u64,
    pub error: u32,
    /// What was read; sent if there is no error.
    pub data: Vec<u8>,
    /// The request's part of the budget, held until the reply is sent.
    pub permit: Permit,
}

struct Request {
    kind: u16,
    cookie: u64,
    offset: u64,
    len: u32,
}

/// Serves a connection until the client leaves. An error is a client that broke the protocol or was cut off.
pub(super) fn run(stream: Stream, export: &Export) -> io::Result<()> {
    let (replies, outbox) = channel();
    let out = stream.try_clone()?;
    thread::scope(|scope| {
        let writer = scope.spawn(move || write_replies(out, &outbox));
        let result = read_requests(&stream, export, &replies);
        // The writer ends when the last reply was sent: the engine drops its senders with the jobs.
        drop(replies);
        let written = writer.join().unwrap_or_else(|_| Err(protocol("the writer failed")));
        result.and(written)
    })
}

fn read_requests(stream: &Stream, export: &Export, replies: &Sender<Reply>) -> io::Result<()> {
    let mut input = BufReader::with_capacity(256 << 10, stream.try_clone()?);
    let budget = Budget::default();
    while let Some(request) = read_request(&mut input)? {
        if request.kind == command::DISC {
            return Ok(());
        }
        let carries = request.kind == command::WRITE;
        if carries && request.len > wire::MAX_LENGTH {
            // It would have to be read to be refused.
            return Err(protocol("a write that is longer than was agreed"));
        }
        let held = if matches!(request.kind, command::READ | command::WRITE) { request.len } else { 0 };
        let permit = budget.take(held.min(wire::MAX_LENGTH).into());
        let mut data = vec![0; if carries { request.len as usize } else { 0 }];
        input.read_exact(&mut data)?;
        match check(export, &request) {
            Ok(op) => {
                let len = u64::from(request.len);
                if op == Op::Read {
                    data = vec![0; request.len as usize];
                }
                let replies = replies.clone();
                let job = Job { op, cookie: request.cookie, offset: request.offset, len, data, permit, replies };
                if export.jobs.send(job).is_err() {
                    return Err(protocol("the export was closed"));
                }
            }
            Err(error) => {
                let _ = replies.send(Reply { cookie: request.cookie, error, data: Vec::new(), permit });
            }
        }
    }
    Ok(())
}

/// The next request; `None` when the client left between two.
fn read_request(input: &mut BufReader<Stream>) -> io::Result<Option<Request>> {
    let mut first = [0];
    if input.read(&mut first)? == 0 {
        return Ok(None);
    }
    let mut rest = [0; 27];
    input.read_exact(&mut rest)?;
    let mut at = first.as_slice().chain(rest.as_slice());
    if wire::read_u32(&mut at)? != wire::REQUEST_MAGIC {
        return Err(protocol("a request without its magic"));
    }
    // Command flags: NO_HOLE on a write-zeroes allows what we do anyway; the others were not offered, and a client that
    // sends them all the same loses nothing but speed.
    let _flags = wire::read_u16(&mut at)?;
    Ok(Some(Request {
        kind: wire::read_u16(&mut at)?,
        cookie: wire::read_u64(&mut at)?,
        offset: wire::read_u64(&mut at)?,
        len: wire::read_u32(&mut at)?,
    }))
}

/// What a request asks for, if it can be done.
fn check(export: &Export, request: &Request) -> Result<Op, u32> {
    let op = match request.kind {
        command::READ => Op::Read,
        command::WRITE => Op::Write,
        command::WRITE_ZEROES => Op::WriteZeroes,
        command::FLUSH => return Ok(Op::Flush),
        _ => return Err(errno::EINVAL),
    };
    if op != Op::Read && export.read_only {
        return Err(errno::EPERM);
    }
    let block = u64::from(export.block);
    let len = u64::from(request.len);
    if !request.offset.is_multiple_of(block) || !len.is_multiple_of(block) {
        return Err(errno::EINVAL);
    }
    if op == Op::Read && request.len > wire::MAX_LENGTH {
        return Err(errno::EINVAL);
    }
    match request.offset.checked_add(len) {
        Some(end) if end <= export.size => Ok(op),
        _ if op == Op::Read => Err(errno::EINVAL),
        _ => Err(errno::ENOSPC),
    }
}

fn write_replies(stream: Stream, outbox: &Receiver<Reply>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(256 << 10, stream);
    let result = outbox.iter().try_for_each(|reply| {
        let mut next = Some(reply);
        // What is there is sent together.
        while let Some(reply) = next {
            out.write_all(&wire::REPLY_MAGIC.to_be_bytes())?;
            out.write_all(&reply.error.to_be_bytes())?;
            out.write_all(&reply.cookie.to_be_bytes())?;
            if reply.error == 0 {
                out.write_all(&reply.data)?;
            }
            drop(reply.permit);
            next = outbox.try_recv().ok();
        }
        out.flush()
    });
    if result.is_err() {
        // The reader must not wait for budget that dead replies hold: they are dropped as they come. Nor for requests.
        out.get_ref().close();
        outbox.iter().for_each(drop);
    }
    result
}
