//! Pages of `Key : value` lines, the form of most details.
//!
//! A page has one section per chip or controller, parted by blank lines. Some pages print the chip's number first in
//! its section and some last, so the section, not the order, says what belongs together.

use super::ParseError;
use super::value;
use edgedeck_model::npu::{CHIP_ID_MAX, NPU_ID_MAX};

/// A line longer than this before its colon has no key, in bytes.
const KEY_MAX: usize = 80;

/// A section has no more lines; real ones have some twenty. It bounds the time spent looking for a key in a section.
const FIELDS_MAX: usize = 200;

/// No more sections of a page are read, blank lines counted; real ones have one for each chip or fault.
const SECTIONS_MAX: usize = 2000;

/// A page as printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In order; none is empty.
    pub sections: Vec<Section>,
}

/// The lines about one thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section {
    fields: Vec<Field>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    /// The name in lower case without spaces: versions differ in both.
    key: String,
    name: String,
    value: String,
}

/// Reads a page.
///
/// # Errors
/// [`ParseError::TooLarge`]; [`ParseError::Unparsable`] when no line has a key.
pub fn parse_page(text: &str) -> Result<Page, ParseError> {
    let mut sections = vec![Section::default()];
    let mut first_unread = None;
    for line in value::all_lines(text)? {
        if sections.len() > SECTIONS_MAX {
            break;
        }
        match (line.whole, line.text.trim().is_empty()) {
            (true, true) => sections.push(Section::default()),
            (_, true) => {}
            (true, false) if take(&mut sections, line.text) => {}
            (_, false) => _ = first_unread.get_or_insert(line),
        }
    }
    // A value that ends in a comma goes on in the next line; at the end of the text that line is missing.
    if let Some(section) = sections.last_mut() {
        section.fields.pop_if(|field| field.value.ends_with(','));
    }
    sections.retain(|section| !section.fields.is_empty());
    if sections.is_empty() {
        Err(value::nothing_found(text, first_unread))
    } else {
        Ok(Page { sections })
    }
}

/// Adds the line to the last section, or begins another; `false` if it is neither a field nor goes on with one.
fn take(sections: &mut Vec<Section>, line: &str) -> bool {
    let Some(section) = sections.last_mut() else {
        return false;
    };
    if let Some(field) = section.fields.last_mut()
        && field.value.ends_with(',')
        && line.starts_with([' ', '\t'])
    {
        field.value.push(' ');
        field.value.push_str(line.trim());
        return true;
    }
    let Some((name, value)) = line.split_once(':') else {
        return false;
    };
    let name = name.trim();
    if name.is_empty() || name.len() > KEY_MAX {
        return false;
    }
    let field = Field {
        key: key_of(name),
        name: name.to_owned(),
        value: value.trim().to_owned(),
    };
    // Not every version parts the chips by a blank line; a key that comes again does it too.
    if section.fields.len() == FIELDS_MAX || section.fields.iter().any(|known| known.key == field.key) {
        sections.push(Section { fields: vec![field] });
    } else {
        section.fields.push(field);
    }
    true
}

fn key_of(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect()
}

impl Page {
    /// The sections, each with the card it is about: the last one named so far.
    pub fn by_card(&self) -> impl Iterator<Item = (Option<u32>, &Section)> {
        let mut npu_id = None;
        self.sections.iter().map(move |section| {
            npu_id = section.npu_id().or(npu_id);
            (npu_id, section)
        })
    }

    /// The first value of the name in any section.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.sections.iter().find_map(|section| section.value(name))
    }
}

impl Section {
    /// Key (lower case, no spaces), name as printed, and value of every line.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.fields
            .iter()
            .map(|field| (field.key.as_str(), field.name.as_str(), field.value.as_str()))
    }

    /// The value of the name, compared without case and spaces; `None` if it is absent or printed as such.
    pub fn value(&self, name: &str) -> Option<&str> {
        let key = key_of(name);
        value::present(&self.fields.iter().find(|field| field.key == key)?.value)
    }

    /// The value as a text of bounded length.
    pub fn text(&self, name: &str) -> Option<String> {
        value::text(self.value(name)?)
    }

    /// The value as a whole number.
    pub fn small(&self, name: &str) -> Option<u32> {
        value::small(self.value(name)?)
    }

    /// The card, if this section names it.
    pub fn npu_id(&self) -> Option<u32> {
        value::id(self.value("NPU ID")?, NPU_ID_MAX)
    }

    /// The chip, if this section is about one.
    pub fn chip_id(&self) -> Option<u32> {
        value::id(self.value("Chip ID")?, CHIP_ID_MAX)
    }

    /// The section is about the card's management controller.
    pub fn is_controller(&self) -> bool {
        self.value("Chip Name")
            .is_some_and(|name| name.eq_ignore_ascii_case("mcu"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<Vec<String>> {
        let page = parse_page(text).unwrap();
        page.sections
            .iter()
            .map(|section| section.fields().map(|(key, ..)| key.to_owned()).collect())
            .collect()
    }

    #[test]
    fn a_key_that_comes_again_begins_a_section() {
        assert_eq!(keys("A : 1\nB : 2\nA : 3\nB : 4\n"), [["a", "b"], ["a", "b"]]);
        assert_eq!(keys("A : 1\n\n\nB : 2\n"), [["a"], ["b"]]);
    }

    #[test]
    fn half_a_line_is_no_field() {
        assert_eq!(keys("HBM Capacity(MB) : 65536\nHBM Clock : 16"), [["hbmcapacity(mb)"]]);
        assert!(parse_page("HBM Capacity(MB) : 655").is_err());
        assert!(parse_page("  \n").is_err());
    }

    #[test]
    fn a_value_goes_on_after_a_comma_only() {
        let page = parse_page("A: x,\n   y: z\nB: 1\n   2\n").unwrap();
        assert_eq!((page.value("a"), page.value("b")), (Some("x, y: z"), Some("1")));
        assert!(parse_page("A: x,\n").is_err());
    }
}
