//! The cards of the overview.

use crate::{
    components::{ProgressBar, Sign, StateBadge, badge::glyph, basic::Meter, sign_of_alarm, sign_of_node},
    format,
    frame::nav,
    i18n::{Text, lang},
    store::{Lab, lab, store},
    texts,
};
use edgedeck_model::{
    DeploymentId,
    alarm::{AlarmKind, Severity},
    app::Resources,
    deployment::{InstanceState, Wanted},
    node::NodeState,
    telemetry::Live,
    text,
};
use leptos::prelude::*;

texts! {
    NODES: "节点", "Nodes";
    WAITING: "{n} 个等待纳管", "{n} {n|waits|wait} to be managed";
    ALARMS: "未恢复的告警", "Open alarms";
    NO_ALARMS: "没有未恢复的告警", "No open alarm";
    LOAD: "负载", "Load";
    LOAD_OF: "{n} 个在线节点的平均值", "Mean of {n} connected {n|node|nodes}";
    NPU: "NPU 使用率", "NPU use";
    CPU: "CPU 使用率", "CPU use";
    MEMORY: "内存使用率", "Memory use";
    HOTTEST: "最高 NPU 温度", "Hottest NPU";
    CAPACITY: "剩余容量", "Capacity left";
    CAPACITY_OF: "已纳管节点总量减去部署的请求量", "Managed nodes, less what deployments ask for";
    CPU_LEFT: "CPU 核", "CPU cores";
    MEMORY_LEFT: "内存", "Memory";
    NPU_LEFT: "NPU", "NPUs";
    LEFT: "{left} / {all}", "{left} of {all}";
    DEPLOYING: "部署进度", "Deployments";
    NOTHING_DEPLOYS: "没有正在进行的部署", "Nothing is being deployed";
    ALL_RUN: "{n} 个部署全部到位", "{n} {n|deployment|deployments}, all as wanted";
    RUNNING: "{done} / {all} 就绪", "{done} of {all} ready";
    EXPIRING: "即将到期的证书", "Certificates that end soon";
    NO_EXPIRING: "没有即将到期的证书", "No certificate ends soon";
    EVENTS: "最近事件", "Last events";
    NO_EVENTS: "还没有事件", "Nothing has happened yet";
    ALL_EVENTS: "全部事件", "All events";
}

/// A link where there is a screen to lead to, else plain.
fn lead(
    path: &'static str,
    href: String,
    class: &'static str,
    test: String,
    inner: impl IntoView + 'static,
) -> AnyView {
    if nav::exists(path) {
        view! { <a class=class href=href data-test=test>{inner}</a> }.into_any()
    } else {
        view! { <span class=class data-test=test>{inner}</span> }.into_any()
    }
}

#[component]
pub fn Cards() -> impl IntoView {
    view! {
        <div class="overview">
            <NodesCard/>
            <AlarmsCard/>
            <LoadCard/>
            <CapacityCard/>
            <DeployingCard/>
            <ExpiringCard/>
            <EventsCard/>
        </div>
    }
}

#[component]
fn NodesCard() -> impl IntoView {
    let counts = Memo::new(move |_| {
        store().nodes.track();
        lab(|lab| {
            let mut counts = [0_usize; NodeState::ALL.len()];
            let mut waiting = 0;
            for node in lab.nodes() {
                if !node.row.managed {
                    waiting += 1;
                } else if let Some(count) = NodeState::ALL
                    .iter()
                    .position(|s| *s == node.row.state)
                    .and_then(|at| counts.get_mut(at))
                {
                    *count += 1;
                }
            }
            (counts, waiting, lab.node_count())
        })
    });
    let states = move || {
        let (counts, ..) = counts.get();
        NodeState::ALL
            .into_iter()
            .zip(counts)
            .filter(|(_, count)| *count > 0)
            .map(|(state, count)| {
                let key = state.key();
                let inner = view! {
                    {glyph(sign_of_node(state))} <span class="figure-word">{text::node_state(state, lang())}</span>
                    <span class="figure-count">{format::count(count)}</span>
                };
                lead(
                    "/nodes",
                    format!("/nodes?state={key}"),
                    "figure-row",
                    format!("state-{key}"),
                    inner,
                )
            })
            .collect_view()
    };
    view! {
        <section class="card">
            <header class="card-head">
                <h2>{NODES.t()}</h2>
                <a class="big-figure" href="/nodes?managed=all" data-test="nodes-all">{move || format::count(counts.get().2)}</a>
            </header>
            <div class="figure-rows">{states}</div>
            {move || {
                let waiting = counts.get().1;
                (waiting > 0)
                    .then(|| {
                        view! {
                            <a href="/nodes?managed=no" data-test="nodes-waiting">{WAITING.with(&[("n", &format::count(waiting))])}</a>
                        }
                    })
            }}
        </section>
    }
}

