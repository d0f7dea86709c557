//! The processor's time of this thread: what a measurement of speed counts on a machine that others use, too.

use std::time::Duration;

use crate::{Error, Result};

/// A start in time.
#[derive(Debug, Clone, Copy)]
pub struct Start(Duration);

impl Start {
    /// Now.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn now() -> Result<Start> {
        time().map(Start)
    }

    /// For how long this thread has had a processor since.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn elapsed(self) -> Result<Duration> {
        Ok(time()?.saturating_sub(self.0))
    }
}

/// The first number of `schedstat`: nanoseconds on a processor, in user mode and in the kernel.
fn time() -> Result<Duration> {
    let path = "/proc/thread-self/schedstat";
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|source| Error::Io { what: "read", path: path.into(), source })?;
    let nanos = text.split_whitespace().next().and_then(|first| first.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| Error::Wrong(format!("{path} is `{text}`, not numbers")))
}

#[cfg(test)]
mod tests {
    #[test]
    fn work_takes_time_and_sleep_takes_none() {
        let start = super::Start::now().unwrap();
        let mut x = 1u64;
        while start.elapsed().unwrap().as_millis() < 5 {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        let (worked, pause) = (start.elapsed().unwrap(), std::time::Duration::from_millis(200));
        std::thread::sleep(pause);
        assert!(start.elapsed().unwrap() - worked < pause / 2);
    }
}
