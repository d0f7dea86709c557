//! Every TLP survives its beats; every beat sequence is answered, never panics.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use azote_tlp::{Assembler, Attributes, Beat, Body, CfgType, Completion, Malformed, Memory, Message, Packet};
use azote_tlp::{Rid, Status, Tlp, request, rules};
use proptest::prelude::*;

fn rid() -> impl Strategy<Value = Rid> {
    any::<u16>().prop_map(Rid)
}

fn memory() -> impl Strategy<Value = Memory> {
    let address = prop_oneof![0..0x1_0000_0000u64, 0x1_0000_0000..=u64::MAX];
    (rid(), any::<u8>(), address, 1..=1024u16, 0..16u8, 0..16u8).prop_map(
        |(requester, tag, address, length, first_be, last_be)| Memory {
            requester,
            tag,
            address: address & !3,
            length,
            first_be,
            last_be,
        },
    )
}

fn payload(dws: u16) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), usize::from(dws) * 4)
}

fn completion() -> impl Strategy<Value = Completion> {
    let ids = (rid(), rid(), any::<u8>());
    (ids, 0..8u8, any::<bool>(), 1..=4096u16, 0..0x80u8).prop_map(
        |((completer, requester, tag), status, byte_count_modified, byte_count, lower_address)| Completion {
            completer,
            status: Status::from_bits(status),
            byte_count_modified,
            byte_count,
            requester,
            tag,
            lower_address,
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    (rid(), any::<u8>(), 0..8u8, any::<u8>(), any::<[u32; 2]>())
        .prop_map(|(requester, tag, routing, code, rest)| Message { requester, tag, routing, code, rest })
}

fn config() -> impl Strategy<Value = Body> {
    let cfg = prop_oneof![Just(CfgType::Type0), Just(CfgType::Type1)];
    (cfg, rid(), any::<u8>(), rid(), 0..1024u16, 0..16u8, any::<Option<[u8; 4]>>()).prop_map(
        |(cfg, requester, tag, target, dw, first_be, data)| {
            let register = dw * 4;
            match data {
                Some(data) => Body::CfgWrite { cfg, requester, tag, target, register, first_be, data },
                None => Body::CfgRead { cfg, requester, tag, target, register, first_be },
            }
        },
    )
}

fn body() -> impl Strategy<Value = Body> {
    let io = |m: Memory| Memory { address: m.address & 0xffff_fffc, ..m };
    prop_oneof![
        memory().prop_map(Body::MemRead),
        memory().prop_flat_map(|m| payload(m.length).prop_map(move |d| Body::MemWrite(m, d))),
        memory().prop_map(move |m| Body::IoRead(io(m))),
        (memory(), any::<[u8; 4]>()).prop_map(move |(m, d)| Body::IoWrite(Memory { length: 1, ..io(m) }, d)),
        config(),
        completion().prop_map(Body::Cpl),
        (completion(), 1..=64u16).prop_flat_map(|(c, n)| payload(n).prop_map(move |d| Body::CplD(c, d))),
        message().prop_map(Body::Msg),
        (message(), 1..=64u16).prop_flat_map(|(m, n)| payload(n).prop_map(move |d| Body::MsgD(m, d))),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    (0..8u8, any::<[bool; 4]>(), 0..4u8).prop_map(|(traffic_class, flags, address_type)| Attributes {
        traffic_class,
        poisoned: flags[0],
        relaxed_ordering: flags[1],
        no_snoop: flags[2],
        id_ordering: flags[3],
        address_type,
    })
}

proptest! {
    #[test]
    fn a_tlp_survives_its_beats(attributes in attributes(), body in body()) {
        let tlp = Tlp { attributes, body };
        let packet = tlp.packet();
        let mut assembler = Assembler::default();
        let mut got = None;
        let mut beats = 0;
        for beat in packet.beats() {
            prop_assert!(got.is_none(), "a packet before its last beat");
            got = assembler.push(beat).unwrap();
            beats += 1;
        }
        prop_assert_eq!(beats, packet.beat_count());
        let got = got.expect("the last beat completes the packet");
        prop_assert_eq!(&got, &packet);
        prop_assert_eq!(Tlp::decode(&got).unwrap(), tlp.clone());
        prop_assert!(!tlp.to_string().contains('\n'));
    }

    #[test]
    fn random_packets_are_answered_and_decode_to_themselves(header in any::<[u32; 4]>(), payload in payload(3)) {
        for payload in [vec![], payload] {
            let packet = Packet { header, payload };
            if let Ok(tlp) = Tlp::decode(&packet) {
                let _ = rules::check(&tlp, &rules::Limits::default());
                // What a Length of a packet without data says is not kept.
                let mut again = tlp.packet();
                if packet.payload.is_empty() && !matches!(tlp.body, Body::MemRead(_) | Body::IoRead(_)) {
                    again.header[0] = again.header[0] & !0x3ff | header[0] & 0x3ff;
                }
                prop_assert_eq!(again, packet);
            }
        }
    }

    #[test]
    fn random_beats_never_panic(beats in prop::collection::vec((any::<[u32; 4]>(), 0..16u8, any::<[bool; 2]>()), 0..50)) {
        let mut assembler = Assembler::default();
        for (data, keep, [sop, eop]) in beats {
            let _ = assembler.push(Beat { data, keep, sop, eop });
        }
    }

    #[test]
    fn a_span_has_its_bytes_and_no_others(address in 0..u64::MAX - 4096, bytes in 1..=4093u32) {
        let m = Memory::span(Rid(0), 0, address, bytes);
        let enabled: Vec<u64> = (0..usize::from(m.length) * 4).filter(|i| m.enabled(*i)).map(|i| m.address + i as u64).collect();
        prop_assert_eq!(enabled.first().copied(), Some(address));
        prop_assert_eq!(enabled.last().copied(), Some(address + u64::from(bytes) - 1));
        prop_assert_eq!(enabled.len() as u32, bytes);
        prop_assert_eq!(u32::from(m.byte_count()), bytes);
        prop_assert_eq!(u64::from(m.lower_address()), address & 0x7f);
    }
}

#[test]
fn headers_are_as_the_specification_draws_them() {
    let m =
        Memory { requester: Rid::new(1, 0x13), tag: 0x5a, address: 0x1234_5678, length: 1, first_be: 3, last_be: 0 };
    assert_eq!(Tlp::from(Body::MemRead(m)).packet().header, [0x0000_0001, 0x0113_5a03, 0x1234_5678, 0]);
    let m = Memory { address: 0xab_1234_5678, length: 64, first_be: 0xf, last_be: 0xf, ..m };
    let tlp = Tlp::from(Body::MemWrite(m, vec![0; 256]));
    assert_eq!(tlp.packet().header, [0x6000_0040, 0x0113_5aff, 0x0000_00ab, 0x1234_5678]);
    let read = Body::CfgRead {
        cfg: CfgType::Type0,
        requester: Rid(8),
        tag: 1,
        target: Rid::new(1, 5),
        register: 0x104,
        first_be: 0xf,
    };
    assert_eq!(Tlp::from(read).packet().header, [0x0400_0001, 0x0008_010f, 0x0105_0104, 0]);
    let c = Completion {
        completer: Rid::new(1, 5),
        status: Status::Unsupported,
        byte_count_modified: false,
        byte_count: 4,
        requester: Rid(8),
        tag: 1,
        lower_address: 0x40,
    };
    assert_eq!(Tlp::from(Body::Cpl(c)).packet().header, [0x0a00_0000, 0x0105_2004, 0x0008_0140, 0]);
}

#[test]
fn byte_counts_are_those_of_table_2_38() {
    for (first, last, length, count) in [
        (0b1001, 0, 1, 4),
        (0b1010, 0, 1, 3),
        (0b0101, 0, 1, 3),
        (0b0011, 0, 1, 2),
        (0b0110, 0, 1, 2),
        (0b1100, 0, 1, 2),
        (0b1000, 0, 1, 1),
        (0b0000, 0, 1, 1),
        (0b1111, 0b1111, 3, 12),
        (0b1000, 0b0001, 2, 2),
        (0b0100, 0b1000, 2, 6),
        (0b1110, 0b0011, 1024, 4093),
    ] {
        assert_eq!(request::byte_count(first, last, length), count, "{first:04b} {last:04b} {length}");
    }
}

#[test]
fn each_rule_refuses_its_violation() {
    let limits = rules::Limits { max_payload: 256, max_read: 512 };
    let read = |m: Memory| rules::check(&Body::MemRead(m).into(), &limits);
    let base = Memory { requester: Rid(0), tag: 0, address: 0x1000, length: 2, first_be: 0xf, last_be: 0xf };
    assert!(read(base).is_ok());
    assert!(read(Memory { first_be: 0b0101, ..base }).is_ok(), "gaps in one aligned QW");
    assert!(matches!(read(Memory { address: 0x1004, first_be: 0b0101, ..base }), Err(Malformed::ByteEnables { .. })));
    assert!(matches!(read(Memory { first_be: 0, ..base }), Err(Malformed::ByteEnables { .. })));
    assert!(matches!(read(Memory { last_be: 0, ..base }), Err(Malformed::ByteEnables { .. })));
    assert!(matches!(read(Memory { length: 1, ..base }), Err(Malformed::ByteEnables { .. })));
    assert!(matches!(read(Memory { address: 0x1ffc, ..base }), Err(Malformed::Boundary { .. })));
    assert!(matches!(read(Memory { length: 129, ..base }), Err(Malformed::ReadSize { .. })));
    let write = Body::MemWrite(Memory { length: 65, ..base }, vec![0; 260]);
    assert!(matches!(rules::check(&write.into(), &limits), Err(Malformed::Payload { bytes: 260, limit: 256 })));
    let message = Message { requester: Rid(0), tag: 0, routing: 3, code: 0x30, rest: [0; 2] };
    assert!(matches!(rules::check(&Body::Msg(message).into(), &limits), Err(Malformed::Message { .. })));
    let short = Packet { header: [0x2000_0001, 0xf, 0, 0x1000], payload: vec![] };
    assert!(matches!(Tlp::decode(&short), Err(Malformed::ShortAddress { address: 0x1000 })));
}

#[test]
fn log_lines_are_readable() {
    let m =
        Memory { requester: Rid::new(1, 0x11), tag: 7, address: 0x1_0000_2000, length: 8, first_be: 0xf, last_be: 0xf };
    let tlp = Tlp::from(Body::MemWrite(m, (0..32).collect()));
    assert_eq!(
        tlp.to_string(),
        "MWr    01:02.1 #07 0x0100002000    8 DW : 00010203 04050607 08090a0b 0c0d0e0f ... (32 bytes)"
    );
}
