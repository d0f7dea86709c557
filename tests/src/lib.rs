//! What crosses the crates: end-to-end tests, benches and the demonstration.
