//! Who calls the cloud dialects: projects, tokens, access keys and signatures, with a clock in the test's hand.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use edgedeck_engine::{Actor, Clock, CloudLogin, CloudToken, Engine, Options, SIGNATURE_WINDOW, Scope};
use edgedeck_model::{
    Code, Problem, ProjectId, Time, UserId,
    access_key::{KEY_LENGTH, SECRET_LENGTH},
    api::{NewAccessKey, NewAccessKeyBody, NewUserBody, ProjectBody},
    time::{DAY, MINUTE, SECOND},
    user::Role,
};
use ring::hmac;
use std::{collections::BTreeSet, pin::pin, sync::Arc};
use tempfile::TempDir;

const NOON: Time = Time(1_790_000_000_000);
const PASSWORD: &str = "correct horse";
const HERE: &str = "192.0.2.1";

struct Lab {
    engine: Arc<Engine>,
    clock: Clock,
    data: TempDir,
}

async fn open(data: &TempDir, clock: &Clock) -> Arc<Engine> {
    let options = Options {
        data: data.path().join("lab"),
        clock: clock.clone(),
        hosts: BTreeSet::new(),
        addresses: Vec::new(),
    };
    Engine::open(options).await.unwrap()
}

fn admin() -> Actor {
    Actor::engine()
}

fn scope(name: &str) -> Scope {
    Scope {
        id: None,
        name: Some(name.to_owned()),
    }
}

fn login(domain: &str, name: &str, password: &str) -> CloudLogin {
    CloudLogin::Password {
        domain: domain.to_owned(),
        name: name.to_owned(),
        password: password.to_owned().into(),
    }
}

fn code<T>(outcome: Result<T, Problem>) -> Code {
    outcome.err().unwrap().code
}

fn sign(secret: &str, text: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::sign(&key, text).as_ref().to_vec()
}

impl Lab {
    async fn open() -> Self {
        let (data, clock) = (TempDir::new().unwrap(), Clock::manual(NOON));
        let engine = open(&data, &clock).await;
        Self { engine, clock, data }
    }

    /// Ends the engine and opens it again.
    async fn reopen(self) -> Self {
        let Self { engine, clock, data } = self;
        engine.close().await;
        // Its rounds let go of it within a quarter of a second.
        let gone = Arc::downgrade(&engine);
        drop(engine);
        while gone.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
        let engine = open(&data, &clock).await;
        Self { engine, clock, data }
    }

    async fn user(&self, name: &str, role: Role) -> UserId {
        let body = NewUserBody {
            name: name.to_owned(),
            password: PASSWORD.to_owned(),
            role,
        };
        self.engine.create_user(&admin(), body).await.unwrap().id
    }

    async fn project(&self, name: &str) -> ProjectId {
        let body = ProjectBody {
            name: name.to_owned(),
            description: String::new(),
        };
        self.engine.create_project(&admin(), body).await.unwrap().id
    }

    async fn issue(&self, login: CloudLogin, scope: Scope) -> Result<CloudToken, Problem> {
        self.engine.issue_cloud_token(login, scope, HERE).await
    }

    async fn token(&self, name: &str, project: &str) -> CloudToken {
        self.issue(login("EdgeDeck", name, PASSWORD), scope(project))
            .await
            .unwrap()
    }

    fn holds(&self, token: &CloudToken) -> bool {
        self.engine.cloud_token(&token.secret).unwrap().is_some()
    }

    async fn key(&self, user: UserId, project: ProjectId) -> NewAccessKey {
        let body = NewAccessKeyBody {
            user,
            project,
            description: String::new(),
        };
        self.engine.create_access_key(&admin(), body).await.unwrap()
    }

    fn own_project(&self) -> ProjectId {
        self.engine.list_projects().unwrap()[0].id
    }

