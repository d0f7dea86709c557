//! A network device that lies, under the driver: what its rings say is the bytes'. The driver takes it or refuses it; it reaches no
//! memory that is not mapped, and never panics.

use std::time::Duration;

use azote_dma::{Dma, Pages};
use azote_net::{Batch, Net, Options, Packet};

#[path = "../../../driver/net/tests/model/mod.rs"]
mod model;

use model::{Lie, Model};

/// Opens the device, and sends, receives and commands while it lies.
pub fn run(data: &[u8]) {
    let (kind, mut data) = data.split_first().unwrap_or((&0, &[]));
    let mut model = Model { queue_size: 1 << (kind & 7), notify_off: u16::from(*kind >> 7) << 6, ..Model::default() };
    if kind & 8 != 0 {
        model.offered |= data.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    }
    let function = model.function();
    let options = Options { depth: 16, timeout: Duration::from_micros(200), ..Options::default() };
    let dma = Dma::at(2 << 20, Pages::Small, 0x1_0000_0000).expect("memory");
    let Ok(mut net) = Net::open(function.clone(), dma, options) else { return };
    let mut batch = Batch::default();
    while let Some((now, rest)) = data.split_first_chunk::<8>() {
        data = rest;
        let [what, queue, id, id_high, len, len_high, count, count_high] = *now;
        let half = |low, high| u16::from_le_bytes([low, high]);
        let lie = match what & 3 {
            0 => Lie::Silent,
            1 => Lie::Buffers(half(count, count_high)),
            2 => Lie::Acknowledges(id),
            _ => Lie::Uses {
                queue: u16::from(queue % 9),
                id: half(id, id_high).into(),
                len: u32::from(half(len, len_high)) << (what >> 4),
                count: half(count, count_high),
            },
        };
        function.with(|model, _| model.lie = lie);
        let _ = (net.wait(Duration::from_micros(20)), net.receive(0, &mut batch, 8));
        let _ = (net.send(0, &[Packet::from(&[9; 3000][..])]), net.link(), net.flush());
        if what & 4 != 0 {
            let _ = (net.set_promiscuous(true), net.add_vlan(7));
        }
    }
    drop(net);
    function.with(|_, host| assert_eq!((&host.faults[..], host.mappings()), (&[][..], 0)));
}
