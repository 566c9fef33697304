//! Signs in thin lines, 16 by 16.

use leptos::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    Overview,
    Nodes,
    Groups,
    Join,
    Apps,
    Deployments,
    Alarms,
    Events,
    Reports,
    Settings,
    Users,
    Audit,
    Search,
    Close,
    Check,
    Copy,
    Plus,
    Trash,
    Edit,
    Columns,
    Download,
    Tiles,
    Rows,
    Up,
    Down,
    More,
    User,
    Sun,
    Moon,
    Contrast,
    System,
    Stop,
    Play,
    Back,
    Logs,
    Retry,
}

impl Icon {
    fn path(self) -> &'static str {
        match self {
            Self::Overview => "M2.5 2.5h4.5v6h-4.5z M9 2.5h4.5v3.5h-4.5z M9 8h4.5v5.5h-4.5z M2.5 10.5h4.5v3h-4.5z",
            Self::Nodes => "M2.5 3h11v4h-11z M2.5 9h11v4h-11z M5 5h.01 M5 11h.01 M8 5h3 M8 11h3",
            Self::Groups => "M2.5 5.5v7.5h11v-7.5z M4.5 3.2h7 M6 8.5h4",
            Self::Join => "M6.5 3h-4v10h4 M14 8h-8 M9 5l-3 3 3 3",
            Self::Apps => "M8 1.8l5.5 3v6.4l-5.5 3-5.5-3v-6.4z M2.5 4.8l5.5 3 5.5-3 M8 7.8v6.4",
            Self::Deployments => "M8 2v8 M5 7l3 3 3-3 M2.5 10.5v3h11v-3",
            Self::Alarms => {
                "M8 2a3.8 3.8 0 0 1 3.8 3.8c0 3.6 1.4 4.7 1.4 5.4h-10.4c0-.7 1.4-1.8 1.4-5.4a3.8 3.8 0 0 1 3.8-3.8z M6.6 13.6h2.8"
            }
            Self::Events => "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11z M8 5v3.2l2.2 1.4",
            Self::Reports => "M4 2h5.5l3 3v9h-8.5z M9.5 2v3h3 M6 8h4.5 M6 10.5h4.5",
            Self::Settings => "M2.5 4.5h7 M12.5 4.5h1 M11 3v3 M2.5 11.5h1 M6.5 11.5h7 M5 10v3",
            Self::Users => {
                "M6 3a2.3 2.3 0 1 1 0 4.6 2.3 2.3 0 0 1 0-4.6z M2 13c0-2.5 1.6-3.8 4-3.8s4 1.3 4 3.8 M10.8 3.4a2.1 2.1 0 0 1 0 4 M11.6 9.5c1.6.4 2.4 1.7 2.4 3.5"
            }
            Self::Audit => "M3 2.5h10v11h-10z M5.5 6l1 1 2-2 M5.5 10.5h5",
            Self::Search => "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9z M10.3 10.3l3.4 3.4",
            Self::Close => "M4 4l8 8 M12 4l-8 8",
            Self::Check => "M3 8.5l3.2 3.2 6.8-7.2",
            Self::Copy => "M5.5 5.5h8v8h-8z M3 10.5h-.5v-8h8v.5",
            Self::Plus => "M8 3v10 M3 8h10",
            Self::Trash => "M3 4.5h10 M6 4.5v-2h4v2 M4.3 4.5l.7 9h6l.7-9 M6.8 7v4 M9.2 7v4",
            Self::Edit => "M3 13l.6-2.8 7.4-7.4 2.2 2.2-7.4 7.4z",
            Self::Columns => "M2.5 3h11v10h-11z M6.2 3v10 M9.8 3v10",
            Self::Download => "M8 2.5v7.5 M5 7.2l3 3 3-3 M3 13.2h10",
            Self::Tiles => {
                "M2.5 2.5h3v3h-3z M6.5 2.5h3v3h-3z M10.5 2.5h3v3h-3z M2.5 6.5h3v3h-3z M6.5 6.5h3v3h-3z M10.5 6.5h3v3h-3z M2.5 10.5h3v3h-3z M6.5 10.5h3v3h-3z M10.5 10.5h3v3h-3z"
            }
            Self::Rows => "M2.5 4h11 M2.5 8h11 M2.5 12h11",
            Self::Up => "M4 10l4-4 4 4",
            Self::Down => "M4 6l4 4 4-4",
            Self::More => "M3.5 8h.01 M8 8h.01 M12.5 8h.01",
            Self::User => "M8 2.5a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6z M3 13.5c0-2.8 2-4 5-4s5 1.2 5 4",
            Self::Sun => {
                "M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6z M8 1.5v1.5 M8 13v1.5 M1.5 8h1.5 M13 8h1.5 M3.4 3.4l1 1 M11.6 11.6l1 1 M3.4 12.6l1-1 M11.6 4.4l1-1"
            }
            Self::Moon => "M13 9.6a5.5 5.5 0 1 1-6.6-6.6 4.5 4.5 0 0 0 6.6 6.6z",
            Self::Contrast => "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11z M8 2.5v11 M10 4v8 M12 5.5v5",
            Self::System => "M2 3h12v8h-12z M6 13.5h4",
            Self::Stop => "M4 4h8v8h-8z",
            Self::Play => "M5 3l7.5 5-7.5 5z",
            Self::Back => "M9.5 3.5l-4.5 4.5 4.5 4.5",
            Self::Logs => "M2.5 3h11v10h-11z M4.8 6l2 2-2 2 M8 10h3",
            Self::Retry => "M12.5 5.5a5 5 0 1 0 .6 3.5 M13 2.5v3.2h-3.2",
        }
    }
}

/// A sign beside words; it says nothing by itself to those who cannot see it.
pub fn icon(icon: Icon) -> impl IntoView {
    view! {
        <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
            <path d=icon.path()></path>
        </svg>
    }
}
