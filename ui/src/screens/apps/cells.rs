//! Fields bound to the content of an [`Editor`]: what is typed goes into the content where it is a value, and the text
//! follows when the content changes elsewhere. A text that is no value stays as typed and is marked.

use super::editor::Editor;
use crate::{
    components::{Button, Check, Choice, Field, Icon, Kind},
    i18n::Text,
    texts,
};
use edgedeck_model::app::Part;
use leptos::prelude::*;

texts! {
    NOT_A_VALUE: "不是有效的值", "is not a value";
    ADD: "添加", "Add";
    REMOVE: "删除第 {n} 项", "Remove entry {n}";
    BAD_ROW: "第 {n} 项无效", "Entry {n} is not right";
}

/// One line of text that stands for a value of a part.
#[derive(Clone, Copy)]
pub struct Scalar {
    pub key: &'static str,
    pub print: fn(&Part) -> String,
    /// `false` where the text is no value; the part is left as it is then.
    pub put: fn(&mut Part, &str) -> bool,
}

/// Text for a field that keeps it equal to the content of a part.
pub fn bound(editor: Editor, at: usize, scalar: Scalar) -> (RwSignal<String>, Signal<bool>) {
    let key = format!("{at}.{}", scalar.key);
    let printed = Memo::new(move |_| editor.of_part(at, scalar.print));
    let text = RwSignal::new(printed.get_untracked());
    let bad = RwSignal::new(false);
    // What is not shown any more cannot be wrong.
    let shown = key.clone();
    on_cleanup(move || editor.mark(&shown, true));
    // From the content to the text.
    Effect::new(move |before: Option<u32>| {
        let (printed, epoch) = (printed.get(), editor.epoch.get());
        let stands_for = editor.spec_untracked().parts.get(at).cloned().map(|mut part| {
            let is_value = (scalar.put)(&mut part, &text.get_untracked());
            is_value && (scalar.print)(&part) == printed
        });
        let replaced = before.is_some_and(|before| before != epoch);
        if stands_for == Some(false) && (replaced || !bad.get_untracked()) {
            text.set(printed);
        }
        epoch
    });
    // From the text to the content.
    Effect::new(move |before: Option<()>| {
        let typed = text.get();
        let Some(mut part) = editor.spec_untracked().parts.get(at).cloned() else {
            return;
        };
        let held = part.clone();
        let good = (scalar.put)(&mut part, &typed);
        bad.set(!good);
        editor.mark(&key, good);
        if before.is_some() && good && part != held {
            editor.edit_part(at, |held| *held = part);
        }
    });
    (text, bad.into())
}

/// A line, a number or an area.
#[component]
pub fn BoundField(
    editor: Editor,
    at: usize,
    scalar: Scalar,
    label: Text,
    /// Path of the field in the rules, as `resources.cpu_limit_millis`.
    field: &'static str,
    #[prop(optional)] help: Option<Text>,
    #[prop(optional)] placeholder: &'static str,
    test: &'static str,
) -> impl IntoView {
    let (text, bad) = bound(editor, at, scalar);
    let error = Signal::derive(move || {
        if bad.get() {
            Some(NOT_A_VALUE.get().to_owned())
        } else {
            editor.error_at(at, field)
        }
    });
    let placeholder = Signal::stored(placeholder.to_owned());
    match help {
        Some(help) => {
            view! { <Field label=label value=text error=error help=help placeholder=placeholder test=test/> }.into_any()
        }
        None => view! { <Field label=label value=text error=error placeholder=placeholder test=test/> }.into_any(),
    }
}

/// One of a few.
#[component]
pub fn BoundChoice(
    editor: Editor,
    at: usize,
    scalar: Scalar,
    label: Text,
    #[prop(into)] options: Signal<Vec<(String, String)>>,
    test: &'static str,
) -> impl IntoView {
    let (text, _) = bound(editor, at, scalar);
    view! { <Choice label=label value=text options=options test=test/> }
}

/// Yes or no.
#[component]
pub fn BoundCheck(
    editor: Editor,
    at: usize,
    read: fn(&Part) -> bool,
    put: fn(&mut Part, bool),
    label: Text,
    #[prop(optional)] help: Option<Text>,
    test: &'static str,
) -> impl IntoView {
    let checked = Signal::derive(move || editor.of_part(at, read));
    let set = Callback::new(move |checked| editor.edit_part(at, |part| put(part, checked)));
    view! { <Check label=label checked=checked set=set help=help test=test/> }
}

/// What one cell of a list's row holds.
#[derive(Clone, Copy, PartialEq)]
pub enum Cell {
    Text(Text),
    /// The choices, first is usual.
    OneOf(Text, &'static [&'static str]),
}

/// A list of a part as rows of texts.
#[derive(Clone, Copy)]
pub struct List {
    pub key: &'static str,
    pub cells: &'static [Cell],
    pub print: fn(&Part) -> Vec<Vec<String>>,
    /// Puts the rows into the part; answers which row is no value.
    pub put: fn(&mut Part, &[Vec<String>]) -> Option<usize>,
}

