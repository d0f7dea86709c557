//! `probe`: what the lab's machines do with a function that no user would, on the real VFIO.

mod guard;
mod io;
mod patience;
mod standstill;
mod watch;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use azote_dma::Dma;
use azote_nvme::{Command, Completions, Controller, Data, Io, Options};
use azote_regs::bar;
use azote_regs::nvme::{controller, opcode};
use azote_seam::Function;
use azote_vfio::{Backend, Sysfs, open};
use rand::{RngCore, SeedableRng, rngs::SmallRng};

type Done = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["guard", whose, seconds, ref command @ ..] = *words {
        return match number(seconds).and_then(|seconds| guard::run(whose, seconds, command)) {
            Ok(code) => ExitCode::from(code),
            Err(error) => {
                println!("probe: {error}");
                ExitCode::FAILURE
            }
        };
    }
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("probe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Done {
    match *words {
        ["make-data", path, mib] => make_data(path, mib),
        ["interrupts", address] => interrupts(address),
        ["stray-dma", address] => stray_dma(address),
        ["hold", address] => hold(address),
        ["io", path, depth, count] => io::run(path, number(depth)? as usize, number(count)?),
        ["boot", name, mib, ref command @ ..] => watch::run(name, watch::Until::Init, number(mib)?, command),
        ["watch", name, mib, ref command @ ..] => watch::run(name, watch::Until::End, number(mib)?, command),
        ["mmio", address] => mmio(address),
        ["boots", count, ref command @ ..] => guard::boots(number(count)?, command),
        _ => Err("make-data FILE MIB | interrupts ADDRESS | stray-dma ADDRESS | hold ADDRESS | io DISK DEPTH COUNT | boot NAME MIB COMMAND… | watch NAME MIB COMMAND… | guard NAME SECONDS COMMAND… | boots COUNT COMMAND… | mmio ADDRESS".into()),
    }
}

fn number(text: &str) -> Result<u64, Box<dyn Error>> {
    text.parse().map_err(|_| format!("`{text}` is no number").into())
}

/// Random bytes, the same each time; faster than the kernel's under emulation.
fn make_data(path: &str, mib: &str) -> Done {
    let mut file = std::fs::File::create(path)?;
    let mut random = SmallRng::seed_from_u64(1);
    let mut chunk = vec![0; 1 << 20];
    for _ in 0..mib.parse::<u32>()? {
        random.fill_bytes(&mut chunk);
        file.write_all(&chunk)?;
    }
    Ok(())
}

fn open_controller(address: &str, completions: Completions) -> Result<(Arc<dyn Function>, Controller), Box<dyn Error>> {
    let function = open(&Sysfs::default(), address, Backend::Auto)?;
    let options = Options { completions, timeout: Duration::from_secs(20), ..Options::default() };
    let controller = Controller::open(function.clone(), Dma::new(4 << 20)?, options)?;
    Ok((function, controller))
}

/// The time of one register read, as a driver sees it.
fn mmio(address: &str) -> Done {
    let function = open(&Sysfs::default(), address, Backend::Auto)?;
    let registers = function.bar(bar::BAR0 as usize)?;
    let start = Instant::now();
    for _ in 0..1000 {
        registers.read32(controller::CSTS)?;
    }
    println!("@value mmio_us {:.3}", start.elapsed().as_secs_f64() * 1e3);
    Ok(())
}

/// 200 reads that are waited for, not polled for: without interrupts each would take the driver's whole time-out.
fn interrupts(address: &str) -> Done {
    let (_, mut controller) = open_controller(address, Completions::Interrupts)?;
    let buffer = controller.dma().alloc(4096, 4096)?;
    let start = Instant::now();
    for lba in 0..200 {
        controller.read(lba, buffer.whole())?;
    }
    let taken = start.elapsed();
    if taken > Duration::from_secs(15) {
        return Err(format!("200 reads took {taken:?}: no interrupts").into());
    }
    println!("200 reads by interrupts, {taken:.1?}");
    Ok(())
}

/// A read into memory that the device was never given. Whatever becomes of it, the controller must work afterwards.
fn stray_dma(address: &str) -> Done {
    let (_, mut controller) = open_controller(address, Completions::Polled)?;
    let buffer = controller.dma().alloc(4096, 4096)?;
    buffer.fill(0x5a);
    let nsid = controller.require_namespace()?.id;
    // Far beyond the arena that is mapped.
    let stray = controller.dma().iova() + (64 << 30);
    let command = Command { opcode: opcode::READ as u8, nsid, cdw: [0, 0, 7, 0, 0, 0], data: Data::Prps(stray, 0) };
    // QEMU's controller may say that it worked: what counts is the IOMMU's word, which the machine's script looks for.
    match controller.execute_command(command) {
        Ok(_) => println!("the controller reports success"),
        Err(error) => println!("the controller reports: {error}"),
    }
    let mut bytes = [0; 4096];
    buffer.read(0, &mut bytes)?;
    if bytes != [0x5a; 4096] {
        return Err("it went into memory that was not named".into());
    }
    controller.execute(Io::Read { lba: 0, data: buffer.whole() })?;
    println!("the controller works on; resets: {}", controller.resets());
    Ok(())
}

/// Reads until the machine asks for the function back; then lets go of it.
fn hold(address: &str) -> Done {
    let (function, mut controller) = open_controller(address, Completions::Interrupts)?;
    let removal = function.removal()?.ok_or("the kernel cannot tell of a removal")?;
    let buffer = controller.dma().alloc(4096, 4096)?;
    println!("holding");
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut reads = 0u64;
    while removal.take()? == 0 {
        controller.read(reads % 1000, buffer.whole())?;
        reads += 1;
        if Instant::now() > deadline {
            return Err("nobody asked for the function back".into());
        }
    }
    controller.shutdown()?;
    println!("{reads} reads, then the machine asked for the function back, and got it");
    Ok(())
}
