//! The lab's settings.
//!
//! `data-test`: `lab-name-field`, `time-zone`, `addresses`, `reserve-cpu`, `reserve-memory`, `deployments-per-node`,
//! `disk-raise`, `disk-clear`, `npu-raise`, `npu-clear`, `certificate-days`, `restarts`, `mef-calls`, `mef-burst`,
//! `mef-at-once`, `mef-body`, `mef-caps`, `save-settings`, `newer-settings`.

use super::values::{
    CERTIFICATE, DEPLOYMENTS, DISK_CLEAR, DISK_RAISE, MEF_AT_ONCE, MEF_BODY, MEF_BURST, MEF_CALLS, NPU_CLEAR,
    NPU_RAISE, Number, RESERVE_CPU, RESERVE_MEMORY, RESTARTS, TRIAL, read_addresses,
};
use crate::{
    api,
    components::{Button, Check, ErrorBox, Field, Kind, Skeleton, toast},
    i18n::Text,
    load::{Loaded, load},
    screens::common::{Change, Refusal, is_name, name_error},
    state::{may, ui},
    texts,
};
use edgedeck_model::{
    Code, Problem,
    api::{GetSettings, Settings, UpdateSettings},
    user::Role,
};
use leptos::prelude::*;

texts! {
    TITLE: "设置", "Settings";
    READ_ONLY: "只有管理员可以修改设置。", "Only administrators may change the settings.";
    LAB: "实验室", "The lab";
    NAME: "名称", "Name";
    ZONE: "时区", "Time zone";
    ZONE_HELP: "IANA 名称，例如 Asia/Shanghai；所有时间和报告都按此显示", "An IANA name, as Asia/Shanghai; all times and reports are shown in it";
    ADDRESSES: "引擎地址（每行一个）", "Addresses of the engine (one a line)";
    ADDRESSES_HELP: "设备和浏览器用来访问引擎的 IP 或域名，最可能的放在前面；留空则使用本机自己的地址", "IPs or names that boxes and browsers reach it at, likeliest first; the machine's own where empty";
    LIMITS: "容量", "Capacity";
    LIMITS_HELP: "每个节点上为系统保留、不分配给部署的部分。", "What is kept back on every node and not given to deployments.";
    RESERVE_CPU_WORD: "保留 CPU（核）", "CPU kept back (cores)";
    RESERVE_MEMORY_WORD: "保留内存（MiB）", "Memory kept back (MiB)";
    DEPLOYMENTS_WORD: "每节点最多部署数", "Most deployments per node";
    ALARMS: "告警阈值", "Alarm thresholds";
    DISK_RAISE_WORD: "磁盘使用率告警（%）", "Disk: raise at (%)";
    DISK_CLEAR_WORD: "磁盘使用率恢复（%）", "Disk: clear at (%)";
    NPU_RAISE_WORD: "NPU 温度告警（°C）", "NPU: raise at (°C)";
    NPU_CLEAR_WORD: "NPU 温度恢复（°C）", "NPU: clear at (°C)";
    CERTIFICATE_WORD: "证书到期前（天）", "Certificate: days before its end";
    RESTARTS_WORD: "10 分钟内重启次数", "Restarts within 10 minutes";
    SOFTWARE: "节点软件", "Software of nodes";
    SOFTWARE_HELP: "允许未签名的软件包意味着：软件仓库或其账户一旦失守，任何程序都可能在节点上以 root 运行。", "Letting in packages that this lab has not signed means that whoever holds their server can run anything on the nodes, as root.";
    UNSIGNED: "允许未由本实验室签名的软件包", "Let in packages that this lab has not signed";
    LOWER: "允许相同或更低的版本", "Let in the same version and lower ones";
    TRIAL_WORD: "新版本试运行时限（秒）", "Time for a new version to be well (s)";
    MEF: "MEF Center 接口", "API of MEF Center";
    MEF_HELP: "默认与 MEF 自身的网关相同，使为其编写的脚本行为一致。", "As MEF's own gateway unless changed, so that scripts written for it behave alike.";
    MEF_CALLS_WORD: "每个地址每秒请求数（0 为不限）", "Calls a second of one address (0: any number)";
    MEF_BURST_WORD: "允许的突发请求数", "Calls above that at once";
    MEF_AT_ONCE_WORD: "每个地址同时进行的请求数", "Calls of one address under way at once";
    MEF_BODY_WORD: "请求体上限（KiB）", "Largest body (KiB)";
    MEF_CAPS: "执行 MEF 的数量上限（1024 个节点和分组、1000 个应用、每组 20 个应用等）", "Hold MEF's own numbers (1,024 nodes and groups, 1,000 applications, 20 applications a group …)";
    NOT_A_NUMBER: "请填写数字", "must be a number";
    SAVE: "保存设置", "Save the settings";
    SAVED: "设置已保存", "The settings are saved";
    NEWER: "其他人刚刚修改了设置。您填写的内容仍然保留；当前保存的内容如下：", "Somebody else has just changed the settings. What you typed is kept; what is saved now:";
}

