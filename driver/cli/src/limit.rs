//! How fast a function may go and how long its volume may take for an answer, as the command line has it, in seconds of a card
//! at its full clock.

use std::{fmt, str::FromStr, time::Duration};

use azote_manage::{Limits, Manager};
use azote_regs::{function::Role, nvme::limits::LBA_SIZE};

use crate::{Error, Result, number, target::Target};

/// What stands beside a function's volume, whatever volume that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// How fast it may go.
    pub limits: Limits,
    /// After how long the card gives a request to its volume up; zero is never.
    pub timeout: Duration,
}

impl Bounds {
    /// What a card has for a function.
    ///
    /// # Errors
    /// Those of its registers.
    pub fn of(manager: &Manager, role: Role) -> azote_manage::Result<Self> {
        Ok(Self { limits: manager.limits(role)?, timeout: manager.timeout(role)? })
    }
}

/// Bytes of the M in MB.
const MEGA: u64 = 1_000_000;

/// Limits of a function: `vf0:iops=5000:mbps=100:weight=4:timeout=500ms`, of which something must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSpec {
    /// Whose.
    pub role: Role,
    /// What.
    pub bounds: Bounds,
}

impl FromStr for LimitSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected vf0:iops=N:mbps=N:weight=N:timeout=TIME, with one of the four or more".to_owned();
        let (function, words) = text.split_once(':').ok_or_else(expected)?;
        let Ok(Target::Storage(role)) = function.parse() else {
            return Err(format!("`{function}`: limits are for pf, vf0, vf1, … of a simulated card"));
        };
        let mut bounds = Bounds::default();
        let limits = &mut bounds.limits;
        for word in words.split(':') {
            let (key, value) = word.split_once('=').ok_or_else(expected)?;
            let old = match key {
                "iops" => std::mem::replace(&mut limits.commands, rate(key, value, (1, 1))?).into(),
                "mbps" => std::mem::replace(&mut limits.blocks, rate(key, value, (MEGA, LBA_SIZE))?).into(),
                "weight" => u64::from(std::mem::replace(&mut limits.weight, weight(value)?)),
                "timeout" => std::mem::replace(&mut bounds.timeout, timeout(value)?).as_millis() as u64,
                _ => return Err(format!("`{key}` is no limit: iops, mbps, weight or timeout")),
            };
            if old != 0 {
                return Err(format!("{key} is given twice"));
            }
        }
        Ok(Self { role, bounds })
    }
}

/// A number a second as a rate; the card counts `times` / `by` for each.
fn rate(key: &str, value: &str, (times, by): (u64, u64)) -> Result<u32, String> {
    let number = number::whole(value).map_err(|_| format!("{key}=`{value}` is no whole number"))?;
    let rate = Limits::rate(number.saturating_mul(times) / by);
    let most = Limits::per_second(Limits::RATE_MAX as u32) * by / times;
    match u32::try_from(rate) {
        Ok(0) if number == 0 => Err(format!("{key}=0 would be no limit; leave it out")),
        Ok(0) => Err(format!("{key}={number} is less than the card can count; the least is {LEAST}")),
        Ok(rate) if u64::from(rate) <= Limits::RATE_MAX => Ok(rate),
        _ => Err(format!("{key}={number} is more than the card can count; the most is {most}")),
    }
}

fn weight(value: &str) -> Result<u8, String> {
    let most = Limits::WEIGHT_MAX;
    number::within(value, 1, most, "").map_err(|_| format!("weight=`{value}`: expected 1 to {most}"))
}

/// `500ms` or `2s`.
fn timeout(value: &str) -> Result<Duration, String> {
    let most = Manager::TIMEOUT_MAX.as_millis() as u64;
    let in_ms = |number: &str, times: u64| number::whole(number).ok().and_then(|n| n.checked_mul(times));
    let ms = match value.strip_suffix("ms") {
        Some(number) => in_ms(number, 1),
        None => value.strip_suffix('s').and_then(|number| in_ms(number, 1000)),
    };
    let ms = ms.filter(|ms| (1..=most).contains(ms));
    ms.map(Duration::from_millis)
        .ok_or_else(|| format!("timeout=`{value}`: expected 1ms to {most}ms, or in whole seconds 2s"))
}

/// The smallest number of commands a second that is a rate.
const LEAST: u64 = 5;

