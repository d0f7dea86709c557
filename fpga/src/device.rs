//! The device: Lattice ECP5-5G, the largest, in the speed grade that its evaluation board carries.

/// Its name in the catalogue.
pub const NAME: &str = "LFE5UM5G-85F";
/// The package and the speed grade of the name `LFE5UM5G-85F-8BG756C`.
pub const PACKAGE: &str = "CABGA756";
/// The speed grade.
pub const SPEED: &str = "8";
/// The option that chooses it in nextpnr.
pub const NEXTPNR: &str = "--um5g-85k";

/// LUT4s: two a slice, four slices a logic cell (Lattice FPGA-DS-02012, table 1.1; nextpnr calls them TRELLIS_COMB).
pub const LUTS: u64 = 83_640;
/// Flip-flops, one beside each LUT4.
pub const FFS: u64 = LUTS;
/// Block RAMs of 18 Kibit (DP16KD).
pub const BLOCK_RAMS: u64 = 208;
/// Multipliers of 18 x 18 bits (MULT18X18D).
pub const MULTIPLIERS: u64 = 156;

/// What place and route is told to aim for, in MHz.
pub const AIM_MHZ: f64 = 100.0;
/// What the core must reach, in MHz: its clock.
pub const LEAST_MHZ: f64 = azote_regs::clock::MHZ as f64;
