//! What tests, benches and adapters may look at and change.

use azote_tlp::{Message, Tlp};

use super::{DmaFault, Root};
use crate::check::Violation;
use crate::ethernet::Ethernet;
use crate::faults::FaultPlan;
use crate::interrupts::Interrupts;
use crate::media::Media;
use crate::memory::HostMemory;
use crate::{Options, Stats};

impl Root {
    /// The settings.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Changes the settings; the seed and the log stay as they were at the start.
    pub fn set_options(&mut self, change: impl FnOnce(&mut Options)) {
        change(&mut self.options);
        self.media.set_options(self.options.media);
        self.ethernet.set_options(self.options.ethernet);
    }

    /// Host memory.
    pub fn memory(&mut self) -> &mut HostMemory {
        &mut self.memory
    }

    /// The medium.
    pub fn media(&mut self) -> &mut Media {
        &mut self.media
    }

    /// The Ethernet port.
    pub fn ethernet(&mut self) -> &mut Ethernet {
        &mut self.ethernet
    }

    /// Interrupts that arrived.
    pub fn interrupts(&mut self) -> &mut Interrupts {
        &mut self.interrupts
    }

    /// What went over the link.
    pub fn stats(&self) -> Stats {
        let mut stats = self.stats.clone();
        stats.media_blocks = self.media.blocks;
        stats
    }

    /// Makes reads of the card's fail.
    pub fn inject(&mut self, plan: FaultPlan) {
        self.faults.add(plan);
    }

    /// Ends all planned faults.
    pub fn heal(&mut self) {
        self.faults.clear();
    }

    /// Takes the accesses that memory refused.
    pub fn take_dma_faults(&mut self) -> Vec<DmaFault> {
        std::mem::take(&mut self.dma_faults)
    }

    /// Takes the messages that the card sent (errors, power management), with their clocks.
    pub fn take_messages(&mut self) -> Vec<(u64, Message)> {
        std::mem::take(&mut self.messages)
    }

    /// Takes the completions that answer raw packets.
    pub fn take_unclaimed(&mut self) -> Vec<Tlp> {
        std::mem::take(&mut self.unclaimed)
    }

    /// The rules that were broken so far: how many times, and the first of them.
    pub fn violations(&self) -> (u64, &[Violation]) {
        (self.violation_count, &self.violations)
    }

    /// Takes the violations.
    pub fn take_violations(&mut self) -> Vec<Violation> {
        self.violation_count = 0;
        std::mem::take(&mut self.violations)
    }

    /// Panics with the first violation, if there is one: the end of every test.
    #[track_caller]
    pub fn assert_clean(&self) {
        if let Some(first) = self.violations.first() {
            panic!("{} violation(s), the first:\n{first}", self.violation_count);
        }
    }

    /// The last packets, a line each.
    pub fn log_tail(&self) -> String {
        self.log.tail()
    }
}
