//! Output that makes nobody wait. Whoever writes leaves bytes in a bounded buffer; a thread of its own carries them to the
//! descriptor and may wait there for as long as nobody reads. What finds the buffer full is dropped and counted.
//!
//! A thread and not a descriptor that does not block: O_NONBLOCK belongs to the open file, which this process shares with
//! its shell, and neither a file nor a terminal keeps to it in every case.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    os::fd::AsRawFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Bytes that are written at once.
const CHUNK: usize = 4096;
/// The thread only moves bytes.
const STACK: usize = 64 << 10;

/// How long whoever waits for an output leaves everything else alone.
const STEP: Duration = Duration::from_millis(50);

/// How long an output is waited for at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// While it takes nothing at all.
    pub silent: Duration,
    /// In all, however much it takes.
    pub most: Duration,
}

/// For an end that somebody wants now.
pub const HURRIED: Patience = Patience { silent: Duration::from_millis(500), most: Duration::from_secs(5) };
/// For a guest's own end: somebody may be reading its last words page by page.
pub const LEISURELY: Patience = Patience { silent: Duration::from_secs(10), most: Duration::from_secs(600) };

/// The buffer's end for those who write.
pub struct Sink {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<u8>,
    /// Bytes that the thread has taken and not yet written.
    under_way: usize,
    written: u64,
    dropped: u64,
    /// Why the descriptor has refused bytes, last.
    refusal: Option<io::Error>,
    over: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: carries bytes until nobody can send any more.
    fn carry(&self, to: &File) {
        let mut chunk = Vec::with_capacity(CHUNK);
        loop {
            {
                let mut state = self.lock();
                while state.waiting.is_empty() && !state.over {
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                if state.waiting.is_empty() {
                    return;
                }
                let count = state.waiting.len().min(CHUNK);
                chunk.clear();
                chunk.extend(state.waiting.drain(..count));
                state.under_way = count;
            }
            let mut left = &chunk[..];
            while !left.is_empty() {
                let taken = write_some(to, left);
                let mut state = self.lock();
                match taken {
                    Ok(count) => {
                        state.written += count as u64;
                        state.under_way -= count;
                        left = &left[count..];
                    }
                    // A full disk, a reader that has gone: as on a cable that nobody holds.
                    Err(refusal) => {
                        state.dropped += left.len() as u64;
                        state.refusal = Some(refusal);
                        state.under_way = 0;
                        left = &[];
                    }
                }
                drop(state);
                self.changed.notify_all();
            }
        }
    }
}

/// Writes something; waits if need be, also for a descriptor that was given to us without blocking.
fn write_some(mut to: &File, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match to.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => wait_for_room(to),
            done => return done,
        }
    }
}

