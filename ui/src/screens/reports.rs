//! Reports: what, in which form and language, over which time; a look at it, and the file.
//!
//! `data-test`: `report-kind`, `report-period`, `report-from`, `report-to`, `report-language`, `report-format`,
//! `preview-report`, `save-report`, `report-preview`.

use crate::{
    components::{Button, Choice, ErrorBox, Field, Icon, Kind, toast},
    desktop,
    frame::palette,
    screens::common::Change,
    state::ui,
    texts,
};
use edgedeck_model::{
    Lang, Problem, Time,
    api::{REPORT_PATH, ReportFormat, ReportKind, ReportQuery},
    time::DAY,
    user::Role,
};
use leptos::prelude::*;

texts! {
    TITLE: "报告", "Reports";
    KIND: "内容", "Content";
    BOTH: "资产与健康", "Inventory and health";
    INVENTORY: "资产", "Inventory";
    HEALTH: "健康", "Health";
    PERIOD: "时间段", "Period";
    LAST_DAY: "最近 24 小时", "The last 24 hours";
    LAST_WEEK: "最近 7 天", "The last 7 days";
    LAST_MONTH: "最近 30 天", "The last 30 days";
    OWN: "自定义", "From … to …";
    FROM: "开始", "From";
    TO: "结束", "To";
    LANGUAGE: "语言", "Language";
    FORMAT: "格式", "Format";
    PREVIEW: "预览", "Preview";
    EXPORT: "导出", "Export";
    SAVED: "已保存：{place}", "Saved: {place}";
    ORDER: "结束时间必须晚于开始时间", "the end must be after the begin";
    HINT: "选择内容和时间段后点“预览”。报告含概要、图表和明细表，可直接打印或交付。", "Choose content and period, then look at the preview. A report has a summary, charts and tables, fit to print and hand on.";
}

/// A kind's key in addresses, as in JSON.
fn kind_of(key: &str) -> ReportKind {
    match key {
        "inventory" => ReportKind::Inventory,
        "health" => ReportKind::Health,
        _ => ReportKind::InventoryAndHealth,
    }
}

fn format_of(key: &str) -> (ReportFormat, &'static str) {
    match key {
        "xlsx" => (ReportFormat::Xlsx, "xlsx"),
        "csv" => (ReportFormat::Csv, "csv"),
        "html" => (ReportFormat::Html, "html"),
        _ => (ReportFormat::Pdf, "pdf"),
    }
}

fn days_of(period: &str) -> Option<i64> {
    match period {
        "1" => Some(1),
        "7" => Some(7),
        "30" => Some(30),
        _ => None,
    }
}

/// The time of a date field, which gives the computer's own time; `None` while it is empty.
fn time_of(text: &str) -> Option<Time> {
    let ms = js_sys::Date::parse(text);
    ms.is_finite().then_some(Time(ms as i64))
}

fn address(query: &ReportQuery) -> Result<String, Problem> {
    let query = serde_urlencoded::to_string(query).map_err(Problem::internal)?;
    Ok(format!("{REPORT_PATH}?{query}"))
}

