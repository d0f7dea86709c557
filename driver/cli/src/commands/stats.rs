//! `azote stats`.

use std::{fmt::Write as _, io::Write};

use super::{latency, print};
use crate::{
    Result,
    card::{Card, controller},
    limit::Shown,
    target::Target,
};

/// Zero degrees Celsius in the unit of the SMART log.
const CELSIUS: i32 = 273;

pub(super) fn run(card: &dyn Card, target: &Target, out: &mut dyn Write) -> Result<()> {
    let mut c = controller(card, target)?;
    let smart = c.smart_log()?;
    let firmware = c.firmware_log()?;
    let errors = c.error_log()?;
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
    if let Some(revision) = usize::from(firmware.active).checked_sub(1).and_then(|i| firmware.revisions.get(i)) {
        let _ = write!(text, ": {revision}");
    }
    let _ = writeln!(text, "\nerror log          {} entries", errors.len());
    for e in errors {
        let _ = writeln!(text, "  {}: queue {} command {:#x} LBA {}: {}", e.count, e.queue, e.command, e.lba, e.status);
    }
    if let Some(volume) = c.volume_log()? {
        text.push_str(&latency::show(&volume));
    }
    if let Some(limits) = card.limits(target)? {
        let shown = Shown(limits).to_string();
        let _ = writeln!(text, "limits             {}", if shown.is_empty() { "none" } else { &shown });
    }
    c.shutdown()?;
    print(out, &text)?;
    match card.report() {
        Some(report) => print(out, &report),
        None => Ok(()),
    }
}
