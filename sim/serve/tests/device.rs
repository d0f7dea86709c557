//! What a client finds at a socket: a whole device, as the kernel's vfio-pci shows a VF.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::os::fd::AsFd;
use std::time::Duration;

use azote_regs::function::{FunctionId, Kind};
use azote_regs::pcie::{EXTENDED, acs, ari, capability, express, header, msix, power, sriov};
use azote_regs::{bar, ids, nvme};
use azote_seam::{Capabilities, Function};
use azote_vfio_user::{Client, Error};
use common::{Mapped, Maps, soft, vf};
use vfio_bindings::bindings::vfio;

const CONFIG: u32 = vfio::VFIO_PCI_CONFIG_REGION_INDEX;
const MSIX: u32 = vfio::VFIO_PCI_MSIX_IRQ_INDEX;

fn refused(result: Result<(), Error>) -> i32 {
    match result.unwrap_err() {
        Error::Refused { source, .. } => source.raw_os_error().unwrap(),
        other => panic!("{other}"),
    }
}

#[test]
fn configuration_space_is_that_of_a_device_of_its_own() {
    let rig = soft(1);
    let f = Mapped::connect(&rig.path(0), Maps::Whole);
    assert_eq!(u64::from(f.config_read16(header::VENDOR_ID).unwrap()), ids::VENDOR);
    assert_eq!(u64::from(f.config_read16(header::DEVICE_ID).unwrap()), ids::DEVICE_STORAGE);
    assert_eq!(f.config_read8(header::HEADER_TYPE).unwrap(), 0, "a single function");
    assert_eq!(f.config_read8(header::INTERRUPT_PIN).unwrap(), 0);
    // BAR0: 64 bits, sized by the SR-IOV capability's VF BAR0; nothing else.
    f.config_write32(header::BAR0, u32::MAX).unwrap();
    f.config_write32(header::BAR0 + 4, u32::MAX).unwrap();
    let mask =
        u64::from(f.config_read32(header::BAR0 + 4).unwrap()) << 32 | u64::from(f.config_read32(header::BAR0).unwrap());
    assert_eq!(mask, !(bar::BAR0_SIZE - 1) | header::BAR_FLAGS);
    for register in (header::BAR0 + 8..header::BAR0 + 24).step_by(4).chain([header::EXPANSION_ROM]) {
        f.config_write32(register, u32::MAX).unwrap();
        assert_eq!(f.config_read32(register).unwrap(), 0, "{register:#x}");
    }
    let capabilities = Capabilities::read(&f).unwrap();
    assert!(capabilities.find(msix::ID).is_some() && capabilities.find(express::ID).is_some());
    assert_eq!(capabilities.find_extended(acs::ID), Some(EXTENDED));
    for hidden in [sriov::ID, ari::ID] {
        assert_eq!(capabilities.find_extended(hidden), None);
    }
    // Identity and read-only registers stay, whatever is written.
    f.config_write32(header::VENDOR_ID, 0).unwrap();
    f.config_write32(header::REVISION_ID, 0).unwrap();
    assert_eq!(u64::from(f.config_read16(header::VENDOR_ID).unwrap()), ids::VENDOR);
    rig.check();
}

#[test]
fn regions_and_interrupts_are_those_of_a_pci_device() {
    let rig = soft(1);
    let client = rig.client(0);
    assert!(client.is_resettable());
    let sizes: Vec<u64> = client.regions().iter().map(|r| r.size).collect();
    assert_eq!(sizes, [bar::BAR0_SIZE, 0, 0, 0, 0, 0, 0, 4096, 0]);
    let counts: Vec<u32> = (0..5).map(|i| client.irq_count(i)).collect();
    assert_eq!(counts, [0, 0, bar::msix_vectors(Kind::Storage) as u32, 0, 0]);
    // Ends of regions, and regions that are not there.
    let mut dw = [0; 4];
    client.read(0, bar::BAR0_SIZE - 4, &mut dw).unwrap();
    for (region, offset) in [(0, bar::BAR0_SIZE), (0, bar::BAR0_SIZE - 2), (1, 0), (8, 0), (77, 0), (0, u64::MAX)] {
        assert!(matches!(client.read(region, offset, &mut dw), Err(Error::Range { .. })), "{region} {offset:#x}");
    }
    // Odd accesses are made of what a bus can do.
    let mut head = [0; 13];
    client.read(CONFIG, 3, &mut head).unwrap();
    let mut registers = [0; 13];
    client.read(0, 1, &mut registers).unwrap();
    rig.check();
}

