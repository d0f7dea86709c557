//! A TAP device: the card's port is an interface of this machine's Linux.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Wire;
use super::descriptor::Reader;
use super::inbox::Inbox;
use crate::{Bell, Error};

const DEVICE: &str = "/dev/net/tun";

/// A TAP device of this machine. Frames are lost while the interface is down (`ip link set NAME up`).
pub struct Tap {
    file: Arc<File>,
    inbox: Arc<Inbox>,
    _reader: Reader,
}

/// `struct ifreq` of Linux's if.h, as TUNSETIFF reads it: a name, then flags.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

const _: () = assert!(size_of::<Request>() == size_of::<libc::ifreq>());

impl Tap {
    /// Takes the TAP device of this name; makes it, for as long as it is used, if there is none and this user may.
    pub fn open(name: &str) -> Result<Tap, Error> {
        let failed = |source: io::Error| {
            let hint = hint(name, &source);
            Error::Tap { name: name.to_owned(), source, hint }
        };
        let mut request = Request { name: [0; libc::IFNAMSIZ], flags: 0, rest: [0; 22] };
        if name.is_empty() || name.len() >= libc::IFNAMSIZ || !name.bytes().all(|b| b.is_ascii_graphic() && b != b'/') {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "no name for an interface")));
        }
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        request.flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
        let opened = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(DEVICE);
        let file = opened.map_err(failed)?;
        // SAFETY: TUNSETIFF reads and writes one `struct ifreq` at the pointer, and `request` is that in size and layout and
        // lives through the call; the descriptor is open.
        if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) } < 0 {
            return Err(failed(io::Error::last_os_error()));
        }
        let (file, inbox) = (Arc::new(file), Arc::new(Inbox::default()));
        let (from, to) = (file.clone(), inbox.clone());
        let reader = Reader::start("tap", move |until| until.read(from.as_fd(), &to, |buffer| (&*from).read(buffer)));
        Ok(Tap { file, inbox, _reader: reader.map_err(failed)? })
    }
}

/// What to do about it.
fn hint(name: &str, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) if !Path::new(DEVICE).exists() => {
            format!("there is no {DEVICE}: load its module (`sudo modprobe tun`); a container must be given the device")
        }
        Some(libc::EPERM | libc::EACCES) => {
            format!("make it for your user first: `sudo ip tuntap add dev {name} mode tap user $USER`")
        }
        Some(libc::EBUSY) => "another program uses it; end that, or take another name".into(),
        Some(libc::EINVAL) => format!("`{name}` is there and is no TAP device with one queue; take another name"),
        _ => "give a name of up to 15 characters, such as azote0".into(),
    }
}

impl Wire for Tap {
    fn send(&mut self, frame: &[u8]) -> bool {
        (&*self.file).write(frame).is_ok()
    }

    fn receive(&mut self, _now: Duration) -> Option<Vec<u8>> {
        self.inbox.pop()
    }

    fn is_ready(&self, _now: Duration) -> bool {
        !self.inbox.is_empty()
    }

    fn ring(&mut self, bell: Arc<Bell>) {
        self.inbox.ring(bell);
    }

    fn rest(&self, most: Duration) -> bool {
        self.inbox.rest(most);
        true
    }
}
