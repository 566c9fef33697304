//! What containers used: reports of nodes added up by window and by hour, and asked for.
//!
//! A node sends a report until it is stored; its mark says which were added, so none is added twice. What a node says is
//! bounded before it is believed.

mod report;

use crate::{Engine, error::Result, store::Tx};
use edgedeck_model::{
    NodeId, Time,
    metering::{KEPT_BY_NODES, PartUsage, TrafficSource, UsageBy, Used, WINDOW, split_image, window_of},
    name,
    time::{DAY, HOUR, MINUTE},
};
use edgedeck_protocol::Usage;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;
use uuid::Uuid;

/// How long sums are kept: those of the lab by window, of the lab by hour, and of each node by hour.
const WINDOWS_KEPT: i64 = 35 * DAY;
const HOURS_KEPT: i64 = 400 * DAY;
const NODE_HOURS_KEPT: i64 = 35 * DAY;
/// A window from further ahead than this cannot be right, nor one that is older than nodes keep.
const AHEAD_MAX: i64 = 5 * MINUTE;
const LATE_MAX: i64 = KEPT_BY_NODES + DAY;
/// Most parts of one report, and most images of one node in an hour.
const PARTS_MAX: usize = 1_000;
const IMAGES_MAX: u32 = 1_000;
/// Longest repository or tag, in characters.
const NAME_MAX: usize = 255;
/// The most that one part can have used in a window, and have in memory or on the disk.
const TRAFFIC_MAX: u64 = 1 << 44;
const CPU_MS_MAX: u64 = 4_096 * WINDOW as u64;
const BYTES_MAX: u64 = 1 << 50;
/// No sum grows beyond this, whatever nodes say: integers of the database must not overflow.
const SUM_MAX: u64 = 1 << 60;

/// How finely time is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageStep {
    /// [`WINDOW`]; of the lab as a whole only.
    Window,
    Hour,
}

impl UsageStep {
    /// In milliseconds.
    pub fn length(self) -> i64 {
        match self {
            Self::Window => WINDOW,
            Self::Hour => HOUR,
        }
    }
}

/// Asks for what was used in steps that begin in a period.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageFind {
    pub from: Time,
    /// Not in it any more.
    pub to: Time,
    pub step: UsageStep,
    pub by: UsageBy,
    /// A repository, or its last component.
    pub image: Option<String>,
    pub tag: Option<String>,
    /// Asked for, [`UsageStep::Hour`] is used.
    pub node: Option<NodeId>,
}

/// What was used in one step. What it is not summed by is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct UsageBucket {
    pub start: Time,
    /// In milliseconds.
    pub length: i64,
    pub repository: String,
    pub tag: String,
    pub node: Option<NodeId>,
    pub used: Used,
}

impl Engine {
    /// Adds a report, unless it was added before.
    pub(crate) async fn take_usage(&self, node: NodeId, usage: Usage) -> Result<()> {
        self.store.write(move |tx| add_report(tx, node, usage)).await
    }

    /// What was used, by time and then by what it is summed by.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn usage(&self, find: &UsageFind) -> Result<Vec<UsageBucket>> {
        self.store.read(|connection| select(connection, find))
    }

    /// Forgets sums that are older than they are kept.
    pub(crate) async fn retain_usage(&self) -> Result<()> {
        self.store
            .write(|tx| {
                let before = |kept: i64| tx.now().plus(-kept).0;
                tx.execute("DELETE FROM usage_window WHERE start < ?1", [before(WINDOWS_KEPT)])?;
                tx.execute("DELETE FROM usage_hour WHERE start < ?1", [before(HOURS_KEPT)])?;
                tx.execute(
                    "DELETE FROM usage_node_hour WHERE start < ?1",
                    [before(NODE_HOURS_KEPT)],
                )?;
                // What is in a window is in its hour, which is kept longer.
                tx.execute(
                    "DELETE FROM metered_image WHERE id NOT IN (SELECT image FROM usage_hour)",
                    [],
                )?;
                tx.execute("DELETE FROM usage_mark WHERE node NOT IN (SELECT id FROM node)", [])?;
                Ok(())
            })
            .await
    }
}

