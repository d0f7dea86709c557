//! NVMe controllers in software, one for each storage function: enough for a driver to do I/O, one command at a time.
//!
//! A measuring stick it is not: it shows that drivers, root complex and medium work together, before and beside the RTL.

use std::collections::VecDeque;

use azote_regs::nvme::{command as dw, controller as regs, entry, limits, log, opcode, status};
use azote_tlp::{Body, Completion, Memory, Packet, Rid, Tlp};

use super::fetch::Fetch;
use super::identify;
use super::transfer::Transfer;
use crate::device::{Inputs, MediaOp, MediaResult, Outputs};

const PAGE: u64 = limits::PAGE_SIZE;

/// What a storage function is bound to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binding {
    pub volume: u8,
    pub base: u64,
    pub blocks: u64,
    pub read_only: bool,
}

/// What a command needs to know of its function while it works.
pub(super) struct Context {
    pub rid: Rid,
    pub allowed: bool,
    pub max_payload: u64,
    pub max_read: u64,
    pub binding: Option<Binding>,
    /// The turn of its slot, and after how many clocks an answer of the medium's is late; 0 is never.
    pub turn: bool,
    pub timeout: u64,
    /// Address and data of each vector, if MSI-X is enabled and it is not masked.
    pub vectors: Vec<Option<(u64, u32)>>,
}

#[derive(Clone, Copy, Default)]
struct Queue {
    base: u64,
    size: u16,
    head: u16,
    tail: u16,
    /// Of a submission queue: its completion queue. Of a completion queue: its vector, 0xffff for none.
    other: u16,
    phase: bool,
}

#[derive(Clone, Default)]
struct Controller {
    sqs: [Option<Queue>; limits::QUEUES as usize],
    cqs: [Option<Queue>; limits::QUEUES as usize],
    /// The write cache is off: everything is durable before its completion.
    write_through: bool,
}

/// Where the command in hand is.
enum Step {
    /// No command: the controller is being shut down, and its volume is still to be flushed.
    Shutdown,
    Sqe,
    List,
    Pull,
    Medium(Box<Transfer>),
}

struct Task {
    function: u8,
    qid: usize,
    step: Step,
    sqe: Vec<u8>,
    ranges: Vec<(u64, u64)>,
    bytes: u64,
    media: MediaOp,
    fua: bool,
    lba: u64,
    volume: u8,
    /// What its function was bound to when it was looked at, and whose turn that was.
    binding: Option<Binding>,
    judged: Option<bool>,
    /// Ranges of a Dataset Management command that are still to be given back: first block, blocks.
    dataset: VecDeque<(u64, u64)>,
    /// It is a shutdown's flush and no command's; the controller has been reset since.
    shutdown: bool,
    abandoned: bool,
}

/// All controllers, and the command in hand.
#[derive(Default)]
pub(super) struct Nvme {
    controllers: Vec<Controller>,
    task: Option<Task>,
    fetch: Fetch,
    turn: usize,
    /// No queue had work when it was last looked for, and no doorbell has been written since.
    idle: bool,
    /// Functions that are to be shut down, and those that have been.
    shutdowns: VecDeque<u8>,
    shut_down: Vec<u8>,
}

impl Task {
    fn new(function: u8, qid: usize, step: Step) -> Self {
        Self {
            function,
            qid,
            shutdown: matches!(step, Step::Shutdown),
            abandoned: false,
            step,
            sqe: Vec::new(),
            ranges: Vec::new(),
            bytes: 0,
            media: MediaOp::Flush,
            fua: false,
            lba: 0,
            volume: 0,
            binding: None,
            judged: None,
            dataset: VecDeque::new(),
        }
    }

    fn dword(&self, offset: u64) -> u64 {
        self.sqe[offset as usize..].first_chunk().map_or(0, |b| u64::from(u32::from_le_bytes(*b)))
    }

    fn qword(&self, offset: u64) -> u64 {
        self.dword(offset) | self.dword(offset + 4) << 32
    }

    /// Takes the next range to be given back; false if there is none left.
    fn next_range(&mut self) -> bool {
        let Some((lba, blocks)) = self.dataset.pop_front() else { return false };
        (self.lba, self.bytes) = (lba, blocks * limits::LBA_SIZE);
        self.ask(Vec::new());
        true
    }

    /// Has the medium do it, with this to write.
    fn ask(&mut self, data: Vec<u8>) {
        let blocks = self.bytes / limits::LBA_SIZE;
        let transfer = Transfer::new(self.media, self.volume, self.fua, self.lba, blocks, data);
        self.step = Step::Medium(Box::new(transfer));
    }
}

