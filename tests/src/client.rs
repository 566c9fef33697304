//! The console API as a client uses it, through the declarations of the model.

use anyhow::{Context, Result, bail};
use edgedeck_model::{
    Problem,
    api::{CSRF_HEADER, Endpoint, Method, PathArgs, SignInBody},
    user::Me,
};
use reqwest::{RequestBuilder, header};
use std::net::SocketAddr;

/// A client of one console.
#[derive(Clone)]
pub struct Console {
    pub base: String,
    pub http: reqwest::Client,
    csrf: String,
    token: Option<String>,
    cookie: Option<String>,
}

/// Makes ring the provider of TLS in this process; once is enough, more do no harm.
pub fn use_ring() {
    // Somebody else in the process has done it already.
    let _already = rustls::crypto::ring::default_provider().install_default();
}

impl Console {
    /// A client that has not signed in.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(address: SocketAddr) -> Result<Self> {
        use_ring();
        // The console's certificate is the lab's own; agents and the dialects' tests check theirs against its CA.
        let http = reqwest::Client::builder().danger_accept_invalid_certs(true).build()?;
        Ok(Self {
            base: format!("https://{address}"),
            http,
            csrf: String::new(),
            token: None,
            cookie: None,
        })
    }

    /// # Errors
    /// When the console refuses.
    pub async fn sign_in(&mut self, name: &str, password: &str) -> Result<Me> {
        let body = SignInBody {
            name: name.to_owned(),
            password: password.to_owned(),
        };
        let response = self
            .http
            .post(format!("{}/api/session", self.base))
            .json(&body)
            .send()
            .await?;
        let cookie = response
            .headers()
            .get(header::SET_COOKIE)
            .and_then(|cookie| cookie.to_str().ok());
        self.cookie = cookie
            .and_then(|cookie| cookie.split(';').next())
            .map(ToOwned::to_owned);
        let text = response.text().await?;
        let me: Me = serde_json::from_str(&text).with_context(|| text.clone())?;
        self.csrf.clone_from(&me.csrf);
        Ok(me)
    }

    /// The same client with an API token instead of a session.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            cookie: None,
            csrf: String::new(),
            ..self.clone()
        }
    }

    /// A request with this client's credentials.
    pub fn request(&self, method: reqwest::Method, path: &str) -> RequestBuilder {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .header(CSRF_HEADER, &self.csrf);
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request
    }

    /// Calls an endpoint; a refusal is the inner error.
    ///
    /// # Errors
    /// When there is no answer, or one of another form.
    pub async fn try_call<E: Endpoint>(
        &self,
        args: E::Args,
        query: E::Query,
        body: E::Body,
    ) -> Result<Result<E::Reply, Problem>> {
        let method = match E::METHOD {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut request = self.request(method, &args.fill(E::PATH)).query(&query);
        if E::METHOD != Method::Get {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        if status.is_success() {
            return Ok(Ok(
                serde_json::from_str(&text).with_context(|| format!("{}: {text}", E::NAME))?
            ));
        }
        Ok(Err(
            serde_json::from_str(&text).with_context(|| format!("{}: {status} {text}", E::NAME))?
        ))
    }

    /// Calls an endpoint that must not refuse.
    ///
    /// # Errors
    /// Any refusal.
    pub async fn call<E: Endpoint>(&self, args: E::Args, query: E::Query, body: E::Body) -> Result<E::Reply> {
        match self.try_call::<E>(args, query, body).await? {
            Ok(reply) => Ok(reply),
            Err(problem) => bail!("{}: {problem}", E::NAME),
        }
    }
}
