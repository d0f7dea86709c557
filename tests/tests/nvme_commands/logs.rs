//! The error log tells each wrong command, the volume log what commands take.

use azote_regs::nvme::{command as cmd, entry, opcode, status, volume};
use azote_sim::MediaFault;

use super::*;

#[test]
fn every_wrong_command_has_its_line_with_its_field_and_block() {
    let mut b = bench();
    let slice = b.buffer.slice(0, 4096).unwrap();
    let read = |lba: u64, nlb: u32, nsid: u32| {
        admin(opcode::READ, nsid, [lba as u32, (lba >> 32) as u32, nlb, 0, 0, 0], Data::Slice(slice))
    };
    b.card.root().media().inject(MediaFault { volume: 0, lba: 77, blocks: 1, read: true, write: true });
    // Status, LBA, namespace, byte of the entry.
    let none = log::LOCATION_NONE as u16;
    let mut wanted = vec![];
    b.io(read(0x12_3456_789a, 0, 1));
    wanted.push((status::LBA_OUT_OF_RANGE, 0x12_3456_789a, 1, entry::SQE_CDW10 as u16));
    b.io(read(5, 0, 9));
    wanted.push((status::INVALID_NAMESPACE, 5, 9, entry::SQE_NSID as u16));
    b.io(read(70, 7, 1));
    wanted.push((status::UNRECOVERED_READ, 70, 1, none));
    b.io(admin(opcode::WRITE, 1, [72, 0, 7, 0, 0, 0], Data::Slice(slice)));
    wanted.push((status::WRITE_FAULT, 72, 1, none));
    b.io(admin(0x77, 1, [3, 0, 0, 0, 0, 0], Data::None));
    wanted.push((status::INVALID_OPCODE, 3, 1, entry::SQE_CDW0 as u16));
    assert!(b.admin(admin(opcode::IDENTIFY, 0, [0x55, 0, 0, 0, 0, 0], Data::Slice(slice))).is_err());
    wanted.push((status::INVALID_FIELD, 0, 0, entry::SQE_CDW10 as u16));
    assert!(b.admin(admin(opcode::SET_FEATURES, 0, [2, 3, 0, 0, 0, 0], Data::None)).is_err());
    wanted.push((status::INVALID_FIELD, 0, 0, entry::SQE_CDW11 as u16));
    let log = b.nvme.error_log().unwrap();
    assert_eq!(log.len(), wanted.len());
    for (i, (e, w)) in log.iter().rev().zip(&wanted).enumerate() {
        assert_eq!((e.status.code(), e.lba, e.namespace, e.location), *w, "entry {i}");
        assert_eq!(e.count, i as u64 + 1);
        assert_eq!(e.status.do_not_retry(), ![status::UNRECOVERED_READ, status::WRITE_FAULT].contains(&w.0));
        assert_eq!(e.queue, u16::from(i < 5));
    }
    // The eight last ones are kept.
    for lba in 0..20 {
        b.io(read(lba, 0, 3));
    }
    let log = b.nvme.error_log().unwrap();
    assert_eq!(log.iter().map(|e| e.lba).collect::<Vec<_>>(), (12..20).rev().collect::<Vec<u64>>());
    assert_eq!(log[0].count, 27);
    assert_eq!(b.nvme.smart_log().unwrap().error_entries, 27);
    // Another function's log is its own.
    let mut other = rig::controller(&b.card, 1, 1 << 20, NvmeOptions::default()).unwrap();
    assert!(other.error_log().unwrap().is_empty());
}

#[test]
fn a_temperature_beyond_its_threshold_warns_and_is_told_once() {
    let mut b =
        bench_with(Options::default(), NvmeOptions { io_queues: 1, events: 2, ..NvmeOptions::default() }, false);
    let set = |fid: u64, v: u64| admin(opcode::SET_FEATURES, 0, [fid as u32, v as u32, 0, 0, 0, 0], Data::None);
    let warns = |b: &mut Bench| b.nvme.smart_log().unwrap().critical_warning;
    let told = |b: &mut Bench| {
        b.card.run_idle(20_000);
        b.nvme.next_event().unwrap().map(|e| (u64::from(e.kind), u64::from(e.log)))
    };
    b.admin(set(opcode::FEATURE_ASYNC_EVENT, id::WARNING_TEMPERATURE.mask())).unwrap();
    assert_eq!(warns(&mut b), 0);
    b.admin(set(opcode::FEATURE_TEMPERATURE, limits::TEMPERATURE)).unwrap();
    assert_eq!(told(&mut b), Some((cmd::EVENT_TYPE_HEALTH, opcode::LOG_SMART)));
    assert_eq!(warns(&mut b), id::WARNING_TEMPERATURE.mask() as u8);
    b.admin(set(opcode::FEATURE_TEMPERATURE, limits::TEMPERATURE_WARNING)).unwrap();
    assert_eq!((warns(&mut b), told(&mut b)), (0, None));
    let under = cmd::TEMPERATURE_TYPE.put(cmd::TEMPERATURE_UNDER);
    b.admin(set(opcode::FEATURE_TEMPERATURE, under | (limits::TEMPERATURE + 1))).unwrap();
    assert_eq!(told(&mut b), Some((cmd::EVENT_TYPE_HEALTH, opcode::LOG_SMART)));
    let get =
        admin(opcode::GET_FEATURES, 0, [opcode::FEATURE_TEMPERATURE as u32, under as u32, 0, 0, 0, 0], Data::None);
    assert_eq!(u64::from(b.admin(get).unwrap()), limits::TEMPERATURE + 1);
    assert_eq!(warns(&mut b), id::WARNING_TEMPERATURE.mask() as u8);
}

