//! The world around a simulated card, as the command line has it: `latency=400:jitter=100`.

use std::str::FromStr;

use azote_sim::{HostTime, MediaOptions, Options, Split};

use crate::number;

/// How the host behaves; what was not named is as always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostSpec {
    latency: Option<u32>,
    jitter: Option<u32>,
    payload: Option<u32>,
    read: Option<u32>,
    random: Option<bool>,
    stall: Option<u8>,
}

/// How the medium behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MediumSpec {
    /// The volume that it is about; none is all.
    pub volume: Option<u8>,
    latency: Option<u32>,
    jitter: Option<u32>,
    bandwidth: Option<u32>,
    depth: Option<usize>,
    cache: Option<bool>,
    stuck: Option<bool>,
    stall: Option<u8>,
    passes: Option<bool>,
}

/// The most clocks of a latency: a quarter of a second of the card's.
const MOST_CLOCKS: u64 = 20_000_000;

impl HostSpec {
    /// Puts what was named into a simulation's options.
    pub fn apply(&self, options: &mut Options) {
        options.read_latency = self.latency.unwrap_or(options.read_latency);
        options.read_jitter = self.jitter.unwrap_or(options.read_jitter);
        options.max_payload = self.payload.unwrap_or(options.max_payload);
        options.max_read = self.read.unwrap_or(options.max_read);
        options.tx_stall = self.stall.unwrap_or(options.tx_stall);
        options.rx_gap = self.stall.unwrap_or(options.rx_gap);
        if let Some(random) = self.random {
            options.split = if random { Split::Random } else { Split::Whole };
        }
    }
}

impl MediumSpec {
    /// Puts what was named into a medium's options.
    pub fn apply(&self, options: &mut MediaOptions) {
        options.latency = self.latency.unwrap_or(options.latency);
        options.jitter = self.jitter.unwrap_or(options.jitter);
        options.stuck = self.stuck.unwrap_or(options.stuck);
        options.stall = self.stall.unwrap_or(options.stall);
        if let Some(passes) = self.passes {
            options.host = if passes { HostTime::Passes } else { HostTime::Waits };
        }
        options.bandwidth = self.bandwidth.map_or(options.bandwidth, |bytes| bytes * (MediaOptions::FULL / 16));
        options.depth = self.depth.unwrap_or(options.depth);
        options.cache = self.cache.unwrap_or(options.cache);
    }
}

