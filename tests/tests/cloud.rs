//! The cloud's identity service on the wire: tokens, and requests signed with an access key, over real TLS.

use anyhow::{Context, Result, ensure};
use edgedeck_engine::Actor;
use edgedeck_model::{
    Time,
    api::{GetStatus, ListAudit, PageQuery},
    time::{DAY, MINUTE, SECOND},
    user::Role,
};
use edgedeck_tests::{
    client::Console,
    cloud::{CloudLab, Key, PASSWORD, Plain, stamp},
    programs::Edgedeckd,
    web::Web,
};
use reqwest::{Method, Request, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

const UNSIGNED: &str = "verify aksk signature fail";
const DATED: &str = "calc ak sk signature fail:signature expired";
const USED: &str = "the signature was used before";

/// What somebody does to a signed request under way.
type Hand = fn(&mut Request);

/// A lab with a user of a role, and a key of theirs for the lab's own project.
async fn lab_of(role: Role) -> Result<(CloudLab, Key)> {
    let lab = CloudLab::start().await?;
    let user = lab.user("li", role).await?;
    let key = lab.key(user, lab.own_project()?).await?;
    Ok((lab, key))
}

fn look() -> Plain {
    Plain::new(Method::GET, "/v3/projects")
        .query("name", "default")
        .query("x", "a b+c/节点")
}

/// Gives a token back; the subject is signed.
fn end(token: &str) -> Plain {
    Plain::new(Method::DELETE, "/v3/auth/tokens").header("X-Subject-Token", token)
}

/// A refusal has its two bodies in one, and its id in both places.
async fn refused(answer: Response, status: u16, code: &str, message: &str) -> Result<()> {
    let (found, id) = (answer.status(), answer.headers().get("x-request-id").cloned());
    let body: Value = answer.json().await?;
    ensure!(found == status, "{found}, not {status}: {body}");
    ensure!(
        body["error_code"] == code && body["error"]["code"] == status,
        "not {code}: {body}"
    );
    for text in [&body["error_msg"], &body["error_message"], &body["error"]["message"]] {
        ensure!(
            text.as_str().is_some_and(|text| text.contains(message)),
            "not {message}: {body}"
        );
    }
    let id = id.context("a request's id")?;
    ensure!(body["request_id"] == id.to_str()? && !id.is_empty(), "{body}");
    Ok(())
}

/// A wrong credential is refused, for this reason.
async fn unknown(request: RequestBuilder, why: &str) -> Result<()> {
    refused(request.send().await?, 401, "APIGW.0301", why).await
}

async fn send(lab: &CloudLab, request: Request) -> Result<Response> {
    Ok(lab.http.execute(request).await?)
}

/// Sends a signed request after somebody has put a hand on it.
async fn altered(lab: &CloudLab, key: &Key, plain: &Plain, hand: impl FnOnce(&mut Request)) -> Result<Response> {
    let mut request = lab.signed(key, plain).build()?;
    hand(&mut request);
    send(lab, request).await
}

async fn holds(lab: &CloudLab, token: &str) -> Result<bool> {
    Ok(lab.engine().cloud_token(token)?.is_some())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_passes_as_it_was_signed_and_not_otherwise() -> Result<()> {
    let (lab, key) = lab_of(Role::Viewer).await?;
    let plain = look()
        .header("X-Project-Id", &lab.own_project()?.hex())
        .header("X-Test", "two  blanks");
    let answer = lab.signed(&key, &plain).send().await?;
    ensure!(answer.status() == 200);
    let body: Value = answer.json().await?;
    ensure!(body["projects"].as_array().map(Vec::len) == Some(1), "{body}");

    // What is not signed may be changed under way: the scheme leaves it open.
    let accept = |request: &mut Request| _ = request.headers_mut().insert("accept", "x/y".parse().expect("a value"));
    ensure!(altered(&lab, &key, &plain, accept).await?.status() == 200);

    let hands: [(&str, Hand); 11] = [
        ("path", |request| request.url_mut().set_path("/v3/auth/projects")),
        ("query", |request| {
            request
                .url_mut()
                .set_query(Some("name=other&x=a%20b%2Bc%2F%E8%8A%82%E7%82%B9"))
        }),
        ("more query", |request| {
            _ = request.url_mut().query_pairs_mut().append_pair("y", "1")
        }),
        ("no query", |request| request.url_mut().set_query(None)),
        ("header", |request| {
            _ = request
                .headers_mut()
                .insert("x-test", "two blanks".parse().expect("a value"))
        }),
        ("header twice", |request| {
            _ = request
                .headers_mut()
                .append("x-test", "two  blanks".parse().expect("a value"))
        }),
        ("no header", |request| _ = request.headers_mut().remove("x-test")),
        ("host", |request| {
            _ = request
                .headers_mut()
                .insert("host", "iam.example.org".parse().expect("a value"))
        }),
        ("body", |request| *request.body_mut() = Some("x".into())),
        ("no date", |request| _ = request.headers_mut().remove("x-sdk-date")),
        ("two", |request| {
            let own = request.headers()["authorization"].clone();
            request.headers_mut().append("authorization", own);
        }),
    ];
    for (what, hand) in hands {
        let answer = altered(&lab, &key, &plain, hand).await?;
        refused(answer, 401, "APIGW.0301", UNSIGNED)
            .await
            .with_context(|| what.to_owned())?;
    }
    let head = altered(&lab, &key, &plain, |request| *request.method_mut() = Method::HEAD).await?;
    ensure!(head.status() == 401);
    let now = lab.clock.now();
    let later = stamp(now.plus(SECOND));
    let date = |request: &mut Request| {
        _ = request
            .headers_mut()
            .insert("x-sdk-date", later.parse().expect("a date"))
    };
    refused(altered(&lab, &key, &plain, date).await?, 401, "APIGW.0301", UNSIGNED).await?;

    let wrong = |access: &str, secret: &str| Key {
        access: access.to_owned(),
        secret: secret.to_owned(),
    };
    for wrong in [
        wrong(&key.access, &key.secret.to_lowercase()),
        wrong(&key.access, ""),
        wrong("EDGEDECKAK0000000001", &key.secret),
        wrong(&key.access.to_lowercase(), &key.secret),
    ] {
        unknown(lab.signed(&wrong, &plain), UNSIGNED).await?;
    }
    // The key's, once it is revoked.
    lab.engine()
        .revoke_access_key(&Actor::engine(), key.access.clone())
        .await?;
    unknown(lab.signed(&key, &plain), UNSIGNED).await?;
    lab.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_signed() -> Result<()> {
    let (lab, key) = lab_of(Role::Viewer).await?;
    // Nothing reads the body of this operation, so only the signature judges it.
    let gone = async |plain: Plain, hand: Hand| {
        lab.clock.advance(SECOND);
        let token = lab.token("li", "default").await?;
        let plain = plain.header("X-Subject-Token", &token);
        let answer = altered(&lab, &key, &plain, hand).await?;
        let status = answer.status();
        if status == 401 {
            refused(answer, 401, "APIGW.0301", UNSIGNED).await?;
        }
        ensure!(holds(&lab, &token).await? == (status != 204), "{status}");
        anyhow::Ok(status)
    };
    let plain = |body: &[u8]| Plain::new(Method::DELETE, "/v3/auth/tokens").body(body);
    let other: Hand = |request| *request.body_mut() = Some("other".into());
    let large = vec![b'x'; 12 << 20];
    let hash = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    let content = "X-Sdk-Content-Sha256";
    let cases: [(Plain, Hand, u16); 9] = [
        (plain(b"x"), |_| {}, 204),
        (plain(b"x"), other, 401),
        (plain(b""), other, 401),
        (plain(&large), |_| {}, 204),
        (plain(b"x").header(content, hash), |_| {}, 204),
        (plain(b"x").header(content, hash), other, 401),
        (plain(b"y").header(content, hash), |_| {}, 401),
        // Whoever signs may leave the body out.
        (plain(b"x").header(content, "UNSIGNED-PAYLOAD"), |_| {}, 204),
        (plain(b"x").header(content, "UNSIGNED-PAYLOAD"), other, 204),
    ];
    for (at, (plain, hand, status)) in cases.into_iter().enumerate() {
        let found = gone(plain, hand).await?;
        ensure!(found == status, "case {at}: {found}");
    }
    // The word in the header is part of what is signed.
    let word: Hand = |request| {
        _ = request
            .headers_mut()
            .insert("x-sdk-content-sha256", "UNSIGNED-PAYLOAD".parse().expect("a value"))
    };
    ensure!(gone(plain(b"x"), word).await? == 401);
    // One byte more than is signed; the answer may come before all of it is sent, which closes the connection.
    let token = lab.token("li", "default").await?;
    match lab
        .signed(&key, &end(&token).body(vec![b'x'; (12 << 20) + 1]))
        .send()
        .await
    {
        Ok(answer) => refused(answer, 413, "APIGW.0201", "too large").await?,
        Err(error) => ensure!(error.is_request() || error.is_body(), "{error:?}"),
    }
    ensure!(holds(&lab, &token).await?);
    lab.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_good_for_a_quarter_of_an_hour_either_way() -> Result<()> {
    let (lab, key) = lab_of(Role::Viewer).await?;
    let now = lab.clock.now();
    let at = |ms: i64| lab.signed_at(&key, &look(), now.plus(ms));
    for good in [-15 * MINUTE, 0, 15 * MINUTE] {
        ensure!(at(good).send().await?.status() == 200, "{good}");
    }
    for bad in [-15 * MINUTE - SECOND, 15 * MINUTE + SECOND, DAY, -DAY, -now.0] {
        unknown(at(bad), DATED).await?;
    }
    let signed = at(0).build()?;
    let again = || signed.try_clone().context("a request");
    lab.clock.advance(15 * MINUTE);
    ensure!(send(&lab, again()?).await?.status() == 200);
    lab.clock.advance(1);
    refused(send(&lab, again()?).await?, 401, "APIGW.0301", DATED).await?;
    lab.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_taken_once_and_reads_as_often_as_they_come() -> Result<()> {
    let (lab, key) = lab_of(Role::Viewer).await?;
    let read = lab.signed(&key, &look()).build()?;
    for _ in 0..3 {
        ensure!(send(&lab, read.try_clone().context("a request")?).await?.status() == 200);
    }
    // The token is named in a header that is not signed, so the same signature could end another one.
    let tokens = [lab.token("li", "default").await?, lab.token("li", "default").await?];
    let plain = Plain::new(Method::DELETE, "/v3/auth/tokens");
    let ahead = lab.clock.now().plus(10 * MINUTE);
    let change = |lab: &CloudLab, token: &str| {
        let mut signed = lab.signed_at(&key, &plain, ahead).build()?;
        // As it was signed for the first listener.
        signed.headers_mut().insert("x-subject-token", token.parse()?);
        anyhow::Ok(signed)
    };
    let first = change(&lab, &tokens[0])?;
    let host = lab.host().to_owned();
    ensure!(send(&lab, first.try_clone().context("a request")?).await?.status() == 204);
    refused(send(&lab, change(&lab, &tokens[1])?).await?, 401, "APIGW.0301", USED).await?;
    ensure!(holds(&lab, &tokens[1]).await?, "it ended nothing");

    // Not after a restart either, although it is dated into the time after it.
    lab.clock.advance(5 * MINUTE);
    let lab = lab.restart().await?;
    let mut late = first;
    late.url_mut()
        .set_port(lab.base.rsplit(':').next().and_then(|port| port.parse().ok()))
        .ok();
    late.headers_mut().insert("x-subject-token", tokens[1].parse()?);
    late.headers_mut().insert("host", host.parse()?);
    refused(send(&lab, late).await?, 401, "APIGW.0301", USED).await?;
    // Clients whose clock is behind are served at once.
    let behind = lab.clock.now().plus(-14 * MINUTE);
    // No more are taken than are kept in mind.
    let many = lab.engine().store.write(|tx| {
        let sql = "INSERT INTO used_signature (place, signature, dated) VALUES (1000000, x'00', ?1)";
        Ok(tx.execute(sql, [tx.now().0])?)
    });
    many.await?;
    let answer = lab.signed_at(&key, &end(&tokens[1]), behind).send().await?;
    refused(answer, 429, "APIGW.0308", "threshold").await?;
    let fewer = lab
        .engine()
        .store
        .write(|tx| Ok(tx.execute("DELETE FROM used_signature WHERE place = 1000000", [])?));
    fewer.await?;
    let answer = lab.signed_at(&key, &end(&tokens[1]), behind).send().await?;
    ensure!(answer.status() == 204, "{}", answer.status());
    lab.stop().await;
    Ok(())
}

/// A header that differs in one place from a good one lets nobody in, and breaks nothing.
#[tokio::test(flavor = "multi_thread")]
async fn no_other_authorization_than_the_right_one_lets_in() -> Result<()> {
    let (lab, key) = lab_of(Role::Admin).await?;
    let signed = lab.signed(&key, &look()).build()?;
    let good = signed.headers()["authorization"].to_str()?.to_owned();
    let with = async |value: &[u8]| -> Result<StatusCode> {
        let mut request = signed.try_clone().context("a request")?;
        request
            .headers_mut()
            .insert("authorization", reqwest::header::HeaderValue::from_bytes(value)?);
        let answer = send(&lab, request).await?;
        let status = answer.status();
        if status != 200 {
            let why = if value.starts_with(b"SDK-HMAC-SHA256") {
                UNSIGNED
            } else {
                "x-auth-token not found"
            };
            refused(answer, 401, "APIGW.0301", why).await?;
        }
        Ok(status)
    };
    ensure!(with(good.as_bytes()).await? == 200);
    for at in 0..good.len() {
        let (before, after) = good.as_bytes().split_at(at);
        let (byte, after) = after.split_first().context("a byte")?;
        let mut tries = vec![
            [before, b"x", after].concat(),
            [before, b"\xe9", after].concat(),
            before.to_vec(),
        ];
        // A blank beside a comma means nothing.
        if !(*byte == b' ' && before.ends_with(b",")) {
            tries.push([before, after].concat());
        }
        for tried in tries.into_iter().filter(|tried| tried != good.as_bytes()) {
            ensure!(with(&tried).await? == 401, "{}", String::from_utf8_lossy(&tried));
        }
    }
    for other in [
        "Basic bGk6eA==",
        "Bearer x",
        "SDK-HMAC-SM3 Access=A",
        "V11-HMAC-SHA256 x",
        "SDK-HMAC-SHA256",
        " ",
        "",
    ] {
        ensure!(with(other.as_bytes()).await? == 401, "{other}");
    }
    lab.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_for_one_project_and_ends() -> Result<()> {
    let (lab, key) = lab_of(Role::Operator).await?;
    let (own, other) = (lab.own_project()?.hex(), lab.project("cn-north-4_lab").await?.hex());
    let token = lab.token("li", "cn-north-4_lab").await?;
    let get = |path: &str, token: &str| {
        lab.http
            .get(format!("{}{path}", lab.base))
            .header("x-auth-token", token)
    };
    let (own_path, other_path) = (format!("/v3/projects/{own}"), format!("/v3/projects/{other}"));
    let shown: Value = get(&other_path, &token).send().await?.json().await?;
    ensure!(
        shown["project"]["name"] == "cn-north-4_lab" && shown["project"]["id"] == other.as_str(),
        "{shown}"
    );
    let foreign =
        async |request: RequestBuilder| refused(request.send().await?, 403, "IAM.0002", "another project").await;
    foreign(get(&own_path, &token)).await?;
    foreign(get(&format!("/v3/projects/{}", other.to_uppercase()), &token)).await?;
    foreign(get(&other_path, &token).header("x-project-id", &own)).await?;
    ensure!(
        get(&other_path, &token)
            .header("x-project-id", &other)
            .send()
            .await?
            .status()
            == 200
    );
    foreign(get("/v3/projects/%ff", &token)).await?;
    let twice = get("/v3/projects?name=a&name=b", &token).send().await?;
    refused(twice, 400, "IAM.0007", "parameter").await?;
    let by_key = |id: &str| Plain::new(Method::GET, &format!("/v3/projects/{id}"));
    ensure!(lab.signed(&key, &by_key(&own)).send().await?.status() == 200);
    foreign(lab.signed(&key, &by_key(&other))).await?;
    foreign(lab.signed(&key, &by_key(&own).header("X-Project-Id", &other))).await?;

    // A user may use every project, a key its own.
    let names = async |request: RequestBuilder| -> Result<Vec<String>> {
        let body: Value = request.send().await?.json().await?;
        let projects = body["projects"].as_array().with_context(|| body.to_string())?;
        Ok(projects
            .iter()
            .filter_map(|project| project["name"].as_str().map(ToOwned::to_owned))
            .collect())
    };
    for path in ["/v3/projects", "/v3/auth/projects"] {
        ensure!(names(get(path, &token)).await? == ["default", "cn-north-4_lab"]);
        ensure!(names(lab.signed(&key, &Plain::new(Method::GET, path))).await? == ["default"]);
    }
    ensure!(names(get("/v3/projects?name=cn-north-4_lab", &token)).await? == ["cn-north-4_lab"]);
    ensure!(names(get("/v3/projects?name=cn-north-4", &token)).await?.is_empty());

    for wrong in ["", "x", &token.to_uppercase(), &token[1..]] {
        unknown(get("/v3/projects", wrong), "decrypt token fail").await?;
    }
    unknown(
        lab.http.get(format!("{}/v3/projects", lab.base)),
        "x-auth-token not found",
    )
    .await?;
    unknown(
        get("/v3/projects", &token).header("x-auth-token", &token),
        "decrypt token fail",
    )
    .await?;
    lab.clock.advance(DAY - SECOND);
    let lab = lab.restart().await?;
    let get = |path: &str, token: &str| {
        lab.http
            .get(format!("{}{path}", lab.base))
            .header("x-auth-token", token)
    };
    ensure!(
        get("/v3/projects", &token).send().await?.status() == 200,
        "it survives a restart"
    );
    lab.clock.advance(SECOND);
    unknown(get("/v3/projects", &token), "decrypt token fail").await?;
    lab.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_exchanged_and_given_back() -> Result<()> {
    let (lab, _) = lab_of(Role::Viewer).await?;
    lab.user("wang", Role::Operator).await?;
    lab.project("other").await?;
    let first = lab.token("li", "default").await?;
    let by_token = |token: &str| {
        json!({ "auth": {
            "identity": { "methods": ["token"], "token": { "id": token } }, "scope": { "project": { "name": "other" } },
        } })
    };
    let answer = lab.log_in(&by_token(&first)).await?;
    ensure!(answer.status() == 201);
    let second = answer.headers()["x-subject-token"].to_str()?.to_owned();
    let body: Value = answer.json().await?;
    ensure!(
        body["token"]["project"]["name"] == "other" && body["token"]["methods"] == json!(["token"]),
        "{body}"
    );
    refused(lab.log_in(&by_token("guessed")).await?, 401, "IAM.0001", "token").await?;

    let give = |by: &str, what: &str| {
        let request = lab.http.delete(format!("{}/v3/auth/tokens", lab.base));
        request.header("x-auth-token", by).header("x-subject-token", what)
    };
    let others = lab.token("wang", "default").await?;
    refused(give(&others, &first).send().await?, 403, "IAM.0002", "").await?;
    refused(give(&second, "guessed").send().await?, 404, "IAM.0004", "").await?;
    ensure!(give(&second, &first).send().await?.status() == 204);
    unknown(give(&first, &second), "decrypt token fail").await?;
    ensure!(give(&second, &second).send().await?.status() == 204, "also itself");
    ensure!(!holds(&lab, &second).await? && holds(&lab, &others).await?);
    lab.engine()
        .reset_password(&Actor::engine(), "wang", "another horse")
        .await?;
    unknown(give(&others, &others), "decrypt token fail").await?;
    lab.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_locks_and_nonsense_is_refused() -> Result<()> {
    let (lab, _) = lab_of(Role::Viewer).await?;
    let wrong = "The username or password is wrong.";
    let good = CloudLab::login("li", PASSWORD, "default");
    let with = |pointer: &str, value: Value| {
        let mut body = good.clone();
        if let Some(place) = body.pointer_mut(pointer) {
            *place = value;
        }
        body
    };
    let user = "/auth/identity/password/user";
    for body in [
        with(&format!("{user}/domain/name"), json!("elsewhere")),
        with(&format!("{user}/name"), json!("nobody")),
        with(&format!("{user}/name"), json!("x".repeat(10_000))),
        with(&format!("{user}/password"), json!("")),
    ] {
        refused(lab.log_in(&body).await?, 401, "IAM.0001", wrong).await?;
    }
    for body in [
        json!({}),
        json!([]),
        json!(null),
        json!({ "auth": {} }),
        with("/auth/scope", json!({})),
        with("/auth/scope", json!({ "domain": { "name": "EdgeDeck" } })),
        with("/auth/scope/project", json!({})),
        with("/auth/scope/project/name", json!("nowhere")),
        with("/auth/scope/project/name", json!(1)),
        with("/auth/identity/methods", json!([])),
        with("/auth/identity/methods", json!(["totp"])),
        with("/auth/identity/methods", json!(["token"])),
        with("/auth/identity/methods", json!(["password", "totp"])),
        with("/auth/identity/password", json!({})),
        with(&format!("{user}/password"), json!(null)),
        with(&format!("{user}/domain"), json!(null)),
    ] {
        refused(lab.log_in(&body).await?, 400, "IAM.0011", "Request body is invalid")
            .await
            .with_context(|| body.to_string())?;
    }
    for body in [&b"{"[..], b"", b"\xff\xfe", "[".repeat(50_000).as_bytes()] {
        let request = lab
            .http
            .post(format!("{}/v3/auth/tokens", lab.base))
            .body(body.to_vec());
        refused(request.send().await?, 400, "IAM.0011", "Request body is invalid").await?;
    }
    let large = with(&format!("{user}/name"), json!("x".repeat(100_000)));
    refused(lab.log_in(&large).await?, 413, "APIGW.0201", "too large").await?;
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/v3"),
        (Method::GET, "/v3/auth/tokens/x"),
        (Method::POST, "/v3/projects/x/y"),
        (Method::GET, "/v3/../etc/passwd"),
    ] {
        let answer = lab.http.request(method, format!("{}{path}", lab.base)).send().await?;
        refused(answer, 404, "APIGW.0101", "does not exist")
            .await
            .with_context(|| path.to_owned())?;
    }

    lab.log_in(&good).await?.error_for_status()?;
    let guess = with(&format!("{user}/password"), json!("wrong horse"));
    for _ in 0..5 {
        refused(lab.log_in(&guess).await?, 401, "IAM.0001", wrong).await?;
    }
    let locked = lab.log_in(&good).await?;
    let wait: i64 = locked.headers()["retry-after"].to_str()?.parse()?;
    ensure!((1..=301).contains(&wait));
    refused(locked, 429, "IAM.0012", "Too many wrong tries").await?;
    lab.clock.advance(5 * MINUTE);
    ensure!(lab.log_in(&good).await?.status() == 201);
    lab.stop().await;
    Ok(())
}

/// The program itself has the listener, and nothing secret in its log or its audit.
#[tokio::test(flavor = "multi_thread")]
async fn edgedeckd_serves_it_and_tells_no_secret() -> Result<()> {
    use edgedeck_model::api::{CreateAccessKey, ListProjects, ListUsers, NewAccessKeyBody, RevokeAccessKey};
    let engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    let address = engine.listeners.get("cloud").context("the cloud listener")?;
    let status = console.call::<GetStatus>((), (), ()).await?;
    ensure!(status.listeners.get("cloud") == Some(&address.to_string()));
    let user = console
        .call::<ListUsers>((), (), ())
        .await?
        .first()
        .context("a user")?
        .id;
    let project = console
        .call::<ListProjects>((), (), ())
        .await?
        .first()
        .context("a project")?
        .id;
    let body = NewAccessKeyBody {
        user,
        project,
        description: "script".to_owned(),
    };
    let made = console.call::<CreateAccessKey>((), (), body).await?;
    let key = Key {
        access: made.key.key.clone(),
        secret: made.secret.clone(),
    };
    let plain = Plain::new(Method::GET, "/v3/projects").query("name", "default");
    let signed = async || -> Result<StatusCode> {
        let mut request = console.http.get(format!("https://{address}{}", plain.target()));
        let now = Time(edgedeck_agent::now().0);
        for (name, value) in key.sign(&plain, &address.to_string(), now) {
            request = request.header(name, value);
        }
        Ok(request.send().await?.status())
    };
    ensure!(signed().await? == 200);
    let login = console.http.post(format!("https://{address}/v3/auth/tokens"));
    let answer = login
        .json(&CloudLab::login("admin", &engine.password, "default"))
        .send()
        .await?;
    ensure!(answer.status() == 201);
    let token = answer.headers()["x-subject-token"].to_str()?.to_owned();
    let id = made.key.key.clone();
    console
        .call::<RevokeAccessKey>(edgedeck_model::api::ById { id }, (), ())
        .await?;
    ensure!(signed().await? == 401);
    let audit = console.call::<ListAudit>((), PageQuery::default(), ()).await?.items;
    // The first password is printed once, to be changed.
    let output: Vec<_> = engine
        .output()
        .lines()
        .filter(|line| !line.contains("  admin  "))
        .map(ToOwned::to_owned)
        .collect();
    let told = format!("{audit:?}{output:?}");
    for action in ["access-key.create", "access-key.revoke", "cloud-token.create"] {
        ensure!(told.contains(action), "{action} is missing");
    }
    for secret in [&made.secret, &token, &engine.password] {
        ensure!(!told.contains(secret.as_str()), "a secret is told");
    }
    Ok(())
}

/// A project and a key, from the page to a signed request and back.
#[tokio::test(flavor = "multi_thread")]
async fn keys_and_projects_are_made_on_the_page() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let (address, cloud) = (engine.listeners["console"], engine.listeners["cloud"]);
    let web = Web::chromium(&format!("https://{address}/access"), (1280, 900), "zh").await?;
    web.fill("[data-test=name]", "admin").await?;
    web.fill("[data-test=password]", &engine.password).await?;
    web.click("[data-test=submit]").await?;
    web.click("[data-test=tab-projects]").await?;
    web.shows("[data-test=projects-table]", "default（实验室自身）").await?;
    // The lab's own takes the name of the region that scripts ask for.
    web.click("[data-test=edit-project]").await?;
    web.fill("[data-test=project-name]", "华北").await?;
    web.shows("[data-test=project-dialog]", "须为 1 至 64 个字母").await?;
    web.fill("[data-test=project-name]", "cn-north-4").await?;
    web.click("[data-test=save-project]").await?;
    web.shows("[data-test=projects-table]", "cn-north-4（实验室自身）")
        .await?;
    web.click("[data-test=new-project]").await?;
    web.fill("[data-test=project-name]", "cn-north-4").await?;
    web.click("[data-test=save-project]").await?;
    web.shows("[data-test=project-dialog]", "项目 cn-north-4 已存在")
        .await?;
    web.fill("[data-test=project-name]", "cn-north-4_lab").await?;
    web.click("[data-test=save-project]").await?;
    web.shows("[data-test=projects-table]", "cn-north-4_lab").await?;

    web.click("[data-test=tab-access-keys]").await?;
    web.click("[data-test=new-access-key]").await?;
    web.fill("[data-test=key-description]", "巡检脚本").await?;
    web.click("[data-test=save-access-key]").await?;
    let key = Key {
        access: web.find("[data-test=key-access]").await?.text().await?,
        secret: web.find("[data-test=key-secret]").await?.text().await?,
    };
    let http = Console::new(address)?.http;
    let plain = Plain::new(Method::GET, "/v3/projects").query("name", "cn-north-4");
    let signed = async || -> Result<StatusCode> {
        let mut request = http.get(format!("https://{cloud}{}", plain.target()));
        for (name, value) in key.sign(&plain, &cloud.to_string(), edgedeck_agent::now()) {
            request = request.header(name, value);
        }
        Ok(request.send().await?.status())
    };
    ensure!(signed().await? == 200);
    web.click("[data-test=new-access-key-dialog] .dialog-head button")
        .await?;
    web.is_gone("[data-test=key-secret]").await?;
    for text in [key.access.as_str(), "巡检脚本", "cn-north-4", "admin"] {
        web.shows("[data-test=access-keys-table]", text).await?;
    }
    web.click("[data-test=revoke-access-key]").await?;
    web.click("[data-test=confirm-yes]").await?;
    web.shows("[data-test=toast]", "已吊销访问密钥").await?;
    ensure!(signed().await? == 401);

    web.click("[data-test=tab-projects]").await?;
    web.click("[data-test=delete-project]").await?;
    web.click("[data-test=confirm-yes]").await?;
    web.shows("[data-test=toast]", "已删除项目 cn-north-4_lab").await?;
    web.close().await
}
