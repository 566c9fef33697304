//! Projects, the tenants of the cloud APIs.
//!
//! `data-test`: `new-project`, `projects-table`, `projects-row`, `edit-project`, `delete-project`; in the dialog
//! `project-name`, `project-description`, `save-project`.

use super::delete_column;
use crate::{
    api,
    components::{Button, Column, Confirm, Dialog, EmptyState, Field, Icon, Kind, SortKey, Table, toast},
    format,
    frame::palette,
    i18n::lang,
    load::{Loaded, load},
    screens::common::{Change, Refusal, description_error},
    texts,
    url::url_state,
};
use edgedeck_model::{
    api::{ById, CreateProject, DeleteProject, ListProjects, ProjectBody, UpdateProject},
    project::{Project, check_name},
    text,
    user::Role,
};
use leptos::prelude::*;
use std::sync::Arc;

texts! {
    PROJECTS: "项目", "Projects";
    PROJECTS_TEXT: "云接口按项目隔离：每个令牌和访问密钥只能用于一个项目。名称对应云的区域，ID 用于接口路径。其他一切（控制台、MEF、Tingyu）都在实验室自身的项目中；可将其改名为脚本所用的区域。", "The cloud APIs keep projects apart: every token and access key is for one. A name stands for a cloud's region, the id goes into paths. All else (console, MEF, Tingyu) works in the lab's own project; give it the name of the region that your scripts use.";
    NEW: "新建项目", "New project";
    EDIT: "修改项目", "Change the project";
    EDIT_NAME: "修改项目 {name}", "Change the project {name}";
    NAME: "名称", "Name";
    OWN: "（实验室自身）", " (the lab's own)";
    ID: "项目 ID", "Project id";
    DESCRIPTION: "描述", "Description";
    CREATED: "创建时间", "Made";
    SAVE: "保存", "Save";
    SAVED: "已保存项目 {name}", "Saved the project {name}";
    DELETE: "删除", "Delete";
    DELETE_NAME: "删除项目 {name}", "Delete the project {name}";
    DELETE_TITLE: "删除项目 {name}？", "Delete the project {name}?";
    DELETE_TEXT: "该项目的令牌会立即失效。项目还有访问密钥时不能删除。", "Its tokens end at once. A project that has access keys cannot be deleted.";
    DELETED: "已删除项目 {name}", "Deleted the project {name}";
    EMPTY: "没有项目", "No projects";
    EMPTY_TEXT: "为云接口的每个租户创建一个项目。", "Make a project for every tenant of the cloud APIs.";
}

