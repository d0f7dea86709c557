//! Requests of the host's that wait for an answer: one tag each, and the checks that the answer is one.

use azote_tlp::{Body, Completion, Rid, Status, Tlp};

use crate::RequestError;
use crate::check::{Found, Rule};

/// What was asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked {
    /// A configuration read.
    ConfigRead,
    /// A configuration write.
    ConfigWrite,
    /// A memory read of so many bytes from the first enabled one, which has this lower address.
    Memory { bytes: u16, lower_address: u8 },
}

/// A request in flight.
#[derive(Debug)]
struct Request {
    asked: Asked,
    /// Who must answer, if that is known.
    target: Option<u8>,
    /// What is left of a memory read, and where it goes on.
    left: u16,
    lower_address: u8,
    data: Vec<u8>,
    result: Option<Result<Vec<u8>, RequestError>>,
    /// Nobody waits for it any more; its tag is free when an answer comes.
    abandoned: bool,
}

/// All tags of the host's.
#[derive(Debug)]
pub(crate) struct Requests {
    tags: Vec<Option<Request>>,
    next: u8,
    waiting: usize,
}

impl Requests {
    pub fn new() -> Self {
        Requests { tags: (0..256).map(|_| None).collect(), next: 0, waiting: 0 }
    }

    /// True while somebody waits for an answer.
    pub fn any(&self) -> bool {
        self.waiting > 0
    }

    /// A free tag for a request to `target`.
    pub fn open(&mut self, asked: Asked, target: Option<u8>) -> Result<u8, RequestError> {
        for _ in 0..256 {
            let tag = self.next;
            self.next = self.next.wrapping_add(1);
            if self.tags[usize::from(tag)].is_none() {
                let (left, lower_address) = match asked {
                    Asked::Memory { bytes, lower_address } => (bytes, lower_address),
                    _ => (4, 0),
                };
                let data = Vec::new();
                let request = Request { asked, target, left, lower_address, data, result: None, abandoned: false };
                self.tags[usize::from(tag)] = Some(request);
                self.waiting += 1;
                return Ok(tag);
            }
        }
        Err(RequestError::NoTag)
    }

    /// The answer, once there is one; the tag is then free.
    pub fn take(&mut self, tag: u8) -> Option<Result<Vec<u8>, RequestError>> {
        let slot = &mut self.tags[usize::from(tag)];
        if slot.as_ref()?.result.is_some() {
            self.waiting -= 1;
            return slot.take()?.result;
        }
        None
    }

    /// Stops waiting for an answer.
    pub fn abandon(&mut self, tag: u8) {
        if let Some(request) = &mut self.tags[usize::from(tag)]
            && !request.abandoned
        {
            request.abandoned = true;
            self.waiting -= 1;
        }
    }

    /// Forgets everything, as a reset does.
    pub fn reset(&mut self) {
        *self = Requests::new();
    }

    /// Takes a completion for the host; false if no request has its tag.
    pub fn complete(&mut self, tlp: &Tlp, found: &mut Vec<Found>) -> bool {
        let (c, data): (&Completion, &[u8]) = match &tlp.body {
            Body::Cpl(c) => (c, &[]),
            Body::CplD(c, data) => (c, data),
            _ => return false,
        };
        let slot = &mut self.tags[usize::from(c.tag)];
        let Some(request) = slot.as_mut().filter(|r| r.result.is_none()) else { return false };
        // A refusal may come from whoever found that nobody owns the address or the number (§2.3.1).
        let owned = c.status == Status::Success;
        if owned && request.target.is_some_and(|target| target != c.completer.function()) {
            let target = Rid::new(c.completer.bus(), request.target.unwrap_or(0));
            found.push((Rule::Crossing, format!("{target} was asked, {} answers: {tlp}", c.completer)));
        }
        let result = if c.status != Status::Success {
            Some(Err(RequestError::Status(c.status)))
        } else if tlp.attributes.poisoned {
            Some(Err(RequestError::Poisoned))
        } else {
            match request.answer(c, data) {
                Ok(false) => None,
                Ok(true) => Some(Ok(std::mem::take(&mut request.data))),
                Err(reason) => {
                    found.push((Rule::Completion, format!("{reason}: {tlp}")));
                    Some(Err(RequestError::Nonsense))
                }
            }
        };
        if result.is_some() {
            if request.abandoned {
                *slot = None;
            } else {
                request.result = result;
            }
        }
        true
    }
}

impl Request {
    /// Takes a successful completion; true if the answer is whole.
    fn answer(&mut self, c: &Completion, data: &[u8]) -> Result<bool, String> {
        if c.byte_count != self.left {
            return Err(format!("§2.3.1.1: byte count {}, where {} are left", c.byte_count, self.left));
        }
        let lower_address = match self.asked {
            Asked::Memory { .. } => self.lower_address,
            // §2.2.9: zero in all but completions of memory reads.
            _ => 0,
        };
        if c.lower_address != lower_address {
            return Err(format!("§2.3.1.1: lower address {:02x}, not {lower_address:02x}", c.lower_address));
        }
        match self.asked {
            Asked::ConfigWrite if data.is_empty() => Ok(true),
            Asked::ConfigRead if data.len() == 4 => {
                self.data.extend_from_slice(data);
                Ok(true)
            }
            Asked::Memory { .. } if !data.is_empty() => {
                let skipped = usize::from(lower_address & 3);
                let useful = (data.len() - skipped).min(self.left.into());
                self.data.extend_from_slice(&data[skipped..skipped + useful]);
                self.left -= useful as u16;
                self.lower_address = 0x7f & (lower_address & !3).wrapping_add(data.len() as u8);
                Ok(self.left == 0)
            }
            _ => Err(format!("{} bytes of data in answer to {:?}", data.len(), self.asked)),
        }
    }
}
