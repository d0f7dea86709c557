//! From the names of a netlist back to ours.
//!
//! yosys flattens the card and names every cell after the nearest signal of the source: `u_storage.u_queues.head_q[3]` is the
//! register itself, `u_storage.u_queues.head_q_LUT4_Z_2` a LUT on the way to it. What stands before the last point is the
//! block; a LUT counts for the block whose signal is nearest to it, which is exact but for logic right on a border.

/// Words after which a name is no longer the source's.
const MADE_UP: [&str; 9] =
    ["_LUT4", "_PFUMX", "_L6MUX21", "_CCU2C", "_TRELLIS_FF", "_TRELLIS_DPR16X4", "_DP16KD", "_MULT18X18D", "$"];

/// Instances of the harness and of a memory's inside: they are no blocks of their own.
fn is_block(part: &str) -> bool {
    part.starts_with("u_")
}

/// The block of a cell or signal, `storage.queues`, and the signal, `head_q`.
pub fn split(name: &str) -> (String, String) {
    let name = MADE_UP.iter().filter_map(|word| name.find(word)).min().map_or(name, |end| &name[..end]);
    let parts: Vec<&str> = name.split('.').collect();
    let blocks = parts.iter().take_while(|part| is_block(part)).count();
    let path: Vec<&str> = parts[..blocks]
        .iter()
        .map(|part| part.strip_prefix("u_").unwrap_or(part))
        // The card holds a core and engines; the core's blocks are the card's.
        .filter(|part| !["card", "core"].contains(part))
        .collect();
    let signal = parts[blocks..].join(".");
    let signal = signal.split('[').next().unwrap_or_default();
    let signal = if blocks == parts.len() { "" } else { signal };
    (path.join("."), signal.to_owned())
}

/// The block that a table lists: the first two levels, as deep as the engines' folders go.
pub fn block(name: &str) -> String {
    let (path, _) = split(name);
    let depth = if ["storage", "net", "manage"].iter().any(|engine| path.starts_with(engine)) { 2 } else { 1 };
    path.split('.').take(depth).collect::<Vec<_>>().join(".")
}

/// `storage.queues.head`, as a path's end is called: without the `_q` and `_d` of a register's two sides.
pub fn signal(name: &str) -> String {
    let (path, signal) = split(name);
    let signal = signal.strip_suffix("_q").or_else(|| signal.strip_suffix("_d")).unwrap_or(&signal);
    // A memory is a block with one signal, which says nothing.
    let signal = if signal.starts_with("mem.") || signal == "rdata" { "" } else { signal };
    match (path.is_empty(), signal.is_empty()) {
        (true, _) => signal.to_owned(),
        (false, true) => path,
        (false, false) => format!("{path}.{signal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_name_leads_to_the_block_and_the_signal() {
        assert_eq!(
            split("u_card.u_storage.u_queues.head_q_TRELLIS_FF_Q_3"),
            ("storage.queues".into(), "head_q".into())
        );
        assert_eq!(split("u_card.u_read.at_q_LUT4_Z_A_LUT4_Z_1"), ("read".into(), "at_q".into()));
        assert_eq!(split("u_card.busy_PFUMX_Z"), (String::new(), "busy".into()));
        assert_eq!(split("u_card.u_msix.u_pba.mem.0.0.4_LUT4_D"), ("msix.pba".into(), "mem.0.0.4".into()));
        assert_eq!(split("shift_q[12]"), (String::new(), "shift_q".into()));
    }

    #[test]
    fn a_block_of_the_table_is_an_engine_or_a_part_of_storage() {
        assert_eq!(block("u_card.u_msix.u_pba.mem.0.0"), "msix");
        assert_eq!(block("u_card.u_storage.u_front.u_walker.st_q"), "storage.front");
        assert_eq!(block("u_storage.st_q_LUT4_Z"), "storage");
    }

    #[test]
    fn the_end_of_a_path_is_called_as_in_the_source() {
        assert_eq!(signal("u_card.u_storage.u_queues.head_q_TRELLIS_FF_Q_3"), "storage.queues.head");
        assert_eq!(signal("u_card.u_msix.u_pba.mem.0.0.4_LUT4_D"), "msix.pba");
        assert_eq!(signal("u_card.u_control.u_lane_0.rdata_TRELLIS_FF_Q_3"), "control.lane_0");
    }
}
