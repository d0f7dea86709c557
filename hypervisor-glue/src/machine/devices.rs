//! Everything on the guest's buses.

use std::{sync::Arc, time::Duration};

use super::kvm::Vm;
use crate::{
    Config, Error, Result,
    backend::{
        card::{self, SimulatedCard},
        user::UserDevice,
        vfio,
    },
    exits::Exits,
    log::warn,
    memory::Memory,
    pci::{self, Alarm, Configure, Device, Ecam, Once, Passthrough, allocate::Allocator, port::RootPort},
};

/// The devices of a machine.
pub struct Devices {
    functions: Vec<Arc<Passthrough>>,
    card: Option<Arc<SimulatedCard>>,
    // The address map refers to it weakly.
    _port: Option<Arc<RootPort>>,
}

impl Devices {
    /// Opens them all and puts them on the bus.
    pub fn open(
        config: &Config,
        vm: &Arc<Vm>,
        memory: &Memory,
        mut bars: Allocator,
        ecam: &Ecam,
        exits: &Exits,
    ) -> Result<Self> {
        let mut opened: Vec<Arc<dyn Device>> = Vec::new();
        let paths = config.devices.iter().map(|p| vfio::resolve(p)).collect::<Result<Vec<_>>>()?;
        if let Some(first) = paths.first() {
            let mut vfio = vfio::Vfio::new(vm.fd(), first)?;
            for path in &paths {
                opened.push(Arc::new(vfio.open(path, memory)?));
            }
        }
        for user in &config.user_devices {
            let timeout = Duration::from_secs(user.timeout.max(1));
            opened.push(Arc::new(UserDevice::connect(&user.socket, timeout, memory)?));
        }
        let host: pci::Host = vm.clone();
        let mut functions = Vec::new();
        for device in opened {
            let name = device.name().to_owned();
            let function = Passthrough::new(device, host.clone(), &mut bars, exits)?;
            add(ecam, function.clone(), &name)?;
            functions.push(function);
        }
        let (mut simulated, mut port) = (None, None);
        if let Some(config) = &config.card {
            let messages = vm.clone();
            // A guest can let the card send any number of messages that KVM refuses.
            let refused = Once::default();
            let send = Box::new(move |address, data| {
                if let Err(e) = messages.signal(address, data)
                    && refused.first()
                {
                    warn(format_args!("card: message to {address:#x}: {e}"));
                }
            });
            let card = Arc::new(SimulatedCard::new(config, memory, send)?);
            let full = || Error::device("card", "there is no room for its BARs below 4 GiB");
            let base = bars.below_4g(card::WINDOW, 1 << 20).ok_or_else(full)?;
            let root_port = RootPort::new(card.clone(), host, base..base + card::WINDOW, exits);
            add(ecam, root_port.clone(), "card")?;
            ecam.put_behind(root_port.clone());
            root_port.start();
            (simulated, port) = (Some(card), Some(root_port));
        }
        Ok(Self { functions, card: simulated, _port: port })
    }

    /// What ends the guest on a device's behalf: its name and the event.
    pub fn alarms(&self) -> Vec<(&str, &Alarm)> {
        self.functions.iter().flat_map(|d| d.alarms().iter().map(|a| (d.name(), a))).collect()
    }

    /// What messages call them.
    pub fn names(&self) -> Vec<&str> {
        self.functions.iter().map(|f| f.name()).chain(self.card.iter().map(|_| "card")).collect()
    }

    /// At the end: nothing of them reaches memory any more.
    pub fn end(&self) {
        for function in &self.functions {
            function.reset();
        }
        if let Some(card) = &self.card {
            if let Err(e) = card.sync() {
                warn(format_args!(
                    "card: making its volumes durable: {e}; what the guest has written last may be lost"
                ));
            }
            if let Some(text) = card.report() {
                warn(text);
            }
        }
    }
}

fn add(ecam: &Ecam, device: Arc<dyn Configure>, name: &str) -> Result<()> {
    let full = || Error::device(name, "bus 0 is full: 32 devices fit");
    ecam.add(device).map(drop).ok_or_else(full)
}
