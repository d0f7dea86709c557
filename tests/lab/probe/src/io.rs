//! Reads at random places of a block device at a fixed depth, without the page cache: what is counted between its first
//! line and its last is I/O and nothing else.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use io_uring::{IoUring, opcode, types};
use rand::{Rng, SeedableRng, rngs::SmallRng};

const BLOCK: usize = 4096;

/// Page-aligned memory for one read.
#[repr(C, align(4096))]
#[derive(Clone)]
struct Page([u8; BLOCK]);

/// `count` reads of 4 KiB with `depth` of them in flight.
pub fn run(path: &str, depth: usize, count: u64) -> Result<(), Box<dyn std::error::Error>> {
    let file = File::options().read(true).custom_flags(libc::O_DIRECT).open(path)?;
    let pages = blocks(path)?;
    let mut ring = IoUring::new(depth as u32)?;
    let mut buffers = vec![Page([0; BLOCK]); depth];
    let mut random = SmallRng::seed_from_u64(7);
    // The machine's watcher takes its first sample while this sleeps.
    println!("io starts {depth}");
    std::thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    let (mut sent, mut done) = (0, 0);
    let mut free: Vec<usize> = (0..depth).collect();
    while done < count {
        while sent < count {
            let Some(slot) = free.pop() else { break };
            let offset = random.random_range(0..pages) * BLOCK as u64;
            let buffer = buffers[slot].0.as_mut_ptr();
            let read = opcode::Read::new(types::Fd(file.as_raw_fd()), buffer, BLOCK as u32).offset(offset);
            // SAFETY: the buffer lives in `buffers` until all reads are done, and its slot is not used again before its
            // completion; the file stays open. On an error below both are leaked together with the process.
            unsafe { ring.submission().push(&read.build().user_data(slot as u64))? };
            sent += 1;
        }
        ring.submit_and_wait(1)?;
        for completion in ring.completion() {
            if completion.result() != BLOCK as i32 {
                return Err(format!("a read ended with {}", completion.result()).into());
            }
            free.push(completion.user_data() as usize);
            done += 1;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("io ends {depth} {count} {seconds:.4}");
    std::thread::sleep(Duration::from_millis(300));
    Ok(())
}

/// Pages of a block device, by the kernel's count of its sectors.
fn blocks(path: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let sectors: u64 = std::fs::read_to_string(format!("/sys/class/block/{name}/size"))?.trim().parse()?;
    Ok((sectors / 8).max(1))
}
