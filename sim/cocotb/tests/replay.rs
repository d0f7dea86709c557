//! The card's first clocks, from reset through enumeration, by cocotb: the same as they were, and not when they were not.

use azote_cocotb::{Error, Recorder, Recording, SIZE, build, replay};
use azote_sim::{Card, Hardware, Options};
use azote_verilate::Options as Build;

/// Where a record has the data and the flags of `tx`, and `tx_valid` among these.
const TX_DATA: usize = 57;
const OUTPUT_FLAGS: usize = TX_DATA + 3 * 16;
const TX_VALID: u8 = 2;

#[test]
fn cocotb_sees_what_was_recorded_and_notices_what_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let text = azote_rtl::card(4).unwrap().text;
    let recording = Recording::create(&folder.path().join("recording")).unwrap();
    let hardware = Hardware::build(text.clone(), &Build::fast()).unwrap();
    let card = Card::over(Box::new(Recorder::new(Box::new(hardware), recording.clone())), Options::default()).unwrap();
    recording.end().unwrap();
    assert_eq!(recording.clocks(), card.clocks());
    let mut bytes = std::fs::read(recording.path()).unwrap();
    assert_eq!(bytes.len() as u64, recording.clocks() * SIZE as u64);

    let built = build(&text).unwrap();
    let speed = replay(&built, &recording, 100, 2).unwrap();
    assert_eq!(speed.clocks, (recording.clocks() - 100) / 2, "one of two equal parts");
    assert!(speed.seconds > 0.0);

    // One bit of one completion of the card's.
    let records = bytes.chunks_exact_mut(SIZE).enumerate();
    let (at, record) = records.filter(|(_, r)| r[OUTPUT_FLAGS] & TX_VALID != 0).last().unwrap();
    record[TX_DATA] ^= 0x40;
    std::fs::write(recording.path(), &bytes).unwrap();
    match replay(&built, &recording, 100, 2) {
        Err(Error::Failed { tail, .. }) => assert!(tail.contains(&format!("clock {at}: tx_data")), "{tail}"),
        other => panic!("{other:?}"),
    }
}
