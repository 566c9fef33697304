//! Rules for the texts that people and boxes give.

use crate::problem::{Code, Problem};

/// Longest name of a thing, in characters.
pub const NAME_MAX: usize = 64;
/// Longest description, in characters.
pub const DESCRIPTION_MAX: usize = 512;

/// Whether a character may not appear in any one-line text: controls, and the marks that reverse or hide text.
pub fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A name: 1 to 64 characters, no control or direction marks, no blank at either end.
///
/// # Errors
/// [`Code::Invalid`] naming `field`.
pub fn check_name(field: &str, name: &str) -> Result<(), Problem> {
    let problem = |why| Err(Problem::invalid(field, why));
    match name.chars().count() {
        0 => return problem("name-empty"),
        n if n > NAME_MAX => return problem("name-too-long"),
        _ => {}
    }
    if name.chars().any(is_forbidden) {
        return problem("name-control-characters");
    }
    if name.trim() != name {
        return problem("name-blank-ends");
    }
    Ok(())
}

/// A description: at most 512 characters on one or more lines.
///
/// # Errors
/// [`Code::Invalid`] naming `field`.
pub fn check_description(field: &str, text: &str) -> Result<(), Problem> {
    if text.chars().count() > DESCRIPTION_MAX {
        return Err(Problem::invalid(field, "text-too-long"));
    }
    if text.chars().any(|c| c != '\n' && is_forbidden(c)) {
        return Err(Problem::invalid(field, "name-control-characters"));
    }
    Ok(())
}

/// A label's key or value: 1 to 63 (value: 0 to 63) letters, digits, `-`, `_`, `.`, `/`, or any letter outside ASCII.
///
/// # Errors
/// [`Code::Invalid`] naming `labels`.
pub fn check_label(key: &str, value: &str) -> Result<(), Problem> {
    let fits = |text: &str| {
        text.chars().count() <= 63
            && text
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
    };
    if key.is_empty() || !fits(key) || !fits(value) {
        return Err(Problem::invalid("labels", "label-form").with("key", key));
    }
    Ok(())
}

/// Shortens a text that came from a box to `max` characters and takes out what could disturb a line of text.
pub fn tame(text: &str, max: usize) -> String {
    text.chars()
        .filter(|c| !is_forbidden(*c))
        .take(max)
        .collect::<String>()
        .trim()
        .to_owned()
}

/// A password: 8 to 128 characters.
///
/// # Errors
/// [`Code::Invalid`] naming `password`.
pub fn check_password(password: &str) -> Result<(), Problem> {
    match password.chars().count() {
        0..8 => Err(Problem::invalid("password", "password-too-short")),
        8..=128 => Ok(()),
        _ => Err(Problem {
            code: Code::Invalid,
            ..Problem::invalid("password", "text-too-long")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for good in ["a", "盒子 1", "rack-3/4", &"长".repeat(64)] {
            assert!(check_name("name", good).is_ok(), "{good}");
        }
        for bad in ["", " a", "a ", "a\nb", "a\u{202e}b", "\u{0}", &"x".repeat(65)] {
            assert!(check_name("name", bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_tamed_and_not_empty_is_a_name(text in ".{0,200}") {
            let tamed = tame(&text, NAME_MAX);
            prop_assert!(tamed.is_empty() || check_name("name", &tamed).is_ok(), "{tamed:?}");
        }
    }
}