#[test]
fn bus_mastering_is_passed_on_and_reset_takes_place_both_ways() {
    let rig = soft(1);
    let f = Mapped::connect(&rig.path(0), Maps::Whole);
    let real = rig.card.function(vf(0)).unwrap();
    let on = || u64::from(real.config_read16(header::COMMAND).unwrap()) & header::COMMAND_BME.mask() != 0;
    let registers = f.bar(0).unwrap();
    let (config, enabled) = (nvme::controller::CC, 0x46_0001);
    for by_config in [false, true] {
        assert!(!on() || by_config);
        f.config_write16(header::COMMAND, 6).unwrap();
        assert!(on());
        registers.write32(config, enabled).unwrap();
        assert_eq!(registers.read32(config).unwrap(), enabled);
        if by_config {
            let flr = express::DEVICE_CONTROL_FLR.mask() as u16;
            f.config_write16(capability::vf::EXPRESS + express::DEVICE_CONTROL, flr).unwrap();
            assert_eq!(f.config_read16(capability::vf::EXPRESS + express::DEVICE_CONTROL).unwrap(), 0);
        } else {
            f.user.client().reset().unwrap();
        }
        assert_eq!(registers.read32(config).unwrap(), 0, "the function was reset");
        assert!(on(), "what the client has set in configuration space is put back, as vfio-pci does");
    }
    f.config_write16(header::COMMAND, 2).unwrap();
    assert!(!on());
    rig.check();
}

#[test]
fn a_function_is_a_whole_device_with_a_link_and_power_states() {
    let rig = soft(1);
    let f = Mapped::connect(&rig.path(0), Maps::Whole);
    let capabilities = Capabilities::read(&f).unwrap();
    let link = capabilities.find(express::ID).unwrap();
    let status = u64::from(f.config_read16(link + express::LINK_STATUS).unwrap());
    assert_eq!(express::LINK_STATUS_WIDTH.of(status), express::LINK_WIDTH);
    let power_at = capabilities.find(power::ID).unwrap() + power::PMCSR;
    let no_soft_reset = power::PMCSR_NO_SOFT_RESET.mask() as u16;
    assert_eq!(f.config_read16(power_at).unwrap(), no_soft_reset);
    let real = rig.card.function(vf(0)).unwrap();
    let on = || u64::from(real.config_read16(header::COMMAND).unwrap()) & header::COMMAND_BME.mask() != 0;
    f.config_write16(header::COMMAND, 6).unwrap();
    // D3hot sends no requests, and forgets nothing.
    let registers = f.bar(0).unwrap();
    registers.write32(nvme::controller::CC, 0x46_0000).unwrap();
    f.config_write16(power_at, power::D3HOT as u16).unwrap();
    assert!(!on());
    assert_eq!(f.config_read16(power_at).unwrap(), no_soft_reset | power::D3HOT as u16);
    // There is no D1.
    f.config_write16(power_at, 1).unwrap();
    assert_eq!(f.config_read16(power_at).unwrap(), no_soft_reset | power::D3HOT as u16);
    f.config_write16(power_at, power::D0 as u16).unwrap();
    assert!(on());
    assert_eq!(registers.read32(nvme::controller::CC).unwrap(), 0x46_0000);
    // FLR ends D3hot.
    f.config_write16(power_at, power::D3HOT as u16).unwrap();
    f.config_write16(link + express::DEVICE_CONTROL, express::DEVICE_CONTROL_FLR.mask() as u16).unwrap();
    assert_eq!(f.config_read16(power_at).unwrap(), no_soft_reset);
    assert!(on());
    rig.check();
}

#[test]
fn vectors_are_eventfds_that_survive_a_reset_and_can_be_masked() {
    let rig = soft(1);
    let f = Mapped::connect(&rig.path(0), Maps::Whole);
    let client = f.user.client();
    let vectors = f.enable_msix(8).unwrap();
    let soon = Duration::from_secs(10);
    for round in 0..2 {
        client.trigger_irqs(MSIX, 2, &[true, false, true]).unwrap();
        for (i, expected) in [(2, 1), (4, 1)] {
            assert_eq!(vectors[i].wait(soon).unwrap(), expected, "vector {i}, round {round}");
        }
        assert_eq!(vectors[3].take().unwrap(), 0);
        client.reset().unwrap();
        // The card's own table is filled again.
        let real = rig.card.function(vf(0)).unwrap();
        let control = real.config_read16(capability::vf::MSIX + msix::CONTROL).unwrap();
        assert!(msix::CONTROL_ENABLE.is_set(control.into()));
    }
    client.mask_irqs(MSIX, 0, 8, true).unwrap();
    client.trigger_irqs(MSIX, 1, &[true]).unwrap();
    assert_eq!(vectors[1].wait(Duration::from_millis(50)).unwrap(), 0);
    client.mask_irqs(MSIX, 1, 1, false).unwrap();
    assert_eq!(vectors[1].wait(soon).unwrap(), 1);
    // The table itself is the server's: not to be read, not to be written.
    let registers = f.bar(0).unwrap();
    registers.write32(bar::MSIX_TABLE, 0xdead_beef).unwrap();
    assert_eq!(registers.read32(bar::MSIX_TABLE).unwrap(), 0);
    let real = rig.card.function(vf(0)).unwrap().bar(0).unwrap();
    assert_ne!(azote_seam::Mmio::read32(&*real, bar::MSIX_TABLE).unwrap(), 0xdead_beef);
    f.disable_msix().unwrap();
    rig.check();
}

