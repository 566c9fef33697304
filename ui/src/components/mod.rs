//! What screens are made of.

pub mod badge;
pub mod basic;
pub mod chart;
pub mod confirm;
pub mod dialog;
pub mod field;
pub mod icon;
pub mod menu;
pub mod table;
pub mod tabs;
pub mod toast;
pub mod upload;

pub use badge::{Sign, StateBadge, sign_of_alarm, sign_of_instance, sign_of_node};
pub use basic::{Button, CopyBox, EmptyState, ErrorBox, Kind, ProgressBar, Skeleton};
pub use chart::Chart;
pub use confirm::Confirm;
pub use dialog::Dialog;
pub use field::{Check, Choice, Field};
pub use icon::{Icon, icon};
pub use menu::{Menu, MenuItem};
pub use table::{Column, SortKey, Table};
pub use tabs::Tabs;
pub use toast::{toast, toast_problem, toast_undo};
pub use upload::Upload;
