//! The form of a part's probes.
//!
//! `data-test`: `liveness`, `readiness`, and of each, once it has a check, `-delay`, `-timeout`, `-period`, `-threshold`.

use super::{
    cells::{BoundField, BoundList, Cell, List, Scalar},
    editor::Editor,
    values::{cell, read_number, take},
};
use crate::{i18n::Text, texts};
use edgedeck_model::{
    app::Part,
    probe::{Check, Probe},
};
use leptos::prelude::*;

texts! {
    LIVENESS: "存活检查（失败则重启）", "Liveness (restarted when it fails)";
    READINESS: "就绪检查", "Readiness";
    KIND: "方式", "How";
    TARGET: "端口/路径、端口或命令", "Port/path, port or command";
    HELP: "HTTP(S)：端口/路径，如 8080/health，也可写 主机:端口/路径；TCP：端口；exec：命令。全部通过才算通过。", "HTTP(S): port/path, as 8080/health, or host:port/path; TCP: the port; exec: a command. It passes when all do.";
    DELAY: "启动后等待（秒）", "Delay after the start (s)";
    TIMEOUT: "超时（秒）", "Timeout (s)";
    PERIOD: "间隔（秒）", "Period (s)";
    THRESHOLD: "连续失败次数", "Failures in a row";
}

const CELLS: &[Cell] = &[Cell::OneOf(KIND, &["http", "https", "tcp", "exec"]), Cell::Text(TARGET)];

fn of<const LIVENESS: bool>(part: &mut Part) -> &mut Option<Probe> {
    if LIVENESS {
        &mut part.liveness
    } else {
        &mut part.readiness
    }
}

fn held<const LIVENESS: bool>(part: &Part) -> Option<&Probe> {
    if LIVENESS { &part.liveness } else { &part.readiness }.as_ref()
}

const fn checks<const LIVENESS: bool>(key: &'static str) -> List {
    List {
        key,
        cells: CELLS,
        print: |part| {
            let checks = held::<LIVENESS>(part).map(|probe| probe.checks.as_slice());
            checks.unwrap_or_default().iter().map(print).collect()
        },
        put: |part, rows| {
            let mut checks = Vec::new();
            for (at, row) in rows.iter().enumerate() {
                // A row that nothing was typed into yet is none.
                if cell(row, 1).is_empty() {
                    continue;
                }
                match read(cell(row, 0), cell(row, 1)) {
                    Some(check) => checks.push(check),
                    None => return Some(at),
                }
            }
            let probe = of::<LIVENESS>(part);
            match probe {
                _ if checks.is_empty() => *probe = None,
                Some(probe) => probe.checks = checks,
                None => *probe = Some(Probe::new(checks)),
            }
            None
        },
    }
}

/// The number that a field of a probe holds.
type Slot = fn(&mut Probe) -> &mut u32;

const SLOTS: [Slot; 4] = [
    |probe| &mut probe.initial_delay_seconds,
    |probe| &mut probe.timeout_seconds,
    |probe| &mut probe.period_seconds,
    |probe| &mut probe.failure_threshold,
];

const fn number<const LIVENESS: bool, const SLOT: usize>(key: &'static str) -> Scalar {
    Scalar {
        key,
        print: |part| {
            let mut probe = held::<LIVENESS>(part).cloned();
            probe
                .as_mut()
                .map(|probe| SLOTS[SLOT](probe).to_string())
                .unwrap_or_default()
        },
        put: |part, text| match of::<LIVENESS>(part) {
            Some(probe) => take(read_number(text), SLOTS[SLOT](probe)),
            None => true,
        },
    }
}

fn print(check: &Check) -> Vec<String> {
    let (kind, target) = match check {
        Check::Exec { command } => {
            let words = command.iter().map(String::as_str);
            ("exec", shlex::try_join(words).unwrap_or_default())
        }
        Check::Tcp { port } => ("tcp", port.to_string()),
        Check::Http {
            path,
            port,
            host,
            https,
        } => {
            let host = match host {
                Some(host) if host.contains(':') => format!("[{host}]:"),
                Some(host) => format!("{host}:"),
                None => String::new(),
            };
            (if *https { "https" } else { "http" }, format!("{host}{port}{path}"))
        }
    };
    vec![kind.to_owned(), target]
}

fn read(kind: &str, target: &str) -> Option<Check> {
    match kind {
        "exec" => Some(Check::Exec {
            command: shlex::split(target)?,
        }),
        "tcp" => Some(Check::Tcp {
            port: target.parse().ok()?,
        }),
        _ => {
            let slash = target.find('/').unwrap_or(target.len());
            let (place, path) = target.split_at(slash);
            let (host, port) = match place.rsplit_once(':') {
                Some((host, port)) => (
                    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned()),
                    port,
                ),
                None => (None, place),
            };
            Some(Check::Http {
                path: if path.is_empty() {
                    "/".to_owned()
                } else {
                    path.to_owned()
                },
                port: port.parse().ok()?,
                host,
                https: kind == "https",
            })
        }
    }
}

