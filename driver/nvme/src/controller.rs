//! A controller from its first register access to its last (NVMe 7.6).

use std::{collections::VecDeque, sync::Arc, time::Duration};

use azote_dma::{Attachment, Buffer, Dma};
use azote_regs::{
    bar,
    nvme::{controller as regs, limits},
    pcie::{header, msix},
};
use azote_seam::{Capabilities, Function, Mmio, Vector, enable_bus_master, poll_until, set_command};

use crate::{
    Completion, Completions, Error, Event, Identity, Namespace, Options, Result, command, io::IoQueue, prp,
    queue::Queue,
};

/// Entries of the admin queues: Asynchronous Event Requests, an Abort, and the one command at a time.
const ADMIN_DEPTH: u16 = 32;
/// The longest transfer that this driver makes; a controller without a limit would need a list for any length.
const MAX_TRANSFER: u64 = 1 << 20;

/// An NVMe controller, enabled and with its I/O queues, until it is dropped.
pub struct Controller {
    pub(crate) function: Arc<dyn Function>,
    pub(crate) name: Arc<str>,
    pub(crate) registers: Arc<dyn Mmio>,
    pub(crate) options: Options,
    pub(crate) cap: u64,
    pub(crate) admin: Queue,
    pub(crate) queues: Vec<IoQueue>,
    pub(crate) vectors: Vec<Arc<dyn Vector>>,
    pub(crate) events: VecDeque<Event>,
    /// Ends of admin commands that nobody waited for ([`Self::submit_admin`]).
    pub(crate) ended: VecDeque<Completion>,
    /// Asynchronous Event Requests that the controller has.
    pub(crate) armed: u8,
    pub(crate) resets: u64,
    /// It is enabled and has its queues. Not so after a reset that failed: its doorbells must be left alone then.
    pub(crate) up: bool,
    pub(crate) page: Buffer,
    pub(crate) max_transfer: u64,
    most_queues: u16,
    identity: Identity,
    namespace: Option<Namespace>,
    dma: Dma,
    /// Last, so that the memory stays mapped until the controller is off.
    _attachment: Attachment,
}

impl Controller {
    /// Takes a function, resets its controller and makes it ready for I/O.
    ///
    /// `dma` must not be attached to the function yet; it holds the queues and is where the caller's buffers come from.
    /// A controller without a namespace is opened, too: see [`Self::namespace`] and [`Self::rescan`].
    pub fn open(function: Arc<dyn Function>, dma: Dma, options: Options) -> Result<Self> {
        let name: Arc<str> = function.name().into();
        if options.io_queues == 0 || options.depth < 2 {
            let what = "it takes at least one I/O queue of at least two entries".into();
            return Err(Error::Unsupported { function: name.to_string(), what });
        }
        enable_bus_master(&*function)?;
        let registers = function.bar(bar::BAR0 as usize)?;
        let cap = registers.read64(regs::CAP)?;
        check_cap(&name, cap)?;
        let attachment = dma.attach(function.clone())?;
        let stride = regs::CAP_DSTRD.of(cap);
        let depth = ADMIN_DEPTH.min(mqes(cap));
        let page = dma.alloc(limits::PAGE_SIZE, limits::PAGE_SIZE)?;
        let admin = Queue::new(0, depth, name.clone(), registers.clone(), stride, &dma, limits::PAGE_SIZE)?;
        let mut this = Self {
            function,
            name,
            registers,
            options,
            cap,
            admin,
            queues: Vec::new(),
            vectors: Vec::new(),
            events: VecDeque::with_capacity(16),
            ended: VecDeque::new(),
            armed: 0,
            resets: 0,
            up: false,
            page,
            max_transfer: MAX_TRANSFER,
            most_queues: 0,
            identity: Identity::default(),
            namespace: None,
            dma,
            _attachment: attachment,
        };
        this.disable()?;
        this.enable()?;
        this.identify()?;
        this.make_queues()?;
        this.create_queues()?;
        this.arm_events()?;
        this.up = true;
        Ok(this)
    }

    /// What the controller says of itself.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The namespace, if there is an active one. With several, the first.
    #[must_use]
    pub fn namespace(&self) -> Option<&Namespace> {
        self.namespace.as_ref()
    }

    /// The namespace, or the error that there is none.
    #[inline]
    pub fn require_namespace(&self) -> Result<&Namespace> {
        self.namespace.as_ref().ok_or_else(|| Error::NoNamespace { function: self.name.to_string() })
    }

    /// That the controller takes commands.
    #[inline]
    pub(crate) fn require_up(&self) -> Result<()> {
        if self.up { Ok(()) } else { Err(Error::Down { function: self.name.to_string() }) }
    }

    /// The number of I/O queues.
    #[must_use]
    pub fn queues(&self) -> usize {
        self.queues.len()
    }

    /// The I/O queue pairs that the controller has, however many of them this driver uses.
    #[must_use]
    pub fn most_queues(&self) -> u16 {
        self.most_queues
    }

