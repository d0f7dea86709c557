//! The server's protocol without a socket's peer and without a controller, for fuzzers: all of it but the engine.

use std::{
    io::{self, Cursor, Read, Write},
    ops::Range,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread,
};

use super::{
    export::{Abilities, Export},
    job::{Body, Job, Op, Reply},
    listen::Stream,
    negotiate::negotiate,
    request::Terms,
    session,
};

const SIZE: u64 = 1 << 20;
const BLOCK: u32 = 512;
/// What a socket holds without a reader: more of a client's bytes are not sent.
const SENT_MAX: usize = 16 << 10;

/// A client's bytes, and how much the server said.
struct Script<'a>(Cursor<&'a [u8]>, usize);

impl Read for Script<'_> {
    fn read(&mut self, data: &mut [u8]) -> io::Result<usize> {
        self.0.read(data)
    }
}

impl Write for Script<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.1 += data.len();
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn export(name: &str) -> (Export, Receiver<Job>) {
    let (jobs, inbox) = channel();
    let read_only = name == "vf1";
    let (name, description) = (name.into(), "fuzzed".into());
    let abilities = Abilities { zeroes: true, trim: true };
    // Every second 4 KiB are a hole.
    let extent = |r: Range<u64>| Ok((r.start / 4096 % 2 == 1, r.start / 4096 * 4096 + 4096));
    let allocation = Some(Arc::new(extent) as super::Allocation);
    let export = Export { name, description, size: SIZE, block: BLOCK, read_only, abilities, allocation, jobs };
    (export, inbox)
}

/// Plays a client: its first byte says whether the others are a handshake or, to the first or the second export, requests.
/// Panics if the server asks something of an export that it must not.
pub fn play(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let (first, first_inbox) = export("vf0");
    let (second, second_inbox) = export("vf1");
    if kind & 1 == 0 {
        let exports = [first, second];
        let mut script = Script(Cursor::new(bytes), 0);
        let _ = negotiate(&mut script, &exports);
        // Each option has eight bytes and more, and its answer a few hundred.
        assert!(script.1 <= 1024 + 64 * bytes.len(), "{} bytes in answer to {}", script.1, bytes.len());
        return;
    }
    let terms = Terms { structured: kind & 4 != 0, allocation: kind & 12 == 12 };
    if kind & 2 == 0 {
        requests(bytes, first, first_inbox, terms)
    } else {
        requests(bytes, second, second_inbox, terms)
    }
}

fn requests(bytes: &[u8], export: Export, inbox: Receiver<Job>, terms: Terms) {
    let Ok((server, mut client)) = UnixStream::pair() else { return };
    thread::scope(|scope| {
        let read_only = export.read_only;
        let engine = scope.spawn(move || inbox.iter().for_each(|job| answer(job, read_only)));
        let session = scope.spawn(move || {
            let _ = session::run(Stream::Unix(server), &export, terms);
        });
        let _ = client.write_all(&bytes[..bytes.len().min(SENT_MAX)]);
        let _ = client.shutdown(std::net::Shutdown::Write);
        let _ = io::copy(&mut client, &mut io::sink());
        let ended = [session.join(), engine.join()];
        assert!(ended.iter().all(Result::is_ok), "a thread of the server panicked");
    });
}

/// What an engine may rely on, and what it says.
fn answer(job: Job, read_only: bool) {
    let Job { op, cookie, offset, len, data, permit, replies, whole, .. } = job;
    let end = offset.checked_add(len);
    assert!(op == Op::Flush || end.is_some_and(|end| end <= SIZE), "{op:?} of {len} at {offset}");
    assert!(op == Op::Flush || (offset | len).is_multiple_of(BLOCK.into()), "{op:?} of {len} at {offset}");
    assert!(!read_only || matches!(op, Op::Read | Op::Flush), "{op:?} of what is read-only");
    let carries = matches!(op, Op::Read | Op::Write);
    assert!(!carries || data.len() as u64 == len, "{op:?} of {len} with {} bytes", data.len());
    let result = Ok(if op == Op::Read { Body::Data { offset, data, whole } } else { Body::Done });
    let _ = replies.send(Reply { cookie, result, permit });
}
