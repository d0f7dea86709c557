//! What crossed the card's ports, clock by clock: a device that writes down what another sees and shows.
//!
//! One clock is one record of [`SIZE`] bytes, little-endian, the inputs and then the outputs; `replay.py` reads the same.
//! Data of a port that is not valid is zero in the record, as it says nothing.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use azote_sim::TlpDevice;
use azote_sim::device::{Inputs, Outputs};

use crate::Error;

/// Bytes of a record: of either side three words of 128 bits, a word of flags, and the bytes of a frame's beat; `keep`, and a
/// request to the medium; and three tags.
pub const SIZE: usize = 2 * (3 * 16 + 4 + 1) + 6 + 2 * 8 + 3 * 2;

type Output = BufWriter<File>;

/// A handle to a recording that a [`Recorder`] makes.
#[derive(Debug, Clone)]
pub struct Recording {
    path: PathBuf,
    clocks: Arc<AtomicU64>,
    /// Gone when it has ended; in its place what went wrong with it.
    file: Arc<Mutex<Option<std::io::Result<Output>>>>,
}

impl Recording {
    /// Begins one at `path`.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn create(path: &Path) -> Result<Recording, Error> {
        let file = File::create(path).map_err(Error::io("create", path))?;
        Ok(Recording {
            path: path.to_owned(),
            clocks: Arc::default(),
            file: Arc::new(Mutex::new(Some(Ok(Output::new(file))))),
        })
    }

    /// Clocks that were recorded so far.
    #[must_use]
    pub fn clocks(&self) -> u64 {
        self.clocks.load(Ordering::Relaxed)
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ends it; later clocks are not recorded. Ending it again does nothing.
    ///
    /// # Errors
    /// If anything could not be written, now or before.
    pub fn end(&self) -> Result<(), Error> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = file.map_or(Ok(()), |open| open.and_then(|mut file| file.flush()));
        ended.map_err(Error::io("write", &self.path))
    }

    fn write(&self, record: &[u8; SIZE]) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Ok(open)) = &mut *file {
            // A clock cannot fail: the error waits for the end.
            if let Err(error) = open.write_all(record) {
                *file = Some(Err(error));
            }
            self.clocks.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A device that records another.
pub struct Recorder {
    device: Box<dyn TlpDevice>,
    recording: Recording,
}

impl Recorder {
    /// Records `device` from its first clock on.
    #[must_use]
    pub fn new(device: Box<dyn TlpDevice>, recording: Recording) -> Self {
        Recorder { device, recording }
    }
}

impl TlpDevice for Recorder {
    fn cycle(&mut self, inputs: &Inputs, outputs: &mut Outputs) {
        self.device.cycle(inputs, outputs);
        self.recording.write(&record(inputs, outputs));
    }
}

/// Bits, the first lowest.
fn flags(bits: &[bool]) -> [u8; 4] {
    bits.iter().rev().fold(0u32, |all, &bit| all << 1 | u32::from(bit)).to_le_bytes()
}

fn words(data: [u32; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (place, word) in bytes.chunks_exact_mut(4).zip(data) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn record(i: &Inputs, o: &Outputs) -> [u8; SIZE] {
    let (rx, mrd) = (i.rx.unwrap_or_default(), i.mrd.unwrap_or_default());
    let (tx, mwr) = (o.tx.unwrap_or_default(), o.mwr.unwrap_or_default());
    let (erx, etx) = (i.erx.unwrap_or_default(), o.etx.unwrap_or_default());
    let input = [
        i.reset,
        i.rx.is_some(),
        rx.sop,
        rx.eop,
        i.tx_ready,
        i.mreq_ready,
        i.mrd.is_some(),
        mrd.last,
        mrd.error,
        mrd.hole,
        i.mwr_ready,
        i.mdone.is_some(),
        i.mget_ready,
        i.erx.is_some(),
        erx.sop,
        erx.eop,
        erx.error,
        i.etx_ready,
    ];
    let output = [
        o.rx_ready,
        o.tx.is_some(),
        tx.sop,
        tx.eop,
        o.mreq.is_some(),
        o.mrd_ready,
        o.mwr.is_some(),
        mwr.last,
        mwr.spoilt,
        o.mdone_ready,
        o.mget.is_some(),
        o.erx_ready,
        o.etx.is_some(),
        etx.sop,
        etx.eop,
    ];
    let (done_tag, result) = i.mdone.map_or((0, 0), |done| (done.tag, done.result.code() as u8));
    let (tag, op, volume, fua, lba, blocks) =
        o.mreq.map_or((0, 0, 0, 0, 0, 0), |m| (m.tag, m.op.code() as u8, m.volume, m.fua.into(), m.lba, m.blocks));
    let mut record = [0; SIZE];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        record[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&words(rx.data));
    put(&words(mrd.data));
    put(&words(erx.data));
    put(&flags(&input));
    put(&[erx.bytes, rx.keep, result]);
    put(&done_tag.to_le_bytes());
    put(&words(tx.data));
    put(&words(mwr.data));
    put(&words(etx.data));
    put(&flags(&output));
    put(&[etx.bytes, tx.keep, op, volume, fua]);
    put(&tag.to_le_bytes());
    put(&o.mget.unwrap_or(0).to_le_bytes());
    put(&lba.to_le_bytes());
    put(&blocks.to_le_bytes());
    record
}
