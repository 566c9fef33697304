//! The difference of two specifications, line by line.
//!
//! `data-test`: `diff`, in it `diff-add`, `diff-drop`, `diff-same`.

use super::spec_text;
use crate::{i18n::Text, texts};
use edgedeck_model::app::Spec;
use leptos::prelude::*;
use similar::{ChangeTag, TextDiff};

texts! {
    SAME: "两者相同。", "The two are the same.";
    ADDED: "新增", "added";
    DROPPED: "删除", "dropped";
}

/// Lines of the two texts, with those that are in one only marked. Where only little differs, far lines are left out.
pub fn lines(old: &Spec, new: &Spec) -> Vec<(ChangeTag, String)> {
    let (old, new) = (spec_text::print(old), spec_text::print(new));
    let diff = TextDiff::from_lines(&old, &new);
    diff.iter_all_changes()
        .map(|change| (change.tag(), change.value().trim_end_matches('\n').to_owned()))
        .collect()
}

/// Drawn as text with a sign before each line: the colour is not the only mark.
#[component]
pub fn Diff(#[prop(into)] old: Signal<Spec>, #[prop(into)] new: Signal<Spec>) -> impl IntoView {
    let drawn = Memo::new(move |_| old.with(|old| new.with(|new| lines(old, new))));
    let is_same = move || drawn.with(|lines| lines.iter().all(|(tag, _)| *tag == ChangeTag::Equal));
    let one = |(tag, text): (ChangeTag, String)| {
        let (sign, class, test, word): (_, _, _, Option<Text>) = match tag {
            ChangeTag::Equal => (" ", "diff-line", "diff-same", None),
            ChangeTag::Insert => ("+", "diff-line diff-add", "diff-add", Some(ADDED)),
            ChangeTag::Delete => ("−", "diff-line diff-drop", "diff-drop", Some(DROPPED)),
        };
        view! {
            <div class=class data-test=test>
                <span class="diff-sign" aria-hidden="true">{sign}</span>
                {word.map(|word| view! { <span class="off-screen">{word.t()}</span> })}
                <span>{text}</span>
            </div>
        }
    };
    view! {
        <Show when=is_same>
            <p class="quiet-text">{SAME.t()}</p>
        </Show>
        <div class="diff mono" tabindex="0" data-test="diff">{move || drawn.get().into_iter().map(one).collect_view()}</div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screens::apps::editor::container_spec;

    #[test]
    fn only_what_differs_is_marked() {
        let lines = lines(&container_spec("app:1"), &container_spec("app:2"));
        let of = |tag| {
            lines
                .iter()
                .filter(|(found, _)| *found == tag)
                .map(|(_, text)| text.trim())
                .collect::<Vec<_>>()
        };
        assert_eq!(of(ChangeTag::Delete), ["\"image\": \"app:1\","]);
        assert_eq!(of(ChangeTag::Insert), ["\"image\": \"app:2\","]);
        assert!(of(ChangeTag::Equal).len() > 10);
    }
}
