//! The words of `edgedeck-agent`, and what they print.

use crate::{
    home::{Home, HomeError, State},
    identity::{self, Trust},
    join::{self, JoinError},
    leave, runtime, serial, service,
    session::{self, Ending, Options},
    software::{self, Kept},
    sources::Sources,
    status::Status,
    switch::{self, Next},
};
use clap::{Parser, Subcommand};
use edgedeck_model::{Lang, Time, deployment::InstanceState, text};
use edgedeck_protocol::JoinRequest;
use std::{path::PathBuf, process::ExitCode};
use tokio::signal::unix::{SignalKind, signal};

/// EdgeDeck node agent · EdgeDeck 节点代理
#[derive(Debug, Parser)]
#[command(name = "edgedeck-agent", version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub word: Word,
}

#[derive(Debug, Subcommand)]
pub enum Word {
    /// Join a lab, with the command that its console shows · 加入实验室
    Join {
        /// The engine: https://host:8444
        address: String,
        #[arg(long)]
        token: String,
        /// SHA-256 of the lab's CA certificate, in hex
        #[arg(long)]
        ca_hash: String,
        /// Serial number of this node instead of the board's · 指定序列号
        #[arg(long)]
        serial: Option<String>,
        #[arg(long)]
        state: Option<PathBuf>,
        /// Do not install a systemd unit · 不安装 systemd 服务
        #[arg(long)]
        no_service: bool,
    },
    /// Run the agent · 运行代理
    Run {
        #[arg(long)]
        state: Option<PathBuf>,
        /// Socket of the container engine (unix://…); else DOCKER_HOST, else the usual places · 容器引擎地址
        #[arg(long)]
        docker: Option<String>,
    },
    /// Leave the lab and remove every trace · 退出实验室并清除全部内容
    Leave {
        #[arg(long)]
        state: Option<PathBuf>,
        #[arg(long)]
        docker: Option<String>,
    },
    /// Tell how the agent is doing · 查看状态
    Status {
        #[arg(long)]
        state: Option<PathBuf>,
        #[arg(long)]
        json: bool,
    },
    /// Supervises one process; used by the agent itself.
    #[command(hide = true)]
    Supervise { folder: PathBuf },
}

/// The language of the environment.
pub fn lang() -> Lang {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|name| {
        let value = std::env::var(name).ok()?;
        (!value.is_empty()).then_some(value)
    });
    if set.is_some_and(|value| value.to_ascii_lowercase().starts_with("zh")) {
        Lang::Zh
    } else {
        Lang::En
    }
}

fn home(state: Option<PathBuf>) -> Home {
    Home::new(state.unwrap_or_else(Home::default_path))
}

