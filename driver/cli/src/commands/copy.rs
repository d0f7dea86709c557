//! `azote copy`: a namespace to a file, or a file to a namespace.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{blocks::check_writable, human};
use crate::{
    Error, Result,
    card::{Card, controller},
    image,
    target::Target,
    transfer,
};

pub(super) struct Options {
    pub partial: bool,
    pub quiet: bool,
}

pub(super) fn run(card: &dyn Card, source: &str, destination: &str, options: Options) -> Result<()> {
    match (source.parse::<Target>(), destination.parse::<Target>()) {
        (Ok(from), Err(_)) => out(card, &from, Path::new(destination), &options),
        (Err(_), Ok(to)) => into(card, Path::new(source), &to, &options),
        _ => {
            let what = "one of the two must be a function (pf, vf0, …, a PCI address, or vfio-user:SOCKET) and the other a file";
            Err(Error::Usage(format!("{source} to {destination}: {what}")))
        }
    }
}

/// Copies a namespace to a file. It is written beside its final name, which it gets when it is whole.
fn out(card: &dyn Card, from: &Target, path: &Path, options: &Options) -> Result<()> {
    if path.exists() && !path.is_file() {
        return Err(Error::Image { path: path.to_owned(), reason: "exists and is not a file".into() });
    }
    let mut c = controller(card, from)?;
    let (blocks, bytes) = (c.require_namespace()?.blocks, c.require_namespace()?.bytes());
    let part = Part::create(path)?;
    part.file.set_len(bytes).map_err(|source| part.failed(source))?;
    let bar = bar(bytes, options.quiet, &format!("{from} to {}", path.display()));
    let sink = |offset, data: &[u8]| part.file.write_all_at(data, offset).map_err(|source| part.failed(source));
    transfer::read(&mut c, 0..blocks, sink, &|n| bar.inc(n))?;
    c.shutdown()?;
    part.keep(path)?;
    bar.finish();
    Ok(())
}

/// Copies a file to a namespace. Everything is checked before the first block is written.
fn into(card: &dyn Card, path: &Path, to: &Target, options: &Options) -> Result<()> {
    let failed = |source| Error::File { path: path.to_owned(), source };
    let wrong = |reason| Error::Image { path: path.to_owned(), reason };
    let file = File::open(path).map_err(failed)?;
    let len = image::length(path, &file)?;
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
    let fill = |offset, data: &mut [u8]| file.read_exact_at(data, offset).map_err(failed);
    transfer::write(&mut c, 0..len / block, fill, &|n| bar.inc(n))?;
    c.flush()?;
    c.shutdown()?;
    bar.finish();
    Ok(())
}

/// A file that is not yet whole; removed unless it is kept.
struct Part {
    file: File,
    path: PathBuf,
    kept: std::cell::Cell<bool>,
}

impl Part {
    fn create(path: &Path) -> Result<Self> {
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let path = PathBuf::from(name);
        let file = File::create(&path).map_err(|source| Error::File { path: path.clone(), source })?;
        Ok(Self { file, path, kept: false.into() })
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::File { path: self.path.clone(), source }
    }

    fn keep(&self, path: &Path) -> Result<()> {
        self.file.sync_all().map_err(|source| self.failed(source))?;
        std::fs::rename(&self.path, path).map_err(|source| self.failed(source))?;
        self.kept.set(true);
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.kept.get() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
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
