//! Alarms and events.

use super::lab::{Collects, MefLab, Order, number, until};
use crate::{
    authority::Authority,
    case,
    contract::{Answer, Chapter},
};
use edgedeck_engine::Actor;
use edgedeck_gateway::dialects::mef::MefOptions;
use edgedeck_model::{
    Code, Problem,
    alarm::AlarmKind,
    api::PageQuery,
    certificate::{CaStep, Purpose},
    deployment::Reason,
    node::Facts,
    npu::{NpuChip, NpuHealth},
    time::{DAY, HOUR, SECOND},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const PAGE: [(&str, &str); 2] = [("pageNum", "1"), ("pageSize", "100")];

fn paged<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    PAGE.iter().chain(more).copied().collect()
}

fn records(answer: &Answer) -> Vec<Value> {
    answer.at("/data/records").as_array().cloned().unwrap_or_default()
}

/// The serial numbers that records are about, each once.
async fn serials(lab: &MefLab, operation: &str, query: &[(&str, &str)]) -> anyhow::Result<Vec<String>> {
    let answer = lab.read(operation, &paged(query)).await?;
    let rows = records(&answer);
    anyhow::ensure!(answer.at("/data/total") == rows.len(), "{}", answer.shown());
    let mut found: Vec<String> = rows
        .iter()
        .filter_map(|row| row["serialNumber"].as_str())
        .map(ToOwned::to_owned)
        .collect();
    found.sort();
    found.dedup();
    Ok(found)
}

/// Whose records are listed, by every way to ask.
async fn checks_scopes(lab: &mut MefLab, operation: &str) -> anyhow::Result<()> {
    let group = lab.group().await?;
    let (inside, outside) = (lab.node(&[group]).await?, lab.node(&[]).await?);
    for node in [&inside, &outside] {
        let connected = lab.connect(node, 4, 8192).await?;
        connected.tell(Order::Disk(96.0));
        until!("an alarm of the node", {
            let found = lab.read("listAlarms", &paged(&[("sn", &node.serial)])).await?;
            (!records(&found).is_empty()).then_some(())
        });
    }
    lab.engine()
        .store
        .write(|tx| {
            tx.raise(
                AlarmKind::CertificateExpiring,
                None,
                "test",
                &[("node", "EdgeDeck"), ("days", "3")],
            )
        })
        .await?;
    let group = group.to_string();
    let has = |found: &[String], serial: &str| found.iter().any(|known| known == serial);
    let center = serials(lab, operation, &[("ifCenter", "true")]).await?;
    anyhow::ensure!(center == [""], "of the center: {center:?}");
    let ignored = [("ifCenter", "true"), ("sn", "-"), ("groupId", "x")];
    anyhow::ensure!(serials(lab, operation, &ignored).await? == [""]);
    let nodes = serials(lab, operation, &[("ifCenter", "false")]).await?;
    anyhow::ensure!(
        has(&nodes, &inside.serial) && has(&nodes, &outside.serial) && !has(&nodes, ""),
        "{nodes:?}"
    );
    let all = serials(lab, operation, &[]).await?;
    anyhow::ensure!(
        has(&all, &inside.serial) && has(&all, &outside.serial) && has(&all, ""),
        "{all:?}"
    );
    for more in [&[][..], &[("ifCenter", "false")]] {
        let of_one: Vec<_> = [("sn", outside.serial.as_str())].iter().chain(more).copied().collect();
        anyhow::ensure!(serials(lab, operation, &of_one).await? == [outside.serial.as_str()]);
        let of_group: Vec<_> = [("groupId", group.as_str())].iter().chain(more).copied().collect();
        anyhow::ensure!(serials(lab, operation, &of_group).await? == [inside.serial.as_str()]);
    }
    anyhow::ensure!(serials(lab, operation, &[("sn", "nobody")]).await?.is_empty());
    anyhow::ensure!(serials(lab, operation, &[("groupId", "4000000000")]).await?.is_empty());
    let both = paged(&[("sn", &inside.serial), ("groupId", &group)]);
    lab.unread(operation, "00001005", &both).await?;
    for broken in [
        ("ifCenter", ""),
        ("ifCenter", "yes"),
        ("sn", ""),
        ("sn", "a b"),
        ("groupId", "0"),
    ] {
        lab.unread(operation, "00001005", &paged(&[broken])).await?;
    }
    lab.unread(operation, "00001001", &paged(&[("groupId", "")])).await?;
    lab.unread(operation, "00001001", &[]).await?;
    lab.unread(operation, "00001005", &[("pageNum", "0"), ("pageSize", "1")])
        .await?;
    let first = lab.read(operation, &[("pageNum", "1"), ("pageSize", "1")]).await?;
    let whole = lab.read(operation, &PAGE).await?;
    anyhow::ensure!(records(&first)[..] == records(&whole)[..1] && first.at("/data/total") == whole.at("/data/total"));
    let far = lab.read(operation, &[("pageNum", "1000"), ("pageSize", "100")]).await?;
    anyhow::ensure!(*far.at("/data/records") == json!([]), "{}", far.shown());
    Ok(())
}