/// Does what was asked and tells how it went.
pub async fn run(cli: Cli) -> ExitCode {
    let lang = lang();
    let outcome = match cli.word {
        Word::Join {
            address,
            token,
            ca_hash,
            serial,
            state,
            no_service,
        } => {
            let asked = Joining {
                address,
                token,
                ca_hash,
                serial,
                no_service,
            };
            join(asked, &home(state), lang).await
        }
        Word::Run { state, docker } => run_agent(home(state), docker, lang).await,
        Word::Leave { state, docker } => leave_lab(home(state), docker, lang).await,
        Word::Status { state, json } => return status(&home(state), json, lang),
        Word::Supervise { folder } => {
            return match runtime::supervise::run(&folder).await {
                Ok(()) => ExitCode::SUCCESS,
                // It was said on standard output already.
                Err(_) => ExitCode::FAILURE,
            };
        }
    };
    match outcome {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

struct Joining {
    address: String,
    token: String,
    ca_hash: String,
    serial: Option<String>,
    no_service: bool,
}

async fn join(asked: Joining, home: &Home, lang: Lang) -> Result<String, String> {
    let path = home.path().display().to_string();
    if home.is_joined() {
        return Err(lang.pick(
            format!("本机已加入实验室（{path}）。要加入另一个实验室，请先运行 edgedeck-agent leave。"),
            format!(
                "This machine has joined a lab already ({path}). To join another one, run edgedeck-agent leave first."
            ),
        ));
    }
    let sources = Sources::default();
    let serial = serial::serial(&sources, asked.serial.as_deref()).ok_or_else(|| {
        lang.pick(
            "找不到本机的序列号，请用 --serial 指定一个。".to_owned(),
            "This machine has no serial number. Name one with --serial.".to_owned(),
        )
    })?;
    let said = |error: JoinError| error.text(lang);
    let ca_pem = join::fetch_ca(&asked.address, &asked.ca_hash).await.map_err(said)?;
    let state = take_part(&asked, home, &ca_pem, &sources, serial.clone())
        .await
        .map_err(|error| match error {
            Failure::Join(error) => error.text(lang),
            Failure::Home(error) => disk(&error, lang),
        })?;
    let mut text = lang.pick(
        format!("已加入：节点 {}（序列号 {serial}），状态目录 {path}。", state.node),
        format!("Joined: node {} (serial number {serial}), state in {path}.", state.node),
    );
    text.push('\n');
    text.push_str(&serve(home, asked.no_service, lang));
    text.push('\n');
    text.push_str(lang.pick(
        "下一步：在控制台的“节点”中纳管它。",
        "Next: put it to work under “Nodes” in the console.",
    ));
    Ok(text)
}

enum Failure {
    Join(JoinError),
    Home(HomeError),
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        Self::Join(error)
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        Self::Home(error)
    }
}

impl From<identity::IdentityError> for Failure {
    fn from(error: identity::IdentityError) -> Self {
        Self::Join(error.into())
    }
}

async fn take_part(
    asked: &Joining,
    home: &Home,
    ca_pem: &str,
    sources: &Sources,
    serial: String,
) -> Result<State, Failure> {
    let trust = Trust::new(ca_pem)?;
    home.create()?;
    let _lock = home.lock()?;
    // Stored before the engine knows it, and used again after a join that broke off: the engine lets the same key join
    // once more, and would refuse the serial number to another.
    let key_pem = match home.key_pem() {
        Ok(key_pem) => key_pem,
        Err(_) => {
            let key_pem = identity::new_key()?;
            home.store_key(&key_pem)?;
            key_pem
        }
    };
    let request = JoinRequest {
        token: asked.token.clone(),
        csr_pem: identity::request(&key_pem, &serial)?,
        serial: serial.clone(),
        host_name: sources
            .value("proc/sys/kernel/hostname")
            .unwrap_or_else(|| serial.clone()),
        arch: std::env::consts::ARCH.to_owned(),
        agent_version: crate::version().to_owned(),
    };
    let client = join::client(trust.anonymous()?)?;
    let reply = join::join(&client, &asked.address, &request).await?;
    let mut addresses = vec![join::host_and_port(&asked.address)?];
    addresses.extend(
        reply
            .addresses
            .into_iter()
            .filter(|address| !asked.address.ends_with(address.as_str())),
    );
    home.store_certificate(&reply.certificate_pem)?;
    if let Some(key) = &reply.software_key {
        software::store_key(home, key)?;
    }
    // The one that was checked by its hash, not the one that came with the answer.
    home.store_ca(ca_pem)?;
    let state = State {
        node: reply.node,
        serial,
        addresses,
        joined_at: crate::now(),
    };
    // Last: with this file the join has happened.
    home.store_state(&state)?;
    Ok(state)
}

/// Makes the agent run from now on, and says how.
fn serve(home: &Home, no_service: bool, lang: Lang) -> String {
    let by_hand = |why: String| {
        let state = home.path().display();
        lang.pick(
            format!("{why}请运行：edgedeck-agent run --state {state}"),
            format!("{why}Run: edgedeck-agent run --state {state}"),
        )
    };
    if no_service || !service::is_possible() {
        return by_hand(String::new());
    }
    let installed = std::env::current_exe().and_then(|program| service::install(&program, home.path()));
    match installed {
        Ok(()) => {
            let unit = service::UNIT;
            lang.pick(
                format!("已安装并启动 systemd 服务 {unit}。"),
                format!("The systemd service {unit} is installed and runs."),
            )
        }
        Err(error) => by_hand(lang.pick(
            format!("无法安装 systemd 服务：{error}。"),
            format!("The systemd service could not be installed: {error}. "),
        )),
    }
}

fn disk(error: &HomeError, lang: Lang) -> String {
    let detail = crate::chain(error);
    match error {
        HomeError::InUse { pid, .. } => lang.pick(
            format!("已有代理在使用该目录（进程 {pid}）。请先停止它，或用 --state 指定另一个目录。"),
            format!("An agent uses that folder already (process {pid}). Stop it first, or name another folder with --state."),
        ),
        _ => lang.pick(
            format!("无法读写状态目录：{detail}。请检查权限和磁盘空间，或用 --state 指定另一个目录。"),
            format!("The state folder cannot be used: {detail}. Check permissions and space, or name another folder with --state."),
        ),
    }
}

fn not_joined(home: &Home, lang: Lang) -> String {
    leave::LeaveError::NotJoined(home.path().display().to_string()).text(lang)
}

async fn run_agent(home: Home, docker: Option<String>, lang: Lang) -> Result<String, String> {
    if !home.is_joined() {
        return Err(not_joined(&home, lang));
    }
    let said = |error: session::AgentError| match &error {
        session::AgentError::Home(error) => disk(error, lang),
        other => crate::chain(other),
    };
    let options = Options::of_machine(home, docker).map_err(said)?;
    let stop = async {
        let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            // Without handlers the signals end the process themselves.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(stop);
    let ended = if options.on_trial {
        let kept = Kept::load(&options.home).map_err(|error| disk(&error, lang))?;
        session::run(options.clone(), kept, stop).await.map_err(said)?
    } else {
        // Held to the end of this process.
        let _versions = options.home.lock_versions().map_err(|error| disk(&error, lang))?;
        let next = switch::go_on(&options, stop.as_mut()).await;
        match next.map_err(|error| disk(&error, lang))? {
            Next::Run(kept) => session::run(options.clone(), *kept, stop).await.map_err(said)?,
            Next::Restart => Ending::Switching,
            Next::Removed => Ending::Removed,
            Next::Stopped => Ending::Stopped,
        }
    };
    match ended {
        // Another program, or this one anew to try another: with nothing left of what ran here.
        Ending::Switching => {
            let error = switch::restart(&options.program);
            Err(lang.pick(
                format!("无法重新启动代理：{error}"),
                format!("The agent could not start itself anew: {error}"),
            ))
        }
        Ending::Stopped => Ok(lang.pick(
            "代理已停止；工作负载继续运行。".to_owned(),
            "The agent has stopped; workloads run on.".to_owned(),
        )),
        Ending::Removed => Ok(lang.pick(
            "该节点已从实验室移除，本机上的内容已全部清除。".to_owned(),
            "This node was taken out of the lab; everything on this machine was removed.".to_owned(),
        )),
    }
}

async fn leave_lab(home: Home, docker: Option<String>, lang: Lang) -> Result<String, String> {
    let options = Options::of_machine(home, docker).map_err(|error| crate::chain(&error))?;
    let left = leave::leave(&options).await.map_err(|error| error.text(lang))?;
    let done = lang.pick(
        "已退出实验室：工作负载、服务和状态目录均已清除。",
        "Left the lab: workloads, service and state are removed.",
    );
    match left.untold {
        None => Ok(done.to_owned()),
        Some(error) => {
            let why = error.text(lang);
            Ok(lang.pick(
                format!("{done}\n未能通知引擎：{why}\n请在控制台中移除该节点。"),
                format!("{done}\nThe engine could not be told: {why}\nRemove the node in the console."),
            ))
        }
    }
}

fn status(home: &Home, json: bool, lang: Lang) -> ExitCode {
    let state = match home.state() {
        Ok(state) => state,
        Err(HomeError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("{}", not_joined(home, lang));
            return ExitCode::FAILURE;
        }
        Err(error) => {
            eprintln!("{}", disk(&error, lang));
            return ExitCode::FAILURE;
        }
    };
    let running = match home.lock() {
        Err(HomeError::InUse { pid, .. }) => Some(pid),
        _ => None,
    };
    let status = Status::load(home).unwrap_or_default();
    let ends = home
        .identity()
        .ok()
        .and_then(|identity| identity::validity(&identity.certificate_pem).ok())
        .map(|life| life.1);
    if json {
        let ca_hash = home.ca_pem().ok().and_then(|pem| identity::certificate_hash(&pem).ok());
        let value = serde_json::json!({
            "node": state.node, "serial": state.serial, "addresses": state.addresses, "ca_hash": ca_hash,
            "joined_at": state.joined_at, "certificate_ends": ends, "running": running, "status": status,
        });
        println!("{value:#}");
    } else {
        print!("{}", status_text(&state, running, &status, ends, lang));
    }
    if running.is_some() && status.connected_to.is_some() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(3)
    }
}

fn status_text(state: &State, running: Option<u32>, status: &Status, ends: Option<Time>, lang: Lang) -> String {
    let line =
        |zh: &str, en: &str, value: String| format!("{}{value}\n", lang.pick(format!("{zh}："), format!("{en}: ")));
    let mut text = line("节点", "Node", state.node.to_string());
    text += &line("序列号", "Serial number", state.serial.clone());
    text += &line("引擎", "Engine", state.addresses.join(", "));
    if let Some(at) = ends.and_then(|at| jiff::Timestamp::from_millisecond(at.0).ok()) {
        text += &line("证书到期", "Certificate ends", at.strftime("%Y-%m-%d").to_string());
    }
    let Some(pid) = running else {
        return text + lang.pick("代理没有运行。\n", "The agent does not run.\n");
    };
    text += &line("代理进程", "Agent process", pid.to_string());
    let link = match (&status.connected_to, &status.problem) {
        (Some(address), _) => lang.pick(format!("已连接 {address}"), format!("up, to {address}")),
        (None, Some(problem)) => lang.pick(format!("未连接：{problem}"), format!("down: {problem}")),
        (None, None) => lang.pick("正在连接".to_owned(), "connecting".to_owned()),
    };
    text += &line("连接", "Link", link);
    if status.managed == Some(false) {
        text += lang.pick(
            "尚未纳管：请在控制台纳管该节点。\n",
            "Not managed yet: put it to work in the console.\n",
        );
    }
    for instance in status.instances.iter().filter(|instance| !instance.removed) {
        let state = InstanceState::of_parts(&instance.parts);
        let id = instance.placement.to_string();
        text += &line(
            "实例",
            "Instance",
            format!("{id} {}", text::instance_state(state, lang)),
        );
        for part in instance.parts.iter().filter_map(|part| text::part_sentence(part, lang)) {
            text += &format!("  {part}\n");
        }
    }
    text
}
