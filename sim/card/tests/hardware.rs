//! The Verilated side, tried on a stand-in with the card's ports: it answers every packet with a write of its own, and
//! hands media requests through.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use azote_sim::device::{
    EthernetBeat, Inputs, MediaBeat, MediaDone, MediaOp, MediaRead, MediaResult, Outputs, TlpDevice, WaveScope,
};
use azote_sim::{Error, Hardware, Options as Settings, Root};
use azote_tlp::{Assembler, Body, Memory, Packet, Rid, Tlp};
use azote_verilate::Options;
use wellen::simple::Waveform;

/// Echoes each beat one clock later; a media read of the block that the first DW names follows each packet.
const ECHO: &str = "
module azote_card(
  input wire clock, input wire reset,
  input wire engine_clock_0, input wire engine_clock_1, input wire engine_clock_2, output wire [2:0] awake,
  input wire rx_valid, output wire rx_ready, input wire rx_sop, input wire rx_eop,
  input wire [3:0] rx_keep, input wire [127:0] rx_data,
  output reg tx_valid, input wire tx_ready, output reg tx_sop, output reg tx_eop,
  output reg [3:0] tx_keep, output reg [127:0] tx_data,
  output reg mreq_valid, input wire mreq_ready, output wire [11:0] mreq_tag, output wire [3:0] mreq_op, output wire mreq_fua, output wire [7:0] mreq_volume,
  output reg [63:0] mreq_lba, output wire [47:0] mreq_blocks,
  input wire mrd_valid, output wire mrd_ready, input wire [127:0] mrd_data, input wire mrd_last,
  input wire mrd_error, input wire mrd_hole,
  output wire mwr_valid, input wire mwr_ready, output wire [127:0] mwr_data, output wire mwr_last, output wire mwr_spoilt,
  input wire mdone_valid, output wire mdone_ready, input wire [11:0] mdone_tag, input wire [2:0] mdone_result,
  output wire mget_valid, input wire mget_ready, output wire [11:0] mget_tag,
  input wire erx_valid, output wire erx_ready, input wire erx_sop, input wire erx_eop, input wire [4:0] erx_bytes,
  input wire erx_error, input wire [127:0] erx_data,
  output wire etx_valid, input wire etx_ready, output wire etx_sop, output wire etx_eop, output wire [4:0] etx_bytes,
  output wire [127:0] etx_data,
  output wire busy);
  assign rx_ready = !tx_valid || tx_ready;
  assign mreq_tag = mreq_lba[11:0] ^ 12'h800;
  assign mreq_op = 4'd8;
  assign mreq_fua = mreq_lba[0];
  assign mreq_volume = 8'h5a;
  assign mreq_blocks = 48'hfedc_ba98_7654;
  assign mrd_ready = mrd_valid & mrd_hole;
  assign mwr_valid = mwr_ready;
  assign mwr_data = mrd_data;
  assign mwr_last = mrd_last ^ mrd_error;
  assign mwr_spoilt = mrd_error & ~mrd_last;
  assign mdone_ready = mdone_valid & (mdone_result == 3'd4) & (mdone_tag == 12'ha5c);
  assign mget_valid = mget_ready;
  assign mget_tag = ~mdone_tag;
  assign erx_ready = erx_valid & erx_error;
  assign etx_valid = etx_ready;
  assign etx_sop = erx_sop & ~erx_eop;
  assign etx_eop = erx_eop & ~erx_sop;
  assign etx_bytes = ~erx_bytes;
  assign etx_data = erx_data;
  assign busy = tx_valid;
  assign awake = 3'h5;
  always_ff @(posedge clock)
    if (reset) begin
      tx_valid <= 1'b0; mreq_valid <= 1'b0;
      tx_sop <= 1'b0; tx_eop <= 1'b0; tx_keep <= 4'd0; tx_data <= 128'd0; mreq_lba <= 64'd0;
    end else begin
      if (mreq_ready) mreq_valid <= 1'b0;
      if (rx_valid && rx_ready) begin
        tx_valid <= 1'b1; tx_sop <= rx_sop; tx_eop <= rx_eop; tx_keep <= rx_keep; tx_data <= rx_data;
        if (rx_eop) begin mreq_valid <= 1'b1; mreq_lba <= rx_data[63:0]; end
      end else if (tx_ready) tx_valid <= 1'b0;
    end
endmodule
";

fn built(trace: bool) -> Hardware {
    let options = Options::block().with_trace(trace);
    let mut hardware = Hardware::build(ECHO.into(), &options).unwrap();
    let mut outputs = Outputs::default();
    for _ in 0..2 {
        hardware.cycle(&Inputs { reset: true, ..Inputs::default() }, &mut outputs);
    }
    hardware
}

