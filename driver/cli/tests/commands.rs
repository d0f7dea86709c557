//! The commands over a card made of software controllers.

#![allow(clippy::unwrap_used)] // test helpers fail by panicking

#[path = "../../nvme/tests/model/mod.rs"]
mod model;

use std::{sync::Arc, time::Duration};

use azote_cli::{
    Error, Result,
    args::{Cli, Command},
    card::{Bound, BoundVolume, Card, Listed},
    commands,
    limit::Bounds,
    nbd::Stop,
    target::Target,
};
use azote_manage::Volume;
use azote_nvme::{Completions, Options};
use azote_regs::function::{FunctionId, Kind, Role};
use azote_seam::{Function, mock::Mock};
use clap::Parser;
use model::Model;

const SIZE: usize = 1 << 20;

struct Soft(Vec<Arc<Mock<Model>>>);

impl Card for Soft {
    fn list(&self) -> Result<Vec<Listed>> {
        let one = |i: u8| Listed {
            address: format!("0000:01:02.{i}"),
            id: FunctionId::vf(Kind::Storage, i),
            state: "enabled".into(),
            volume: Bound::Volume(BoundVolume::new(
                Volume { id: i, base: 0, blocks: SIZE as u64 / 512, read_only: false, large_blocks: false },
                Some("a disk".into()),
                Bounds::default(),
            )),
        };
        Ok((0..self.0.len() as u8).map(one).collect())
    }
    fn open(&self, target: &Target) -> Result<Arc<dyn Function>> {
        match target {
            Target::Storage(Role::Vf(i)) if usize::from(*i) < self.0.len() => Ok(self.0[usize::from(*i)].clone()),
            _ => Err(Error::NoFunction { target: target.to_string(), known: "there is vf0".into() }),
        }
    }
    fn options(&self) -> Options {
        Options { completions: Completions::Polled, timeout: Duration::from_millis(10), ..Options::default() }
    }
}

fn disk() -> Vec<u8> {
    (0..SIZE).map(|i| (i / 512 * 7 + i) as u8).collect()
}

fn soft() -> Soft {
    Soft(vec![Model::new(disk()).function()])
}

fn run(card: &Soft, args: &[&str]) -> Result<String> {
    let cli = Cli::try_parse_from([&["azote"], args].concat()).unwrap();
    let stop = Stop::default();
    stop.stop();
    let mut out = Vec::new();
    commands::run(card, &cli.command, &mut out, &stop)?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn line(e: &Error) -> String {
    let text = e.to_string();
    assert!(!text.contains('\n'), "one line: {text}");
    text
}

fn on(card: &Soft) -> Vec<u8> {
    card.0[0].with(|m, _| m.disk.clone())
}

#[test]
fn list_and_id_say_what_there_is() {
    let card = soft();
    assert!(run(&card, &["list"]).unwrap().contains("0000:01:02.0  storage  VF 0      enabled  0: a disk (1.00 MiB)"));
    let id = run(&card, &["id", "vf0"]).unwrap();
    for says in ["Azote virtual storage", "MODEL-0001", "1: 2048 blocks of 512 bytes, 1.00 MiB", "02415afffe000001"] {
        assert!(id.contains(says), "{says}: {id}");
    }
    assert!(run(&card, &["stats", "vf0"]).unwrap().contains("40 °C"));
}

#[test]
fn a_namespace_is_copied_out_and_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let file = path.to_str().unwrap();
    let card = soft();
    run(&card, &["copy", "-q", "vf0", file]).unwrap();
    assert!(std::fs::read(&path).unwrap() == disk());
    let other = Soft(vec![Model::new(vec![0; SIZE]).function()]);
    run(&other, &["copy", "-q", file, "vf0"]).unwrap();
    assert!(on(&other) == disk());
}

