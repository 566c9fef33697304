//! What runs on a node.

use crate::{
    components::{StateBadge, sign_of_instance},
    format::{self, NOTHING},
    frame::nav,
    i18n::lang,
    store::{lab, store},
    texts,
};
use edgedeck_model::{NodeId, deployment::Placement, text};
use leptos::prelude::*;
use std::sync::Arc;

texts! {
    TITLE: "运行的应用", "Apps on this node";
    NONE: "此节点上没有部署应用。", "Nothing is deployed to this node.";
    DEPLOYMENT: "部署", "Deployment";
    VERSION: "版本", "Version";
    STATE: "状态", "State";
    RESTARTS: "重启", "Restarts";
    EXIT: "退出码", "Exit code";
    WHY: "说明", "What is said";
    SEEN: "上报时间", "Told";
}

#[component]
pub fn Placements(id: NodeId) -> impl IntoView {
    let placements = Memo::new(move |_| {
        store().placements.track();
        lab(|lab| lab.placements_of_node(id))
    });
    let row = |placement: Arc<Placement>| {
        store().deployments.track();
        store().apps.track();
        let (name, version) = lab(|lab| {
            let deployment = lab.deployments.get(&placement.deployment);
            let name = deployment.map_or_else(|| NOTHING.to_owned(), |deployment| deployment.name.clone());
            let version = lab.versions.get(&placement.version);
            let app = version
                .and_then(|version| lab.apps.get(&version.app))
                .map_or_else(String::new, |app| app.name.clone());
            let label = version.map_or_else(|| NOTHING.to_owned(), |version| version.label.clone());
            (name, format!("{app} {label}").trim().to_owned())
        });
        let state = placement.state;
        let parts = placement.parts.clone();
        let word = Signal::derive(move || text::instance_state_of(state, &parts, lang()));
        let restarts: u32 = placement.parts.iter().map(|part| part.restarts).sum();
        let exits: Vec<String> = placement
            .parts
            .iter()
            .filter_map(|part| part.exit_code)
            .map(|code| code.to_string())
            .collect();
        let exits = if exits.is_empty() {
            NOTHING.to_owned()
        } else {
            exits.join(", ")
        };
        let seen = placement.observed_at;
        let deployment = placement.deployment;
        let sentences = move || {
            placement
                .parts
                .iter()
                .filter_map(|part| text::part_sentence(part, lang()).or_else(|| text::part_health(part, lang())))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let name = if nav::exists("/deployments") {
            view! { <a href=format!("/deployments/{deployment}")>{name}</a> }.into_any()
        } else {
            name.into_any()
        };
        view! {
            <tr data-test="placement">
                <td>{name}</td>
                <td>{version}</td>
                <td><StateBadge sign=Signal::stored(sign_of_instance(state)) word=word/></td>
                <td class="number">{restarts}</td>
                <td class="number">{exits}</td>
                <td>{sentences}</td>
                <td>{move || format::ago_or_never(seen)}</td>
            </tr>
        }
    };
    view! {
        <section class="card wide">
            <h2>{TITLE.t()}</h2>
            <Show
                when=move || !placements.with(Vec::is_empty)
                fallback=|| view! { <p class="quiet-text">{NONE.t()}</p> }
            >
                <div class="scroll-x">
                    <table class="plain-table">
                        <thead>
                            <tr>
                                <th>{DEPLOYMENT.t()}</th>
                                <th>{VERSION.t()}</th>
                                <th>{STATE.t()}</th>
                                <th class="number">{RESTARTS.t()}</th>
                                <th class="number">{EXIT.t()}</th>
                                <th>{WHY.t()}</th>
                                <th>{SEEN.t()}</th>
                            </tr>
                        </thead>
                        <tbody>{move || placements.get().into_iter().map(row).collect_view()}</tbody>
                    </table>
                </div>
            </Show>
        </section>
    }
}
