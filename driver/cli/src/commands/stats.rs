//! `azote stats`.

use std::{fmt::Write as _, io::Write};

use azote_nvme::{FirmwareLog, LoggedError, SmartLog, VolumeLog};
use serde_json::{Value, json};

use super::{latency, print, print_json};
use crate::{
    Result,
    args::Facts,
    card::{Card, controller},
    limit::{self, Bounds, Shown},
};

/// Zero degrees Celsius in the unit of the SMART log.
const CELSIUS: i32 = 273;

/// The logs of a controller.
struct Logs {
    smart: SmartLog,
    firmware: FirmwareLog,
    errors: Vec<LoggedError>,
    volume: Option<VolumeLog>,
    bounds: Option<Bounds>,
}

pub(super) fn run(card: &dyn Card, facts: &Facts, out: &mut dyn Write) -> Result<()> {
    let mut c = controller(card, &facts.target)?;
    let logs = Logs {
        smart: c.smart_log()?,
        firmware: c.firmware_log()?,
        errors: c.error_log()?,
        volume: c.volume_log()?,
        bounds: card.bounds(&facts.target)?,
    };
    c.shutdown()?;
    if facts.json {
        return print_json(out, &logs.value());
    }
    print(out, &logs.words())?;
    match card.report() {
        Some(report) => print(out, &report),
        None => Ok(()),
    }
}

impl Logs {
    fn words(&self) -> String {
        let Logs { smart, firmware, .. } = self;
        let mut text = format!(
            "critical warnings  {}\ntemperature        {} °C\nspare              {} %\nused               {} %\n\
             read               {} commands, {} units of 512000 bytes\nwritten            {} commands, {} units\n\
             power cycles       {}\nmedia errors       {}\nfirmware           slot {}",
            smart.critical_warning,
            i32::from(smart.temperature) - CELSIUS,
            smart.spare,
            smart.used,
            smart.reads,
            smart.units_read,
            smart.writes,
            smart.units_written,
            smart.power_cycles,
            smart.media_errors,
            firmware.active,
        );
        if let Some(revision) = self.revision() {
            let _ = write!(text, ": {revision}");
        }
        let _ = writeln!(text, "\nerror log          {} entries", self.errors.len());
        for e in &self.errors {
            let LoggedError { count, queue, command, lba, status, .. } = e;
            let _ = writeln!(text, "  {count}: queue {queue} command {command:#x} LBA {lba}: {status}");
        }
        if let Some(volume) = &self.volume {
            text.push_str(&latency::show(volume));
        }
        if let Some(bounds) = self.bounds {
            let shown = Shown(bounds).to_string();
            let _ = writeln!(text, "limits             {}", if shown.is_empty() { "none" } else { &shown });
        }
        text
    }

    /// The firmware that runs.
    fn revision(&self) -> Option<&String> {
        usize::from(self.firmware.active).checked_sub(1).and_then(|i| self.firmware.revisions.get(i))
    }

    fn value(&self) -> Value {
        let smart = &self.smart;
        let errors = self.errors.iter().map(|e| {
            json!({
                "count": e.count, "queue": e.queue, "command": e.command, "status": e.status.to_string(),
                "location": e.location, "lba": e.lba, "namespace": e.namespace,
            })
        });
        json!({
            "smart": {
                "critical_warning": smart.critical_warning,
                "temperature_kelvin": smart.temperature,
                "spare_percent": smart.spare,
                "used_percent": smart.used,
                "read_commands": smart.reads,
                "read_units_of_512000_bytes": smart.units_read,
                "write_commands": smart.writes,
                "write_units_of_512000_bytes": smart.units_written,
                "power_cycles": smart.power_cycles,
                "power_on_hours": smart.hours,
                "media_errors": smart.media_errors,
                "error_log_entries_ever": smart.error_entries,
            },
            "firmware": { "slot": self.firmware.active, "revision": self.revision() },
            "errors": errors.collect::<Vec<_>>(),
            "volume": self.volume.as_ref().map(latency::value),
            "limits": self.bounds.map(limit::Facts::from),
        })
    }
}
