//! Calls to the engine: the endpoints that `model::api` declares, by relative address, in window and browser alike.

use crate::{
    i18n::Text,
    state::{Session, ui},
};
use edgedeck_model::{
    Code, Lang, Problem,
    api::{CSRF_HEADER, Endpoint, Method, PathArgs},
};
use gloo_net::http::{Method as HttpMethod, RequestBuilder, Response};
use leptos::prelude::*;
use serde::de::DeserializeOwned;

/// Calls an endpoint.
///
/// # Errors
/// What the engine refused, or that it cannot be reached. [`Code::Unauthenticated`] also shows the sign-in.
pub async fn call<E: Endpoint>(args: E::Args, query: &E::Query, body: &E::Body) -> Result<E::Reply, Problem> {
    let query = serde_urlencoded::to_string(query).map_err(Problem::internal)?;
    let path = args.fill(E::PATH);
    let address = if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    };
    let method = match E::METHOD {
        Method::Get => HttpMethod::GET,
        Method::Post => HttpMethod::POST,
        Method::Put => HttpMethod::PUT,
        Method::Delete => HttpMethod::DELETE,
    };
    let mut request = RequestBuilder::new(&address)
        .method(method)
        .cache(web_sys::RequestCache::NoStore);
    if E::METHOD != Method::Get {
        let csrf = ui().me.with_untracked(|me| me.as_ref().map(|me| me.csrf.clone()));
        if let Some(csrf) = csrf.filter(|csrf| !csrf.is_empty()) {
            request = request.header(CSRF_HEADER, &csrf);
        }
    }
    let body = serde_json::to_string(body).map_err(Problem::internal)?;
    let request = if E::METHOD == Method::Get || body == "null" {
        request.build()
    } else {
        request.header("content-type", "application/json").body(body)
    };
    let response = request.map_err(Problem::internal)?.send().await.map_err(unreachable)?;
    read(response).await
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T, Problem> {
    let (status, good) = (response.status(), response.ok());
    let text = response.text().await.map_err(unreachable)?;
    if good {
        let json = if text.is_empty() { "null" } else { &text };
        return serde_json::from_str(json).map_err(|error| Problem::internal(format!("answer {status}: {error}")));
    }
    let problem = refusal(status, &text);
    if problem.code == Code::Unauthenticated {
        ui().session.set(Session::SignedOut);
    }
    Err(problem)
}

/// The problem in an answer that is not good; an answer from something else than the engine is made into one.
pub fn refusal(status: u16, text: &str) -> Problem {
    serde_json::from_str(text).unwrap_or_else(|_| {
        let detail: String = text.chars().take(200).collect();
        let code = match status {
            401 => Code::Unauthenticated,
            403 => Code::Forbidden,
            404 => Code::NotFound,
            413 => Code::TooLarge,
            502..=504 => return unreachable(format!("HTTP {status} {detail}")),
            _ => Code::Internal,
        };
        Problem {
            code,
            detail: Some(format!("HTTP {status} {detail}")),
            ..Problem::not_found("page")
        }
    })
}

/// The engine itself does not answer: a problem that only the console can have.
fn unreachable(why: impl std::fmt::Display) -> Problem {
    Problem {
        detail: Some(why.to_string()),
        ..Problem::new(Code::Unreachable).with("what", "engine")
    }
}

const NO_ENGINE: Text = Text {
    zh: "无法连接引擎，正在自动重试。请检查引擎是否在运行、网络是否可用；您填写的内容不会丢失。",
    en: "The engine cannot be reached; trying again. Check that it runs and that the network works. What you typed is kept.",
};

/// Whether the engine itself did not answer.
pub fn is_unreachable(problem: &Problem) -> bool {
    problem.code == Code::Unreachable && problem.fact("what") == "engine"
}

/// The sentence for a problem, the console's own among them.
pub fn sentence(problem: &Problem, lang: Lang) -> String {
    if is_unreachable(problem) {
        NO_ENGINE.of(lang).to_owned()
    } else {
        problem.text(lang)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals() {
        let told = refusal(409, r#"{"code":"taken","facts":{"what":"group","name":"a"}}"#);
        assert_eq!(told, Problem::taken("group", "a"));
        assert_eq!(refusal(401, "<html>").code, Code::Unauthenticated);
        assert!(is_unreachable(&refusal(502, "bad gateway")));
        assert!(!is_unreachable(&Problem::new(Code::Unreachable)));
        let long = refusal(500, &"界".repeat(5_000));
        assert!(long.detail.is_some_and(|detail| detail.chars().count() < 220));
    }
}
