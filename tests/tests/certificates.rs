//! Whom the northbound interface lets in: what the console imports and revokes holds at once, for open connections too.

use anyhow::{Context, Result, ensure};
use edgedeck_tests::{authority::Authority, client::use_ring, curl::Curl, programs::Edgedeckd, wait::until, web::Web};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const VERSION: &str = "/edgemanager/v1/version";

/// An open connection with a client certificate, over which one call was made.
async fn open(at: SocketAddr, ca: &str, certificate: &str, key: &str) -> Result<TlsStream<TcpStream>> {
    use_ring();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes())?],
            PrivateKeyDer::from_pem_slice(key.as_bytes())?,
        )?;
    let stream = TcpStream::connect(at).await?;
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost")?, stream)
        .await?;
    stream
        .write_all(format!("GET {VERSION} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
        .await?;
    let mut answer = [0; 4_096];
    let read = stream.read(&mut answer).await?;
    ensure!(
        answer[..read].starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer[..read])
    );
    Ok(stream)
}

/// Waits until the other end has cut a connection.
async fn cut(mut stream: TlsStream<TcpStream>) -> Result<Duration> {
    let asked = Instant::now();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut [0; 64])).await;
    ensure!(
        !matches!(ended.context("the connection stays open")?, Ok(1..)),
        "something was sent"
    );
    Ok(asked.elapsed())
}

async fn import(web: &Web, button: &str, pem: &str) -> Result<()> {
    web.click(&format!("[data-test=authority-clients] [data-test={button}]"))
        .await?;
    web.fill("[data-test=pem]", pem).await?;
    web.click("[data-test=save-pem]").await?;
    web.is_gone("[data-test=pem]").await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_console_imports_and_revokes_holds_at_once() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    let mef = *engine.listeners.get("mef").context("a MEF listener")?;
    let address = engine.listeners.get("console").context("a console")?;
    let web = Web::chromium(&format!("https://{address}/certificates"), (1280, 800), "en").await?;
    web.fill("[data-test=name]", "admin").await?;
    web.fill("[data-test=password]", &engine.password).await?;
    web.click("[data-test=submit]").await?;

    // A program that has a certificate of the lab.
    let body = edgedeck_model::api::NewClientCertificateBody {
        name: "script".to_owned(),
    };
    let own = console
        .call::<edgedeck_model::api::CreateClientCertificate>((), (), body)
        .await?;
    let of_lab = open(mef, &own.ca_pem, &own.certificate_pem, &own.key_pem).await?;

    // An integrator with an authority of its own is a stranger until that is imported.
    let outside = Authority::root("integrator")?;
    let client = outside.client("partner", 77)?;
    let curl = Curl::new(format!("https://{mef}"), &own.ca_pem, &client, &client)?;
    ensure!(curl.call(&[], VERSION).is_err(), "a stranger was served");
    web.find("[data-test=authority-clients]").await?;
    import(&web, "import", &outside.pem).await?;
    web.shows("[data-test=authority-clients]", "CN=integrator").await?;
    ensure!(curl.call(&[], VERSION)?["status"] == "00000000");
    let of_partner = open(mef, &own.ca_pem, &client, &client).await?;

    // What is wrong is said in the form, and changes nothing.
    web.click("[data-test=authority-clients] [data-test=import-list]")
        .await?;
    web.fill("[data-test=pem]", &Authority::root("integrator")?.crl(&[77])?)
        .await?;
    web.click("[data-test=save-pem]").await?;
    web.shows("dialog[open]", "one list of every certificate of the chain")
        .await?;
    ensure!(curl.call(&[], VERSION)?["status"] == "00000000");
    web.fill("[data-test=pem]", &outside.crl(&[77])?).await?;
    web.click("[data-test=save-pem]").await?;
    let after = cut(of_partner).await?;
    println!(
        "the connection was cut {} ms after the list was sent",
        after.as_millis()
    );
    ensure!(after < Duration::from_secs(1), "cut after {after:?}");
    ensure!(curl.call(&[], VERSION).is_err(), "a revoked client was served");
    web.shows("[data-test=authority-clients]", "1 certificate revoked")
        .await?;

    // The lab's own certificates are revoked one by one.
    web.client.refresh().await?;
    web.shows("[data-test=certificates-row]", "script").await?;
    web.click("[data-test=revoke-certificate]").await?;
    web.click("[data-test=confirm-yes]").await?;
    let after = cut(of_lab).await?;
    ensure!(after < Duration::from_secs(1), "cut after {after:?}");
    web.shows("[data-test=certificates-row]", "Revoked").await?;
    ensure!(
        open(mef, &own.ca_pem, &own.certificate_pem, &own.key_pem)
            .await
            .is_err(),
        "served after it was revoked"
    );
    until("refusals in the audit", Duration::from_secs(10), async || {
        let query = edgedeck_model::api::PageQuery {
            filter: "certificate.show".to_owned(),
            ..Default::default()
        };
        let found = console.call::<edgedeck_model::api::ListAudit>((), query, ()).await?;
        Ok((found.total > 0).then_some(()))
    })
    .await?;
    web.close().await
}