/// Calls `take` with each key and value, and refuses a key that comes twice.
fn words(text: &str, mut take: impl FnMut(&str, &str) -> Result<(), String>) -> Result<(), String> {
    let mut seen = Vec::new();
    for word in text.split(':') {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}`: expected key=value"))?;
        if seen.contains(&key) {
            return Err(format!("{key} is given twice"));
        }
        take(key, value).map_err(|why| format!("{key}=`{value}`: {why}"))?;
        seen.push(key);
    }
    Ok(())
}

fn within(value: &str, least: u64, most: u64) -> Result<u32, String> {
    let number = number::whole(value).ok().filter(|n| (least..=most).contains(n));
    number.map(|n| n as u32).ok_or_else(|| format!("expected a number from {least} to {most}"))
}

/// The sizes that PCI Express has (5.0 §7.5.3.4).
fn size(value: &str) -> Result<u32, String> {
    let number = number::whole(value).ok().filter(|n| n.is_power_of_two() && (128..=4096).contains(n));
    number.map(|n| n as u32).ok_or_else(|| "expected 128, 256, 512, 1024, 2048 or 4096".into())
}

fn choice(value: &str, no: &str, yes: &str) -> Result<bool, String> {
    if value == yes {
        Ok(true)
    } else if value == no {
        Ok(false)
    } else {
        Err(format!("expected {no} or {yes}"))
    }
}

impl FromStr for HostSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut spec = Self::default();
        words(text, |key, value| {
            match key {
                "latency" => spec.latency = Some(within(value, 0, MOST_CLOCKS)?),
                "jitter" => spec.jitter = Some(within(value, 0, MOST_CLOCKS)?),
                "payload" => spec.payload = Some(size(value)?),
                "read" => spec.read = Some(size(value)?),
                "split" => spec.random = Some(choice(value, "whole", "random")?),
                "stall" => spec.stall = Some(within(value, 0, 250)? as u8),
                _ => return Err("there are latency, jitter, payload, read, split and stall".into()),
            }
            Ok(())
        })?;
        Ok(spec)
    }
}

impl FromStr for MediumSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut spec = Self::default();
        words(text, |key, value| {
            match key {
                "volume" => spec.volume = Some(within(value, 0, u8::MAX.into())? as u8),
                "latency" => spec.latency = Some(within(value, 0, MOST_CLOCKS)?),
                "jitter" => spec.jitter = Some(within(value, 0, MOST_CLOCKS)?),
                "stuck" => spec.stuck = Some(choice(value, "off", "on")?),
                "stall" => spec.stall = Some(within(value, 0, 250)? as u8),
                "host" => spec.passes = Some(choice(value, "waits", "passes")?),
                "bandwidth" => spec.bandwidth = Some(within(value, 1, 16)?),
                "depth" => spec.depth = Some(within(value, 1, 4096)? as usize),
                "cache" => spec.cache = Some(choice(value, "off", "on")?),
                _ => {
                    let all = "there are volume, latency, jitter, bandwidth, depth, cache, stuck, stall and host";
                    return Err(all.into());
                }
            }
            Ok(())
        })?;
        if spec.volume.is_some() && spec.stall.is_some() {
            return Err("stall is of the port, not of one volume; leave out volume=".into());
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_changes_and_the_rest_stays() {
        let mut options = Options::default();
        let host: HostSpec = "latency=0x190:payload=128:split=random:stall=60".parse().unwrap();
        host.apply(&mut options);
        let usual = Options::default();
        assert_eq!((options.read_latency, options.max_payload, options.split), (400, 128, Split::Random));
        assert_eq!((options.tx_stall, options.rx_gap), (60, 60));
        assert_eq!((options.read_jitter, options.max_read), (usual.read_jitter, usual.max_read));
        let medium: MediumSpec = "latency=8000:bandwidth=8:cache=on".parse().unwrap();
        medium.apply(&mut options.media);
        assert_eq!((options.media.latency, options.media.bandwidth), (8000, MediaOptions::FULL / 2));
        assert!(options.media.cache && options.media.host == HostTime::AsDisk);
        let medium: MediumSpec = "volume=3:jitter=5:stuck=on:host=passes".parse().unwrap();
        medium.apply(&mut options.media);
        assert_eq!((medium.volume, options.media.latency, options.media.jitter), (Some(3), 8000, 5));
        assert!(options.media.stuck && options.media.host == HostTime::Passes);
    }

    #[test]
    fn each_wrong_word_is_named() {
        let host = |text: &str| text.parse::<HostSpec>().unwrap_err();
        assert_eq!(host(""), "``: expected key=value");
        assert_eq!(host("latency"), "`latency`: expected key=value");
        assert_eq!(host("latency=1:latency=2"), "latency is given twice");
        assert_eq!(host("latency=x"), "latency=`x`: expected a number from 0 to 20000000");
        assert_eq!(host("payload=200"), "payload=`200`: expected 128, 256, 512, 1024, 2048 or 4096");
        assert_eq!(host("split=half"), "split=`half`: expected whole or random");
        assert!(host("speed=1").contains("there are latency, jitter"));
        let medium = |text: &str| text.parse::<MediumSpec>().unwrap_err();
        assert_eq!(medium("bandwidth=0"), "bandwidth=`0`: expected a number from 1 to 16");
        assert_eq!(medium("cache=1"), "cache=`1`: expected off or on");
        assert_eq!(medium("host=yes"), "host=`yes`: expected waits or passes");
        assert!(medium("volume=256").contains("0 to 255") && medium("volume=1:stall=3").contains("leave out volume="));
    }
}
