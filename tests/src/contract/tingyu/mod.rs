//! The cases of Tingyu.

mod containers;
mod files;
mod images;
mod lab;
mod metering;
mod nodes;

use super::Chapter;
pub use lab::TingyuLab;

pub const CHAPTERS: &[Chapter<TingyuLab>] = &[
    nodes::CHAPTER,
    containers::CHAPTER,
    images::CHAPTER,
    files::CHAPTER,
    metering::CHAPTER,
];
