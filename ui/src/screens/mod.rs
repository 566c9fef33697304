//! The screens, and the address of each.

pub mod alarms;
pub mod apps;
pub mod capacity;
pub mod common;
pub mod deploy;
pub mod deployments;
pub mod groups;
pub mod images;
pub mod jobs;
pub mod join;
pub mod metering;
pub mod node;
pub mod nodes;
pub mod overview;
pub mod reports;
pub mod settings;
pub mod software;
pub mod state_bar;

use crate::{
    components::{EmptyState, Icon},
    texts,
};
use leptos::prelude::*;
use leptos_router::{
    components::{Route, Routes},
    path,
};

texts! {
    NOT_FOUND: "没有这个页面", "There is no such page";
    NOT_FOUND_TEXT: "地址可能有误，或该对象已被移除。", "The address may be wrong, or the thing was removed.";
    HOME: "回到概览", "Go to the overview";
}

#[component]
pub fn Screens() -> impl IntoView {
    alarms::notify::follow();
    view! {
        <Routes fallback=NotFound>
            <Route path=path!("/") view=overview::Overview/>
            <Route path=path!("/nodes") view=nodes::Nodes/>
            <Route path=path!("/nodes/:id") view=node::NodePage/>
            <Route path=path!("/join") view=join::Join/>
            <Route path=path!("/alarms") view=alarms::Alarms/>
            <Route path=path!("/events") view=alarms::Events/>
            <Route path=path!("/apps") view=apps::Apps/>
            <Route path=path!("/apps/new") view=apps::NewApp/>
            <Route path=path!("/apps/:id") view=apps::AppPage/>
            <Route path=path!("/apps/:id/new-version") view=apps::NewVersion/>
            <Route path=path!("/deploy") view=deploy::Wizard/>
            <Route path=path!("/deployments") view=deployments::Deployments/>
            <Route path=path!("/deployments/:id") view=deployments::DeploymentPage/>
            <Route path=path!("/groups") view=groups::Groups/>
            <Route path=path!("/groups/:id") view=groups::GroupPage/>
            <Route path=path!("/reports") view=reports::Reports/>
            <Route path=path!("/metering") view=metering::Metering/>
            <Route path=path!("/settings") view=settings::SettingsPage/>
            <Route path=path!("/users") view=settings::Users/>
            <Route path=path!("/access") view=settings::Access/>
            <Route path=path!("/certificates") view=settings::Certificates/>
            <Route path=path!("/images") view=images::Images/>
            <Route path=path!("/software") view=software::SoftwarePage/>
            <Route path=path!("/jobs") view=jobs::Jobs/>
            <Route path=path!("/jobs/:id") view=jobs::JobPage/>
            <Route path=path!("/audit") view=settings::Audit/>
            <Route path=path!("/status") view=settings::StatusPage/>
        </Routes>
    }
}

#[component]
pub fn NotFound() -> impl IntoView {
    view! {
        <EmptyState sign=Icon::Search title=NOT_FOUND text=NOT_FOUND_TEXT>
            <a class="button primary" href="/">{HOME.t()}</a>
        </EmptyState>
    }
}
