//! The keys that work everywhere, and the sheet that tells them.

use crate::{browser, components::Dialog, i18n::Text, state::ui, texts};
use leptos::prelude::*;

texts! {
    TITLE: "键盘快捷键", "Keyboard keys";
    PALETTE: "搜索对象、执行操作", "Find anything, run any action";
    FILTER: "跳到筛选框", "Go to the filter";
    SHEET: "显示此列表", "Show this list";
    MOVE: "在表格中移动；按住 Shift 扩展选择", "Move in a table; with Shift, select on the way";
    OPEN: "打开当前行", "Open the row";
    SELECT: "选择当前行", "Select the row";
    ALL: "选择全部行", "Select all rows";
    TYPE: "在表格中输入名称，跳到该行", "In a table, type a name to go to it";
    CLOSE: "关闭对话框、菜单或详情；取消选择", "Close dialog, menu or details; select nothing";
}

const KEYS: [(&str, Text); 9] = [
    ("Ctrl K", PALETTE),
    ("/", FILTER),
    ("?", SHEET),
    ("↑ ↓ PgUp PgDn Home End", MOVE),
    ("Enter", OPEN),
    ("Space", SELECT),
    ("Ctrl A", ALL),
    ("A … Z", TYPE),
    ("Esc", CLOSE),
];

#[component]
pub fn Keys() -> impl IntoView {
    let ui = ui();
    let handle = window_event_listener(leptos::ev::keydown, move |event| {
        let key = event.key();
        if (event.ctrl_key() || event.meta_key()) && key.eq_ignore_ascii_case("k") {
            event.prevent_default();
            ui.palette.update(|open| *open = !*open);
            return;
        }
        if browser::is_typing(&event) || event.ctrl_key() || event.alt_key() || event.meta_key() {
            return;
        }
        match key.as_str() {
            "?" => ui.keys.set(true),
            "/" => {
                event.prevent_default();
                browser::focus("[data-filter]");
            }
            _ => {}
        }
    });
    on_cleanup(move || handle.remove());
    view! {
        <Dialog open=ui.keys title=TITLE test="keys-sheet">
            <dl class="keys">
                {KEYS
                    .into_iter()
                    .map(|(key, what)| view! { <dt><kbd>{key}</kbd></dt><dd>{what.t()}</dd> })
                    .collect_view()}
            </dl>
        </Dialog>
    }
}
