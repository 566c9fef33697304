//! Single values as the tool prints them, and the lines they stand in.

use super::{OUTPUT_MAX, ParseError};
use edgedeck_model::name;

/// One of the tool's "MB", in bytes.
pub const MIB: u64 = 1024 * 1024;
/// One of the tool's "GB", in bytes.
pub const GIB: u64 = 1024 * MIB;

/// Texts are cut to this many characters.
const TEXT_MAX: usize = 200;

/// A line of output, without its line break.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// From 1.
    pub number: u32,
    pub text: &'a str,
    /// Its line break was printed; without it the end may be missing.
    pub whole: bool,
}

impl Line<'_> {
    pub fn unparsable(&self) -> ParseError {
        ParseError::Unparsable {
            line: self.number,
            text: name::tame(self.text, TEXT_MAX),
        }
    }
}

/// The lines that are not blank.
///
/// # Errors
/// [`ParseError::TooLarge`].
pub fn lines(text: &str) -> Result<impl Iterator<Item = Line<'_>>, ParseError> {
    Ok(all_lines(text)?.filter(|line| !line.text.trim().is_empty()))
}

/// The lines, blank ones too.
///
/// # Errors
/// [`ParseError::TooLarge`].
pub fn all_lines(text: &str) -> Result<impl Iterator<Item = Line<'_>>, ParseError> {
    if text.len() > OUTPUT_MAX {
        return Err(ParseError::TooLarge { bytes: text.len() });
    }
    Ok((1..).zip(text.split_inclusive('\n')).map(|(number, line)| Line {
        number,
        text: line.trim_end_matches(['\n', '\r']),
        whole: line.ends_with('\n'),
    }))
}

/// Nothing was found: the fault of the given line or, without one, of the first line there is.
pub fn nothing_found(text: &str, first_unread: Option<Line<'_>>) -> ParseError {
    let first = || text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    first_unread
        .unwrap_or_else(|| Line {
            number: 1,
            text: first(),
            whole: false,
        })
        .unparsable()
}

/// The value without the space around it; `None` for the ways to print that there is none.
pub fn present(value: &str) -> Option<&str> {
    let value = value.trim();
    let absent = matches!(value, "" | "-" | "--") || ["NA", "N/A"].iter().any(|word| value.eq_ignore_ascii_case(word));
    (!absent).then_some(value)
}

/// A text of bounded length, without control characters.
pub fn text(value: &str) -> Option<String> {
    let text = name::tame(present(value)?, TEXT_MAX);
    (!text.is_empty()).then_some(text)
}

/// A decimal number; not the infinities, exponents and signs that `f64` also takes.
pub fn decimal(value: &str) -> Option<f64> {
    let value = present(value)?;
    let digits = value.strip_prefix('-').unwrap_or(value);
    let plain = digits.len() <= 12
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if plain { value.parse().ok() } else { None }
}

/// A decimal number that cannot be negative.
pub fn positive(value: &str) -> Option<f64> {
    decimal(value).filter(|number| *number >= 0.0)
}

/// A share from 0 to 100.
pub fn percent(value: &str) -> Option<f64> {
    decimal(value).filter(|number| (0.0..=100.0).contains(number))
}

/// A whole number.
pub fn count(value: &str) -> Option<u64> {
    let value = present(value)?;
    if value.bytes().all(|b| b.is_ascii_digit()) {
        value.parse().ok()
    } else {
        None
    }
}

/// A whole number of 32 bits.
pub fn small(value: &str) -> Option<u32> {
    u32::try_from(count(value)?).ok()
}

/// An id of at most `max`.
pub fn id(value: &str, max: u32) -> Option<u32> {
    small(value).filter(|id| *id <= max)
}

/// A size printed in `unit` bytes.
pub fn bytes(value: &str, unit: u64) -> Option<u64> {
    count(value)?.checked_mul(unit)
}

/// A hexadecimal code of at most 32 bits, with or without `0x`.
pub fn code(value: &str) -> Option<u32> {
    let value = present(value)?;
    let digits = value
        .strip_prefix("0x")
        .or_else(|| value.strip_prefix("0X"))
        .unwrap_or(value);
    let plain = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if plain {
        u32::from_str_radix(digits, 16).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_values_are_not_zero() {
        for value in ["", " ", "-", "--", "NA", "na", "N/A"] {
            assert_eq!(
                (decimal(value), count(value), code(value), text(value)),
                (None, None, None, None),
                "{value:?}"
            );
        }
    }

    #[test]
    fn only_plain_numbers_are_numbers() {
        assert_eq!(
            (decimal("12.8"), decimal("-5"), decimal("0.0")),
            (Some(12.8), Some(-5.0), Some(0.0))
        );
        for value in [
            "inf",
            "NaN",
            "1e3",
            "+1",
            ".5",
            "1.2.3",
            "--1",
            "12W",
            "9999999999999",
            "١",
        ] {
            assert_eq!(decimal(value), None, "{value:?}");
        }
        assert_eq!(
            (positive("-1"), percent("100.1"), percent("-0.1"), percent("100")),
            (None, None, None, Some(100.0))
        );
        for value in ["+1", "-1", "1.0", "18446744073709551616", "x"] {
            assert_eq!(count(value), None, "{value:?}");
        }
        assert_eq!(
            (small("4294967296"), id("255", 254), id("254", 254)),
            (None, None, Some(254))
        );
        assert_eq!(
            (bytes("18446744073709551615", MIB), bytes("3", GIB)),
            (None, Some(3_221_225_472))
        );
        assert_eq!(
            (code("0x81AF8000"), code("80E3A203")),
            (Some(0x81AF_8000), Some(0x80E3_A203))
        );
        assert_eq!(
            (code("0x"), code("123456789"), code("+1"), code("xyz")),
            (None, None, None, None)
        );
    }
}
