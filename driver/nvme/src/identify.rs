//! What a controller and its namespace say of themselves (NVMe 5.15.2).

use azote_regs::nvme::identify as at;

use crate::{Error, Result};

/// Reads little-endian numbers out of a structure that was copied to private memory. Offsets are constants below its size.
pub(crate) fn number(data: &[u8], offset: u64, len: usize) -> u128 {
    let from = offset as usize;
    let bytes = data.get(from..from + len).unwrap_or(&[]);
    bytes.iter().rev().fold(0, |n, &b| n << 8 | u128::from(b))
}

/// A padded ASCII field; what is not printable becomes a `?`.
pub(crate) fn text(data: &[u8], offset: u64, len: u64) -> String {
    let from = offset as usize;
    let bytes = data.get(from..from + len as usize).unwrap_or(&[]);
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    let printable = |&b: &u8| if (0x20..0x7f).contains(&b) { char::from(b) } else { '?' };
    bytes[..end].iter().map(printable).collect::<String>().trim().to_owned()
}

/// Identify Controller, as far as this driver uses or shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// PCI Vendor ID.
    pub vendor: u16,
    /// Serial Number.
    pub serial: String,
    /// Model Number.
    pub model: String,
    /// Firmware Revision.
    pub firmware: String,
    /// Controller ID.
    pub controller: u16,
    /// Version, as the VS register has it.
    pub version: u32,
    /// Maximum Data Transfer Size in units of the smallest page; 0 is no limit.
    pub mdts: u8,
    /// Abort commands at a time, 0's based.
    pub abort_limit: u8,
    /// Asynchronous Event Requests at a time, 0's based.
    pub event_limit: u8,
    /// Error log entries, 0's based.
    pub error_entries: u8,
    /// The largest valid NSID.
    pub namespaces: u32,
    /// Write Zeroes is offered.
    pub write_zeroes: bool,
    /// Dataset Management is there, so blocks can be given back.
    pub dataset: bool,
    /// There is a volatile write cache, so Flush does something.
    pub write_cache: bool,
    /// NVM Subsystem NVMe Qualified Name.
    pub nqn: String,
}

impl Identity {
    pub(crate) fn parse(data: &[u8], function: &str) -> Result<Self> {
        let n = |offset, len| number(data, offset, len);
        let sizes = (n(at::SQES, 1) & 0xf, n(at::CQES, 1) & 0xf);
        if sizes.0 > 6 || sizes.1 > 4 {
            return Err(Error::Unsupported {
                function: function.into(),
                what: format!("the controller needs queue entries of 2^{} and 2^{} bytes", sizes.0, sizes.1),
            });
        }
        Ok(Self {
            vendor: n(at::VID, 2) as u16,
            serial: text(data, at::SN, at::SN_LEN),
            model: text(data, at::MN, at::MN_LEN),
            firmware: text(data, at::FR, at::FR_LEN),
            controller: n(at::CNTLID, 2) as u16,
            version: n(at::VER, 4) as u32,
            mdts: n(at::MDTS, 1) as u8,
            abort_limit: n(at::ACL, 1) as u8,
            event_limit: n(at::AERL, 1) as u8,
            error_entries: n(at::ELPE, 1) as u8,
            namespaces: n(at::NN, 4) as u32,
            write_zeroes: n(at::ONCS, 2) as u64 & at::ONCS_WRITE_ZEROES != 0,
            dataset: n(at::ONCS, 2) as u64 & at::ONCS_DATASET != 0,
            write_cache: n(at::VWC, 1) & 1 != 0,
            nqn: text(data, at::SUBNQN, at::SUBNQN_LEN),
        })
    }
}

/// An identifier of a namespace (NVMe 5.15.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Descriptor {
    /// IEEE Extended Unique Identifier.
    Eui64([u8; 8]),
    /// Namespace Globally Unique Identifier.
    Nguid([u8; 16]),
    /// UUID.
    Uuid([u8; 16]),
}

