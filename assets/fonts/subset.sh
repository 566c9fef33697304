#!/bin/sh
# Makes edgedeck-cjk.otf (for PDF) and edgedeck-cjk.woff2 (for the window) from Noto Sans CJK SC.
# Needs: apt-get install fonttools python3-brotli fonts-noto-cjk
# Run it again after a text of the product uses a character that the font lacks
# (the test `product_texts_are_in_the_font` of edgedeck-report names such characters).
set -eu
cd "$(dirname "$0")"
source=${1:-/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The characters: Latin, Greek, punctuation, arrows, box and CJK signs; GB 2312 level 1; names of people and
# places that level 1 lacks (extra.txt); and every Chinese character in the product's own sources.
/usr/bin/python3 - "$work/text" <<'PY'
import pathlib, sys

def blocks(*ranges):
    return {chr(c) for first, last in ranges for c in range(first, last + 1)}

characters = blocks(
    (0x20, 0x7E), (0xA0, 0x17F), (0x386, 0x3CE),        # Latin, Greek
    (0x410, 0x44F),                                     # Cyrillic
    (0x2010, 0x2027), (0x2030, 0x203A), (0x20A0, 0x20BF),  # punctuation, currency
    (0x2070, 0x208E), (0x2100, 0x214F), (0x2150, 0x217F),  # superscripts, letter-like signs, numerals
    (0x2190, 0x2199), (0x2200, 0x22FF),                 # arrows, mathematics
    (0x2460, 0x2473), (0x2500, 0x257F), (0x25A0, 0x25FF), (0x2600, 0x2606), (0x2713, 0x2717),
    (0x3000, 0x3017), (0xFF01, 0xFF5E), (0xFFE0, 0xFFE5), (0xFFFD, 0xFFFD),
)
for lead in range(0xB0, 0xD8):                          # GB 2312 level 1: rows 16 to 55
    for trail in range(0xA1, 0xFF):
        try:
            characters.add(bytes([lead, trail]).decode("gb2312"))
        except UnicodeDecodeError:
            pass
characters |= set(pathlib.Path("extra.txt").read_text("utf-8"))
root = pathlib.Path("../..")
for folder in ("src-tauri", "ui/src", "ui/static", "assets"):
    for path in sorted((root / folder).rglob("*")):
        if path.suffix in {".rs", ".html", ".js", ".json", ".css", ".yaml", ".toml"} and "target" not in path.parts:
            characters |= {c for c in path.read_text("utf-8", "ignore") if 0x2E80 <= ord(c) <= 0xFFEF}
pathlib.Path(sys.argv[1]).write_text("".join(sorted(c for c in characters if c >= " ")), "utf-8")
PY

# Font number 2 of the collection is the simplified Chinese design. No layout features: the PDF sets glyphs one by one.
# --notdef-outline keeps the box that stands for a character the font lacks.
subset() {
    SOURCE_DATE_EPOCH=0 pyftsubset "$source" --font-number=2 --text-file="$work/text" --layout-features= \
        --no-hinting --desubroutinize --notdef-outline --name-IDs='0,1,2,3,4,5,6,13,14' --no-recalc-timestamp "$@"
}
subset --output-file=edgedeck-cjk.otf
subset --flavor=woff2 --output-file=edgedeck-cjk.woff2
ls -l edgedeck-cjk.otf edgedeck-cjk.woff2
