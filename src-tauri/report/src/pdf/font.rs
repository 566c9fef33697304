//! The embedded font: how wide a text is, where it breaks, and its glyphs.
//!
//! Each character is one glyph side by side, which is right for Chinese, Latin, Greek and Cyrillic. A character that
//! the font lacks is drawn as a box; the file's text keeps the character itself, so that it can be copied.

use crate::Error;
use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::{FontRef, MetadataProvider, charmap::Charmap};

static FONT: &[u8] = include_bytes!("../../../../assets/fonts/edgedeck-cjk.otf");

/// Drawn for what the font lacks.
const REPLACEMENT: char = '□';

pub(crate) struct Face {
    pub font: Font,
    charmap: Charmap<'static>,
    metrics: GlyphMetrics<'static>,
    em: f32,
    replacement: skrifa::GlyphId,
}

impl Face {
    /// # Errors
    /// [`Error::Font`] if the font in this build is damaged.
    pub fn load() -> Result<Self, Error> {
        let font = Font::new(FONT.into(), 0).ok_or(Error::Font)?;
        let file = FontRef::new(FONT).map_err(|_| Error::Font)?;
        let charmap = file.charmap();
        let replacement = charmap.map(REPLACEMENT).ok_or(Error::Font)?;
        let metrics = file.glyph_metrics(Size::unscaled(), LocationRef::default());
        Ok(Self {
            em: font.units_per_em(),
            font,
            charmap,
            metrics,
            replacement,
        })
    }

    /// Whether the font has a glyph of its own for `c`.
    #[cfg(test)]
    pub fn has(&self, c: char) -> bool {
        self.charmap.map(c).is_some_and(|glyph| glyph.to_u32() != 0)
    }

    fn glyph(&self, c: char) -> (skrifa::GlyphId, f32) {
        let glyph = self
            .charmap
            .map(c)
            .filter(|glyph| glyph.to_u32() != 0)
            .unwrap_or(self.replacement);
        (glyph, self.metrics.advance_width(glyph).unwrap_or(self.em) / self.em)
    }

    /// Width of `text` at `size`.
    pub fn width(&self, text: &str, size: f32) -> f32 {
        text.chars().map(|c| self.glyph(c).1).sum::<f32>() * size
    }

    pub fn glyphs(&self, text: &str) -> Vec<KrillaGlyph> {
        let glyph = |(at, c): (usize, char)| {
            let (glyph, advance) = self.glyph(c);
            let range = at..at + c.len_utf8();
            KrillaGlyph::new(GlyphId::new(glyph.to_u32()), advance, 0.0, 0.0, 0.0, range, None)
        };
        text.char_indices().map(glyph).collect()
    }

    /// `text` cut to `width` with an ellipsis where it is longer.
    pub fn elide(&self, text: &str, size: f32, width: f32) -> String {
        if self.width(text, size) <= width {
            return text.to_owned();
        }
        let room = width - self.width("…", size);
        let mut used = 0.0;
        let kept = text.chars().take_while(|c| {
            used += self.glyph(*c).1 * size;
            used <= room
        });
        kept.chain(['…']).collect()
    }

    /// `text` in lines of at most `width`; what does not fit in `most` lines ends with an ellipsis. Breaks at blanks
    /// and between Chinese characters, never before closing punctuation; a longer word is cut.
    pub fn wrap(&self, text: &str, size: f32, width: f32, most: usize) -> Vec<String> {
        let mut lines = vec![];
        let mut rest = text.trim();
        while !rest.is_empty() && lines.len() < most {
            if lines.len() + 1 == most {
                lines.push(self.elide(rest, size, width));
                break;
            }
            let end = self.line_end(rest, size, width);
            let (line, after) = rest.split_at(end);
            lines.push(line.trim_end().to_owned());
            rest = after.trim_start();
        }
        lines
    }

    /// Bytes of `text` that stand on its first line: at least one character.
    fn line_end(&self, text: &str, size: f32, width: f32) -> usize {
        let mut used = 0.0;
        let mut possible = None;
        let mut before: Option<char> = None;
        for (at, c) in text.char_indices() {
            if before.is_some_and(|before| may_break(before, c)) {
                possible = Some(at);
            }
            used += self.glyph(c).1 * size;
            // A blank may stand beyond the edge: it is trimmed.
            if used > width && c != ' ' && at > 0 {
                return possible.unwrap_or(at);
            }
            before = Some(c);
        }
        text.len()
    }
}

fn is_wide(c: char) -> bool {
    ('\u{2E80}'..='\u{9FFF}').contains(&c) || ('\u{F900}'..='\u{FAFF}').contains(&c) || c >= '\u{FF00}'
}

fn may_break(before: char, after: char) -> bool {
    if "，。、；：！？）》」』】…%°".contains(after) || "（《「『【".contains(before) {
        return false;
    }
    before == ' ' || "/-_.,;:".contains(before) && !after.is_ascii_digit() || is_wide(before) || is_wide(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn lines_keep_within_the_width() {
        let face = Face::load().unwrap();
        for text in [
            "边缘节点一号，位于深圳市南山区的机房。",
            "edge-node-01.rack-7.lab.example.com and more words",
            &"x".repeat(90),
        ] {
            for width in [20.0, 60.0, 200.0] {
                let lines = face.wrap(text, 8.0, width, 50);
                assert!(
                    lines.iter().all(|line| face.width(line, 8.0) <= width + 0.01),
                    "{width}: {lines:?}"
                );
                assert!(
                    lines.iter().skip(1).all(|line| !line.starts_with(['，', '。'])),
                    "{lines:?}"
                );
                let joined = lines.concat().replace(' ', "");
                assert_eq!(joined, text.replace(' ', ""), "nothing is lost");
            }
        }
        assert_eq!(
            face.wrap("一二三四五六七八九十", 10.0, 41.0, 2),
            ["一二三四", "五六七…"]
        );
    }

    #[test]
    fn what_the_font_lacks_is_a_box() {
        let face = Face::load().unwrap();
        assert!(!face.has('😀') && face.has('□'));
        let [smile, boxed] = ["😀", "□"].map(|text| face.glyphs(text).first().map(|glyph| glyph.glyph_id));
        assert_eq!(smile, boxed);
        assert!(face.width("😀", 10.0) > 0.0);
    }

    /// Every Chinese character in the product's own sources can be drawn.
    #[test]
    fn product_texts_are_in_the_font() {
        let face = Face::load().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut missing = String::new();
        let mut files = 0;
        let mut folders = vec![
            root.join("src-tauri/model/src"),
            root.join("src-tauri/report/src"),
            root.join("ui/src"),
        ];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    files += 1;
                    let text = std::fs::read_to_string(&path).unwrap();
                    missing.extend(
                        text.chars()
                            .filter(|c| ('\u{2E80}'..='\u{FFEF}').contains(c) && !face.has(*c)),
                    );
                }
            }
        }
        assert!(files > 10, "the sources were not found");
        let known = ['\u{FEFF}', '\u{FAFF}', '\u{F900}', '\u{2E80}', '\u{FFEF}', '\u{9FFF}'];
        missing.retain(|c| !known.contains(&c));
        assert!(
            missing.is_empty(),
            "run assets/fonts/subset.sh: the font lacks {missing:?}"
        );
    }
}
