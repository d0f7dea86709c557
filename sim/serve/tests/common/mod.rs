//! A served card, and drivers over its sockets.

#![allow(dead_code)] // not every test uses all of it

pub mod raw;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use azote_dma::Dma;
use azote_manage::{Manager, Volume};
use azote_nvme::{Completions, Controller, Options};
use azote_regs::function::{FunctionId, Kind, Role};
use azote_seam::{Function, Mmio, Result, Vector, Width};
use azote_serve::Server;
use azote_sim::{Card, TlpDevice, soft::SoftCard};
use azote_vfio_user::{Client, Guest, UserFunction};

/// Blocks of each volume.
pub const BLOCKS: u64 = 4096;
/// For each answer.
pub const TIMEOUT: Duration = Duration::from_secs(30);

pub struct Rig {
    pub dir: tempfile::TempDir,
    pub card: Card,
    pub server: Server,
}

pub fn vf(i: u8) -> u8 {
    FunctionId::vf(Kind::Storage, i).unwrap().number()
}

/// A card with a volume and a socket for each of its first storage VFs.
pub fn rig(device: Box<dyn TlpDevice>, functions: u8) -> Rig {
    let dir = tempfile::tempdir().unwrap();
    let card = Card::over(device, azote_sim::Options::default()).unwrap();
    let manager = Manager::open(&*card.function(FunctionId::pf(Kind::Trust).number()).unwrap()).unwrap();
    for i in 0..functions {
        let image = dir.path().join(format!("{i}.img"));
        std::fs::write(&image, pattern(i, 0, BLOCKS)).unwrap();
        let blocks = card.root().media().attach(i, &image, false).unwrap();
        manager.bind(Role::Vf(i), Volume { id: i, base: 0, blocks, read_only: false, large_blocks: false }).unwrap();
    }
    card.set_vfs(FunctionId::pf(Kind::Storage).number(), manager.vfs().into()).unwrap();
    let mut server = Server::start(&card).unwrap();
    for i in 0..functions {
        server.add(vf(i), &dir.path().join(format!("vf{i}.sock"))).unwrap();
    }
    Rig { dir, card, server }
}

pub fn soft(functions: u8) -> Rig {
    rig(Box::new(SoftCard::new(4)), functions)
}

/// What a volume holds at first, or what a test writes: it says which volume and where.
pub fn pattern(salt: u8, lba: u64, blocks: u64) -> Vec<u8> {
    let words = (lba * 64..(lba + blocks) * 64).map(|w| w.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(salt) << 7);
    words.flat_map(u64::to_le_bytes).collect()
}

impl Rig {
    pub fn path(&self, i: u8) -> PathBuf {
        self.dir.path().join(format!("vf{i}.sock"))
    }

    pub fn client(&self, i: u8) -> Client {
        Client::connect(&self.path(i), Arc::new(()), TIMEOUT).unwrap()
    }

    /// Nothing broke the rules, and all is at rest.
    pub fn check(&self) {
        wait_until("rest", || self.card.run_idle(10_000));
        self.card.assert_clean();
    }
}

pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How a driver shows its memory to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maps {
    /// Its file, whole.
    Whole,
    /// Its file, page by page, as a virtual IOMMU does.
    Pages,
    /// Not at all: the device sends messages.
    Messages,
}

/// Memory that the device asks for.
#[derive(Default)]
pub struct Asked(Mutex<BTreeMap<u64, (File, u64, u64)>>);

impl Asked {
    fn place(&self, address: u64, len: usize, use_it: impl FnOnce(&File, u64) -> bool) -> bool {
        let maps = self.0.lock().unwrap();
        let found = maps.range(..=address).next_back();
        found.is_some_and(|(start, (file, offset, size))| {
            address - start + len as u64 <= *size && use_it(file, offset + (address - start))
        })
    }
}

impl Guest for Asked {
    fn read(&self, address: u64, out: &mut [u8]) -> bool {
        self.place(address, out.len(), |file, at| file.read_exact_at(out, at).is_ok())
    }

    fn write(&self, address: u64, data: &[u8]) -> bool {
        self.place(address, data.len(), |file, at| file.write_all_at(data, at).is_ok())
    }
}