    /// The number of commands that a queue can have in flight.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.queues.first().map_or(0, |q| usize::from(q.queue.depth()) - 1)
    }

    /// The most entries that the controller allows a queue (CAP.MQES), whatever this driver makes of it.
    #[must_use]
    pub fn most_entries(&self) -> u32 {
        regs::CAP_MQES.of(self.cap) as u32 + 1
    }

    /// The longest transfer that the controller allows (MDTS), in bytes, whatever this driver makes; none if it has no limit.
    #[must_use]
    pub fn most_transfer(&self) -> Option<u64> {
        let page = limits::PAGE_SIZE << regs::CAP_MPSMIN.of(self.cap);
        match u32::from(self.identity.mdts) {
            0 => None,
            shift => Some(page.checked_shl(shift).unwrap_or(u64::MAX)),
        }
    }

    /// The longest transfer of a command, in bytes.
    #[must_use]
    pub fn max_transfer(&self) -> u64 {
        self.max_transfer
    }

    /// The memory for buffers.
    #[must_use]
    pub fn dma(&self) -> &Dma {
        &self.dma
    }

    /// The function that the controller is.
    #[must_use]
    pub fn function(&self) -> &Arc<dyn Function> {
        &self.function
    }

    /// The number of times that the controller was reset since it was opened.
    #[must_use]
    pub fn resets(&self) -> u64 {
        self.resets
    }

    /// Asks again for the namespace: after a volume was bound to the function, or unbound.
    pub fn rescan(&mut self) -> Result<Option<&Namespace>> {
        self.require_up()?;
        let found = self.identify_namespace();
        self.namespace = self.recover_from(found)?;
        Ok(self.namespace.as_ref())
    }

    /// Shuts the controller down in order (NVMe 7.6.2) and lets go of the function.
    pub fn shutdown(mut self) -> Result<()> {
        self.require_up()?;
        for id in self.queues.iter().map(|q| q.queue.id).collect::<Vec<_>>() {
            self.admin_once("Delete I/O Submission Queue", command::delete_sq(id), None)?;
            self.admin_once("Delete I/O Completion Queue", command::delete_cq(id), None)?;
        }
        let cc = u64::from(self.registers.read32(regs::CC)?);
        self.registers.write32(regs::CC, regs::CC_SHN.set(cc, regs::SHN_NORMAL) as u32)?;
        poll_until(&*self.function, "shutdown", self.ready_timeout(), || {
            let csts = csts(&*self.registers, &self.name)?;
            Ok::<_, Error>((regs::CSTS_SHST.of(csts) == regs::SHST_COMPLETE).then_some(()))
        })?;
        self.disable()
    }

    /// How long CSTS.RDY may take to follow CC.EN (NVMe 3.1.1, CAP.TO).
    pub(crate) fn ready_timeout(&self) -> Duration {
        Duration::from_millis(500) * (regs::CAP_TO.of(self.cap) as u32).max(1)
    }

    /// Stops the controller: afterwards it has no queues and does no DMA.
    pub(crate) fn disable(&mut self) -> Result<()> {
        let cc = u64::from(self.registers.read32(regs::CC)?);
        csts(&*self.registers, &self.name)?;
        if regs::CC_EN.is_set(cc) {
            let off = regs::CC_SHN.set(regs::CC_EN.set(cc, 0), regs::SHN_NONE);
            self.registers.write32(regs::CC, off as u32)?;
        }
        self.wait_ready(false)
    }

    fn wait_ready(&self, ready: bool) -> Result<()> {
        let what = if ready { "ready (CSTS.RDY = 1)" } else { "not ready (CSTS.RDY = 0)" };
        poll_until(&*self.function, what, self.ready_timeout(), || {
            let csts = csts(&*self.registers, &self.name)?;
            if ready && regs::CSTS_CFS.is_set(csts) {
                return Err(Error::Fatal { function: self.name.to_string() });
            }
            Ok((regs::CSTS_RDY.is_set(csts) == ready).then_some(()))
        })
    }

    /// Starts a controller that is disabled, with empty admin queues (NVMe 7.6.1).
    pub(crate) fn enable(&mut self) -> Result<()> {
        self.enable_interrupts()?;
        self.admin.clear();
        self.ended.clear();
        self.armed = 0;
        let size = u64::from(self.admin.depth()) - 1;
        self.registers.write32(regs::AQA, (regs::AQA_ASQS.put(size) | regs::AQA_ACQS.put(size)) as u32)?;
        self.registers.write64(regs::ASQ, self.admin.sq_iova())?;
        self.registers.write64(regs::ACQ, self.admin.cq_iova())?;
        self.registers.write32(regs::CC, regs::CC_ENABLE_VALUE as u32)?;
        self.wait_ready(true)
    }

    /// MSI-X, before the controller is enabled: some only look at its state then.
    fn enable_interrupts(&mut self) -> Result<()> {
        self.vectors.clear();
        if self.options.completions == Completions::Polled {
            return Ok(());
        }
        let at = Capabilities::read(&*self.function)?
            .find(msix::ID)
            .ok_or_else(|| azote_seam::Error::NoCapability { function: self.name.to_string(), capability: "MSI-X" })?;
        let control = self.function.config_read16(at + msix::CONTROL)?;
        let there = msix::CONTROL_TABLE_SIZE.of(control.into()) as u16 + 1;
        self.function.disable_msix()?;
        self.vectors = self.function.enable_msix(there.min(self.options.io_queues.saturating_add(1)))?;
        Ok(())
    }

    /// The vector number and handle of a queue: one of its own while there are enough, else the last.
    pub(crate) fn vector(&self, qid: u16) -> Option<(u16, Arc<dyn Vector>)> {
        let last = self.vectors.len().checked_sub(1)?;
        let n = usize::from(qid).min(last);
        self.vectors.get(n).map(|v| (n as u16, v.clone()))
    }

    fn identify(&mut self) -> Result<()> {
        self.identity = self.identify_controller()?;
        let page = 4096u64 << regs::CAP_MPSMIN.of(self.cap);
        let mdts = u32::from(self.identity.mdts);
        let limit = if mdts == 0 { MAX_TRANSFER } else { page.checked_shl(mdts).unwrap_or(MAX_TRANSFER) };
        self.max_transfer = limit.min(MAX_TRANSFER).min(prp::MAX_BY_LIST);
        self.namespace = self.identify_namespace()?;
        Ok(())
    }

    /// Memory for as many I/O queues as were asked for and are granted.
    fn make_queues(&mut self) -> Result<()> {
        // The most that can be asked for: what is granted is what the controller has.
        self.most_queues = self.request_queues(u16::MAX - 1)?;
        let granted = self.most_queues.min(self.options.io_queues);
        let depth = self.options.depth.min(mqes(self.cap));
        let stride = regs::CAP_DSTRD.of(self.cap);
        for id in 1..=granted {
            let (name, registers) = (self.name.clone(), self.registers.clone());
            let queue = Queue::new(id, depth, name, registers, stride, &self.dma, self.max_transfer)?;
            self.queues.push(IoQueue::new(queue));
        }
        Ok(())
    }

    /// Creates the I/O queues in a controller that has none.
    pub(crate) fn create_queues(&mut self) -> Result<()> {
        (0..self.queues.len()).try_for_each(|i| self.create_queue(i))
    }

    fn create_queue(&mut self, i: usize) -> Result<()> {
        let q = &mut self.io_queue(i)?.queue;
        q.clear();
        let (id, depth, sq, cq) = (q.id, q.depth(), q.sq_iova(), q.cq_iova());
        let vector = self.vector(id);
        let number = vector.as_ref().map(|v| v.0);
        self.io_queue(i)?.vector = vector.map(|v| v.1);
        self.admin_once("Create I/O Completion Queue", command::create_cq(id, depth, cq, number), None)?;
        self.admin_once("Create I/O Submission Queue", command::create_sq(id, depth, sq), None)?;
        Ok(())
    }

    /// Makes an I/O queue pair anew whose submission queue was deleted by hand ([`Self::submit_admin`]). What was in flight there
    /// ends as [`Failure::Reset`](crate::Failure::Reset).
    pub fn renew_queue(&mut self, queue: usize) -> Result<()> {
        self.require_up()?;
        let q = self.io_queue(queue)?;
        q.fail_all();
        let id = q.queue.id;
        let made = self.admin_once("Delete I/O Completion Queue", command::delete_cq(id), None);
        let made = made.and_then(|_| self.create_queue(queue));
        self.recover_from(made)
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // Whatever happens, the device must not reach the memory any more: if the controller can not be stopped, its bus
        // mastering can.
        if let Err(e) = self.disable() {
            tracing::warn!("{}: could not be stopped: {e}", self.name);
            let _ = set_command(&*self.function, 0, header::COMMAND_BME.mask());
        }
        let _ = self.function.disable_msix();
    }
}