#[test]
fn wrong_vectors_are_refused_with_an_errno() {
    let rig = soft(1);
    let client = rig.client(0);
    let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    let invalid = rustix::io::Errno::INVAL.raw_os_error();
    assert_eq!(refused(client.set_eventfds(MSIX, 0, &[socket.as_fd()])), invalid, "no eventfd");
    let eventfd = rustix::event::eventfd(0, rustix::event::EventfdFlags::empty()).unwrap();
    let many: Vec<_> = (0..9).map(|_| eventfd.as_fd()).collect();
    assert_eq!(refused(client.set_eventfds(MSIX, 0, &many)), invalid, "more than there are");
    assert_eq!(refused(client.set_eventfds(MSIX, 8, &many[..1])), invalid);
    assert_eq!(refused(client.set_eventfds(0, 0, &many[..1])), invalid, "INTx");
    assert_eq!(refused(client.trigger_irqs(MSIX, u32::MAX, &[true, true])), invalid);
    assert_eq!(refused(client.mask_irqs(MSIX, 1, u32::MAX, true)), invalid);
    client.set_eventfds(MSIX, 7, &many[..1]).unwrap();
    rig.check();
}

#[test]
fn memory_is_mapped_and_unmapped_as_vfio_does() {
    let rig = soft(1);
    let client = rig.client(0);
    let dma = azote_dma::Dma::new(2 << 20).unwrap();
    let invalid = rustix::io::Errno::INVAL.raw_os_error();
    let map = |client: &Client, offset, address, size| client.dma_map(Some((dma.fd(), offset)), address, size);
    map(&client, 0, 0x10000, 0x4000).unwrap();
    assert_eq!(refused(map(&client, 0, 0x12000, 0x1000)), invalid, "twice");
    assert_eq!(refused(map(&client, 0, 0x20001, 0x1000)), invalid);
    assert_eq!(refused(map(&client, 0, 0x20000, 0)), invalid);
    assert_eq!(refused(map(&client, 1 << 40, 0x20000, 0x1000)), invalid, "beyond the file");
    assert_eq!(refused(map(&client, u64::MAX - 0xfff, 0x20000, 0x2000)), invalid);
    assert_eq!(refused(map(&client, 0, u64::MAX - 0xfff, 0x2000)), invalid);
    // Without a file: a ROM, a BAR. Never used, and no reason to refuse.
    client.dma_map(None, 0xfeb0_0000, 0x4_0000).unwrap();
    assert_eq!(refused(client.dma_unmap(0x11000, 0x1000)), invalid, "would cut");
    client.dma_unmap(0x10000, 0x4000).unwrap();
    client.dma_unmap(0x10000, 0x4000).unwrap();
    client.dma_unmap_all().unwrap();
    assert_eq!(rig.card.root().memory().count(vf(0)), 0);
    for page in 0..20_000u64 {
        map(&client, page % 512 * 4096, 0x1_0000_0000 + page * 4096, 4096).unwrap();
    }
    assert_eq!(rig.card.root().memory().count(vf(0)), 20_000);
    drop(client);
    common::wait_until("the end of its maps", || rig.card.root().memory().count(vf(0)) == 0);
    rig.check();
}

#[test]
fn sockets_come_and_go_with_the_server() {
    let mut rig = soft(1);
    let path = rig.path(0);
    let again = azote_serve::Server::start(&rig.card).unwrap().add(vf(0), &path).unwrap_err();
    assert!(again.to_string().contains("already in use: somebody listens there"), "{again}");
    rig.server.stop();
    assert!(!path.exists());
    // One that a dead server left behind is replaced.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let mut server = azote_serve::Server::start(&rig.card).unwrap();
    server.add(vf(0), &path).unwrap();
    drop(rig.client(0));
    // What is no socket is not touched.
    let file = rig.dir.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let refused = server.add(vf(0), &file).unwrap_err().to_string();
    assert!(refused.contains("is there, and stays"), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    let none = rig.dir.path().join("none.sock");
    for number in [3, FunctionId::vf(Kind::Net, 0).unwrap().number()] {
        assert!(server.add(number, &none).is_err() && !none.exists(), "no such function, or one that is not enabled");
    }
    // A name that somebody took away does not keep the server from ending.
    std::fs::remove_file(&path).unwrap();
    drop(server);
}
