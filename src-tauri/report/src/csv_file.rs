//! The nodes as one table, for spreadsheets and scripts.

use crate::local::Clock;
use crate::tables::{Cell, Column, node_data};
use crate::{Error, ReportData};

/// One row per node, UTF-8 with a byte order mark, without which Excel shows Chinese wrongly. Bytes, percentages and
/// degrees are plain numbers; a text that a spreadsheet would take for a formula begins with an apostrophe.
///
/// # Errors
/// [`Error::TimeZone`]; [`Error::Csv`] if the table cannot be written.
pub fn csv(data: &ReportData) -> Result<Vec<u8>, Error> {
    let clock = Clock::of(data)?;
    let table = node_data(data);
    let mut writer = ::csv::Writer::from_writer("\u{FEFF}".as_bytes().to_vec());
    let first = table.rows.first();
    let unit = |at: usize| first.and_then(|_| table.rows.iter().filter_map(|row| row.get(at)).find_map(unit_of));
    let title = |(at, column): (usize, &Column)| match unit(at) {
        Some(unit) => format!("{} ({unit})", column.title),
        None => column.title.to_owned(),
    };
    writer.write_record(table.columns.iter().enumerate().map(title))?;
    for row in &table.rows {
        writer.write_record(row.iter().map(|cell| value(cell, &clock)))?;
    }
    writer
        .into_inner()
        .map_err(|error| Error::Csv(error.into_error().into()))
}

fn unit_of(cell: &Cell) -> Option<&'static str> {
    match cell {
        Cell::Percent(_) => Some("%"),
        Cell::Celsius(_) => Some("°C"),
        Cell::Bytes(_) => Some("B"),
        _ => None,
    }
}

fn value(cell: &Cell, clock: &Clock) -> String {
    match cell {
        Cell::Absent => String::new(),
        Cell::Text(text) => harmless(text),
        Cell::State(word, _) => (*word).to_owned(),
        Cell::Count(count) | Cell::Bytes(count) => count.to_string(),
        Cell::Percent(value) | Cell::Celsius(value) => format!("{value:.1}"),
        Cell::Time(time) => clock.iso(*time),
    }
}

/// Marks what a spreadsheet would run as a formula, in ASCII or in the full-width forms that some also take.
fn harmless(text: &str) -> String {
    let formula = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    // The tables have turned tabs and line ends into blanks already.
    if text.trim_start().starts_with(formula) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}
