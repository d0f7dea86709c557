//! PRP entries and lists (NVMe 4.3).
//!
//! The first entry may begin anywhere in its page (DW-aligned), the second is the second page or the list of all pages but
//! the first. Each command of a queue has a place for its list, made with the queue, so that no I/O allocates; the place is
//! aligned to its size, so no list crosses a page and none needs a second one.

use azote_dma::{Buffer, Slice};
use azote_regs::nvme::{entry, limits};

use crate::{Error, Result};

const PAGE: u64 = limits::PAGE_SIZE;

/// Bytes of a list for transfers of up to `max_transfer` bytes; a power of two, at most a page.
pub(crate) fn list_size(max_transfer: u64) -> u64 {
    // All pages but the first; one more page is touched when the data does not begin on one.
    let entries = max_transfer.div_ceil(PAGE).clamp(1, entry::PRPS_PER_PAGE);
    (entries * 8).next_power_of_two().max(64)
}

/// The longest transfer whose list fits a page, whatever the offset in the first page.
pub(crate) const MAX_BY_LIST: u64 = entry::PRPS_PER_PAGE * PAGE;

/// PRP1 and PRP2 for `data`; the list, if it needs one, is written at `place` of `lists`.
#[inline(always)]
pub(crate) fn build(data: Slice, lists: &Buffer, place: u64, size: u64) -> Result<(u64, u64)> {
    let refuse = |why| Error::Transfer { iova: data.iova, len: data.len, why };
    if !data.iova.is_multiple_of(4) || !data.len.is_multiple_of(4) {
        return Err(refuse("it is not made of whole DWs"));
    }
    if data.len == 0 || data.iova.checked_add(data.len).is_none() {
        return Err(refuse("it is empty or wraps around"));
    }
    let first = PAGE - entry::PRP_OFFSET.of(data.iova);
    if data.len <= first {
        return Ok((data.iova, 0));
    }
    let second = data.iova + first;
    let pages = (data.len - first).div_ceil(PAGE);
    if pages == 1 {
        return Ok((data.iova, second));
    }
    if pages * 8 > size {
        return Err(refuse("it needs a longer PRP list than the queue has place for"));
    }
    for i in 0..pages {
        lists.write_u64(place + i * 8, second + i * PAGE)?;
    }
    Ok((data.iova, lists.iova() + place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use azote_dma::{Dma, Pages};

    fn built(iova: u64, len: u64, max: u64) -> Result<(u64, u64, Vec<u64>)> {
        let size = list_size(max);
        let lists = Dma::at(8192, Pages::Small, 0x8000_0000)?.alloc(2 * size, size)?;
        let (a, b) = build(Slice { iova, len }, &lists, size, size)?;
        let list = (0..size / 8).map(|i| lists.read_u64(size + i * 8).unwrap()).take_while(|&e| e != 0).collect();
        Ok((a, b, list))
    }

    #[test]
    fn one_page_takes_one_entry_and_two_take_two() {
        assert_eq!(built(0x1000, 4096, 1 << 17).unwrap(), (0x1000, 0, vec![]));
        assert_eq!(built(0x1e00, 512, 1 << 17).unwrap(), (0x1e00, 0, vec![]));
        assert_eq!(built(0x1e00, 516, 1 << 17).unwrap(), (0x1e00, 0x2000, vec![]));
        assert_eq!(built(0x1000, 8192, 1 << 17).unwrap(), (0x1000, 0x2000, vec![]));
    }

    #[test]
    fn more_pages_take_a_list_of_all_but_the_first() {
        let (a, b, list) = built(0x1004, 8192, 1 << 17).unwrap();
        assert_eq!((a, b, list), (0x1004, 0x8000_0000 + 256, vec![0x2000, 0x3000]));
        // The longest transfer, as far off a page as can be: 33 pages.
        let (_, _, list) = built(0x1ffc, 1 << 17, 1 << 17).unwrap();
        assert_eq!((list.len(), list[0], list[31]), (32, 0x2000, 0x21000));
    }

    #[test]
    fn the_longest_list_fills_its_page_and_no_more() {
        assert_eq!(list_size(1 << 17), 256);
        assert_eq!(list_size(MAX_BY_LIST), 4096);
        assert_eq!(built(0x1ffc, MAX_BY_LIST, MAX_BY_LIST).unwrap().2.len(), 512);
        assert!(matches!(built(0x1ffc, 1 << 18, 1 << 17), Err(Error::Transfer { .. })));
    }

    #[test]
    fn data_that_is_not_whole_dwords_is_refused() {
        for (iova, len) in [(0x1002, 512), (0x1000, 510), (0x1000, 0), (u64::MAX - 3, 8)] {
            assert!(matches!(built(iova, len, 1 << 17), Err(Error::Transfer { .. })), "{iova:#x} {len}");
        }
    }
}