/// The ranges of a Dataset Management command (NVMe 1.4 §6.7), at the blocks of the volume; those of no blocks ask nothing.
fn dataset(list: &[u8], binding: Option<Binding>) -> Result<VecDeque<(u64, u64)>, u64> {
    let Some(binding) = binding else { return Err(status::INVALID_NAMESPACE) };
    let range = |bytes: &[u8]| {
        let number = |at: usize, len: usize| bytes[at..at + len].iter().rev().fold(0, |v, b| v << 8 | u64::from(*b));
        let (blocks, lba) = (number(4, 4), number(dw::RANGE_SLBA as usize, 8));
        match lba.checked_add(blocks) {
            Some(end) if end <= binding.blocks => Ok((binding.base + lba, blocks)),
            _ => Err(status::LBA_OUT_OF_RANGE),
        }
    };
    list.chunks_exact(dw::RANGE_SIZE as usize).map(range).filter(|r| !matches!(r, Ok((_, 0)))).collect()
}

impl Nvme {
    fn controller(&mut self, function: u8) -> &mut Controller {
        self.controllers.resize(256, Controller::default());
        &mut self.controllers[usize::from(function)]
    }

    /// The registers after reset.
    pub fn registers(memory: &mut [u8]) {
        memory[..regs::END as usize].fill(0);
        memory[regs::CAP as usize..][..8].copy_from_slice(&regs::CAP_VALUE.to_le_bytes());
        memory[regs::VS as usize..][..4].copy_from_slice(&(regs::VS_VALUE as u32).to_le_bytes());
    }

    /// Controller reset or FLR: the queues are gone, and the command in hand if it is this function's.
    pub fn clear(&mut self, function: u8) {
        *self.controller(function) = Controller::default();
        self.shutdowns.retain(|f| *f != function);
        self.shut_down.retain(|f| *f != function);
        if let Some(task) = self.task.as_mut().filter(|t| t.function == function) {
            task.dataset.clear();
            task.abandoned |= task.shutdown;
            // What the medium still has of it would come to the next command.
            if let Step::Medium(transfer) = &mut task.step {
                transfer.cancel();
            } else {
                self.task = None;
                self.fetch.forget();
            }
        }
    }

    /// The function whose command is in hand and was judged by a binding, and by which.
    pub fn judged(&self) -> Option<(u8, bool)> {
        let task = self.task.as_ref()?;
        Some((task.function, task.judged?))
    }

    /// A register was written; `memory` is the function's BAR0 with the new value in it.
    pub fn written(&mut self, function: u8, offset: u64, memory: &mut [u8]) {
        self.idle = false;
        let word = |memory: &[u8], at: u64| {
            memory[at as usize..].first_chunk().map_or(0, |b| u64::from(u32::from_le_bytes(*b)))
        };
        if offset == regs::CC {
            let (cc, was) = (word(memory, regs::CC), word(memory, regs::CSTS));
            let enabled = regs::CC_EN.is_set(cc);
            if enabled && !regs::CSTS_RDY.is_set(was) {
                let aqa = word(memory, regs::AQA);
                let queue = |at: u64, size: u64| Queue {
                    // Bits 11:0 are reserved (NVMe 3.1.9). No host has memory in the upper half of all addresses.
                    base: (word(memory, at) | word(memory, at + 4) << 32) & !(PAGE - 1) & (u64::MAX >> 1),
                    size: size as u16 + 1,
                    phase: true,
                    ..Queue::default()
                };
                let controller = self.controller(function);
                controller.sqs[0] = Some(queue(regs::ASQ, regs::AQA_ASQS.of(aqa)));
                controller.cqs[0] = Some(queue(regs::ACQ, regs::AQA_ACQS.of(aqa)));
            } else if !enabled {
                self.clear(function);
            }
            // Complete when the volume is flushed (NVMe 1.4 §7.6.2).
            // A reset has forgotten one that was under way.
            let was = if enabled { regs::CSTS_SHST.of(was) } else { regs::SHST_NORMAL };
            let shutdown = match (regs::CC_SHN.of(cc), was) {
                (regs::SHN_NONE, _) => regs::SHST_NORMAL,
                (_, regs::SHST_NORMAL) => {
                    self.shutdowns.push_back(function);
                    regs::SHST_OCCURRING
                }
                (_, under_way) => under_way,
            };
            let csts = regs::CSTS_RDY.put(enabled.into()) | regs::CSTS_SHST.put(shutdown);
            memory[regs::CSTS as usize..][..4].copy_from_slice(&(csts as u32).to_le_bytes());
        }
        for qid in 0..limits::QUEUES {
            let controller = self.controller(function);
            if offset == regs::sq_tail(qid)
                && let Some(queue) = &mut controller.sqs[qid as usize]
            {
                queue.tail = word(memory, offset) as u16 % queue.size;
            }
            if offset == regs::cq_head(qid)
                && let Some(queue) = &mut controller.cqs[qid as usize]
            {
                queue.head = word(memory, offset) as u16 % queue.size;
            }
        }
    }

