//! `azote vf`: virtual functions made, bound, listed, released.

use std::io::Write;

use azote_vf::{Host, Pf, bind, create, inventory, release, sweep};

use super::print;
use crate::{
    Result,
    args::{PciAddress, VfCommand},
    card::columns,
};

/// Does what was asked for. What processes that died had taken for their guests is given back first.
pub fn run(host: &Host, command: &VfCommand, out: &mut dyn Write) -> Result<()> {
    if !matches!(command, VfCommand::List) {
        for address in sweep(host)? {
            eprintln!("azote: {address}: released; the process that had it is gone");
        }
    }
    match command {
        VfCommand::Create { pf: PciAddress(pf), count, bind: and_bind } => {
            for address in create(host, pf, *count)? {
                if *and_bind {
                    bind(host, &address)?;
                }
                print(out, &format!("{address}\n"))?;
            }
            Ok(())
        }
        VfCommand::Bind { function } => {
            for PciAddress(address) in function {
                bind(host, address)?;
                print(out, &format!("{address}: bound to vfio-pci\n"))?;
            }
            Ok(())
        }
        VfCommand::List => print(out, &table(&inventory(host)?)),
        VfCommand::Release { function: PciAddress(address) } => {
            release(host, address)?;
            print(out, &format!("{address}: released\n"))
        }
    }
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
