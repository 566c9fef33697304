//! Every chart of EdgeDeck, for the window and for reports alike.
//!
//! A chart is a plain value; `scene()` turns it into a [`Scene`], a display list of paths, circles and texts, and
//! `svg()` writes that as SVG. A report draws the same scene on its pages. plotters lays out the axes and maps
//! values to places; what it draws is recorded in the scene.
//!
//! Depends on `model` for units and languages only, and compiles to WebAssembly. No I/O, no clock, no randomness:
//! the same chart gives the same bytes.

mod counts;
mod heat;
mod line;
mod recorder;
mod reduce;
mod scene;
mod sparkline;
mod svg;
mod theme;
mod ticks;
mod value;

pub use counts::{BarChart, Count, DonutChart};
pub use heat::HeatStrip;
pub use line::{LineChart, Plot, Range, Series};
pub use reduce::{break_gaps, nearest};
pub use scene::{Anchor, Paint, Scene, Shape, Stroke, elide, text_width};
pub use sparkline::Sparkline;
pub use theme::{Color, Look, Theme, Tone};
pub use value::{format_count, format_value};
