//! QEMU's own control socket (QMP): what a person would do to a machine from outside.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Error, Result};

/// A connection that is made when it is first needed.
pub struct Monitor {
    path: PathBuf,
    stream: Option<BufReader<UnixStream>>,
}

impl Monitor {
    /// For the socket at `path`.
    pub fn new(path: PathBuf) -> Self {
        Monitor { path, stream: None }
    }

    /// Takes a device out of its slot, as a person who presses the button and pulls it.
    pub fn unplug(&mut self, id: &str) -> Result<()> {
        self.execute("device_del", json!({ "id": id })).map(drop)
    }

    fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        if self.stream.is_none() {
            let stream = UnixStream::connect(&self.path).map_err(Error::io("connect to", &self.path))?;
            stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(Error::io("set up", &self.path))?;
            self.stream = Some(BufReader::new(stream));
            self.line()?;
            self.send(&json!({ "execute": "qmp_capabilities" }))?;
        }
        self.send(&json!({ "execute": command, "arguments": arguments }))
    }

    fn send(&mut self, message: &Value) -> Result<Value> {
        let text = format!("{message}\n");
        if let Some(stream) = &mut self.stream {
            stream.get_mut().write_all(text.as_bytes()).map_err(Error::io("write to", &self.path))?;
        }
        loop {
            let reply = self.line()?;
            if let Some(error) = reply.get("error") {
                return Err(Error::Command { command: message.to_string(), reason: error.to_string() });
            }
            // Events come in between.
            if let Some(value) = reply.get("return") {
                return Ok(value.clone());
            }
        }
    }

    fn line(&mut self) -> Result<Value> {
        let mut text = String::new();
        if let Some(stream) = &mut self.stream {
            stream.read_line(&mut text).map_err(Error::io("read from", &self.path))?;
        }
        let reason = |e: serde_json::Error| Error::Command { command: "QMP".into(), reason: format!("{e}: {text:?}") };
        serde_json::from_str(&text).map_err(reason)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