fn wait_for_room(to: &File) {
    let mut poll = libc::pollfd { fd: to.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one valid `pollfd`; the descriptor is open as long as `to`.
    unsafe { libc::poll(&mut poll, 1, -1) };
}

impl Sink {
    /// A buffer of so many bytes before a file, a terminal or a pipe.
    pub fn new(name: &str, to: File, capacity: usize) -> io::Result<Self> {
        let state = Mutex::new(State { waiting: VecDeque::with_capacity(CHUNK), ..State::default() });
        let shared = Arc::new(Shared { state, changed: Condvar::new(), capacity });
        let carrier = shared.clone();
        // Not joined: it may wait for a reader that never comes, and the process's end takes it along.
        thread::Builder::new().name(name.into()).stack_size(STACK).spawn(move || carrier.carry(&to))?;
        Ok(Self { shared })
    }

    /// Leaves bytes to be written. Never waits.
    pub fn write(&self, bytes: &[u8]) {
        let mut state = self.shared.lock();
        let room = self.shared.capacity.saturating_sub(state.waiting.len());
        let taken = room.min(bytes.len());
        state.waiting.extend(&bytes[..taken]);
        state.dropped += (bytes.len() - taken) as u64;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Bytes that found no room, or no reader.
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// Why there are such bytes, as far as the descriptor has said so; else there was nobody who read.
    pub fn refusal(&self) -> Option<String> {
        self.shared.lock().refusal.as_ref().map(ToString::to_string)
    }

    /// At the end: waits until everything is written, or patience is at its end.
    pub fn drain(&self, patience: Patience) {
        self.drain_while(|| patience);
    }

    /// The same, in steps: between two of them whoever waits looks after what else there is, and says how patient it is now.
    /// Another patience begins anew.
    pub fn drain_while(&self, mut look: impl FnMut() -> Patience) {
        let mut patience = look();
        let mut state = self.shared.lock();
        let mut written = state.written;
        let (mut start, mut heard) = (Instant::now(), Instant::now());
        while !state.waiting.is_empty() || state.under_way != 0 {
            let waited = self.shared.changed.wait_timeout(state, STEP.min(patience.silent));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if state.written != written {
                (written, heard) = (state.written, Instant::now());
            }
            if heard.elapsed() >= patience.silent || start.elapsed() > patience.most {
                state.dropped += (state.waiting.len() + state.under_way) as u64;
                state.waiting.clear();
                return;
            }
            drop(state);
            let now = look();
            if now != patience {
                (patience, start, heard) = (now, Instant::now(), Instant::now());
            }
            state = self.shared.lock();
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.lock().over = true;
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn pipe() -> (io::PipeReader, File) {
        let (reader, writer) = io::pipe().unwrap();
        (reader, File::from(std::os::fd::OwnedFd::from(writer)))
    }

    #[test]
    fn everything_arrives_in_order() {
        let (mut reader, writer) = pipe();
        let sink = Sink::new("test", writer, 1 << 20).unwrap();
        let sent: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
        sent.chunks(777).for_each(|chunk| sink.write(chunk));
        let mut got = vec![0; sent.len()];
        reader.read_exact(&mut got).unwrap();
        sink.drain(HURRIED);
        assert!(got == sent && sink.dropped() == 0);
    }

    #[test]
    fn what_nobody_reads_is_dropped_and_counted_and_nobody_waits() {
        let (mut reader, writer) = pipe();
        let sink = Sink::new("test", writer, 1000).unwrap();
        // More than the pipe, the thread and the buffer hold together.
        for _ in 0..1000 {
            sink.write(&[7; 1000]);
        }
        sink.drain(HURRIED);
        let dropped = sink.dropped();
        drop(sink);
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        // What was under way when patience ended counts as dropped, though this reader got it in the end.
        assert!(
            dropped > 500_000
                && (1_000_000 - dropped..=1_000_000 - dropped + CHUNK as u64).contains(&(got.len() as u64))
        );
    }

    #[test]
    fn who_waits_for_a_reader_may_become_impatient() {
        let (_reader, writer) = pipe();
        let sink = Sink::new("test", writer, 1 << 20).unwrap();
        sink.write(&[7; 500_000]);
        // Without end, but for the look that says otherwise.
        let for_ever = Patience { silent: Duration::MAX, most: Duration::MAX };
        let mut looks = 0;
        sink.drain_while(|| {
            looks += 1;
            if looks < 5 { for_ever } else { HURRIED }
        });
        assert!(looks >= 5 && sink.dropped() > 400_000);
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let (reader, writer) = pipe();
        drop(reader);
        let sink = Sink::new("test", writer, 1000).unwrap();
        sink.write(b"lost");
        sink.drain(HURRIED);
        assert_eq!(sink.dropped(), 4);
        assert!(sink.refusal().unwrap().contains("Broken pipe"));
    }

    #[test]
    fn a_descriptor_that_does_not_block_loses_nothing() {
        let (mut reader, writer) = pipe();
        // SAFETY: a descriptor of ours and no pointers.
        assert_eq!(unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK | libc::O_WRONLY) }, 0);
        let sink = Sink::new("test", writer, 1 << 20).unwrap();
        sink.write(&[1; 500_000]);
        let mut got = vec![0; 500_000];
        reader.read_exact(&mut got).unwrap();
        assert_eq!(sink.dropped(), 0);
    }
}
