//! Error messages: a header and nothing else, once.

use azote_regs::function::{FunctionId, Kind};
use azote_regs::pcie::tlp;
use azote_rtl::config::Message;
use azote_rtl::transaction::header::Sends;
use rand::Rng;

use crate::bench::{self, Packets};

const BUS: u64 = 0x11;

#[test]
fn messages_go_to_the_root_complex_once_each_and_none_is_lost_while_there_is_room() {
    let mut dut = bench::build("message", Message::default);
    let mut rng = bench::rng(1);
    let codes = [tlp::MSG_ERR_COR, tlp::MSG_ERR_NONFATAL, tlp::MSG_ERR_FATAL];
    let mut link = Packets::new("tx_", 20);
    let (mut sent, mut seen) = (vec![], vec![]);
    // Up to three in a row, begun only when there is room for three.
    let mut row = 0;
    for clock in 0..4000 {
        dut.eval();
        if row == 0 && clock < 3900 && dut.get("send_room") == 1 && rng.random_ratio(1, 4) {
            row = rng.random_range(1..=3);
        }
        let kind = Kind::ALL[rng.random_range(0..3)];
        let code = codes[rng.random_range(0..3)];
        dut.set("send_valid", (row != 0).into());
        dut.set("send_owner", kind.code().into());
        dut.set("send_code", code.into());
        if row != 0 {
            sent.push((kind, code));
            row -= 1;
        }
        link.drive(&mut dut, &mut rng);
        dut.eval();
        seen.extend(link.taken(&dut).map(|p| p.signed(Sends::MESSAGE, BUS)));
        dut.clock();
    }
    assert!(sent.len() > 500 && dut.get("busy") == 0);
    assert_eq!(seen.len(), sent.len());
    for (p, (kind, code)) in seen.iter().zip(sent) {
        assert_eq!(tlp::FMT_TYPE.of(p.dw(0)), tlp::MSG | tlp::ROUTE_TO_ROOT);
        assert_eq!((p.dw(0) & !tlp::FMT_TYPE.mask(), p.dw(2), p.dw(3), p.payload.len()), (0, 0, 0, 0));
        let requester = tlp::ID_BUS.put(BUS) | u64::from(FunctionId::pf(kind).number());
        assert_eq!(p.dw(1), tlp::REQUESTER_ID.put(requester) | tlp::MESSAGE_CODE.put(code));
        assert_eq!(p.owner, kind as u8);
    }
}
