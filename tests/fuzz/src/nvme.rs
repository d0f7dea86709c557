//! An NVMe controller that lies, under the driver: its data pages, statuses and answers are changed as the bytes say. The driver
//! takes them or refuses them; it never does what the specification forbids (the model looks), and never panics.

use std::time::Duration;

use azote_dma::Dma;
use azote_nvme::{Completions, Controller, Io, Options};

#[path = "../../../driver/nvme/tests/model/mod.rs"]
mod model;

/// Opens the controller and asks it everything.
pub fn run(data: &[u8]) {
    let mut model = model::Model::new(vec![0x5a; 64 << 10]);
    let (kind, data) = data.split_first().unwrap_or((&0, &[]));
    model.faults.lies = data.iter().copied().collect();
    model.faults.garbage = (kind & 0xc0 == 0xc0).then_some(u64::from(*kind) + 1);
    model.grant = u16::from(kind & 7) + 1;
    let completions = if kind & 8 == 0 { Completions::Polled } else { Completions::Interrupts };
    // In steps of the model's clock, of 10 µs.
    let timeout = Duration::from_millis(2);
    let options = Options { io_queues: 2, depth: 4, completions, timeout, events: 1 };
    let dma = Dma::new(4 << 20).expect("memory");
    let Ok(mut nvme) = Controller::open(model.function(), dma, options) else { return };
    let _ = nvme.identity().clone();
    let _ = (nvme.smart_log(), nvme.firmware_log(), nvme.error_log());
    let Ok(Some(namespace)) = nvme.rescan().map(|n| n.cloned()) else { return };
    let _ = (namespace.bytes(), namespace.block_size());
    let Ok(buffer) = nvme.dma().alloc(8192, 4096) else { return };
    let _ = (nvme.read(0, buffer.whole()), nvme.execute(Io::Flush), nvme.poll(0));
    let _ = nvme.shutdown();
}
