//! The transaction layer: what is a TLP on one side, and a register bus, a completion or a DMA stream on the other.

pub mod completer;
pub mod door;
pub mod header;
pub mod posted;
pub mod receive;
pub mod stream;
pub mod transmit;
pub mod ways;

pub use completer::Completer;
pub use door::Door;
pub use posted::Posted;
pub use receive::Receive;
pub use stream::{
    AnswerIn, AnswerOut, AskIn, AskOut, BusMaster, BusSlave, ConfigMaster, ConfigSlave, ErrorIn, ErrorOut, Found,
    HitIn, HitOut, LinkIn, LinkOut, PostedIn, PostedOut, RequestIn, RequestOut, TxIn, TxOut,
};
pub use transmit::Transmit;
pub use ways::Ways;
