//! The command palette: any object by name, serial number, address or id; any screen; any action.

use crate::{
    components::{Dialog, Icon, icon},
    frame::{nav, topbar},
    i18n::{Text, lang},
    match_text::{folded, fuzzy},
    state::{ThemeChoice, may, set_lang, set_theme, ui},
    store::{Lab, lab, store},
    texts,
};
use edgedeck_model::{Lang, user::Role};
use leptos::prelude::*;
use leptos_router::hooks::use_navigate;
use std::sync::Arc;

texts! {
    TITLE: "搜索", "Search";
    HINT: "名称、序列号、IP、ID 或操作…", "Name, serial number, IP, id or action…";
    NOTHING: "没有找到“{query}”。可以输入名称、序列号、IP 或 ID 的一部分。", "Nothing matches “{query}”. Type part of a name, serial number, IP or id.";
    RESULTS: "结果", "Results";
    SCREEN: "屏幕", "Screen";
    ACTION: "操作", "Action";
    NODE: "节点", "Node";
    GROUP: "分组", "Group";
    APP: "应用", "App";
    DEPLOYMENT: "部署", "Deployment";
    SWITCH: "Switch to English", "切换为中文";
    THEME: "主题：{theme}", "Theme: {theme}";
}

const SHOWN: usize = 50;

/// What a choice does.
#[derive(Clone)]
pub enum Act {
    Go(String),
    Run(Arc<dyn Fn() + Send + Sync>),
}

/// Something to choose.
#[derive(Clone)]
pub struct Choice {
    pub title: String,
    pub kind: Text,
    pub note: String,
    pub sign: Icon,
    pub act: Act,
}

/// An action of a screen: added while the screen is there, gone with it.
#[derive(Clone)]
pub struct Action {
    pub title: Text,
    pub sign: Icon,
    pub least: Role,
    pub act: Arc<dyn Fn() + Send + Sync>,
}

