//! Commands on blocks beside reads and writes, both block sizes, and what a power cut leaves.

use azote_manage::{Manager, Volume};
use azote_nvme::Data;
use azote_regs::nvme::{command as cmd, opcode, status};
use azote_sim::{MediaFault, MediaOptions};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

const FUA: u32 = cmd::RW_FUA.mask() as u32;

impl Bench {
    fn on(&mut self, op: u64, lba: u64, blocks: u32, flags: u32) -> u64 {
        let data = match op {
            opcode::READ | opcode::WRITE | opcode::COMPARE => {
                let bytes = (u64::from(blocks) * self.block).min(128 << 10);
                Data::Slice(self.buffer.slice(0, bytes).unwrap())
            }
            _ => Data::None,
        };
        self.io(admin(op, 1, [lba as u32, (lba >> 32) as u32, (blocks - 1) | flags, 0, 0, 0], data))
    }

    fn image(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }

    fn sector(&self, lba: usize) -> Vec<u8> {
        self.image()[512 * lba..][..512].to_vec()
    }

    fn ranges(&mut self, at: u64, ranges: &[(u64, u32)], attributes: u64) -> u64 {
        for (i, (lba, blocks)) in (0..).zip(ranges) {
            self.buffer.write_u64(at + 16 * i, u64::from(*blocks) << 32).unwrap();
            self.buffer.write_u64(at + 16 * i + 8, *lba).unwrap();
        }
        let data = Data::Slice(self.buffer.slice(at, 16 * ranges.len() as u64).unwrap());
        self.io(admin(opcode::DATASET, 1, [ranges.len() as u32 - 1, attributes as u32, 0, 0, 0, 0], data))
    }
}

#[test]
fn compare_finds_a_difference_of_one_byte_wherever_it_lies() {
    let mut b = bench();
    for blocks in [1u32, 8, 9, 256] {
        assert_eq!(b.on(opcode::READ, 100, blocks, 0), status::SUCCESS);
        assert_eq!(b.on(opcode::COMPARE, 100, blocks, 0), status::SUCCESS, "{blocks} blocks");
        for at in [0, 511, u64::from(blocks) * 512 - 1] {
            let mut byte = [0];
            b.buffer.read(at, &mut byte).unwrap();
            b.buffer.write(at, &[byte[0] ^ 0x10]).unwrap();
            assert_eq!(b.on(opcode::COMPARE, 100, blocks, 0), status::COMPARE_FAILURE, "{blocks} blocks, byte {at}");
            b.buffer.write(at, &byte).unwrap();
        }
    }
    let before = b.image();
    assert_eq!(b.on(opcode::COMPARE, BLOCKS - 1, 2, 0), status::LBA_OUT_OF_RANGE);
    assert_eq!(b.on(opcode::COMPARE, 0, 257, 0), status::INVALID_FIELD, "more than MDTS");
    b.card.root().media().inject(MediaFault { volume: 0, lba: 105, blocks: 1, read: true, write: false });
    assert_eq!(b.on(opcode::COMPARE, 100, 8, 0), status::UNRECOVERED_READ);
    assert!(b.image() == before, "a compare changes nothing");
    b.card.assert_clean();
}

#[test]
fn verify_reads_as_many_blocks_as_there_are_and_sends_nothing() {
    let mut b = bench();
    assert_eq!(b.on(opcode::VERIFY, 0, BLOCKS as u32, 0), status::SUCCESS);
    assert_eq!(b.on(opcode::VERIFY, 1, BLOCKS as u32, 0), status::LBA_OUT_OF_RANGE);
    b.card.root().media().inject(MediaFault { volume: 0, lba: 700, blocks: 1, read: true, write: false });
    assert_eq!(b.on(opcode::VERIFY, 0, 700, 0), status::SUCCESS);
    assert_eq!(b.on(opcode::VERIFY, 0, 701, 0), status::UNRECOVERED_READ);
    b.card.assert_clean();
}

