//! Searching and ordering names as people expect.

/// A text for comparing without regard to case.
pub fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// A key that puts `box-2` before `box-10` and ignores case: runs of digits are padded.
pub fn natural(text: &str) -> String {
    let mut key = String::with_capacity(text.len() + 8);
    let mut digits = String::new();
    for c in text.chars().flat_map(char::to_lowercase).chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            let significant = digits.trim_start_matches('0');
            for _ in significant.len()..12 {
                key.push('0');
            }
            key.push_str(significant);
            digits.clear();
        }
        if c != '\0' {
            key.push(c);
        }
    }
    key
}

/// Whether every word of a query is part of `folded_text`.
pub fn has_all_words(folded_text: &str, folded_query: &str) -> bool {
    folded_query.split_whitespace().all(|word| folded_text.contains(word))
}

/// How well a query fits a text: higher is better, `None` if its letters do not appear in order.
///
/// The whole query at the start of a word beats it inside one, which beats scattered letters.
pub fn fuzzy(query: &str, text: &str) -> Option<i32> {
    if query.is_empty() {
        return Some(0);
    }
    if let Some(at) = text.find(query) {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let at_word = before.is_none_or(|c| !c.is_alphanumeric());
        let place = if at == 0 {
            3_000
        } else if at_word {
            2_000
        } else {
            1_000
        };
        return Some(place - text.len().min(900) as i32);
    }
    let (mut score, mut run) = (0, 0);
    let mut wanted = query.chars().filter(|c| !c.is_whitespace()).peekable();
    for c in text.chars() {
        if wanted.peek() == Some(&c) {
            wanted.next();
            run += 1;
            score += run * 4;
        } else {
            run = 0;
        }
    }
    wanted
        .peek()
        .is_none()
        .then(|| (score - text.len() as i32).clamp(1, 900))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count() {
        let mut names = ["box-10", "Box-2", "box-2a", "盒子 3", "盒子 12", "box"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["box", "Box-2", "box-2a", "box-10", "盒子 3", "盒子 12"]);
        assert!(natural("a007") == natural("a7"));
    }

    #[test]
    fn words() {
        assert!(has_all_words("edge-12\nsn42\n10.0.0.1", "42 edge"));
        assert!(!has_all_words("edge-12", "edge 13"));
        assert!(has_all_words("anything", "  "));
    }

    #[test]
    fn better_fits_come_first() {
        let score = |text| fuzzy("node", text);
        assert!(score("node list") > score("the node"));
        assert!(score("the node") > score("unnoded"));
        assert!(score("unnoded") > score("n-o-d-e"));
        assert!(score("n-o-d-e").is_some() && score("edon").is_none());
        assert!(score("node") > score("node with a long name"));
    }
}