/// That no function has two, and each is there.
pub fn check(limits: &[LimitSpec], vfs: u8) -> Result<()> {
    for (i, spec) in limits.iter().enumerate() {
        let name = Target::Storage(spec.role);
        if limits[..i].iter().any(|other| other.role == spec.role) {
            return Err(Error::Usage(format!("--limit {name} is given twice; put its limits into one")));
        }
        match spec.role {
            Role::Vf(i) if i >= vfs => {
                let what = format!("--limit {name}: the card has {vfs} VFs; give --vfs {} or more", u16::from(i) + 1);
                return Err(Error::Usage(what));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Limits for programs, in units of a card at its full clock; what is not limited is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Facts {
    /// Commands a second.
    iops: Option<u64>,
    /// Bytes a second.
    bytes_per_second: Option<u64>,
    /// Commands of each of its turns.
    weight: u8,
    /// Milliseconds after which a request to its volume is given up.
    timeout_ms: Option<u64>,
}

impl From<Bounds> for Facts {
    fn from(Bounds { limits, timeout }: Bounds) -> Self {
        let limited = |rate: u32| Some(Limits::per_second(rate)).filter(|_| rate != 0);
        Self {
            iops: limited(limits.commands),
            bytes_per_second: limited(limits.blocks).map(|blocks| blocks * LBA_SIZE),
            weight: limits.weight.max(1),
            timeout_ms: Some(timeout.as_millis() as u64).filter(|ms| *ms != 0),
        }
    }
}

/// Limits for people: `4997 IOPS, 100 MB/s, weight 4, time-out 512 ms`; empty if there are none.
pub struct Shown(pub Bounds);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bounds { limits: Limits { commands, blocks, weight }, timeout } = self.0;
        let mut parts = Vec::new();
        if commands != 0 {
            parts.push(format!("{} IOPS", Limits::per_second(commands)));
        }
        if blocks != 0 {
            let bytes = Limits::per_second(blocks) * LBA_SIZE;
            parts.push(format!("{}.{} MB/s", bytes / MEGA, bytes % MEGA * 10 / MEGA));
        }
        if weight > 1 {
            parts.push(format!("weight {weight}"));
        }
        if !timeout.is_zero() {
            parts.push(format!("time-out {} ms", timeout.as_millis()));
        }
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        text.parse::<LimitSpec>().unwrap_err()
    }

    #[test]
    fn limits_are_those_of_a_card_at_80_mhz_and_never_above_what_was_asked() {
        let spec: LimitSpec = "vf3:iops=5000:mbps=100:weight=4".parse().unwrap();
        assert_eq!(spec.role, Role::Vf(3));
        assert_eq!(spec.bounds.limits, Limits { commands: 1048, blocks: 40959, weight: 4 });
        assert_eq!(Shown(spec.bounds).to_string(), "4997 IOPS, 99.9 MB/s, weight 4");
        assert_eq!("vf3:iops=0x1388:mbps=0x64:weight=0x4".parse(), Ok(spec));
        assert_eq!("pf:mbps=1".parse::<LimitSpec>().unwrap().role, Role::Pf);
        assert_eq!(Shown(Bounds::default()).to_string(), "");
    }

    #[test]
    fn a_time_out_is_in_seconds_or_thousandths() {
        let spec = |text: &str| text.parse::<LimitSpec>().unwrap().bounds;
        assert_eq!(spec("vf0:timeout=500ms"), Bounds { timeout: Duration::from_millis(500), ..Bounds::default() });
        assert_eq!(spec("vf0:timeout=2s:weight=3").timeout, Duration::from_secs(2));
        assert_eq!(Shown(spec("vf0:timeout=2s:weight=3")).to_string(), "weight 3, time-out 2000 ms");
        for text in ["", "500", "ms", "s", "0ms", "0s", "1.5s", "-1s", "66s", "65521ms", "99999999999999999999s", "1m"]
        {
            let e = wrong(&format!("vf0:timeout={text}"));
            assert_eq!(e, format!("timeout=`{text}`: expected 1ms to 65520ms, or in whole seconds 2s"));
        }
        assert!(wrong("vf0:timeout=1s:timeout=2s").contains("timeout is given twice"));
    }

    #[test]
    fn each_wrong_word_is_named_with_what_would_be_right() {
        for (text, said) in [
            ("", "expected vf0:iops="),
            ("vf0", "expected vf0:iops="),
            ("vf0:", "expected vf0:iops="),
            ("vf0:iops", "expected vf0:iops="),
            ("vf0:iops=9,mbps=1", "iops=`9,mbps=1` is no whole number"),
            ("disk:iops=9", "`disk`: limits are for pf, vf0"),
            ("vf60:iops=9", "`vf60`: limits are for pf, vf0"),
            ("01:00.4:iops=9", "`01`: limits are for pf, vf0"),
            ("vf0:bps=9", "`bps` is no limit: iops, mbps, weight or timeout"),
            ("vf0:iops=9:iops=10", "iops is given twice"),
            ("vf0:weight=2:weight=3", "weight is given twice"),
            ("vf0:iops=many", "iops=`many` is no whole number"),
            ("vf0:iops=-1", "iops=`-1` is no whole number"),
            ("vf0:iops=0", "iops=0 would be no limit; leave it out"),
            ("vf0:iops=4", "the least is 5"),
            ("vf0:iops=80000001", "the most is 79999995"),
            ("vf0:mbps=18446744073709551615", "the most is 40959"),
            ("vf0:weight=0", "expected 1 to 15"),
            ("vf0:weight=16", "expected 1 to 15"),
            ("vf0:weight=256", "expected 1 to 15"),
        ] {
            assert!(wrong(text).contains(said), "{text}: {}", wrong(text));
        }
        assert!("vf0:iops=5".parse::<LimitSpec>().is_ok() && "vf0:mbps=40959".parse::<LimitSpec>().is_ok());
    }

    #[test]
    fn a_function_has_one_set_of_limits_and_is_there() {
        let list = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<LimitSpec>>();
        let said = |texts, vfs| check(&list(texts), vfs).unwrap_err().to_string();
        assert_eq!(
            said(&["vf0:iops=9", "vf1:iops=9", "vf0:mbps=9"], 4),
            "--limit vf0 is given twice; put its limits into one"
        );
        assert_eq!(said(&["vf7:iops=9"], 4), "--limit vf7: the card has 4 VFs; give --vfs 8 or more");
        check(&list(&["vf0:iops=9", "pf:iops=9"]), 1).unwrap();
    }
}
