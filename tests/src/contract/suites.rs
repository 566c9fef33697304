//! The table of all documents with their cases.

use super::cloud;
use super::document::Document;
use super::mef;
use super::suite::Suite;
use super::tingyu;

/// One suite per contract document, in the order of [`Document::names`]. A dialect's cases are entered below.
pub fn all() -> Vec<Suite> {
    Document::names().map(suite).collect()
}

fn suite(name: &'static str) -> Suite {
    match name {
        "mef-center" => Suite::of(name, mef::CHAPTERS)
            .excused(mef::EXCUSED)
            .departed(mef::DEPARTED),
        "hilens" => Suite::of(name, cloud::HILENS),
        "servicestage-v3" => Suite::of(name, cloud::SERVICESTAGE_V3),
        "tingyu" => Suite::of(name, tingyu::CHAPTERS),
        _ => Suite::empty(name),
    }
}
