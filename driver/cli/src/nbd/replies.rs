//! Replies as they go over the wire: simple ones, and chunks of structured ones where they were agreed on.

use std::io::{self, Write};

use super::{
    job::Body,
    wire::{self, chunk, errno, meta},
};

/// Writes a reply.
pub(super) fn write(out: &mut impl Write, structured: bool, cookie: u64, result: &Result<Body, u32>) -> io::Result<()> {
    match result {
        Err(error) if structured => {
            let text = text(*error).as_bytes();
            let payload = [&error.to_be_bytes()[..], &(text.len() as u16).to_be_bytes(), text];
            write_chunk(out, chunk::ERROR, cookie, &payload)
        }
        Ok(Body::Data { offset, data, whole }) if structured => {
            let offset = offset.to_be_bytes();
            match data.as_slice() {
                // A chunk has a byte at least.
                [] => write_chunk(out, chunk::NONE, cookie, &[]),
                data if !whole && is_zero(data) => {
                    write_chunk(out, chunk::OFFSET_HOLE, cookie, &[&offset, &(data.len() as u32).to_be_bytes()])
                }
                data => write_chunk(out, chunk::OFFSET_DATA, cookie, &[&offset, data]),
            }
        }
        Ok(Body::Status(stretches)) => {
            let list: Vec<u8> =
                stretches.iter().flat_map(|(len, flags)| [len.to_be_bytes(), flags.to_be_bytes()].concat()).collect();
            write_chunk(out, chunk::BLOCK_STATUS, cookie, &[&meta::ALLOCATION_ID.to_be_bytes(), &list])
        }
        // Of what brings nothing, a simple reply is allowed either way.
        _ => {
            let error = result.as_ref().err().copied().unwrap_or(0);
            out.write_all(&wire::REPLY_MAGIC.to_be_bytes())?;
            out.write_all(&error.to_be_bytes())?;
            out.write_all(&cookie.to_be_bytes())?;
            match result {
                Ok(Body::Data { data, .. }) => out.write_all(data),
                _ => Ok(()),
            }
        }
    }
}

/// The only chunk of a reply: each is whole, and known to be right, before it is sent.
fn write_chunk(out: &mut impl Write, kind: u16, cookie: u64, payload: &[&[u8]]) -> io::Result<()> {
    let len: usize = payload.iter().map(|part| part.len()).sum();
    out.write_all(&wire::CHUNK_MAGIC.to_be_bytes())?;
    out.write_all(&chunk::DONE.to_be_bytes())?;
    out.write_all(&kind.to_be_bytes())?;
    out.write_all(&cookie.to_be_bytes())?;
    out.write_all(&(len as u32).to_be_bytes())?;
    payload.iter().try_for_each(|part| out.write_all(part))
}

fn is_zero(data: &[u8]) -> bool {
    data.iter().all(|&b| b == 0)
}

/// An error for people.
fn text(error: u32) -> &'static str {
    match error {
        errno::EPERM => "the export is read-only",
        errno::EINVAL => "the request is not one that this export offers, or not within it",
        errno::ENOSPC => "it reaches beyond the end of the export",
        _ => "the device failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(structured: bool, result: Result<Body, u32>) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, structured, 0x1122, &result).unwrap();
        out
    }

    fn data(fill: u8, whole: bool) -> Result<Body, u32> {
        Ok(Body::Data { offset: 0x200, data: vec![fill; 512], whole })
    }

    #[test]
    fn reads_are_structured_where_that_was_agreed_on() {
        let simple = bytes(false, data(7, false));
        assert_eq!((simple.len(), &simple[..8]), (16 + 512, &[0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0][..]));
        let chunk = bytes(true, data(7, false));
        assert_eq!(&chunk[..8], [0x66, 0x8e, 0x33, 0xef, 0, 1, 0, 1]);
        assert_eq!(&chunk[8..28], [0, 0, 0, 0, 0, 0, 0x11, 0x22, 0, 0, 2, 8, 0, 0, 0, 0, 0, 0, 2, 0]);
        assert_eq!(chunk.len(), 28 + 512);
    }

    #[test]
    fn zeroes_are_a_hole_unless_one_piece_of_data_was_asked_for() {
        let hole = bytes(true, data(0, false));
        assert_eq!((hole[7], hole.len(), &hole[28..]), (2, 32, &[0, 0, 2, 0][..]));
        assert_eq!(bytes(true, data(0, true)).len(), 28 + 512);
        assert_eq!(bytes(false, data(0, false)).len(), 16 + 512);
        assert_eq!(bytes(true, Ok(Body::Data { offset: 0, data: vec![], whole: false })).len(), 20);
    }

    #[test]
    fn errors_carry_a_text_where_they_can() {
        let chunk = bytes(true, Err(errno::ENOSPC));
        let len = u16::from_be_bytes([chunk[24], chunk[25]]);
        assert_eq!((&chunk[6..8], chunk[23], usize::from(len)), (&[0x80, 1][..], 28, chunk.len() - 26));
        assert_eq!(bytes(false, Err(errno::EIO))[4..8], [0, 0, 0, 5]);
        assert_eq!(bytes(true, Ok(Body::Done)).len(), 16);
    }
}