#[test]
fn a_copy_that_fails_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    std::fs::write(&path, "precious").unwrap();
    let card = soft();
    card.0[0].with(|m, _| _ = m.faults.status.insert(512, 0x281));
    let e = run(&card, &["copy", "-q", "vf0", path.to_str().unwrap()]).unwrap_err();
    assert!(line(&e).contains("LBA 512: Unrecovered Read Error"), "{e}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn files_that_do_not_fit_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let file = path.to_str().unwrap();
    let card = soft();
    let refused = |data: Vec<u8>, says: &str| {
        std::fs::write(&path, data).unwrap();
        let e = run(&card, &["copy", "-q", file, "vf0"]).unwrap_err();
        assert!(line(&e).contains(says), "{e}");
        assert!(on(&card) == disk());
    };
    refused(vec![1; 1000], "truncated");
    refused(vec![], "truncated");
    refused(vec![1; SIZE + 512], "only 1.00 MiB");
    refused(vec![1; 4096], "--partial");
    run(&card, &["copy", "-q", "--partial", file, "vf0"]).unwrap();
    let e = run(&card, &["copy", "-q", "--partial", "vf0", file]).unwrap_err();
    assert!(line(&e).starts_with("--partial has no effect: "), "{e}");
    let mut wanted = disk();
    wanted[..4096].fill(1);
    assert!(on(&card) == wanted);
    let e = run(&card, &["copy", "-q", "/no/such/file", "vf0"]).unwrap_err();
    assert!(line(&e).starts_with("/no/such/file: "), "{e}");
}

#[test]
fn blocks_are_read_and_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blocks");
    let file = path.to_str().unwrap();
    let card = soft();
    run(&card, &["read", "vf0", "--lba", "3", "--blocks", "2", "-o", file]).unwrap();
    assert!(std::fs::read(&path).unwrap() == disk()[1536..2560]);
    run(&card, &["write", "vf0", "--lba", "10", file]).unwrap();
    assert!(on(&card)[5120..6144] == disk()[1536..2560]);
    assert!(run(&card, &["read", "vf0", "--lba", "0"]).unwrap().starts_with("00000000  00 01 02"));
    std::fs::write(&path, [1; 100]).unwrap();
    let e = run(&card, &["write", "vf0", file]).unwrap_err();
    assert!(line(&e).contains("whole 512-byte blocks"), "{e}");
    let e = run(&card, &["read", "vf0", "--lba", "2047", "--blocks", "2"]).unwrap_err();
    assert!(line(&e).contains("beyond the namespace's 2048 blocks"), "{e}");
    let e = run(&card, &["read", "vf0", "--blocks", "99999999999999999"]).unwrap_err();
    assert!(line(&e).contains("too many"), "{e}");
}

#[test]
fn a_read_only_volume_and_an_unknown_vf_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    std::fs::write(&path, vec![1; SIZE]).unwrap();
    let card = soft();
    card.0[0].with(|m, _| m.read_only = true);
    for args in [["copy", path.to_str().unwrap(), "vf0"], ["write", "vf0", path.to_str().unwrap()]] {
        let e = run(&card, &args).unwrap_err();
        assert!(line(&e).contains("read-only"), "{e}");
    }
    assert!(on(&card) == disk());
    let e = run(&card, &["id", "vf7"]).unwrap_err();
    assert!(line(&e).contains("no function vf7"), "{e}");
    let e = run(&card, &["copy", "vf0", "vf1"]).unwrap_err();
    assert!(line(&e).contains("the other a file"), "{e}");
}

#[test]
fn a_busy_port_is_named_before_a_controller_is_started() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let card = soft();
    let e = run(&card, &["nbd", "vf0", "--listen", &address]).unwrap_err();
    assert!(line(&e).contains("already in use"), "{e}");
    card.0[0].with(|m, _| assert_eq!(m.resets, 0));
    let said = run(&card, &["nbd", "--listen", "0"]).unwrap();
    assert!(said.contains("vf0: nbd://127.0.0.1:") && said.contains("0 commands"), "{said}");
}

#[test]
fn nothing_to_export_is_said() {
    let e = run(&Soft(vec![]), &["nbd", "--listen", "0"]).unwrap_err();
    assert!(line(&e).contains("nothing to export"), "{e}");
}

#[test]
fn a_function_without_a_volume_is_an_error_of_what_needs_one() {
    let card = Soft(vec![Model::new(vec![]).function()]);
    assert!(run(&card, &["id", "vf0"]).unwrap().contains("none: no volume is bound"));
    let e = run(&card, &["read", "vf0"]).unwrap_err();
    assert!(line(&e).contains("has a volume been bound"), "{e}");
    assert!(matches!(Cli::try_parse_from(["azote", "list"]).unwrap().command, Command::List(_)));
}
