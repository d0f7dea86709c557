//! What was measured, on what, by what: beside every page and every line for machines, so that a number can be made again.

use std::process::Command;

use azote_sim::{MediaOptions, Options, Split};
use azote_tests::rig::Model;
use serde_json::{Value, json};

use crate::Arguments;

/// The conditions of a run.
#[derive(Debug, Clone)]
pub struct Conditions {
    model: Model,
    vfs: u8,
    commands: u64,
    options: Options,
    commit: Option<String>,
    tool: Option<String>,
    yosys: Option<String>,
    processor: Option<String>,
}

impl Conditions {
    /// Those of this run.
    pub fn of(arguments: &Arguments) -> Conditions {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor =
            cpuinfo.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(':'));
        Conditions {
            model: arguments.model(),
            vfs: arguments.vfs,
            commands: arguments.commands,
            options: Options::default(),
            commit: first("git", &["describe", "--always", "--dirty", "--abbrev=10"]),
            tool: first("verilator", &["--version"]),
            yosys: first("yosys", &["-V"]),
            processor: processor.map(|(_, name)| name.trim().to_owned()),
        }
    }

    /// For a page: a paragraph each.
    pub fn lines(&self) -> Vec<String> {
        let (options, media) = (&self.options, &self.options.media);
        let what = match self.model {
            Model::Rtl | Model::Twin => "its RTL, simulated; its clocks are the same on every machine and in every run",
            Model::Soft => {
                "a model in software, which says nothing of the RTL: this page tries the bench, not the card"
            }
        };
        let split = match options.split {
            Split::Whole => "in as few completions as that allows",
            Split::Random => "in pieces of random size",
        };
        let link = match (options.tx_stall, options.rx_gap) {
            (0, 0) => "The link never stalls.".to_owned(),
            (tx, rx) => format!("The link refuses {tx} of 256 beats and sends nothing in {rx} of 256 clocks."),
        };
        let mut lines = vec![
            format!("The card is {what}. It is built with {} virtual functions of each kind.", self.vfs),
            format!(
                "Random commands on a volume of 16 MiB a function, page-aligned buffers, {} commands a figure, the driver asleep \
                 until the interrupt.",
                self.commands
            ),
            format!(
                "Max_Payload_Size {}, Max_Read_Request_Size {}. The host answers a read after {} clocks, and up to {} more, \
                 {split}. {link} The medium answers after {} clocks and moves {} bytes a clock.",
                options.max_payload,
                options.max_read,
                options.read_latency,
                options.read_jitter,
                media.latency,
                f64::from(media.bandwidth) * 16.0 / f64::from(MediaOptions::FULL),
            ),
        ];
        if let Some((tool, processor)) = self.tool.as_ref().zip(self.processor.as_ref()) {
            lines.push(format!("Simulated by {tool} on {processor}."));
        }
        if let Some(yosys) = &self.yosys {
            lines.push(format!("Cells counted by {yosys}."));
        }
        lines.extend(self.commit.iter().map(|commit| format!("Commit {commit}.")));
        lines
    }

    /// For machines.
    pub fn json(&self) -> Value {
        let (options, media) = (&self.options, &self.options.media);
        json!({ "conditions": {
            "model": if self.model == Model::Rtl { "rtl" } else { "software" },
            "vfs": self.vfs,
            "commands": self.commands,
            "commit": self.commit,
            "verilator": self.tool,
            "yosys": self.yosys,
            "processor": self.processor,
            "max_payload": options.max_payload,
            "max_read": options.max_read,
            "host_latency_clocks": options.read_latency,
            "host_jitter_clocks": options.read_jitter,
            "split": if options.split == Split::Whole { "whole" } else { "random" },
            "tx_stall_of_256": options.tx_stall,
            "rx_gap_of_256": options.rx_gap,
            "medium_latency_clocks": media.latency,
            "medium_bytes_per_clock": f64::from(media.bandwidth) * 16.0 / f64::from(MediaOptions::FULL),
        }})
    }
}

/// The first line of what a program says.
fn first(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_was_run() {
        let mut conditions = Conditions {
            model: Model::Soft,
            vfs: 8,
            commands: 77,
            options: Options { read_latency: 400, ..Options::default() },
            commit: None,
            tool: None,
            yosys: None,
            processor: None,
        };
        let text = conditions.lines().join(" ");
        assert!(
            text.contains("says nothing of the RTL")
                && text.contains("after 400 clocks")
                && text.contains("77 commands")
        );
        assert_eq!(conditions.json()["conditions"]["model"], "software");
        conditions.model = Model::Rtl;
        conditions.options.tx_stall = 60;
        let text = conditions.lines().join(" ");
        assert!(text.contains("its RTL, simulated") && text.contains("refuses 60 of 256 beats"), "{text}");
    }
}
