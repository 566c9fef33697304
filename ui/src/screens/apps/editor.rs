//! A specification being edited, as a form and as JSON side by side: one content, checked at every change by the rules
//! that the engine keeps.
//!
//! `data-test`: `spec-json`, `spec-problem`, `spec-restore`, `add-container`, `add-process`; those of a part are in
//! `part.rs`.

use super::{
    part::PartForm,
    spec_text::{self, TextProblem, Wrong},
};
use crate::{
    components::{Button, Icon, icon},
    i18n::lang,
    texts,
};
use edgedeck_model::{
    Problem,
    api::Package,
    app::{Container, PARTS_MAX, Part, Process, Resources, Restart, Run, Spec},
    text,
};
use leptos::{html, prelude::*};
use std::collections::{BTreeMap, BTreeSet};

texts! {
    FORM: "表单", "Form";
    JSON: "JSON", "JSON";
    JSON_HELP: "与表单内容相同；改动任一侧，另一侧随之更新。", "The same content as the form; a change on one side shows on the other.";
    AT_LINE: "第 {line} 行：{what}", "Line {line}: {what}";
    UNKNOWN_FIELD: "没有名为“{name}”的字段", "there is no field “{name}”";
    FORM_WAITS: "JSON 有误，修正后才能使用表单。", "The JSON has an error; the form waits until it is mended.";
    RESTORE: "恢复到上次有效的内容", "Back to the last that was right";
    PROBLEM: "{field}：{why}", "{field}: {why}";
    BAD_FIELDS: "有字段填写有误。", "A field is not filled in rightly.";
    GOOD: "内容有效", "The content is right";
    ADD_CONTAINER: "添加容器", "Add a container";
    ADD_PROCESS: "添加进程", "Add a process";
}

/// What is being edited. Signals all, so a copy is the same content.
#[derive(Clone, Copy)]
pub struct Editor {
    spec: RwSignal<Spec>,
    text: RwSignal<String>,
    text_problem: RwSignal<Option<TextProblem>>,
    /// Fields of the form whose text is no value, by a key of theirs.
    bad: RwSignal<BTreeSet<String>>,
    /// Moves when the fields of the form must take their text from the content again.
    pub epoch: RwSignal<u32>,
    /// Packages uploaded here, by their hash: their programs can be chosen from.
    pub packages: RwSignal<BTreeMap<String, Package>>,
    problem: Memo<Option<Problem>>,
}

impl Editor {
    pub fn new(spec: Spec) -> Self {
        let text = RwSignal::new(spec_text::print(&spec));
        let spec = RwSignal::new(spec);
        Self {
            spec,
            text,
            text_problem: RwSignal::new(None),
            bad: RwSignal::new(BTreeSet::new()),
            epoch: RwSignal::new(0),
            packages: RwSignal::new(BTreeMap::new()),
            problem: Memo::new(move |_| spec.with(|spec| spec.check().err())),
        }
    }

    /// The content; tracked.
    pub fn spec(self) -> Spec {
        self.spec.get()
    }

    pub fn spec_untracked(self) -> Spec {
        self.spec.get_untracked()
    }

    /// Whether the content keeps every rule and both sides are right; tracked.
    pub fn is_good(self) -> bool {
        self.problem.with(Option::is_none)
            && self.text_problem.with(Option::is_none)
            && self.bad.with(BTreeSet::is_empty)
    }

    /// Replaces everything, as when another version is taken as the start.
    pub fn replace(self, spec: Spec) {
        self.text.set(spec_text::print(&spec));
        self.text_problem.set(None);
        self.bad.set(BTreeSet::new());
        self.spec.set(spec);
        self.epoch.update(|epoch| *epoch += 1);
    }

    /// A change by the form.
    pub fn edit(self, change: impl FnOnce(&mut Spec)) {
        self.spec.update(change);
        self.text.set(self.spec.with_untracked(spec_text::print));
        self.text_problem.set(None);
    }

    /// A change by the JSON side.
    fn type_json(self, text: String) {
        match spec_text::read(&text) {
            Ok(spec) => {
                self.text_problem.set(None);
                self.bad.set(BTreeSet::new());
                self.spec.set(spec);
                self.epoch.update(|epoch| *epoch += 1);
            }
            Err(problem) => self.text_problem.set(Some(problem)),
        }
        self.text.set(text);
    }

