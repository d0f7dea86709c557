//! `cargo xtask`: the commands of the repository.

fn main() {}
