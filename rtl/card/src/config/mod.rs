//! Configuration space of all functions: one ROM of templates, one RAM of state, one machine that serves them.

pub mod aperture;
pub mod decode;
pub mod errors;
pub mod fields;
pub mod forget;
pub mod message;
pub mod space;
pub mod template;

pub use decode::Decode;
pub use errors::Errors;
pub use forget::Forget;
pub use message::Message;
pub use space::Space;
