//! The page that stands in the window when the engine does not start: what happened, what to do, details to copy.

use edgedeck_engine::OpenError;
use edgedeck_gateway::StartError;
use std::{error::Error, fmt::Write, path::Path};

/// Shown while another try is under way; it goes to the console, which waits for the outcome.
pub const TRYING_AGAIN: &str = r#"<!doctype html><html lang="zh"><meta charset="utf-8"><title>EdgeDeck</title>
<meta http-equiv="refresh" content="0; url=/"><p lang="zh">正在重试……</p><p lang="en">Trying again …</p></html>"#;

/// Why the engine did not start, in a form to show.
pub struct Failure {
    told: Told,
    /// The error and its causes, one a line.
    causes: String,
    data: String,
}

/// What happened and what to do, in both languages: which one the person reads is a setting of the engine that did not
/// start.
struct Told {
    zh: [String; 2],
    en: [String; 2],
}

impl Failure {
    pub fn new(error: &StartError, data: &Path) -> Self {
        let data = data.display().to_string();
        Self {
            told: told(error, &data),
            causes: causes(error),
            data,
        }
    }

    /// The page.
    pub fn page(&self) -> String {
        let details = format!(
            "edgedeck {}\n{} {}\ndata: {}\n\n{}",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
            std::env::consts::ARCH,
            self.data,
            self.causes
        );
        let Told {
            zh: [zh_what, zh_todo],
            en: [en_what, en_todo],
        } = &self.told;
        let mut page = PAGE.to_owned();
        for (place, text) in [
            ("{zh-what}", zh_what),
            ("{zh-todo}", zh_todo),
            ("{en-what}", en_what),
            ("{en-todo}", en_todo),
            ("{details}", &details),
        ] {
            page = page.replace(place, &escaped(text));
        }
        page
    }
}

fn told(error: &StartError, data: &str) -> Told {
    let told = |zh: [String; 2], en: [String; 2]| Told { zh, en };
    match error {
        StartError::Taken { name, address } => told(
            [
                format!("端口 {address}（{name}）已被另一个程序占用。"),
                format!("请退出占用它的程序后重试；或用 edgedeck --{name} 指定别的地址启动。"),
            ],
            [
                format!("{address} (for {name}) is taken by another program."),
                format!("End that program and try again, or start edgedeck --{name} with another address."),
            ],
        ),
        StartError::Open(OpenError::InUse { .. }) => told(
            [
                format!("数据目录 {data} 正被另一个 EdgeDeck 或 edgedeckd 使用。"),
                "请先退出它再重试；若它是 edgedeckd，也可在浏览器中使用它的控制台。".into(),
            ],
            [
                format!("Another EdgeDeck or edgedeckd uses the data folder {data}."),
                "Quit it and try again; the console of an edgedeckd can also be used in a browser.".into(),
            ],
        ),
        StartError::Open(OpenError::Database(_)) => told(
            [
                format!("数据目录 {data} 中的数据库无法打开，其内容没有被改动。"),
                "若它由更新的版本写入，请安装该版本；若已损坏，请用 edgedeckd restore 恢复备份；\
                 若磁盘已满或不可写，请释放空间或恢复写权限。具体原因见下方详情。"
                    .into(),
            ],
            [
                format!("The database in the data folder {data} cannot be opened. It was not changed."),
                "If a newer version wrote it, install that version. If it is damaged, restore a backup with \
                 edgedeckd restore. If the disk is full or read-only, free some space or make it writable. \
                 The details below say which."
                    .into(),
            ],
        ),
        _ => told(
            [
                format!("引擎无法使用数据目录 {data}，或无法监听端口。"),
                "请检查该目录的所有者、权限与磁盘空间后重试。具体原因见下方详情。".into(),
            ],
            [
                format!("The engine cannot use the data folder {data}, or cannot listen."),
                "Check the folder's owner and rights and the disk's free space, then try again. \
                 The details below say what failed."
                    .into(),
            ],
        ),
    }
}

fn causes(error: &StartError) -> String {
    let mut causes = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a string does not fail.
        _ = write!(causes, "\n  {cause}");
        source = cause.source();
    }
    causes
}

/// Text as HTML. Braces too, so that no outside text is taken for a place to fill.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '{' => out.push_str("&#123;"),
            '}' => out.push_str("&#125;"),
            other => out.push(other),
        }
    }
    out
}

const PAGE: &str = include_str!("failure.html");

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn the_page_tells_every_cause_and_holds_no_foreign_markup() {
        let error = StartError::Listen {
            name: "{details}",
            address: ([127, 0, 0, 1], 1).into(),
            source: io::Error::other("<script>alert(1)</script>"),
        };
        let page = Failure::new(&error, Path::new("/lab/<b>")).page();
        assert!(
            page.contains("for &#123;details&#125;\n  &lt;script&gt;alert(1)&lt;/script&gt;"),
            "{page}"
        );
        assert!(page.contains("/lab/&lt;b&gt;"));
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains("-what}"));
        assert!(page.contains("引擎没有启动") && page.contains("The engine did not start"));
        assert!(page.contains(crate::page::RETRY));
    }

    #[test]
    fn a_taken_port_is_told_in_both_languages() {
        let page = Failure::new(
            &StartError::Taken {
                name: "agents",
                address: ([0, 0, 0, 0], 8444).into(),
            },
            Path::new("/lab"),
        )
        .page();
        assert!(page.contains("端口 0.0.0.0:8444（agents）已被另一个程序占用"));
        assert!(page.contains("0.0.0.0:8444 (for agents) is taken by another program"));
    }
}
