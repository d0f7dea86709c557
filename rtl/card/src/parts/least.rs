//! Numbers, compared.

use azote_hdl::prelude::*;

/// The less of two values of one width.
#[pure]
pub fn least(a: V, b: V) -> V {
    if a < b { a } else { b }
}
