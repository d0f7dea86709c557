//! The command line `azote`.

fn main() {}
