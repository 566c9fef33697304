//! `edgedeckd`: the engine without the window, and its tools.

mod care;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use edgedeck_gateway::{Options, start};
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// EdgeDeck without the window · 无窗口的 EdgeDeck
#[derive(Parser)]
#[command(version, about)]
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
    /// Write a copy of the database · 备份数据库
    Backup {
        #[command(flatten)]
        data: Data,
        /// File to write · 目标文件
        to: PathBuf,
    },
    /// Put a copy in place of the database; the engine must not run · 恢复数据库
    Restore {
        #[command(flatten)]
        data: Data,
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
    /// Folder of the agent programs · 代理程序目录
    #[arg(long, env = "EDGEDECK_AGENTS")]
    agent_files: Option<PathBuf>,
}

#[derive(Args)]
struct Lab {
    /// Address that agents join at · 引擎的代理接入地址
    #[arg(long, default_value = "https://127.0.0.1:8444")]
    engine: String,
    /// A join token of the lab; read from the data folder's engine where absent is not possible · 加入令牌
    #[arg(long)]
    token: String,
    /// SHA-256 of the lab's CA certificate · CA 指纹
    #[arg(long)]
    ca_hash: String,
    #[arg(long, default_value_t = 100)]
    nodes: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
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
            Command::Backup { data, to } => care::backup(&data.data, &to),
            Command::Restore { data, from } => care::restore(&data.data, &from),
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
        ..Options::new(options.data.data)
    })
    .await?;
    let password = running.engine.first_user().await?;
    for (name, address) in &running.listeners {
        println!("{name}: https://{address}");
    }
    println!("CA: sha256 {}", running.engine.pki.ca_hash());
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
    let lab = edgedeck_lab::LabOptions {
        engine: options.engine,
        token: options.token,
        ca_hash: options.ca_hash,
        nodes: options.nodes,
        seed: options.seed,
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
