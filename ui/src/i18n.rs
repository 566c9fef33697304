//! Texts in Chinese and English. `texts!` takes both languages of each, so a missing one does not compile.

use crate::state::ui;
use edgedeck_model::Lang;
use leptos::prelude::*;
use std::fmt::Display;

/// One text in both languages. `{name}` stands for a fact; `{name|one|many}` for a word that depends on a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    pub zh: &'static str,
    pub en: &'static str,
}

impl Text {
    pub fn of(self, lang: Lang) -> &'static str {
        lang.pick(self.zh, self.en)
    }

    /// In the present language; whatever reads it is drawn anew when the language changes.
    pub fn get(self) -> &'static str {
        self.of(ui().lang.get())
    }

    /// In the present language, for event handlers.
    pub fn get_untracked(self) -> &'static str {
        self.of(ui().lang.get_untracked())
    }

    /// For a view: a closure that follows the language.
    pub fn t(self) -> impl Fn() -> &'static str + Copy + Send + Sync + 'static {
        move || self.get()
    }

    /// With its facts filled in; follows the language.
    pub fn with(self, facts: &[(&str, &dyn Display)]) -> String {
        fill(self.get(), facts)
    }

    /// With its facts filled in, for event handlers.
    pub fn with_untracked(self, facts: &[(&str, &dyn Display)]) -> String {
        fill(self.get_untracked(), facts)
    }
}

impl From<Text> for Signal<String> {
    fn from(text: Text) -> Self {
        Signal::derive(move || text.get().to_owned())
    }
}

/// The present language; tracked.
pub fn lang() -> Lang {
    ui().lang.get()
}

/// Puts facts in the place of `{name}`, and the word that suits a count in the place of `{name|one|many}`.
pub fn fill(sentence: &str, facts: &[(&str, &dyn Display)]) -> String {
    let mut out = String::with_capacity(sentence.len() + 24);
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((inside, after)) = after.split_once('}') else {
            return out;
        };
        let mut words = inside.split('|');
        let name = words.next().unwrap_or_default();
        let fact = facts
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_string());
        let fact = fact.unwrap_or_else(|| "?".to_owned());
        match (words.next(), words.next()) {
            (Some(one), Some(many)) => out.push_str(if fact == "1" { one } else { many }),
            _ => out.push_str(&fact),
        }
        rest = after;
    }
    out + rest
}

/// Declares texts: `NAME: "中文", "English";`. Once per module.
#[macro_export]
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $zh:literal, $en:literal;)*) => {
        $($(#[$doc])* pub const $name: $crate::i18n::Text = $crate::i18n::Text { zh: $zh, en: $en };)*

        #[cfg(test)]
        #[test]
        fn both_languages_name_the_same_facts() {
            $($crate::i18n::tests::check(stringify!($name), $name);)*
        }
    };
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Both languages say something and name the same facts.
    pub fn check(name: &str, text: Text) {
        let facts = |sentence: &'static str| -> BTreeSet<&str> {
            sentence
                .split('{')
                .skip(1)
                .filter_map(|rest| rest.split(['}', '|']).next())
                .collect()
        };
        assert!(!text.zh.is_empty() && !text.en.is_empty(), "{name} is empty");
        assert_eq!(facts(text.zh), facts(text.en), "{name}");
    }

    #[test]
    fn facts_and_counts() {
        let facts: &[(&str, &dyn Display)] = &[("n", &1), ("who", &"a{b")];
        assert_eq!(fill("{n} {n|node|nodes} of {who}", facts), "1 node of a{b");
        assert_eq!(fill("{n} {n|node|nodes}{gone}", &[("n", &3)]), "3 nodes?");
    }
}
