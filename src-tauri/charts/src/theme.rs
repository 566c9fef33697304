//! Colours and line signs.

use edgedeck_model::Lang;

/// An opaque sRGB colour, written as `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

impl std::fmt::Display for Color {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// What all charts have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// CSS pixels; a chart too small to be read is drawn at the smallest size that can be.
    pub width: f32,
    pub height: f32,
    pub theme: Theme,
    pub lang: Lang,
    /// Paints the theme's background, for a drawing that leaves the page.
    pub background: bool,
}

impl Look {
    /// Width and height to draw, whatever was asked for.
    pub(crate) fn size(&self, least: (f32, f32)) -> (f32, f32) {
        let side = |asked: f32, least: f32| {
            if asked.is_finite() {
                asked.clamp(least, 16_384.0)
            } else {
                least
            }
        };
        (side(self.width, least.0), side(self.height, least.1))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Light,
    Dark,
    HighContrast,
}

/// What a counted thing means to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Notice,
    Warning,
    Bad,
    /// Neither good nor bad.
    Neutral,
    /// Switched off on purpose, or not known.
    Muted,
}

impl Tone {
    /// The sign that goes with the colour, as a polygon around `center`: a circle, square, triangle, diamond or cross.
    pub fn sign(self, center: (f32, f32), radius: f32) -> Vec<(f32, f32)> {
        let index = match self {
            Self::Good => 0,
            Self::Neutral => 1,
            Self::Warning => 2,
            Self::Bad => 3,
            Self::Notice | Self::Muted => 4,
        };
        marker(index, center, radius)
    }
}

impl Theme {
    pub fn background(self) -> Color {
        match self {
            Self::Light => Color(0xff, 0xff, 0xff),
            Self::Dark => Color(0x16, 0x1a, 0x20),
            Self::HighContrast => Color(0, 0, 0),
        }
    }

    /// Of titles and values.
    pub fn text(self) -> Color {
        match self {
            Self::Light => Color(0x1c, 0x23, 0x2b),
            Self::Dark => Color(0xe6, 0xe9, 0xed),
            Self::HighContrast => Color(0xff, 0xff, 0xff),
        }
    }

    /// Of tick labels and legends: 4.5:1 against the background at least.
    pub fn label(self) -> Color {
        match self {
            Self::Light => Color(0x57, 0x60, 0x6a),
            Self::Dark => Color(0xa4, 0xad, 0xb8),
            Self::HighContrast => Color(0xff, 0xff, 0xff),
        }
    }

    pub fn grid(self) -> Color {
        match self {
            Self::Light => Color(0xe3, 0xe6, 0xea),
            Self::Dark => Color(0x2c, 0x33, 0x3c),
            Self::HighContrast => Color(0x6a, 0x6a, 0x6a),
        }
    }

    pub fn axis(self) -> Color {
        match self {
            Self::Light => Color(0x9a, 0xa2, 0xac),
            Self::Dark => Color(0x5b, 0x65, 0x71),
            Self::HighContrast => Color(0xff, 0xff, 0xff),
        }
    }

    /// Colour of the n-th line: Okabe and Ito's set, told apart with any colour vision, adjusted so that each has
    /// 3:1 against the background.
    pub fn series(self, index: usize) -> Color {
        const LIGHT: [Color; 7] = [
            Color(0x00, 0x72, 0xb2),
            Color(0xc8, 0x51, 0x00),
            Color(0x00, 0x80, 0x5e),
            Color(0xb0, 0x4d, 0x88),
            Color(0x2b, 0x8c, 0xc4),
            Color(0x9c, 0x76, 0x00),
            Color(0x3d, 0x44, 0x4d),
        ];
        const DARK: [Color; 7] = [
            Color(0x56, 0xb4, 0xe9),
            Color(0xe6, 0x9f, 0x00),
            Color(0x1f, 0xb8, 0x8a),
            Color(0xe0, 0x8f, 0xc0),
            Color(0xf0, 0xe4, 0x42),
            Color(0xf0, 0x7b, 0x3f),
            Color(0xc9, 0xd0, 0xd8),
        ];
        let palette = if self == Self::Light { &LIGHT } else { &DARK };
        palette.get(index % palette.len()).copied().unwrap_or(self.text())
    }

    pub fn tone(self, tone: Tone) -> Color {
        let light = self == Self::Light;
        match tone {
            Tone::Good if light => Color(0x00, 0x80, 0x5e),
            Tone::Good => Color(0x1f, 0xb8, 0x8a),
            Tone::Notice if light => Color(0x2b, 0x8c, 0xc4),
            Tone::Notice => Color(0x56, 0xb4, 0xe9),
            Tone::Warning if light => Color(0xc4, 0x7f, 0x00),
            Tone::Warning => Color(0xf0, 0xb4, 0x2e),
            Tone::Bad if light => Color(0xb8, 0x32, 0x1c),
            Tone::Bad => Color(0xff, 0x7a, 0x5c),
            Tone::Neutral if light => Color(0x00, 0x72, 0xb2),
            Tone::Neutral => Color(0x6a, 0xa9, 0xdd),
            Tone::Muted if light => Color(0x8a, 0x93, 0x9d),
            Tone::Muted => Color(0x7d, 0x88, 0x94),
        }
    }

    /// Colour of a share from 0 to 1: one scale whose lightness alone tells the order.
    pub(crate) fn heat(self, share: f32) -> Color {
        const STOPS: [(u8, u8, u8); 5] = [
            (0xe8, 0xf1, 0xf8),
            (0xa9, 0xcf, 0xe4),
            (0x58, 0x9f, 0xc9),
            (0x1f, 0x66, 0x9c),
            (0x0a, 0x2f, 0x57),
        ];
        // On a dark ground more is lighter.
        let share = if self == Self::Light { share } else { 1.0 - share }.clamp(0.0, 1.0);
        let place = share * (STOPS.len() - 1) as f32;
        let low = (place.floor() as usize).min(STOPS.len() - 2);
        let part = place - low as f32;
        let (Some(a), Some(b)) = (STOPS.get(low), STOPS.get(low + 1)) else {
            return self.text();
        };
        let mix = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * part).round() as u8;
        Color(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
    }
}

/// Dashes of the n-th line, so that colour is not the only sign. The first is solid.
pub(crate) fn dash(index: usize) -> Vec<f32> {
    match index % 5 {
        0 => vec![],
        1 => vec![7.0, 3.0],
        2 => vec![2.0, 2.5],
        3 => vec![9.0, 3.0, 2.0, 3.0],
        _ => vec![4.0, 2.0],
    }
}

/// The n-th sign around a point, as a polygon of about 7 pixels: circle, square, triangle, diamond, cross.
pub(crate) fn marker(index: usize, (x, y): (f32, f32), radius: f32) -> Vec<(f32, f32)> {
    let unit: Vec<(f32, f32)> = match index % 5 {
        0 => (0..16)
            .map(|step| (step as f32 * std::f32::consts::TAU / 16.0).sin_cos())
            .collect(),
        1 => vec![(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
        2 => vec![(0.0, -1.2), (1.15, 0.9), (-1.15, 0.9)],
        3 => vec![(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
        _ => {
            let (a, b) = (0.4, 1.2);
            let arms = [
                (-a, -b),
                (a, -b),
                (a, -a),
                (b, -a),
                (b, a),
                (a, a),
                (a, b),
                (-a, b),
                (-a, a),
                (-b, a),
                (-b, -a),
            ];
            arms.into_iter().chain([(-a, -a)]).collect()
        }
    };
    unit.into_iter()
        .map(|(dx, dy)| (x + dx * radius, y + dy * radius))
        .collect()
}
