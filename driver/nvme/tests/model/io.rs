//! The model's I/O commands, and its own reading of PRPs.

use azote_regs::nvme::{command as dw, controller as regs, entry, limits, opcode, status};
use azote_seam::mock::Host;

use super::{Fetched, Model};

impl Model {
    pub(super) fn io(&mut self, c: Fetched, host: &mut Host) {
        if std::mem::take(&mut self.faults.fatal) {
            self.csts |= regs::CSTS_CFS.mask();
            return;
        }
        let lba = c.cdw[0] | c.cdw[1] << 32;
        if c.opcode != opcode::FLUSH && self.faults.stuck_lba == Some(lba) {
            self.held.push((c.sqid, c.cid));
            return;
        }
        let code = self.run(&c, lba, host);
        self.cdw12 = c.cdw[2];
        *self.done.entry(c.opcode).or_default() += 1;
        self.complete(c.sqid, c.cid, code, 0, host);
    }

    fn run(&mut self, c: &Fetched, lba: u64, host: &mut Host) -> u64 {
        if c.nsid != limits::NSID || self.disk.is_empty() {
            return status::INVALID_NAMESPACE | status::DNR.mask();
        }
        if c.opcode == opcode::FLUSH {
            return self.faults.flush.map_or(status::SUCCESS, u64::from);
        }
        if c.opcode == opcode::DATASET {
            return self.dataset(c, host);
        }
        if let Some(&code) = self.faults.status.get(&lba) {
            return code.into();
        }
        let blocks = dw::RW_NLB.of(c.cdw[2]) + 1;
        let (from, len) = ((lba * limits::LBA_SIZE) as usize, (blocks * limits::LBA_SIZE) as usize);
        if from + len > self.disk.len() {
            return status::LBA_OUT_OF_RANGE | status::DNR.mask();
        }
        if self.read_only && c.opcode != opcode::READ {
            return status::READ_ONLY | status::DNR.mask();
        }
        match c.opcode {
            opcode::READ => {
                let data = self.disk[from..from + len].to_vec();
                self.transfer_out(c, &data, host)
            }
            opcode::WRITE => {
                let Ok(pieces) = pieces(c.prp, len as u64, host) else { return status::PRP_OFFSET };
                let mut at = from;
                for (iova, n) in pieces {
                    if !host.read(iova, &mut self.disk[at..at + n as usize]) {
                        return status::DATA_TRANSFER;
                    }
                    at += n as usize;
                }
                status::SUCCESS
            }
            opcode::WRITE_ZEROES => {
                self.disk[from..from + len].fill(0);
                status::SUCCESS
            }
            _ => status::INVALID_OPCODE | status::DNR.mask(),
        }
    }

    /// Dataset Management (NVMe 1.4 §6.7): the ranges that are given back read as zero here.
    fn dataset(&mut self, c: &Fetched, host: &mut Host) -> u64 {
        let count = dw::DATASET_NR.of(c.cdw[0]) + 1;
        let Ok(pieces) = pieces(c.prp, count * dw::RANGE_SIZE, host) else { return status::PRP_OFFSET };
        let mut list = Vec::new();
        for (iova, n) in pieces {
            let mut part = vec![0; n as usize];
            if !host.read(iova, &mut part) {
                return status::DATA_TRANSFER;
            }
            list.extend(part);
        }
        for range in list.chunks_exact(dw::RANGE_SIZE as usize) {
            let number =
                |from: usize, len: usize| range[from..from + len].iter().rev().fold(0, |v, b| v << 8 | *b as usize);
            let (blocks, lba) = (number(4, 4), number(8, 8));
            let Some(part) = self.disk.get_mut(lba * 512..(lba + blocks) * 512) else {
                return status::LBA_OUT_OF_RANGE | status::DNR.mask();
            };
            if dw::DATASET_AD.is_set(c.cdw[1]) {
                part.fill(0);
            }
        }
        status::SUCCESS
    }

    /// Writes `data` where the command's PRPs point.
    pub(super) fn transfer_out(&mut self, c: &Fetched, data: &[u8], host: &mut Host) -> u64 {
        let Ok(pieces) = pieces(c.prp, data.len() as u64, host) else { return status::PRP_OFFSET };
        let mut at = 0;
        for (iova, n) in pieces {
            if !host.write(iova, &data[at..at + n as usize]) {
                return status::DATA_TRANSFER;
            }
            at += n as usize;
        }
        status::SUCCESS
    }
}

/// The pieces of memory that PRP1 and PRP2 describe (NVMe 4.3).
fn pieces([first, second]: [u64; 2], mut len: u64, host: &mut Host) -> Result<Vec<(u64, u64)>, ()> {
    let page = limits::PAGE_SIZE;
    let n = len.min(page - first % page);
    let mut out = vec![(first, n)];
    len -= n;
    if len > page {
        let mut at = second;
        while len > 0 {
            assert!(at / page == second / page, "the list crosses a page");
            let mut raw = [0; 8];
            assert!(host.read(at, &mut raw), "the list is not mapped");
            let prp = u64::from_le_bytes(raw);
            if entry::PRP_OFFSET.of(prp) != 0 {
                return Err(());
            }
            out.push((prp, len.min(page)));
            len -= len.min(page);
            at += 8;
        }
    } else if len > 0 {
        if entry::PRP_OFFSET.of(second) != 0 {
            return Err(());
        }
        out.push((second, len));
    }
    Ok(out)
}