#[component]
pub fn Reports() -> impl IntoView {
    let kind = RwSignal::new("both".to_owned());
    let period = RwSignal::new("7".to_owned());
    let format = RwSignal::new("pdf".to_owned());
    let language = RwSignal::new(ui().lang.get_untracked().pick("zh", "en").to_owned());
    let (from, to) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let preview = RwSignal::new(None::<String>);
    let change = Change::new();
    let word = |pairs: &[(&str, crate::i18n::Text)]| {
        pairs
            .iter()
            .map(|(key, word)| ((*key).to_owned(), word.get().to_owned()))
            .collect::<Vec<_>>()
    };
    let kinds = Signal::derive(move || word(&[("both", BOTH), ("inventory", INVENTORY), ("health", HEALTH)]));
    let periods = Signal::derive(move || word(&[("1", LAST_DAY), ("7", LAST_WEEK), ("30", LAST_MONTH), ("own", OWN)]));
    let languages = vec![
        ("zh".to_owned(), "中文".to_owned()),
        ("en".to_owned(), "English".to_owned()),
    ];
    let formats = ["pdf", "xlsx", "csv", "html"]
        .map(|key| (key.to_owned(), key.to_uppercase()))
        .to_vec();
    let is_own = Memo::new(move |_| period.with(|period| days_of(period).is_none()));
    let span = move || match period.with(|period| days_of(period)) {
        Some(days) => {
            let now = Time(ui().clock.get());
            Some((now.plus(-days * DAY), now))
        }
        None => from
            .with(|from| time_of(from))
            .zip(to.with(|to| time_of(to)))
            .filter(|(from, to)| from < to),
    };
    let ordered = Signal::derive(move || {
        let both = from.with(|from| time_of(from)).zip(to.with(|to| time_of(to)));
        both.filter(|(from, to)| from >= to).map(|_| ORDER.get().to_owned())
    });
    let query = move |format: ReportFormat| {
        span().map(|(from, to)| ReportQuery {
            kind: kind.with(|kind| kind_of(kind)),
            format,
            lang: language.with(|language| if language == "zh" { Lang::Zh } else { Lang::En }),
            from,
            to,
        })
    };
    let look = move || {
        let asked = untrack(|| query(ReportFormat::Html));
        change.problem.set(None);
        match asked.map(|query| address(&query)) {
            Some(Ok(address)) => preview.set(Some(address)),
            Some(Err(problem)) => change.problem.set(Some(problem)),
            None => {}
        }
    };
    let save = Callback::new(move |()| {
        let (format, ending) = format.with_untracked(|format| format_of(format));
        let Some(query) = untrack(|| query(format)) else { return };
        let date = untrack(|| crate::format::day(query.to)).replace(['/', ' '], "-");
        let name = format!("edgedeck-report-{date}.{ending}");
        let work = async move { desktop::save_file(&name, &address(&query)?).await };
        change.run(work, |saved| {
            if let Some(place) = saved {
                toast(SAVED.with_untracked(&[("place", &place)]));
            }
        });
    });
    palette::offer(PREVIEW, Icon::Reports, Role::Viewer, look);
    let unfit = Signal::derive(move || span().is_none());
    view! {
        <div class="screen fill">
            <header class="screen-head"><h1>{TITLE.t()}</h1></header>
            <section class="card">
                <div class="field-row ends">
                    <Choice label=KIND value=kind options=kinds test="report-kind"/>
                    <Choice label=PERIOD value=period options=periods test="report-period"/>
                    <Show when=move || is_own.get()>
                        <Field label=FROM value=from kind="datetime-local" test="report-from"/>
                        <Field label=TO value=to kind="datetime-local" error=ordered test="report-to"/>
                    </Show>
                    <Choice label=LANGUAGE value=language options=Signal::stored(languages) test="report-language"/>
                    <Choice label=FORMAT value=format options=Signal::stored(formats) test="report-format"/>
                    <Button label=PREVIEW sign=Icon::Search disabled=unfit press=Callback::new(move |()| look()) test="preview-report"/>
                    <Button
                        label=EXPORT
                        kind=Kind::Primary
                        sign=Icon::Download
                        busy=change.busy
                        disabled=unfit
                        press=save
                        test="save-report"
                    />
                </div>
                {move || change.problem.get().map(|problem| view! { <ErrorBox problem=Signal::stored(problem)/> })}
            </section>
            {move || match preview.get() {
                // Nothing in the frame may run or reach the console.
                Some(address) => view! {
                    <iframe class="report-preview" sandbox="" src=address title=PREVIEW.t() data-test="report-preview"></iframe>
                }
                .into_any(),
                None => view! { <p class="quiet-text">{HINT.t()}</p> }.into_any(),
            }}
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_back_by_the_engine() {
        for (kind, format) in [("inventory", "csv"), ("health", "html"), ("both", "pdf")] {
            let asked = ReportQuery {
                kind: kind_of(kind),
                format: format_of(format).0,
                lang: Lang::En,
                from: Time(1),
                to: Time(2),
            };
            let address = address(&asked).expect("a query of plain words and numbers");
            let (path, query) = address.split_once('?').expect("it has a query");
            assert_eq!(path, REPORT_PATH);
            assert_eq!(serde_urlencoded::from_str::<ReportQuery>(query).ok(), Some(asked));
        }
    }
}