#[test]
fn zeroes_are_written_or_given_back() {
    let mut b = bench();
    assert_eq!(b.on(opcode::WRITE_ZEROES, 10, 3, 0), status::SUCCESS);
    assert_eq!(b.on(opcode::WRITE_ZEROES, 20, 3, cmd::RW_DEAC.mask() as u32), status::SUCCESS);
    for lba in [10, 12, 20, 22] {
        assert_eq!(b.sector(lba), [0; 512], "block {lba}");
    }
    for lba in [9, 13, 19, 23] {
        assert_ne!(b.sector(lba), [0; 512], "block {lba}");
    }
    // More than a transfer may be: there is no data.
    assert_eq!(b.on(opcode::WRITE_ZEROES, 24, 1000, 0), status::SUCCESS);
    assert!(b.image()[24 * 512..].iter().all(|byte| *byte == 0));
    assert_eq!(b.on(opcode::WRITE_ZEROES, 24, 1001, 0), status::LBA_OUT_OF_RANGE);
}

#[test]
fn ranges_are_given_back_all_or_none() {
    let mut b = bench();
    let deallocate = cmd::DATASET_AD.mask();
    assert_eq!(b.ranges(0, &[(5, 2), (100, 0), (200, 8)], deallocate), status::SUCCESS);
    for (lba, zero) in
        [(4, false), (5, true), (6, true), (7, false), (100, false), (200, true), (207, true), (208, false)]
    {
        assert_eq!(b.sector(lba) == [0; 512], zero, "block {lba}");
    }
    // 256 of them, from a place in the middle of a page.
    let many: Vec<_> = (0..256).map(|i| (512 + 2 * i, 1)).collect();
    assert_eq!(b.ranges(2048 + 16, &many, deallocate), status::SUCCESS);
    for i in 0..256 {
        assert!(b.sector(512 + 2 * i) == [0; 512] && b.sector(513 + 2 * i) != [0; 512], "range {i}");
    }
    // One wrong range, and nothing has changed.
    let before = b.image();
    for wrong in [(BLOCKS, 1), (BLOCKS - 1, 2), (u64::MAX, 1), (1, u32::MAX), (1 << 60, 1)] {
        assert_eq!(b.ranges(0, &[(300, 4), wrong], deallocate), status::LBA_OUT_OF_RANGE, "{wrong:x?}");
    }
    assert_eq!(b.ranges(0, &[(300, 4), (BLOCKS, 9)], 0), status::SUCCESS, "the other attributes are hints");
    assert!(b.image() == before);
    b.card.root().media().inject(MediaFault { volume: 0, lba: 310, blocks: 1, read: false, write: true });
    assert_eq!(b.ranges(0, &[(300, 4), (308, 4)], deallocate), status::WRITE_FAULT);
    let lost = Data::Prps(1 << 40, 0);
    let gone = admin(opcode::DATASET, 1, [3, deallocate as u32, 0, 0, 0, 0], lost);
    assert_eq!(b.io(gone), status::DATA_TRANSFER, "the list is nowhere");
    let odd = admin(opcode::DATASET, 1, [3, deallocate as u32, 0, 0, 0, 0], Data::Prps(b.buffer.iova() + 2, 0));
    assert_eq!(b.io(odd), status::PRP_OFFSET);
}

#[test]
fn ranges_of_a_read_only_volume_stay() {
    let mut b = bench_with(Options::default(), NvmeOptions::default(), true);
    assert_eq!(b.ranges(0, &[(5, 2)], cmd::DATASET_AD.mask()), status::WRITE_PROTECTED);
    let format = admin(opcode::FORMAT, 1, [0; 6], Data::None);
    assert_eq!(code(b.admin(format)), status::WRITE_PROTECTED);
}

fn format(lbaf: u64) -> Command {
    admin(opcode::FORMAT, 1, [lbaf as u32, 0, 0, 0, 0, 0], Data::None)
}

