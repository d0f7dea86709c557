//! The handshake and the haggling about options, up to the moment when an export is chosen.

use std::io::{self, Read, Write};

use super::{
    export::Export,
    request::Terms,
    wire::{self, info, meta, option, protocol, reply},
};

/// Options that a client may send before it chooses; more is not haggling any more.
const MAX_OPTIONS: usize = 256;

/// Talks until the client takes an export; `None` if it goes without one.
pub(super) fn negotiate<'a>(
    stream: &mut (impl Read + Write),
    exports: &'a [Export],
) -> io::Result<Option<(&'a Export, Terms)>> {
    let mut structured = false;
    // Metadata is chosen for an export, and counts if that is the one that is taken.
    let mut chosen: Option<&Export> = None;
    let terms = |export: &Export, structured: bool, chosen: Option<&Export>| {
        let allocation = structured && chosen.is_some_and(|c| std::ptr::eq(c, export));
        Terms { structured, allocation }
    };
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
                out.extend(export.flags(structured).to_be_bytes());
                if flags & u32::from(wire::FLAG_NO_ZEROES) == 0 {
                    out.extend([0; 124]);
                }
                stream.write_all(&out)?;
                return Ok(Some((export, terms(export, structured, chosen))));
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
                        describe(stream, id, export, structured)?;
                        answer(stream, id, reply::ACK, &[])?;
                        if id == option::GO {
                            return Ok(Some((export, terms(export, structured, chosen))));
                        }
                    }
                },
            },
            option::STRUCTURED_REPLY if !data.is_empty() => {
                answer(stream, id, reply::ERR_INVALID, b"STRUCTURED_REPLY has no data")?;
            }
            option::STRUCTURED_REPLY => {
                structured = true;
                answer(stream, id, reply::ACK, &[])?;
            }
            option::LIST_META_CONTEXT | option::SET_META_CONTEXT => {
                let sets = id == option::SET_META_CONTEXT;
                if sets {
                    // Whatever comes of it: what was chosen before counts no more.
                    chosen = None;
                }
                match parse_meta(&data) {
                    _ if !structured => answer(stream, id, reply::ERR_INVALID, b"structured replies come first")?,
                    None => answer(stream, id, reply::ERR_INVALID, b"the option is malformed")?,
                    Some((name, queries)) => match find(exports, name) {
                        None => answer(stream, id, reply::ERR_UNKNOWN, b"there is no such export")?,
                        Some(export) => {
                            let asked = |query: &&[u8]| {
                                *query == meta::ALLOCATION.as_bytes() || (!sets && *query == meta::BASE.as_bytes())
                            };
                            let all = !sets && queries.is_empty();
                            if export.allocation.is_some() && (all || queries.iter().any(asked)) {
                                chosen = sets.then_some(export).or(chosen);
                                let number = if sets { meta::ALLOCATION_ID } else { 0 };
                                let context = [&number.to_be_bytes()[..], meta::ALLOCATION.as_bytes()].concat();
                                answer(stream, id, reply::META_CONTEXT, &context)?;
                            }
                            answer(stream, id, reply::ACK, &[])?;
                        }
                    },
                }
            }
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

/// The export's name and the queries in the data of LIST_META_CONTEXT and SET_META_CONTEXT: a length and the name, a count,
/// and a length and a text for each query.
fn parse_meta(data: &[u8]) -> Option<(&[u8], Vec<&[u8]>)> {
    let text = |data| -> Option<(&[u8], &[u8])> {
        let (len, rest) = <[u8]>::split_first_chunk::<4>(data)?;
        let len = u32::from_be_bytes(*len) as usize;
        rest.split_at_checked(len).filter(|_| len <= wire::MAX_NAME)
    };
    let (name, rest) = text(data)?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let mut queries = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (query, after) = text(rest)?;
        queries.push(query);
        rest = after;
    }
    rest.is_empty().then_some((name, queries))
}

