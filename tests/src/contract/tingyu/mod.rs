//! The cases of Tingyu.

mod lab;
mod metering;
mod nodes;

use super::Chapter;
pub use lab::TingyuLab;

pub const CHAPTERS: &[Chapter<TingyuLab>] = &[nodes::CHAPTER, metering::CHAPTER];
