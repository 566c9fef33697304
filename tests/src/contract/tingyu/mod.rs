//! The cases of Tingyu.

mod containers;
mod lab;
mod nodes;

use super::Chapter;
pub use lab::TingyuLab;

pub const CHAPTERS: &[Chapter<TingyuLab>] = &[nodes::CHAPTER, containers::CHAPTER];
