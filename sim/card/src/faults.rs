//! Faults on the card's reads: what a link, a root complex or an IOMMU can do to them.

/// What happens to a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFault {
    /// Completed with UR.
    Unsupported,
    /// Completed with CA.
    Abort,
    /// Its first completion is poisoned (PCIe 5.0 §2.7.2).
    Poisoned,
    /// Never completed.
    Dropped,
    /// Completed so many clocks later than it would be.
    Late(u32),
    /// Completed twice; the second answer is an unexpected completion (§2.3.2).
    Duplicate,
}

/// Which reads a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultPlan {
    /// Only this function's, by its number.
    pub function: Option<u8>,
    /// After so many that go well.
    pub skip: u32,
    /// So many.
    pub times: u32,
    /// What happens to them.
    pub fault: ReadFault,
}

/// The plans that are left.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    plans: Vec<FaultPlan>,
}

impl Faults {
    pub fn add(&mut self, plan: FaultPlan) {
        self.plans.push(plan);
    }

    pub fn clear(&mut self) {
        self.plans.clear();
    }

    /// The fault of a read of `function`, if one is due.
    pub fn strike(&mut self, function: u8) -> Option<ReadFault> {
        let at = self.plans.iter().position(|p| p.function.is_none_or(|f| f == function))?;
        let plan = &mut self.plans[at];
        if plan.skip > 0 {
            plan.skip -= 1;
            return None;
        }
        let fault = plan.fault;
        plan.times = plan.times.saturating_sub(1);
        if plan.times == 0 {
            self.plans.remove(at);
        }
        Some(fault)
    }
}
