//! Putting a machine together.

use std::{
    fs::File,
    os::fd::AsFd,
    sync::Arc,
    thread::{self, JoinHandle},
};

use azote_files::Output;
use vmm_sys_util::{
    eventfd::{EFD_NONBLOCK, EventFd},
    signal::register_signal_handler,
};

use super::{
    Machine,
    bus::Bus,
    devices::Devices,
    kvm::{self, Vm},
};
use crate::{
    Config, Error, Result, acpi, api, config,
    cpu::{self, Vcpu, VcpuState, cpuid},
    exits::Exits,
    jail,
    kernel::{self, Boot},
    layout,
    memory::Memory,
    pci::{AddressMap, Ecam, Machine as _, allocate::Allocator},
    serial::Serial,
    signals::{self, Signals},
    stats::Stats,
};

/// A processor's thread needs little: its loop, and the deepest device behind it.
const STACK: usize = 256 << 10;
/// The most processors: APIC ids are 8 bits, and one means all.
const CPUS_MAX: u8 = 254;

impl Machine {
    /// Builds all of it, up to threads that wait.
    pub fn new(config: &Config, signals: Signals) -> Result<Self> {
        if !(1..=CPUS_MAX).contains(&config.cpus) {
            return Err(Error::Config(format!("--cpus {}: a guest has 1 to {CPUS_MAX}", config.cpus)));
        }
        let exits = Arc::new(Exits::default());
        let state = Arc::new(VcpuState::new().map_err(Error::io("making an event"))?);
        let last_bus = u8::from(config.card.is_some());
        let map = kernel::memory_map(config.memory.size, u64::from(last_bus) + 1);
        let cmdline = kernel::cmdline::with_defaults(&config.cmdline, config.bare_cmdline);
        let api = config.api_socket.as_deref().map(api::Server::bind).transpose()?;
        let boot = Boot::open(&config.kernel, config.initramfs.as_deref(), cmdline, map)?;

        let kvm = kvm::open()?;
        let memory = Arc::new(Memory::new(&config.memory, !config.user_devices.is_empty() || config.card.is_some())?);
        let bars = Allocator::new(memory.size())?;
        let vm = Arc::new(Vm::new(&kvm, memory.clone(), AddressMap::new(bars.windows()))?);
        let ecam = Arc::new(Ecam::new(exits.region("configuration space")));
        let ecam_size = (u64::from(last_bus) + 1) * layout::ECAM_BUS_SIZE;
        if !vm.addresses().insert(layout::ECAM, ecam_size, ecam.clone()) {
            return Err(Error::Config("configuration space has no place".into()));
        }

        let serial = open_serial(config, &exits)?;
        if let Some(serial) = &serial {
            vm.attach_pin(serial.interrupt(), layout::SERIAL_GSI)?;
        }
        let power_button = EventFd::new(EFD_NONBLOCK).map_err(Error::io("making an event"))?;
        vm.attach_pin(&power_button, layout::POWER_BUTTON_GSI)?;

        let tables = acpi::Machine {
            cpus: config.cpus,
            last_bus,
            serial: serial.is_some(),
            mmio_64: layout::mmio_64(memory.size()),
        };
        let rsdp = acpi::write(memory.guest(), &tables).map_err(|_| Error::Config("no memory for tables".into()))?;
        // A device is reset when it is opened, and a reset is mostly waiting: the kernel is loaded meanwhile.
        let (devices, entry) = thread::scope(|scope| {
            let loading = scope.spawn(|| boot.load(memory.guest(), rsdp));
            let devices = Devices::open(config, &vm, &memory, bars, &ecam, &exits);
            let failed = |_| Err(Error::Config("the kernel's loader has failed".into()));
            (devices, loading.join().unwrap_or_else(failed))
        });
        let (entry, devices) = (entry?, devices?);

        let bus: Arc<dyn cpu::Bus> = Arc::new(Bus::new(vm.clone(), serial.clone(), &state, &exits));
        register_signal_handler(cpu::kick_signal(), signals::nothing)
            .map_err(|e| Error::io("installing a signal handler")(e.into()))?;
        if !config.no_jail {
            jail::drop_privileges()?;
            jail::close_files()?;
        }
        if let Some(parent) = config.supervisor
            && !signals::end_with(parent)
        {
            state.stop(cpu::Stop::Shutdown);
        }
        state.pause(true);
        let supported = cpuid::supported(&kvm)?;
        let (mut threads, mut stats) = (Vec::new(), Vec::new());
        for id in 0..config.cpus {
            let fd = vm.fd().create_vcpu(id.into()).map_err(Error::kvm("making a virtual processor"))?;
            fd.set_cpuid2(&cpuid::for_cpu(&supported, id, config.cpus)).map_err(Error::kvm("setting CPUID"))?;
            stats.extend(Stats::of(&fd));
            let vcpu = Vcpu { fd, id };
            vcpu.prepare(memory.guest(), entry)?;
            threads.push(start(vcpu, bus.clone(), exits.clone(), state.clone())?);
        }
        // The jail's last wall goes up when every processor has its thread and waits.
        while state.parked() < threads.len() {
            thread::yield_now();
        }
        let input = serial.is_some() && config.serial == config::Serial::Tty;
        Ok(Self {
            memory,
            state,
            exits,
            serial,
            input,
            threads,
            stats,
            api,
            devices,
            power_button,
            counters: config.counters,
            jailed: !config.no_jail,
            signals,
            hurried: false.into(),
        })
    }
}

fn start(mut vcpu: Vcpu, bus: Arc<dyn cpu::Bus>, exits: Arc<Exits>, state: Arc<VcpuState>) -> Result<JoinHandle<()>> {
    let name = format!("vcpu{}", vcpu.id);
    thread::Builder::new()
        .name(name)
        .stack_size(STACK)
        .spawn(move || vcpu.run(&bus, &exits, &state))
        .map_err(Error::io("starting a processor's thread"))
}

fn open_serial(config: &Config, exits: &Exits) -> Result<Option<Arc<Serial>>> {
    let to = match &config.serial {
        config::Serial::Null => return Ok(None),
        config::Serial::Tty => {
            let stdout = std::io::stdout().as_fd().try_clone_to_owned();
            File::from(stdout.map_err(Error::io("taking stdout for the serial port"))?)
        }
        config::Serial::File(path) => {
            let volumes = config.card.iter().flat_map(|card| card.volumes.iter().map(|v| &v.path));
            let inputs =
                [Some(&config.kernel), config.initramfs.as_ref()].into_iter().flatten().chain(volumes).collect();
            // A new file takes its place at once: it is whole at any time, and people look at it while it grows.
            let output = Output::stream(path, &inputs)?;
            let file = output.file().try_clone().map_err(|source| Error::File { path: path.clone(), source })?;
            output.finish()?;
            file
        }
    };
    Ok(Some(Arc::new(Serial::new(to, exits.region("serial"))?)))
}
