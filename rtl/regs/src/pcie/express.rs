//! PCI Express capability (PCIe 7.5.3).

use crate::Field;

/// Capability id.
pub const ID: u64 = 0x10;
/// Size in bytes of version 2 of the structure.
pub const SIZE: u64 = 60;
/// PCI Express Capabilities, 16 bits (PCIe 7.5.3.2).
pub const CAPS: u64 = 0x02;
/// Device Capabilities (PCIe 7.5.3.3).
pub const DEVICE_CAPS: u64 = 0x04;
/// Device Control, 16 bits (PCIe 7.5.3.4).
pub const DEVICE_CONTROL: u64 = 0x08;
/// Device Status, 16 bits (PCIe 7.5.3.5).
pub const DEVICE_STATUS: u64 = 0x0a;
/// Link Capabilities (PCIe 7.5.3.6).
pub const LINK_CAPS: u64 = 0x0c;
/// Link Control, 16 bits (PCIe 7.5.3.7).
pub const LINK_CONTROL: u64 = 0x10;
/// Link Status, 16 bits (PCIe 7.5.3.8).
pub const LINK_STATUS: u64 = 0x12;
/// Device Capabilities 2 (PCIe 7.5.3.15).
pub const DEVICE_CAPS_2: u64 = 0x24;
/// Device Control 2, 16 bits (PCIe 7.5.3.16).
pub const DEVICE_CONTROL_2: u64 = 0x28;
/// Device Status 2, 16 bits.
pub const DEVICE_STATUS_2: u64 = 0x2a;
/// Link Capabilities 2 (PCIe 7.5.3.18).
pub const LINK_CAPS_2: u64 = 0x2c;
/// Link Control 2, 16 bits (PCIe 7.5.3.19).
pub const LINK_CONTROL_2: u64 = 0x30;
/// Link Status 2, 16 bits (PCIe 7.5.3.20).
pub const LINK_STATUS_2: u64 = 0x32;

/// Capabilities: structure version.
pub const CAPS_VERSION: Field = Field::bits(3, 0);
/// Capabilities: device/port type; 0 is an endpoint.
pub const CAPS_TYPE: Field = Field::bits(7, 4);
/// Capabilities of every function of ours: version 2, endpoint.
pub const CAPS_VALUE: u64 = CAPS_VERSION.put(2);

/// Device Capabilities: Max_Payload_Size Supported; 1 is 256 bytes.
pub const DEVICE_CAPS_MPS: Field = Field::bits(2, 0);
/// Device Capabilities: Extended Tag Field Supported (8-bit tags).
pub const DEVICE_CAPS_EXT_TAG: Field = Field::bit(5);
/// Device Capabilities: Role-Based Error Reporting; required to be 1.
pub const DEVICE_CAPS_RBER: Field = Field::bit(15);
/// Device Capabilities: Function Level Reset.
pub const DEVICE_CAPS_FLR: Field = Field::bit(28);
/// Device Capabilities of every function of ours.
pub const DEVICE_CAPS_VALUE: u64 =
    DEVICE_CAPS_MPS.put(MPS_256) | DEVICE_CAPS_EXT_TAG.put(1) | DEVICE_CAPS_RBER.put(1) | DEVICE_CAPS_FLR.put(1);

/// Device Control: Correctable Error Reporting Enable.
pub const DEVICE_CONTROL_CORRECTABLE: Field = Field::bit(0);
/// Device Control: Non-Fatal Error Reporting Enable.
pub const DEVICE_CONTROL_NONFATAL: Field = Field::bit(1);
/// Device Control: Fatal Error Reporting Enable.
pub const DEVICE_CONTROL_FATAL: Field = Field::bit(2);
/// Device Control: Unsupported Request Reporting Enable.
pub const DEVICE_CONTROL_UR: Field = Field::bit(3);
/// Device Control: Enable Relaxed Ordering.
pub const DEVICE_CONTROL_RELAXED: Field = Field::bit(4);
/// Device Control: Max_Payload_Size; reserved in a VF, which uses its PF's.
pub const DEVICE_CONTROL_MPS: Field = Field::bits(7, 5);
/// Device Control: Extended Tag Field Enable.
pub const DEVICE_CONTROL_EXT_TAG: Field = Field::bit(8);
/// Device Control: Enable No Snoop.
pub const DEVICE_CONTROL_NO_SNOOP: Field = Field::bit(11);
/// Device Control: Max_Read_Request_Size.
pub const DEVICE_CONTROL_MRRS: Field = Field::bits(14, 12);
/// Device Control: Initiate Function Level Reset; reads 0.
pub const DEVICE_CONTROL_FLR: Field = Field::bit(15);
/// Device Control of a PF after reset: relaxed ordering, no snoop and extended tags allowed, MPS 128, MRRS 512.
pub const DEVICE_CONTROL_RESET: u64 = DEVICE_CONTROL_RELAXED.put(1)
    | DEVICE_CONTROL_MPS.put(MPS_128)
    | DEVICE_CONTROL_EXT_TAG.put(1)
    | DEVICE_CONTROL_NO_SNOOP.put(1)
    | DEVICE_CONTROL_MRRS.put(MPS_512);