type Line = (u32, Vec<RwSignal<String>>);

/// Rows with a button to add one and to remove each.
#[component]
pub fn BoundList(
    editor: Editor,
    at: usize,
    list: List,
    label: Text,
    field: &'static str,
    #[prop(optional)] help: Option<Text>,
    test: &'static str,
) -> impl IntoView {
    let key = format!("{at}.{}", list.key);
    let next = StoredValue::new(0_u32);
    let line = move |cells: &[String]| -> Line {
        let number = next.get_value();
        next.set_value(number + 1);
        (number, cells.iter().map(|cell| RwSignal::new(cell.clone())).collect())
    };
    let lines = move |rows: &[Vec<String>]| rows.iter().map(|row| line(row)).collect::<Vec<Line>>();
    let printed = Memo::new(move |_| editor.of_part(at, list.print));
    let rows = RwSignal::new(lines(&printed.get_untracked()));
    let texts = move || {
        rows.with(|rows| {
            rows.iter()
                .map(|(_, cells)| cells.iter().map(|cell| cell.get()).collect())
                .collect::<Vec<Vec<String>>>()
        })
    };
    let wrong = RwSignal::new(None::<usize>);
    let shown = key.clone();
    on_cleanup(move || editor.mark(&shown, true));
    Effect::new(move |before: Option<u32>| {
        let (printed, epoch) = (printed.get(), editor.epoch.get());
        let typed = untrack(texts);
        let stands_for = editor.spec_untracked().parts.get(at).cloned().map(|mut part| {
            let is_good = (list.put)(&mut part, &typed).is_none();
            is_good && (list.print)(&part) == printed
        });
        let replaced = before.is_some_and(|before| before != epoch);
        if stands_for == Some(false) && (replaced || wrong.get_untracked().is_none()) {
            rows.set(lines(&printed));
        }
        epoch
    });
    Effect::new(move |before: Option<()>| {
        let typed = texts();
        let Some(mut part) = editor.spec_untracked().parts.get(at).cloned() else {
            return;
        };
        let held = part.clone();
        let bad = (list.put)(&mut part, &typed);
        wrong.set(bad);
        editor.mark(&key, bad.is_none());
        if before.is_some() && bad.is_none() && part != held {
            editor.edit_part(at, |held| *held = part);
        }
    });
    let error = move || match wrong.get() {
        Some(row) => Some(BAD_ROW.with(&[("n", &(row + 1))])),
        None => editor.error_at(at, field),
    };
    let add = Callback::new(move |()| {
        let usual: Vec<String> = list
            .cells
            .iter()
            .map(|cell| match cell {
                Cell::Text(_) => String::new(),
                Cell::OneOf(_, options) => options.first().map(|option| (*option).to_owned()).unwrap_or_default(),
            })
            .collect();
        rows.update(|rows| rows.push(line(&usual)));
    });
    let one = move |(number, cells): Line| {
        let place = move || rows.with(|rows| rows.iter().position(|row| row.0 == number).map_or(0, |at| at + 1));
        let inputs = list
            .cells
            .iter()
            .zip(cells)
            .map(|(cell, value)| one_cell(*cell, value))
            .collect_view();
        view! {
            <div class="list-row" data-test=format!("{test}-row")>
                {inputs}
                <Button
                    label=Signal::derive(move || REMOVE.with(&[("n", &place())]))
                    sign=Icon::Trash
                    sign_only=true
                    kind=Kind::Quiet
                    press=Callback::new(move |()| rows.update(|rows| rows.retain(|row| row.0 != number)))
                />
            </div>
        }
    };
    view! {
        <div class="field" role="group" aria-label=label.t() data-test=test>
            <span class="list-label">
                <span>{label.t()}</span>
                <Button label=ADD sign=Icon::Plus kind=Kind::Quiet press=add test=""/>
            </span>
            <For each=move || rows.get() key=|row| row.0 children=one/>
            <p class="field-note" class:field-error=move || error().is_some()>
                {move || error().or_else(|| help.map(|help| help.get().to_owned()))}
            </p>
        </div>
    }
}

fn one_cell(cell: Cell, value: RwSignal<String>) -> impl IntoView {
    match cell {
        Cell::Text(label) => view! {
            <input
                type="text"
                spellcheck="false"
                autocomplete="off"
                placeholder=label.t()
                aria-label=label.t()
                prop:value=move || value.get()
                on:input:target=move |event| value.set(event.target().value())
            />
        }
        .into_any(),
        Cell::OneOf(label, options) => {
            let options = options
                .iter()
                .map(|option| view! { <option value=*option selected=value.get_untracked() == **option>{*option}</option> })
                .collect_view();
            view! {
                <select
                    aria-label=label.t()
                    prop:value=move || value.get()
                    on:change:target=move |event| value.set(event.target().value())
                >
                    {options}
                </select>
            }
            .into_any()
        }
    }
}
