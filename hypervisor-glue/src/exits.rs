//! Exits from the guest to this process, counted by reason and by what was accessed.
//!
//! KVM deals with most exits itself; its own statistics count those (see [`crate::api`]). These are the ones that cost
//! a trip to user space.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Why a virtual processor came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It read a port.
    IoIn,
    /// It wrote a port.
    IoOut,
    /// It read an address that is no memory.
    MmioRead,
    /// It wrote one.
    MmioWrite,
    /// It halted (KVM keeps halted processors itself, but for the in-kernel APIC's absence).
    Hlt,
    /// A signal took it out: pause, stop.
    Signal,
    /// It ended: a reset by triple fault and the like.
    Shutdown,
    /// Anything else.
    Other,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::IoIn,
        Self::IoOut,
        Self::MmioRead,
        Self::MmioWrite,
        Self::Hlt,
        Self::Signal,
        Self::Shutdown,
        Self::Other,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::IoIn => "io_in",
            Self::IoOut => "io_out",
            Self::MmioRead => "mmio_read",
            Self::MmioWrite => "mmio_write",
            Self::Hlt => "hlt",
            Self::Signal => "signal",
            Self::Shutdown => "shutdown",
            Self::Other => "other",
        }
    }
}

/// Accesses of one region of the machine.
#[derive(Debug, Default)]
pub struct Region {
    reads: AtomicU64,
    writes: AtomicU64,
}

impl Region {
    /// One read.
    pub fn read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// One write.
    pub fn write(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads and writes so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.reads.load(Ordering::Relaxed), self.writes.load(Ordering::Relaxed))
    }
}

/// All counters of a machine.
#[derive(Debug, Default)]
pub struct Exits {
    reasons: [AtomicU64; Reason::ALL.len()],
    regions: Mutex<BTreeMap<String, Arc<Region>>>,
}

impl Exits {
    /// Counts one exit.
    pub fn count(&self, reason: Reason) {
        self.reasons[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The counter of a region, for whoever serves it to keep.
    pub fn region(&self, name: impl Into<String>) -> Arc<Region> {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner).entry(name.into()).or_default().clone()
    }

    /// Everything, as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        let reasons: serde_json::Map<_, _> = Reason::ALL
            .iter()
            .map(|r| (r.name().to_owned(), self.reasons[*r as usize].load(Ordering::Relaxed).into()))
            .collect();
        let regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let regions: serde_json::Map<_, _> = regions
            .iter()
            .map(|(name, region)| {
                let (reads, writes) = region.counts();
                (name.clone(), serde_json::json!({ "reads": reads, "writes": writes }))
            })
            .collect();
        serde_json::json!({ "exits": reasons, "regions": regions })
    }
}

/// The counters as a table for people, from their JSON form.
#[must_use]
pub fn table(counters: &serde_json::Value) -> String {
    let mut text = String::from("exits to user space\n");
    let object = |v: &serde_json::Value, key: &str| v.get(key).and_then(|v| v.as_object().cloned()).unwrap_or_default();
    for (name, count) in object(counters, "exits") {
        if count.as_u64() != Some(0) {
            text += &format!("  {name:<28}{count:>12}\n");
        }
    }
    text += "by region                            reads      writes\n";
    for (name, counts) in object(counters, "regions") {
        let get = |key| counts.get(key).and_then(serde_json::Value::as_u64).unwrap_or(0);
        if get("reads") + get("writes") != 0 {
            text += &format!("  {name:<28}{:>12}{:>12}\n", get("reads"), get("writes"));
        }
    }
    for (name, count) in object(counters, "kvm") {
        if count.as_u64().is_some_and(|c| c != 0) {
            text += &format!("  KVM {name:<27} {count:>12}\n");
        }
    }
    for (name, count) in object(counters, "dropped") {
        if count.as_u64().is_some_and(|c| c != 0) {
            text += &format!("  dropped bytes, {name:<15} {count:>12}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_are_counted_by_reason_and_region_and_shown_twice() {
        let exits = Exits::default();
        exits.count(Reason::MmioWrite);
        exits.count(Reason::MmioWrite);
        let region = exits.region("serial");
        region.read();
        exits.region("serial").write();
        let json = exits.json();
        assert_eq!(json["exits"]["mmio_write"], 2);
        assert_eq!(json["regions"]["serial"]["reads"], 1);
        let text = table(&json);
        assert!(text.contains("mmio_write") && text.contains("serial") && !text.contains("io_in"), "{text}");
    }
}