#[test]
fn a_formatted_namespace_counts_in_its_own_blocks_and_is_empty() {
    let mut b = bench();
    b.admin(format(1)).unwrap();
    b.block = 1 << limits::BIG_LBA_SHIFT;
    assert!(b.image().iter().all(|byte| *byte == 0), "nothing is left of what it held");
    let ns = b.page(opcode::CNS_NAMESPACE, 1);
    assert_eq!(
        (le(&ns, id::NSZE, 8), le(&ns, id::NCAP, 8), le(&ns, id::NUSE, 8)),
        (BLOCKS / 8, BLOCKS / 8, BLOCKS / 8)
    );
    assert_eq!((le(&ns, id::FLBAS, 1), le(&ns, id::NLBAF, 1)), (1, 1));
    assert_eq!(id::LBAF_LBADS.of(le(&ns, id::LBAF1, 4)), limits::BIG_LBA_SHIFT);
    for i in 0..32u64 {
        b.buffer.write(4096 * i, &[i as u8 + 1; 4096]).unwrap();
    }
    assert_eq!(b.on(opcode::WRITE, 3, 32, 0), status::SUCCESS);
    let image = b.image();
    for i in 0..32 {
        assert_eq!(image[4096 * (3 + i)..][..4096], [i as u8 + 1; 4096]);
    }
    assert_eq!(b.on(opcode::COMPARE, 3, 32, 0), status::SUCCESS);
    assert_eq!(b.on(opcode::READ, 0, 33, 0), status::INVALID_FIELD, "more than MDTS");
    assert_eq!(b.on(opcode::READ, BLOCKS / 8 - 1, 1, 0), status::SUCCESS);
    for (lba, blocks) in [(BLOCKS / 8, 1), (BLOCKS / 8 - 1, 2), (1 << 61, 1), (u64::MAX, 1), (1 << 45, 1)] {
        assert_eq!(b.on(opcode::READ, lba, blocks, 0), status::LBA_OUT_OF_RANGE, "{lba:#x}");
    }
    assert_eq!(b.on(opcode::WRITE_ZEROES, 4, 1, 0), status::SUCCESS);
    assert_eq!(b.ranges(0, &[(6, 2)], cmd::DATASET_AD.mask()), status::SUCCESS);
    let image = b.image();
    for (block, byte) in [(3, 1), (4, 0), (5, 3), (6, 0), (7, 0), (8, 6)] {
        assert_eq!(image[4096 * block..][..4096], [byte; 4096], "block {block}");
    }
    // It stays so over a reset of the controller, and the management sees it, until it binds anew.
    b.nvme.reset().unwrap();
    assert_eq!(le(&b.page(opcode::CNS_NAMESPACE, 1), id::FLBAS, 1), 1);
    let manager = Manager::open(&*rig::function(&b.card, FunctionId::pf(Kind::Trust)).unwrap()).unwrap();
    assert!(manager.binding(Role::Vf(0)).unwrap().unwrap().large_blocks);
    manager
        .bind(Role::Vf(0), Volume { id: 0, base: 0, blocks: BLOCKS, read_only: false, large_blocks: false })
        .unwrap();
    assert_eq!(le(&b.page(opcode::CNS_NAMESPACE, 1), id::FLBAS, 1), 0);
    b.card.assert_clean();
}

#[test]
fn a_volume_may_have_large_blocks_from_the_start() {
    let mut b = bench();
    let before = b.image();
    let manager = Manager::open(&*rig::function(&b.card, FunctionId::pf(Kind::Trust)).unwrap()).unwrap();
    manager.bind(Role::Vf(0), Volume { id: 0, base: 8, blocks: 800, read_only: false, large_blocks: true }).unwrap();
    b.block = 1 << limits::BIG_LBA_SHIFT;
    assert_eq!(le(&b.page(opcode::CNS_NAMESPACE, 1), id::NSZE, 8), 100);
    assert_eq!(b.on(opcode::READ, 1, 1, 0), status::SUCCESS);
    let mut got = vec![0; 4096];
    b.buffer.read(0, &mut got).unwrap();
    assert!(got == before[4096 * 2..][..4096]);
}

