//! States as shape, word and colour together.

use edgedeck_model::{alarm::Severity, deployment::InstanceState, node::NodeState};
use leptos::prelude::*;

/// What a state means to its reader; the colour follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tone {
    Good,
    Busy,
    Warning,
    Bad,
    Quiet,
}

impl Tone {
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "tone-good",
            Self::Busy => "tone-busy",
            Self::Warning => "tone-warning",
            Self::Bad => "tone-bad",
            Self::Quiet => "tone-quiet",
        }
    }
}

/// Each state has a shape of its own beside its colour. The `d` of a path, 12 by 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    Disc,
    Ring,
    Dash,
    Triangle,
    Cross,
    Square,
    Diamond,
    Hourglass,
    ArrowUp,
    ArrowDown,
    Snow,
    Question,
    Check,
}

impl Shape {
    pub fn path(self) -> &'static str {
        match self {
            Self::Disc => "M6 1.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9z",
            Self::Ring => "M6 1a5 5 0 1 1 0 10 5 5 0 0 1 0-10z M6 3a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
            Self::Dash => "M1.5 4.8h9v2.4h-9z",
            Self::Triangle => "M6 1l5.5 10h-11z",
            Self::Cross => {
                "M2.6 1l3.4 3.4 3.4-3.4 1.6 1.6-3.4 3.4 3.4 3.4-1.6 1.6-3.4-3.4-3.4 3.4-1.6-1.6 3.4-3.4-3.4-3.4z"
            }
            Self::Square => "M2 2h8v8h-8z",
            Self::Diamond => "M6 .5l5.5 5.5-5.5 5.5-5.5-5.5z",
            Self::Hourglass => "M2 1h8v1.8l-3 3.2 3 3.2v1.8h-8v-1.8l3-3.2-3-3.2z",
            Self::ArrowUp => "M6 1l4.5 5h-3v5h-3v-5h-3z",
            Self::ArrowDown => "M6 11l4.5-5h-3v-5h-3v5h-3z",
            Self::Snow => {
                "M5 1h2v3.3l2.8-1.6 1 1.7-2.8 1.6 2.8 1.6-1 1.7-2.8-1.6v3.3h-2v-3.3l-2.8 1.6-1-1.7 2.8-1.6-2.8-1.6 1-1.7 2.8 1.6z"
            }
            Self::Question => "M6 1a5 5 0 1 1 0 10 5 5 0 0 1 0-10z M5.2 3v3.8h1.6v-3.8z M5.2 7.8v1.5h1.6v-1.5z",
            Self::Check => "M4.6 10.4l-4-4 1.6-1.6 2.4 2.4 5-5.4 1.7 1.5z",
        }
    }
}

/// Shape and tone of a state; the word stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sign {
    pub shape: Shape,
    pub tone: Tone,
}

const fn sign(shape: Shape, tone: Tone) -> Sign {
    Sign { shape, tone }
}

pub fn sign_of_node(state: NodeState) -> Sign {
    match state {
        NodeState::Registered => sign(Shape::Ring, Tone::Quiet),
        NodeState::Installed => sign(Shape::ArrowDown, Tone::Quiet),
        NodeState::Online => sign(Shape::Disc, Tone::Good),
        NodeState::Degraded => sign(Shape::Triangle, Tone::Warning),
        NodeState::Offline => sign(Shape::Cross, Tone::Bad),
        NodeState::Disabled => sign(Shape::Dash, Tone::Quiet),
        NodeState::Upgrading => sign(Shape::ArrowUp, Tone::Busy),
        NodeState::Frozen => sign(Shape::Snow, Tone::Busy),
        NodeState::Deleting => sign(Shape::Hourglass, Tone::Busy),
    }
}

pub fn sign_of_instance(state: InstanceState) -> Sign {
    match state {
        InstanceState::Pending => sign(Shape::Ring, Tone::Quiet),
        InstanceState::Pulling => sign(Shape::ArrowDown, Tone::Busy),
        InstanceState::Starting => sign(Shape::ArrowUp, Tone::Busy),
        InstanceState::Running => sign(Shape::Disc, Tone::Good),
        InstanceState::BackOff => sign(Shape::Hourglass, Tone::Warning),
        InstanceState::Succeeded => sign(Shape::Check, Tone::Good),
        InstanceState::Failed => sign(Shape::Cross, Tone::Bad),
        InstanceState::Stopping => sign(Shape::Hourglass, Tone::Busy),
        InstanceState::Stopped => sign(Shape::Square, Tone::Quiet),
        InstanceState::Unknown => sign(Shape::Question, Tone::Warning),
    }
}

pub fn sign_of_alarm(severity: Severity) -> Sign {
    match severity {
        Severity::Critical => sign(Shape::Diamond, Tone::Bad),
        Severity::Major => sign(Shape::Triangle, Tone::Warning),
        Severity::Minor => sign(Shape::Square, Tone::Busy),
    }
}

/// The shape alone, for beside a word.
pub fn glyph(sign: Sign) -> impl IntoView {
    view! {
        <svg class=format!("glyph {}", sign.tone.class()) viewBox="0 0 12 12" aria-hidden="true">
            <path d=sign.shape.path() fill-rule="evenodd"></path>
        </svg>
    }
}

/// A state: shape, colour and word.
#[component]
pub fn StateBadge(#[prop(into)] sign: Signal<Sign>, #[prop(into)] word: Signal<String>) -> impl IntoView {
    view! { <span class="badge">{move || glyph(sign.get())} <span class="badge-word">{move || word.get()}</span></span> }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_states_look_alike_without_colour() {
        let shapes: HashSet<Shape> = NodeState::ALL
            .into_iter()
            .map(|state| sign_of_node(state).shape)
            .collect();
        assert_eq!(shapes.len(), NodeState::ALL.len());
        let severities: HashSet<Shape> = Severity::ALL.into_iter().map(|s| sign_of_alarm(s).shape).collect();
        assert_eq!(severities.len(), 3);
        let signs: HashSet<Sign> = InstanceState::ALL.into_iter().map(sign_of_instance).collect();
        assert_eq!(signs.len(), InstanceState::ALL.len());
    }
}
