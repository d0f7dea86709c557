//! `azote read` and `azote write`: a few blocks, to look at and to put right.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    path::Path,
};

use azote_files::{Access, Output, open};
use azote_nvme::Controller;

use super::print;
use crate::{
    Error, Result,
    card::{Card, controller},
    target::Target,
    transfer,
};

/// What is held in memory at most; more is what `copy` is for.
const LIMIT: u64 = 64 << 20;

pub(super) fn read(
    card: &dyn Card,
    target: &Target,
    lba: u64,
    blocks: u64,
    output: Option<&Path>,
    out: &mut dyn Write,
) -> Result<()> {
    // A place where nothing can be put is known before the device is touched.
    if let Some(path) = output.filter(|path| *path != Path::new("-")) {
        drop(Output::stream(path, &card.inputs())?);
    }
    let mut c = controller(card, target)?;
    let block = c.require_namespace()?.block_size();
    let len = blocks.saturating_mul(block);
    check(&c, lba, len)?;
    let mut data = vec![0; len as usize];
    let keep = |offset: u64, piece: &[u8]| {
        let from = offset as usize;
        data[from..from + piece.len()].copy_from_slice(piece);
        Ok(())
    };
    transfer::read(&mut c, lba..lba + blocks, keep, &|_| {})?;
    c.shutdown()?;
    match output {
        None => print(out, &dump(&data, lba * block)),
        Some(path) if path == Path::new("-") => {
            out.write_all(&data).map_err(|source| Error::Io { what: "writing the output".into(), source })
        }
        Some(path) => {
            let mut file = Output::stream(path, &card.inputs())?;
            file.write_all(&data).map_err(|source| Error::File { path: path.to_owned(), source })?;
            Ok(file.finish()?)
        }
    }
}

pub(super) fn write(card: &dyn Card, target: &Target, lba: u64, input: &Path, stdin: &mut dyn Read) -> Result<()> {
    // The input first: whole and right before the device is touched.
    let failed = |source| Error::File { path: input.to_owned(), source };
    let mut data = Vec::new();
    let mut source: Box<dyn Read + '_> =
        if input == Path::new("-") { Box::new(stdin) } else { Box::new(open(input, Access::Read)?) };
    source.by_ref().take(LIMIT + 1).read_to_end(&mut data).map_err(failed)?;
    let mut c = controller(card, target)?;
    let block = c.require_namespace()?.block_size();
    let len = data.len() as u64;
    if len == 0 || !len.is_multiple_of(block) {
        let reason = format!("{len} bytes are not a number of whole {block}-byte blocks");
        return Err(Error::Image { path: input.to_owned(), reason });
    }
    check(&c, lba, len)?;
    check_writable(&c, target)?;
    let fill = |offset: u64, piece: &mut [u8]| {
        let from = offset as usize;
        piece.copy_from_slice(&data[from..from + piece.len()]);
        Ok(())
    };
    transfer::write(&mut c, lba..lba + len / block, fill, &|_| {})?;
    c.flush()?;
    c.shutdown()?;
    Ok(())
}

/// That the blocks exist and are not too many.
fn check(c: &Controller, lba: u64, len: u64) -> Result<()> {
    let ns = c.require_namespace()?;
    if len > LIMIT {
        return Err(Error::Usage(format!("{len} bytes are too many at once; `azote copy` takes whole namespaces")));
    }
    let blocks = len / ns.block_size();
    if blocks == 0 || lba.checked_add(blocks).is_none_or(|end| end > ns.blocks) {
        return Err(azote_nvme::Error::OutOfRange { lba, blocks, size: ns.blocks }.into());
    }
    Ok(())
}

/// That the namespace may be written at all.
pub(super) fn check_writable(c: &Controller, target: &Target) -> Result<()> {
    if c.require_namespace()?.read_only {
        return Err(Error::Usage(format!("{target}: its volume is read-only; bind it without :ro to write to it")));
    }
    Ok(())
}

/// A hexadecimal dump; lines that repeat are left out.
fn dump(data: &[u8], base: u64) -> String {
    let mut text = String::new();
    let mut last: Option<&[u8]> = None;
    let mut skipping = false;
    for (i, line) in data.chunks(16).enumerate() {
        if last == Some(line) && i + 1 != data.len().div_ceil(16) {
            if !skipping {
                text += "*\n";
            }
            skipping = true;
            continue;
        }
        (last, skipping) = (Some(line), false);
        let hex: Vec<_> = line.iter().map(|b| format!("{b:02x}")).collect();
        let ascii: String = line.iter().map(|&b| if (0x20..0x7f).contains(&b) { char::from(b) } else { '.' }).collect();
        let _ = writeln!(text, "{:08x}  {:47}  {ascii}", base + 16 * i as u64, hex.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::dump;

    #[test]
    fn repeated_lines_are_left_out_but_for_the_last() {
        let mut data = vec![0; 80];
        data[..5].copy_from_slice(b"hello");
        let text = dump(&data, 512);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("00000200  68 65 6c 6c 6f 00") && lines[0].ends_with("hello..........."));
        assert!(lines[1].starts_with("00000210") && lines[2] == "*" && lines[3].starts_with("00000240"));
    }
}
