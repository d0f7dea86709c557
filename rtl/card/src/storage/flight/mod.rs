//! What is under way: commands and their pieces, from the first request to the medium to the completion.
//!
//! A command's data is cut into pieces of 4 KiB at most, each a request of its own to the medium, under a tag. `tags` gives each
//! function its share of them, `issue` asks the medium for the pieces of a read, `books` knows of every tag whose it is and
//! where its data goes, and `ready` whose data comes next. What the card holds of a command that waits for its medium is its line
//! in the books, and no data: a hundred that wait cost what one costs.

pub mod books;
pub mod issue;
pub mod ready;
pub mod requests;
pub mod tags;

/// Bits of a tag, `{slot 6, index 6}`.
pub const TAG: usize = azote_regs::media::TAG_BITS as usize;
/// Bits of where a piece lies in host memory: `{first page 52, second page 52, DW in the first page 10, DWs 11}`.
pub const PLACE: usize = 125;
