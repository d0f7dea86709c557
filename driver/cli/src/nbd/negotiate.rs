//! The handshake and the haggling about options, up to the moment when an export is chosen.

use std::io::{self, Read, Write};

use super::{
    engine::Export,
    wire::{self, info, option, protocol, reply},
};

/// Options that a client may send before it chooses; more is not haggling any more.
const MAX_OPTIONS: usize = 256;

/// Talks until the client takes an export; `None` if it goes without one.
pub(super) fn negotiate<'a>(stream: &mut (impl Read + Write), exports: &'a [Export]) -> io::Result<Option<&'a Export>> {
    let mut hello = Vec::with_capacity(18);
    hello.extend(wire::INIT_MAGIC.to_be_bytes());
    hello.extend(wire::OPTION_MAGIC.to_be_bytes());
    hello.extend((wire::FLAG_FIXED_NEWSTYLE | wire::FLAG_NO_ZEROES).to_be_bytes());
    stream.write_all(&hello)?;

    let flags = wire::read_u32(stream)?;
    let known = u32::from(wire::FLAG_FIXED_NEWSTYLE | wire::FLAG_NO_ZEROES);
    if flags & !known != 0 {
        return Err(protocol("client flags that we did not offer"));
    }
    for _ in 0..MAX_OPTIONS {
        if wire::read_u64(stream)? != wire::OPTION_MAGIC {
            return Err(protocol("an option without its magic"));
        }
        let id = wire::read_u32(stream)?;
        let len = wire::read_u32(stream)?;
        if len > wire::MAX_OPTION {
            discard(stream, len)?;
            if id == option::EXPORT_NAME {
                return Err(protocol("an export name that is too long"));
            }
            answer(stream, id, reply::ERR_TOO_BIG, b"the option is too long")?;
            continue;
        }
        let mut data = vec![0; len as usize];
        stream.read_exact(&mut data)?;
        match id {
            option::EXPORT_NAME => {
                // This option has no error reply: an unknown name ends the connection.
                let Some(export) = find(exports, &data) else { return Ok(None) };
                let mut out = Vec::with_capacity(134);
                out.extend(export.size.to_be_bytes());
                out.extend(export.flags().to_be_bytes());
                if flags & u32::from(wire::FLAG_NO_ZEROES) == 0 {
                    out.extend([0; 124]);
                }
                stream.write_all(&out)?;
                return Ok(Some(export));
            }
            option::ABORT => {
                // The client may be gone already; that is as good.
                let _ = answer(stream, id, reply::ACK, &[]);
                return Ok(None);
            }
            option::LIST if !data.is_empty() => answer(stream, id, reply::ERR_INVALID, b"LIST has no data")?,
            option::LIST => {
                for export in exports {
                    let mut out = (export.name.len() as u32).to_be_bytes().to_vec();
                    out.extend(export.name.as_bytes());
                    answer(stream, id, reply::SERVER, &out)?;
                }
                answer(stream, id, reply::ACK, &[])?;
            }
            option::INFO | option::GO => match parse_go(&data) {
                None => answer(stream, id, reply::ERR_INVALID, b"the option is malformed")?,
                Some(name) => match find(exports, name) {
                    None => answer(stream, id, reply::ERR_UNKNOWN, b"there is no such export")?,
                    Some(export) => {
                        describe(stream, id, export)?;
                        answer(stream, id, reply::ACK, &[])?;
                        if id == option::GO {
                            return Ok(Some(export));
                        }
                    }
                },
            },
            _ => answer(stream, id, reply::ERR_UNSUP, b"")?,
        }
    }
    Err(protocol("too many options"))
}

/// The export of a name; the empty name is the first one.
fn find<'a>(exports: &'a [Export], name: &[u8]) -> Option<&'a Export> {
    if name.is_empty() { exports.first() } else { exports.iter().find(|e| e.name.as_bytes() == name) }
}

/// The name in the data of INFO and GO: its length, itself, a count and so many information types.
fn parse_go(data: &[u8]) -> Option<&[u8]> {
    let (len, rest) = data.split_first_chunk::<4>()?;
    let len = u32::from_be_bytes(*len) as usize;
    let (name, rest) = rest.split_at_checked(len).filter(|_| len <= wire::MAX_NAME)?;
    let (count, rest) = rest.split_first_chunk::<2>()?;
    (rest.len() == 2 * usize::from(u16::from_be_bytes(*count))).then_some(name)
}

/// Everything that is known of an export; a client ignores what it did not ask for.
fn describe(stream: &mut impl Write, id: u32, export: &Export) -> io::Result<()> {
    let mut out = info::EXPORT.to_be_bytes().to_vec();
    out.extend(export.size.to_be_bytes());
    out.extend(export.flags().to_be_bytes());
    answer(stream, id, reply::INFO, &out)?;
    for (kind, text) in [(info::NAME, &export.name), (info::DESCRIPTION, &export.description)] {
        let mut out = kind.to_be_bytes().to_vec();
        out.extend(text.as_bytes());
        answer(stream, id, reply::INFO, &out)?;
    }
    let mut out = info::BLOCK_SIZE.to_be_bytes().to_vec();
    for size in [export.block, export.block.max(4096), wire::MAX_LENGTH] {
        out.extend(size.to_be_bytes());
    }
    answer(stream, id, reply::INFO, &out)
}