#[component]
fn AlarmsCard() -> impl IntoView {
    let counts = Memo::new(move |_| {
        store().alarms.track();
        lab(|lab| Severity::ALL.map(|severity| (severity, lab.alarm_count(severity))))
    });
    let all = move || counts.get().iter().map(|(_, count)| count).sum::<usize>();
    let rows =
        move || {
            counts
            .get()
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(severity, count)| {
                let key = severity_key(severity);
                let inner = view! {
                    {glyph(sign_of_alarm(severity))} <span class="figure-word">{text::severity(severity, lang())}</span>
                    <span class="figure-count">{format::count(count)}</span>
                };
                lead("/alarms", format!("/alarms?severity={key}"), "figure-row", format!("severity-{key}"), inner)
            })
            .collect_view()
        };
    view! {
        <section class="card">
            <header class="card-head">
                <h2>{ALARMS.t()}</h2>
                {move || lead("/alarms", "/alarms".to_owned(), "big-figure", "alarms-all".to_owned(), format::count(all()))}
            </header>
            <div class="figure-rows">{rows}</div>
            <Show when=move || all() == 0><p class="quiet-text">{NO_ALARMS.t()}</p></Show>
        </section>
    }
}

/// The word for a severity in an address.
pub fn severity_key(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Major => "major",
        Severity::Minor => "minor",
    }
}

/// Means over the nodes that are connected and tell; absent where none does.
#[derive(Clone, Debug, Default, PartialEq)]
struct Means {
    nodes: usize,
    npu: Option<f32>,
    cpu: Option<f32>,
    memory: Option<f32>,
    hottest: Option<f32>,
}

fn means(lab: &Lab) -> Means {
    let lives: Vec<&Live> = lab
        .nodes()
        .filter(|node| node.row.state.is_connected())
        .map(|node| &node.live)
        .collect();
    let mean = |read: fn(&Live) -> Option<f32>| {
        let (sum, count) = lives
            .iter()
            .filter_map(|live| read(live))
            .fold((0.0_f64, 0), |(sum, n), v| (sum + f64::from(v), n + 1));
        (count > 0).then(|| (sum / f64::from(count)) as f32)
    };
    Means {
        nodes: lives.len(),
        npu: mean(|live| live.npu),
        cpu: mean(|live| live.cpu),
        memory: mean(|live| live.memory),
        hottest: lives.iter().filter_map(|live| live.npu_temperature).reduce(f32::max),
    }
}

#[component]
fn LoadCard() -> impl IntoView {
    let means = Memo::new(move |_| {
        store().nodes.track();
        store().live.track();
        lab(means)
    });
    let row = move |title: Text, metric: &'static str, read: fn(&Means) -> Option<f32>| {
        let value = Signal::derive(move || means.with(read));
        view! {
            <a class="figure-row" href=format!("/nodes?metric={metric}") data-test=format!("load-{metric}")>
                <span class="figure-word">{title.t()}</span>
                <Meter value=value/>
            </a>
        }
    };
    let hottest = move || {
        format::measured(
            means.with(|means| means.hottest).map(f64::from),
            edgedeck_model::telemetry::Unit::Celsius,
        )
    };
    view! {
        <section class="card">
            <header class="card-head"><h2>{LOAD.t()}</h2></header>
            <div class="figure-rows">
                {row(NPU, "npu", |means| means.npu)} {row(CPU, "cpu", |means| means.cpu)}
                {row(MEMORY, "memory", |means| means.memory)}
                <a class="figure-row" href="/nodes?face=table&sort=-npu-temperature" data-test="load-hottest">
                    <span class="figure-word">{HOTTEST.t()}</span> <span class="figure-count">{hottest}</span>
                </a>
            </div>
            <p class="quiet-text">{move || LOAD_OF.with(&[("n", &format::count(means.with(|means| means.nodes)))])}</p>
        </section>
    }
}

/// What managed nodes have, and what deployments ask of them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Capacity {
    cpus: f64,
    cpus_left: f64,
    memory: u64,
    memory_left: u64,
    npus: u64,
    npus_left: u64,
}