impl Descriptor {
    /// Parses a list; it ends at a zero length or at the end of the page. An unknown type is passed over.
    pub(crate) fn parse(data: &[u8]) -> Vec<Self> {
        let mut found = Vec::new();
        let mut rest = data;
        while let [kind, len, _, _, tail @ ..] = rest {
            let Some((id, after)) = tail.split_at_checked(usize::from(*len)) else { break };
            if id.is_empty() {
                break;
            }
            match (u64::from(*kind), id.try_into(), id.try_into()) {
                (at::NIDT_EUI64, Ok(id), _) => found.push(Self::Eui64(id)),
                (at::NIDT_NGUID, _, Ok(id)) => found.push(Self::Nguid(id)),
                (at::NIDT_UUID, _, Ok(id)) => found.push(Self::Uuid(id)),
                _ => {}
            }
            rest = after;
        }
        found
    }
}

/// The namespace of a controller.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Namespace {
    /// Its NSID.
    pub id: u32,
    /// Its size in blocks.
    pub blocks: u64,
    /// log2 of the size of a block.
    pub block_shift: u32,
    /// It is write protected.
    pub read_only: bool,
    /// Its identifiers.
    pub descriptors: Vec<Descriptor>,
}

impl Namespace {
    /// Its size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blocks << self.block_shift
    }

    /// The size of a block in bytes.
    #[must_use]
    pub fn block_size(&self) -> u64 {
        1 << self.block_shift
    }

    pub(crate) fn parse(id: u32, data: &[u8], function: &str) -> Result<Self> {
        let n = |offset, len| number(data, offset, len);
        let format = n(at::FLBAS, 1) as u64 & 0xf;
        let lbaf = n(at::LBAF0 + 4 * format, 4) as u64;
        let (shift, metadata) = (at::LBAF_LBADS.of(lbaf) as u32, at::LBAF_MS.of(lbaf));
        let blocks = n(at::NSZE, 8) as u64;
        if !(9..=12).contains(&shift) || metadata != 0 {
            return Err(Error::Unsupported {
                function: function.into(),
                what: format!("namespace {id} has blocks of 2^{shift} bytes with {metadata} bytes of metadata"),
            });
        }
        if blocks.checked_mul(1 << shift).is_none() {
            let reason = format!("{blocks} blocks of 2^{shift} bytes");
            return Err(Error::BadData { function: function.into(), structure: "Identify Namespace", reason });
        }
        let read_only = n(at::NSATTR, 1) as u64 & at::NSATTR_WRITE_PROTECTED != 0;
        Ok(Self { id, blocks, block_shift: shift, read_only, descriptors: Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_trimmed_and_made_printable() {
        assert_eq!(text(b"ab \x01c  \0xx", 0, 10), "ab ?c");
        assert_eq!(text(b"ab", 1, 10), "", "a field that is not there");
    }

    #[test]
    fn a_namespace_with_an_impossible_size_is_refused() {
        let mut page = vec![0; 4096];
        page[130] = 9;
        page[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(Namespace::parse(1, &page, "f"), Err(Error::BadData { .. })));
        page[..8].copy_from_slice(&100u64.to_le_bytes());
        assert_eq!(Namespace::parse(1, &page, "f").unwrap().bytes(), 51200);
        page[130] = 40;
        assert!(matches!(Namespace::parse(1, &page, "f"), Err(Error::Unsupported { .. })));
    }

    #[test]
    fn descriptors_are_read_to_their_end_and_no_further() {
        let mut page = vec![1, 8, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 3, 0, 0, 0, 0, 0, 2, 16, 0, 0];
        page.extend([7; 16]);
        assert_eq!(Descriptor::parse(&page).len(), 2, "the unknown one is passed over");
        page.extend([3, 200, 0, 0, 1]);
        assert_eq!(Descriptor::parse(&page).len(), 2, "one that leaves the page ends the list");
    }
}
