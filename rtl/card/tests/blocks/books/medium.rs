//! The medium and its port.

use azote_regs::media;
use azote_regs::nvme::status;
use azote_rtl::storage::flight::books::{FRONT, READS, WRITER};
use rand::Rng;
use rand::seq::IndexedRandom;

use super::{Request, Spoilt, World};

impl World {
    /// Who has a request for the port, by the port's own turns.
    pub fn request(&mut self) {
        if self.port.is_some() {
            return;
        }
        let get = |port: &str| self.dut.get(&format!("media_{port}")) as u64;
        if self.dut.get("media_valid") == 1 {
            let fields =
                (get("op") != media::CANCEL).then(|| (get("fua") == 1, get("volume"), get("lba"), get("blocks")));
            self.port = Some((FRONT, Request { op: get("op"), tag: get("tag"), fields, cancelled: false }));
        } else if self.write.is_some() && (self.read.is_none() || !self.turn) {
            self.turn = true;
            self.port = self.write.clone().map(|r| (WRITER, r));
        } else if let Some(tag) = self.read {
            self.turn = false;
            self.port = Some((READS, Request { op: media::READ, tag, fields: None, cancelled: false }));
        }
    }

    /// The medium takes the request that stands.
    pub fn take(&mut self, who: usize, r: Request) {
        match who {
            READS => {
                self.read = None;
                let id = self.front.unwrap();
                if self.commands[&id].opened == self.commands[&id].pieces {
                    self.front = None;
                }
            }
            WRITER => {
                self.write = None;
                let data = [media::WRITE, media::COMPARE].contains(&r.op);
                // What was asked for again had all of its data.
                let asked = std::mem::take(&mut self.asked_again) == Some(r.tag);
                if data && !asked && self.rng.random_ratio(1, 8) {
                    let (command, after) = (self.tags[&r.tag].command, self.rng.random_range(0..2000));
                    self.spoilt =
                        Some(Spoilt { request: r.clone(), command, redo: self.rng.random_ratio(2, 3), after });
                }
            }
            _ => {}
        }
        if r.op == media::CANCEL {
            self.cancels += 1;
            if let Some(request) = self.under_way.get_mut(&r.tag) {
                let c = &self.commands[&self.tags[&r.tag].command];
                assert!(!c.cancelled().is_empty(), "a command that nobody gave up is cancelled: {c:?}");
                request.cancelled = true;
            }
            if self.held.remove(&r.tag) {
                assert!(!self.calls.contains(&r.tag), "what is called for is let go");
            }
            return;
        }
        if who == FRONT {
            let t = self.tags.get_mut(&r.tag).unwrap();
            assert!(std::mem::take(&mut t.again), "a part is asked for twice");
            let c = self.commands.get_mut(&t.command).unwrap();
            c.at += media::LONG_BLOCKS;
            c.left -= media::LONG_BLOCKS;
            assert_eq!(
                r.fields,
                Some((c.fua, c.volume, c.at, c.left.min(media::LONG_BLOCKS))),
                "it goes on where it was"
            );
            assert_eq!(r.op, c.op);
            self.continued += 1;
        }
        assert!(!self.held.contains(&r.tag), "a tag whose data was not called for is used again");
        assert!(self.under_way.insert(r.tag, r).is_none(), "a tag is used twice");
    }

    /// What the medium makes of a request.
    pub fn result(&mut self, r: &Request) -> u64 {
        let rng = &mut self.rng;
        if r.cancelled && rng.random_ratio(2, 3) {
            return media::ABORTED;
        }
        let other = match r.op {
            media::READ => *[media::HOLE, media::HOLE, media::FAILED].choose(rng).unwrap(),
            media::COMPARE => *[media::DIFFERS, media::FAILED].choose(rng).unwrap(),
            _ => media::FAILED,
        };
        if rng.random_ratio(1, 8) { other } else { media::DONE }
    }

    /// The books have taken an answer.
    pub fn answered(&mut self, tag: u64, result: u64) {
        let r = self.under_way.remove(&tag).unwrap();
        let t = self.tags.get_mut(&tag).unwrap();
        let c = self.commands.get_mut(&t.command).unwrap();
        let cancelled = c.cancelled();
        if result == media::SPOILT {
            let get = |port: &str| self.dut.get(&format!("media_{port}")) as u64;
            let cancels = (get("valid"), get("op"), get("tag")) == (1, media::CANCEL, tag);
            let given_up = r.cancelled || cancels;
            let again = self.spoilt.as_ref().unwrap().redo && !given_up;
            self.verdict = Some(again);
            self.gone_cancelled += usize::from(given_up);
            if !again {
                c.ends(&if given_up { cancelled } else { vec![status::DATA_TRANSFER] });
            }
            return;
        }
        let good = [media::DONE, media::HOLE].contains(&result);
        let long = [media::ZEROES, media::VERIFY].contains(&r.op);
        if good && r.op == media::READ {
            if result == media::DONE && !r.cancelled {
                self.held.insert(tag);
            }
            // It goes on with its data, or ends here if it was given up before.
            if !cancelled.is_empty() && c.codes.contains(&status::SUCCESS) {
                c.codes.extend(&cancelled);
            }
        } else if good && long && c.left > media::LONG_BLOCKS {
            t.again = true;
        } else {
            let code = match result {
                _ if good => vec![status::SUCCESS],
                media::DIFFERS => vec![status::COMPARE_FAILURE],
                media::ABORTED if !cancelled.is_empty() => cancelled,
                _ => vec![c.fault()],
            };
            c.ends(&code);
        }
    }

    /// The writer hears what becomes of the request that was spoilt, in the clock after its answer.
    pub fn verdict(&mut self) {
        let said = ["write_again", "write_gone"].map(|port| self.dut.get(port) == 1);
        let Some(again) = self.verdict.take() else {
            assert_eq!(said, [false; 2], "nothing was spoilt");
            return;
        };
        assert_eq!(said, [again, !again], "whether it is asked again");
        let s = self.spoilt.take().unwrap();
        if again {
            self.again += 1;
            self.asked_again = Some(s.request.tag);
            self.write = Some(s.request);
        } else {
            self.gone += 1;
            // Nothing that comes after it is written.
            let c = self.commands.get_mut(&s.command).unwrap();
            c.spoilt = Some(c.opened);
        }
    }
}