/// The status register; all ones is a device that is not there.
pub(crate) fn csts(registers: &dyn Mmio, name: &str) -> Result<u64> {
    match registers.read32(regs::CSTS)? {
        u32::MAX => Err(azote_seam::Error::Gone { function: name.into() }.into()),
        csts => Ok(csts.into()),
    }
}

/// The largest queue in entries.
fn mqes(cap: u64) -> u16 {
    (regs::CAP_MQES.of(cap) + 1).min(u16::MAX.into()) as u16
}

fn check_cap(name: &str, cap: u64) -> Result<()> {
    if cap == u64::MAX {
        return Err(azote_seam::Error::Gone { function: name.into() }.into());
    }
    let unsupported = |what: String| Err(Error::Unsupported { function: name.into(), what });
    if regs::CAP_CSS.of(cap) & regs::CAP_CSS_NVM == 0 {
        return unsupported("the controller has no NVM command set".into());
    }
    if regs::CAP_MPSMIN.of(cap) != 0 {
        return unsupported(format!("its smallest page is 2^{} bytes, not 4 KiB", 12 + regs::CAP_MPSMIN.of(cap)));
    }
    if regs::CAP_MQES.of(cap) == 0 {
        return unsupported("its queues have a single entry (CAP.MQES = 0)".into());
    }
    Ok(())
}