fn capacity(lab: &Lab) -> Capacity {
    let mut all = Capacity::default();
    for node in lab.nodes().filter(|node| node.row.managed) {
        all.cpus += f64::from(node.row.cpus);
        all.memory += node.row.memory_bytes;
        all.npus += u64::from(node.row.npus);
    }
    (all.cpus_left, all.memory_left, all.npus_left) = (all.cpus, all.memory, all.npus);
    for placement in lab
        .placements
        .values()
        .filter(|placement| placement.wanted == Wanted::Running)
    {
        let asked = lab
            .versions
            .get(&placement.version)
            .map_or_else(Resources::default, |version| version.spec.total());
        all.cpus_left = (all.cpus_left - f64::from(asked.cpu_millis) / 1_000.0).max(0.0);
        all.memory_left = all.memory_left.saturating_sub(asked.memory_bytes);
        all.npus_left = all.npus_left.saturating_sub(asked.npus.into());
    }
    all
}

#[component]
fn CapacityCard() -> impl IntoView {
    let capacity = Memo::new(move |_| {
        store().nodes.track();
        store().placements.track();
        store().apps.track();
        lab(capacity)
    });
    let row = move |title: Text, words: fn(&Capacity) -> (String, String)| {
        let value = move || {
            let (left, all) = capacity.with(words);
            LEFT.with(&[("left", &left), ("all", &all)])
        };
        view! {
            <div class="figure-row">
                <span class="figure-word">{title.t()}</span> <span class="figure-count">{value}</span>
            </div>
        }
    };
    view! {
        <section class="card">
            <header class="card-head"><h2>{CAPACITY.t()}</h2></header>
            <div class="figure-rows">
                {row(CPU_LEFT, |c| (format::number(c.cpus_left, 1), format::number(c.cpus, 0)))}
                {row(MEMORY_LEFT, |c| (format::bytes(c.memory_left), format::bytes(c.memory)))}
                {row(NPU_LEFT, |c| (format::count(c.npus_left as usize), format::count(c.npus as usize)))}
            </div>
            <p class="quiet-text">{CAPACITY_OF.t()}</p>
        </section>
    }
}

/// A deployment that is not everywhere as it should be.
#[derive(Clone, Debug, PartialEq)]
struct Underway {
    id: DeploymentId,
    name: String,
    done: u64,
    all: u64,
    failed: u64,
}

/// Deployments that are underway or in trouble, those with failures first.
fn underway(lab: &Lab) -> Vec<Underway> {
    let mut found = Vec::new();
    for deployment in lab.deployments.values() {
        let placements = lab.placements_of_deployment(deployment.id);
        let is_done = |wanted: Wanted, state: InstanceState| match wanted {
            Wanted::Running => matches!(state, InstanceState::Running | InstanceState::Succeeded),
            Wanted::Stopped => matches!(state, InstanceState::Stopped | InstanceState::Succeeded),
            Wanted::Gone => false,
        };
        let done = placements
            .iter()
            .filter(|p| is_done(p.wanted, p.state) && p.version == deployment.version)
            .count() as u64;
        let failed = placements
            .iter()
            .filter(|p| matches!(p.state, InstanceState::Failed | InstanceState::BackOff))
            .count() as u64;
        let all = placements.len() as u64;
        if done < all {
            found.push(Underway {
                id: deployment.id,
                name: deployment.name.clone(),
                done,
                all,
                failed,
            });
        }
    }
    found.sort_by(|a, b| b.failed.cmp(&a.failed).then_with(|| a.name.cmp(&b.name)));
    found
}

#[component]
fn DeployingCard() -> impl IntoView {
    let found = Memo::new(move |_| {
        store().deployments.track();
        store().placements.track();
        (lab(underway), lab(|lab| lab.deployments.len()))
    });
    let rows = move || {
        let (underway, _) = found.get();
        underway
            .into_iter()
            .take(6)
            .map(|one| {
                let label = RUNNING.with(&[("done", &one.done), ("all", &one.all)]);
                let sign = if one.failed > 0 {
                    crate::components::sign_of_instance(InstanceState::Failed)
                } else {
                    crate::components::sign_of_instance(InstanceState::Starting)
                };
                let inner = view! {
                    {glyph(sign)} <span class="figure-word">{one.name}</span>
                    <ProgressBar done=Signal::stored(one.done) all=Signal::stored(one.all) label=Signal::stored(label)/>
                };
                lead(
                    "/deployments",
                    format!("/deployments/{}", one.id),
                    "figure-row",
                    "deploying".to_owned(),
                    inner,
                )
            })
            .collect_view()
    };
    let quiet = move || {
        let (underway, all) = found.get();
        underway.is_empty().then(|| {
            if all == 0 {
                NOTHING_DEPLOYS.get().to_owned()
            } else {
                ALL_RUN.with(&[("n", &format::count(all))])
            }
        })
    };
    view! {
        <section class="card">
            <header class="card-head"><h2>{DEPLOYING.t()}</h2></header>
            <div class="figure-rows">{rows}</div>
            {move || quiet().map(|text| view! { <p class="quiet-text">{text}</p> })}
        </section>
    }
}

