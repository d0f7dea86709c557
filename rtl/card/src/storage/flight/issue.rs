//! Asks the medium for the pieces of a read, one after the other, each under its own tag.

use azote_hdl::prelude::*;
use azote_regs::media;

use crate::storage::ports::MediaOut;
use crate::storage::words::Tag;

struct St;
impl St {
    const OPEN: u64 = 0;
    const ASK: u64 = 1;
}

#[derive(LogicBlock, Default)]
pub struct Issue {
    pub clock: Clk,
    pub reset: Rst,
    /// A piece: where it lies, its length in DWs; the first and the last of its command.
    pub valid: I<1>,
    pub ready: O<1>,
    pub dws: I<11>,
    pub first: I<1>,
    pub last: I<1>,
    /// The command's volume and its first block there, steady over its pieces.
    pub volume: I<8>,
    pub lba: I<48>,
    pub fua: I<1>,
    /// To the books, held until `opened`, which comes with the tag; `cmd` is the tag of the command's first piece.
    pub open: O<1>,
    pub opened: I<1>,
    pub tag: I<{ Tag::WIDTH }>,
    pub cmd: O<{ Tag::WIDTH }>,
    /// To the medium.
    pub media: MediaOut,
    pub busy: O<1>,
    st: Reg<1>,
    r_tag: Reg<{ Tag::WIDTH }>,
    r_cmd: Reg<{ Tag::WIDTH }>,
    at: Reg<6>,
}

#[kernel]
impl Logic for Issue {
    fn update(&mut self) {
        let asks = self.st.q == St::ASK;
        self.open = self.valid & !asks;
        self.cmd = self.r_cmd.q;
        self.media.valid = asks;
        self.media.op = konst(media::READ);
        self.media.fua = self.fua;
        self.media.volume = self.volume;
        self.media.tag = self.r_tag.q;
        self.media.lba = self.lba + cat(self.at.q, sized(0, 3)).zext(48);
        self.media.blocks = self.dws.bits(10, 7).zext(48);
        self.ready = asks & self.media.ready;
        self.busy = asks;
        if asks {
            if self.media.ready {
                self.at.d = if self.last { 0 } else { self.at.q + 1 };
                self.st.d = St::OPEN;
            }
        } else if self.opened {
            self.r_tag.d = self.tag;
            if self.first {
                self.r_cmd.d = self.tag;
            }
            self.st.d = St::ASK;
        }
    }
}