#[component]
pub fn SettingsPage() -> impl IntoView {
    let settings = load(|| async { api::call::<GetSettings>((), &(), &()).await });
    let retry = Callback::new(move |()| settings.again());
    view! {
        <div class="screen">
            <header class="screen-head"><h1>{TITLE.t()}</h1></header>
            {move || match settings.state.get() {
                Loaded::Loading => view! { <Skeleton lines=8/> }.into_any(),
                Loaded::Failed(problem) => view! { <ErrorBox problem=Signal::stored(problem) retry=retry/> }.into_any(),
                Loaded::Ready(settings) => view! { <Form start=settings/> }.into_any(),
            }}
        </div>
    }
}

#[component]
fn Form(start: Settings) -> impl IntoView {
    let (name, zone) = (RwSignal::new(start.lab.clone()), RwSignal::new(start.time_zone.clone()));
    let addresses = RwSignal::new(start.addresses.join("\n"));
    let unsigned = RwSignal::new(start.software.unsigned);
    let lower = RwSignal::new(start.software.lower);
    let mef_caps = RwSignal::new(start.mef.caps);
    let held = RwSignal::new(start);
    let newer = RwSignal::new(None::<Settings>);
    let change = Change::new();
    let read_only = Signal::derive(|| !may(Role::Admin));
    let limits = [
        (RESERVE_CPU, RESERVE_CPU_WORD, "reserve-cpu"),
        (RESERVE_MEMORY, RESERVE_MEMORY_WORD, "reserve-memory"),
        (DEPLOYMENTS, DEPLOYMENTS_WORD, "deployments-per-node"),
    ];
    let thresholds = [
        (DISK_RAISE, DISK_RAISE_WORD, "disk-raise"),
        (DISK_CLEAR, DISK_CLEAR_WORD, "disk-clear"),
        (NPU_RAISE, NPU_RAISE_WORD, "npu-raise"),
        (NPU_CLEAR, NPU_CLEAR_WORD, "npu-clear"),
        (CERTIFICATE, CERTIFICATE_WORD, "certificate-days"),
        (RESTARTS, RESTARTS_WORD, "restarts"),
    ];
    let software = [(TRIAL, TRIAL_WORD, "trial-seconds")];
    let mef = [
        (MEF_CALLS, MEF_CALLS_WORD, "mef-calls"),
        (MEF_BURST, MEF_BURST_WORD, "mef-burst"),
        (MEF_AT_ONCE, MEF_AT_ONCE_WORD, "mef-at-once"),
        (MEF_BODY, MEF_BODY_WORD, "mef-body"),
    ];
    let numbers: Vec<(Number, RwSignal<String>)> = limits
        .iter()
        .chain(&thresholds)
        .chain(&software)
        .chain(&mef)
        .map(|(number, _, _)| (*number, RwSignal::new(held.with_untracked(number.print))))
        .collect();
    let numbers = StoredValue::new(numbers);
    let wanted = move || {
        let mut settings = held.get();
        settings.lab = name.with(|name| name.trim().to_owned());
        settings.time_zone = zone.with(|zone| zone.trim().to_owned());
        settings.software.unsigned = unsigned.get();
        settings.software.lower = lower.get();
        settings.mef.caps = mef_caps.get();
        settings.addresses = addresses.with(|addresses| read_addresses(addresses));
        let good = numbers.with_value(|numbers| {
            // Each is read even where one before is wrong, so that all are tracked.
            numbers.iter().fold(true, |good, (number, text)| {
                text.with(|text| (number.put)(&mut settings, text)) && good
            })
        });
        (good && is_name(&settings.lab) && !settings.time_zone.is_empty()).then_some(settings)
    };
    let one = move |(number, label, test): (Number, Text, &'static str)| {
        let text = numbers.with_value(|numbers| {
            numbers
                .iter()
                .find(|(found, _)| found.field == number.field)
                .map(|(_, text)| *text)
        });
        let text = text.unwrap_or_else(|| RwSignal::new(String::new()));
        let refused = change.error_of(number.field);
        let error = Signal::derive(move || {
            let mut scratch = held.get();
            let good = text.with(|text| (number.put)(&mut scratch, text));
            if good {
                refused.get()
            } else {
                Some(NOT_A_NUMBER.get().to_owned())
            }
        });
        view! { <Field label=label value=text error=error disabled=read_only test=test/> }
    };
    let save = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let Some(body) = untrack(wanted) else { return };
        let work = async move {
            let saved = api::call::<UpdateSettings>((), &(), &body).await;
            if saved
                .as_ref()
                .is_err_and(|problem: &Problem| problem.code == Code::Changed)
            {
                let now = api::call::<GetSettings>((), &(), &()).await.ok();
                newer.try_set(now);
            }
            saved
        };
        change.run(work, move |saved: Settings| {
            newer.try_set(None);
            // What the whole console shows of the lab follows at once.
            ui().me.update(|me| {
                if let Some(me) = me {
                    saved.lab.clone_into(&mut me.lab);
                    saved.time_zone.clone_into(&mut me.time_zone);
                }
            });
            held.try_set(saved);
            toast(SAVED.get_untracked());
        });
    };
    let name_refused = change.error_of("lab");
    let name_broken = name_error(name);
    let name_wrong = Signal::derive(move || name_broken.get().or_else(|| name_refused.get()));
    let unfit = Signal::derive(move || read_only.get() || wanted().is_none());
    view! {
        <Show when=move || read_only.get()><p class="note-box">{READ_ONLY.t()}</p></Show>
        <form class="form settings-form" on:submit=save>
            <section class="card">
                <h2>{LAB.t()}</h2>
                <div class="field-row">
                    <Field label=NAME value=name error=name_wrong disabled=read_only test="lab-name-field"/>
                    <Field label=ZONE value=zone error=change.error_of("time_zone") help=ZONE_HELP disabled=read_only test="time-zone"/>
                </div>
                <Field
                    label=ADDRESSES
                    value=addresses
                    error=change.error_of("addresses")
                    help=ADDRESSES_HELP
                    lines=3
                    disabled=read_only
                    test="addresses"
                />
            </section>
            <section class="card">
                <h2>{LIMITS.t()}</h2>
                <p class="quiet-text">{LIMITS_HELP.t()}</p>
                <div class="field-row">{limits.map(one).into_iter().collect_view()}</div>
            </section>
            <section class="card">
                <h2>{ALARMS.t()}</h2>
                <div class="field-grid">{thresholds.map(one).into_iter().collect_view()}</div>
            </section>
            <section class="card">
                <h2>{SOFTWARE.t()}</h2>
                <div class="field-row">{software.map(one).into_iter().collect_view()}</div>
                <Check label=LOWER checked=lower set=move |on| lower.set(on) disabled=read_only test="lower-versions"/>
                <Check label=UNSIGNED checked=unsigned set=move |on| unsigned.set(on) disabled=read_only help=Some(SOFTWARE_HELP) test="unsigned-packages"/>
            </section>
            <section class="card">
                <h2>{MEF.t()}</h2>
                <p class="quiet-text">{MEF_HELP.t()}</p>
                <div class="field-grid">{mef.map(one).into_iter().collect_view()}</div>
                <Check label=MEF_CAPS checked=mef_caps set=move |on| mef_caps.set(on) disabled=read_only test="mef-caps"/>
            </section>
            <Refusal change=change/>
            {move || newer.get().map(|settings| {
                let text = serde_json::to_string_pretty(&settings).unwrap_or_default();
                view! { <p>{NEWER.t()}</p> <pre class="code-text" data-test="newer-settings">{text}</pre> }
            })}
            <Show when=|| may(Role::Admin)>
                <footer class="button-row">
                    <Button label=SAVE kind=Kind::Primary submit=true busy=change.busy disabled=unfit test="save-settings"/>
                </footer>
            </Show>
        </form>
    }
}