/// Everything that is known of an export; a client ignores what it did not ask for.
fn describe(stream: &mut impl Write, id: u32, export: &Export, structured: bool) -> io::Result<()> {
    let mut out = info::EXPORT.to_be_bytes().to_vec();
    out.extend(export.size.to_be_bytes());
    out.extend(export.flags(structured).to_be_bytes());
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
    use super::super::export::{Abilities, Allocation};
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
                abilities: Abilities { zeroes: true, trim: true },
                allocation: (name == "vf0").then(|| std::sync::Arc::new(|_| Ok((true, u64::MAX))) as Allocation),
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
        let result = negotiate(&mut script, &exports).map(|e| e.map(|(e, _)| e.name.clone()));
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
                opt(99, &[]),
                opt(option::GO, &go("vf9")),
                opt(option::GO, &[0, 0, 0, 9, 1]),
                opt(option::LIST, &[1]),
                opt(option::LIST, &[]),
                opt(99, &[0; 10_000]),
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
        let mut huge = opt(99, &[]);
        huge[12..].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(run(3, &[huge]).0.is_err(), "4 GiB of option");
        let endless: Vec<_> = (0..300).map(|_| opt(99, &[])).collect();
        assert!(run(3, &endless).0.is_err(), "endless haggling");
        assert!(run(3, &[opt(option::GO, &go("vf0"))[..20].to_vec()]).0.is_err(), "cut off");
    }

    fn meta(name: &str, queries: &[&str]) -> Vec<u8> {
        let text = |t: &str| [&(t.len() as u32).to_be_bytes()[..], t.as_bytes()].concat();
        let list: Vec<u8> = queries.iter().flat_map(|q| text(q)).collect();
        [text(name), (queries.len() as u32).to_be_bytes().to_vec(), list].concat()
    }

    fn terms(options: &[Vec<u8>]) -> Terms {
        let mut input = 3u32.to_be_bytes().to_vec();
        input.extend(options.concat());
        let exports = exports();
        negotiate(&mut Script(io::Cursor::new(input), Vec::new()), &exports).unwrap().unwrap().1
    }

    #[test]
    fn structured_replies_and_metadata_are_agreed_on_one_after_the_other() {
        let structured = opt(option::STRUCTURED_REPLY, &[]);
        let set = |name, queries: &[&str]| opt(option::SET_META_CONTEXT, &meta(name, queries));
        let list = |queries: &[&str]| opt(option::LIST_META_CONTEXT, &meta("vf0", queries));
        let allocation = ["base:allocation"];
        use reply::*;
        let answers = |options: &[Vec<u8>]| run(3, &[options, &[opt(option::ABORT, &[])]].concat()).1;
        assert_eq!(answers(&[set("vf0", &allocation)]), [ERR_INVALID, ACK]);
        assert_eq!(answers(&[opt(option::STRUCTURED_REPLY, &[0])]), [ERR_INVALID, ACK]);
        for (option, expected) in [
            (list(&[]), &[META_CONTEXT, ACK][..]),
            (list(&["base:"]), &[META_CONTEXT, ACK]),
            (list(&["qemu:", "base:allocation"]), &[META_CONTEXT, ACK]),
            (list(&["qemu:dirty-bitmap"]), &[ACK]),
            (set("vf0", &["base:"]), &[ACK]),
            (set("vf0", &[]), &[ACK]),
            (set("vf0", &allocation), &[META_CONTEXT, ACK]),
            (set("vf1", &allocation), &[ACK]),
            (set("vf9", &allocation), &[ERR_UNKNOWN]),
            (opt(option::SET_META_CONTEXT, &[0, 0, 0, 0, 0, 0, 0, 9]), &[ERR_INVALID]),
            (opt(option::SET_META_CONTEXT, &[0, 0, 0, 0, 0, 0, 0, 0, 1]), &[ERR_INVALID]),
        ] {
            assert_eq!(
                answers(&[structured.clone(), option.clone()]),
                [&[ACK], expected, &[ACK]].concat(),
                "{option:?}"
            );
        }
    }

    #[test]
    fn metadata_counts_for_the_export_that_it_was_chosen_for() {
        let structured = opt(option::STRUCTURED_REPLY, &[]);
        let set = |name, queries: &[&str]| opt(option::SET_META_CONTEXT, &meta(name, queries));
        let take = opt(option::GO, &go("vf0"));
        let allocation = ["base:allocation"];
        assert_eq!(terms(std::slice::from_ref(&take)), Terms::default());
        let only = Terms { structured: true, allocation: false };
        assert_eq!(terms(&[structured.clone(), take.clone()]), only);
        let both = Terms { structured: true, allocation: true };
        assert_eq!(terms(&[structured.clone(), set("vf0", &allocation), take.clone()]), both);
        assert_eq!(terms(&[structured.clone(), set("", &allocation), take.clone()]), both, "the first by no name");
        let other = opt(option::GO, &go("vf1"));
        assert_eq!(terms(&[structured.clone(), set("vf0", &allocation), other]), only);
        for again in [set("vf0", &[]), set("vf9", &[])] {
            assert_eq!(terms(&[structured.clone(), set("vf0", &allocation), again, take.clone()]), only);
        }
    }
}