fn answer(stream: &mut impl Write, id: u32, kind: u32, data: &[u8]) -> io::Result<()> {
    let mut out = Vec::with_capacity(20 + data.len());
    out.extend(wire::OPTION_REPLY_MAGIC.to_be_bytes());
    out.extend(id.to_be_bytes());
    out.extend(kind.to_be_bytes());
    out.extend((data.len() as u32).to_be_bytes());
    out.extend(data);
    stream.write_all(&out)
}

fn discard(stream: &mut impl Read, len: u32) -> io::Result<()> {
    // Nothing honest is that long: not worth waiting for 4 GiB.
    if len > 1 << 20 {
        return Err(protocol("an option of more than a megabyte"));
    }
    io::copy(&mut stream.take(len.into()), &mut io::sink()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// A client's bytes, and what the server wrote.
    struct Script(io::Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Script {
        fn read(&mut self, data: &mut [u8]) -> io::Result<usize> {
            self.0.read(data)
        }
    }

    impl Write for Script {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.1.extend(data);
            Ok(data.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn exports() -> Vec<Export> {
        ["vf0", "vf1"]
            .into_iter()
            .map(|name| Export {
                name: name.into(),
                description: String::new(),
                size: 1 << 20,
                block: 512,
                read_only: name == "vf1",
                jobs: mpsc::channel().0,
            })
            .collect()
    }

    fn opt(id: u32, data: &[u8]) -> Vec<u8> {
        let mut out = wire::OPTION_MAGIC.to_be_bytes().to_vec();
        out.extend(id.to_be_bytes());
        out.extend((data.len() as u32).to_be_bytes());
        out.extend(data);
        out
    }

    fn go(name: &str) -> Vec<u8> {
        let mut data = (name.len() as u32).to_be_bytes().to_vec();
        data.extend(name.as_bytes());
        data.extend([0, 0]);
        data
    }

    /// The chosen export's name, and the reply types.
    fn run(flags: u32, options: &[Vec<u8>]) -> (io::Result<Option<String>>, Vec<u32>, Vec<u8>) {
        let mut input = flags.to_be_bytes().to_vec();
        input.extend(options.concat());
        let mut script = Script(io::Cursor::new(input), Vec::new());
        let exports = exports();
        let result = negotiate(&mut script, &exports).map(|e| e.map(|e| e.name.clone()));
        let (mut rest, mut kinds) = (&script.1[18..], Vec::new());
        while rest.len() >= 20 && rest[..8] == wire::OPTION_REPLY_MAGIC.to_be_bytes() {
            kinds.push(u32::from_be_bytes(rest[12..16].try_into().unwrap()));
            rest = &rest[20 + u32::from_be_bytes(rest[16..20].try_into().unwrap()) as usize..];
        }
        (result, kinds, rest.to_vec())
    }

    #[test]
    fn go_takes_an_export_by_name_or_the_first() {
        let (chosen, kinds, _) = run(3, &[opt(option::GO, &go("vf1"))]);
        assert_eq!(chosen.unwrap().as_deref(), Some("vf1"));
        assert_eq!(kinds, [reply::INFO, reply::INFO, reply::INFO, reply::INFO, reply::ACK]);
        assert_eq!(run(3, &[opt(option::GO, &go(""))]).0.unwrap().as_deref(), Some("vf0"));
    }

    #[test]
    fn what_is_unknown_is_answered_and_the_haggling_goes_on() {
        let (chosen, kinds, _) = run(
            3,
            &[
                opt(8, &[]),
                opt(option::GO, &go("vf9")),
                opt(option::GO, &[0, 0, 0, 9, 1]),
                opt(option::LIST, &[1]),
                opt(option::LIST, &[]),
                opt(8, &[0; 10_000]),
                opt(option::ABORT, &[]),
            ],
        );
        assert_eq!(chosen.unwrap(), None);
        use reply::*;
        assert_eq!(kinds, [ERR_UNSUP, ERR_UNKNOWN, ERR_INVALID, ERR_INVALID, SERVER, SERVER, ACK, ERR_TOO_BIG, ACK]);
    }

    #[test]
    fn export_name_answers_with_or_without_the_zeroes() {
        let (chosen, _, rest) = run(1, &[opt(option::EXPORT_NAME, b"vf0")]);
        assert_eq!((chosen.unwrap().as_deref(), rest.len()), (Some("vf0"), 134));
        assert_eq!(rest[..8], (1u64 << 20).to_be_bytes());
        assert_eq!(run(3, &[opt(option::EXPORT_NAME, b"vf1")]).2.len(), 10);
        assert_eq!(run(3, &[opt(option::EXPORT_NAME, b"no")]).0.unwrap(), None);
    }

    #[test]
    fn nonsense_ends_the_connection() {
        assert!(run(0x80, &[]).0.is_err(), "unknown client flags");
        assert!(run(3, &[vec![0; 16]]).0.is_err(), "no magic");
        let mut huge = opt(8, &[]);
        huge[12..].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(run(3, &[huge]).0.is_err(), "4 GiB of option");
        let endless: Vec<_> = (0..300).map(|_| opt(8, &[])).collect();
        assert!(run(3, &endless).0.is_err(), "endless haggling");
        assert!(run(3, &[opt(option::GO, &go("vf0"))[..20].to_vec()]).0.is_err(), "cut off");
    }
}
