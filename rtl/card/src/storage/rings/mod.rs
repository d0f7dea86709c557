//! Submission and completion queues: where they are, whose turn it is, entries in, entries and interrupts out.

pub mod coalesce;
pub mod fetch;
pub mod limiter;
pub mod poster;
pub mod queues;
pub mod turns;
