//! The dialog that makes a group, or changes its name and description.

use crate::{
    api,
    components::{Button, Dialog, Field, Kind, toast},
    screens::common::{Change, Refusal, description_error, is_name, name_error},
    store::{lab, store},
    texts,
};
use edgedeck_model::{
    GroupId,
    api::{ById, CreateGroup, GroupBody, UpdateGroup, UpdateGroupBody},
};
use leptos::prelude::*;

texts! {
    NEW: "新建分组", "New group";
    EDIT: "编辑分组", "Edit group";
    NAME: "名称", "Name";
    DESCRIPTION: "说明", "Description";
    SAVE: "保存", "Save";
    CREATED: "已创建分组 {name}", "Made the group {name}";
    SAVED: "已保存分组 {name}", "Saved the group {name}";
    CHANGED_MEANWHILE: "其他人刚刚修改了它：现在名为“{name}”。保存会以您填写的内容替换。", "Somebody has just changed it: it is called “{name}” now. Saving replaces that by what you typed.";
}

/// Open for a new group while `group` is none, else for that one.
#[component]
pub fn EditGroup(open: RwSignal<bool>, group: RwSignal<Option<GroupId>>) -> impl IntoView {
    let title = Signal::derive(move || if group.with(Option::is_some) { EDIT } else { NEW }.get().to_owned());
    view! {
        <Dialog open=open title=title test="edit-group">
            <Form open=open group=group.get_untracked()/>
        </Dialog>
    }
}

#[component]
fn Form(open: RwSignal<bool>, group: Option<GroupId>) -> impl IntoView {
    let found = group.and_then(|id| lab(|lab| lab.groups.get(&id).cloned()));
    let read_rev = found.as_ref().map(|group| group.rev);
    let name = RwSignal::new(found.as_ref().map(|group| group.name.clone()).unwrap_or_default());
    let description = RwSignal::new(found.map(|group| group.description.clone()).unwrap_or_default());
    let change = Change::new();
    let meanwhile = move || {
        store().groups.track();
        let now = group.and_then(|id| lab(|lab| lab.groups.get(&id).cloned()))?;
        (Some(now.rev) != read_rev).then(|| CHANGED_MEANWHILE.with(&[("name", &now.name)]))
    };
    let save = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let name = name.get_untracked().trim().to_owned();
        let description = description.get_untracked().trim().to_owned();
        let work = async move {
            let Some(id) = group else {
                return api::call::<CreateGroup>((), &(), &GroupBody { name, description }).await;
            };
            // The newest that the form has told of; the engine refuses one that is newer still.
            let rev = lab(|lab| lab.groups.get(&id).map_or(0, |group| group.rev));
            let body = UpdateGroupBody { name, description, rev };
            api::call::<UpdateGroup>(ById { id }, &(), &body).await
        };
        change.run(work, move |saved| {
            open.try_set(false);
            let done = if group.is_some() { SAVED } else { CREATED };
            toast(done.with_untracked(&[("name", &saved.name)]));
        });
    };
    let unfit = Signal::derive(move || {
        !name.with(|name| is_name(name)) || description_error(description).with(Option::is_some)
    });
    view! {
        <form class="form" on:submit=save>
            {move || meanwhile().map(|text| view! { <p class="note-box" role="status">{text}</p> })}
            <Field label=NAME value=name error=name_error(name) focus=true required=true test="group-name"/>
            <Field label=DESCRIPTION value=description error=description_error(description) lines=3 test="group-description"/>
            <Refusal change=change/>
            <footer class="dialog-foot">
                <Button label=SAVE kind=Kind::Primary submit=true busy=change.busy disabled=unfit test="save-group"/>
            </footer>
        </form>
    }
}