/// Encoding of MPS and MRRS: 128 bytes.
pub const MPS_128: u64 = 0;
/// Encoding of MPS and MRRS: 256 bytes.
pub const MPS_256: u64 = 1;
/// Encoding of MPS and MRRS: 512 bytes.
pub const MPS_512: u64 = 2;

/// The bytes that an MPS or MRRS encoding stands for.
#[must_use]
pub const fn payload_bytes(code: u64) -> u64 {
    128 << code
}

/// Device Status: Correctable Error Detected.
pub const DEVICE_STATUS_CORRECTABLE: Field = Field::bit(0);
/// Device Status: Non-Fatal Error Detected.
pub const DEVICE_STATUS_NONFATAL: Field = Field::bit(1);
/// Device Status: Fatal Error Detected.
pub const DEVICE_STATUS_FATAL: Field = Field::bit(2);
/// Device Status: Unsupported Request Detected.
pub const DEVICE_STATUS_UR: Field = Field::bit(3);
/// Device Status: Transactions Pending; software waits for 0 before FLR (PCIe 6.6.2).
pub const DEVICE_STATUS_PENDING: Field = Field::bit(5);

/// Link Capabilities: Max Link Speed; 2 is 5 GT/s.
pub const LINK_CAPS_SPEED: Field = Field::bits(3, 0);
/// Link Capabilities: Maximum Link Width.
pub const LINK_CAPS_WIDTH: Field = Field::bits(9, 4);
/// Link Capabilities: ASPM Optionality Compliance; must be 1.
pub const LINK_CAPS_ASPM_OPTIONALITY: Field = Field::bit(22);
/// The board's link: 5 GT/s, two lanes.
pub const LINK_CAPS_VALUE: u64 =
    LINK_CAPS_SPEED.put(LINK_SPEED) | LINK_CAPS_WIDTH.put(LINK_WIDTH) | LINK_CAPS_ASPM_OPTIONALITY.put(1);
/// Link speed code of the board: 5 GT/s.
pub const LINK_SPEED: u64 = 2;
/// Link width of the board.
pub const LINK_WIDTH: u64 = 2;
/// Link Control: Read Completion Boundary; an endpoint is told that of its root port.
pub const LINK_CONTROL_RCB: Field = Field::bit(3);
/// Link Control: Common Clock Configuration.
pub const LINK_CONTROL_COMMON_CLOCK: Field = Field::bit(6);
/// Link Control: Extended Synch.
pub const LINK_CONTROL_EXTENDED_SYNCH: Field = Field::bit(7);
/// Link Status: Current Link Speed.
pub const LINK_STATUS_SPEED: Field = Field::bits(3, 0);
/// Link Status: Negotiated Link Width.
pub const LINK_STATUS_WIDTH: Field = Field::bits(9, 4);
/// Link Status of a trained link.
pub const LINK_STATUS_VALUE: u64 = LINK_STATUS_SPEED.put(LINK_SPEED) | LINK_STATUS_WIDTH.put(LINK_WIDTH);

/// Device Capabilities 2: Completion Timeout Ranges Supported; bit 0 is range A, bit 1 range B.
pub const DEVICE_CAPS_2_CTO_RANGES: Field = Field::bits(3, 0);
/// Device Capabilities 2: Completion Timeout Disable Supported; required of an endpoint.
pub const DEVICE_CAPS_2_CTO_DISABLE: Field = Field::bit(4);
/// Device Capabilities 2 of our functions: time-out not programmable, but can be disabled.
pub const DEVICE_CAPS_2_VALUE: u64 = DEVICE_CAPS_2_CTO_DISABLE.put(1);
/// Device Control 2: Completion Timeout Value.
pub const DEVICE_CONTROL_2_CTO_VALUE: Field = Field::bits(3, 0);
/// Device Control 2: Completion Timeout Disable.
pub const DEVICE_CONTROL_2_CTO_DISABLE: Field = Field::bit(4);

/// Link Capabilities 2: Supported Link Speeds Vector; bit 0 of it is 2.5 GT/s.
pub const LINK_CAPS_2_SPEEDS: Field = Field::bits(7, 1);
/// Link Capabilities 2 of the board: 2.5 and 5 GT/s.
pub const LINK_CAPS_2_VALUE: u64 = LINK_CAPS_2_SPEEDS.put((1 << LINK_SPEED) - 1);
/// Link Control 2: Target Link Speed.
pub const LINK_CONTROL_2_TARGET: Field = Field::bits(3, 0);
/// Link Control 2 after reset.
pub const LINK_CONTROL_2_RESET: u64 = LINK_CONTROL_2_TARGET.put(LINK_SPEED);

const _: () = {
    assert!(payload_bytes(MPS_128) == 128 && payload_bytes(MPS_256) == 256 && payload_bytes(MPS_512) == 512);
    assert!(DEVICE_CONTROL_RESET == 0x2910 && DEVICE_CAPS_VALUE == 0x1000_8021);
};
