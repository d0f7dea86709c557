//! A guest of arbitrary bytes on the MSI-X table, the pending bits and Message Control of a function that is given to it: what
//! is attached to interrupts is let go of at a reset, and is never attached twice (the machine checks that).

use azote_hypervisor::pci::{Configure, Machine};
use azote_hypervisor::testing::plausible;

/// Where [`plausible`] has its table, in BAR 0; the pending bits follow.
const TABLE: u64 = 0x2000;
/// Message Control of its MSI-X capability.
const CONTROL: u16 = 0x42;
const VECTORS: u64 = 8;
const ENTRY: u64 = 16;

/// Plays a guest: five bytes an access, what and where and a value.
pub fn run(data: &[u8]) {
    let (function, machine) = plausible().expect("a function");
    let read = |at: u16| {
        let mut data = [0; 4];
        function.config_read(at, &mut data);
        u32::from_le_bytes(data)
    };
    function.config_write(4, &6u16.to_le_bytes());
    let bar = u64::from(read(0x10) & !0xf) | u64::from(read(0x14)) << 32;
    for access in data.chunks_exact(5) {
        let (what, at, value) = (access[0], u64::from(access[1]), [access[2], access[3], access[4], access[2]]);
        let len = [1, 2, 4, 8][usize::from(what >> 6)];
        let mut bytes = [value, value].concat();
        bytes.truncate(len);
        match what & 7 {
            0 => function.config_write(CONTROL, &bytes[..len.min(2)]),
            // Memory decoding off and on.
            1 => function.config_write(4, &[value[0] & 6, 0]),
            2 => drop(machine.addresses().read(bar + TABLE + at * 32, &mut bytes)),
            3 => drop(machine.addresses().write(bar + TABLE + at * 32, &bytes)),
            // A word of an entry, whole.
            _ => drop(machine.addresses().write(bar + TABLE + at * 4 % (VECTORS * ENTRY), &value)),
        }
        assert!(machine.attached() <= VECTORS as usize, "more interrupts than vectors");
    }
    function.reset();
    assert_eq!((machine.attached(), machine.mapped().len()), (0, 0), "after a reset nothing is left");
}
