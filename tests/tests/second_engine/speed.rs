//! How fast the card with two engines is simulated while both work, one of them, or none: with engines that stand still while they have
//! nothing to do, and with such as do not. `cargo test --release -p azote-tests --test second_engine -- --ignored --nocapture`.

use azote_sim::Hardware;
use azote_tests::load::Load;
use azote_tests::processor::Start;

use super::*;

/// Parts of each, in turns; the best counts, for a busy machine only ever takes away.
const PARTS: usize = 5;

struct Rig {
    card: Card,
    nvmes: Vec<Controller>,
    copies: Copies,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn new(text: &str, always: bool) -> Rig {
        let mut device = Hardware::build(text.to_owned(), &azote_verilate::Options::fast()).unwrap();
        if always {
            device.clock_always();
        }
        let card = Card::over(Box::new(device), Options::default()).unwrap();
        card.set_vfs(FunctionId::pf(Kind::Net).number(), 3).unwrap();
        let mut rng = SmallRng::seed_from_u64(1);
        let folder = rig::volumes(&card, 2, BLOCKS).unwrap();
        let options = NvmeOptions { io_queues: 1, events: 0, ..NvmeOptions::default() };
        let nvmes = (0..2).map(|vf| rig::controller(&card, vf, 4 << 20, options.clone()).unwrap()).collect();
        let copies = Copies::new(&card, FunctionId::vf(Kind::Net, 1).unwrap(), &mut rng);
        Rig { card, nvmes, copies, _folder: folder }
    }

    fn stores(&mut self) {
        Load { bytes: 4096, depth: 32, commands: 500, writes: 30, seed: 2 }.run(&mut self.nvmes).unwrap();
    }

    fn copies(&mut self) {
        for _ in 0..10 {
            self.copies.begin(0, 0, SIZE);
            assert_eq!(self.copies.end(), 1);
        }
    }

    fn rests(&mut self) {
        let mut root = self.card.root();
        for _ in 0..100_000 {
            root.clock();
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn clocks_a_second() {
    let design = azote_rtl::on_big_stack(|| azote_hdl::print(&card::Card::new(4), "azote_card")).unwrap();
    let mut rigs = [false, true].map(|always| Rig::new(&design.text, always));
    let situations = ["storage works", "the copier works", "nobody works"];
    for (name, what) in situations.into_iter().zip([Rig::stores as fn(&mut Rig), Rig::copies, Rig::rests]) {
        let mut best = [0.0f64; 2];
        for _ in 0..PARTS {
            for (rig, best) in rigs.iter_mut().zip(&mut best) {
                let (start, clocks) = (Start::now().unwrap(), rig.card.clocks());
                what(rig);
                let speed = (rig.card.clocks() - clocks) as f64 / start.elapsed().unwrap().as_secs_f64();
                *best = best.max(speed);
            }
        }
        println!("{name:20} {:>10.0} clocks/s, {:>10.0} if all are clocked", best[0], best[1]);
    }
}
