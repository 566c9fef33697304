//! `edgedeckd`: the engine without the window, and its tools.

mod care;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use edgedeck_gateway::{Options, local, start};
use edgedeck_lab::Tokens;
use edgedeck_model::{
    Lang,
    api::{self, NewJoinTokenBody},
    join::JoinTokenKind,
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

/// EdgeDeck without the window · 无窗口的 EdgeDeck
#[derive(Parser)]
#[command(name = "edgedeckd", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the lab and serve its console · 运行并提供控制台
    Serve(Serve),
    /// Join a simulated fleet, to learn and to measure · 加入一批模拟节点
    Lab(Lab),
    /// Check this engine's data folder · 检查数据目录
    Doctor(Data),
    /// Write a backup; the engine may run meanwhile · 备份
    Backup {
        #[command(flatten)]
        data: Data,
        #[command(flatten)]
        passphrase: Passphrase,
        /// File to write · 目标文件
        to: PathBuf,
    },
    /// Put a backup in place of the data; the engine must not run · 恢复备份
    Restore {
        #[command(flatten)]
        data: Data,
        #[command(flatten)]
        passphrase: Passphrase,
        /// File to read · 备份文件
        from: PathBuf,
    },
    /// Give a user a new password; the engine must not run · 重置密码
    ResetPassword {
        #[command(flatten)]
        data: Data,
        #[arg(default_value = "admin")]
        user: String,
    },
}

#[derive(Args)]
struct Data {
    /// Data folder · 数据目录
    #[arg(long, env = "EDGEDECK_DATA", default_value_os_t = Options::default_data_dir())]
    data: PathBuf,
}

#[derive(Args)]
struct Passphrase {
    /// File that holds the backup's passphrase; EDGEDECK_PASSPHRASE or a prompt where absent · 口令文件
    #[arg(long)]
    passphrase_file: Option<PathBuf>,
}

impl Passphrase {
    fn read(&self, twice: bool) -> Result<String> {
        care::passphrase(self.passphrase_file.as_deref(), twice)
    }
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    data: Data,
    /// Where the console listens · 控制台地址
    #[arg(long, default_value = "0.0.0.0:8443")]
    console: SocketAddr,
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
}

#[derive(Args)]
struct Lab {
    #[command(flatten)]
    data: Data,
    /// Address that agents join at; the engine of the data folder where absent · 引擎的代理接入地址
    #[arg(long, requires_all = ["token", "ca_hash"])]
    engine: Option<String>,
    /// A join token of the lab · 加入令牌
    #[arg(long, requires = "engine")]
    token: Option<String>,
    /// SHA-256 of the lab's CA certificate · CA 指纹
    #[arg(long, requires = "engine")]
    ca_hash: Option<String>,
    #[arg(long, default_value_t = 100)]
    nodes: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Without faults: no node goes offline, gets hot or fills up · 不模拟故障
    #[arg(long)]
    steady: bool,
}

fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("EDGEDECK_LOG").unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .init();
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve(options) => serve(options).await,
            Command::Lab(options) => lab(options).await,
            Command::Doctor(data) => care::doctor(&data.data),
            Command::Backup { data, passphrase, to } => care::backup(&data.data, &to, &passphrase.read(true)?),
            Command::Restore { data, passphrase, from } => care::restore(&data.data, &from, &passphrase.read(false)?),
            Command::ResetPassword { data, user } => care::reset_password(&data.data, &user).await,
        }
    })
}

async fn serve(options: Serve) -> Result<()> {
    let running = start(Options {
        agent_files: options.agent_files,
        console: Some(options.console),
        agents: Some(options.agents),
        mef: Some(options.mef),
        cloud: Some(options.cloud),
        tingyu: Some(options.tingyu),
        registry: Some(options.registry),
        ..Options::new(options.data.data)
    })
    .await?;
    let password = running.engine.first_user().await?;
    for (name, address) in &running.listeners {
        println!("{name}: https://{address}");
    }
    println!("CA: sha256 {}", running.engine.pki.present().current.hash);
    if let Some(password) = password {
        println!();
        println!("First run. Sign in as  admin  with the password  {password}  and change it.");
        println!("首次运行。请用用户名  admin  和密码  {password}  登录并修改密码。");
    }
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = tokio::signal::ctrl_c() => ended?,
        _ = terminate.recv() => {}
    }
    // A second signal, or a request that will not end, must not keep the engine from closing.
    if tokio::time::timeout(Duration::from_secs(20), running.stop())
        .await
        .is_err()
    {
        bail!("the engine did not close in time; what was acknowledged is safe");
    }
    Ok(())
}

async fn lab(options: Lab) -> Result<()> {
    let (engine, ca_hash, tokens) = match (options.engine, options.ca_hash, options.token) {
        (Some(engine), Some(ca_hash), Some(token)) => (engine, ca_hash, Tokens::Shared(token)),
        _ => local_engine(options.data.data).await?,
    };
    let lab = edgedeck_lab::LabOptions {
        engine,
        tokens,
        ca_hash,
        nodes: options.nodes,
        seed: options.seed,
        faults: !options.steady,
        ..edgedeck_lab::LabOptions::default()
    };
    let (stop, stopped) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.send_replace(true);
        }
    });
    edgedeck_lab::run(lab, stopped).await
}

/// The engine that runs on a data folder: where agents join, the CA's hash, and tokens as they are needed.
async fn local_engine(data: PathBuf) -> Result<(String, String, Tokens)> {
    let status = local::call::<api::GetStatus>(&data, ()).await.map_err(|problem| {
        let folder = data.display();
        anyhow::anyhow!(
            "no EdgeDeck runs on {folder} ({}). Start it first, or name another with --engine, --token and --ca-hash.\n\
             {folder} 上没有运行中的 EdgeDeck。请先启动，或用 --engine、--token 和 --ca-hash 指定另一个引擎。",
            problem.detail.as_deref().unwrap_or(problem.text(Lang::En).as_str())
        )
    })?;
    let agents = status
        .listeners
        .get("agents")
        .and_then(|address| address.parse::<SocketAddr>().ok())
        .context("this engine listens for no agents")?;
    let ask = move || -> edgedeck_lab::Asking {
        let data = data.clone();
        let kind = JoinTokenKind::Single;
        Box::pin(async move {
            let made = local::call::<api::CreateJoinToken>(&data, NewJoinTokenBody { kind }).await?;
            Ok(made.secret)
        })
    };
    let host = if agents.ip().is_unspecified() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        agents.ip()
    };
    let engine = format!("https://{}", SocketAddr::new(host, agents.port()));
    Ok((engine, status.ca_hash, Tokens::Asked(Arc::new(ask))))
}
