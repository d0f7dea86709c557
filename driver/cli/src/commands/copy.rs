//! `azote copy`: a namespace to a file, or a file to a namespace. A server's export stands for a file both ways.

use std::{os::unix::fs::FileExt, path::Path, time::Duration};

use azote_files::{Image, Output, Use};
use azote_nbd::{Client, Settings, Uri};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{blocks::check_writable, human};
use crate::{
    Error, Result,
    card::{Card, controller},
    image::Store,
    target::Target,
    transfer,
};

pub(super) struct Options {
    pub partial: bool,
    pub quiet: bool,
    /// The file's bytes are a disk's, whatever format they look like.
    pub raw: bool,
}

pub(super) fn run(card: &dyn Card, source: &str, destination: &str, options: Options) -> Result<()> {
    match (source.parse::<Target>(), destination.parse::<Target>()) {
        (Ok(_), Err(_)) if options.partial || options.raw => {
            let name = if options.partial { "--partial" } else { "--raw" };
            Err(Error::Usage(format!("{name} has no effect: it is about a file that is copied to a function")))
        }
        (Ok(from), Err(_)) => out(card, &from, Path::new(destination), &options),
        (Err(_), Ok(to)) => into(card, Path::new(source), &to, &options),
        _ => {
            let what = "one of the two must be a function (pf, vf0, …, a PCI address, or vfio-user:SOCKET) and the other a file";
            Err(Error::Usage(format!("{source} to {destination}: {what}")))
        }
    }
}

/// The export that a user named in place of a file, if it is one.
fn export(path: &Path, read_only: bool) -> Result<Option<Client>> {
    match path.to_str().filter(|text| Uri::is_meant(text)) {
        None => Ok(None),
        Some(text) => {
            let settings = Settings { read_only, patience: Settings::PATIENCE };
            Ok(Some(Client::open(&text.parse()?, settings)?))
        }
    }
}

/// Copies a namespace to an export, which has all of it afterwards, durable. Whatever is behind the namespace's end stays.
fn to_export(card: &dyn Card, from: &Target, client: &Client, options: &Options) -> Result<()> {
    let (name, mut c) = (client.uri().to_string(), controller(card, from)?);
    let failed = |source| Error::File { path: name.clone().into(), source };
    let (blocks, bytes) = (c.require_namespace()?.blocks, c.require_namespace()?.bytes());
    if bytes > client.size() {
        let reason = format!("has {}, the namespace of {from} {}", human(client.size()), human(bytes));
        return Err(Error::Image { path: name.into(), reason });
    }
    let bar = bar(bytes, options.quiet, &format!("{from} to {name}"));
    let sink = |offset: u64, data: &[u8]| {
        let mut at = 0;
        for (start, part) in stretches(data) {
            client.zero(offset + at, start - at, true).map_err(failed)?;
            client.write(part, offset + start, false).map_err(failed)?;
            at = start + part.len() as u64;
        }
        client.zero(offset + at, data.len() as u64 - at, true).map_err(failed)
    };
    transfer::read(&mut c, 0..blocks, sink, &|n| bar.inc(n))?;
    c.shutdown()?;
    client.flush().map_err(failed)?;
    bar.finish();
    Ok(())
}

/// Copies a namespace to a file. It is written beside its final name, which it gets when it is whole; what is zero is not
/// written, and is a hole.
fn out(card: &dyn Card, from: &Target, path: &Path, options: &Options) -> Result<()> {
    if let Some(client) = export(path, false)? {
        return to_export(card, from, &client, options);
    }
    let output = Output::create(path, &card.inputs())?;
    let failed = |source| Error::File { path: path.to_owned(), source };
    let mut c = controller(card, from)?;
    let (blocks, bytes) = (c.require_namespace()?.blocks, c.require_namespace()?.bytes());
    output.file().set_len(bytes).map_err(failed)?;
    let bar = bar(bytes, options.quiet, &format!("{from} to {}", path.display()));
    let sink = |offset: u64, data: &[u8]| {
        stretches(data).try_for_each(|(at, part)| output.file().write_all_at(part, offset + at)).map_err(failed)
    };
    transfer::read(&mut c, 0..blocks, sink, &|n| bar.inc(n))?;
    c.shutdown()?;
    output.finish()?;
    bar.finish();
    Ok(())
}

