//! Identify data structures: byte offsets (NVMe 5.15.2) and the values that say who we are.

/// Size of every Identify structure.
pub const SIZE: u64 = 4096;

/// Controller: PCI Vendor ID, 2 bytes (NVMe figure 247).
pub const VID: u64 = 0;
/// Controller: PCI Subsystem Vendor ID, 2 bytes.
pub const SSVID: u64 = 2;
/// Controller: Serial Number, 20 bytes of ASCII.
pub const SN: u64 = 4;
/// Controller: length of the serial number.
pub const SN_LEN: u64 = 20;
/// Controller: Model Number, 40 bytes of ASCII.
pub const MN: u64 = 24;
/// Controller: length of the model number.
pub const MN_LEN: u64 = 40;
/// Controller: Firmware Revision, 8 bytes of ASCII.
pub const FR: u64 = 64;
/// Controller: length of the firmware revision.
pub const FR_LEN: u64 = 8;
/// Controller: Recommended Arbitration Burst.
pub const RAB: u64 = 72;
/// Controller: IEEE OUI Identifier, 3 bytes.
pub const IEEE: u64 = 73;
/// Controller: multi-path and namespace sharing.
pub const CMIC: u64 = 76;
/// CMIC: the NVM subsystem has more controllers.
pub const CMIC_CONTROLLERS: crate::Field = crate::Field::bit(1);
/// CMIC: this controller is that of an SR-IOV VF.
pub const CMIC_VF: crate::Field = crate::Field::bit(2);
/// Controller: Maximum Data Transfer Size.
pub const MDTS: u64 = 77;
/// Controller: Controller ID, 2 bytes.
pub const CNTLID: u64 = 78;
/// Controller: Version, 4 bytes.
pub const VER: u64 = 80;
/// Controller: Optional Asynchronous Events Supported, 4 bytes.
pub const OAES: u64 = 92;
/// OAES, and Asynchronous Event Configuration likewise: Namespace Attribute Notices.
pub const OAES_NAMESPACE: crate::Field = crate::Field::bit(8);
/// SMART's critical warning and Asynchronous Event Configuration likewise: the temperature is beyond a threshold.
pub const WARNING_TEMPERATURE: crate::Field = crate::Field::bit(1);
/// Controller: Controller Attributes, 4 bytes.
pub const CTRATT: u64 = 96;
/// Controller: Controller Type; 1 is an I/O controller.
pub const CNTRLTYPE: u64 = 111;
/// Controller: Optional Admin Command Support, 2 bytes.
pub const OACS: u64 = 256;
/// OACS: Format NVM.
pub const OACS_FORMAT: u64 = 1 << 1;
/// Controller: Abort Command Limit, 0's based.
pub const ACL: u64 = 258;
/// Controller: Asynchronous Event Request Limit, 0's based.
pub const AERL: u64 = 259;
/// Controller: Firmware Updates.
pub const FRMW: u64 = 260;
/// Controller: Log Page Attributes.
pub const LPA: u64 = 261;
/// LPA: SMART by namespace; with one of them it is the same.
pub const LPA_SMART: u64 = 1 << 0;
/// LPA: the Commands Supported and Effects log page.
pub const LPA_EFFECTS: u64 = 1 << 1;
/// LPA: a log page may be read from any DW of it.
pub const LPA_OFFSETS: u64 = 1 << 2;
/// Controller: Error Log Page Entries, 0's based.
pub const ELPE: u64 = 262;
/// Controller: Number of Power States, 0's based.
pub const NPSS: u64 = 263;
/// Controller: Warning Composite Temperature Threshold, 2 bytes.
pub const WCTEMP: u64 = 266;
/// Controller: Critical Composite Temperature Threshold, 2 bytes.
pub const CCTEMP: u64 = 268;
/// Controller: SQ entry size: required in bits 3:0, maximum in 7:4.
pub const SQES: u64 = 512;
/// Controller: CQ entry size, likewise.
pub const CQES: u64 = 513;
/// Controller: Number of Namespaces, 4 bytes.
pub const NN: u64 = 516;
/// Controller: Optional NVM Command Support, 2 bytes.
pub const ONCS: u64 = 520;
/// ONCS: Compare.
pub const ONCS_COMPARE: u64 = 1 << 0;
/// ONCS: Dataset Management.
pub const ONCS_DATASET: u64 = 1 << 2;
/// ONCS: Select in Get Features, Save in Set Features (which no feature can be).
pub const ONCS_SELECT: u64 = 1 << 4;
/// ONCS: Verify.
pub const ONCS_VERIFY: u64 = 1 << 7;
/// ONCS: Write Zeroes.
pub const ONCS_WRITE_ZEROES: u64 = 1 << 3;
/// Controller: Fused Operation Support, 2 bytes.
pub const FUSES: u64 = 522;
/// Controller: Format NVM Attributes; bit 0: a format is of all namespaces, of which there is one.
pub const FNA: u64 = 524;
/// Controller: Volatile Write Cache.
pub const VWC: u64 = 525;
/// VWC: there is one.
pub const VWC_PRESENT: crate::Field = crate::Field::bit(0);
/// VWC: what Flush does with NSID FFFFFFFFh.
pub const VWC_BROADCAST: crate::Field = crate::Field::bits(2, 1);
/// VWC_BROADCAST: it flushes all namespaces.
pub const VWC_BROADCAST_FLUSHES: u64 = 0b11;
/// Controller: Atomic Write Unit Normal, 2 bytes, 0's based.
pub const AWUN: u64 = 526;
/// Controller: Atomic Write Unit Power Fail, 2 bytes, 0's based.
pub const AWUPF: u64 = 528;
/// Controller: SGL Support, 4 bytes; 0 is none.
pub const SGLS: u64 = 536;
/// Controller: NVM Subsystem NVMe Qualified Name, 256 bytes.
pub const SUBNQN: u64 = 768;
/// Controller: length of the qualified name's field.
pub const SUBNQN_LEN: u64 = 256;
/// Controller: Power State Descriptor 0, 32 bytes.
pub const PSD0: u64 = 2048;

