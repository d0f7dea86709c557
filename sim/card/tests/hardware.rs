//! The Verilated side, tried on a stand-in with the card's ports: it answers every packet with a write of its own, and
//! hands media requests through.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use azote_sim::device::{Inputs, MediaOp, MediaResult, Outputs, TlpDevice};
use azote_sim::{Error, Hardware};
use azote_tlp::{Assembler, Body, Memory, Packet, Rid, Tlp};
use azote_verilate::Options;

/// Echoes each beat one clock later; a media read of the block that the first DW names follows each packet.
const ECHO: &str = "
module azote_card(
  input wire clock, input wire reset,
  input wire rx_valid, output wire rx_ready, input wire rx_sop, input wire rx_eop,
  input wire [3:0] rx_keep, input wire [127:0] rx_data,
  output reg tx_valid, input wire tx_ready, output reg tx_sop, output reg tx_eop,
  output reg [3:0] tx_keep, output reg [127:0] tx_data,
  output reg mreq_valid, input wire mreq_ready, output wire [2:0] mreq_op, output wire mreq_fua, output wire [7:0] mreq_volume,
  output reg [63:0] mreq_lba, output wire [47:0] mreq_blocks,
  input wire mrd_valid, output wire mrd_ready, input wire [127:0] mrd_data, input wire mrd_last, input wire mrd_error,
  output wire mwr_valid, input wire mwr_ready, output wire [127:0] mwr_data, output wire mwr_last,
  input wire mdone_valid, output wire mdone_ready, input wire [1:0] mdone_result,
  output wire busy);
  assign rx_ready = !tx_valid || tx_ready;
  assign mreq_op = 3'd3;
  assign mreq_fua = mreq_lba[0];
  assign mreq_volume = 8'h5a;
  assign mreq_blocks = 48'hfedc_ba98_7654;
  assign mrd_ready = mrd_valid;
  assign mwr_valid = mwr_ready;
  assign mwr_data = mrd_data;
  assign mwr_last = mrd_last ^ mrd_error;
  assign mdone_ready = mdone_valid & (mdone_result == 2'd2);
  assign busy = tx_valid;
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
            assert_eq!((request.op, request.volume), (MediaOp::WriteZeroes, 0x5a));
            assert_eq!((request.fua, request.blocks), (request.lba & 1 == 1, 0xfedc_ba98_7654));
            lba = Some(request.lba);
        }
    }
    for (result, taken) in [(MediaResult::Done, false), (MediaResult::Failed, false), (MediaResult::Differs, true)] {
        hardware.cycle(&Inputs { mdone: Some(result), ..Inputs::default() }, &mut outputs);
        assert_eq!(outputs.mdone_ready, taken, "{result:?}");
    }
    assert_eq!(back.unwrap(), packet);
    assert_eq!(lba, Some(0x6362_6160), "the last beat's first DW, and a zero one");
}

#[test]
fn waves_are_written_when_built_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("card.fst");
    assert!(matches!(built(false).trace(&path), Err(Error::Trace { .. })));
    let mut hardware = built(true);
    hardware.trace(&path).unwrap();
    let mut outputs = Outputs::default();
    for _ in 0..50 {
        hardware.cycle(&Inputs::default(), &mut outputs);
    }
    drop(hardware);
    assert!(std::fs::metadata(path).unwrap().len() > 100);
}
