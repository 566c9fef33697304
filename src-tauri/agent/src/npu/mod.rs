//! The NPUs of the node, by the vendor's tool `npu-smi`.
//!
//! `run` starts the tool and keeps it within bounds; the other files turn what it printed into the types of
//! [`edgedeck_model::npu`] and do no I/O. `info` reads the overview table, `page` the pages of `Key : value` lines that
//! most details are printed as, `pages` gives those their types, and `lists` reads the remaining tables.
//!
//! The tool's output differs between products and versions, has no machine-readable form and may be cut short. So the
//! parsers go by the names in the headers rather than by columns, pass over what they do not know, and believe a line
//! only if it is whole: a table row up to its closing bar, any other line up to its line break. Half a number is
//! never taken for a number.

mod info;
mod lists;
mod page;
mod pages;
mod run;
mod value;

pub use info::parse_info;
pub use lists::{parse_mappings, parse_processes, parse_templates, parse_vnpus, parse_watch};
pub use page::{Page, Section, parse_page};
pub use pages::{
    parse_answer, parse_board, parse_cards, parse_certificate, parse_diagnosis, parse_ecc, parse_faults, parse_flash,
    parse_readings,
};
pub use run::{DEADLINE, NpuError, TOOL, read, run};

/// More than this is no output of the tool, in bytes; the longest real one is under 20 KiB.
pub const OUTPUT_MAX: usize = 1024 * 1024;

/// The text is not the expected output of `npu-smi`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Longer than [`OUTPUT_MAX`]; none of it was looked at.
    #[error("the NPU tool printed {bytes} bytes, more than the {OUTPUT_MAX} that are read")]
    TooLarge {
        /// Length of the text.
        bytes: usize,
    },
    /// Nothing of the expected kind is in it.
    #[error(
        "the NPU tool's output is not understood from line {line}: {text:?}; check the versions of tool and driver"
    )]
    Unparsable {
        /// Number of the first line that was not understood, from 1.
        line: u32,
        /// That line, shortened.
        text: String,
    },
}

/// Tries every parser on the bytes and drops the results: the entry for fuzzing. It must return, whatever they are.
pub fn parse_any(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let text = text.as_ref();
    let _ = parse_info(text);
    let _ = parse_mappings(text);
    let _ = parse_processes(text);
    let _ = parse_templates(text);
    let _ = parse_vnpus(text);
    let _ = parse_watch(text);
    let _ = parse_answer(text);
    let _ = parse_board(text);
    let _ = parse_cards(text);
    let _ = parse_certificate(text);
    let _ = parse_diagnosis(text);
    let _ = parse_ecc(text);
    let _ = parse_faults(text);
    let _ = parse_flash(text);
    let _ = parse_readings(text);
}