    /// The function whose command is in hand, or the next that has one.
    pub fn function(&mut self) -> Option<u8> {
        if let Some(task) = &self.task {
            return Some(task.function);
        }
        if let Some(function) = self.shutdowns.pop_front() {
            self.task = Some(Task::new(function, 0, Step::Shutdown));
            return Some(function);
        }
        if self.idle {
            return None;
        }
        for step in 0..self.controllers.len() * limits::QUEUES as usize {
            let at = (self.turn + step) % (self.controllers.len() * limits::QUEUES as usize);
            let (function, qid) = (at / limits::QUEUES as usize, at % limits::QUEUES as usize);
            let controller = &self.controllers[function];
            let Some(queue) = controller.sqs[qid].filter(|q| q.head != q.tail) else { continue };
            // A completion queue that is full holds its submission queues up.
            let room = controller.cqs[usize::from(queue.other)].is_some_and(|cq| (cq.tail + 1) % cq.size != cq.head);
            if room {
                self.turn = at + 1;
                self.fetch.start(&[(queue.base + u64::from(queue.head) * entry::SQE_SIZE, entry::SQE_SIZE)]);
                self.task = Some(Task::new(function as u8, qid, Step::Sqe));
                return Some(function as u8);
            }
        }
        self.idle = true;
        None
    }

    pub fn busy(&self) -> bool {
        self.task.is_some() || !self.shutdowns.is_empty()
    }

    /// A function whose shutdown has come to its end.
    pub fn shut_down(&mut self) -> Option<u8> {
        self.shut_down.pop()
    }

