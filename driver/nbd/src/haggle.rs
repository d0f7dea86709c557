//! The handshake: fixed newstyle, structured replies and `base:allocation` where the server has them.

use std::io::{self, Read, Write};

use crate::wire::{self, info, meta, option, reply};
use crate::{Error, Result, Uri};

/// What was agreed on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Terms {
    /// Bytes of the export.
    pub size: u64,
    /// Transmission flags.
    pub flags: u16,
    pub structured: bool,
    /// The number under which holes are told, if they are.
    pub allocation: Option<u32>,
    /// Least and largest request; 0 where nothing was said.
    pub least: u32,
    pub most: u32,
}

impl Terms {
    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// The longest reply to an option that is looked at.
const MAX_REPLY: u32 = 64 << 10;
/// Replies to one option at most: a server has so many exports, or more than anybody reads.
const MAX_REPLIES: usize = 1024;

struct Haggle<'a, S> {
    stream: &'a mut S,
    uri: &'a Uri,
}

/// A server's answer to an option.
struct Reply {
    kind: u32,
    data: Vec<u8>,
}

/// Agrees with a server on an export.
pub(crate) fn agree<S: Read + Write>(stream: &mut S, uri: &Uri) -> Result<Terms> {
    let mut haggle = Haggle { stream, uri };
    let no_zeroes = haggle.greet()?;
    let mut terms = Terms { structured: haggle.structured()?, ..Terms::default() };
    if terms.structured {
        terms.allocation = haggle.allocation()?;
    }
    haggle.go(&mut terms, no_zeroes)?;
    Ok(terms)
}