#[test]
fn the_volume_log_counts_commands_bytes_and_latencies() {
    let mut b = bench();
    let slice = b.buffer.slice(0, 64 << 10).unwrap();
    let log = b.nvme.volume_log().unwrap().expect("an Azote card has one");
    assert_eq!((log.read_ops, log.write_ops, log.queue_length), (0, 0, 0));
    assert_eq!(log.reads.len(), volume::BINS as usize);
    assert_eq!((log.reads[0].lower, log.reads[0].upper, log.reads[5].lower), (0, 1, 16));
    for nlb in [0, 7, 127] {
        assert_eq!(b.io(admin(opcode::READ, 1, [0, 0, nlb, 0, 0, 0], Data::Slice(slice))), status::SUCCESS);
    }
    assert_eq!(b.io(admin(opcode::WRITE, 1, [0, 0, 7, 0, 0, 0], Data::Slice(slice))), status::SUCCESS);
    assert_eq!(b.io(admin(opcode::READ, 1, [u32::MAX, 0, 7, 0, 0, 0], Data::Slice(slice))), status::LBA_OUT_OF_RANGE);
    b.card
        .root()
        .media()
        .set_options(azote_sim::MediaOptions { latency: 72_000, ..azote_sim::MediaOptions::default() });
    assert_eq!(b.io(admin(opcode::READ, 1, [0, 0, 7, 0, 0, 0], Data::Slice(slice))), status::SUCCESS);
    let log = b.nvme.volume_log().unwrap().unwrap();
    assert_eq!((log.read_ops, log.write_ops, log.queue_length), (4, 1, 0));
    assert_eq!((log.read_bytes, log.write_bytes), ((1 + 8 + 128 + 8) * 512, 4096));
    let counts = |bins: &[azote_nvme::Bin]| bins.iter().map(|b| b.count).sum::<u32>();
    assert_eq!((counts(&log.reads), counts(&log.writes)), (4, 1));
    // 900 us of media, and a little.
    let slow = log.reads.iter().rev().find(|bin| bin.count > 0).unwrap();
    assert_eq!((slow.lower, slow.upper, slow.count), (512, 1024, 1));
    assert!((900..1000).contains(&log.read_time), "{} us", log.read_time);
    assert!(log.write_time < 100);
    // Another volume begins anew.
    let manager = azote_manage::Manager::open(&*rig::function(&b.card, FunctionId::pf(Kind::Trust)).unwrap()).unwrap();
    let volume = azote_manage::Volume { id: 0, base: 0, blocks: BLOCKS, read_only: false, large_blocks: false };
    manager.bind(Role::Vf(0), volume).unwrap();
    let log = b.nvme.volume_log().unwrap().unwrap();
    assert_eq!((log.read_ops, counts(&log.reads), log.read_time), (0, 0, 0));
}

#[test]
fn the_volume_log_says_for_how_long_limits_held_it_back() {
    let mut b = bench();
    let slice = b.buffer.slice(0, 4096).unwrap();
    let manager = azote_manage::Manager::open(&*rig::function(&b.card, FunctionId::pf(Kind::Trust)).unwrap()).unwrap();
    let mut run = |limits: azote_manage::Limits| {
        manager.limit(Role::Vf(0), limits).unwrap();
        for _ in 0..40 {
            assert_eq!(b.io(admin(opcode::READ, 1, [0, 0, 7, 0, 0, 0], Data::Slice(slice))), status::SUCCESS);
        }
        b.nvme.volume_log().unwrap().unwrap()
    };
    let free = run(azote_manage::Limits::default());
    assert_eq!((free.over_iops, free.over_throughput), (0, 0));
    // A command takes 16384 clocks, 204.8 us: 40 of them about 8 ms.
    let commands = run(azote_manage::Limits { commands: 1024, ..azote_manage::Limits::default() });
    assert!((6500..8500).contains(&commands.over_iops), "{} us", commands.over_iops);
    assert_eq!(commands.over_throughput, 0);
    let blocks = run(azote_manage::Limits { blocks: 8 * 1024, ..azote_manage::Limits::default() });
    assert!((6500..8500).contains(&blocks.over_throughput), "{} us", blocks.over_throughput);
    assert_eq!(blocks.over_iops, commands.over_iops);
}
