//! Where an export is, as libnbd and QEMU write it
//! (<https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md>).

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

use crate::{Error, wire};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Host and port.
    Tcp(String, u16),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// An export of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    text: String,
    /// The server.
    pub address: Address,
    /// The export's name; the empty one is the server's first.
    pub export: String,
}

impl Uri {
    #[cfg(feature = "testing")]
    pub(crate) fn of(address: Address, export: &str) -> Uri {
        Uri { text: "a server".into(), address, export: export.into() }
    }

    /// Whether a text is meant as a URI of an export, and not as a file's name.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        ["nbd:", "nbds:", "nbd+unix:", "nbds+unix:", "nbd+vsock:", "nbds+vsock:"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Uri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Uri, Error> {
        let wrong = |reason: &str| Error::Uri { uri: text.to_owned(), reason: reason.to_owned() };
        let decoded = |part: &str| {
            percent_decode_str(part).decode_utf8().map(|s| s.into_owned()).map_err(|_| wrong("a name that is no UTF-8"))
        };
        if text.starts_with("nbds") {
            return Err(Error::Tls { uri: text.to_owned() });
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("no `://`"))?;
        if rest.contains('#') {
            return Err(wrong("a `#` (%23, if it is meant)"));
        }
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, path)| (authority, path));
        let mut socket = None;
        for pair in query.into_iter().flat_map(|query| query.split('&')) {
            match pair.split_once('=') {
                Some(("socket", value)) if socket.is_none() => {
                    let bytes: Vec<u8> = percent_decode_str(value).collect();
                    socket = Some(PathBuf::from(OsString::from_vec(bytes)));
                }
                _ => return Err(wrong(&format!("`{pair}` is no part of it, or comes twice"))),
            }
        }
        let address = match (scheme, socket) {
            ("nbd+unix", Some(socket)) if authority.is_empty() && !socket.as_os_str().is_empty() => {
                Address::Unix(socket)
            }
            ("nbd+unix", Some(_)) => return Err(wrong("a host, or a socket without a name")),
            ("nbd+unix", None) => return Err(wrong("no ?socket=PATH")),
            ("nbd", Some(_)) => return Err(wrong("a socket; for one it is nbd+unix:///")),
            ("nbd", None) => tcp(authority).ok_or_else(|| wrong("no host, or no port number"))?,
            _ => return Err(wrong("another protocol")),
        };
        let export = decoded(path)?;
        if export.len() > wire::MAX_NAME {
            return Err(wrong("a name of more than 4096 bytes"));
        }
        Ok(Uri { text: text.to_owned(), address, export })
    }
}

fn tcp(authority: &str) -> Option<Address> {
    let (host, port) = match authority.strip_prefix('[') {
        // An IPv6 address.
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(wire::PORT), str::parse).ok()?;
    (!host.is_empty() && port != 0 && !host.contains('@')).then(|| Address::Tcp(host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn uris_are_read_as_libnbd_writes_them() {
        let tcp = |text: &str| match text.parse::<Uri>().unwrap() {
            Uri { address: Address::Tcp(host, port), export, .. } => (host, port, export),
            other => panic!("{other:?}"),
        };
        assert_eq!(tcp("nbd://disks"), ("disks".into(), 10809, String::new()));
        assert_eq!(tcp("nbd://127.0.0.1:99/a%20b"), ("127.0.0.1".into(), 99, "a b".into()));
        assert_eq!(tcp("nbd://[::1]/x/y"), ("::1".into(), 10809, "x/y".into()));
        assert_eq!(tcp("nbd://[::1]:1/"), ("::1".into(), 1, String::new()));
        let unix = "nbd+unix:///vf0?socket=/tmp/a%3fb".parse::<Uri>().unwrap();
        assert_eq!((unix.address, unix.export), (Address::Unix("/tmp/a?b".into()), "vf0".into()));
    }

    #[test]
    fn each_wrong_uri_is_named_with_its_fault() {
        for (text, why) in [
            ("nbd:disks", "no `://`"),
            ("nbd://", "no host"),
            ("nbd://h:0/x", "no port number"),
            ("nbd://h:x/x", "no port number"),
            ("nbd://[::1", "no host"),
            ("nbd://h/x?socket=/a", "nbd+unix"),
            ("nbd://h/x?tls=1", "`tls=1`"),
            ("nbd://h/x#y", "%23"),
            ("nbd+unix:///x", "no ?socket"),
            ("nbd+unix://h/x?socket=/a", "a host"),
            ("nbd+unix:///x?socket=", "without a name"),
            ("nbd+unix:///x?socket=/a&socket=/b", "twice"),
            ("nbd+vsock://1/x", "another protocol"),
            ("nbds://h/x", "TLS"),
            ("nbd://h/%ff", "UTF-8"),
        ] {
            let said = text.parse::<Uri>().unwrap_err().to_string();
            assert!(Uri::is_meant(text) && said.contains(why) && said.contains(text), "{said}");
        }
        assert!(!Uri::is_meant("disk.img") && !Uri::is_meant("./nbd:x") && !Uri::is_meant("nbd"));
    }
}