/// The fields of one probe.
#[derive(Clone, Copy)]
struct Fields {
    label: Text,
    is_set: fn(&Part) -> bool,
    checks: (List, &'static str),
    /// Each with its title and its path in the rules.
    numbers: [(Scalar, Text, &'static str); 4],
}

const LIVENESS_FIELDS: Fields = Fields {
    label: LIVENESS,
    is_set: |part| part.liveness.is_some(),
    checks: (checks::<true>("liveness"), "liveness.checks"),
    numbers: [
        (
            number::<true, 0>("liveness-delay"),
            DELAY,
            "liveness.initial_delay_seconds",
        ),
        (
            number::<true, 1>("liveness-timeout"),
            TIMEOUT,
            "liveness.timeout_seconds",
        ),
        (number::<true, 2>("liveness-period"), PERIOD, "liveness.period_seconds"),
        (
            number::<true, 3>("liveness-threshold"),
            THRESHOLD,
            "liveness.failure_threshold",
        ),
    ],
};

const READINESS_FIELDS: Fields = Fields {
    label: READINESS,
    is_set: |part| part.readiness.is_some(),
    checks: (checks::<false>("readiness"), "readiness.checks"),
    numbers: [
        (
            number::<false, 0>("readiness-delay"),
            DELAY,
            "readiness.initial_delay_seconds",
        ),
        (
            number::<false, 1>("readiness-timeout"),
            TIMEOUT,
            "readiness.timeout_seconds",
        ),
        (
            number::<false, 2>("readiness-period"),
            PERIOD,
            "readiness.period_seconds",
        ),
        (
            number::<false, 3>("readiness-threshold"),
            THRESHOLD,
            "readiness.failure_threshold",
        ),
    ],
};

#[component]
pub fn Probes(editor: Editor, at: usize) -> impl IntoView {
    view! {
        <ProbeForm editor=editor at=at fields=LIVENESS_FIELDS/>
        <ProbeForm editor=editor at=at fields=READINESS_FIELDS/>
    }
}

#[component]
fn ProbeForm(editor: Editor, at: usize, fields: Fields) -> impl IntoView {
    let (list, field) = fields.checks;
    let is_set = Memo::new(move |_| editor.of_part(at, fields.is_set));
    let numbers = move || {
        let one = |(scalar, label, field): (Scalar, Text, &'static str)| {
            view! { <BoundField editor=editor at=at scalar=scalar label=label field=field test=scalar.key/> }
        };
        fields.numbers.map(one).collect_view()
    };
    view! {
        <BoundList editor=editor at=at list=list label=fields.label field=field help=HELP test=list.key/>
        <Show when=move || is_set.get()>
            <div class="field-row">{numbers()}</div>
        </Show>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screens::apps::editor::container_spec;

    #[test]
    fn checks_read_as_they_are_printed() {
        for (kind, target) in [
            ("http", "8080/health?deep=1"),
            ("https", "web.lab:443/"),
            ("http", "[fd00::1]:80/a:b"),
            ("tcp", "9000"),
            ("exec", "sh -c 'test -f /tmp/a b'"),
            ("exec", "cat '' 'it'\"'\"'s'"),
        ] {
            let check = read(kind, target).expect("a check");
            let printed = print(&check);
            assert_eq!(read(&printed[0], &printed[1]).as_ref(), Some(&check), "{printed:?}");
            assert_eq!(printed[0], kind);
        }
        assert_eq!(print(&read("http", "80").expect("a check"))[1], "80/");
        for (kind, target) in [
            ("http", "/a"),
            ("http", "x/a"),
            ("tcp", "70000"),
            ("tcp", "80/"),
            ("exec", "sh 'x"),
        ] {
            assert_eq!(read(kind, target), None, "{kind} {target}");
        }
    }

    #[test]
    fn a_probe_comes_and_goes_with_its_checks() {
        let mut part = container_spec("x:1").parts.remove(0);
        let (list, period) = (checks::<true>("liveness"), number::<true, 2>("period"));
        let row = |kind: &str, target: &str| vec![kind.to_owned(), target.to_owned()];
        assert!((period.put)(&mut part, "7") && part.liveness.is_none());
        assert_eq!((list.put)(&mut part, &[row("http", "")]), None);
        assert_eq!(part.liveness, None);
        assert_eq!((list.put)(&mut part, &[row("tcp", "80"), row("tcp", "x")]), Some(1));
        assert_eq!((list.put)(&mut part, &[row("tcp", "80")]), None);
        assert!((period.put)(&mut part, "7") && !(period.put)(&mut part, "x"));
        assert_eq!((period.print)(&part), "7");
        assert_eq!((list.put)(&mut part, &[row("tcp", "81")]), None);
        assert_eq!(part.liveness.as_ref().map(|probe| probe.period_seconds), Some(7));
        assert_eq!((list.print)(&part), [row("tcp", "81")]);
        assert_eq!(part.readiness, None);
        assert_eq!((list.put)(&mut part, &[]), None);
        assert_eq!(part.liveness, None);
    }
}