#[component]
fn ExpiringCard() -> impl IntoView {
    let found = Memo::new(move |_| {
        store().alarms.track();
        lab(|lab| {
            lab.alarms
                .values()
                .filter(|alarm| alarm.kind == AlarmKind::CertificateExpiring)
                .cloned()
                .collect::<Vec<_>>()
        })
    });
    let rows = move || {
        found
            .get()
            .into_iter()
            .take(5)
            .map(|alarm| {
                let sign: Sign = sign_of_alarm(alarm.severity);
                let node = alarm.node;
                let word = Signal::derive(move || text::alarm(&alarm, lang()));
                let badge = view! { <StateBadge sign=Signal::stored(sign) word=word/> };
                match node {
                    Some(id) => view! { <a class="figure-row" href=format!("/nodes/{id}")>{badge}</a> }.into_any(),
                    None => view! { <div class="figure-row">{badge}</div> }.into_any(),
                }
            })
            .collect_view()
    };
    view! {
        <section class="card">
            <header class="card-head"><h2>{EXPIRING.t()}</h2></header>
            <div class="figure-rows">{rows}</div>
            <Show when=move || found.with(Vec::is_empty)><p class="quiet-text">{NO_EXPIRING.t()}</p></Show>
        </section>
    }
}

#[component]
fn EventsCard() -> impl IntoView {
    let last = Memo::new(move |_| {
        store().events.track();
        lab(|lab| lab.events.iter().take(12).cloned().collect::<Vec<_>>())
    });
    view! {
        <section class="card wide" data-test="last-events">
            <header class="card-head">
                <h2>{EVENTS.t()}</h2>
                {nav::exists("/events").then(|| view! { <a href="/events">{ALL_EVENTS.t()}</a> })}
            </header>
            <ol class="events">
                <For each=move || last.get() key=|event| event.id let(event)>
                    {
                        let (at, node) = (event.at, event.node);
                        let sentence = move || text::event(&event, lang());
                        view! {
                            <li class="event">
                                <time class="event-time" title=move || format::moment(at)>{move || format::ago(at)}</time>
                                {match node {
                                    Some(id) => view! { <a class="event-text" href=format!("/nodes/{id}")>{sentence}</a> }.into_any(),
                                    None => view! { <span class="event-text">{sentence}</span> }.into_any(),
                                }}
                            </li>
                        }
                    }
                </For>
            </ol>
            <Show when=move || last.with(Vec::is_empty)><p class="quiet-text">{NO_EVENTS.t()}</p></Show>
        </section>
    }
}

#[cfg(test)]
mod figures {
    use super::*;
    use crate::store::tests::row;
    use edgedeck_model::{
        NodeId,
        feed::{Change, Feed},
    };
    use uuid::Uuid;

    #[test]
    fn means_leave_out_who_is_offline_or_does_not_tell() {
        let mut lab = Lab::default();
        let mut gone = row(3, "c");
        gone.state = NodeState::Offline;
        let live = |cpu: f32, npu: Option<f32>| Live {
            cpu: Some(cpu),
            npu,
            npu_temperature: npu,
            ..Live::default()
        };
        let figures = [
            (1, live(10.0, None)),
            (2, live(30.0, Some(50.0))),
            (3, live(99.0, Some(99.0))),
        ];
        let figures = figures.map(|(n, live)| (NodeId(Uuid::from_u128(n)), live)).into();
        let changes = [row(1, "a"), row(2, "b"), gone].map(Change::Node).into();
        lab.apply(Feed {
            changes,
            figures,
            ..Feed::default()
        });
        let expected = Means {
            nodes: 2,
            npu: Some(50.0),
            cpu: Some(20.0),
            memory: None,
            hottest: Some(50.0),
        };
        assert_eq!(means(&lab), expected);
    }

    #[test]
    fn capacity_counts_managed_nodes_only() {
        let mut lab = Lab::default();
        let mut waiting = row(2, "b");
        waiting.managed = false;
        lab.apply(Feed {
            changes: [row(1, "a"), waiting].map(Change::Node).into(),
            ..Feed::default()
        });
        let found = capacity(&lab);
        assert_eq!((found.cpus, found.memory_left, found.npus_left), (8.0, 8 << 30, 1));
    }
}
