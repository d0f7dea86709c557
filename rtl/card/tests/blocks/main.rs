//! The benches: one file a block, each trying what the block's page promises against a plain model in Rust, with random
//! stimulus and bad input. One program, so that it is linked once and uses every core.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a bench that cannot go on has failed

mod admin;
mod arbiter;
mod asks;
mod async_fifo;
mod bench;
mod bindings;
mod books;
mod coalesce;
mod completer;
mod counters;
mod decode;
mod dma_read;
mod errors;
mod fetch;
mod fifo;
mod forget;
mod found;
mod front;
mod issue;
mod landing;
mod lanes;
mod limiter;
mod marks;
mod message;
mod mover;
mod msix;
mod net;
mod pages;
mod posted;
mod poster;
mod queues;
mod ready;
mod receive;
mod registers;

mod skid;
mod space;
mod table;
mod tags;
mod tick;
mod transmit;
mod turns;
mod volume;
mod walker;
mod ways;
mod wipe;
mod writer;
