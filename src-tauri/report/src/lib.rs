//! Reports that leave the program: PDF, XLSX, CSV and HTML out of the same [`ReportData`].
//!
//! The engine fills the data; nothing here reads a store, a clock or a file. The same data gives the same bytes:
//! every date in a file is the data's own. All four formats take their numbers from [`summary`] and [`tables`],
//! so they cannot disagree.

mod charts;
mod csv_file;
mod data;
mod html;
mod local;
mod pdf;
mod summary;
mod tables;
mod text;
mod xlsx;

pub use csv_file::csv;
pub use data::{AlarmLine, DeploymentLine, Kind, LabSeries, NodeLine, ReportData};
pub use html::html;
pub use pdf::pdf;
pub use xlsx::xlsx;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the report's time zone {name:?} is not known; choose one of the IANA database, such as Asia/Shanghai")]
    TimeZone { name: String, source: jiff::Error },
    #[error("the report's font cannot be read; this build is broken, install the program again")]
    Font,
    #[error("writing the PDF report failed: {0}; try a shorter period or fewer nodes")]
    Pdf(String),
    #[error("writing the XLSX report failed; try a shorter period or fewer nodes")]
    Xlsx(#[from] rust_xlsxwriter::XlsxError),
    #[error("writing the CSV report failed")]
    Csv(#[from] ::csv::Error),
}
