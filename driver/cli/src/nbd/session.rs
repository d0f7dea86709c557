//! A connection after its handshake: requests in, replies out.

use std::{
    io::{self, BufReader, BufWriter, Read, Write},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use super::{
    budget::Budget,
    export::Export,
    job::{Body, Job, Op, Reply},
    listen::Stream,
    replies,
    request::{Request, Task, Terms, check},
    turns::Client,
    wire::{self, command, errno, flag, meta, protocol},
};

/// Stretches in the answer to one question for metadata: enough for a file with holes, and a few KiB.
const STRETCHES: usize = 256;
/// How often the medium is asked for one answer: of one that says little at a time a client hears the beginning, and asks again.
const STEPS: usize = 1024;

/// Serves a connection until the client leaves. An error is a client that broke the protocol or was cut off.
pub(super) fn run(stream: Stream, export: &Export, terms: Terms) -> io::Result<()> {
    let (replies, outbox) = channel();
    let out = stream.try_clone()?;
    thread::scope(|scope| {
        let writer = scope.spawn(move || write_replies(out, terms.structured, &outbox));
        let result = read_requests(&stream, export, terms, &replies);
        // The writer ends when the last reply was sent: the engine drops its senders with the jobs.
        drop(replies);
        let written = writer.join().unwrap_or_else(|_| Err(protocol("the writer failed")));
        result.and(written)
    })
}

/// A number that no other connection of this process has.
fn client() -> Client {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn read_requests(stream: &Stream, export: &Export, terms: Terms, replies: &Sender<Reply>) -> io::Result<()> {
    let mut input = BufReader::with_capacity(256 << 10, stream.try_clone()?);
    let (budget, client) = (Budget::default(), client());
    while let Some(request) = read_request(&mut input)? {
        let Request { flags, kind, cookie, offset, len } = request;
        if kind == command::DISC {
            return Ok(());
        }
        let carries = kind == command::WRITE;
        if carries && len > wire::MAX_LENGTH {
            // It would have to be read to be refused.
            return Err(protocol("a write that is longer than was agreed"));
        }
        let held = if matches!(kind, command::READ | command::WRITE) { len } else { 0 };
        let permit = budget.take(held.min(wire::MAX_LENGTH).into());
        let mut data = vec![0; if carries { len as usize } else { 0 }];
        input.read_exact(&mut data)?;
        let result = match check(export, terms, &request) {
            Ok(Task::Job(op)) => {
                if op == Op::Read {
                    data = vec![0; len as usize];
                }
                let (fua, whole) = (flags & flag::FUA != 0, flags & flag::DF != 0);
                let (len, replies) = (u64::from(len), replies.clone());
                let job = Job { client, op, fua, cookie, offset, len, data, permit, replies, whole };
                if export.jobs.send(job).is_err() {
                    return Err(protocol("the export was closed"));
                }
                continue;
            }
            Ok(Task::Status { one }) => status(export, offset, len, if one { 1 } else { STRETCHES }),
            Err(error) => Err(error),
        };
        let _ = replies.send(Reply { cookie, result, permit });
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
    Ok(Some(Request {
        flags: wire::read_u16(&mut at)?,
        kind: wire::read_u16(&mut at)?,
        cookie: wire::read_u64(&mut at)?,
        offset: wire::read_u64(&mut at)?,
        len: wire::read_u32(&mut at)?,
    }))
}

/// Where there are holes, in at most so many stretches: an answer may stop before the end of what was asked.
fn status(export: &Export, offset: u64, len: u32, most: usize) -> Result<Body, u32> {
    let end = offset + u64::from(len);
    let Some(allocation) = &export.allocation else { return Err(errno::EINVAL) };
    let (mut at, mut stretches) = (offset, Vec::<(u32, u32)>::new());
    for _ in 0..STEPS {
        if at >= end {
            break;
        }
        let (hole, until) = allocation(at..end).map_err(|e| {
            tracing::warn!("{}: where there are holes: {e}", export.name);
            errno::EIO
        })?;
        // Whatever the medium says: forward, and not beyond.
        let until = until.clamp(at + 1, end);
        let flags = if hole { meta::HOLE | meta::ZERO } else { 0 };
        let stretch = (until - at) as u32;
        let full = stretches.len() == most;
        match stretches.last_mut() {
            Some((len, before)) if *before == flags => *len += stretch,
            _ if full => break,
            _ => stretches.push((stretch, flags)),
        }
        at = until;
    }
    Ok(Body::Status(stretches))
}

fn write_replies(stream: Stream, structured: bool, outbox: &Receiver<Reply>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(256 << 10, stream);
    let result = outbox.iter().try_for_each(|reply| {
        let mut next = Some(reply);
        // What is there is sent together.
        while let Some(reply) = next {
            replies::write(&mut out, structured, reply.cookie, &reply.result)?;
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

#[cfg(test)]
mod tests {
    use super::super::export::Abilities;
    use super::*;
    use std::{ops::Range, sync::Arc};

    /// An export whose every second 4 KiB are a hole.
    fn export(extent: impl Fn(Range<u64>) -> io::Result<(bool, u64)> + Send + Sync + 'static) -> Export {
        let (name, description) = ("vf0".into(), String::new());
        let allocation = Some(Arc::new(extent) as super::super::export::Allocation);
        let jobs = channel().0;
        let abilities = Abilities::default();
        Export { name, description, size: 1 << 32, block: 512, read_only: false, abilities, allocation, jobs }
    }

    fn stretches(export: &Export, offset: u64, len: u32, most: usize) -> Vec<(u32, u32)> {
        match status(export, offset, len, most) {
            Ok(Body::Status(stretches)) => stretches,
            _ => panic!("no stretches"),
        }
    }

    #[test]
    fn stretches_are_of_different_kinds_and_bounded() {
        let stripes = export(|r| Ok((r.start / 4096 % 2 == 1, r.start / 4096 * 4096 + 4096)));
        assert_eq!(stretches(&stripes, 512, 8192, 9), [(3584, 0), (4096, 3), (512, 0)]);
        assert_eq!(stretches(&stripes, 512, 8192, 1), [(3584, 0)]);
        assert_eq!(stretches(&stripes, 0, !511, STRETCHES).len(), STRETCHES);
        let same = export(|r| Ok((true, r.start + 4096)));
        assert_eq!(stretches(&same, 0, 1 << 20, 1), [(1 << 20, 3)]);
    }

    #[test]
    fn a_medium_that_says_little_at_a_time_is_asked_so_often_and_the_answer_ends_there() {
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = asked.clone();
        let blocks = export(move |r| {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok((false, r.start + 512))
        });
        assert_eq!(stretches(&blocks, 0, 1 << 30, 4), [(STEPS as u32 * 512, 0)]);
        assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), STEPS);
    }

    #[test]
    fn a_medium_that_says_nonsense_neither_hangs_nor_lies_about_the_end() {
        for answer in [0, u64::MAX] {
            let nonsense = export(move |_| Ok((false, answer)));
            assert_eq!(stretches(&nonsense, 512, 1024, 4), [(1024, 0)]);
        }
        assert!(status(&export(|_| Err(io::ErrorKind::Other.into())), 0, 512, 4).is_err());
    }
}