/// The seam over a socket, with another way to map.
pub struct Mapped {
    pub user: UserFunction,
    asked: Arc<Asked>,
    maps: Maps,
}

impl Mapped {
    pub fn connect(path: &Path, maps: Maps) -> Mapped {
        let asked = Arc::new(Asked::default());
        let deadline = Instant::now() + Duration::from_secs(20);
        let user = loop {
            match UserFunction::connect(path, asked.clone(), TIMEOUT) {
                Ok(user) => break user,
                // Its predecessor may just be on its way out.
                Err(e) if e.to_string().contains("another guest") && Instant::now() < deadline => {}
                Err(e) => panic!("{e}"),
            }
        };
        Mapped { user, asked, maps }
    }
}

impl Function for Mapped {
    fn name(&self) -> &str {
        self.user.name()
    }
    fn config_read(&self, offset: u64, width: Width) -> Result<u32> {
        self.user.config_read(offset, width)
    }
    fn config_write(&self, offset: u64, width: Width, value: u32) -> Result<()> {
        self.user.config_write(offset, width, value)
    }
    fn bar(&self, index: usize) -> Result<Arc<dyn Mmio>> {
        self.user.bar(index)
    }
    fn dma_map(&self, memory: BorrowedFd<'_>, offset: u64, iova: u64, len: u64) -> Result<()> {
        match self.maps {
            Maps::Whole => self.user.dma_map(memory, offset, iova, len),
            Maps::Pages => {
                (0..len).step_by(4096).try_for_each(|at| self.user.dma_map(memory, offset + at, iova + at, 4096))
            }
            Maps::Messages => {
                let file = File::from(memory.try_clone_to_owned().unwrap());
                self.asked.0.lock().unwrap().insert(iova, (file, offset, len));
                self.user.client().dma_map(None, iova, len).unwrap();
                Ok(())
            }
        }
    }
    fn dma_unmap(&self, iova: u64, len: u64) -> Result<()> {
        self.user.dma_unmap(iova, len)
    }
    fn enable_msix(&self, count: u16) -> Result<Vec<Arc<dyn Vector>>> {
        self.user.enable_msix(count)
    }
    fn disable_msix(&self) -> Result<()> {
        self.user.disable_msix()
    }
    fn reset(&self) -> Result<()> {
        self.user.reset()
    }
    fn relax(&self) {
        self.user.relax();
    }
    fn now(&self) -> Duration {
        self.user.now()
    }
}

/// Our driver on a function behind a socket.
pub fn controller(rig: &Rig, i: u8, maps: Maps, completions: Completions) -> Controller {
    controller_of(rig, i, maps, completions).0
}

/// The same, with its function.
pub fn controller_of(rig: &Rig, i: u8, maps: Maps, completions: Completions) -> (Controller, Arc<Mapped>) {
    let function = Arc::new(Mapped::connect(&rig.path(i), maps));
    let options = Options { completions, io_queues: 2, timeout: TIMEOUT, ..Options::default() };
    (Controller::open(function.clone(), Dma::new(2 << 20).unwrap(), options).unwrap(), function)
}

/// Reads what is there, writes, reads back, in commands of several lengths.
pub fn exercise(c: &mut Controller, salt: u8, rounds: u64) {
    let buffer = c.dma().alloc(64 << 10, 4096).unwrap();
    for round in 0..rounds {
        let blocks = [1, 8, 9, 64, 128][round as usize % 5];
        let (old, new) = (1000 + round * 16, round * 16 % 512);
        let mut out = vec![0; blocks as usize * 512];
        c.read(old, buffer.slice(0, blocks * 512).unwrap()).unwrap();
        buffer.read(0, &mut out).unwrap();
        assert!(out == pattern(salt, old, blocks), "{blocks} blocks at {old} as they were");
        let data = pattern(salt ^ 0x55, new + round, blocks);
        buffer.write(0, &data).unwrap();
        c.write(new, buffer.slice(0, blocks * 512).unwrap()).unwrap();
        buffer.fill(0xee);
        c.read(new, buffer.slice(0, blocks * 512).unwrap()).unwrap();
        buffer.read(0, &mut out).unwrap();
        assert!(out == data, "{blocks} blocks at {new} as written");
    }
}
