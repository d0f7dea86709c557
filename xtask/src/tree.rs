//! A process and all that it has started (proc(5)): how long they have had a processor, and their end.

use std::process::Command;
use std::time::Duration;

/// `USER_HZ`, the unit of `/proc/PID/stat`: 100 on every Linux that a program can be run on (time(7)).
const TICKS: u64 = 100;

/// Processor time of `root` and everything below it, with what has ended and was waited for.
pub fn processor_time(root: u32) -> Duration {
    let ticks: u64 = all(root).into_iter().filter_map(ticks).sum();
    Duration::from_millis(ticks * (1000 / TICKS))
}

/// Kills everything below `root`, the nearest first: who would go on with the next step is gone before the step is.
pub fn kill_below(root: u32) {
    for process in all(root).into_iter().skip(1) {
        // One that has ended meanwhile is no error.
        let _ = Command::new("kill").args(["-KILL", &process.to_string()]).status();
    }
}

/// `root` and what is below it, the nearest first.
fn all(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&process) = found.get(at) {
        found.extend(children(process));
        at += 1;
    }
    found
}

fn children(process: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|ids| ids.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}

/// utime, stime, cutime and cstime: fields 14 to 17. The name before them, in brackets, may hold anything.
fn ticks(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_grandchild_works_counts_and_it_ends_with_the_others() -> Result<(), Box<dyn std::error::Error>> {
        let work = "while :; do :; done";
        let mut shell = Command::new("sh").args(["-c", &format!("sh -c '{work}'; true")]).spawn()?;
        let (mut before, mut rounds) = (processor_time(shell.id()), 0);
        while rounds < 3 {
            std::thread::sleep(Duration::from_millis(50));
            let now = processor_time(shell.id());
            rounds += u32::from(now > before);
            before = now;
        }
        assert_eq!(all(shell.id()).len(), 2, "the shell and the one that works");
        kill_below(shell.id());
        assert!(shell.wait()?.success(), "only what is below is killed");
        Ok(())
    }
}
