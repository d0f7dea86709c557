//! What is done about a controller that does not answer: Abort, then a controller reset, then a function reset.
//!
//! The order matters for the memory: a command's buffer may only be given back when the controller can no longer write to
//! it. So commands are failed after the controller was disabled, not before.

use azote_regs::{nvme::command as dw, pcie::header};
use azote_seam::{enable_bus_master, set_command};

use crate::{Controller, Error, Result, command};

impl Controller {
    /// Looks for a command that is late. The first time it is aborted, the second time the controller is reset.
    ///
    /// Returns whether anything was done.
    pub(crate) fn expire(&mut self, queue: usize) -> Result<bool> {
        let now = self.function.now();
        let timeout = self.options.timeout;
        let q = &mut self.io_queue(queue)?.queue;
        let Some((cid, slot)) = q.slots().find(|(_, s)| s.deadline <= now).map(|(c, s)| (c, *s)) else {
            return Ok(false);
        };
        let (id, name) = (q.id, slot.command.unwrap_or("command"));
        if slot.aborting {
            tracing::warn!("{}: queue {id}: {name} (id {cid}) could not be aborted; resetting", self.name);
            self.reset()?;
            return Ok(true);
        }
        if let Some(slot) = q.slot_mut(cid) {
            slot.aborting = true;
            slot.deadline = now + timeout;
        }
        tracing::warn!("{}: queue {id}: {name} (id {cid}) took more than {timeout:?}; aborting", self.name);
        match self.admin_once("Abort", command::abort(id, cid), None) {
            Ok(dw0) if dw::ABORT_NOT_DONE.is_set(dw0.into()) => {
                // It may complete by itself yet: it has a second time-out to do so.
                tracing::debug!("{}: queue {id}: command {cid} was not aborted", self.name);
            }
            // Aborted, or too many at a time: its own completion will tell.
            Ok(_) | Err(Error::Status { .. }) => {}
            Err(_) => self.reset()?,
        }
        Ok(true)
    }

    /// Resets the controller if `result` says that it can not be trusted any more, and passes `result` on.
    pub(crate) fn recover_from<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(Error::TimedOut { .. } | Error::Fatal { .. } | Error::BadCompletion { .. }) = &result {
            self.reset()?;
        }
        result
    }

    /// Resets the controller: whatever is in flight ends as [`Failure::Reset`](crate::Failure::Reset), the queues are made
    /// anew. A controller that can not even be disabled gets a Function Level Reset.
    pub fn reset(&mut self) -> Result<()> {
        self.resets += 1;
        self.up = false;
        if let Err(e) = self.disable() {
            tracing::warn!("{}: {e}; trying a function level reset", self.name);
            if let Err(e) = self.function_reset() {
                // The last thing that can be done for the host: no DMA any more.
                let _ = set_command(&*self.function, 0, header::COMMAND_BME.mask());
                self.fail_all();
                return Err(e);
            }
        }
        self.fail_all();
        self.enable()?;
        let count = self.queues.len() as u16;
        let granted = self.request_queues(count)?;
        if granted < count {
            let what = format!("after a reset it grants {granted} I/O queues, before it were {count}");
            return Err(Error::Unsupported { function: self.name.to_string(), what });
        }
        self.create_queues()?;
        self.arm_events()?;
        self.up = true;
        Ok(())
    }

    fn fail_all(&mut self) {
        for q in &mut self.queues {
            q.fail_all();
        }
    }

    fn function_reset(&mut self) -> Result<()> {
        self.function.reset()?;
        enable_bus_master(&*self.function)?;
        self.disable()
    }
}