#[component]
pub fn Projects() -> impl IntoView {
    let projects = load(|| async { api::call::<ListProjects>((), &(), &()).await });
    let (editing, deleting) = (RwSignal::new(false), RwSignal::new(false));
    let edited = RwSignal::new(None::<Arc<Project>>);
    let victim = RwSignal::new(None::<Arc<Project>>);
    let change = Change::new();
    let rows = projects.rows();
    let edit = move |project: Option<Arc<Project>>| {
        edited.set(project);
        editing.set(true);
    };
    let ask = move |project: Arc<Project>| {
        change.problem.set(None);
        victim.set(Some(project));
        deleting.set(true);
    };
    let columns = vec![
        Column::new("name", NAME, 200, |project: &Arc<Project>| {
            let own = if project.is_default { OWN.get() } else { "" };
            format!("{}{own}", project.name)
        })
        .sort(|project| SortKey::name(&project.name))
        .share(1),
        Column::new("id", ID, 300, |project: &Arc<Project>| project.id.hex()),
        Column::new("description", DESCRIPTION, 140, |project: &Arc<Project>| {
            project.description.clone()
        })
        .share(2),
        Column::new("created", CREATED, 140, |project: &Arc<Project>| {
            format::minute(project.created_at)
        })
        .sort(|project| SortKey::number(Some(project.created_at.0 as f64))),
        Column::new("edit", EDIT, 80, |_: &Arc<Project>| String::new())
            .view(move |project: &Arc<Project>| {
                let (project, named) = (project.clone(), project.name.clone());
                view! {
                    <Button
                        label=Signal::derive(move || EDIT_NAME.with(&[("name", &named)]))
                        sign=Icon::Edit
                        sign_only=true
                        kind=Kind::Quiet
                        press=Callback::new(move |()| edit(Some(project.clone())))
                        test="edit-project"
                    />
                }
            })
            .share(0),
        delete_column(
            DELETE,
            "delete-project",
            |project: &Arc<Project>| DELETE_NAME.with(&[("name", &project.name)]),
            |project| !project.is_default,
            ask,
        ),
    ];
    let name = move || victim.with(|project| project.as_ref().map(|project| project.name.clone()).unwrap_or_default());
    let delete = Callback::new(move |()| {
        let Some(project) = victim.get_untracked() else {
            return;
        };
        change.run(
            async move { api::call::<DeleteProject>(ById { id: project.id }, &(), &()).await },
            move |()| {
                deleting.try_set(false);
                toast(DELETED.with_untracked(&[("name", &untrack(name))]));
                projects.again();
            },
        );
    });
    palette::offer(NEW, Icon::Plus, Role::Admin, move || edit(None));
    let problem = Signal::derive(move || projects.state.with(|projects| projects.problem().cloned()));
    let title = Signal::derive(move || {
        edited
            .with(|edited| if edited.is_some() { EDIT } else { NEW })
            .get()
            .to_owned()
    });
    view! {
        <div class="card-head">
            <p class="quiet-text">{PROJECTS_TEXT.t()}</p>
            <Button label=NEW kind=Kind::Primary sign=Icon::Plus press=Callback::new(move |()| edit(None)) test="new-project"/>
        </div>
        <Table
            name="projects"
            label=PROJECTS
            rows=rows
            columns=columns
            url=url_state()
            loading=Signal::derive(move || projects.state.with(|projects| *projects == Loaded::Loading))
            problem=problem
            retry=Callback::new(move |()| projects.again())
            empty=|| view! { <EmptyState sign=Icon::Groups title=EMPTY text=EMPTY_TEXT/> }
        />
        <Dialog open=editing title=title test="project-dialog">
            <Form known=edited.get_untracked() open=editing done=Callback::new(move |()| projects.again())/>
        </Dialog>
        <Confirm
            open=deleting
            title=Signal::derive(move || DELETE_TITLE.with(&[("name", &name())]))
            text=DELETE_TEXT
            names=Signal::derive(move || vec![name()])
            label=DELETE
            danger=true
            busy=change.busy
            problem=change.problem
            act=delete
        />
    }
}

/// A new project, or a known one to be changed.
#[component]
fn Form(known: Option<Arc<Project>>, open: RwSignal<bool>, done: Callback<()>) -> impl IntoView {
    let id = known.as_ref().map(|project| project.id);
    let of = |text: fn(&Project) -> &String| RwSignal::new(known.as_deref().map(text).cloned().unwrap_or_default());
    let (name, description) = (of(|project| &project.name), of(|project| &project.description));
    let change = Change::new();
    let refused = move || name.with(|name| check_name(name.trim()).err());
    let wrong_name = Signal::derive(move || {
        let problem = refused().filter(|_| name.with(|name| !name.is_empty()))?;
        Some(text::refusal(problem.fact("reason"), lang()).to_owned())
    });
    let wrong_description = description_error(description);
    let unfit = Signal::derive(move || refused().is_some() || wrong_description.with(Option::is_some));
    let save = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let body = ProjectBody {
            name: name.get_untracked().trim().to_owned(),
            description: description.get_untracked().trim().to_owned(),
        };
        let work = async move {
            match id {
                Some(id) => api::call::<UpdateProject>(ById { id }, &(), &body).await,
                None => api::call::<CreateProject>((), &(), &body).await,
            }
        };
        change.run(work, move |project| {
            open.try_set(false);
            toast(SAVED.with_untracked(&[("name", &project.name)]));
            done.try_run(());
        });
    };
    view! {
        <form class="form" on:submit=save>
            <Field label=NAME value=name error=wrong_name focus=true required=true test="project-name"/>
            <Field label=DESCRIPTION value=description error=wrong_description test="project-description"/>
            <Refusal change=change/>
            <footer class="dialog-foot">
                <Button label=SAVE kind=Kind::Primary submit=true busy=change.busy disabled=unfit test="save-project"/>
            </footer>
        </form>
    }
}
