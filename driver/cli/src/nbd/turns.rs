//! Whose turn it is: between the clients of an export, so that none waits behind all that another has asked for.
//!
//! A client's jobs are begun in their order. Between clients each piece is a turn, and a client that has much in flight waits
//! for some of it: what a newcomer finds before it in the controller's queue is little, whatever others have asked for.

use std::collections::VecDeque;

/// A connection.
pub(super) type Client = u64;

/// Bytes that a client may have in flight before others had their turn. Enough to keep a controller busy.
const IN_FLIGHT: u64 = 1 << 20;
/// What a command counts beside its data.
const COMMAND: u64 = 4096;

struct Waiting {
    client: Client,
    /// Jobs with something left to issue, oldest first.
    jobs: VecDeque<usize>,
    in_flight: u64,
}

/// The clients that wait or have something in flight; who was served longest ago stands first.
#[derive(Default)]
pub(super) struct Turns(VecDeque<Waiting>);

impl Turns {
    fn of(&mut self, client: Client) -> &mut Waiting {
        let at = self.0.iter().position(|w| w.client == client).unwrap_or_else(|| {
            self.0.push_back(Waiting { client, jobs: VecDeque::new(), in_flight: 0 });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    /// A job that is to be issued after the client's others.
    pub fn push(&mut self, client: Client, job: usize) {
        self.of(client).jobs.push_back(job);
    }

    /// A job that has something left to issue, and comes before the client's others.
    pub fn push_first(&mut self, client: Client, job: usize) {
        self.of(client).jobs.push_front(job);
    }

    /// The job to issue the next piece of.
    pub fn next(&mut self) -> Option<usize> {
        let at = self.0.iter().position(|w| !w.jobs.is_empty() && w.in_flight < IN_FLIGHT)?;
        let waiting = self.0.remove(at)?;
        let job = waiting.jobs.front().copied();
        self.0.push_back(waiting);
        job
    }

    /// A piece of so many bytes is in flight.
    pub fn issued(&mut self, client: Client, len: u64) {
        self.of(client).in_flight += len + COMMAND;
    }

    /// It is not any more.
    pub fn ended(&mut self, client: Client, len: u64) {
        let waiting = self.of(client);
        waiting.in_flight = waiting.in_flight.saturating_sub(len + COMMAND);
        self.0.retain(|w| !w.jobs.is_empty() || w.in_flight > 0);
    }

    /// Nothing is left to issue of a job.
    pub fn remove(&mut self, client: Client, job: usize) {
        self.of(client).jobs.retain(|&j| j != job);
    }

    /// Nothing waits any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: u64 = 128 << 10;

    #[test]
    fn clients_take_turns_and_one_alone_has_them_all() {
        let mut turns = Turns::default();
        (0..3).for_each(|job| turns.push(7, job));
        assert_eq!([turns.next(), turns.next()], [Some(0), Some(0)]);
        turns.push(8, 3);
        let served: Vec<_> = (0..4).map(|_| turns.next().unwrap()).collect();
        assert_eq!(served.iter().filter(|j| **j == 3).count(), 2, "{served:?}");
        turns.remove(7, 0);
        turns.remove(8, 3);
        assert_eq!([turns.next(), turns.next()], [Some(1), Some(1)]);
    }

    #[test]
    fn a_newcomer_finds_little_before_it() {
        let mut turns = Turns::default();
        (0..1000).for_each(|job| turns.push(7, job));
        let mut before = 0;
        while turns.next().is_some() {
            turns.issued(7, PIECE);
            before += 1;
        }
        assert_eq!(before, 8);
        turns.push(8, 1000);
        assert_eq!(turns.next(), Some(1000));
        turns.ended(7, PIECE);
        turns.issued(8, PIECE);
        assert!(turns.next().is_some());
    }

    #[test]
    fn who_has_left_is_forgotten() {
        let mut turns = Turns::default();
        for client in 0..100 {
            turns.push(client, 0);
            turns.issued(client, 0);
            turns.remove(client, 0);
            turns.ended(client, 0);
        }
        assert!(turns.0.is_empty());
    }
}
