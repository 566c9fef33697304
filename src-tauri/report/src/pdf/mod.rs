//! The report as a PDF of A4 pages, lying, with the font embedded and vector charts.
//!
//! Pages are laid out first, as lists of the charts' own [`Shape`]s in points, and written afterwards, when the
//! number of pages is known for the footer.

mod font;
mod layout;
mod table;
mod write;

use crate::local::Clock;
use crate::{Error, ReportData};
use edgedeck_charts::Shape;

/// A4, lying.
const WIDTH: f32 = 842.0;
const HEIGHT: f32 = 595.0;
const MARGIN: f32 = 33.0;
/// Width between the margins.
const INNER: f32 = WIDTH - 2.0 * MARGIN;
/// Below it stands the footer.
const BOTTOM: f32 = HEIGHT - 44.0;

/// Pages under way, and the place for what comes next.
struct Pages {
    pages: Vec<Vec<Shape>>,
    y: f32,
    /// For the reader's list of contents: title and page index.
    sections: Vec<(String, usize)>,
}

/// # Errors
/// [`Error::TimeZone`]; [`Error::Font`]; [`Error::Pdf`] if the file cannot be written.
pub fn pdf(data: &ReportData) -> Result<Vec<u8>, Error> {
    let clock = Clock::of(data)?;
    let face = font::Face::load()?;
    let mut pages = Pages::new();
    layout::lay_out(&mut pages, data, &clock, &face);
    write::write(pages, data, &clock, &face)
}

impl Pages {
    fn new() -> Self {
        Self {
            pages: vec![vec![]],
            y: MARGIN,
            sections: vec![],
        }
    }

    fn next_page(&mut self) {
        self.pages.push(vec![]);
        self.y = MARGIN;
    }

    /// Goes to the next page unless `height` fits on this one.
    fn need(&mut self, height: f32) {
        if self.y + height > BOTTOM && self.y > MARGIN {
            self.next_page();
        }
    }

    fn draw(&mut self, shape: Shape) {
        if let Some(page) = self.pages.last_mut() {
            page.push(shape);
        }
    }

    fn section(&mut self, title: &str) {
        self.sections.push((title.to_owned(), self.pages.len() - 1));
    }
}