#[test]
fn formats_that_are_not_offered_change_nothing() {
    let mut b = bench();
    let before = b.image();
    let f = |cdw10: u64, nsid: u32| admin(opcode::FORMAT, nsid, [cdw10 as u32, 0, 0, 0, 0, 0], Data::None);
    for (cdw10, nsid, wanted) in [
        (2, 1, status::INVALID_FORMAT),
        (15, 1, status::INVALID_FORMAT),
        (cmd::FORMAT_MSET.put(1), 1, status::INVALID_FORMAT),
        (cmd::FORMAT_PI.put(1), 1, status::INVALID_FORMAT),
        (cmd::FORMAT_SES.put(2), 1, status::INVALID_FIELD),
        (cmd::FORMAT_SES.put(7), 1, status::INVALID_FIELD),
        (0, 2, status::INVALID_NAMESPACE),
        (0, 0, status::INVALID_NAMESPACE),
    ] {
        assert_eq!(code(b.admin(f(cdw10, nsid))), wanted, "{cdw10:#x} of {nsid}");
    }
    assert!(b.image() == before);
    b.admin(f(cmd::FORMAT_SES.put(cmd::FORMAT_SES_USER), limits::NSID_ALL as u32)).unwrap();
    assert!(b.image().iter().all(|byte| *byte == 0));
}

/// What a block may hold after a power cut: what was durable, or anything written since.
#[derive(Clone)]
struct Held {
    may: Vec<u8>,
}

#[test]
fn what_was_flushed_or_forced_is_there_after_a_power_cut() {
    let media = MediaOptions { cache: true, ..MediaOptions::default() };
    let mut lost = 0;
    for seed in 0..6 {
        let options = Options { media, ..Options::default() };
        let mut b = bench_with(options, NvmeOptions { io_queues: 1, events: 0, ..NvmeOptions::default() }, false);
        let through = seed >= 4;
        if through {
            let off = admin(opcode::SET_FEATURES, 0, [opcode::FEATURE_WRITE_CACHE as u32, 0, 0, 0, 0, 0], Data::None);
            b.admin(off).unwrap();
        }
        let mut rng = SmallRng::seed_from_u64(seed);
        b.on(opcode::WRITE_ZEROES, 0, BLOCKS as u32, FUA);
        let mut held = vec![Held { may: vec![0] }; BLOCKS as usize];
        for step in 1..=200u8 {
            let (lba, n) = (rng.random_range(0..BLOCKS - 16), rng.random_range(1..=16u32));
            let flags = if rng.random_ratio(1, 4) { FUA } else { 0 };
            b.buffer.write(0, &[step; 16 * 512][..512 * n as usize]).unwrap();
            assert_eq!(b.on(opcode::WRITE, lba, n, flags), status::SUCCESS);
            for block in &mut held[lba as usize..][..n as usize] {
                if flags == FUA || through {
                    block.may.clear();
                }
                block.may.push(step);
            }
            if rng.random_ratio(1, 40) {
                assert_eq!(b.io(admin(opcode::FLUSH, 1, [0; 6], Data::None)), status::SUCCESS);
                for block in &mut held {
                    block.may = block.may.split_off(block.may.len() - 1);
                }
            }
            if rng.random_ratio(1, 20) {
                // A forced read makes durable what it reads.
                assert_eq!(b.on(opcode::READ, lba, n, FUA), status::SUCCESS);
                for block in &mut held[lba as usize..][..n as usize] {
                    block.may = block.may.split_off(block.may.len() - 1);
                }
            }
        }
        b.card.root().media().power_cut(seed).unwrap();
        for (lba, (block, held)) in b.image().chunks(512).zip(&held).enumerate() {
            assert!(block.iter().all(|byte| *byte == block[0]), "block {lba} is torn");
            assert!(held.may.contains(&block[0]), "seed {seed} block {lba}: {} of {:?}", block[0], held.may);
            lost += u32::from(block[0] != held.may[held.may.len() - 1]);
        }
    }
    assert!(lost > 50, "the cut must cost something: {lost} blocks");
}

#[test]
fn a_shutdown_leaves_nothing_in_the_write_cache() {
    let media = MediaOptions { cache: true, latency: 500, ..MediaOptions::default() };
    let options = Options { media, ..Options::default() };
    let mut b = bench_with(options, NvmeOptions { io_queues: 1, events: 0, ..NvmeOptions::default() }, false);
    b.buffer.fill(0x77);
    assert_eq!(b.on(opcode::WRITE, 0, 256, 0), status::SUCCESS);
    assert!(b.image()[..512 * 256] != [0x77; 512 * 256], "it is in the cache");
    b.nvme.shutdown().unwrap();
    b.card.root().media().power_cut(1).unwrap();
    assert!(std::fs::read(&b.path).unwrap()[..512 * 256] == [0x77; 512 * 256]);
}