#[test]
fn beats_and_media_signals_go_through_unchanged() {
    let mut hardware = built(false);
    let memory = Memory::span(Rid::new(1, 17), 5, 0x1_0000_0040, 100);
    let packet = Tlp::from(Body::MemWrite(memory, (0..100).collect())).packet();
    let mut assembler = Assembler::default();
    let mut outputs = Outputs::default();
    let mut index = 0;
    let mut back: Option<Packet> = None;
    let mut lba = None;
    for clock in 0..40 {
        let rx = (index < packet.beat_count() as usize).then(|| packet.beat(index));
        let inputs = Inputs { rx, tx_ready: clock % 3 != 0, mreq_ready: true, ..Inputs::default() };
        hardware.cycle(&inputs, &mut outputs);
        if rx.is_some() && outputs.rx_ready {
            index += 1;
        }
        if let (Some(beat), true) = (outputs.tx, inputs.tx_ready) {
            back = assembler.push(beat).unwrap().or(back);
        }
        if let Some(request) = outputs.mreq {
            assert_eq!((request.op, request.volume), (MediaOp::Cancel, 0x5a));
            assert_eq!(u64::from(request.tag), request.lba & 0xfff ^ 0x800);
            assert_eq!((request.fua, request.blocks), (request.lba & 1 == 1, 0xfedc_ba98_7654));
            lba = Some(request.lba);
        }
    }
    for (tag, result, taken) in [
        (0xa5c, MediaResult::Done, false),
        (0xa5c, MediaResult::Failed, false),
        (0xa5c, MediaResult::Differs, false),
        (0xa5c, MediaResult::Aborted, false),
        (0x25c, MediaResult::Hole, false),
        (0xa5c, MediaResult::Hole, true),
    ] {
        for mget_ready in [false, true] {
            let mdone = Some(MediaDone { tag, result });
            hardware.cycle(&Inputs { mdone, mget_ready, ..Inputs::default() }, &mut outputs);
            assert_eq!(outputs.mdone_ready, taken, "{tag:#x} {result:?}");
            assert_eq!(outputs.mget, mget_ready.then_some(!tag & 0xfff));
        }
    }
    for (hole, last, error) in [(true, true, false), (false, true, true), (false, false, false)] {
        let mrd = Some(MediaRead { hole, data: [1, 2, 3, 4], last, error });
        hardware.cycle(&Inputs { mrd, mwr_ready: true, ..Inputs::default() }, &mut outputs);
        assert_eq!(outputs.mrd_ready, hole);
        assert_eq!(outputs.mwr, Some(MediaBeat { data: [1, 2, 3, 4], last: last ^ error, spoilt: error && !last }));
    }
    for (sop, eop, error) in [(true, false, true), (false, true, false), (true, true, true)] {
        let data = [5, 6, 7, 0xf000_0008];
        let erx = Some(EthernetBeat { data, bytes: 9, sop, eop, error });
        for etx_ready in [true, false] {
            hardware.cycle(&Inputs { erx, etx_ready, ..Inputs::default() }, &mut outputs);
            assert_eq!(outputs.erx_ready, error);
            let beat = EthernetBeat { data, bytes: 22, sop: sop && !eop, eop: eop && !sop, error: false };
            assert_eq!(outputs.etx, etx_ready.then_some(beat));
        }
    }
    assert_eq!(back.unwrap(), packet);
    assert_eq!(lba, Some(0x6362_6160), "the last beat's first DW, and a zero one");
}

/// A card of two levels, with a register whose values have names.
fn nested() -> String {
    let inner = "module Counter(\n  input wire clock,\n  input wire reset\n);\n  reg [1:0] st_q;\n  initial st_q = 2'h0;\n  \
                 always @(posedge clock) if (reset) st_q <= 2'h0; else st_q <= st_q + 2'h1;\n  \
                 // st_q[1:0]: IDLE=0 BEGIN=1 GO=2 END=3\nendmodule\n";
    let outer = ECHO.replace("endmodule", "  Counter u_counter (.clock(clock), .reset(reset));\nendmodule");
    inner.to_owned() + &outer
}

fn waved(scope: &WaveScope, path: &std::path::Path) -> Waveform {
    let mut hardware = Hardware::build(nested(), &Options::block().with_trace(true)).unwrap();
    hardware.trace(path, scope).unwrap();
    let mut outputs = Outputs::default();
    for clock in 0..50 {
        hardware.cycle(&Inputs { reset: clock < 2, ..Inputs::default() }, &mut outputs);
    }
    drop(hardware);
    wellen::simple::read(path).unwrap()
}

