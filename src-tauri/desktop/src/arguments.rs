//! The window's command line, its deep links, and where its data lies.

use clap::Parser;
use edgedeck_gateway::Options;
use std::{
    ffi::OsString,
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tauri::Url;

/// Longest deep link that is followed, in bytes.
const MAX_LINK: usize = 2048;

/// EdgeDeck's window · EdgeDeck 窗口
///
/// `serve`, `lab`, `doctor`, `backup`, `restore` and `reset-password` as the first word are handed on to edgedeckd.
#[derive(Parser, Clone)]
#[command(name = "edgedeck", version)]
pub struct Arguments {
    /// Data folder · 数据目录
    #[arg(long, env = "EDGEDECK_DATA", default_value_os_t = Options::default_data_dir())]
    data: PathBuf,
    /// Where browsers reach the console too; nowhere unless told · 供浏览器访问的控制台地址
    #[arg(long)]
    console: Option<SocketAddr>,
    /// Where agents join and link · 代理接入地址
    #[arg(long, default_value = "0.0.0.0:8444")]
    agents: SocketAddr,
    /// Where MEF Center's API is served · MEF 接口地址
    #[arg(long, default_value = "0.0.0.0:30035")]
    mef: SocketAddr,
    /// Where the cloud APIs and their identity service are served · 云接口与身份服务地址
    #[arg(long, default_value = "0.0.0.0:8445")]
    cloud: SocketAddr,
    /// Where Tingyu's API is served; requests from other machines need an API token · Tingyu 接口地址；其他机器的请求需要接口令牌
    #[arg(long, default_value = "127.0.0.1:8446")]
    tingyu: SocketAddr,
    /// Where the image registry is served · 镜像仓库地址
    #[arg(long, default_value = "0.0.0.0:5443")]
    registry: SocketAddr,
    /// Folder of the agent programs · 代理程序目录
    #[arg(long, env = "EDGEDECK_AGENTS")]
    agent_files: Option<PathBuf>,
    /// Page to open, for example edgedeck://nodes · 要打开的页面
    link: Option<String>,
}

/// Reads the command line; prints the help, the version or what is wrong with it, and exits, where that is asked for.
pub fn parse(command_line: impl Iterator<Item = OsString>) -> Arguments {
    Arguments::parse_from(command_line)
}

impl Arguments {
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// How the engine is to be started.
    pub fn options(&self) -> Options {
        Options {
            console: self.console,
            agents: Some(self.agents),
            mef: Some(self.mef),
            cloud: Some(self.cloud),
            tingyu: Some(self.tingyu),
            registry: Some(self.registry),
            agent_files: self.agent_files.clone(),
            ..Options::new(self.data.clone())
        }
    }

    /// The console's page that the deep link names, if it names one.
    pub fn page(&self) -> Option<Url> {
        self.link.as_deref().and_then(page_of_link)
    }
}

/// The page that another start's command line asks for.
pub fn page_of(command_line: &[String]) -> Option<Url> {
    Arguments::try_parse_from(command_line).ok()?.page()
}

/// `edgedeck://nodes/n1?tab=npu` is the page `/nodes/n1?tab=npu`. Any web page can hold such a link, so it can only
/// name a page of the console: nothing under `/api`, no other host, no user name or port.
fn page_of_link(link: &str) -> Option<Url> {
    if link.len() > MAX_LINK {
        return None;
    }
    let link = Url::parse(link).ok()?;
    if link.scheme() != "edgedeck" || !link.username().is_empty() || link.password().is_some() || link.port().is_some()
    {
        return None;
    }
    let mut page = crate::page::home();
    let path = format!("{}{}", link.host_str().unwrap_or(""), link.path());
    page.set_path(path.trim_start_matches('/'));
    page.set_query(link.query());
    // `set_path` has resolved dots by now, so this sees the path that would be asked for.
    let first = page
        .path()
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or("")
        .to_ascii_lowercase();
    (first != "api" && !first.contains('%')).then_some(page)
}

/// The session bus's name for the window on this data folder. Two folders are two labs, and may be open side by side.
pub fn bus_name(data: &Path) -> String {
    // Only windows of one build need to agree: across builds the lock on the data folder keeps them apart.
    let mut hasher = DefaultHasher::new();
    data.canonicalize()
        .unwrap_or_else(|_| data.to_owned())
        .hash(&mut hasher);
    format!("org.edgedeck.desktop.lab{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(link: &str) -> Option<String> {
        page_of_link(link).map(|url| url.to_string())
    }

    #[test]
    fn a_link_names_a_page() {
        assert_eq!(
            page("edgedeck://nodes/n1?tab=npu").unwrap(),
            "edgedeck-ui://localhost/nodes/n1?tab=npu"
        );
        assert_eq!(page("edgedeck://nodes").unwrap(), "edgedeck-ui://localhost/nodes");
        assert_eq!(page("edgedeck:///alarms").unwrap(), "edgedeck-ui://localhost/alarms");
    }

    #[test]
    fn a_link_reaches_nothing_but_pages() {
        for link in [
            "edgedeck://api/nodes",
            "edgedeck://API/nodes",
            "edgedeck:///api/nodes",
            "edgedeck:////api/nodes",
            "edgedeck://%61pi/nodes",
            "edgedeck:///%61pi/nodes",
            "edgedeck://user@nodes/",
            "edgedeck://nodes:80/",
            "https://example.org/nodes",
            "javascript:alert(1)",
            "not a link",
        ] {
            assert_eq!(page(link), None, "{link}");
        }
        assert_eq!(page(&format!("edgedeck://nodes/{}", "x".repeat(MAX_LINK))), None);
        // Dots lead no higher than the link's first word.
        for link in ["edgedeck://nodes/../api/x", "edgedeck://nodes/%2e%2e/%2e%2e/api/x"] {
            assert_eq!(page(link).unwrap(), "edgedeck-ui://localhost/nodes/api/x", "{link}");
        }
    }

    #[test]
    fn a_second_start_hands_on_its_link() {
        let command_line = ["edgedeck", "--data", "/x", "edgedeck://jobs"].map(String::from);
        assert_eq!(page_of(&command_line).unwrap().path(), "/jobs");
        assert_eq!(page_of(&["edgedeck".to_owned(), "--wrong".to_owned()]), None);
    }

    #[test]
    fn two_folders_are_two_windows() {
        assert_ne!(bus_name(Path::new("/a")), bus_name(Path::new("/b")));
        assert_eq!(bus_name(Path::new("/a")), bus_name(Path::new("/a")));
    }
}