/// Namespace: Namespace Size in blocks, 8 bytes (NVMe figure 245).
pub const NSZE: u64 = 0;
/// Namespace: Namespace Capacity, 8 bytes.
pub const NCAP: u64 = 8;
/// Namespace: Namespace Utilization, 8 bytes.
pub const NUSE: u64 = 16;
/// Namespace: features.
pub const NSFEAT: u64 = 24;
/// Namespace: number of LBA formats, 0's based.
pub const NLBAF: u64 = 25;
/// Namespace: formatted LBA size.
pub const FLBAS: u64 = 26;
/// FLBAS: the format in use.
pub const FLBAS_FORMAT: crate::Field = crate::Field::bits(3, 0);
/// Namespace: metadata capabilities.
pub const MC: u64 = 27;
/// Namespace: deallocate logical block features.
pub const DLFEAT: u64 = 33;
/// DLFEAT: deallocated blocks read as zero.
pub const DLFEAT_ZERO: u64 = 1;
/// DLFEAT: Write Zeroes may deallocate.
pub const DLFEAT_WRITE_ZEROES: u64 = 1 << 3;
/// Namespace: namespace attributes; bit 0: write protected.
pub const NSATTR: u64 = 99;
/// NSATTR: the namespace is write protected.
pub const NSATTR_WRITE_PROTECTED: u64 = 1;
/// Namespace: Namespace Globally Unique Identifier, 16 bytes.
pub const NGUID: u64 = 104;
/// Namespace: IEEE Extended Unique Identifier, 8 bytes.
pub const EUI64: u64 = 120;
/// Namespace: LBA Format 0, 4 bytes.
pub const LBAF0: u64 = 128;
/// Namespace: LBA Format 1, 4 bytes.
pub const LBAF1: u64 = 132;
/// LBA format: LBA Data Size, log2.
pub const LBAF_LBADS: crate::Field = crate::Field::bits(23, 16);
/// LBA format: metadata size.
pub const LBAF_MS: crate::Field = crate::Field::bits(15, 0);

/// Descriptor: type (NVMe figure 248).
pub const NIDT: u64 = 0;
/// Descriptor: length of the identifier.
pub const NIDL: u64 = 1;
/// Descriptor: the identifier.
pub const NID: u64 = 4;
/// Descriptor type: EUI-64.
pub const NIDT_EUI64: u64 = 1;
/// Descriptor type: NGUID.
pub const NIDT_NGUID: u64 = 2;
/// Descriptor type: UUID.
pub const NIDT_UUID: u64 = 3;

/// Our model number, padded with spaces as the specification asks.
pub const MODEL: [u8; MN_LEN as usize] = *b"Azote virtual storage                   ";
/// Our firmware revision.
pub const FIRMWARE: [u8; FR_LEN as usize] = *b"0.1     ";
