//! What is at the other end of a simulated card's Ethernet port: `tap:azote0`, `pcap-out:frames.pcap`, ….

use std::path::PathBuf;
use std::str::FromStr;

/// One of the things that may be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EthSpec {
    /// An interface of this machine.
    Tap(String),
    /// Frames of a file.
    PcapIn(PathBuf),
    /// Every frame that passes goes to a file; beside any of the others.
    PcapOut(PathBuf),
    /// Another simulated card.
    Socket(PathBuf),
}

impl EthSpec {
    /// Whether it is a wire: there can be one.
    #[must_use]
    pub fn is_wire(&self) -> bool {
        !matches!(self, Self::PcapOut(_))
    }
}

impl FromStr for EthSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected tap:NAME, socket:PATH, pcap-in:FILE or pcap-out:FILE";
        match text.split_once(':') {
            Some((_, "")) | None => Err(expected.into()),
            Some(("tap", name)) => Ok(Self::Tap(name.into())),
            Some(("socket", path)) => Ok(Self::Socket(path.into())),
            Some(("pcap-in", path)) => Ok(Self::PcapIn(path.into())),
            Some(("pcap-out", path)) => Ok(Self::PcapOut(path.into())),
            Some(_) => Err(expected.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_named_by_what_it_is() {
        assert_eq!("tap:azote0".parse(), Ok(EthSpec::Tap("azote0".into())));
        assert_eq!("socket:/run/a:b".parse(), Ok(EthSpec::Socket("/run/a:b".into())));
        assert_eq!("pcap-out:f".parse(), Ok(EthSpec::PcapOut("f".into())));
        for bad in ["", "tap", "tap:", "file:x", "azote0"] {
            assert!(bad.parse::<EthSpec>().unwrap_err().contains("pcap-in:FILE"), "{bad}");
        }
    }
}
