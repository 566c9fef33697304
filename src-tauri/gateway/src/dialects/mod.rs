//! Dialects: the APIs of other systems, as projections of the one domain.

pub mod cloud;
pub mod mef;
mod times;
pub mod tingyu;
