//! The other end, for `azote ctl`.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use super::Request;

/// How long an answer may take: pausing waits for the processors.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks a guest's hypervisor.
pub fn request(socket: &Path, request: Request) -> io::Result<serde_json::Value> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(format!("{}\n", serde_json::to_string(&request)?).as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the hypervisor has closed the connection"));
    }
    Ok(serde_json::from_str(&line)?)
}
