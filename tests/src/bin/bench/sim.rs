//! `bench sim`: how fast the whole card simulates under load.

use std::time::Instant;

use azote_tests::Result;
use azote_tests::figures::Figure;
use azote_tests::load::Load;

use crate::Arguments;
use crate::storage::{TOGETHER, clean, driver, rig};

/// What a machine of two cores must reach. Not a bound of nature: there is none for a simulator.
const WANTED: f64 = 500_000.0;

/// Measures it: clocks under load, by the time that they and everything around them took.
pub fn measure(arguments: &Arguments) -> Result<Vec<Figure>> {
    let (card, _folder) = rig(arguments, TOGETHER)?;
    let mut nvmes = (0..TOGETHER).map(|vf| driver(&card, vf)).collect::<Result<Vec<_>>>()?;
    let load = |writes, commands| Load { bytes: 4096, depth: 32, commands, writes, seed: 2 };
    load(0, 100).run(&mut nvmes)?;
    let (start, clocks) = (Instant::now(), card.clocks());
    load(30, arguments.commands).run(&mut nvmes)?;
    let value = (card.clocks() - clocks) as f64 / start.elapsed().as_secs_f64();
    clean(&card)?;
    Ok(vec![Figure::rate("sim.clocks_per_second", value, "clocks/s", WANTED).at_least(1.0)])
}