    /// Whether a text stands anywhere in the database's files.
    fn is_written(&self, text: &str) -> bool {
        let files = ["edgedeck.db", "edgedeck.db-wal"].map(|name| self.data.path().join("lab").join(name));
        files.iter().any(|file| {
            let bytes = std::fs::read(file).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }

    /// Actions and outcomes in the audit, the newest first.
    fn audit(&self) -> Vec<(String, String, String)> {
        let lines = self.engine.list_audit(&Default::default()).unwrap().items;
        lines
            .into_iter()
            .map(|line| (line.actor, line.action, line.outcome))
            .collect()
    }
}

#[tokio::test]
async fn projects_come_and_go_but_for_the_lab_s_own() {
    let lab = Lab::open().await;
    let engine = &lab.engine;
    let first = engine.list_projects().unwrap();
    assert_eq!(first.len(), 1);
    assert!(first[0].is_default && first[0].name == "default");
    let own = first[0].id;
    let body = |name: &str| ProjectBody {
        name: name.to_owned(),
        description: "x".to_owned(),
    };
    assert_eq!(
        code(engine.create_project(&admin(), body("DEFAULT")).await),
        Code::Taken
    );
    assert_eq!(code(engine.create_project(&admin(), body("a b")).await), Code::Invalid);
    let other = lab.project("cn-north-4_lab").await;
    assert_eq!(
        code(engine.update_project(&admin(), other, body("default")).await),
        Code::Taken
    );
    // The lab's own may have a region's name, so that programs that ask for that region find it.
    engine.update_project(&admin(), own, body("cn-north-4")).await.unwrap();
    engine.update_project(&admin(), other, body("Default")).await.unwrap();
    let same = engine.update_project(&admin(), other, body("Default")).await.unwrap();
    assert_eq!(engine.list_projects().unwrap()[1], same);
    assert_eq!(code(engine.delete_project(&admin(), own).await), Code::Conflict);
    let user = lab.user("li", Role::Operator).await;
    let key = lab.key(user, other).await;
    let token = lab.token("li", "Default").await;
    assert_eq!(code(engine.delete_project(&admin(), other).await), Code::Conflict);
    engine.revoke_access_key(&admin(), key.key.key).await.unwrap();
    assert!(lab.holds(&token));
    engine.delete_project(&admin(), other).await.unwrap();
    assert!(!lab.holds(&token), "its tokens end with it");
    assert_eq!(code(engine.delete_project(&admin(), other).await), Code::NotFound);
    let (id, name) = engine.domain().unwrap();
    assert!(id.len() == 32 && name == "EdgeDeck");
    let lab = lab.reopen().await;
    assert_eq!(lab.engine.domain().unwrap().0, id);
    assert_eq!(lab.own_project(), own);
    assert_eq!(lab.engine.list_projects().unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_is_a_user_s_in_a_project_for_a_day() {
    let lab = Lab::open().await;
    lab.user("li", Role::Viewer).await;
    lab.project("other").await;
    let token = lab.token("li", "other").await;
    assert!(token.issued_at == NOON && token.expires_at == NOON.plus(DAY));
    let caller = lab.engine.cloud_token(&token.secret).unwrap().unwrap();
    assert_eq!(
        (caller.name.as_str(), caller.role, caller.by_key),
        ("li", Role::Viewer, false)
    );
    assert_eq!(caller.project.name, "other");
    assert!(!lab.is_written(&token.secret), "only its hash is kept");
    assert!(lab.engine.cloud_token("").unwrap().is_none());

    let lab = lab.reopen().await;
    assert!(lab.holds(&token), "it survives a restart");
    lab.clock.advance(DAY - 1);
    assert!(lab.holds(&token));
    // A token got by a token ends when that does.
    let shown = || CloudLogin::Token(token.secret.clone().into());
    let next = lab.issue(shown(), scope("default")).await.unwrap();
    assert_eq!((next.expires_at, next.project.is_default), (token.expires_at, true));
    lab.clock.advance(1);
    assert!(!lab.holds(&token) && !lab.holds(&next), "a day is over");
    assert_eq!(code(lab.issue(shown(), scope("default")).await), Code::Unauthenticated);
    assert!(
        lab.audit().iter().all(|(actor, ..)| !actor.is_empty()),
        "nobody's tries are not written down"
    );
}

#[tokio::test]
async fn tokens_are_given_for_the_right_words_only() {
    let lab = Lab::open().await;
    lab.user("Li", Role::Operator).await;
    let own = lab.own_project().hex();
    for (domain, name, password) in [
        ("EdgeDeck", "Li", "wrong horse"),
        ("EdgeDeck", "nobody", PASSWORD),
        ("edgedeck", "Li", PASSWORD),
        ("", "", ""),
    ] {
        let refused = lab.issue(login(domain, name, password), scope("default")).await;
        assert_eq!(code(refused), Code::WrongPassword, "{domain} {name}");
    }
    let right = || login("EdgeDeck", "li", PASSWORD);
    let by_id = |id: &str, name: Option<&str>| Scope {
        id: Some(id.to_owned()),
        name: name.map(ToOwned::to_owned),
    };
    for bad in [
        scope("nowhere"),
        scope(""),
        Scope::default(),
        by_id("", None),
        by_id(&own.to_uppercase(), None),
        by_id(&"0".repeat(32), None),
        by_id(&own, Some("other")),
    ] {
        assert_eq!(code(lab.issue(right(), bad.clone()).await), Code::NotFound, "{bad:?}");
    }
    for good in [scope("default"), by_id(&own, None), by_id(&own, Some("default"))] {
        lab.issue(right(), good).await.unwrap();
    }
    let audit = lab.audit();
    let line = |outcome: &str| ("Li".to_owned(), "cloud-token.create".to_owned(), outcome.to_owned());
    assert!(audit.contains(&line("wrong-password")), "{audit:?}");
    assert!(audit.iter().any(|(actor, action, outcome)| {
        (actor.as_str(), action.as_str(), outcome.as_str()) == ("li", "cloud-token.create", "ok")
    }));
}

#[tokio::test]
async fn wrong_passwords_lock_cloud_and_console_alike() {
    let lab = Lab::open().await;
    lab.user("li", Role::Operator).await;
    for _ in 0..5 {
        let refused = lab
            .issue(login("EdgeDeck", "li", "wrong horse"), scope("default"))
            .await;
        assert_eq!(code(refused), Code::WrongPassword);
    }
    let right = async || lab.issue(login("EdgeDeck", "li", PASSWORD), scope("default")).await;
    assert_eq!(code(right().await), Code::Locked);
    assert_eq!(
        lab.engine.sign_in("li", PASSWORD, HERE).await.err().unwrap().code,
        Code::Locked
    );
    lab.clock.advance(5 * MINUTE);
    right().await.unwrap();
}

#[tokio::test]
async fn tokens_end_with_the_password_the_user_and_when_they_are_given_back() {
    let lab = Lab::open().await;
    let engine = &lab.engine;
    let (li, _) = (
        lab.user("li", Role::Operator).await,
        lab.user("wang", Role::Operator).await,
    );
    lab.user("chief", Role::Admin).await;
    let (first, second) = (lab.token("li", "default").await, lab.token("li", "default").await);
    let (other, chief) = (lab.token("wang", "default").await, lab.token("chief", "default").await);
    let caller = |token: &CloudToken| engine.cloud_token(&token.secret).unwrap().unwrap();
    let end = async |by: &CloudToken, what: &str| engine.end_cloud_token(&caller(by), HERE, what).await;
    assert_eq!(code(end(&other, &first.secret).await), Code::Forbidden);
    assert_eq!(code(end(&other, "unknown").await), Code::NotFound);
    end(&second, &first.secret).await.unwrap();
    assert!(!lab.holds(&first) && lab.holds(&second));
    assert_eq!(code(end(&second, &first.secret).await), Code::NotFound);
    end(&chief, &other.secret).await.unwrap();
    assert!(!lab.holds(&other));

    engine.reset_password(&admin(), "li", "another horse").await.unwrap();
    assert!(!lab.holds(&second), "another password ends them");
    let third = lab
        .issue(login("EdgeDeck", "li", "another horse"), scope("default"))
        .await
        .unwrap();
    let key = lab.key(li, lab.own_project()).await;
    let signed = || {
        engine
            .cloud_signer(&key.key.key, b"text", &sign(&key.secret, b"text"))
            .unwrap()
    };
    assert!(signed().is_some());
    engine.delete_user(&admin(), li).await.unwrap();
    assert!(!lab.holds(&third) && signed().is_none(), "nothing outlives its user");
    let sealed: u32 = engine
        .store
        .read(|connection| Ok(connection.query_row("SELECT count(*) FROM access_key", [], |row| row.get(0))?))
        .unwrap();
    assert_eq!(sealed, 0);
    let lab = lab.reopen().await;
    assert!(!lab.holds(&first) && !lab.holds(&second) && lab.holds(&chief));
}

/// A password that changes after it was found right, and before the token is written, gives none.
#[tokio::test]
async fn a_password_counts_until_the_token_is_written() {
    let lab = Lab::open().await;
    lab.user("li", Role::Operator).await;
    let store = &lab.engine.store;
    let (go_on, held) = std::sync::mpsc::channel::<u8>();
    let mut holding = pin!(store.write(move |_| Ok(held.recv().unwrap())));
    assert!(futures::poll!(&mut holding).is_pending());
    let mut changing = pin!(store.write(|tx| Ok(tx.execute("UPDATE user SET password = 'another'", [])?)));
    assert!(futures::poll!(&mut changing).is_pending());
    // It reads the password at once, and writes behind the change.
    let mut issuing = pin!(lab.issue(login("EdgeDeck", "li", PASSWORD), scope("default")));
    assert!(futures::poll!(&mut issuing).is_pending());
    go_on.send(0).unwrap();
    holding.await.unwrap();
    assert_eq!(changing.await.unwrap(), 1);
    assert_eq!(code(issuing.await), Code::WrongPassword);
}

#[tokio::test]
async fn a_user_s_oldest_token_gives_way() {
    let lab = Lab::open().await;
    let user = lab.user("li", Role::Operator).await;
    let first = lab.token("li", "default").await;
    lab.clock.advance(SECOND);
    let project = lab.own_project();
    let filled = lab.engine.store.write(move |tx| {
        let sql = "INSERT INTO cloud_token SELECT 'h' || value, ?1, ?2, ?3, ?4 FROM json_each(?5)";
        let numbers = serde_json::to_string(&(0..998).collect::<Vec<_>>())?;
        let (now, end) = (tx.now().0, tx.now().plus(DAY).0);
        Ok(tx.execute(sql, rusqlite::params![user.0, project.0, now, end, numbers])?)
    });
    assert_eq!(filled.await.unwrap(), 998);
    let last = lab.token("li", "default").await;
    assert!(lab.holds(&first) && lab.holds(&last), "a thousand");
    let more = lab.token("li", "default").await;
    assert!(!lab.holds(&first) && lab.holds(&more));
}

#[tokio::test]
async fn a_key_signs_until_it_is_revoked_and_its_secret_is_sealed() {
    let lab = Lab::open().await;
    let user = lab.user("li", Role::Viewer).await;
    let other = lab.project("other").await;
    let made = lab.key(user, other).await;
    let (key, secret) = (made.key.key.clone(), made.secret.clone());
    assert!(
        key.len() == KEY_LENGTH
            && key
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    );
    assert!(secret.len() == SECRET_LENGTH && secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert!(lab.is_written(&key) && !lab.is_written(&secret));
    assert_eq!(lab.engine.list_access_keys().unwrap(), vec![made.key.clone()]);

    let lab = lab.reopen().await;
    let good = sign(&secret, b"text");
    let caller = lab.engine.cloud_signer(&key, b"text", &good).unwrap().unwrap();
    assert_eq!((caller.user, caller.role, caller.by_key), (user, Role::Viewer, true));
    assert_eq!((caller.project.id, caller.name), (other, format!("key:{key}")));
    let refuses = |key: &str, text: &[u8], signature: &[u8]| {
        let signer = lab.engine.cloud_signer(key, text, signature).unwrap();
        assert_eq!(signer, None);
    };
    refuses(&key, b"texT", &good);
    refuses(&key, b"text", &good[..31]);
    refuses(&key, b"text", &[]);
    refuses(&key, b"text", &sign("wrong", b"text"));
    refuses(&key.to_lowercase(), b"text", &good);
    refuses("", b"text", &good);
    // One sealed secret does not serve another key.
    let second = lab.key(user, other).await;
    let stolen = second.key.key.clone();
    let moved = lab.engine.store.write(move |tx| {
        let sql = "UPDATE access_key SET sealed = (SELECT sealed FROM access_key WHERE key = ?1) WHERE key = ?2";
        Ok(tx.execute(sql, [made.key.key, stolen])?)
    });
    moved.await.unwrap();
    assert_eq!(
        code(lab.engine.cloud_signer(&second.key.key, b"text", &good)),
        Code::Internal
    );

    assert!(lab.engine.has_access_key(&key).unwrap());
    lab.engine.revoke_access_key(&admin(), key.clone()).await.unwrap();
    refuses(&key, b"text", &good);
    assert!(!lab.engine.has_access_key(&key).unwrap());
    assert_eq!(code(lab.engine.revoke_access_key(&admin(), key).await), Code::NotFound);
    let body = |user, project| NewAccessKeyBody {
        user,
        project,
        description: String::new(),
    };
    let nobody = UserId(uuid::Uuid::nil());
    let nowhere = ProjectId(uuid::Uuid::nil());
    for wrong in [body(nobody, other), body(user, nowhere)] {
        assert_eq!(
            code(lab.engine.create_access_key(&admin(), wrong).await),
            Code::NotFound
        );
    }
    let audit = lab.engine.list_audit(&Default::default()).unwrap().items;
    assert!(audit.iter().all(|line| !format!("{line:?}").contains(&secret)));
    assert!(
        audit
            .iter()
            .any(|line| line.action == "access-key.create" && line.subject.contains("li"))
    );
    assert!(audit.iter().any(|line| line.action == "access-key.revoke"));
}

#[tokio::test]
async fn a_signature_is_taken_once_even_over_a_restart() {
    let lab = Lab::open().await;
    let take = async |lab: &Lab, number: u8, dated: Time| lab.engine.take_signature([number; 32], dated).await;
    let early = NOON.plus(-SIGNATURE_WINDOW);
    let ahead = NOON.plus(SIGNATURE_WINDOW);
    take(&lab, 1, NOON).await.unwrap();
    take(&lab, 2, early).await.unwrap();
    take(&lab, 3, ahead).await.unwrap();
    assert_eq!(code(take(&lab, 1, NOON).await), Code::Conflict);
    assert_eq!(code(take(&lab, 4, early.plus(-1)).await), Code::Unauthenticated);
    let at_once = futures::future::join_all((0..20).map(|_| take(&lab, 5, NOON))).await;
    assert_eq!(at_once.iter().filter(|taken| taken.is_ok()).count(), 1);

    // What was taken before the engine ended is known after its start, also what was dated ahead.
    lab.clock.advance(SECOND);
    let lab = lab.reopen().await;
    for (number, dated) in [(1, NOON), (3, ahead), (5, NOON)] {
        assert_eq!(code(take(&lab, number, dated).await), Code::Conflict, "{number}");
    }
    // A client whose clock is behind is served at once after a start.
    take(&lab, 6, NOON.plus(-10 * MINUTE)).await.unwrap();

    // When they are forgotten they are too old to be taken.
    lab.clock.advance(SIGNATURE_WINDOW);
    take(&lab, 7, NOON.plus(SIGNATURE_WINDOW)).await.unwrap();
    assert_eq!(code(take(&lab, 1, NOON).await), Code::Unauthenticated);
    let left: u32 = lab
        .engine
        .store
        .read(|connection| Ok(connection.query_row("SELECT count(*) FROM used_signature", [], |row| row.get(0))?))
        .unwrap();
    assert_eq!(left, 2, "those dated ahead and the newest");
}

#[tokio::test]
async fn signatures_are_bounded() {
    let lab = Lab::open().await;
    lab.engine.take_signature([1; 32], NOON).await.unwrap();
    let filled = lab.engine.store.write(|tx| {
        Ok(tx.execute(
            "INSERT INTO used_signature (place, signature, dated) VALUES (1000000, x'00', ?1)",
            [tx.now().0],
        )?)
    });
    filled.await.unwrap();
    assert_eq!(code(lab.engine.take_signature([2; 32], NOON).await), Code::Conflict);
    lab.clock.advance(SIGNATURE_WINDOW + 1);
    lab.engine.take_signature([2; 32], NOON.plus(MINUTE)).await.unwrap();
}
