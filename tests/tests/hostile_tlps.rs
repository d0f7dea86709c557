//! What a broken or hostile root complex could send: random and mutated packets of every sort, while a driver works on
//! one VF. Afterwards every function still answers, and nothing that the card sent broke a rule.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use azote_dma::Dma;
use azote_nvme::{Controller, Options as NvmeOptions};
use azote_regs::function::{FunctionId, Kind};
use azote_regs::pcie::tlp;
use azote_regs::{bar, ids};
use azote_sim::{Card, Options, Topology, enumerate};
use azote_tests::rig::{self, Setup};
use azote_tlp::{Packet, Rid};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// `AZOTE_TLPS=10000000` sends more.
fn packets() -> usize {
    std::env::var("AZOTE_TLPS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000)
}
const BUS: u32 = 1;
/// The host's own id.
const HOST: u32 = 0;

fn dw0(fmt_type: u64, length: u32) -> u32 {
    (fmt_type << tlp::FMT_TYPE.lo) as u32 | (length & 0x3ff)
}

/// Addresses: mostly somewhere in a BAR, sometimes anywhere.
fn address(rng: &mut SmallRng, topology: &Topology) -> u64 {
    let pf = &topology.pfs[rng.random_range(0..topology.pfs.len())];
    let vfs = pf.sriov.as_ref().map(|s| s.bars.clone()).unwrap_or_default();
    let bars: Vec<_> = pf.bars.iter().chain(&vfs).collect();
    let b = bars[rng.random_range(0..bars.len())];
    match rng.random_range(0..10) {
        0 => rng.random(),
        1 => b.address + rng.random_range(0..8 * bar::BAR0_SIZE),
        2 => b.address + b.size - 4,
        _ => b.address + rng.random_range(0..b.size),
    }
}

fn memory(rng: &mut SmallRng, topology: &Topology, write: bool) -> Packet {
    let at = address(rng, topology);
    let room = (4096 - (at & 0xffc)) / 4;
    let length = match rng.random_range(0..4) {
        0 => 1,
        1 => 2,
        _ => rng.random_range(1..=64),
    }
    .min(room) as u32;
    let (first, last) =
        if length == 1 { (rng.random_range(0..16), 0) } else { (rng.random_range(1..16), rng.random_range(1..16)) };
    let long = at >> 32 != 0;
    let code = match (write, long) {
        (false, false) => tlp::MRD32,
        (false, true) => tlp::MRD64,
        (true, false) => tlp::MWR32,
        (true, true) => tlp::MWR64,
    };
    let tag: u32 = rng.random_range(0..256);
    let low = at as u32 & !3;
    let header = [
        dw0(code, length),
        HOST << 16 | tag << 8 | last << 4 | first,
        if long { (at >> 32) as u32 } else { low },
        if long { low } else { 0 },
    ];
    let payload = if write { (0..4 * length).map(|_| rng.random()).collect() } else { Vec::new() };
    Packet { header, payload }
}

fn config(rng: &mut SmallRng, write: bool) -> Packet {
    let function: u32 = if rng.random_bool(0.7) { rng.random_range(0..36) } else { rng.random_range(0..256) };
    let register: u32 = rng.random_range(0..0x200) & !3;
    let code = if write { tlp::CFGWR0 } else { tlp::CFGRD0 };
    let header = [
        dw0(code, 1),
        HOST << 16 | rng.random_range(0..256u32) << 8 | rng.random_range(0..16u32),
        BUS << 24 | function << 16 | register,
        0,
    ];
    Packet { header, payload: if write { (0..4).map(|_| rng.random()).collect() } else { Vec::new() } }
}

/// A completion that somebody might have asked for.
fn completion(rng: &mut SmallRng) -> Packet {
    let data = rng.random_bool(0.7);
    let length: u32 = rng.random_range(1..=64);
    let function: u32 = [1, 17, 21][rng.random_range(0..3)];
    let status: u32 = if rng.random_bool(0.7) { 0 } else { rng.random_range(0..8) };
    let header = [
        dw0(if data { tlp::CPLD } else { tlp::CPL }, if data { length } else { 0 }),
        status << 13 | rng.random_range(0..0x1000u32),
        (BUS << 8 | function) << 16 | rng.random_range(32..256u32) << 8 | rng.random_range(0..128u32),
        0,
    ];
    Packet { header, payload: if data { (0..4 * length).map(|_| rng.random()).collect() } else { Vec::new() } }
}

fn odd(rng: &mut SmallRng) -> Packet {
    let code = [
        tlp::IORD,
        tlp::IOWR,
        tlp::CFGRD1,
        tlp::CFGWR1,
        tlp::MRDLK32,
        tlp::MRDLK64,
        tlp::MSG,
        tlp::MSGD,
        tlp::MSG | 4,
        0x4c,
        0x4d,
        0x6e,
        0x9f,
        0x8f,
        0x1f,
    ][rng.random_range(0..15)];
    let data = tlp::FMT_BIT_DATA.of(code << tlp::FMT_TYPE.lo) == 1;
    let length: u32 = if code == tlp::IORD || code == tlp::IOWR { 1 } else { rng.random_range(1..8) };
    let header = [dw0(code, length), rng.random::<u32>() & 0xff0f, rng.random(), rng.random()];
    Packet { header, payload: if data { (0..4 * length).map(|_| rng.random()).collect() } else { Vec::new() } }
}

/// Breaks a packet in one of the ways in which packets break.
fn mutate(rng: &mut SmallRng, p: &mut Packet) {
    match rng.random_range(0..6) {
        0 => p.header[rng.random_range(0..4)] ^= 1 << rng.random_range(0..32),
        1 => p.header[0] = rng.random(),
        2 => p.payload.truncate(rng.random_range(0..=p.payload.len()) & !3),
        3 => p.payload.extend((0..4 * rng.random_range(1..80)).map(|_| 0x5au8)),
        4 => p.header[0] ^= rng.random_range(1..1024),
        _ => p.header[0] |= tlp::EP.mask() as u32,
    }
}

/// A configuration write takes things away on purpose (VFs, BARs). The first part of the test leaves the card as it is,
/// so that packets have something to hit.
fn writes_configuration(p: &Packet) -> bool {
    u64::from(p.header[0]) >> tlp::FMT_TYPE.lo == tlp::CFGWR0
}

fn fuzz(card: &Card, rng: &mut SmallRng, packets: usize, writes_config: bool) {
    for i in 0..packets {
        let mut p = match rng.random_range(0..10) {
            0..=2 => memory(rng, card.topology(), false),
            3..=5 => memory(rng, card.topology(), true),
            6 => config(rng, false),
            7 => config(rng, writes_config),
            8 => completion(rng),
            _ => odd(rng),
        };
        if rng.random_bool(0.4) {
            mutate(rng, &mut p);
        }
        if writes_configuration(&p) {
            if !writes_config {
                continue;
            }
            // Another bus number would be right to believe (PCIe 2.2.6.2) and would make all that follows look wrong.
            p.header[2] = p.header[2] & 0x00ff_ffff | BUS << 24;
        }
        let mut root = card.root();
        root.send_raw(p);
        if i % 8 == 7 {
            root.run_idle(20_000);
        }
        root.take_unclaimed();
    }
}

/// Every function that exists answers a configuration read with its own identity.
fn all_answer(card: &Card, vfs: bool) {
    let mut root = card.root();
    assert!(root.run_idle(2_000_000), "the card never came to rest\n{}", root.log_tail());
    root.take_unclaimed();
    for kind in Kind::ALL {
        let id = root.config_read(FunctionId::pf(kind).number(), 0).unwrap();
        assert_eq!(u64::from(id), ids::device(kind) << 16 | ids::VENDOR, "PF of {}", kind.name());
    }
    if vfs {
        for i in 0..4 {
            let vf = FunctionId::vf(Kind::Storage, i).unwrap().number();
            assert_eq!(root.config_read(vf, 0).unwrap(), 0xffff_ffff, "VF {i}");
            assert_eq!(u64::from(root.config_read(vf, 8).unwrap()) >> 8, ids::CLASS_NVME, "VF {i}");
        }
    }
}

fn works(card: &Card, vf: u8, image: &[u8]) {
    let mut nvme = rig::controller(card, vf, 4 << 20, NvmeOptions::default()).unwrap();
    let buffer = nvme.dma().alloc(64 << 10, 4096).unwrap();
    nvme.read(64, buffer.whole()).unwrap();
    let mut got = vec![0; 64 << 10];
    buffer.read(0, &mut got).unwrap();
    assert!(got == image[64 * 512..64 * 512 + got.len()], "VF {vf} reads what is in the image");
    nvme.shutdown().unwrap();
}

#[test]
fn after_a_million_random_and_mutated_packets_every_function_still_answers() {
    let setup = Setup { options: Options { read_jitter: 20, ..Options::default() }, ..Setup::default() };
    let card = setup.card().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    rig::pattern(&path, 4096).unwrap();
    let image = std::fs::read(&path).unwrap();
    // Read only: doorbells that a random packet rings must not be able to change what is compared.
    rig::provision(&card, &[(&path, true), (&path, true)]).unwrap();
    works(&card, 0, &image);
    let mut rng = SmallRng::seed_from_u64(0xa207e);

    fuzz(&card, &mut rng, packets() * 9 / 10, false);
    all_answer(&card, true);
    // The last tenth may write configuration space too, and take the card apart with it.
    fuzz(&card, &mut rng, packets() / 10, true);
    all_answer(&card, false);
    assert!(card.root().violations().0 == 0, "{}", card.root().violations().1[0]);

    // A reset and a second enumeration find the same card, and it works.
    card.root().reset();
    let again = enumerate(&mut card.root()).unwrap();
    assert_eq!(again, *card.topology());
    rig::provision(&card, &[(&path, true), (&path, true)]).unwrap();
    for vf in 0..2 {
        works(&card, vf, &image);
    }
    card.assert_clean();
}

#[test]
fn a_stray_completion_lands_nowhere() {
    let card = Setup::default().card().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    rig::pattern(&path, 4096).unwrap();
    let image = std::fs::read(&path).unwrap();
    rig::provision(&card, &[(&path, false)]).unwrap();
    let function = rig::function(&card, rig::storage_vf(0).unwrap()).unwrap();
    let mut nvme = Controller::open(function, Dma::new(4 << 20).unwrap(), NvmeOptions::default()).unwrap();
    let buffer = nvme.dma().alloc(4096, 4096).unwrap();
    // Tags that are in use, with another function's id: the reads they pretend to answer must not take them.
    for tag in 0..32 {
        let rid = Rid::new(BUS as u8, 21);
        let header = [dw0(tlp::CPLD, 16), 64, u32::from(rid.0) << 16 | tag << 8, 0];
        card.root().send_raw(Packet { header, payload: vec![0xee; 64] });
        nvme.read(u64::from(tag) * 8, buffer.whole()).unwrap();
        let mut got = vec![0; 4096];
        buffer.read(0, &mut got).unwrap();
        assert!(got == image[tag as usize * 4096..][..4096]);
    }
    card.assert_clean();
}
