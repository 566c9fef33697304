//! The console API from outside: who may call what, refusals, concurrency.

use anyhow::{Context, Result};
use edgedeck_model::{
    Code,
    api::{self, ById, GroupBody, Method, NewApiTokenBody, NewUserBody, PageQuery},
    feed::{Change, WatchQuery},
    user::Role,
};
use edgedeck_tests::{client::Console, programs::Edgedeckd};
use std::collections::BTreeSet;

fn group(name: &str) -> GroupBody {
    GroupBody {
        name: name.to_owned(),
        description: String::new(),
    }
}

async fn token(admin: &Console, role: Role) -> Result<Console> {
    let body = NewApiTokenBody {
        name: format!("{role:?}"),
        role,
        days: None,
    };
    let made = admin.call::<api::CreateApiToken>((), (), body).await?;
    Ok(admin.with_token(&made.secret))
}

/// Every endpoint that is declared refuses whoever has no session, and whoever's role is too small.
#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_asks_for_its_role() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let admin = engine.console().await?;
    let nobody = Console::new(*engine.listeners.get("console").context("console")?)?;
    let viewer = token(&admin, Role::Viewer).await?;
    let operator = token(&admin, Role::Operator).await?;
    let mut missing = Vec::new();
    for (name, method, path, role) in api::ALL {
        let Some(least) = role else { continue };
        let path = path.replace("{id}", "01890000-0000-7000-8000-000000000000");
        let method = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let status = |client: &Console| {
            let request = client
                .request(method.clone(), &path)
                .header("content-type", "application/json");
            async move { anyhow::Ok(request.send().await?.status().as_u16()) }
        };
        if status(&nobody).await? != 401 {
            missing.push(format!("{name} answers without a session"));
        }
        for (client, has) in [(&viewer, Role::Viewer), (&operator, Role::Operator)] {
            let refused = status(client).await? == 403;
            if refused != (has < *least) {
                missing.push(format!("{name} for {has:?}: refused is {refused}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_alone_changes_nothing() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let admin = engine.console().await?;
    for guess in [None, Some("guessed")] {
        let mut request = admin
            .request(reqwest::Method::POST, "/api/groups")
            .json(&group("b"))
            .build()?;
        request.headers_mut().remove(api::CSRF_HEADER);
        if let Some(guess) = guess {
            request.headers_mut().insert(api::CSRF_HEADER, guess.parse()?);
        }
        assert_eq!(admin.http.execute(request).await?.status().as_u16(), 403);
    }
    let groups = admin.call::<api::ListGroups>((), PageQuery::default(), ()).await?;
    assert_eq!(groups.total, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_lock() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let mut guest = Console::new(*engine.listeners.get("console").context("console")?)?;
    let mut codes = Vec::new();
    for _ in 0..6 {
        let body = api::SignInBody {
            name: "admin".to_owned(),
            password: "wrong-password".to_owned(),
        };
        let refused = guest.try_call::<api::SignIn>((), (), body).await?;
        codes.push(refused.err().map(|problem| problem.code));
    }
    assert_eq!(codes[..5], [Some(Code::WrongPassword); 5]);
    assert_eq!(codes[5], Some(Code::Locked));
    assert!(
        guest.sign_in("admin", &engine.password).await.is_err(),
        "the lock holds for the right password, too"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_lock_when_they_come_at_once_too() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let address = *engine.listeners.get("console").context("console")?;
    let guesses = (0..60).map(async |_| {
        let guest = Console::new(address)?;
        let body = api::SignInBody {
            name: "admin".to_owned(),
            password: "wrong-password".to_owned(),
        };
        let refused = guest.try_call::<api::SignIn>((), (), body).await?;
        anyhow::Ok(refused.err().map(|problem| problem.code))
    });
    let codes = futures::future::try_join_all(guesses).await?;
    let tried = codes.iter().filter(|code| **code == Some(Code::WrongPassword)).count();
    let locked = codes.iter().filter(|code| **code == Some(Code::Locked)).count();
    // Those that were being tried already when the fifth was found wrong.
    assert!((5..=8).contains(&tried), "{tried} passwords were tried");
    assert_eq!(tried + locked, 60);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_in_the_api_s_own_form() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let admin = engine.console().await?;
    let post = |body: Vec<u8>, kind: &'static str| {
        let request = admin
            .request(reqwest::Method::POST, "/api/groups")
            .header("content-type", kind)
            .body(body);
        async move {
            let response = request.send().await?;
            let status = response.status().as_u16();
            let problem: serde_json::Value = response.json().await?;
            anyhow::Ok((status, problem["code"].as_str().unwrap_or_default().to_owned()))
        }
    };
    let json = "application/json";
    for (body, kind, status, code) in [
        (b"{".to_vec(), json, 400, "malformed"),
        (b"[]".to_vec(), json, 400, "malformed"),
        (b"{\"name\": 5}".to_vec(), json, 400, "malformed"),
        (b"{\"name\": \"a\"}".to_vec(), "text/plain", 400, "malformed"),
        (b"{\"name\": \"\"}".to_vec(), json, 400, "invalid"),
        (b"{\"name\": \"a\\u0000b\"}".to_vec(), json, 400, "invalid"),
        (b"{\"name\": \"\\u202eabc\"}".to_vec(), json, 400, "invalid"),
        (
            format!("{{\"name\": \"{}\"}}", "x".repeat(10_000)).into_bytes(),
            json,
            400,
            "invalid",
        ),
        ([0xff, 0xfe, 0x00].to_vec(), json, 400, "malformed"),
        ("[".repeat(100_000).into_bytes(), json, 400, "malformed"),
    ] {
        let shown: String = String::from_utf8_lossy(&body).chars().take(40).collect();
        assert_eq!(post(body, kind).await?, (status, code.to_owned()), "{shown}");
    }
    // 100 MB: the answer may come before all of it is sent, which closes the connection.
    match post(vec![b' '; 100_000_000], json).await {
        Ok((status, code)) => assert_eq!((status, code.as_str()), (413, "too-large")),
        Err(error) => assert!(error.is::<reqwest::Error>(), "{error:#}"),
    }
    assert_eq!(
        admin.call::<api::ListGroups>((), PageQuery::default(), ()).await?.total,
        0
    );
    Ok(())
}

/// Of 64 that want one name at once, one gets it, and the feed shows it to everybody.
#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_gets_the_name() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let admin = engine.console().await?;
    let before = admin.call::<api::Watch>((), WatchQuery::default(), ()).await?;
    let tries = (0..64).map(|_| admin.try_call::<api::CreateGroup>((), (), group("same")));
    let outcomes = futures::future::try_join_all(tries).await?;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let codes: BTreeSet<String> = outcomes
        .iter()
        .filter_map(|outcome| outcome.as_ref().err())
        .map(|problem| format!("{:?}", problem.code))
        .collect();
    assert_eq!(codes, BTreeSet::from(["Taken".to_owned()]));
    let query = WatchQuery {
        rev: before.rev,
        live: 0,
        epoch: before.epoch,
        wait: 5_000,
    };
    let after = admin.call::<api::Watch>((), query, ()).await?;
    assert!(
        matches!(after.changes.as_slice(), [Change::Group(group)] if group.name == "same"),
        "{after:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn users_come_and_go_with_their_sessions() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let admin = engine.console().await?;
    let body = NewUserBody {
        name: "李工".to_owned(),
        password: "长密码12345".to_owned(),
        role: Role::Operator,
    };
    let user = admin.call::<api::CreateUser>((), (), body).await?;
    let mut other = Console::new(*engine.listeners.get("console").context("console")?)?;
    assert_eq!(other.sign_in("李工", "长密码12345").await?.role, Role::Operator);
    other.call::<api::CreateGroup>((), (), group("by 李工")).await?;
    admin.call::<api::DeleteUser>(ById { id: user.id }, (), ()).await?;
    let refused = other.try_call::<api::GetMe>((), (), ()).await?;
    assert_eq!(refused.err().map(|problem| problem.code), Some(Code::Unauthenticated));
    let last = admin.call::<api::ListUsers>((), (), ()).await?;
    let refused = admin
        .try_call::<api::DeleteUser>(
            ById {
                id: last.first().context("admin")?.id,
            },
            (),
            (),
        )
        .await?;
    assert_eq!(refused.err().map(|problem| problem.code), Some(Code::Conflict));
    let audit = admin
        .call::<api::ListAudit>(
            (),
            PageQuery {
                filter: "user.".to_owned(),
                ..PageQuery::default()
            },
            (),
        )
        .await?;
    let actions: Vec<&str> = audit.items.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["user.delete", "user.create", "user.create"]);
    Ok(())
}