/// What happens when the store fails under each way to ask.
async fn checks_failures(lab: &mut MefLab, operation: &str, table: &'static str) -> anyhow::Result<()> {
    let group = lab.group().await?;
    let id = group.to_string();
    lab.unread_without(table, operation, "50011001", &paged(&[("ifCenter", "true")]))
        .await?;
    lab.unread_without(table, operation, "50011002", &paged(&[("ifCenter", "false")]))
        .await?;
    lab.unread_without(table, operation, "50011003", &paged(&[("groupId", &id)]))
        .await?;
    lab.unread_without(table, operation, "50011004", &PAGE).await?;
    lab.unread_without("node_group", operation, "50011005", &paged(&[("groupId", &id)]))
        .await?;
    let uuid = lab.group_id(group)?.0.simple();
    lab.sql(format!(
        "UPDATE node_group SET doc = json_object('name', 'damaged') WHERE id = x'{uuid}'"
    ))
    .await?;
    lab.unread(operation, "50011006", &paged(&[("groupId", &id)])).await?;
    lab.sql(format!("DELETE FROM node_group WHERE id = x'{uuid}'")).await
}

/// The alarms of a node once there are so many.
async fn alarms_of(lab: &MefLab, serial: &str, count: usize) -> anyhow::Result<Vec<Value>> {
    let found = until!(format!("{count} alarms"), {
        let found = records(&lab.read("listAlarms", &paged(&[("sn", serial)])).await?);
        (found.len() == count).then_some(found)
    });
    Ok(found)
}

/// The kinds (`alarmId`) of all alarms that are raised, or of all events.
async fn kinds(lab: &MefLab, list: &str, get: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut kinds = BTreeSet::new();
    for row in records(&lab.read(list, &PAGE).await?) {
        let id = row["id"].to_string();
        let detail = lab.ask(get, &[("id", &id)]).await?;
        // One that has cleared meanwhile is none any more.
        kinds.extend(detail.at("/data/alarmId").as_str().map(ToOwned::to_owned));
    }
    Ok(kinds)
}

