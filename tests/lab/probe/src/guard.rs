//! Runs a hypervisor as it is, and looks at it if it is late or dies; and boots one guest many times.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::patience::{LOOK, Patience};
use crate::standstill;

type Failed = Box<dyn std::error::Error>;

/// How long a boot may take on this machine at its best: the slowest that ended well took 40 s.
const BOOT: Duration = Duration::from_secs(90);

fn start(command: &[&str]) -> Result<Command, Failed> {
    let (program, arguments) = command.split_first().ok_or("a command is needed")?;
    let mut start = Command::new(program);
    start.args(arguments).stdin(Stdio::null());
    Ok(start)
}

/// Runs a command with our own outputs. When it is late, what can be seen of it is written down once, and it goes on. The exit
/// status is the command's.
pub fn run(whose: &str, seconds: u64, command: &[&str]) -> Result<u8, Failed> {
    standstill::record();
    let mut child = start(command)?.spawn()?;
    let mut patience = Some(Patience::new(Duration::from_secs(seconds)));
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if patience.as_mut().is_some_and(|p| !p.holds()) {
            standstill::report(child.id(), whose, &format!("late: not at its end after {seconds} s"));
            patience = None;
        }
        std::thread::sleep(LOOK);
    };
    if !status.success() {
        standstill::epitaph(whose, &format!("died: {status}"));
    }
    Ok(code(status))
}

fn code(status: ExitStatus) -> u8 {
    status.code().unwrap_or(128 + status.signal().unwrap_or(0)) as u8
}

/// How a boot went.
enum Boot {
    Well(Duration),
    Late,
    Died(String),
}

/// Boots a guest `count` times, up to its first program. Prints how each went; those that are late or die are looked at, and
/// counted, and the next follows.
pub fn boots(count: u64, command: &[&str]) -> Result<(), Failed> {
    standstill::record();
    let (mut times, mut late, mut died) = (Vec::new(), 0u64, 0u64);
    for i in 1..=count {
        match boot(command)? {
            Boot::Well(time) => {
                println!("@step boot {i} of {count}: {:.1} s; {late} late, {died} dead", time.as_secs_f64());
                times.push(time.as_secs_f64());
            }
            Boot::Late => {
                late += 1;
                println!("@step boot {i} of {count}: late; {late} late, {died} dead");
            }
            Boot::Died(how) => {
                died += 1;
                println!("@step boot {i} of {count}: died: {how}; {late} late, {died} dead");
            }
        }
    }
    times.sort_unstable_by(f64::total_cmp);
    let at =
        |share: f64| times.get(((times.len() as f64 * share) as usize).min(times.len().saturating_sub(1))).copied();
    for (name, value) in [("median_s", at(0.5)), ("p99_s", at(0.99)), ("most_s", times.last().copied())] {
        println!("@value boots.{name} {:.2}", value.unwrap_or(f64::NAN));
    }
    println!("@value boots.well {}", times.len());
    println!("@value boots.late {late}");
    println!("@value boots.died {died}");
    Ok(())
}

fn boot(command: &[&str]) -> Result<Boot, Failed> {
    let begin = Instant::now();
    let mut child = start(command)?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let booted = Arc::new(AtomicBool::new(false));
    let last = Arc::new(Mutex::new(Vec::new()));
    let outputs: [Option<Box<dyn std::io::Read + Send>>; 2] =
        [child.stdout.take().map(|o| Box::new(o) as _), child.stderr.take().map(|o| Box::new(o) as _)];
    let readers: Vec<_> =
        outputs.into_iter().flatten().map(|output| follow(output, booted.clone(), last.clone())).collect();
    let mut patience = Patience::new(BOOT);
    let mut looked = Instant::now();
    let result = loop {
        if booted.load(Ordering::SeqCst) {
            break Boot::Well(begin.elapsed());
        }
        if let Some(status) = child.try_wait()? {
            break Boot::Died(status.to_string());
        }
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            if !patience.holds() {
                standstill::report(child.id(), "boots", &format!("late: no init after {} s", BOOT.as_secs()));
                break Boot::Late;
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if let Boot::Died(how) = &result {
        standstill::epitaph("boots", &format!("died: {how}"));
    }
    end(&mut child)?;
    readers.into_iter().for_each(|reader| drop(reader.join()));
    if !matches!(result, Boot::Well(_)) {
        let lines = last.lock().map(|l: std::sync::MutexGuard<'_, Vec<String>>| l.clone()).unwrap_or_default();
        lines.iter().for_each(|line| println!("standstill: its console: {line}"));
    }
    Ok(result)
}

/// Keeps the last lines of an output, and notices the guest's first program.
fn follow(
    output: Box<dyn std::io::Read + Send>,
    booted: Arc<AtomicBool>,
    last: Arc<Mutex<Vec<String>>>,
) -> std::thread::JoinHandle<()> {
    const KEPT: usize = 40;
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains("guest init") {
                booted.store(true, Ordering::SeqCst);
            }
            if let Ok(mut last) = last.lock() {
                if last.len() == KEPT {
                    last.remove(0);
                }
                last.push(line);
            }
        }
    })
}

/// Ends it as a user does, and by force if that does not help, which is worth a line of its own.
fn end(child: &mut Child) -> Result<(), Failed> {
    let _ = Command::new("kill").arg(child.id().to_string()).stderr(Stdio::null()).status();
    let mut patience = Patience::new(Duration::from_secs(30));
    while child.try_wait()?.is_none() {
        if !patience.holds() {
            println!("standstill: SIGTERM does not end it");
            child.kill()?;
            child.wait()?;
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
