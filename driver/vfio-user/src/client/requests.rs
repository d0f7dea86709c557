//! What replies hold beside their fixed parts.

use vfio_bindings::bindings::vfio;

use super::SparseArea;
use crate::wire::MAX_FDS;
use crate::{Error, Result};

/// The sparse areas of a region, from the chain of capabilities in its info (`struct vfio_info_cap_header`: id, version,
/// next). All of it is the server's word, so: no loop is followed, and no area leaves the region.
pub fn sparse_areas(payload: &[u8], first: u32, size: u64) -> Result<Vec<SparseArea>> {
    let bad = |what: &str| Error::Protocol(format!("DEVICE_GET_REGION_INFO: {what}"));
    let word = |at: usize| payload.get(at..at + 4)?.first_chunk().map(|b| u32::from_ne_bytes(*b));
    let long = |at: usize| payload.get(at..at + 8)?.first_chunk().map(|b| u64::from_ne_bytes(*b));
    let (mut at, mut areas) = (first as usize, Vec::new());
    for _ in 0..MAX_FDS {
        if at == 0 {
            return Ok(areas);
        }
        let (head, next) = word(at).zip(word(at + 4)).ok_or_else(|| bad("a capability beyond its end"))?;
        if head & 0xffff == vfio::VFIO_REGION_INFO_CAP_SPARSE_MMAP {
            let count = word(at + 8).filter(|n| *n <= 64).ok_or_else(|| bad("too many areas"))?;
            for i in 0..count as usize {
                let entry = at + 16 + 16 * i;
                let (offset, len) = long(entry).zip(long(entry + 8)).ok_or_else(|| bad("an area beyond its end"))?;
                if offset.checked_add(len).is_none_or(|end| end > size) {
                    return Err(bad("an area outside of its region"));
                }
                areas.push(SparseArea { offset, size: len });
            }
        }
        at = next as usize;
    }
    Err(bad("a chain of capabilities without an end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capability(id: u16, next: u32, areas: &[(u64, u64)]) -> Vec<u8> {
        let mut bytes = [&id.to_ne_bytes()[..], &1u16.to_ne_bytes(), &next.to_ne_bytes()].concat();
        bytes.extend((areas.len() as u32).to_ne_bytes());
        bytes.extend([0; 4]);
        areas.iter().for_each(|(a, b)| bytes.extend([a.to_ne_bytes(), b.to_ne_bytes()].concat()));
        bytes
    }

    #[test]
    fn areas_are_found_and_bad_chains_are_errors() {
        let payload = |bytes: Vec<u8>| [vec![0; 32], bytes].concat();
        let good = payload(capability(1, 0, &[(0, 0x1000), (0x3000, 0x1000)]));
        assert_eq!(sparse_areas(&good, 32, 0x4000).unwrap().len(), 2);
        assert_eq!(sparse_areas(&good, 0, 0x4000).unwrap(), []);
        assert!(sparse_areas(&good, 32, 0x3fff).is_err(), "outside of the region");
        assert!(sparse_areas(&good, 60, 0x4000).is_err(), "beyond the payload");
        assert!(sparse_areas(&payload(capability(9, 32, &[])), 32, 0x4000).is_err(), "a loop");
        assert!(sparse_areas(&payload(capability(1, 0, &[(u64::MAX, 2)])), 32, 0x4000).is_err(), "overflow");
    }
}
