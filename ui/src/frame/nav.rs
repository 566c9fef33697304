//! The navigation at the left. Screens appear here, and in the palette, by their entry in [`ENTRIES`].

use crate::{
    components::{Icon, icon},
    i18n::Text,
    state::may,
    texts,
};
use edgedeck_model::user::Role;
use leptos::prelude::*;
use leptos_router::{components::A, hooks::use_location};

texts! {
    NAVIGATION: "主导航", "Main navigation";
    LAB: "实验室", "Lab";
    RUN: "运行", "Run";
    WATCH: "监视", "Watch";
    GUARD: "管理", "Guard";
    REPORT: "报告", "Report";
    OVERVIEW: "概览", "Overview";
    NODES: "节点", "Nodes";
    JOIN: "加入节点", "Join a node";
    GROUPS: "分组", "Groups";
    APPS: "应用", "Apps";
    DEPLOYMENTS: "部署", "Deployments";
    SOFTWARE: "软件", "Software";
    IMAGES: "镜像", "Images";
    JOBS: "作业", "Jobs";
    ALARMS: "告警", "Alarms";
    EVENTS: "事件", "Events";
    USERS: "用户", "Users";
    ACCESS: "接口凭据", "API access";
    CERTIFICATES: "证书", "Certificates";
    AUDIT: "审计", "Audit";
    SETTINGS: "设置", "Settings";
    STATUS: "引擎状态", "Engine";
    REPORTS: "报告", "Reports";
    METERING: "计量", "Metering";
}

/// A screen that stands in the navigation.
pub struct Entry {
    pub path: &'static str,
    pub title: Text,
    pub sign: Icon,
    pub section: Text,
    pub least: Role,
}

const fn entry(section: Text, path: &'static str, title: Text, sign: Icon, least: Role) -> Entry {
    Entry {
        path,
        title,
        sign,
        section,
        least,
    }
}

/// In the order of the navigation; entries of a section stand together.
pub const ENTRIES: &[Entry] = &[
    entry(LAB, "/", OVERVIEW, Icon::Overview, Role::Viewer),
    entry(LAB, "/nodes", NODES, Icon::Nodes, Role::Viewer),
    entry(LAB, "/groups", GROUPS, Icon::Groups, Role::Viewer),
    entry(LAB, "/join", JOIN, Icon::Join, Role::Operator),
    entry(RUN, "/apps", APPS, Icon::Apps, Role::Viewer),
    entry(RUN, "/deployments", DEPLOYMENTS, Icon::Deployments, Role::Viewer),
    entry(RUN, "/jobs", JOBS, Icon::Logs, Role::Viewer),
    entry(RUN, "/images", IMAGES, Icon::Rows, Role::Viewer),
    entry(WATCH, "/alarms", ALARMS, Icon::Alarms, Role::Viewer),
    entry(WATCH, "/events", EVENTS, Icon::Events, Role::Viewer),
    entry(GUARD, "/software", SOFTWARE, Icon::Download, Role::Viewer),
    entry(GUARD, "/users", USERS, Icon::Users, Role::Admin),
    entry(GUARD, "/access", ACCESS, Icon::Join, Role::Admin),
    entry(GUARD, "/certificates", CERTIFICATES, Icon::Check, Role::Admin),
    entry(GUARD, "/audit", AUDIT, Icon::Audit, Role::Admin),
    entry(GUARD, "/settings", SETTINGS, Icon::Settings, Role::Viewer),
    entry(GUARD, "/status", STATUS, Icon::System, Role::Viewer),
    entry(REPORT, "/reports", REPORTS, Icon::Reports, Role::Viewer),
    entry(REPORT, "/metering", METERING, Icon::Columns, Role::Viewer),
];

/// Whether there is a screen at a path, so that nothing links to one that is not there.
pub fn exists(path: &str) -> bool {
    ENTRIES.iter().any(|entry| entry.path == path)
}

/// Whether a place in the console belongs to an entry: its own page, or one below it.
fn belongs(place: &str, path: &str) -> bool {
    place == path || (path != "/" && place.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
}

#[component]
pub fn Nav() -> impl IntoView {
    let place = use_location().pathname;
    let sections = ENTRIES.chunk_by(|a, b| a.section == b.section);
    let sections = sections
        .map(|entries| {
            let title = entries.first().map(|entry| entry.section);
            let links = entries
                .iter()
                .map(|entry| {
                    let path = entry.path;
                    let test = format!("nav-{}", path.trim_start_matches('/'));
                    view! {
                        <Show when=move || may(entry.least)>
                            <li class="nav-entry" class:present=move || place.with(|place| belongs(place, path)) data-test=test.clone()>
                                <A href=path>{icon(entry.sign)} <span>{entry.title.t()}</span></A>
                            </li>
                        </Show>
                    }
                })
                .collect_view();
            view! { <h2 class="nav-title">{title.map(Text::t)}</h2><ul class="nav-list">{links}</ul> }
        })
        .collect_view();
    view! { <nav class="nav" aria-label=NAVIGATION.t()>{sections}</nav> }
}

#[cfg(test)]
mod paths {
    use super::*;

    #[test]
    fn belong_to_one_entry() {
        assert!(belongs("/nodes/42", "/nodes") && belongs("/nodes", "/nodes") && belongs("/", "/"));
        assert!(!belongs("/nodes-x", "/nodes") && !belongs("/nodes", "/"));
    }
}
