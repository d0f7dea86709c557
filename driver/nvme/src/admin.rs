//! Admin commands: one at a time, waited for; Asynchronous Event Requests stay with the controller beside them.

use std::time::Duration;

use azote_dma::{Buffer, Slice};
use azote_regs::nvme::{
    command as dw, controller as regs, limits, log as log_regs, opcode, status as codes, volume as volume_regs,
};
use azote_seam::Vector;

use crate::{
    Completion, Controller, Descriptor, Error, Event, FirmwareLog, Identity, LoggedError, Namespace, Result, SmartLog,
    command,
    controller::csts,
    entry::Sqe,
    io::{Command, completion},
    queue::Slot,
};

const EVENT: &str = "Asynchronous Event Request";
/// A command that its sender does not wait for.
const BESIDE: &str = "admin command beside others";
/// Turns of an idle loop between looks at the status register.
const TURNS_PER_LOOK: u32 = 1024;

impl Controller {
    /// Sends an admin command and waits for it, without recovery: what recovery itself is made of.
    pub(crate) fn admin_once(&mut self, command: &'static str, sqe: Sqe, data: Option<Slice>) -> Result<u32> {
        let timeout = self.options.timeout;
        let deadline = self.function.now() + timeout;
        let slot = Slot { command: Some(command), deadline, ..Slot::default() };
        let cid = self.admin.push(sqe, data, slot)?;
        self.admin.ring()?;
        let mut turn = 0;
        loop {
            // Looked at in every turn, so that a controller that completes one event after another gains no time.
            let late = self.function.now() >= deadline;
            match self.admin.pop()? {
                Some((cqe, slot)) if slot.command == Some(EVENT) => {
                    self.take_event(cqe.dw0, cqe.status.is_success())?
                }
                Some((cqe, slot)) if slot.command == Some(BESIDE) => self.ended.push_back(completion(cqe, slot)),
                Some((cqe, _)) if cqe.cid == cid => {
                    return if cqe.status.is_success() {
                        Ok(cqe.dw0)
                    } else {
                        Err(Error::Status { command, status: cqe.status })
                    };
                }
                // One that was given up on earlier.
                Some(_) => {}
                None if late => {
                    self.check_fatal()?;
                    return Err(Error::TimedOut { command, after: timeout });
                }
                None => {
                    let vector = self.vector(0).map(|v| v.1);
                    self.pause(vector.as_deref(), &mut turn, timeout)?;
                }
            }
            if late {
                self.check_fatal()?;
                return Err(Error::TimedOut { command, after: timeout });
            }
        }
    }

    /// Sends an admin command; if the controller does not answer it is reset.
    pub(crate) fn admin(&mut self, command: &'static str, sqe: Sqe, data: Option<Slice>) -> Result<u32> {
        self.require_up()?;
        let result = self.admin_once(command, sqe, data);
        self.recover_from(result)
    }

    /// Sends any admin command: for tests, and for tools that know more than this driver. Returns DW 0 of the completion.
    pub fn admin_command(&mut self, command: Command) -> Result<u32> {
        let (sqe, data) = command.into_parts();
        self.admin("admin command", sqe, data)
    }

    /// Sends any admin command and does not wait for it; `user` comes back with its end, from [`Self::poll_admin`]. A reset of
    /// the controller forgets it.
    pub fn submit_admin(&mut self, command: Command, user: u64) -> Result<()> {
        self.require_up()?;
        let (sqe, data) = command.into_parts();
        let slot = Slot { command: Some(BESIDE), user, deadline: Duration::MAX, ..Slot::default() };
        self.admin.push(sqe, data, slot)?;
        self.admin.ring()
    }

    /// Takes the end of an admin command that nobody waited for, if there is one.
    pub fn poll_admin(&mut self) -> Result<Option<Completion>> {
        let taken = self.take_admin();
        self.recover_from(taken)?;
        Ok(self.ended.pop_front())
    }

    /// Takes what has come in the admin completion queue. Bounded by what it holds: what comes later is for the next call.
    fn take_admin(&mut self) -> Result<()> {
        for _ in 0..self.admin.depth() {
            match self.admin.pop()? {
                Some((cqe, slot)) if slot.command == Some(EVENT) => {
                    self.take_event(cqe.dw0, cqe.status.is_success())?
                }
                Some((cqe, slot)) if slot.command == Some(BESIDE) => self.ended.push_back(completion(cqe, slot)),
                // One that was given up on earlier.
                Some(_) => {}
                None => break,
            }
        }
        Ok(())
    }

    /// Lets the device go on while nothing has completed.
    pub(crate) fn pause(&self, vector: Option<&dyn Vector>, turn: &mut u32, timeout: Duration) -> Result<()> {
        match vector {
            Some(vector) => {
                // In slices, so that a controller that fails without a word is noticed.
                if vector.wait(timeout / 16)? == 0 {
                    self.check_fatal()?;
                }
            }
            None => {
                self.function.relax();
                *turn += 1;
                if turn.is_multiple_of(TURNS_PER_LOOK) {
                    self.check_fatal()?;
                }
            }
        }
        Ok(())
    }

    /// Whether the controller is well.
    pub(crate) fn check_fatal(&self) -> Result<()> {
        if regs::CSTS_CFS.is_set(csts(&*self.registers, &self.name)?) {
            return Err(Error::Fatal { function: self.name.to_string() });
        }
        Ok(())
    }

