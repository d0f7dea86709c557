//! Who has a file locked, as far as this process may look. Locks of an open file description name no process; but the
//! kernel lists them with each descriptor that leads to it.

use std::fs::Metadata;
use std::path::Path;

use crate::identity::Identity;

/// Everybody but `except`, the descriptor that we have it open by ourselves, for people.
pub(crate) fn holders(file: &Metadata, except: i32) -> String {
    let wanted = Identity::of(file);
    let me = std::process::id();
    let mut found: Vec<String> = Vec::new();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for (process, pid) in processes.filter_map(|p| Some((p.path(), p.file_name().to_str()?.parse::<u32>().ok()?))) {
        let descriptors = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        let holds = descriptors
            .filter(|fd| pid != me || fd.file_name().to_str() != Some(&except.to_string()))
            .any(|fd| leads_to(&fd.path(), wanted) && is_locked(&process, &fd.file_name()));
        if holds {
            let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
            found.push(if pid == me {
                "this command itself, as another volume".into()
            } else {
                format!("process {pid} ({})", name.trim())
            });
        }
    }
    if found.is_empty() { "a process that this user may not see".into() } else { found.join(", ") }
}

fn leads_to(fd: &Path, wanted: Identity) -> bool {
    std::fs::metadata(fd).is_ok_and(|meta| Identity::of(&meta) == wanted)
}

fn is_locked(process: &Path, fd: &std::ffi::OsStr) -> bool {
    std::fs::read_to_string(process.join("fdinfo").join(fd)).is_ok_and(|text| text.contains("OFDLCK"))
}
