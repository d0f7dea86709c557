//! One virtual function for one guest. It is written down, so that what a process that died has left behind can be given
//! back by whoever comes next.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::inventory::{Kind, Pf, inventory};
use crate::{Error, Host, Result, bind, create, group, release};

/// What is written down.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The process that has it, and when that process started: numbers of processes are used again.
    process: u32,
    started: u64,
    address: String,
    /// The PF, if its VFs were made for this lease and go with the last one.
    made_on: Option<String>,
}

/// A virtual function bound to vfio-pci, until this is dropped.
#[derive(Debug)]
pub struct Lease {
    host: Host,
    file: PathBuf,
    record: Record,
}

impl Lease {
    /// Takes a free VF of this kind, on the PF at `on` if given; makes VFs if the PF has none, as many as it can have.
    pub fn take(host: &Host, kind: Kind, on: Option<&str>) -> Result<Lease> {
        sweep(host)?;
        let lease = {
            let _lock = lock(host)?;
            let (address, made_on) = choose(host, kind, on)?;
            Lease::write(host, address, made_on)?
        };
        // Dropped on failure, and so given back; that takes the lock again.
        bind(host, lease.address())?;
        Ok(lease)
    }

    fn write(host: &Host, address: String, made_on: Option<String>) -> Result<Lease> {
        let file = record_of(host, &address);
        let process = std::process::id();
        let started = start_time(host, process).unwrap_or(0);
        let record = Record { process, started, address, made_on };
        let text = serde_json::to_string(&record).map_err(|e| Error::io("write", &file)(e.into()))?;
        // Whole or not at all: half a record would be nobody's, and its function would be given back by nobody. Only one writes, who has
        // the lock.
        let begun = host.state.join("record");
        fs::write(&begun, text).map_err(Error::io("write", &begun))?;
        fs::rename(&begun, &file).map_err(Error::io("put in place", &file))?;
        Ok(Lease { host: host.clone(), file, record })
    }

    /// The function's address.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.record.address
    }

    /// Its folder in sysfs.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.host.devices().join(&self.record.address)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What cannot be given back now stays written down, for the next sweep.
        if let Ok(_lock) = lock(&self.host) {
            let _ = give_back(&self.host, &self.file, &self.record);
        }
    }
}

/// A VF that nobody has, and the PF on which it was made for a lease.
fn choose(host: &Host, kind: Kind, on: Option<&str>) -> Result<(String, Option<String>)> {
    let none = |why: &str| Error::NoneFree { kind: kind.name(), why: why.into() };
    let mut pfs: Vec<Pf> = inventory(host)?;
    pfs.retain(|pf| on.map_or(pf.kind == kind, |address| pf.address == address));
    if pfs.is_empty() {
        return Err(none("the machine has no such physical function with SR-IOV (`azote vf list`)"));
    }
    for pf in &pfs {
        if let Some(vf) = pf.vfs.iter().find(|vf| vf.user.is_none() && !record_of(host, &vf.address).exists()) {
            let made_on = recorded(host).into_iter().find_map(|r| r.made_on.filter(|on| *on == pf.address));
            return Ok((vf.address.clone(), made_on));
        }
    }
    for pf in pfs.iter().filter(|pf| pf.vfs.is_empty() && pf.total > 0) {
        // All that there can be: their number cannot grow while one is in use.
        if let Some(address) = most(host, pf)?.into_iter().next() {
            return Ok((address, Some(pf.address.clone())));
        }
    }
    Err(none("all of them are in use (`azote vf list`)"))
}

/// Gives back what processes that are gone had. Returns the addresses.
pub fn sweep(host: &Host) -> Result<Vec<String>> {
    let _lock = lock(host)?;
    let mut swept = Vec::new();
    for record in recorded(host) {
        if start_time(host, record.process) == Some(record.started) {
            continue;
        }
        give_back(host, &record_of(host, &record.address), &record)?;
        swept.push(record.address);
    }
    Ok(swept)
}

fn give_back(host: &Host, file: &Path, record: &Record) -> Result<()> {
    // A process that was just killed still has it for as long as its memory takes to unpin. If somebody else has it by now,
    // that is for `release` to say.
    host.until(|| group::require_free(host, &record.address).is_ok());
    match release(host, &record.address) {
        // A function that is gone needs no giving back.
        Ok(()) | Err(Error::NoFunction { .. }) => {}
        Err(error) => return Err(error),
    }
    let _ = fs::remove_file(file);
    if let Some(pf) = &record.made_on {
        let shared = recorded(host).iter().any(|other| other.made_on.as_deref() == Some(pf));
        if !shared {
            match release(host, pf) {
                // Somebody took one by hand meanwhile: it is theirs now.
                Ok(()) | Err(Error::NoFunction { .. } | Error::Busy { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// As many VFs as the PF has resources for.
fn most(host: &Host, pf: &Pf) -> Result<Vec<String>> {
    let mut count = pf.total;
    loop {
        match create(host, &pf.address, count) {
            Err(Error::Resources { .. }) if count > 1 => count /= 2,
            result => return result,
        }
    }
}

fn leases(host: &Host) -> PathBuf {
    host.state.join("leases")
}

fn record_of(host: &Host, address: &str) -> PathBuf {
    leases(host).join(address)
}

/// All that is written down; what cannot be read is nobody's.
fn recorded(host: &Host) -> Vec<Record> {
    let Ok(entries) = fs::read_dir(leases(host)) else { return Vec::new() };
    entries.filter_map(|e| serde_json::from_slice(&fs::read(e.ok()?.path()).ok()?).ok()).collect()
}

/// Held while leases change. Released with the file. Whoever has it ends or goes on within the kernel's patience with its drivers;
/// one that does not is named, and not waited for without an end.
fn lock(host: &Host) -> Result<fs::File> {
    let folder = leases(host);
    fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    let path = host.state.join("lock");
    let file = fs::File::create(&path).map_err(Error::io("create", &path))?;
    let mut failed = None;
    let locked = host.until_for(host.lock_patience, || match file.try_lock() {
        Ok(()) => true,
        Err(fs::TryLockError::WouldBlock) => false,
        Err(fs::TryLockError::Error(source)) => {
            failed = Some(source);
            true
        }
    });
    match failed {
        Some(source) => Err(Error::io("lock", &path)(source)),
        None if locked => Ok(file),
        None => Err(Error::Locked { path, seconds: host.lock_patience.as_secs() }),
    }
}

/// Field 22 of `/proc/PID/stat`; the second, in parentheses, may contain anything.
fn start_time(host: &Host, process: u32) -> Option<u64> {
    let text = fs::read_to_string(host.proc.join(process.to_string()).join("stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}
