#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::time::Duration;
use azote_seam::Function as _;
use azote_dma::Dma;
use azote_net::{Batch, Net, Options as NetOptions, Packet};
use azote_regs::function::{FunctionId, Kind};
use azote_regs::manage as regs;
use azote_regs::virtio::bit;
use azote_sim::{Card, Options, Plug, cable};
use azote_tests::rig::{Model, Setup};

fn port(card: &Card, vf: u8) {
    let trust = card.function(FunctionId::pf(Kind::Trust).number()).unwrap();
    let _ = azote_manage::Manager::open(&*trust).unwrap();
    let bar = trust.bar(2).unwrap();
    let at = regs::PORTS + (1 + u64::from(vf)) * regs::PORT_STRIDE;
    bar.write32(at + regs::PORT_MAC_LO, 0x30_22_11_02 | u32::from(vf) << 24).unwrap();
    bar.write32(at + regs::PORT_MAC_HI, 0x5544).unwrap();
    bar.write32(at + regs::PORT_TENANT, 7).unwrap();
    bar.write32(at + regs::PORT_VLAN, 0).unwrap();
    bar.write32(at + regs::PORT_MTU, 9000).unwrap();
    bar.write32(at + regs::PORT_CTRL, (regs::PORT_ENABLED.put(1) | regs::PORT_LINK.put(1) | regs::PORT_UPLINK.put(1)) as u32).unwrap();
    while regs::PORT_BUSY.is_set(bar.read32(at + regs::PORT_CTRL).unwrap().into()) {}
}

fn card() -> (Card, Plug) {
    let card = Setup { model: Model::Rtl, options: Options::default(), ..Setup::default() }.card().unwrap();
    let (here, there) = cable();
    card.root().ethernet().connect(Box::new(there));
    for vf in 0..4 { port(&card, vf); }
    card.set_vfs(FunctionId::pf(Kind::Net).number(), 4).unwrap();
    (card, here)
}

fn open(card: &Card, vf: u8, options: NetOptions) -> Net {
    let function = card.function(FunctionId::vf(Kind::Net, vf).unwrap().number()).unwrap();
    Net::open(function, Dma::new(16 << 20).unwrap(), options).unwrap()
}

#[test]
fn first() {
    let (card, wire) = card();
    println!("card up");
    let mut net = open(&card, 1, NetOptions { without: bit(63), ..NetOptions::default() });
    println!("mac {:x?} mtu {}", net.mac(), net.mtu());
    for len in [60usize, 14, 15, 61, 100, 512, 1514, 4000, 9018] {
        let mut frame = [&[6u8, 5, 4, 3, 2, 0][..], &net.mac(), &[0x88, 0xb5]].concat();
        frame.extend((14..len).map(|i| (i * 11 + len) as u8));
        net.send(0, &[Packet::from(&frame[..])]).unwrap();
        card.run_idle(20_000);
        let got = wire.receive();
        println!("{len} out: {:?}", got.as_ref().map(|g| (g.len(), *g == frame)));
        let mut frame = [&net.mac()[..], &[6u8, 5, 4, 3, 2, 0], &[0x88, 0xb5]].concat();
        frame.extend((14..len).map(|i| (i * 13 + len) as u8));
        wire.send(&frame);
        let mut batch = Batch::default();
        let mut got = 0;
        for _ in 0..10 {
            card.run_idle(20_000);
            net.wait(Duration::from_millis(20)).unwrap();
            got = net.receive(0, &mut batch, 32).unwrap();
            if got > 0 { break; }
        }
        println!("{len} in: {got} {:?}", batch.frames().first().map(|f| (f.bytes.len(), f.bytes == frame)));
    }
    println!("{:?} {:?}", net.flush(), net.stats());
    let trust = card.function(FunctionId::pf(Kind::Trust).number()).unwrap();
    let bar = trust.bar(2).unwrap();
    for slot in [2u64, 63] {
        let at = regs::COUNTERS + slot * regs::COUNTER_STRIDE;
        println!("{slot}: {:?}", (0..20).map(|i| bar.read32(at + 4 * i).unwrap()).collect::<Vec<_>>());
    }
}