    /// Leaves event requests with the controller, as many as it takes and were wished for.
    pub(crate) fn arm_events(&mut self) -> Result<()> {
        let most = self.identity().event_limit.saturating_add(1).min(self.options.events).min(8);
        while self.armed < most {
            // They have no deadline: there may never be an event.
            let slot = Slot { command: Some(EVENT), deadline: Duration::MAX, ..Slot::default() };
            self.admin.push(command::async_event(), None, slot)?;
            self.armed += 1;
        }
        self.admin.ring()
    }

    fn take_event(&mut self, dw0: u32, success: bool) -> Result<()> {
        self.armed = self.armed.saturating_sub(1);
        if success {
            if self.events.len() == self.events.capacity() {
                self.events.pop_front();
            }
            self.events.push_back(Event::parse(dw0));
            self.arm_events()?;
        }
        Ok(())
    }

    /// Takes the oldest asynchronous event that has come. Read the log page that it names to see the next of its type.
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        self.take_admin()?;
        Ok(self.events.pop_front())
    }

    /// [`Self::fetch`] for callers outside of bring-up: if the controller does not answer it is reset.
    fn fetch_log(&mut self, command: &'static str, lid: u64, len: u64) -> Result<Vec<u8>> {
        self.require_up()?;
        let data = self.fetch(command, command::get_log(lid, len), len);
        self.recover_from(data)
    }

    /// Runs a command that returns `len` bytes, at most a page, and copies them out.
    fn fetch(&mut self, command: &'static str, sqe: Sqe, len: u64) -> Result<Vec<u8>> {
        self.page.fill(0);
        let data = self.page.slice(0, len)?;
        self.admin_once(command, sqe, Some(data))?;
        copy_out(&self.page, len)
    }

    pub(crate) fn identify_controller(&mut self) -> Result<Identity> {
        let sqe = command::identify(opcode::CNS_CONTROLLER, 0);
        let data = self.fetch("Identify Controller", sqe, limits::PAGE_SIZE)?;
        Identity::parse(&data, &self.name)
    }

    /// The first active namespace and its identifiers.
    pub(crate) fn identify_namespace(&mut self) -> Result<Option<Namespace>> {
        let sqe = command::identify(opcode::CNS_ACTIVE_LIST, 0);
        let list = self.fetch("Identify Active Namespace list", sqe, limits::PAGE_SIZE)?;
        let id = crate::identify::number(&list, 0, 4) as u32;
        if id == 0 {
            return Ok(None);
        }
        let sqe = command::identify(opcode::CNS_NAMESPACE, id.into());
        let data = self.fetch("Identify Namespace", sqe, limits::PAGE_SIZE)?;
        let mut namespace = Namespace::parse(id, &data, &self.name)?;
        let sqe = command::identify(opcode::CNS_DESCRIPTORS, id.into());
        match self.fetch("Identify Namespace descriptors", sqe, limits::PAGE_SIZE) {
            Ok(data) => namespace.descriptors = Descriptor::parse(&data),
            // They came with NVMe 1.3; a controller that does not know them is none the worse.
            Err(Error::Status { .. }) => {}
            Err(e) => return Err(e),
        }
        Ok(Some(namespace))
    }

    /// Asks for I/O queue pairs; returns how many there may be.
    pub(crate) fn request_queues(&mut self, count: u16) -> Result<u16> {
        let dw0 = u64::from(self.admin_once("Set Features (Number of Queues)", command::set_queues(count), None)?);
        let granted = dw::QUEUES_NSQ.of(dw0).min(dw::QUEUES_NCQ.of(dw0)) + 1;
        Ok(granted.min(u16::MAX.into()) as u16)
    }

    /// Reads the current value of a feature.
    pub fn feature(&mut self, fid: u64) -> Result<u32> {
        self.admin("Get Features", command::get_feature(fid), None)
    }

    /// Reads SMART / Health Information.
    pub fn smart_log(&mut self) -> Result<SmartLog> {
        let data = self.fetch_log("Get Log Page (SMART)", opcode::LOG_SMART, log_regs::SMART_SIZE)?;
        Ok(SmartLog::parse(&data))
    }

    /// Reads the Error Information log.
    pub fn error_log(&mut self) -> Result<Vec<LoggedError>> {
        let entries = u64::from(self.identity().error_entries) + 1;
        let len = (entries * log_regs::ERROR_SIZE).min(limits::PAGE_SIZE);
        let data = self.fetch_log("Get Log Page (Error Information)", opcode::LOG_ERROR, len)?;
        Ok(LoggedError::parse_all(&data))
    }

    /// Reads Firmware Slot Information.
    pub fn firmware_log(&mut self) -> Result<FirmwareLog> {
        let data = self.fetch_log("Get Log Page (Firmware Slot)", opcode::LOG_FIRMWARE, log_regs::FIRMWARE_SIZE)?;
        Ok(FirmwareLog::parse(&data))
    }

    /// Reads the volume log page; `None` if the controller is not one of ours and has none.
    pub fn volume_log(&mut self) -> Result<Option<crate::VolumeLog>> {
        match self.fetch_log("Get Log Page (Volume)", opcode::LOG_VOLUME, volume_regs::SIZE) {
            Ok(data) => Ok(crate::VolumeLog::parse(&data)),
            Err(Error::Status { status, .. }) if status.code() == codes::INVALID_LOG => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn copy_out(page: &Buffer, len: u64) -> Result<Vec<u8>> {
    let mut data = vec![0; len as usize];
    page.read(0, &mut data)?;
    Ok(data)
}
