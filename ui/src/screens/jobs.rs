//! Jobs: everything that takes its time, with what it does on each node.
//!
//! `data-test`: `jobs-table`, `jobs-row`; of one job `job-facts`, `job-items-table`, `job-items-row`, `stop-job`,
//! `download-job`.

use crate::{
    api,
    components::{Button, Column, Confirm, EmptyState, ErrorBox, Icon, Kind, ProgressBar, SortKey, Table, toast},
    desktop, format,
    i18n::lang,
    load::{Loaded, load},
    screens::common::{Change, Missing, id_param},
    state::may,
    store::{lab, store},
    texts,
    url::url_state,
};
use edgedeck_model::{
    JobId, Problem,
    api::{ById, JOBS_PATH, ListJobItems, PAGE_MAX, PageQuery, StopJob},
    job::{Job, JobItem, JobKind},
    software::Source,
    text,
    user::Role,
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use std::sync::Arc;

texts! {
    TITLE: "作业", "Jobs";
    WHAT: "内容", "What";
    STATE: "状态", "State";
    NODES: "节点", "Nodes";
    COUNTS: "{done} / {all} 成功", "{done} of {all} done";
    COUNTS_FAILED: "{done} / {all} 成功，{failed} 失败", "{done} of {all} done, {failed} failed";
    PROGRESS: "进度", "Progress";
    BY: "发起人", "Begun by";
    BEGUN: "开始时间", "Begun";
    TOOK: "耗时", "Took";
    SIZE: "大小", "Size";
    EMPTY: "还没有作业", "No jobs yet";
    EMPTY_TEXT: "在节点页选择节点，收集日志或升级软件，或部署应用，进度和结果会显示在这里。", "Collect logs or upgrade software on the nodes' page, or deploy an app: progress and outcome show here.";
    DEPLOYMENT: "部署", "Deployment";
    STOP: "停止", "Stop";
    STOP_TITLE: "停止作业？", "Stop the job?";
    STOP_TEXT: "未开始的不再开始，已收集的文件会被丢弃；节点上已开始的下载或切换会自行完成。", "Nothing more is begun, and what was collected is dropped; a node ends a download or a switch that it has begun by itself.";
    SOURCE: "版本来源", "Where from";
    OF_LAB: "本实验室的 {version}", "{version}, from this lab";
    DOWNLOADED: "各节点已下载的版本", "What each node has downloaded";
    STOPPED: "作业正在停止", "The job is stopping";
    DOWNLOAD: "下载", "Download";
    UNTIL: "可下载至 {at}", "Can be downloaded until {at}";
    GONE: "文件已过期或被更新的收集取代", "The file's time is over, or a newer collection has taken its place";
    SAVED: "已保存到 {path}", "Saved to {path}";
    NAME: "名称", "Name";
    SERIAL: "序列号", "Serial number";
    WHY: "原因", "Why";
    CHECKSUM: "SHA-256", "SHA-256";
}

fn counts(job: &Job) -> String {
    let facts: [(&str, &dyn std::fmt::Display); 3] =
        [("done", &job.succeeded), ("all", &job.items), ("failed", &job.failed)];
    if job.failed > 0 {
        COUNTS_FAILED.with(&facts)
    } else {
        COUNTS.with(&facts[..2])
    }
}

/// How long a job has run, or ran.
fn took(job: &Job) -> String {
    match (job.started_at, job.finished_at) {
        (Some(begin), Some(end)) => format::duration(end.since(begin)),
        (Some(begin), None) => format::duration_since(begin),
        _ => String::new(),
    }
}

fn source(source: &Source) -> String {
    match source {
        Source::Lab { version } => OF_LAB.with(&[("version", version)]),
        Source::Server(server) => server.url.clone(),
        Source::Downloaded => DOWNLOADED.get().to_owned(),
    }
}

fn size(bytes: u64) -> String {
    if bytes > 0 { format::bytes(bytes) } else { String::new() }
}

#[component]
pub fn Jobs() -> impl IntoView {
    let navigate = StoredValue::new_local(use_navigate());
    let rows = Memo::new(move |_| {
        store().jobs.track();
        // Their ids grow with time.
        Arc::new(lab(|lab| lab.jobs.values().rev().cloned().collect::<Vec<_>>()))
    });
    let columns = vec![
        Column::new("what", WHAT, 160, |job: &Arc<Job>| text::job_title(job, lang()))
            .view(|job| {
                let (to, job) = (format!("/jobs/{}", job.id), job.clone());
                view! { <a href=to>{move || text::job_title(&job, lang())}</a> }
            })
            .share(2),
        Column::new("state", STATE, 110, |job: &Arc<Job>| {
            text::job_state(job.state, lang()).to_owned()
        }),
        Column::new("nodes", NODES, 150, |job: &Arc<Job>| counts(job)).share(2),
        Column::new("progress", PROGRESS, 90, |job: &Arc<Job>| {
            format!("{} %", job.progress())
        })
        .number(),
        Column::new("by", BY, 120, |job: &Arc<Job>| job.by.clone()),
        Column::new("begun", BEGUN, 175, |job: &Arc<Job>| format::moment(job.created_at))
            .sort(|job| SortKey::number(Some(job.created_at.0 as f64))),
        Column::new("took", TOOK, 90, |job: &Arc<Job>| took(job)),
        Column::new("size", SIZE, 90, |job: &Arc<Job>| size(job.bytes)).number(),
    ];
    let open = Callback::new(move |job: Arc<Job>| {
        navigate.with_value(|navigate| navigate(&format!("/jobs/{}", job.id), NavigateOptions::default()));
    });
    view! {
        <div class="screen fill">
            <header class="screen-head"><h1>{TITLE.t()}</h1></header>
            <Table
                name="jobs"
                label=TITLE
                rows=rows
                columns=columns
                open=open
                url=url_state()
                empty=|| view! { <EmptyState sign=Icon::Logs title=EMPTY text=EMPTY_TEXT/> }
            />
        </div>
    }
}

#[component]
pub fn JobPage() -> impl IntoView {
    let id = id_param::<JobId>();
    let job = Memo::new(move |_| {
        store().jobs.track();
        let id = id.get()?;
        lab(|lab| lab.jobs.get(&id).cloned())
    });
    move || match id.get() {
        Some(id) => view! {
            <Show when=move || job.with(Option::is_some) fallback=Missing>
                <Body id=id job=job/>
            </Show>
        }
        .into_any(),
        None => view! { <Missing/> }.into_any(),
    }
}

#[component]
fn Body(id: JobId, job: Memo<Option<Arc<Job>>>) -> impl IntoView {
    let stopping = RwSignal::new(false);
    let change = Change::new();
    let saving = RwSignal::new(false);
    let refused = RwSignal::new(None::<Problem>);
    let of = move |read: fn(&Job) -> String| job.with(|job| job.as_deref().map(read).unwrap_or_default());
    let is_over = move || job.with(|job| job.as_deref().is_none_or(|job| job.state.is_over()));
    let has_file = move || job.with(|job| job.as_deref().is_some_and(|job| job.has_file(store().now.get())));
    let title = move || of(|job| text::job_title(job, lang()));
    let can_stop = move || !is_over() && job.with(|job| job.as_deref().is_some_and(|job| job.kind != JobKind::Deploy));
    let stop = Callback::new(move |()| {
        change.run(
            async move { api::call::<StopJob>(ById { id }, &(), &()).await },
            move |_| {
                stopping.try_set(false);
                toast(STOPPED.get_untracked().to_owned());
            },
        );
    });
    let download = Callback::new(move |()| {
        let name = job.with_untracked(|job| match job.as_deref() {
            Some(Job { file: Some(file), .. }) => file.name().to_owned(),
            job => format!("logs-{}.tar.gz", job.map_or(0, |job| job.created_at.0 / 1_000)),
        });
        saving.set(true);
        refused.set(None);
        leptos::task::spawn_local(async move {
            let saved = desktop::save_file(&name, &format!("{JOBS_PATH}/{id}/file")).await;
            saving.try_set(false);
            match saved {
                Ok(Some(path)) => toast(SAVED.with_untracked(&[("path", &path)])),
                Ok(None) => {}
                Err(problem) => {
                    refused.try_set(Some(problem));
                }
            }
        });
    });
    let file = move || {
        job.with(|job| {
            let until = job.as_deref().and_then(|job| job.file_until);
            match until.filter(|_| has_file()) {
                Some(at) => UNTIL.with(&[("at", &format::moment(at))]),
                None if is_over() => GONE.get().to_owned(),
                None => String::new(),
            }
        })
    };
    view! {
        <div class="screen fill">
            <header class="screen-head">
                <h1>{title}</h1>
                <Show when=|| may(Role::Operator)>
                    <Show when=has_file>
                        <Button label=DOWNLOAD kind=Kind::Primary sign=Icon::Download busy=saving press=download test="download-job"/>
                    </Show>
                    <Show when=can_stop>
                        <Button label=STOP kind=Kind::Danger sign=Icon::Stop press=Callback::new(move |()| stopping.set(true)) test="stop-job"/>
                    </Show>
                </Show>
            </header>
            {move || refused.get().map(|problem| view! { <ErrorBox problem=Signal::stored(problem)/> })}
            <section class="card">
                <dl class="facts" data-test="job-facts">
                    <dt>{STATE.t()}</dt><dd>{move || of(|job| text::job_state(job.state, lang()).to_owned())}</dd>
                    <dt>{NODES.t()}</dt><dd>{move || of(counts)}</dd>
                    <dt>{BY.t()}</dt><dd>{move || of(|job| job.by.clone())}</dd>
                    <dt>{BEGUN.t()}</dt><dd>{move || of(|job| format::moment(job.created_at))}</dd>
                    <dt>{TOOK.t()}</dt><dd>{move || { store().now.track(); of(took) }}</dd>
                    <Show when=move || job.with(|job| job.as_deref().is_some_and(|job| matches!(job.kind, JobKind::Logs | JobKind::File)))>
                        <dt>{SIZE.t()}</dt><dd>{move || of(|job| size(job.bytes))} " " <span class="quiet-text">{file}</span></dd>
                    </Show>
                    {move || job.with(|job| job.as_deref().and_then(|job| job.rollout.clone())).map(|rollout| view! {
                        <dt>{DEPLOYMENT.t()}</dt><dd><a href=format!("/deployments/{}", rollout.deployment)>{rollout.name}</a></dd>
                    })}
                    {move || job.with(|job| job.as_deref().and_then(|job| job.software.as_ref()).map(source)).map(|source| view! {
                        <dt>{SOURCE.t()}</dt><dd class="mono">{source}</dd>
                    })}
                </dl>
                <Show when=move || !is_over()>
                    <ProgressBar
                        done=Signal::derive(move || job.with(|job| job.as_deref().map_or(0, |job| u64::from(job.succeeded + job.failed))))
                        all=Signal::derive(move || job.with(|job| job.as_deref().map_or(0, |job| u64::from(job.items))))
                        label=Signal::derive(move || of(counts))
                    />
                </Show>
            </section>
            <Items id job/>
            <Confirm
                open=stopping
                title=STOP_TITLE
                text=STOP_TEXT
                names=Signal::derive(move || vec![title()])
                label=STOP
                danger=true
                busy=change.busy
                problem=change.problem
                act=stop
            />
        </div>
    }
}

#[component]
fn Items(id: JobId, job: Memo<Option<Arc<Job>>>) -> impl IntoView {
    let items = load(move || {
        // They change with their job, and the feed tells of that.
        job.track();
        async move {
            let query = PageQuery {
                limit: PAGE_MAX,
                ..PageQuery::default()
            };
            api::call::<ListJobItems>(ById { id }, &query, &()).await
        }
    });
    let rows = Memo::new(move |_| {
        items.state.with(|items| {
            let items = items.ready().map(|page| page.items.as_slice()).unwrap_or_default();
            Arc::new(items.iter().cloned().map(Arc::new).collect::<Vec<_>>())
        })
    });
    let columns = vec![
        Column::new("name", NAME, 150, |item: &Arc<JobItem>| item.name.clone())
            .view(|item| view! { <a href=format!("/nodes/{}", item.node)>{item.name.clone()}</a> })
            .sort(|item| SortKey::name(&item.name))
            .share(2),
        Column::new("serial", SERIAL, 150, |item: &Arc<JobItem>| item.serial.clone()),
        Column::new("state", STATE, 110, |item: &Arc<JobItem>| {
            text::item_state(item.state, lang()).to_owned()
        })
        .sort(|item| SortKey::number(Some(item.state as u8))),
        Column::new("progress", PROGRESS, 90, |item: &Arc<JobItem>| {
            format!("{} %", item.progress)
        })
        .number(),
        Column::new("why", WHY, 260, |item: &Arc<JobItem>| {
            item.problem
                .as_ref()
                .map(|problem| problem.whole(lang()))
                .unwrap_or_default()
        })
        .share(4),
        Column::new("size", SIZE, 90, |item: &Arc<JobItem>| size(item.bytes)).number(),
        Column::new("checksum", CHECKSUM, 140, |item: &Arc<JobItem>| {
            item.sha256.clone().unwrap_or_default()
        }),
    ];
    let problem = Signal::derive(move || items.state.with(|items| items.problem().cloned()));
    view! {
        <Table
            name="job-items"
            label=NODES
            rows=rows
            columns=columns
            url=url_state()
            loading=Signal::derive(move || items.state.with(|items| *items == Loaded::Loading))
            problem=problem
            retry=Callback::new(move |()| items.again())
            empty=|| view! { <EmptyState sign=Icon::Nodes title=NODES text=EMPTY_TEXT/> }
        />
    }
}
