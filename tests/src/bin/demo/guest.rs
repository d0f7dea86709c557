//! The last step: a stock Linux in a guest of our hypervisor reads the same files off the same RTL.

use std::path::Path;
use std::time::{Duration, Instant};

use azote_lab::cases::demo::{Found, digest, read_tree};
use azote_lab::pieces::Pieces;
use azote_tests::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};

/// Boots it, compares what it read with the tree on this machine, and says what path the bytes took.
pub fn run(image: &Path, tree: &Path) -> Result<()> {
    let start = Instant::now();
    let wrong = |e: azote_lab::Error| Error::Wrong(e.to_string());
    let pieces = Pieces::ready(&|what| println!("    {what}")).map_err(wrong)?;
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("    {spinner} {elapsed} {msg}").unwrap_or(ProgressStyle::default_spinner()),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.set_message("an emulated host starts");
    let mut step = |text: &str| {
        // `L1 2.51 words`: which machine, its uptime, what it says.
        let mut parts = text.splitn(3, ' ');
        if let (Some(level), Some(_), Some(words)) = (parts.next(), parts.next(), parts.next()) {
            let who = if level == "L2" { "guest" } else { "host" };
            bar.suspend(|| println!("    {:>5.1} s  {who:<5}  {words}", start.elapsed().as_secs_f64()));
        }
    };
    let found = read_tree(&pieces, image, &mut step);
    bar.finish_and_clear();
    let found = found.map_err(wrong)?;
    let here = digest(tree).map_err(wrong)?;
    if found.digest != here {
        return Err(Error::Wrong(format!("the guest read other files: digest {}, here {here}", found.digest)));
    }
    print!("{}", path(&found));
    Ok(())
}

/// The way of the bytes, from file to file.
fn path(found: &Found) -> String {
    let value = |name: &str| found.outcome.value(name).unwrap_or(0.0);
    // Its last words: what was counted.
    let counted =
        found.report.lines().filter(|line| line.starts_with("vf0: 1 client") || line.starts_with("simulated"));
    let server = counted.map(|line| format!("          {line}\n")).collect::<String>();
    format!(
        "\nThe guest read {:.0} files, {:.0} KiB, with {:.0} interrupts; each file is as it is here. The way of the bytes:\n
    files.ext4                   on this machine
      │  media port
    the card: RTL, Verilated     storage VF 0: SQEs fetched, PRPs walked, data as TLPs into the guest's own memory
      │  vfio-user               a socket; DMA through shared memory
    the host: Linux in QEMU      vfio-pci, IOMMU: the VF given away whole
      │  azote run               KVM; doorbells mapped into the guest, MSI-X by irqfd
    the guest: stock Linux       its own nvme driver, ext4, md5sum

    azote serve says:
{server}",
        value("demo.files"),
        value("demo.read_kib"),
        value("demo.interrupts"),
    )
}