fn add_report(tx: &mut Tx<'_>, node: NodeId, usage: Usage) -> Result<()> {
    // SQLite's integers have a sign; an epoch is only compared.
    let epoch = usage.epoch.cast_signed();
    let Ok(number) = i64::try_from(usage.number) else {
        return Ok(());
    };
    let mark = tx
        .prepare_cached("SELECT number FROM usage_mark WHERE node = ?1 AND epoch = ?2")?
        .query_row(params![node.0, epoch], |row| row.get::<_, i64>(0))
        .optional()?;
    if mark.is_some_and(|mark| number <= mark) {
        return Ok(());
    }
    tx.prepare_cached("INSERT OR REPLACE INTO usage_mark (node, epoch, number) VALUES (?1, ?2, ?3)")?
        .execute(params![node.0, epoch, number])?;
    let now = tx.now();
    let is_likely = usage.window <= now.plus(AHEAD_MAX) && usage.window >= now.plus(-LATE_MAX);
    let window = window_of(if is_likely { usage.window.min(now) } else { now });
    let hour = window.plus(-window.0.rem_euclid(HOUR));
    let mut sums: BTreeMap<(String, String), Used> = BTreeMap::new();
    for part in usage.parts.iter().take(PARTS_MAX) {
        let (repository, tag) = split_image(&part.image);
        let (repository, tag) = (name::tame(repository, NAME_MAX), name::tame(tag, NAME_MAX));
        if !repository.is_empty() {
            sums.entry((repository, tag)).or_default().add(&bounded(part));
        }
    }
    for ((repository, tag), used) in sums {
        let Some(image) = image_number(tx, &repository, &tag, hour, node)? else {
            tracing::warn!(%node, "a node names more images than it can have run in an hour");
            return Ok(());
        };
        add_used(tx, "usage_window (start, image, ", &[&window.0, &image], &used)?;
        add_used(tx, "usage_hour (start, image, ", &[&hour.0, &image], &used)?;
        add_used(
            tx,
            "usage_node_hour (start, node, image, ",
            &[&hour.0, &node.0, &image],
            &used,
        )?;
    }
    Ok(())
}

/// What one part says that it used, no more than can be.
fn bounded(part: &PartUsage) -> Used {
    let measured_ms = part.measured_ms.min(WINDOW as u64);
    let seconds = measured_ms as f64 / 1_000.0;
    let is_uncounted = part.traffic == TrafficSource::Nothing;
    Used {
        sent_bytes: part.sent_bytes.min(TRAFFIC_MAX),
        received_bytes: part.received_bytes.min(TRAFFIC_MAX),
        cpu_ms: part.cpu_ms.min(CPU_MS_MAX),
        memory_byte_seconds: part.memory_bytes.min(BYTES_MAX) as f64 * seconds,
        disk_byte_seconds: part.disk_bytes.min(BYTES_MAX) as f64 * seconds,
        measured_ms,
        uncounted_ms: if is_uncounted { measured_ms } else { 0 },
    }
}

/// The number of an image; `None` where a node names one more than it may.
fn image_number(tx: &Tx<'_>, repository: &str, tag: &str, hour: Time, node: NodeId) -> Result<Option<i64>> {
    let known = tx
        .prepare_cached("SELECT id FROM metered_image WHERE repository = ?1 AND tag = ?2")?
        .query_row(params![repository, tag], |row| row.get(0))
        .optional()?;
    if known.is_some() {
        return Ok(known);
    }
    let named: u32 = tx
        .prepare_cached("SELECT count(*) FROM usage_node_hour WHERE start = ?1 AND node = ?2")?
        .query_row(params![hour.0, node.0], |row| row.get(0))?;
    if named >= IMAGES_MAX {
        return Ok(None);
    }
    tx.prepare_cached("INSERT INTO metered_image (repository, tag) VALUES (?1, ?2)")?
        .execute(params![repository, tag])?;
    Ok(Some(tx.last_insert_rowid()))
}

/// Adds to the row of a key, making it where it is not there.
fn add_used(tx: &Tx<'_>, table: &str, key: &[&dyn rusqlite::ToSql], used: &Used) -> Result<()> {
    let places: Vec<String> = (1..=key.len() + 7).map(|at| format!("?{at}")).collect();
    let adds = ["sent", "received", "cpu_ms", "measured_ms", "uncounted_ms"]
        .map(|name| format!("{name} = min({name} + excluded.{name}, {SUM_MAX})"));
    let sql = format!(
        "INSERT INTO {table}sent, received, cpu_ms, memory, disk, measured_ms, uncounted_ms) VALUES ({}) \
         ON CONFLICT DO UPDATE SET {}, memory = memory + excluded.memory, disk = disk + excluded.disk",
        places.join(", "),
        adds.join(", ")
    );
    let values: [&dyn rusqlite::ToSql; 7] = [
        &used.sent_bytes,
        &used.received_bytes,
        &used.cpu_ms,
        &used.memory_byte_seconds,
        &used.disk_byte_seconds,
        &used.measured_ms,
        &used.uncounted_ms,
    ];
    tx.prepare_cached(&sql)?.execute(&*[key, &values].concat())?;
    Ok(())
}