/// What a file system may leave out.
const HOLE: usize = 4096;

/// The stretches of `data` that are not zero, with their offsets, in whole pieces of [`HOLE`].
fn stretches(data: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let is_hole = |piece: &[u8]| piece.iter().all(|&b| b == 0);
    let mut at = 0;
    std::iter::from_fn(move || {
        let first = data[at..].chunks(HOLE).position(|piece| !is_hole(piece))?;
        let start = at + first * HOLE;
        let pieces = data[start..].chunks(HOLE).take_while(|piece| !is_hole(piece));
        let end = start + pieces.map(<[u8]>::len).sum::<usize>();
        at = end;
        Some((start as u64, &data[start..end]))
    })
}

/// Copies a file to a namespace. Everything is checked before the first block is written. What is zero is made so without data,
/// and its space given back.
fn into(card: &dyn Card, path: &Path, to: &Target, options: &Options) -> Result<()> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let wrong = |reason| Error::Image { path: path.to_owned(), reason };
    let store = match export(path, true)? {
        Some(_) if options.raw => {
            return Err(Error::Usage("--raw has no effect: a server's export has no format".into()));
        }
        Some(client) => Store::Server(client),
        None => Store::File(Image::open(path, Use { read_only: true, raw: options.raw })?),
    };
    let len = match &store {
        Store::Server(client) => client.size(),
        Store::File(image) => image.len(),
    };
    let mut c = controller(card, to)?;
    let (size, block) = (c.require_namespace()?.bytes(), c.require_namespace()?.block_size());
    check_writable(&c, to)?;
    if len == 0 || !len.is_multiple_of(block) {
        return Err(wrong(format!("truncated? {len} bytes are not a number of whole {block}-byte blocks")));
    }
    if len > size {
        return Err(wrong(format!("has {}, the namespace of {to} only {}", human(len), human(size))));
    }
    if len < size && !options.partial {
        let hint = "with --partial the rest keeps what it has";
        return Err(wrong(format!("has {}, the namespace of {to} {}; {hint}", human(len), human(size))));
    }
    let bar = bar(len, options.quiet, &format!("{} to {to}", path.display()));
    let fill = |offset, data: &mut [u8]| {
        let read = match &store {
            Store::Server(client) => client.read(data, offset),
            Store::File(image) => image.file().read_exact_at(data, offset),
        };
        read.map_err(failed)
    };
    transfer::write(&mut c, 0..len / block, fill, &|n| bar.inc(n))?;
    c.flush()?;
    c.shutdown()?;
    bar.finish();
    Ok(())
}

fn bar(bytes: u64, quiet: bool, what: &str) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(bytes), target).with_message(what.to_owned());
    let template = "{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_zero_is_left_out_and_nothing_else() {
        let mut data = vec![0; 5 * HOLE + 512];
        data[HOLE] = 1;
        data[3 * HOLE - 1] = 2;
        data[5 * HOLE + 511] = 3;
        let found: Vec<_> = stretches(&data).map(|(at, part)| (at as usize, part.len())).collect();
        assert_eq!(found, [(HOLE, 2 * HOLE), (5 * HOLE, 512)]);
        let mut back = vec![0; data.len()];
        stretches(&data).for_each(|(at, part)| back[at as usize..][..part.len()].copy_from_slice(part));
        assert!(back == data);
        assert_eq!(stretches(&[0; 3 * HOLE]).count() + stretches(&[]).count(), 0);
        assert_eq!(stretches(&[1; 3 * HOLE]).count(), 1);
    }
}