#[test]
fn times_in_waves_are_numbers_of_clocks_and_states_have_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("card.fst");
    let mut waves = waved(&WaveScope::default(), &path);
    let hierarchy = waves.hierarchy().clone();
    let ps = hierarchy.timescale().unwrap();
    assert_eq!((ps.factor, ps.unit), (1, wellen::TimescaleUnit::PicoSeconds));
    assert_eq!((waves.time_table().first(), waves.time_table().last()), (Some(&0), Some(&49_500)));
    let find = |name: &str| {
        hierarchy.all_vars().map(|v| &hierarchy[v]).find(|v| v.full_name(&hierarchy).ends_with(name)).unwrap()
    };
    let (_, names) = find("u_counter.st_name").enum_type(&hierarchy).unwrap();
    assert_eq!(names.iter().map(|(_, name)| *name).collect::<Vec<_>>(), ["IDLE", "BEGIN", "GO", "END"]);
    // Reset ends with clock 1, so the edge of clock 2 is the first to count.
    let state = find("u_counter.st_q").signal_ref();
    waves.load_signals(&[state]);
    let index = waves.time_table().iter().position(|time| *time == 2_500).unwrap() as u32;
    let signal = waves.get_signal(state).unwrap();
    let value = |index| signal.get_value_at(&signal.get_offset(index).unwrap(), 0).to_bit_string().unwrap();
    assert_eq!((value(index - 1), value(index)), ("00".into(), "01".into()));
}

#[test]
fn waves_are_of_the_clocks_and_blocks_that_were_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("card.fst");
    let scope = WaveScope { from: 10, to: 12, blocks: vec!["counter".into()] };
    let waves = waved(&scope, &path);
    assert_eq!(waves.time_table(), [10_000, 10_500, 11_000, 11_500, 12_000, 12_500]);
    let hierarchy = waves.hierarchy();
    let names: Vec<_> = hierarchy.all_vars().map(|v| hierarchy[v].full_name(hierarchy)).collect();
    assert!(!names.is_empty() && names.iter().all(|name| name.contains("u_counter")), "{names:?}");
    // What is not there is said, with what is.
    let mut hardware = Hardware::build(nested(), &Options::block().with_trace(true)).unwrap();
    let scope = WaveScope { blocks: vec!["count".into()], ..WaveScope::default() };
    let said = hardware.trace(&path, &scope).unwrap_err().to_string();
    assert!(said.contains("no block `count`; there are counter"), "{said}");
    let said = built(false).trace(&path, &WaveScope::default()).unwrap_err().to_string();
    assert!(said.contains("built without waves"), "{said}");
}

/// The outputs of some clocks with inputs of no sense, which change in every clock.
fn answers(mut hardware: Hardware) -> Vec<Outputs> {
    let mut noise = 1u64;
    let mut outputs = Outputs::default();
    let mut all = Vec::new();
    for clock in 0..300 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bit = |n: u32| noise >> (40 + n) & 1 == 1;
        let data = [noise as u32, (noise >> 32) as u32, clock, !clock];
        let inputs = Inputs {
            reset: clock < 2 || bit(0) & bit(1) & bit(2) & bit(3),
            rx: bit(4).then_some(azote_tlp::Beat { data, keep: 15, sop: bit(5), eop: bit(6) }),
            tx_ready: bit(7),
            mreq_ready: bit(8),
            mrd: bit(9).then_some(MediaRead { data, last: bit(10), error: bit(11), hole: bit(12) }),
            mwr_ready: bit(13),
            mdone: bit(14).then_some(MediaDone { tag: noise as u16 & 0xfff, result: MediaResult::Hole }),
            mget_ready: bit(15),
            erx: bit(16).then_some(EthernetBeat { data, bytes: 16, sop: bit(17), eop: bit(18), error: bit(19) }),
            etx_ready: bit(20),
        };
        hardware.cycle(&inputs, &mut outputs);
        all.push(outputs);
    }
    all
}

#[test]
fn with_waves_and_without_every_output_of_every_clock_is_the_same() {
    let [with, without] =
        [true, false].map(|waves| Hardware::build(ECHO.into(), &Options::block().with_trace(waves)).unwrap());
    assert_eq!(answers(with), answers(without));
}

#[test]
fn a_profile_tells_blocks_and_what_is_no_block_apart() {
    let mut hardware = Hardware::build(nested(), &Options::block().with_profile(true)).unwrap();
    let profiler = hardware.profiler().unwrap();
    let mut outputs = Outputs::default();
    profiler.begin();
    let begun = std::time::Instant::now();
    // Until there is something to tell, on a machine that is busy, too.
    while begun.elapsed() < std::time::Duration::from_millis(500) {
        (0..10_000).for_each(|_| hardware.cycle(&Inputs::default(), &mut outputs));
    }
    let found = profiler.end().unwrap();
    assert!(found.keys().flatten().all(|block| ["", "counter", "(around the blocks)"].contains(&block.as_str())));
    assert!(found.contains_key(&Some(String::new())), "{found:?}");
    assert!(built(false).profiler().is_none());
}