    /// A fact of a part; tracked.
    pub fn of_part<T: Default>(self, at: usize, read: impl FnOnce(&Part) -> T) -> T {
        self.spec.with(|spec| spec.parts.get(at).map(read).unwrap_or_default())
    }

    pub fn edit_part(self, at: usize, change: impl FnOnce(&mut Part)) {
        self.edit(|spec| {
            if let Some(part) = spec.parts.get_mut(at) {
                change(part);
            }
        });
    }

    /// Notes whether a field's text is a value.
    pub fn mark(self, key: &str, good: bool) {
        // The screen may be going.
        let is_marked = self.bad.try_with_untracked(|bad| bad.contains(key));
        if is_marked == Some(good) {
            self.bad.try_update(|bad| {
                if good {
                    _ = bad.remove(key)
                } else {
                    _ = bad.insert(key.to_owned())
                }
            });
        }
    }

    /// The sentence for a part's field that breaks a rule; tracked.
    pub fn error_at(self, at: usize, field: &'static str) -> Option<String> {
        let path = format!("parts.{at}.{field}");
        self.problem.with(|problem| {
            let problem = problem.as_ref().filter(|problem| problem.fact("field") == path)?;
            let why = text::refusal(problem.fact("reason"), lang()).to_owned();
            let which = [problem.fact("key"), problem.fact("port")]
                .into_iter()
                .find(|fact| !fact.is_empty());
            Some(which.map_or(why.clone(), |which| PROBLEM.with(&[("field", &which), ("why", &why)])))
        })
    }

    /// Takes a part out; the fields of those after it move up.
    pub fn remove_part(self, at: usize) {
        self.bad.set(BTreeSet::new());
        self.edit(|spec| {
            if at < spec.parts.len() {
                spec.parts.remove(at);
            }
        });
        self.epoch.update(|epoch| *epoch += 1);
    }

    fn add(self, run: Run) {
        self.edit(|spec| {
            let name = free_name(spec);
            spec.parts.push(part(name, run));
        });
    }
}

/// A part with nothing asked and nothing set.
pub fn part(name: String, run: Run) -> Part {
    Part {
        name,
        run,
        args: vec![],
        env: BTreeMap::new(),
        resources: Resources::default(),
        restart: Restart::Always,
        liveness: None,
        readiness: None,
    }
}

/// `main`, or the first of `part-2`, `part-3` … that no part has.
fn free_name(spec: &Spec) -> String {
    let names = std::iter::once("main".to_owned()).chain((2..).map(|n| format!("part-{n}")));
    let is_free = |name: &String| spec.parts.iter().all(|part| part.name != *name);
    names.take(PARTS_MAX + 1).find(is_free).unwrap_or_default()
}

/// One container, for the start.
pub fn container_spec(image: &str) -> Spec {
    let container = Container {
        image: image.to_owned(),
        ..Container::default()
    };
    Spec {
        parts: vec![part("main".to_owned(), Run::Container(container))],
    }
}

/// One process, for the start.
pub fn process_spec() -> Spec {
    Spec {
        parts: vec![part("main".to_owned(), Run::Process(Process::default()))],
    }
}

/// Form at the left, JSON at the right.
#[component]
pub fn SpecEditor(editor: Editor) -> impl IntoView {
    let count = Memo::new(move |_| editor.spec.with(|spec| spec.parts.len()));
    let waits = Signal::derive(move || editor.text_problem.with(Option::is_some));
    let full = Signal::derive(move || count.get() >= PARTS_MAX);
    view! {
        <div class="spec-editor">
            <section class="spec-side" aria-label=FORM.t()>
                <h2>{FORM.t()}</h2>
                <Show when=move || waits.get()>
                    <p class="note-box" role="status">{FORM_WAITS.t()}</p>
                </Show>
                <fieldset class="plain-set" disabled=move || waits.get()>
                    <For each=move || 0..count.get() key=|at| *at let(at)>
                        <PartForm editor=editor at=at/>
                    </For>
                    <div class="button-row">
                        <Button
                            label=ADD_CONTAINER
                            sign=Icon::Plus
                            disabled=full
                            press=Callback::new(move |()| editor.add(Run::Container(Container::default())))
                            test="add-container"
                        />
                        <Button
                            label=ADD_PROCESS
                            sign=Icon::Plus
                            disabled=full
                            press=Callback::new(move |()| editor.add(Run::Process(Process::default())))
                            test="add-process"
                        />
                    </div>
                </fieldset>
            </section>
            <section class="spec-side" aria-label=JSON.t()>
                <h2>{JSON.t()}</h2>
                <p class="quiet-text">{JSON_HELP.t()}</p>
                <Verdict editor=editor/>
                <JsonSide editor=editor/>
            </section>
        </div>
    }
}

