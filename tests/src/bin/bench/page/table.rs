//! All figures in a table, each with a bar that shows how near its bound it is.

use azote_tests::figures::Figure;
use maud::{Markup, html};

use super::chart::number;

/// All figures, and how near its bound each is.
pub fn section(figures: &[Figure]) -> Markup {
    html! {
        h2 { "All figures" }
        p.lead { "How near the bound: the line is the bound, the bar is the value, where longer is better; asked is the least length." }
        div.scroll {
            table {
                thead {
                    tr {
                        th { "figure" } th { "value" } th { "bound" } th.text { "unit" } th { "ratio" } th { "asked" }
                        th.text { "how near" } th.text { "" }
                    }
                }
                tbody {
                    @for f in figures {
                        tr {
                            td { code { (f.name) } }
                            td { (number(f.value)) }
                            td { (number(f.bound)) }
                            td.text.wide { (f.unit) }
                            td { (format!("{:.3}", f.ratio)) }
                            td { @if let Some(least) = f.least { (format!("{least:.2}")) } }
                            td.text { (near(f)) }
                            td.text {
                                @match (f.least, f.is_met()) {
                                    (None, _) => { "reported" }
                                    (_, true) => { span.met { "met" } }
                                    (_, false) => { span.missed { "missed" } }
                                }
                            }
                        }
                    }
                }
            }
        }
        p.how {
            "All: " code { "cargo xtask bench storage" } " \u{b7} a part: " code { "cargo xtask bench storage --quick" } " "
            code { "… driver" } " " code { "… cells" } " " code { "… sim" }
        }
    }
}

/// A bar as long as the ratio, up to one and a half.
fn near(figure: &Figure) -> Markup {
    const MOST: f64 = 1.5;
    let part = |ratio: f64| format!("{:.1}", ratio.clamp(0.0, MOST) / MOST * 100.0);
    html! {
        svg.near viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label=(format!("{:.3} of the bound", figure.ratio)) {
            rect.back x="0" y="1" width="100" height="8" {}
            rect.fill x="0" y="1" width=(part(figure.ratio)) height="8" {}
            line.limit x1=(part(1.0)) x2=(part(1.0)) y1="0" y2="10" {}
        }
    }
}
