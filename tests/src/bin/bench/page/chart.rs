//! Charts as inline SVG: axes, lines, bars, and bounds as broken lines. Colours are the page's, by class.

use maud::{Markup, html};

/// The drawing's size and margins, in its own units; the page scales it.
const WIDTH: f64 = 290.0;
const HEIGHT: f64 = 215.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 22.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 42.0;

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// Each doubling is as wide as the one before.
    Doubling,
}

/// One axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// What it counts, with the unit.
    pub title: &'static str,
    pub scale: Scale,
    pub from: f64,
    pub to: f64,
    /// Where there is a number.
    pub ticks: Vec<f64>,
}

/// What is drawn.
#[derive(Debug, Clone)]
pub enum Mark {
    /// Measured values, joined.
    Line { class: &'static str, points: Vec<(f64, f64)> },
    /// A bound, and its name at its end or nothing.
    Bound { points: Vec<(f64, f64)>, label: &'static str },
    /// A histogram: from, to, height.
    Bars(Vec<(f64, f64, f64)>),
    /// A value of the x axis with its name, in a row of names of its own.
    At { class: &'static str, x: f64, label: String, row: u8 },
}

/// A chart.
#[derive(Debug, Clone)]
pub struct Chart {
    /// Above it.
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    pub marks: Vec<Mark>,
}

impl Axis {
    /// From zero to at least `most`, with four or five round steps.
    pub fn up_to(title: &'static str, most: f64) -> Axis {
        Axis::between(title, 0.0, most)
    }

    /// Round steps that hold both.
    pub fn between(title: &'static str, least: f64, most: f64) -> Axis {
        let rough = ((most - least) / 4.0).max(f64::MIN_POSITIVE);
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|n| n * power).into_iter().find(|s| *s >= rough).unwrap_or(rough);
        let (from, to) = ((least / step).floor() * step, (most / step).ceil() * step);
        let steps = ((to - from) / step).round() as u32;
        Axis { title, scale: Scale::Linear, from, to, ticks: (0..=steps).map(|i| from + f64::from(i) * step).collect() }
    }

    /// Doublings.
    pub fn doubling(title: &'static str, values: &[usize]) -> Axis {
        let ticks: Vec<f64> = values.iter().map(|v| *v as f64).collect();
        let (from, to) = (ticks.first().copied().unwrap_or(1.0), ticks.last().copied().unwrap_or(2.0));
        Axis { title, scale: Scale::Doubling, from, to, ticks }
    }

    /// Where a value is, from 0 to 1.
    fn part(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Doubling => (value / self.from).log2() / (self.to / self.from).log2(),
        }
    }
}

impl Chart {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.x.part(value).clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - self.y.part(value).clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM)
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let places = points.iter().map(|&(x, y)| format!("{:.1},{:.1}", self.x(x), self.y(y)));
        places.collect::<Vec<_>>().join(" ")
    }

    /// The drawing.
    pub fn svg(&self) -> Markup {
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let middle = (LEFT + right) / 2.0;
        html! {
            figure {
                figcaption { (self.title) }
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(self.title) {
                    @for tick in &self.y.ticks {
                        line.grid x1=(LEFT) x2=(right) y1=(place(self.y(*tick))) y2=(place(self.y(*tick))) {}
                        text.tick x=(LEFT - 6.0) y=(place(self.y(*tick) + 3.5)) text-anchor="end" { (number(*tick)) }
                    }
                    @for tick in &self.x.ticks {
                        line.axis x1=(place(self.x(*tick))) x2=(place(self.x(*tick))) y1=(bottom) y2=(bottom + 4.0) {}
                        text.tick x=(place(self.x(*tick))) y=(bottom + 15.0) text-anchor="middle" { (number(*tick)) }
                    }
                    line.axis x1=(LEFT) x2=(right) y1=(bottom) y2=(bottom) {}
                    text.name x=(place(middle)) y=(HEIGHT - 8.0) text-anchor="middle" { (self.x.title) }
                    text.name transform=(format!("translate(11 {:.1}) rotate(-90)", (TOP + bottom) / 2.0))
                        text-anchor="middle" { (self.y.title) }
                    @for mark in &self.marks { (self.mark(mark)) }
                }
            }
        }
    }

    fn mark(&self, mark: &Mark) -> Markup {
        match mark {
            Mark::Line { class, points } => html! {
                polyline class=(format!("line {class}")) points=(self.path(points)) {}
                @for &(x, y) in points {
                    circle class=(format!("dot {class}")) cx=(place(self.x(x))) cy=(place(self.y(y))) r="3" {}
                }
            },
            Mark::Bound { points, label } => html! {
                polyline.bound points=(self.path(points)) {}
                @if let (false, Some(&(x, y))) = (label.is_empty(), points.last()) {
                    text.bound-name x=(place(self.x(x))) y=(place(self.y(y) - 5.0)) text-anchor="end" { (label) }
                }
            },
            Mark::Bars(bars) => html! {
                @for &(from, to, height) in bars {
                    @let (left, width) = (self.x(from), self.x(to) - self.x(from));
                    rect.bar x=(place(left)) width=(place((width - 0.6).max(0.8))) y=(place(self.y(height)))
                        height=(place(HEIGHT - BOTTOM - self.y(height))) {}
                }
            },
            Mark::At { class, x, label, row } => {
                let (at, y) = (self.x(*x), TOP + 2.0 + 12.0 * f64::from(*row));
                // A name stands where there is room for it.
                let (anchor, beside) = if at > WIDTH / 2.0 { ("end", at - 4.0) } else { ("start", at + 4.0) };
                html! {
                    line class=(format!("at {class}")) x1=(place(at)) x2=(place(at)) y1=(place(y - 7.0)) y2=(HEIGHT - BOTTOM) {}
                    text class=(format!("at-name {class}")) x=(place(beside)) y=(place(y)) text-anchor=(anchor) { (label) }
                }
            }
        }
    }
}

/// A coordinate, as exact as an eye can see.
fn place(value: f64) -> String {
    format!("{value:.1}")
}

/// A number for people: thousands apart, no more digits than it has.
pub fn number(value: f64) -> String {
    let whole = value.abs() >= 1000.0 || (value - value.round()).abs() < 1e-9;
    if !whole {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            // A thin space that does not break.
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if value < 0.0 { format!("\u{2212}{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_steps_and_hold_their_values() {
        let axis = Axis::up_to("clocks", 14.79);
        assert_eq!((axis.from, axis.to, axis.ticks.len()), (0.0, 15.0, 4));
        let axis = Axis::between("clocks", 315.0, 391.0);
        assert!(axis.from <= 315.0 && axis.to >= 391.0 && axis.ticks.len() <= 7, "{axis:?}");
        assert_eq!(Axis::doubling("depth", &[1, 2, 4, 64]).part(8.0), 0.5);
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!(number(72_345.4), "72\u{202f}345");
        assert_eq!((number(14.0), number(0.25), number(14.788)), ("14".into(), "0.25".into(), "14.79".into()));
    }
}
