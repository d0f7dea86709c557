//! What is answered as durable is on the disk: from an NBD client down to a disk that forgets whatever was not synced, over
//! the card in software and over the RTL.

#![allow(clippy::unwrap_used)] // test helpers fail by panicking

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use azote_cli::{
    card::{Size, provision},
    nbd::{Engine, Export, Listen, Server, Stop},
};
use azote_dma::Dma;
use azote_nvme::{Command, Completions, Controller, Data, Options};
use azote_regs::{
    function::{FunctionId, Kind},
    nvme::{command as dw, opcode},
};
use azote_sim::{Card, Disk, Hardware, MediaOptions, TlpDevice, soft::SoftCard};

const BLOCKS: usize = 4096;

/// What is seen, what is durable, and how often it was made so.
#[derive(Debug)]
struct Platter {
    seen: Vec<u8>,
    durable: Vec<u8>,
    syncs: u32,
    fails: bool,
}

/// A disk that forgets, when the power goes, whatever was not synced.
#[derive(Debug, Clone)]
struct Forgetful(Arc<Mutex<Platter>>);

impl Disk for Forgetful {
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        out.copy_from_slice(&self.0.lock().unwrap().seen[offset as usize..][..out.len()]);
        Ok(())
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.0.lock().unwrap().seen[offset as usize..][..data.len()].copy_from_slice(data);
        Ok(())
    }

    fn zero(&self, offset: u64, len: u64, _give_back: bool) -> io::Result<()> {
        self.0.lock().unwrap().seen[offset as usize..][..len as usize].fill(0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        if platter.fails {
            return Err(io::ErrorKind::StorageFull.into());
        }
        platter.syncs += 1;
        platter.durable = platter.seen.clone();
        Ok(())
    }
}

impl Forgetful {
    /// The first byte of a block after a loss of power.
    fn durable(&self, block: usize) -> u8 {
        self.0.lock().unwrap().durable[block * 512]
    }
}

fn devices() -> Vec<(&'static str, Box<dyn TlpDevice>)> {
    let text = azote_rtl::card(4).unwrap().text;
    let rtl = Hardware::build(text, &azote_verilate::Options::fast()).unwrap();
    vec![("in software", Box::new(SoftCard::new(4))), ("RTL", Box::new(rtl))]
}

struct Rig {
    card: Card,
    disk: Forgetful,
}

impl Rig {
    fn new(device: Box<dyn TlpDevice>) -> Rig {
        let bytes = vec![0xff; BLOCKS * 512];
        let platter = Platter { seen: bytes.clone(), durable: bytes, syncs: 0, fails: false };
        let disk = Forgetful(Arc::new(Mutex::new(platter)));
        let card = Card::over(device, azote_sim::Options::default()).unwrap();
        card.root().media().attach_disk(0, Box::new(disk.clone()), BLOCKS as u64, false);
        let pf = |kind| card.function(FunctionId::pf(kind).number()).unwrap();
        let size = Size { blocks: BLOCKS as u64, read_only: false };
        provision(&*pf(Kind::Trust), &*pf(Kind::Storage), &[size], &[]).unwrap();
        Rig { card, disk }
    }

    fn controller(&self) -> Controller {
        let vf = self.card.function(FunctionId::vf(Kind::Storage, 0).unwrap().number()).unwrap();
        let timeout = Duration::from_secs(2);
        let options = Options { completions: Completions::Interrupts, timeout, ..Options::default() };
        Controller::open(vf, Dma::new(8 << 20).unwrap(), options).unwrap()
    }
}

/// A client of a server of its own.
struct Client {
    stream: UnixStream,
    stop: Stop,
    server: JoinHandle<()>,
    engine: Engine,
    _folder: tempfile::TempDir,
}

const FUA: u16 = 1;

impl Client {
    fn new(controller: Controller) -> Client {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let (export, engine) = Export::start("vf0", "", controller).unwrap();
        let server = Server::bind(&Listen::Unix(path.clone())).unwrap();
        let stop = Stop::default();
        let handle = stop.clone();
        let server = std::thread::spawn(move || server.serve(vec![export], &handle));
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(b"\0\0\0\x03IHAVEOPT\0\0\0\x01\0\0\0\0").unwrap();
        stream.read_exact(&mut [0; 28]).unwrap();
        Client { stream, stop, server, engine, _folder: folder }
    }