/// The text with its line numbers; the line of the error is marked.
#[component]
fn JsonSide(editor: Editor) -> impl IntoView {
    let scroll = RwSignal::new(0);
    let area = NodeRef::<html::Textarea>::new();
    let lines = Memo::new(move |_| editor.text.with(|text| text.split('\n').count()));
    let wrong = move || {
        editor
            .text_problem
            .with(|problem| problem.as_ref().map(|problem| problem.line))
    };
    view! {
        <div class="code-box">
            <div class="code-lines" aria-hidden="true">
                <div style:transform=move || format!("translateY({}px)", -scroll.get())>
                    <For each=move || 1..=lines.get() key=|line| *line let(line)>
                        <span class:wrong=move || wrong() == Some(line)>{line}</span>
                    </For>
                </div>
            </div>
            <textarea
                class="code-area"
                data-test="spec-json"
                spellcheck="false"
                wrap="off"
                node_ref=area
                aria-label=JSON.t()
                aria-invalid=move || wrong().map(|_| "true")
                prop:value=move || editor.text.get()
                on:input:target=move |event| editor.type_json(event.target().value())
                on:scroll=move |_| {
                    if let Some(area) = area.get_untracked() {
                        scroll.set(area.scroll_top());
                    }
                }
            ></textarea>
        </div>
    }
}

/// In words, whether the content is right, and if not where.
#[component]
fn Verdict(editor: Editor) -> impl IntoView {
    let restore = Callback::new(move |()| editor.replace(editor.spec_untracked()));
    // In words, and whether it is wrong rather than not given yet.
    let words = move || {
        if let Some(problem) = editor.text_problem.get() {
            let what = match &problem.what {
                Wrong::Form(words) => words.clone(),
                Wrong::UnknownField(name) => UNKNOWN_FIELD.with(&[("name", name)]),
            };
            return Some((AT_LINE.with(&[("line", &problem.line), ("what", &what)]), true));
        }
        if !editor.bad.with(BTreeSet::is_empty) {
            return Some((BAD_FIELDS.get().to_owned(), true));
        }
        editor.problem.with(|problem| {
            let problem = problem.as_ref()?;
            let why = text::refusal(problem.fact("reason"), lang());
            let words = PROBLEM.with(&[("field", &problem.fact("field")), ("why", &why)]);
            Some((words, problem.fact("reason") != "required"))
        })
    };
    view! {
        <div class="verdict" role="status" data-test="spec-problem" data-good=move || editor.is_good().to_string()>
            {move || match words() {
                Some((words, wrong)) => view! { <p class="field-note" class:field-error=wrong>{words}</p> }.into_any(),
                None => view! { <p class="verdict-good">{icon(Icon::Check)} {GOOD.t()}</p> }.into_any(),
            }}
            <Show when=move || editor.text_problem.with(Option::is_some)>
                <Button label=RESTORE press=restore test="spec-restore"/>
            </Show>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_part_takes_a_free_name() {
        let mut spec = container_spec("x");
        assert_eq!(free_name(&Spec::default()), "main");
        assert_eq!(free_name(&spec), "part-2");
        for _ in 0..5 {
            let name = free_name(&spec);
            spec.parts.push(part(
                name,
                Run::Container(Container {
                    image: "x".to_owned(),
                    ..Container::default()
                }),
            ));
        }
        assert!(spec.check().is_ok());
    }

    #[test]
    fn both_starts_lack_only_what_the_user_must_say() {
        assert!(container_spec("nginx:1").check().is_ok());
        assert_eq!(
            container_spec("").check().map_err(|p| p.fact("reason").to_owned()),
            Err("required".to_owned())
        );
        assert_eq!(
            process_spec().check().map_err(|p| p.fact("reason").to_owned()),
            Err("required".to_owned())
        );
    }
}