/// A card one of whose checks fails at the end of the clock in which a beat of a zero first DW comes.
fn checked(waves: bool) -> Hardware {
    let import = "import \"DPI-C\" function void azote_check_failed(input string what);\n";
    let check = "  always @(posedge clock) if (!reset && rx_valid)\n    \
                 assert (rx_data[31:0] != 32'd0) else azote_check_failed(\"no zero\");\nendmodule";
    let text = import.to_owned() + &ECHO.replace("endmodule", check);
    Hardware::build(text, &Options::block().with_trace(waves)).unwrap()
}

#[test]
fn a_check_that_fails_names_its_clock_also_if_it_is_the_last() {
    for (waves, after) in [(false, 3), (false, 0), (true, 3), (true, 0)] {
        let failed = std::panic::catch_unwind(move || {
            let mut hardware = checked(waves);
            let mut outputs = Outputs::default();
            for clock in 0..10 + after {
                let beat =
                    azote_tlp::Beat { data: [9u32.wrapping_sub(clock), 0, 0, 0], keep: 15, sop: true, eop: true };
                let rx = (clock < 10).then_some(beat);
                hardware.cycle(&Inputs { rx, ..Inputs::default() }, &mut outputs);
            }
        });
        let said = *failed.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(said, "a check of the card's own failed in clock 10: no zero", "waves: {waves}, {after} more");
    }
}

fn names(folder: &std::path::Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn waves_take_their_place_when_they_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("card.fst");
    std::fs::write(&path, "what was there").unwrap();
    let traced = |settings: Settings| Root::traced(Box::new(built(true)), settings, Some(&path));
    let inputs = [&path].into_iter().collect();
    assert!(matches!(traced(Settings { inputs, ..Settings::default() }), Err(Error::File(_))));
    // Finished, or ended in another way: a file that a viewer takes.
    for finish in [true, false] {
        let mut root = traced(Settings::default()).unwrap();
        root.run_idle(100);
        let other = finish.then(|| std::fs::read(&path).unwrap());
        assert!(other.is_none_or(|bytes| bytes == b"what was there"));
        if finish {
            root.finish().unwrap();
        }
        drop(root);
        assert_eq!(std::fs::read(&path).unwrap()[..9], [0, 0, 0, 0, 0, 0, 0, 1, 73], "a header of 329 bytes");
        assert_eq!(names(folder.path()), ["card.fst"]);
    }
}

/// A file system with little room, if this user may make one.
struct Small(tempfile::TempDir);

impl Small {
    fn new() -> Option<Small> {
        let folder = tempfile::tempdir().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=20m", "tmpfs"];
        let done = std::process::Command::new("mount").args(mount).arg(folder.path()).status();
        done.is_ok_and(|s| s.success()).then_some(Small(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_an_error_and_leaves_no_file() {
    let Some(small) = Small::new() else {
        eprintln!("skipped: this user may mount nothing");
        return;
    };
    let folder = small.0.path();
    let begin = |settings, waves: Option<&str>| {
        Root::traced(Box::new(built(true)), settings, waves.map(|name| folder.join(name)).as_deref())
    };
    let log = Settings { log: Some(folder.join("log")), ..Settings::default() };
    // It fills up while there is something to write.
    for (settings, waves) in [(log, None), (Settings::default(), Some("waves"))] {
        let _ = std::fs::remove_file(folder.join("filler"));
        let mut root = begin(settings, waves).unwrap();
        root.mem_write(0x1000, &[0x5a; 64]);
        root.run_idle(100);
        let filler = folder.join("filler");
        let mut file = std::fs::File::create(&filler).unwrap();
        while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
        // Something that does not become small when it is compressed.
        let mut noise = 1u64;
        for _ in 0..2000 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            root.mem_write(0x1000, &[noise, noise.rotate_left(17), noise ^ noise >> 9].map(u64::to_le_bytes).concat());
            root.run_idle(100);
        }
        let error = root.finish().unwrap_err();
        assert_eq!(waves.is_some(), matches!(error, Error::Trace { .. }), "{error}");
        assert!(waves.is_some() || error.to_string().contains("No space"), "{error}");
        assert_eq!(names(folder), ["filler"]);
    }
    // It is full before.
    let error = begin(Settings::default(), Some("waves")).err().unwrap().to_string();
    assert!(error.contains("less than 16 MiB free"), "{error}");
    assert_eq!(names(folder), ["filler"]);
}
