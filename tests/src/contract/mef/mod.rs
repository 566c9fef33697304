//! The cases of MEF Center.

mod alarms;
mod apps;
mod certificates;
mod groups;
mod images;
mod instances;
mod lab;
mod limits;
mod logs;
mod nodes;
mod software;
mod wire;

use super::{Chapter, Exception};
pub use lab::MefLab;

pub const CHAPTERS: &[Chapter<MefLab>] = &[
    wire::CHAPTER,
    groups::CHAPTER,
    groups::MEMBERS,
    nodes::CHAPTER,
    apps::CHAPTER,
    instances::CHAPTER,
    alarms::CHAPTER,
    certificates::CHAPTER,
    images::CHAPTER,
    logs::CHAPTER,
    software::CHAPTER,
    limits::CHAPTER,
];

pub const EXCUSED: &[Exception] = &[];

pub const DEPARTED: &[Exception] = &[
    Exception {
        rule: "listUnmanagedNodes/0d65f936",
        why: "the engine's own host may be a node of its lab, and then it is listed like any other",
    },
    Exception {
        rule: "global/c47d1a7f",
        why: "calls may be made in parallel: each checks and writes in one transaction",
    },
    Exception {
        rule: "importCrl/5a3695b7",
        why: "a list is in force at once, for open connections too: a revoked client must not go on until somebody restarts",
    },
    Exception {
        rule: "createLogTask/0543e5e8",
        why: "what was acknowledged survives a restart: a task goes on where it was, and its logs are kept",
    },
    Exception {
        rule: "downloadLogFile/ae243eb9",
        why: "the file survives a restart; that a new task takes its place is createLogTask's rule and holds",
    },
];
