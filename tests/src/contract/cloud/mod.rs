//! The cases of the cloud's identity service, which several documents have.

mod hilens;
mod lab;
mod servicestage;

use super::Chapter;
pub use lab::IamLab;

pub const HILENS: &[Chapter<IamLab>] = &[hilens::CHAPTER];
pub const SERVICESTAGE_V3: &[Chapter<IamLab>] = &[servicestage::CHAPTER];