pub const CHAPTER: Chapter<MefLab> = Chapter {
    name: "alarms",
    cases: &[
        case! {
            operation: "getAlarm",
            async |lab: &mut MefLab| {
                // It moves the clock by years, which is nothing for the lab of the others.
                let mut own = MefLab::start_with(lab.recording(), MefOptions { limited: false }).await?;
                lab.read("getEdgeManagerVersion", &[]).await?;
                let lab = &mut own;
                let group = lab.group().await?;
                let node = lab.node(&[group]).await?;
                let mut connected = lab.connect(&node, 4, 8192).await?;
                let app = lab.app().await?;
                lab.done("deployApp", json!({ "appID": app, "nodeGroupIds": [group] })).await?;
                lab.until_instances(app, 1, "running").await?;
                let raised = async |id: &str, is: bool| {
                    until!(format!("{id} that is {is}"), {
                        (kinds(lab, "listAlarms", "getAlarm").await?.contains(id) == is).then_some(())
                    });
                    anyhow::Ok(())
                };
                // Of the node, by what it tells of itself; each clears by itself.
                let well = connected.facts.clone();
                let chip = NpuChip { health: NpuHealth::Alarm, ..NpuChip::default() };
                for (id, facts) in [
                    ("0x00131001", Facts { runtime_problem: Some("no answer".to_owned()), ..well.clone() }),
                    ("0x00131011", Facts { agent_space_low: true, ..well.clone() }),
                    ("0x00131012", Facts { npus: vec![chip], ..well.clone() }),
                    ("0x00131014", Facts { agent_damaged: Some("desired.cbor".to_owned()), ..well.clone() }),
                ] {
                    connected.facts = facts.clone();
                    connected.tell(Order::Facts(Box::new(facts)));
                    raised(id, true).await?;
                    connected.tell(Order::Facts(Box::new(well.clone())));
                    raised(id, false).await?;
                }
                // By what its containers do.
                for (id, ill) in [("0x00131002", (true, None)), ("0x00131003", (false, Some(Reason::NoSuchDevice)))] {
                    connected.tell(Order::Suffer(ill.0, ill.1));
                    raised(id, true).await?;
                    connected.tell(Order::Suffer(false, None));
                    raised(id, false).await?;
                }
                // Of the center: authorities that end within the time of the alarm, which those of the tests do.
                for purpose in Purpose::ALL {
                    let authority = Authority::root(purpose.key())?;
                    lab.engine().import_authority(&Actor::engine(), purpose, authority.pem.clone()).await?;
                    lab.engine().import_revocations(&Actor::engine(), purpose, authority.crl(&[])?).await?;
                }
                lab.clock.advance(HOUR);
                lab.engine().tick().await;
                let center = ["0x01000001", "0x01000002", "0x01000003"];
                let now = kinds(lab, "listAlarms", "getAlarm").await?;
                anyhow::ensure!(center.iter().all(|id| now.contains(*id)) && !now.contains("0x0100e002"), "{now:?}");
                for purpose in Purpose::ALL {
                    lab.engine().delete_authority(&Actor::engine(), purpose).await?;
                }
                lab.clock.advance(HOUR);
                lab.engine().tick().await;
                let now = kinds(lab, "listAlarms", "getAlarm").await?;
                anyhow::ensure!(center.iter().all(|id| !now.contains(*id)), "{now:?}");
                // The lab's own certificates, and the node's, which a box of the tests does not renew.
                lab.clock.advance(70 * DAY);
                connected.tell(Order::Disk(1.0));
                lab.engine().tick().await;
                raised("0x00131013", true).await?;
                // Both are renewed by themselves before the usual notice; a lab may want to hear of it sooner.
                let mut settings = edgedeck_model::api::Settings::clone(&lab.engine().settings());
                settings.thresholds.certificate_days = 365;
                lab.engine().update_settings(&Actor::engine(), settings).await?;
                lab.clock.advance(500 * DAY);
                lab.engine().tick().await;
                raised("0x01000005", true).await?;
                lab.clock.advance(6_430 * DAY);
                lab.engine().tick().await;
                raised("0x01000004", true).await?;
                own.running.stop().await;
            }
        },
        case! {
            operation: "getEvent",
            async |lab: &mut MefLab| {
                // It moves the clock by years, which is nothing for the lab of the others.
                let mut own = MefLab::start_with(lab.recording(), MefOptions { limited: false }).await?;
                lab.read("getEdgeManagerVersion", &[]).await?;
                let lab = &mut own;
                // Certificates are looked at every hour, and the next is near.
                lab.clock.advance(HOUR - 5 * SECOND);
                let node = lab.node(&[]).await?;
                let connected = lab.connect(&node, 4, 8192).await?;
                let told = async |id: &str| {
                    until!(format!("event {id}"), { kinds(lab, "listEvents", "getEvent").await?.contains(id).then_some(()) });
                    anyhow::Ok(())
                };
                for (problem, id) in [
                    (Problem::invalid("package", "software-package"), "0x00135001"),
                    (Problem::new(Code::NotBuilt), "0x00135002"),
                ] {
                    connected.tell(Order::Collects(Collects::Refuses(problem)));
                    lab.engine().collect_logs(&Actor::engine(), vec![node.id]).await?;
                    told(id).await?;
                    until!("end of the job", {
                        let query = PageQuery::default();
                        lab.engine().list_jobs(&query)?.items.iter().all(|job| job.state.is_over()).then_some(())
                    });
                }
                // Connected, and with a certificate that it should have renewed a while ago.
                let ends = lab.clock.now().plus(10 * DAY).0;
                lab.sql(format!("UPDATE node SET doc = json_set(doc, '$.certificate_ends', {ends})")).await?;
                lab.clock.advance(10 * SECOND);
                lab.engine().tick().await;
                told("0x01000006").await?;
                // The connected box is one whose agent knows nothing of a change of the CA.
                lab.engine().change_ca(&Actor::engine(), CaStep::Begin, false).await?;
                lab.clock.advance(2 * DAY);
                lab.engine().tick().await;
                told("0x01000007").await?;
                own.running.stop().await;
            }
        },
        case! {
            operation: "listAlarms",
            rules: [
                "listAlarms/c7567095", "listAlarms/0baee26a", "listAlarms/2a876944", "listAlarms/79115104", "listAlarms/1ef136ae",
                "listAlarms/4011362e", "listAlarms/af83cfd4", "listAlarms/1c56b091", "listAlarms/85dfd7e2",
            ],
            errors: ["listAlarms/400/00001001", "listAlarms/400/00001005"],
            async |lab: &mut MefLab| {
                checks_scopes(lab, "listAlarms").await?;
            }
        },
        case! {
            operation: "listEvents",
            rules: [
                "listEvents/c7567095", "listEvents/0baee26a", "listEvents/2a876944", "listEvents/79115104", "listEvents/1ef136ae",
                "listEvents/4011362e", "listEvents/af83cfd4", "listEvents/1c56b091", "listEvents/85dfd7e2",
            ],
            errors: ["listEvents/400/00001001", "listEvents/400/00001005"],
            async |lab: &mut MefLab| {
                checks_scopes(lab, "listEvents").await?;
            }
        },
        case! {
            operation: "listAlarms",
            rules: ["listAlarms/f255cc63", "listAlarms/c624c80c", "listAlarms/80aa889f"],
            async |lab: &mut MefLab| {
                let node = lab.node(&[]).await?;
                let connected = lab.connect(&node, 4, 8192).await?;
                connected.tell(Order::Disk(95.0));
                let raised = alarms_of(lab, &node.serial, 1).await?;
                anyhow::ensure!(raised[0]["alarmType"] == "alarm" && raised[0]["severity"] == "MINOR" && raised[0]["ip"] == "192.0.2.10", "{raised:?}");
                lab.engine().store.write(move |tx| tx.raise(AlarmKind::DiskFull, Some(node.id), "", &[("percent", "97")])).await?;
                connected.tell(Order::Disk(97.0));
                anyhow::ensure!(alarms_of(lab, &node.serial, 1).await? == raised, "it was raised twice");
                connected.tell(Order::Disk(10.0));
                alarms_of(lab, &node.serial, 0).await?;
                lab.unread("getAlarm", "50011007", &[("id", &raised[0]["id"].to_string())]).await?;
            }
        },
        case! {
            operation: "listAlarms",
            errors: [
                "listAlarms/400/50011001", "listAlarms/400/50011002", "listAlarms/400/50011003", "listAlarms/400/50011004",
                "listAlarms/400/50011005", "listAlarms/400/50011006",
            ],
            async |lab: &mut MefLab| {
                checks_failures(lab, "listAlarms", "alarm").await?;
            }
        },
        case! {
            operation: "listEvents",
            errors: [
                "listEvents/400/50011001", "listEvents/400/50011002", "listEvents/400/50011003", "listEvents/400/50011004",
                "listEvents/400/50011005", "listEvents/400/50011006",
            ],
            async |lab: &mut MefLab| {
                checks_failures(lab, "listEvents", "event").await?;
            }
        },
        case! {
            operation: "listEvents",
            rules: ["listEvents/b2a87b85", "listEvents/82eb04ad"],
            async |lab: &mut MefLab| {
                let node = lab.node(&[]).await?;
                for round in 0..60 {
                    let days = round.to_string();
                    lab.clock.advance(1_000);
                    lab.engine().store.write(move |tx| {
                        tx.event(edgedeck_model::event::EventKind::NodeDegraded, Some(node.id), &[("node", "x"), ("detail", &days)])
                    }).await?;
                }
                let answer = lab.read("listEvents", &paged(&[("sn", &node.serial)])).await?;
                let rows = records(&answer);
                anyhow::ensure!(rows.len() == 50 && answer.at("/data/total") == 50, "{} rows", rows.len());
                anyhow::ensure!(rows.iter().all(|row| row["alarmType"] == "event"), "{}", answer.shown());
                let oldest = lab.read("getEvent", &[("id", &rows[49]["id"].to_string())]).await?;
                let told = oldest.at("/data/detailedInformation").as_str().unwrap_or_default().to_owned();
                anyhow::ensure!(told.ends_with("10"), "the oldest that is kept says: {told}");
            }
        },
        case! {
            operation: "getAlarm",
            rules: ["getAlarm/cf07c4e6", "getAlarm/4ba858f6"],
            errors: ["getAlarm/400/00001001", "getAlarm/400/00001005", "getAlarm/400/50011007"],
            async |lab: &mut MefLab| {
                let alarms = records(&lab.read("listAlarms", &PAGE).await?);
                let events = records(&lab.read("listEvents", &PAGE).await?);
                for row in &alarms {
                    let detail = lab.read("getAlarm", &[("id", &row["id"].to_string())]).await?;
                    for key in ["id", "createAt", "ip", "serialNumber", "resource", "alarmType"] {
                        anyhow::ensure!(detail.at(&format!("/data/{key}")) == &row[key], "{key} of {}", detail.shown());
                    }
                    let kind = detail.at("/data/alarmId").as_str().unwrap_or_default().to_owned();
                    let is_hex = kind.strip_prefix("0x0").is_some_and(|rest| rest.len() == 7 && rest.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')));
                    anyhow::ensure!(is_hex && detail.at("/data/perceivedSeverity") == &row["severity"], "{}", detail.shown());
                }
                anyhow::ensure!(alarms.len() >= 2 && !events.is_empty());
                lab.unread("getAlarm", "00001005", &[("id", &events[0]["id"].to_string())]).await?;
                lab.unread("getAlarm", "00001005", &[("id", "0")]).await?;
                lab.unread("getAlarm", "00001001", &[("id", "0x00131001")]).await?;
                lab.unread("getAlarm", "50011007", &[("id", "4000000000")]).await?;
            }
        },
        case! {
            operation: "getEvent",
            rules: ["getEvent/cf07c4e6", "getEvent/12b135cc"],
            errors: ["getEvent/400/00001001", "getEvent/400/00001005", "getEvent/400/50011007"],
            async |lab: &mut MefLab| {
                let alarms = records(&lab.read("listAlarms", &PAGE).await?);
                let events = records(&lab.read("listEvents", &PAGE).await?);
                let numbers: Vec<u32> = events.iter().map(|row| number(&row["id"])).collect::<anyhow::Result<_>>()?;
                for (id, row) in numbers.iter().zip(&events).take(20) {
                    let detail = lab.read("getEvent", &[("id", &id.to_string())]).await?;
                    anyhow::ensure!(detail.at("/data/createAt") == &row["createAt"] && detail.at("/data/id") == *id, "{}", detail.shown());
                }
                lab.unread("getEvent", "00001005", &[("id", &alarms[0]["id"].to_string())]).await?;
                lab.unread("getEvent", "00001001", &[]).await?;
                lab.unread("getEvent", "50011007", &[("id", "4000000000")]).await?;
            }
        },
    ],
};