    /// The error of a request's answer.
    fn ask(&mut self, flags: u16, kind: u16, block: u64, blocks: u32, fill: Option<u8>) -> u32 {
        let mut request = 0x2560_9513u32.to_be_bytes().to_vec();
        request.extend([flags.to_be_bytes(), kind.to_be_bytes()].concat());
        request.extend([[0; 8], (block * 512).to_be_bytes()].concat());
        request.extend((blocks * 512).to_be_bytes());
        request.extend(fill.map_or_else(Vec::new, |byte| vec![byte; blocks as usize * 512]));
        self.stream.write_all(&request).unwrap();
        let mut reply = [0; 16];
        self.stream.read_exact(&mut reply).unwrap();
        u32::from_be_bytes(reply[4..8].try_into().unwrap())
    }

    fn end(self) -> Controller {
        self.stop.stop();
        self.server.join().unwrap();
        self.engine.join().unwrap().0
    }
}

#[test]
fn flush_and_fua_of_nbd_are_answered_after_the_disks_sync() {
    for (name, device) in devices() {
        let rig = Rig::new(device);
        let mut client = Client::new(rig.controller());
        let (write, flush, trim, zeroes) = (1, 3, 4, 6);
        assert_eq!(client.ask(0, write, 0, 8, Some(0x11)), 0);
        assert_eq!(rig.disk.durable(0), 0xff, "{name}: a write alone promises nothing, or this test shows nothing");
        assert_eq!(client.ask(0, flush, 0, 0, None), 0);
        assert_eq!(rig.disk.durable(0), 0x11, "{name}: FLUSH");
        assert_eq!(client.ask(FUA, write, 8, 8, Some(0x22)), 0);
        assert_eq!(rig.disk.durable(8), 0x22, "{name}: FUA");
        assert_eq!(client.ask(FUA, write, 16, 2048, Some(0x33)), 0);
        assert_eq!((rig.disk.durable(16), rig.disk.durable(2063)), (0x33, 0x33), "{name}: FUA of a long write");
        assert_eq!(client.ask(FUA, zeroes, 0, 8, None), 0);
        assert_eq!(rig.disk.durable(0), 0, "{name}: FUA of zeroes");
        assert_eq!(client.ask(FUA, trim, 8, 8, None), 0);
        assert_eq!(rig.disk.durable(8), 0, "{name}: FUA of TRIM");
        let syncs = rig.disk.0.lock().unwrap().syncs;
        assert!(syncs <= 6, "{name}: {syncs} syncs, one for each that asked for it");
        // What cannot be made durable is the request's error.
        assert_eq!(client.ask(0, write, 0, 8, Some(0x44)), 0);
        rig.disk.0.lock().unwrap().fails = true;
        assert_eq!(client.ask(0, flush, 0, 0, None), 5, "{name}");
        assert_eq!(client.ask(FUA, write, 0, 8, Some(0x44)), 5, "{name}");
        client.end().shutdown().unwrap();
        assert!(rig.card.finish().is_err(), "{name}: the end says so, too");
    }
}

#[test]
fn everything_is_durable_while_the_cache_is_off_and_after_a_shutdown() {
    for (name, device) in devices() {
        let rig = Rig::new(device);
        let mut nvme = rig.controller();
        let buffer = nvme.dma().alloc(4096, 4096).unwrap();
        let cache = |nvme: &mut Controller, on: u64| {
            let cdw = [opcode::FEATURE_WRITE_CACHE as u32, dw::WRITE_CACHE_WCE.put(on) as u32, 0, 0, 0, 0];
            let opcode = opcode::SET_FEATURES as u8;
            nvme.admin_command(Command { opcode, nsid: 0, cdw, data: Data::None }).unwrap();
        };
        buffer.fill(0x11);
        nvme.write(0, buffer.slice(0, 4096).unwrap()).unwrap();
        assert_eq!(rig.disk.durable(0), 0xff, "{name}");
        nvme.flush().unwrap();
        assert_eq!(rig.disk.durable(0), 0x11, "{name}: Flush");
        cache(&mut nvme, 0);
        buffer.fill(0x22);
        nvme.write(8, buffer.slice(0, 4096).unwrap()).unwrap();
        nvme.write_zeroes(0, 8).unwrap();
        assert_eq!((rig.disk.durable(8), rig.disk.durable(0)), (0x22, 0), "{name}: the cache is off");
        cache(&mut nvme, 1);
        buffer.fill(0x33);
        nvme.write(16, buffer.slice(0, 4096).unwrap()).unwrap();
        assert_eq!(rig.disk.durable(16), 0xff, "{name}: and on again");
        let latency = 20_000;
        rig.card.root().media().set_options(MediaOptions { latency, ..MediaOptions::default() });
        let begun = rig.card.clocks();
        nvme.shutdown().unwrap();
        assert!(rig.card.clocks() - begun > u64::from(latency), "{name}: a shutdown is complete when the flush is");
        assert_eq!(rig.disk.durable(16), 0x33, "{name}: shutdown");
    }
}
