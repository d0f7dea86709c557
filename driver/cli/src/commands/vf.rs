//! `azote vf`: virtual functions made, bound, listed, released.

use std::io::Write;

use azote_vf::{Host, Pf, bind, create, inventory, release, sweep};
use serde_json::{Value, json};

use super::{print, print_json};
use crate::{
    Result,
    args::{PciAddress, VfCommand},
    card::columns,
};

/// Does what was asked for. What processes that died had taken for their guests is given back first.
pub fn run(host: &Host, command: &VfCommand, out: &mut dyn Write) -> Result<()> {
    if !matches!(command, VfCommand::List { .. }) {
        for address in sweep(host)? {
            eprintln!("azote: {address}: released; the process that had it is gone");
        }
    }
    let mut done = |json: &bool, address: &str, what: &str, text: String| {
        if *json { print_json(out, &json!({ "address": address, "done": what })) } else { print(out, &text) }
    };
    match command {
        VfCommand::Create { pf: PciAddress(pf), count, bind: and_bind, json } => {
            for address in create(host, pf, *count)? {
                if *and_bind {
                    bind(host, &address)?;
                }
                done(json, &address, if *and_bind { "created and bound" } else { "created" }, format!("{address}\n"))?;
            }
            Ok(())
        }
        VfCommand::Bind { function, json } => {
            for PciAddress(address) in function {
                bind(host, address)?;
                done(json, address, "bound", format!("{address}: bound to vfio-pci\n"))?;
            }
            Ok(())
        }
        VfCommand::List { json: true } => inventory(host)?.iter().try_for_each(|pf| print_json(out, &value(pf))),
        VfCommand::List { json: false } => print(out, &table(&inventory(host)?)),
        VfCommand::Release { function: PciAddress(address), json } => {
            release(host, address)?;
            done(json, address, "released", format!("{address}: released\n"))
        }
    }
}

/// A PF with its VFs, for programs.
fn value(pf: &Pf) -> Value {
    let vfs = pf.vfs.iter().map(|vf| {
        json!({
            "address": vf.address, "index": vf.index, "driver": vf.driver, "iommu_group": vf.group, "in_use_by": vf.user,
        })
    });
    json!({
        "address": pf.address,
        "kind": pf.kind.name(),
        "driver": pf.driver,
        "total_vfs": pf.total,
        "vfs": vfs.collect::<Vec<_>>(),
    })
}

fn table(pfs: &[Pf]) -> String {
    if pfs.is_empty() {
        return "this machine has no physical function with SR-IOV\n".into();
    }
    let mut rows = vec![["ADDRESS", "KIND", "FUNCTION", "DRIVER", "GROUP", "IN USE BY"].map(str::to_owned)];
    let text = |driver: &Option<String>| driver.clone().unwrap_or_else(|| "-".into());
    for pf in pfs {
        let role = format!("PF, {} of {} VFs", pf.vfs.len(), pf.total);
        rows.push([pf.address.clone(), pf.kind.name().into(), role, text(&pf.driver), String::new(), String::new()]);
        for vf in &pf.vfs {
            let group = vf.group.map_or("none".into(), |g| g.to_string());
            let role = format!("  VF {}", vf.index);
            let user = vf.user.clone().unwrap_or_else(|| "-".into());
            rows.push([vf.address.clone(), pf.kind.name().into(), role, text(&vf.driver), group, user]);
        }
    }
    columns(&rows)
}