fn select(connection: &Connection, find: &UsageFind) -> Result<Vec<UsageBucket>> {
    let by_node = find.by == UsageBy::Node || find.node.is_some();
    let (table, length) = match find.step {
        _ if by_node => ("usage_node_hour", HOUR),
        UsageStep::Hour => ("usage_hour", HOUR),
        UsageStep::Window => ("usage_window", WINDOW),
    };
    let keys = match find.by {
        UsageBy::Total => "'' AS repository, '' AS tag, NULL AS node",
        UsageBy::Image => "repository, '' AS tag, NULL AS node",
        UsageBy::Version => "repository, tag, NULL AS node",
        UsageBy::Node => "'' AS repository, '' AS tag, node",
    };
    let mut conditions = vec!["start >= ?1 AND start < ?2".to_owned()];
    if find.image.is_some() || find.tag.is_some() {
        conditions.push(format!("image IN ({})", images(connection, find)?.join(", ")));
    }
    if find.node.is_some() {
        conditions.push("node = ?3".to_owned());
    } else {
        conditions.push("?3 IS NULL".to_owned());
    }
    let sql = format!(
        "SELECT start, {keys}, total(sent), total(received), total(cpu_ms), total(memory), total(disk), total(measured_ms), total(uncounted_ms) \
         FROM {table} JOIN metered_image ON metered_image.id = image WHERE {} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
        conditions.join(" AND ")
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params![find.from.0, find.to.0, find.node.map(|node| node.0)], |row| {
        Ok(UsageBucket {
            start: Time(row.get(0)?),
            length,
            repository: row.get(1)?,
            tag: row.get(2)?,
            node: row.get::<_, Option<Uuid>>(3)?.map(NodeId),
            used: Used {
                sent_bytes: whole(row, 4)?,
                received_bytes: whole(row, 5)?,
                cpu_ms: whole(row, 6)?,
                memory_byte_seconds: row.get(7)?,
                disk_byte_seconds: row.get(8)?,
                measured_ms: whole(row, 9)?,
                uncounted_ms: whole(row, 10)?,
            },
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A sum, which the database makes with floating point so that it cannot overflow.
fn whole(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, f64>(column).map(|sum| sum as u64)
}

/// Numbers of the images that are asked for.
fn images(connection: &Connection, find: &UsageFind) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached("SELECT id, repository, tag FROM metered_image")?;
    let mut rows = statement.query([])?;
    let mut numbers = Vec::new();
    while let Some(row) = rows.next()? {
        let (repository, tag) = (row.get::<_, String>(1)?, row.get::<_, String>(2)?);
        let is_image = |asked: &String| repository == *asked || repository.rsplit('/').next() == Some(asked);
        if find.image.as_ref().is_none_or(is_image) && find.tag.as_ref().is_none_or(|asked| tag == *asked) {
            numbers.push(row.get::<_, i64>(0)?.to_string());
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Clock, Options};
    use edgedeck_model::{PlacementId, VersionId};
    use std::{collections::BTreeSet, sync::Arc};

    const NOON: Time = Time(1_790_000_100_000);

    struct Lab {
        engine: Arc<Engine>,
        _data: tempfile::TempDir,
    }

    impl Lab {
        async fn open() -> Self {
            let data = tempfile::tempdir().unwrap();
            let engine = Engine::open(Options {
                data: data.path().join("lab"),
                clock: Clock::manual(NOON),
                hosts: BTreeSet::new(),
                addresses: Vec::new(),
            });
            Self {
                engine: engine.await.unwrap(),
                _data: data,
            }
        }

        async fn take(&self, node: NodeId, number: u64, window: Time, parts: Vec<PartUsage>) {
            let usage = Usage {
                epoch: u64::MAX,
                number,
                window,
                parts,
            };
            self.engine.take_usage(node, usage).await.unwrap();
        }

        fn sent(&self, step: UsageStep, by: UsageBy, change: impl FnOnce(&mut UsageFind)) -> Vec<(i64, String, u64)> {
            let mut find = UsageFind {
                from: Time(0),
                to: Time(i64::MAX),
                step,
                by,
                image: None,
                tag: None,
                node: None,
            };
            change(&mut find);
            let buckets = self.engine.usage(&find).unwrap();
            let name = |bucket: &UsageBucket| format!("{} {}", bucket.repository, bucket.tag).trim().to_owned();
            buckets
                .iter()
                .map(|bucket| {
                    (
                        bucket.start.since(window_of(NOON)),
                        name(bucket),
                        bucket.used.sent_bytes,
                    )
                })
                .collect()
        }
    }

    fn part(image: &str, sent_bytes: u64) -> PartUsage {
        PartUsage {
            placement: PlacementId(Uuid::nil()),
            part: "main".to_owned(),
            version: VersionId(Uuid::nil()),
            image: image.to_owned(),
            traffic: TrafficSource::ControlGroup,
            sent_bytes,
            received_bytes: sent_bytes.saturating_mul(2),
            cpu_ms: 1_000,
            memory_bytes: 100,
            disk_bytes: 10,
            measured_ms: 150_000,
        }
    }

    fn node(number: u128) -> NodeId {
        NodeId(Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn reports_add_up_and_count_once() {
        let lab = Lab::open().await;
        let now = window_of(NOON);
        lab.take(node(1), 5, now, vec![part("pcdn:v1", 10), part("pcdn:v1", 1)])
            .await;
        lab.take(node(1), 5, now, vec![part("pcdn:v1", 10)]).await;
        lab.take(node(1), 4, now, vec![part("pcdn:v1", 10)]).await;
        lab.take(node(1), 6, now, vec![part("pcdn:v1", 100)]).await;
        lab.take(
            node(2),
            6,
            now,
            vec![part("pcdn:v2", 1_000), part("lab:5443/cdn/pcdn", 5)],
        )
        .await;
        lab.take(node(2), 7, now.plus(-HOUR), vec![part("other:1", 7)]).await;
        let total = lab.sent(UsageStep::Window, UsageBy::Total, |_| {});
        assert_eq!(total, [(-HOUR, String::new(), 7), (0, String::new(), 1_116)]);
        let of = |image: &str, tag: Option<&str>| {
            let (image, tag) = (Some(image.to_owned()), tag.map(str::to_owned));
            lab.sent(UsageStep::Window, UsageBy::Version, |find| {
                (find.image, find.tag) = (image, tag);
            })
        };
        assert_eq!(
            of("pcdn", None),
            [
                (0, "lab:5443/cdn/pcdn latest".to_owned(), 5),
                (0, "pcdn v1".to_owned(), 111),
                (0, "pcdn v2".to_owned(), 1_000)
            ]
        );
        assert_eq!(of("lab:5443/cdn/pcdn", None).len(), 1);
        assert_eq!(of("pcdn", Some("v2")), [(0, "pcdn v2".to_owned(), 1_000)]);
        assert_eq!(of("cdn", None), []);
        let hours = lab.sent(UsageStep::Hour, UsageBy::Node, |_| {});
        let sent: Vec<u64> = hours.iter().map(|(_, _, sent)| *sent).collect();
        assert_eq!(sent, [7, 111, 1_005]);
        let one = lab.sent(UsageStep::Hour, UsageBy::Image, |find| find.node = Some(node(1)));
        assert_eq!(
            one.iter()
                .map(|(_, name, sent)| (name.as_str(), *sent))
                .collect::<Vec<_>>(),
            [("pcdn", 111)]
        );
        let of_lab = lab.sent(UsageStep::Hour, UsageBy::Total, |_| {});
        assert_eq!(of_lab.iter().map(|(_, _, sent)| sent).sum::<u64>(), 1_123);
    }

    #[tokio::test]
    async fn levels_are_means_over_time() {
        let lab = Lab::open().await;
        let now = window_of(NOON);
        let uncounted = PartUsage {
            traffic: TrafficSource::Nothing,
            ..part("a:1", 0)
        };
        lab.take(node(1), 1, now, vec![part("a:1", 0), part("a:1", 0), uncounted])
            .await;
        let find = UsageFind {
            from: now,
            to: now.plus(1),
            step: UsageStep::Window,
            by: UsageBy::Total,
            image: None,
            tag: None,
            node: None,
        };
        let used = lab.engine.usage(&find).unwrap().remove(0).used;
        assert_eq!((used.memory_bytes(WINDOW), used.disk_bytes(WINDOW)), (150.0, 15.0));
        assert_eq!((used.cores(WINDOW), used.containers(WINDOW)), (0.01, 2));
        assert_eq!((used.measured_ms, used.uncounted_ms), (450_000, 150_000));
        assert_eq!(
            lab.engine
                .usage(&UsageFind {
                    from: now.plus(1),
                    to: now.plus(WINDOW),
                    ..find
                })
                .unwrap(),
            []
        );
    }

    #[tokio::test]
    async fn what_cannot_be_is_bounded() {
        let lab = Lab::open().await;
        let now = window_of(NOON);
        let absurd = PartUsage {
            received_bytes: u64::MAX,
            cpu_ms: u64::MAX,
            memory_bytes: u64::MAX,
            disk_bytes: u64::MAX,
            measured_ms: u64::MAX,
            ..part("a:1", u64::MAX)
        };
        for number in 1..40 {
            lab.take(node(1), number, now, vec![absurd.clone(); 2 * PARTS_MAX])
                .await;
            lab.take(node(2), number, now, vec![absurd.clone(); 2 * PARTS_MAX])
                .await;
        }
        // It adds up to nonsense, but it adds up.
        assert!(lab.sent(UsageStep::Window, UsageBy::Total, |_| {})[0].2 >= SUM_MAX / 4);
        // A clock that is wrong, either way.
        let times = [
            Time(i64::MAX),
            now.plus(DAY),
            Time(i64::MIN),
            Time(0),
            now.plus(-LATE_MAX - 1),
        ];
        for (number, at) in (1..).zip(times) {
            lab.take(node(3), number, at, vec![part("b:1", 1)]).await;
        }
        lab.take(node(3), 9, now.plus(WINDOW), vec![part("b:1", 1)]).await;
        let sent = lab.sent(UsageStep::Window, UsageBy::Image, |find| {
            find.image = Some("b".to_owned())
        });
        assert_eq!(sent, [(0, "b".to_owned(), 6)]);
        // Names: none, control characters, without end.
        let long = "x".repeat(10_000);
        let names = vec![part("", 1), part("\u{7}\n", 1), part(&format!("{long}:{long}"), 1)];
        lab.take(node(4), 1, now, names).await;
        let all = lab.sent(UsageStep::Hour, UsageBy::Version, |find| find.node = Some(node(4)));
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].1.chars().count(), 2 * NAME_MAX + 1);
        lab.take(node(4), u64::MAX, now, vec![part("c:1", 1)]).await;
        assert_eq!(
            lab.sent(UsageStep::Window, UsageBy::Image, |find| find.image =
                Some("c".to_owned())),
            []
        );
    }

    #[tokio::test]
    async fn a_node_names_only_so_many_images() {
        let lab = Lab::open().await;
        let now = window_of(NOON);
        let parts = |from: u32| (from..from + 900).map(|n| part(&format!("i{n}:1"), 1)).collect();
        lab.take(node(1), 1, now, parts(0)).await;
        lab.take(node(1), 2, now, parts(1_000)).await;
        lab.take(node(2), 1, now, parts(2_000)).await;
        let images = lab.sent(UsageStep::Window, UsageBy::Image, |_| {});
        assert_eq!(images.len(), IMAGES_MAX as usize + 900);
    }

    #[tokio::test]
    async fn sums_go_when_their_time_has_come() {
        let lab = Lab::open().await;
        lab.take(node(1), 1, window_of(NOON), vec![part("a:1", 1)]).await;
        let counts = || {
            let count = |table: &str| {
                let sql = format!("SELECT count(*) FROM {table}");
                let read = lab
                    .engine
                    .store
                    .read(|connection| Ok(connection.query_row(&sql, [], |row| row.get::<_, u32>(0))?));
                read.unwrap()
            };
            [
                "usage_window",
                "usage_hour",
                "usage_node_hour",
                "metered_image",
                "usage_mark",
            ]
            .map(count)
        };
        lab.engine.retain_usage().await.unwrap();
        // The node was removed, which takes nothing but its mark.
        assert_eq!(counts(), [1, 1, 1, 1, 0]);
        lab.engine.clock.advance(36 * DAY);
        lab.engine.retain_usage().await.unwrap();
        assert_eq!(counts(), [0, 1, 0, 1, 0]);
        lab.engine.clock.advance(365 * DAY);
        lab.engine.retain_usage().await.unwrap();
        assert_eq!(counts(), [0, 0, 0, 0, 0]);
    }
}
