//! Error messages: a header and nothing else, once.

use azote_regs::function::{FunctionId, Kind};
use azote_regs::pcie::tlp;
use azote_rtl::config::Message;

use crate::bench::{self, Packets};

const BUS: u64 = 0x11;

#[test]
fn a_message_goes_to_the_root_complex_once_and_a_second_one_meanwhile_is_lost() {
    let mut dut = bench::build("message", Message::default);
    let mut rng = bench::rng(1);
    dut.set("bus_number", BUS.into());
    for (kind, code) in
        [(Kind::Net, tlp::MSG_ERR_COR), (Kind::Storage, tlp::MSG_ERR_NONFATAL), (Kind::Trust, tlp::MSG_ERR_FATAL)]
    {
        let mut link = Packets::new("tx_", 20);
        let mut seen = Vec::new();
        for clock in 0..100 {
            // The second comes while the first waits: the specification lets it be lost (PCIe 6.2.3.1).
            dut.set("send", (clock < 2).into());
            dut.set("owner", if clock == 0 { kind.code().into() } else { 0 });
            dut.set("code", if clock == 0 { code.into() } else { 0 });
            link.drive(&mut dut, &mut rng);
            if clock < 2 {
                dut.set("tx_ready", 0);
                dut.eval();
            } else {
                dut.eval();
                seen.extend(link.taken(&dut));
            }
            dut.clock();
        }
        assert_eq!(seen.len(), 1);
        let p = &seen[0];
        assert_eq!(tlp::FMT_TYPE.of(p.dw(0)), tlp::MSG | tlp::ROUTE_TO_ROOT);
        assert_eq!((p.dw(0) & !tlp::FMT_TYPE.mask(), p.dw(2), p.dw(3), p.payload.len()), (0, 0, 0, 0));
        let requester = tlp::ID_BUS.put(BUS) | u64::from(FunctionId::pf(kind).number());
        assert_eq!(p.dw(1), tlp::REQUESTER_ID.put(requester) | tlp::MESSAGE_CODE.put(code));
        assert_eq!(p.owner, kind as u8);
    }
}