    /// Says so in its registers.
    pub fn show_shut_down(memory: &mut [u8]) {
        let at = &mut memory[regs::CSTS as usize..][..4];
        let csts = at.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b));
        let csts = regs::CSTS_SHST.set(csts, regs::SHST_COMPLETE);
        at.copy_from_slice(&(csts as u32).to_le_bytes());
    }

    pub fn complete(&mut self, c: &Completion, data: &[u8], poisoned: bool) {
        self.fetch.complete(c, data, poisoned);
    }

    /// One clock's work for the command in hand.
    pub fn work(&mut self, context: &Context, tx: &mut VecDeque<Packet>) {
        if let Some(task) = self.task.as_mut().filter(|task| matches!(task.step, Step::Shutdown)) {
            // This asks nothing of the host, and so needs no leave of it.
            task.judged = Some(context.turn);
            match context.binding {
                Some(binding) => {
                    task.volume = binding.volume;
                    task.ask(Vec::new());
                }
                None => {
                    self.shut_down.push(task.function);
                    self.task = None;
                }
            }
            return;
        }
        if !context.allowed {
            return;
        }
        self.fetch.work(context.rid, context.max_read, tx);
        let Some(result) = self.fetch.take() else { return };
        let Some(mut task) = self.task.take() else { return };
        let (code, dw0) = match (result, &task.step) {
            (Err(()), Step::Sqe) => {
                // A submission queue that cannot be read: nothing can be said about its commands.
                self.advance(&task);
                return;
            }
            (Err(()), _) => (status::DATA_TRANSFER, 0),
            (Ok(data), Step::Sqe) => {
                task.sqe = data;
                (task.binding, task.judged) = (context.binding, Some(context.turn));
                self.advance(&task);
                let next = if task.qid == 0 { self.admin(&mut task, context, tx) } else { self.io(&mut task, context) };
                match next {
                    Some(done) => done,
                    None => {
                        self.task = Some(task);
                        return;
                    }
                }
            }
            (Ok(list), Step::List) => {
                let pages = list.chunks_exact(8).map(|b| b.iter().rev().fold(0, |v, b| v << 8 | u64::from(*b)));
                let mut left = task.bytes - task.ranges[0].1;
                for page in pages {
                    if !aligned(page, PAGE) {
                        left = u64::MAX;
                        break;
                    }
                    task.ranges.push((page, left.min(PAGE)));
                    left -= left.min(PAGE);
                }
                if left == u64::MAX {
                    (status::PRP_OFFSET, 0)
                } else {
                    self.transfer(&mut task);
                    self.task = Some(task);
                    return;
                }
            }
            (Ok(data), Step::Pull) => {
                if task.media == MediaOp::Deallocate {
                    match dataset(&data, task.binding) {
                        Ok(ranges) => task.dataset = ranges,
                        Err(code) => return self.finish(&task, code, 0, context, tx),
                    }
                    if !task.next_range() {
                        return self.finish(&task, status::SUCCESS, 0, context, tx);
                    }
                } else {
                    task.ask(data);
                }
                self.task = Some(task);
                return;
            }
            _ => (status::INTERNAL, 0),
        };
        self.finish(&task, code, dw0, context, tx);
    }

    fn advance(&mut self, task: &Task) {
        if let Some(queue) = &mut self.controller(task.function).sqs[task.qid] {
            queue.head = (queue.head + 1) % queue.size;
        }
    }

    /// The ranges are known: data goes the way of the command.
    fn transfer(&mut self, task: &mut Task) {
        if matches!(task.media, MediaOp::Write | MediaOp::Deallocate) {
            self.fetch.start(&task.ranges);
            task.step = Step::Pull;
        } else {
            task.ask(Vec::new());
        }
    }

    /// An I/O command; `None` while it goes on.
    fn io(&mut self, task: &mut Task, context: &Context) -> Option<(u64, u64)> {
        let Some(binding) = context.binding.filter(|_| task.dword(entry::SQE_NSID) == limits::NSID) else {
            return Some((status::INVALID_NAMESPACE, 0));
        };
        let op = entry::CDW0_OPC.of(task.dword(entry::SQE_CDW0));
        task.media = match op {
            opcode::READ => MediaOp::Read,
            opcode::WRITE => MediaOp::Write,
            opcode::WRITE_ZEROES => MediaOp::WriteZeroes,
            opcode::FLUSH => MediaOp::Flush,
            opcode::DATASET => MediaOp::Deallocate,
            _ => return Some((status::INVALID_OPCODE, 0)),
        };
        task.volume = binding.volume;
        let through = self.controller(task.function).write_through;
        if op == opcode::FLUSH {
            task.ask(Vec::new());
            return None;
        }
        task.fua = through;
        if op == opcode::DATASET {
            if binding.read_only {
                return Some((status::READ_ONLY, 0));
            }
            if !dw::DATASET_AD.is_set(task.dword(entry::SQE_CDW11)) {
                return Some((status::SUCCESS, 0));
            }
            task.bytes = (dw::DATASET_NR.of(task.dword(entry::SQE_CDW10)) + 1) * dw::RANGE_SIZE;
            return self.pointers(task);
        }
        task.fua |= dw::RW_FUA.is_set(task.dword(entry::SQE_CDW12));
        let lba = task.qword(entry::SQE_CDW10);
        let blocks = dw::RW_NLB.of(task.dword(entry::SQE_CDW12)) + 1;
        if lba.checked_add(blocks).is_none_or(|end| end > binding.blocks) {
            return Some((status::LBA_OUT_OF_RANGE, 0));
        }
        if binding.read_only && op != opcode::READ {
            return Some((status::READ_ONLY, 0));
        }
        (task.lba, task.bytes) = (binding.base + lba, blocks * limits::LBA_SIZE);
        if op == opcode::WRITE_ZEROES {
            if dw::RW_DEAC.is_set(task.dword(entry::SQE_CDW12)) {
                task.media = MediaOp::Deallocate;
            }
            task.ask(Vec::new());
            return None;
        }
        if task.bytes > limits::MAX_TRANSFER {
            return Some((status::INVALID_FIELD, 0));
        }
        self.pointers(task)
    }

    /// Finds the ranges of the command's data; `None` while it goes on.
    fn pointers(&mut self, task: &mut Task) -> Option<(u64, u64)> {
        let (prp1, prp2) = (task.qword(entry::SQE_PRP1), task.qword(entry::SQE_PRP2));
        let first = task.bytes.min(PAGE - prp1 % PAGE);
        let second = if task.bytes - first > PAGE { 8 } else { PAGE };
        if !aligned(prp1, 4) || task.bytes > first && !aligned(prp2, second) {
            return Some((status::PRP_OFFSET, 0));
        }
        task.ranges = vec![(prp1, first)];
        let left = task.bytes - first;
        if left > PAGE {
            // The model takes a list within one page, which is what MDTS leaves room for.
            self.fetch.start(&[(prp2, left.div_ceil(PAGE) * 8)]);
            task.step = Step::List;
            return None;
        }
        if left > 0 {
            task.ranges.push((prp2, left));
        }
        self.transfer(task);
        None
    }

    /// An admin command; `None` if it stays with the controller.
    fn admin(&mut self, task: &mut Task, context: &Context, tx: &mut VecDeque<Packet>) -> Option<(u64, u64)> {
        let (cdw10, cdw11) = (task.dword(entry::SQE_CDW10), task.dword(entry::SQE_CDW11));
        let (prp1, prp2) = (task.qword(entry::SQE_PRP1), task.qword(entry::SQE_PRP2));
        let qid = dw::QUEUE_QID.of(cdw10) as usize;
        let queue = Queue { base: prp1, size: dw::QUEUE_SIZE.of(cdw10) as u16 + 1, phase: true, ..Queue::default() };
        let function = task.function;
        let offset_is_right = match entry::CDW0_OPC.of(task.dword(entry::SQE_CDW0)) {
            opcode::CREATE_CQ | opcode::CREATE_SQ => aligned(prp1, PAGE),
            opcode::IDENTIFY | opcode::GET_LOG_PAGE => aligned(prp1, 4) && (prp1 % PAGE == 0 || aligned(prp2, PAGE)),
            _ => true,
        };
        if !offset_is_right {
            return Some((status::PRP_OFFSET, 0));
        }
        let is_io_queue = (1..limits::QUEUES as usize).contains(&qid);
        let controller = self.controller(function);
        match entry::CDW0_OPC.of(task.dword(entry::SQE_CDW0)) {
            opcode::IDENTIFY => {
                let cns = dw::IDENTIFY_CNS.of(cdw10);
                let Some(page) = identify::page(cns, task.dword(entry::SQE_NSID), function, context.binding) else {
                    return Some((status::INVALID_FIELD, 0));
                };
                push(context, tx, &[(prp1, PAGE - prp1 % PAGE), (prp2, prp1 % PAGE)], &page);
            }
            opcode::GET_LOG_PAGE => {
                let bytes = (dw::LOG_NUMDL.of(cdw10) as usize + 1) * 4;
                push(context, tx, &[(prp1, PAGE - prp1 % PAGE)], &vec![0; bytes.min(log::SMART_SIZE as usize)]);
            }
            opcode::SET_FEATURES | opcode::GET_FEATURES if dw::FEATURE_FID.of(cdw10) == opcode::FEATURE_QUEUES => {
                let n = limits::IO_QUEUES - 1;
                return Some((status::SUCCESS, dw::QUEUES_NSQ.put(n) | dw::QUEUES_NCQ.put(n)));
            }
            opcode::SET_FEATURES if dw::FEATURE_FID.of(cdw10) == opcode::FEATURE_WRITE_CACHE => {
                controller.write_through = !dw::WRITE_CACHE_WCE.is_set(cdw11);
            }
            opcode::GET_FEATURES if dw::FEATURE_FID.of(cdw10) == opcode::FEATURE_WRITE_CACHE => {
                let enabled = u64::from(!controller.write_through);
                return Some((status::SUCCESS, dw::WRITE_CACHE_WCE.put(enabled)));
            }
            opcode::SET_FEATURES | opcode::GET_FEATURES => {}
            opcode::CREATE_CQ if is_io_queue => {
                let vector = if dw::CQ_IEN.is_set(cdw11) { dw::CQ_IV.of(cdw11) as u16 } else { u16::MAX };
                controller.cqs[qid] = Some(Queue { other: vector, ..queue });
            }
            opcode::CREATE_SQ if is_io_queue => {
                let other = dw::SQ_CQID.of(cdw11) as u16;
                if controller.cqs.get(usize::from(other)).is_none_or(Option::is_none) {
                    return Some((status::CQ_INVALID, 0));
                }
                controller.sqs[qid] = Some(Queue { other, ..queue });
            }
            opcode::DELETE_SQ if is_io_queue => controller.sqs[qid] = None,
            opcode::DELETE_CQ if is_io_queue => controller.cqs[qid] = None,
            opcode::CREATE_CQ | opcode::CREATE_SQ | opcode::DELETE_SQ | opcode::DELETE_CQ => {
                return Some((status::INVALID_QID, 0));
            }
            opcode::ABORT => return Some((status::SUCCESS, dw::ABORT_NOT_DONE.put(1))),
            // Nothing ever happens here: the request stays, and the controller goes on without it.
            opcode::ASYNC_EVENT => {
                self.fetch.forget();
                return Some((HELD, 0));
            }
            _ => return Some((status::INVALID_OPCODE, 0)),
        }
        Some((status::SUCCESS, 0))
    }

    /// Posts the completion and its interrupt.
    fn finish(&mut self, task: &Task, code: u64, dw0: u64, context: &Context, tx: &mut VecDeque<Packet>) {
        if code == HELD {
            return;
        }
        let controller = self.controller(task.function);
        let Some(sq) = controller.sqs[task.qid] else { return };
        let Some(cq) = &mut controller.cqs[usize::from(sq.other)] else { return };
        let cid = entry::CDW0_CID.of(task.dword(entry::SQE_CDW0));
        let words = [
            dw0,
            0,
            entry::DW2_SQHD.put(sq.head.into()) | entry::DW2_SQID.put(task.qid as u64),
            entry::DW3_CID.put(cid) | entry::DW3_PHASE.put(cq.phase.into()) | entry::DW3_STATUS.put(code),
        ];
        let bytes: Vec<u8> = words.iter().flat_map(|w| (*w as u32).to_le_bytes()).collect();
        let at = cq.base + u64::from(cq.tail) * entry::CQE_SIZE;
        push(context, tx, &[(at, entry::CQE_SIZE)], &bytes);
        cq.tail += 1;
        if cq.tail == cq.size {
            (cq.tail, cq.phase) = (0, !cq.phase);
        }
        if let Some(Some((address, data))) = context.vectors.get(usize::from(cq.other)) {
            let memory = Memory::span(context.rid, 0, *address, 4);
            tx.push_back(Tlp::from(Body::MemWrite(memory, data.to_le_bytes().to_vec())).packet());
        }
    }

    /// What the media port shows in this clock.
    pub fn show(&self, outputs: &mut Outputs) {
        if let Some(Task { step: Step::Medium(transfer), .. }) = &self.task {
            transfer.show(outputs);
        }
    }

    /// What the media port transferred in this clock.
    pub fn media(&mut self, inputs: &Inputs, context: &Context, tx: &mut VecDeque<Packet>) {
        let Some(task) = &mut self.task else { return };
        let Step::Medium(transfer) = &mut task.step else { return };
        let Some(result) = transfer.step(inputs) else {
            if context.timeout != 0 {
                transfer.limit(context.timeout);
            }
            return;
        };
        let data = std::mem::take(&mut transfer.data);
        if result == MediaResult::Done && task.next_range() {
            return;
        }
        let Some(task) = self.task.take() else { return };
        if task.shutdown {
            // Also if it failed: there is no status for it, and the medium keeps the error for the end.
            if !task.abandoned {
                self.shut_down.push(task.function);
            }
            return;
        }
        if !context.allowed {
            return;
        }
        let code = match (result, task.media) {
            (MediaResult::Done, _) => status::SUCCESS,
            (_, MediaOp::Read) => status::UNRECOVERED_READ,
            _ => status::WRITE_FAULT,
        };
        if task.media == MediaOp::Read && code == status::SUCCESS {
            push(context, tx, &task.ranges, &data);
        }
        self.finish(&task, code, 0, context, tx);
    }
}

/// Not a status: the command stays with the controller.
const HELD: u64 = u64::MAX;

/// May a PRP have this address? No host has memory in the upper half of all addresses.
fn aligned(prp: u64, to: u64) -> bool {
    prp.is_multiple_of(to) && prp <= u64::MAX >> 1
}

/// Writes `data` over the ranges, split at Max_Payload_Size and pages.
fn push(context: &Context, tx: &mut VecDeque<Packet>, ranges: &[(u64, u64)], data: &[u8]) {
    let mut rest = data;
    for (start, length) in ranges {
        let (mut address, end) = (*start, start + length);
        while address < end && !rest.is_empty() {
            let bytes = (end - address).min(context.max_payload).min(PAGE - address % PAGE).min(rest.len() as u64);
            let (chunk, after) = rest.split_at(bytes as usize);
            let memory = Memory::span(context.rid, 0, address, bytes as u32);
            tx.push_back(Tlp::from(Body::MemWrite(memory, chunk.to_vec())).packet());
            (rest, address) = (after, address + bytes);
        }
    }
}