thread_local! {
    static ACTIONS: std::cell::RefCell<Vec<(u32, Action)>> = const { std::cell::RefCell::new(Vec::new()) };
    static NEXT: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// Offers an action in the palette for as long as the calling screen stays.
pub fn offer(title: Text, sign: Icon, least: Role, act: impl Fn() + Send + Sync + 'static) {
    let number = NEXT.get();
    NEXT.set(number + 1);
    ACTIONS.with_borrow_mut(|actions| {
        actions.push((
            number,
            Action {
                title,
                sign,
                least,
                act: Arc::new(act),
            },
        ))
    });
    on_cleanup(move || ACTIONS.with_borrow_mut(|actions| actions.retain(|(held, _)| *held != number)));
}

/// Fits a query to what is known of a thing: its title counts more than the rest.
fn fit(query: &str, title: &str, more: &str) -> Option<i32> {
    let by_title = fuzzy(query, &folded(title));
    // Serial numbers, addresses and ids are only found by a part as it stands: scattered letters would fit anything.
    let by_rest = more.contains(query).then_some(500);
    by_title.max(by_rest)
}

/// The best of what the lab and the console offer for a query.
fn choices(lab: &Lab, query: &str, commands: Vec<Choice>) -> Vec<Choice> {
    let query = folded(query.trim());
    let mut found: Vec<(i32, Choice)> = Vec::new();
    for command in commands {
        if let Some(score) = fit(&query, &command.title, "") {
            // An object with exactly that name is meant rather than a command that starts with it.
            found.push((score + if query.is_empty() { 10 } else { 1 }, command));
        }
    }
    if !query.is_empty() {
        for node in lab.nodes() {
            let id = node.row.id.to_string();
            let more = if id.starts_with(&query) { &query } else { &node.search };
            if let Some(score) = fit(&query, &node.row.name, more) {
                let note = [Some(node.row.serial.as_str()), node.row.ip.as_deref()];
                let note = note.into_iter().flatten().collect::<Vec<_>>().join("  ");
                found.push((
                    score,
                    object(NODE, Icon::Nodes, &node.row.name, note, format!("/nodes/{id}")),
                ));
            }
        }
        let groups = lab
            .groups
            .values()
            .map(|group| (GROUP, Icon::Groups, &group.name, group.id.to_string(), "/groups"));
        let apps = lab
            .apps
            .values()
            .map(|app| (APP, Icon::Apps, &app.name, app.id.to_string(), "/apps"));
        let deployments = lab.deployments.values();
        let deployments =
            deployments.map(|d| (DEPLOYMENT, Icon::Deployments, &d.name, d.id.to_string(), "/deployments"));
        for (kind, sign, name, id, path) in groups
            .chain(apps)
            .chain(deployments)
            .filter(|found| nav::exists(found.4))
        {
            if let Some(score) = fit(&query, name, if id.starts_with(&query) { &query } else { "" }) {
                found.push((score, object(kind, sign, name, String::new(), format!("{path}/{id}"))));
            }
        }
    }
    found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    found.truncate(SHOWN);
    found.into_iter().map(|(_, choice)| choice).collect()
}

fn object(kind: Text, sign: Icon, title: &str, note: String, path: String) -> Choice {
    Choice {
        title: title.to_owned(),
        kind,
        note,
        sign,
        act: Act::Go(path),
    }
}

/// Screens and actions that the user may use.
fn commands() -> Vec<Choice> {
    let lang = lang();
    let mut all: Vec<Choice> = Vec::new();
    for (_, action) in ACTIONS.with_borrow(Clone::clone) {
        if may(action.least) {
            let title = action.title.of(lang).to_owned();
            all.push(Choice {
                title,
                kind: ACTION,
                note: String::new(),
                sign: action.sign,
                act: Act::Run(action.act),
            });
        }
    }
    for entry in nav::ENTRIES.iter().filter(|entry| may(entry.least)) {
        let title = entry.title.of(lang).to_owned();
        let note = entry.section.of(lang).to_owned();
        all.push(Choice {
            title,
            kind: SCREEN,
            note,
            sign: entry.sign,
            act: Act::Go(entry.path.to_owned()),
        });
    }
    let mut run = |title: String, sign: Icon, act: Arc<dyn Fn() + Send + Sync>| {
        all.push(Choice {
            title,
            kind: ACTION,
            note: String::new(),
            sign,
            act: Act::Run(act),
        });
    };
    let other = lang.pick(Lang::En, Lang::Zh);
    run(
        SWITCH.of(lang).to_owned(),
        Icon::Settings,
        Arc::new(move || set_lang(other)),
    );
    for theme in ThemeChoice::ALL {
        let title = THEME.with(&[("theme", &topbar::theme_word(theme).of(lang))]);
        run(title, Icon::Contrast, Arc::new(move || set_theme(theme)));
    }
    run(
        topbar::KEYS.of(lang).to_owned(),
        Icon::More,
        Arc::new(|| ui().keys.set(true)),
    );
    if ui().me.with(|me| me.as_ref().is_some_and(|me| !me.window)) {
        run(
            topbar::CHANGE_PASSWORD.of(lang).to_owned(),
            Icon::User,
            Arc::new(|| ui().password.set(true)),
        );
        run(
            topbar::SIGN_OUT.of(lang).to_owned(),
            Icon::User,
            Arc::new(topbar::sign_out),
        );
    }
    all
}

#[component]
pub fn Palette() -> impl IntoView {
    let open = ui().palette;
    view! {
        <Dialog open=open title=TITLE test="palette">
            <PaletteBody open=open/>
        </Dialog>
    }
}

#[component]
fn PaletteBody(open: RwSignal<bool>) -> impl IntoView {
    let query = RwSignal::new(String::new());
    let at = RwSignal::new(0_usize);
    let navigate = StoredValue::new_local(use_navigate());
    let found = Memo::new_with_compare(
        move |_| {
            store().nodes.track();
            query.with(|query| lab(|lab| choices(lab, query, commands())))
        },
        |_, _| true,
    );
    let choose = move |choice: Choice| {
        open.set(false);
        match choice.act {
            Act::Go(path) => navigate.with_value(|navigate| navigate(&path, leptos_router::NavigateOptions::default())),
            Act::Run(act) => act(),
        }
    };
    let on_key = move |event: web_sys::KeyboardEvent| {
        let count = found.with_untracked(Vec::len);
        match event.key().as_str() {
            "ArrowDown" => at.update(|at| *at = (*at + 1).min(count.saturating_sub(1))),
            "ArrowUp" => at.update(|at| *at = at.saturating_sub(1)),
            "Enter" => {
                if let Some(choice) = found.with_untracked(|found| found.get(at.get_untracked()).cloned()) {
                    event.prevent_default();
                    choose(choice);
                }
                return;
            }
            _ => return,
        }
        event.prevent_default();
        request_animation_frame(|| {
            if let Ok(Some(row)) = document().query_selector(".palette-row.active") {
                row.scroll_into_view_with_bool(false);
            }
        });
    };
    let rows = move || {
        let list = found.get();
        list.into_iter()
            .enumerate()
            .map(|(place, choice)| {
                let chosen = choice.clone();
                view! {
                    <li
                        class="palette-row"
                        class:active=move || at.get() == place
                        role="option"
                        id=format!("palette-{place}")
                        aria-selected=move || (at.get() == place).to_string()
                        data-test="palette-row"
                        on:click=move |_| choose(chosen.clone())
                    >
                        {icon(choice.sign)} <span class="palette-title">{choice.title}</span>
                        <span class="palette-note">{choice.note}</span> <span class="palette-kind">{choice.kind.t()}</span>
                    </li>
                }
            })
            .collect_view()
    };
    view! {
        <div class="palette">
            <input
                type="text"
                class="palette-input"
                data-test="palette-input"
                autofocus=true
                autocomplete="off"
                spellcheck="false"
                role="combobox"
                aria-expanded="true"
                aria-controls="palette-list"
                aria-label=HINT.t()
                aria-activedescendant=move || format!("palette-{}", at.get())
                placeholder=HINT.t()
                prop:value=move || query.get()
                on:input:target=move |event| {
                    query.set(event.target().value());
                    at.set(0);
                }
                on:keydown=on_key
            />
            <ul class="palette-list" id="palette-list" role="listbox" aria-label=RESULTS.t()>{rows}</ul>
            <Show when=move || found.with(Vec::is_empty)>
                <p class="palette-none" role="status">{move || NOTHING.with(&[("query", &query.get())])}</p>
            </Show>
        </div>
    }
}

#[cfg(test)]
mod matching {
    use super::*;
    use crate::store::tests::row;
    use edgedeck_model::feed::{Change, Feed};

    fn titles(query: &str) -> Vec<String> {
        let mut lab = Lab::default();
        let nodes = [(1, "box-1"), (2, "box-2"), (31, "Nodes are here")];
        let changes = nodes.map(|(n, name)| Change::Node(row(n, name))).into();
        lab.apply(Feed {
            changes,
            ..Feed::default()
        });
        let commands = vec![object(SCREEN, Icon::Nodes, "Nodes", String::new(), "/nodes".to_owned())];
        choices(&lab, query, commands)
            .into_iter()
            .map(|choice| choice.title)
            .collect()
    }

    #[test]
    fn by_name_serial_address_and_id() {
        assert_eq!(titles("BOX-2"), ["box-2"]);
        assert_eq!(titles("sn31"), ["Nodes are here"]);
        assert_eq!(titles("10.0.0.2"), ["box-2"]);
        assert_eq!(titles("00000000-0000-0000-0000-00000000001f"), ["Nodes are here"]);
        assert_eq!(titles("nodes"), ["Nodes", "Nodes are here"]);
        assert_eq!(titles("zzz"), Vec::<String>::new());
    }

    #[test]
    fn without_a_query_it_offers_the_commands() {
        assert_eq!(titles(" "), ["Nodes"]);
    }
}
