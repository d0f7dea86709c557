//! The other end, for `azote ctl`.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::mpsc::sync_channel,
    thread,
    time::Duration,
};

use super::Request;

/// How long an answer may take: pausing waits for the processors.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Asks a guest's hypervisor.
pub fn request(socket: &Path, request: Request) -> io::Result<serde_json::Value> {
    let mut stream = connect(socket)?;
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

/// Connecting waits, without an end of its own, for a hypervisor that is stopped and has all places in its queue taken.
fn connect(socket: &Path) -> io::Result<UnixStream> {
    let (sender, receiver) = sync_channel(1);
    let path = socket.to_owned();
    thread::Builder::new().spawn(move || {
        // Who has given up does not want it any more.
        let _ = sender.send(UnixStream::connect(path));
    })?;
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the hypervisor takes no connection; is it stopped?");
    receiver.recv_timeout(TIMEOUT).map_err(late)?
}