impl<S: Read + Write> Haggle<'_, S> {
    fn talk(&self, source: io::Error) -> Error {
        Error::Talk { uri: self.uri.to_string(), source }
    }

    fn read<T>(&mut self, what: impl FnOnce(&mut S) -> io::Result<T>) -> Result<T> {
        what(self.stream).map_err(|source| Error::Talk { uri: self.uri.to_string(), source })
    }

    /// True if an export name is answered without its 124 zeroes.
    fn greet(&mut self) -> Result<bool> {
        let magic = self.read(wire::read_u64)?;
        if magic != wire::INIT_MAGIC {
            return Err(self.talk(wire::protocol("its greeting is not NBD's")));
        }
        match self.read(wire::read_u64)? {
            wire::OPTION_MAGIC => {}
            wire::OLD_MAGIC => return Err(Error::Old { uri: self.uri.to_string() }),
            _ => return Err(self.talk(wire::protocol("its greeting is not NBD's"))),
        }
        let flags = self.read(wire::read_u16)?;
        if flags & wire::FLAG_FIXED_NEWSTYLE == 0 {
            return Err(Error::Old { uri: self.uri.to_string() });
        }
        let ours = flags & (wire::FLAG_FIXED_NEWSTYLE | wire::FLAG_NO_ZEROES);
        self.read(|s| s.write_all(&u32::from(ours).to_be_bytes()))?;
        Ok(ours & wire::FLAG_NO_ZEROES != 0)
    }

    fn send(&mut self, option: u32, data: &[u8]) -> Result<()> {
        let mut bytes = wire::OPTION_MAGIC.to_be_bytes().to_vec();
        bytes.extend(option.to_be_bytes());
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(data);
        self.read(|s| s.write_all(&bytes))
    }

    fn reply(&mut self, asked: u32) -> Result<Reply> {
        let (magic, option) = (self.read(wire::read_u64)?, self.read(wire::read_u32)?);
        let (kind, len) = (self.read(wire::read_u32)?, self.read(wire::read_u32)?);
        if magic != wire::OPTION_REPLY_MAGIC || option != asked || len > MAX_REPLY {
            return Err(self.talk(wire::protocol("its reply to an option is none")));
        }
        let mut data = vec![0; len as usize];
        self.read(|s| s.read_exact(&mut data))?;
        if kind == reply::ERR_TLS_REQD {
            return Err(Error::Tls { uri: self.uri.to_string() });
        }
        Ok(Reply { kind, data })
    }

    fn structured(&mut self) -> Result<bool> {
        self.send(option::STRUCTURED_REPLY, &[])?;
        Ok(self.reply(option::STRUCTURED_REPLY)?.kind == reply::ACK)
    }

    /// Chooses `base:allocation`.
    fn allocation(&mut self) -> Result<Option<u32>> {
        let mut data = named(&self.uri.export);
        data.extend(1u32.to_be_bytes());
        data.extend(named(meta::ALLOCATION));
        self.send(option::SET_META_CONTEXT, &data)?;
        let mut found = None;
        for _ in 0..MAX_REPLIES {
            let answer = self.reply(option::SET_META_CONTEXT)?;
            match answer.kind {
                reply::META_CONTEXT => {
                    let id = answer.data.first_chunk().map(|id| u32::from_be_bytes(*id));
                    if answer.data.get(4..) == Some(meta::ALLOCATION.as_bytes()) {
                        found = id;
                    }
                }
                reply::ACK => return Ok(found),
                // It has none, or not of this export, which GO will say.
                _ => return Ok(None),
            }
        }
        Err(self.talk(wire::protocol("its replies do not end")))
    }

    fn go(&mut self, terms: &mut Terms, no_zeroes: bool) -> Result<()> {
        let mut data = named(&self.uri.export);
        data.extend(1u16.to_be_bytes());
        data.extend(info::BLOCK_SIZE.to_be_bytes());
        self.send(option::GO, &data)?;
        let mut known = false;
        for _ in 0..MAX_REPLIES {
            let answer = self.reply(option::GO)?;
            match answer.kind {
                reply::INFO => known |= self.info(&answer.data, terms)?,
                reply::ACK if known => return Ok(()),
                reply::ACK => return Err(self.talk(wire::protocol("it does not tell the export's size"))),
                reply::ERR_UNSUP => return self.export_name(terms, no_zeroes),
                reply::ERR_UNKNOWN => return Err(self.unknown()),
                kind => {
                    let text: String =
                        String::from_utf8_lossy(&answer.data).chars().filter(|c| !c.is_control()).take(200).collect();
                    let reason = match kind {
                        reply::ERR_POLICY => format!("its policy forbids it. {text}"),
                        reply::ERR_SHUTDOWN => format!("it is about to end. {text}"),
                        _ => format!("error {:#x}. {text}", kind & !(1 << 31)),
                    };
                    return Err(Error::Refused { uri: self.uri.to_string(), reason: reason.trim_end().to_owned() });
                }
            }
        }
        Err(self.talk(wire::protocol("its replies do not end")))
    }

    /// A piece of information; true if it is the one that must come.
    fn info(&self, data: &[u8], terms: &mut Terms) -> Result<bool> {
        let mut from = data;
        let short = |e| self.talk(e);
        let kind = wire::read_u16(&mut from).map_err(short)?;
        if kind == info::EXPORT {
            terms.size = wire::read_u64(&mut from).map_err(short)?;
            terms.flags = wire::read_u16(&mut from).map_err(short)?;
            return Ok(true);
        }
        if kind == info::BLOCK_SIZE {
            terms.least = wire::read_u32(&mut from).map_err(short)?;
            let _best = wire::read_u32(&mut from).map_err(short)?;
            terms.most = wire::read_u32(&mut from).map_err(short)?;
        }
        Ok(false)
    }

    /// The old manner: the answer is the export, or the end of the connection.
    fn export_name(&mut self, terms: &mut Terms, no_zeroes: bool) -> Result<()> {
        let name = self.uri.export.clone();
        self.send(option::EXPORT_NAME, name.as_bytes())?;
        terms.size = wire::read_u64(self.stream).map_err(|_| Error::NoExport {
            uri: self.uri.to_string(),
            export: name,
            known: "the server ended the connection".into(),
        })?;
        terms.flags = self.read(wire::read_u16)?;
        if !no_zeroes {
            self.read(|s| s.read_exact(&mut [0; 124]))?;
        }
        Ok(())
    }

    /// Says which exports there are.
    fn unknown(&mut self) -> Error {
        let mut names = Vec::new();
        if self.send(option::LIST, &[]).is_ok() {
            for _ in 0..MAX_REPLIES {
                match self.reply(option::LIST) {
                    Ok(Reply { kind: reply::SERVER, data }) => {
                        let len = data.first_chunk().map_or(0, |len| u32::from_be_bytes(*len) as usize);
                        let name = data.get(4..).and_then(|rest| rest.get(..len)).unwrap_or_default();
                        names.push(format!("`{}`", String::from_utf8_lossy(name).escape_debug()));
                    }
                    _ => break,
                }
            }
        }
        let known = match names.len() {
            0 => "the server does not say which there are".into(),
            n if n > 10 => format!("there are {}, … ({n} in all)", names[..10].join(", ")),
            _ => format!("there is {}", names.join(", ")),
        };
        Error::NoExport { uri: self.uri.to_string(), export: self.uri.export.clone(), known }
    }
}

/// A name with its length before it.
fn named(name: &str) -> Vec<u8> {
    let mut bytes = (name.len() as u32).to_be_bytes().to_vec();
    bytes.extend(name.as_bytes());
    bytes
}
