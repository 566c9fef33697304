//! The lab's settings, who may use it, what was done, and the engine itself.

mod access;
mod access_keys;
mod audit;
mod certificates;
mod form;
mod issue;
mod lab_ca;
mod projects;
mod status;
mod users;
mod values;

pub use access::Access;
pub use audit::Audit;
pub use certificates::Certificates;
pub use form::SettingsPage;
pub use status::StatusPage;
pub use users::Users;

use crate::{
    components::{Button, Column, EmptyState, Icon, Kind, table::Row},
    i18n::Text,
    texts,
};
use edgedeck_model::user::Role;
use leptos::prelude::*;

texts! {
    NO_RIGHT: "没有权限", "Not allowed";
    NO_RIGHT_TEXT: "此页面需要管理员角色，请联系管理员。", "This page takes the administrator role. Ask an administrator.";
}

/// Instead of a page that the role does not allow.
#[component]
pub fn NotAllowed() -> impl IntoView {
    view! { <div class="screen"><EmptyState sign=Icon::User title=NO_RIGHT text=NO_RIGHT_TEXT/></div> }
}

/// A column with a button that asks to delete the row, where `may` says that it can be; `label` tells what it would do.
pub fn delete_column<R: Row>(
    title: Text,
    test: &'static str,
    label: fn(&R) -> String,
    may: fn(&R) -> bool,
    ask: impl Fn(R) + Copy + Send + Sync + 'static,
) -> Column<R> {
    Column::new("delete", title, 80, |_: &R| String::new())
        .view(move |row: &R| {
            let (row, named) = (row.clone(), row.clone());
            may(&row).then(|| {
                view! {
                    <Button
                        label=Signal::derive(move || label(&named))
                        sign=Icon::Trash
                        sign_only=true
                        kind=Kind::Quiet
                        press=Callback::new(move |()| ask(row.clone()))
                        test=test
                    />
                }
            })
        })
        .share(0)
}

/// The roles as choices.
fn roles() -> Vec<(String, String)> {
    let lang = crate::i18n::lang();
    [Role::Viewer, Role::Operator, Role::Admin]
        .map(|role| {
            (
                role_key(role).to_owned(),
                edgedeck_model::text::role(role, lang).to_owned(),
            )
        })
        .to_vec()
}

fn role_key(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}

/// An unknown key is the least role.
fn role_of(key: &str) -> Role {
    [Role::Admin, Role::Operator]
        .into_iter()
        .find(|role| role_key(*role) == key)
        .unwrap_or(Role::Viewer)
}
