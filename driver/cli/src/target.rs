//! How a person names a function: `pf`, `vf0`, `vf1`, … of the card's storage, `net-pf`, `net-vf0`, … of its network, a PCI address, or the socket of a server.

use std::{fmt, path::PathBuf, str::FromStr};

use azote_regs::function::{FunctionId, Kind, MAX_VFS, Role};

/// A function that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A storage function of the card.
    Storage(Role),
    /// A net function of the card.
    Net(Role),
    /// A PCI address: `0000:01:00.4`, or without its domain.
    Address(String),
    /// A function that another process serves: `vfio-user:PATH`.
    Socket(PathBuf),
}

/// What stands before the path of a server's socket.
const SOCKET: &str = "vfio-user:";
/// What stands before a net function's name.
const NET: &str = "net-";

impl Target {
    /// The function of the card, if it was named as such.
    #[must_use]
    pub fn id(&self) -> Option<FunctionId> {
        match self {
            Self::Storage(role) => Some(FunctionId { kind: Kind::Storage, role: *role }),
            Self::Net(role) => Some(FunctionId { kind: Kind::Net, role: *role }),
            Self::Address(_) | Self::Socket(_) => None,
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(rest) = text.strip_prefix(NET) {
            return match rest.parse()? {
                Self::Storage(role) => Ok(Self::Net(role)),
                _ => Err(format!("expected {NET}pf, {NET}vf0, {NET}vf1, …")),
            };
        }
        if text == "pf" {
            return Ok(Self::Storage(Role::Pf));
        }
        if let Some(path) = text.strip_prefix(SOCKET) {
            return if path.is_empty() {
                Err(format!("expected {SOCKET}PATH, the socket of `azote serve`"))
            } else {
                Ok(Self::Socket(path.into()))
            };
        }
        if let Some(Ok(i)) = text.strip_prefix("vf").map(str::parse::<u8>) {
            return if u64::from(i) < MAX_VFS {
                Ok(Self::Storage(Role::Vf(i)))
            } else {
                Err(format!("a card has at most {MAX_VFS} VFs of a kind: vf0 to vf{}", MAX_VFS - 1))
            };
        }
        address(text).map(Self::Address).ok_or_else(|| {
            "expected pf, vf0, vf1, …, net-vf0, …, a PCI address (0000:01:00.4), or vfio-user:SOCKET".into()
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Storage(Role::Pf) => f.write_str("pf"),
            Self::Storage(Role::Vf(i)) => write!(f, "vf{i}"),
            Self::Net(Role::Pf) => write!(f, "{NET}pf"),
            Self::Net(Role::Vf(i)) => write!(f, "{NET}vf{i}"),
            Self::Address(address) => f.write_str(address),
            Self::Socket(path) => write!(f, "{SOCKET}{}", path.display()),
        }
    }
}

/// A PCI address in its full form; `None` for what is none.
#[must_use]
pub fn address(text: &str) -> Option<String> {
    let (rest, function) = text.rsplit_once('.')?;
    let mut parts = rest.rsplit(':');
    let (device, bus, domain) = (parts.next()?, parts.next()?, parts.next().unwrap_or("0000"));
    let hex = |s: &str, len: usize, max: u32| s.len() == len && u32::from_str_radix(s, 16).is_ok_and(|v| v <= max);
    let valid = parts.next().is_none()
        && hex(domain, 4, 0xffff)
        && hex(bus, 2, 0xff)
        && hex(device, 2, 0x1f)
        && hex(function, 1, 7);
    valid.then(|| format!("{domain}:{bus}:{device}.{function}").to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_named_in_five_ways() {
        assert_eq!("vfio-user:/run/vf0.sock".parse(), Ok(Target::Socket("/run/vf0.sock".into())));
        assert_eq!(Target::Socket("a b".into()).to_string(), "vfio-user:a b");
        assert_eq!("pf".parse(), Ok(Target::Storage(Role::Pf)));
        assert_eq!("net-vf3".parse(), Ok(Target::Net(Role::Vf(3))));
        assert_eq!(Target::Net(Role::Pf).to_string(), "net-pf");
        assert_eq!("vf12".parse(), Ok(Target::Storage(Role::Vf(12))));
        assert_eq!("01:1F.4".parse(), Ok(Target::Address("0000:01:1f.4".into())));
        for bad in [
            "",
            "vfio-user:",
            "vfio-user",
            "vf",
            "net-",
            "net-net-vf0",
            "net-01:00.0",
            "vfx",
            "vf60",
            "vf256",
            "1:2.3",
            "00:20.0",
            "00:00.8",
            "a:b:c:d.e",
            "0:0000:01:00.0",
            "é.0",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }
}
