//! Redis's patterns: `*`, `?`, `[a-z]`, `[^a]`, and a backslash before what is meant literally.

/// Whether `text` as a whole is of the form of `pattern`, without regard to ASCII case.
///
/// Takes at most `pattern.len() * text.len()` steps: only the last `*` is ever tried again.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern_at, mut text_at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(pattern_at) == Some(&b'*') {
            retry = Some((pattern_at + 1, text_at));
            pattern_at += 1;
            continue;
        }
        let Some(&byte) = text.get(text_at) else {
            return pattern_at == pattern.len();
        };
        match one(&pattern[pattern_at..], byte) {
            Some(length) => {
                pattern_at += length;
                text_at += 1;
            }
            None => {
                let Some((after_star, taken)) = retry else { return false };
                (pattern_at, text_at) = (after_star, taken + 1);
                retry = Some((after_star, taken + 1));
            }
        }
    }
}

/// The length of the piece at the front of `pattern` that stands for one byte, if it stands for `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'[', set @ ..] => {
            let (is_in, length) = class(set, byte);
            is_in.then_some(1 + length)
        }
        [b'\\', literal, ..] => literal.eq_ignore_ascii_case(&byte).then_some(2),
        [literal, ..] => literal.eq_ignore_ascii_case(&byte).then_some(1),
    }
}

/// Whether `byte` is in the class that `set` begins with, behind its bracket, and the length of the class
/// with the closing bracket. One that is not closed goes to the end of the pattern.
fn class(set: &[u8], byte: u8) -> (bool, usize) {
    let byte = byte.to_ascii_lowercase();
    let is_negated = set.first() == Some(&b'^');
    let mut at = usize::from(is_negated);
    let mut is_in = false;
    loop {
        match &set[at..] {
            [] => return (is_in != is_negated, at),
            [b']', ..] => return (is_in != is_negated, at + 1),
            [b'\\', literal, ..] => {
                is_in |= literal.to_ascii_lowercase() == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                let (from, to) = (from.to_ascii_lowercase(), to.to_ascii_lowercase());
                is_in |= (from.min(to)..=from.max(to)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                is_in |= literal.to_ascii_lowercase() == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_fit_as_in_redis() {
        for (pattern, fits, fits_not) in [
            ("", &["" as &str] as &[_], &["a"] as &[_]),
            ("*", &["", "a", "a*b"], &[]),
            ("maxmemory*", &["maxmemory", "MAXMEMORY-policy"], &["maxmem", "xmaxmemory"]),
            ("*a*b", &["ab", "xaxxb", "aabab"], &["aba", "b", "a"]),
            ("a?c", &["abc", "a?c"], &["ac", "abbc"]),
            ("[a-c]x", &["ax", "Cx"], &["dx", "x", "-x"]),
            ("[c-a]x", &["bx"], &["dx"]),
            ("[^a]x", &["bx"], &["ax", "x"]),
            (r"[\]]", &["]"], &["\\", "[]"]),
            (r"\*", &["*"], &["a", r"\*"]),
            (r"a\", &[r"a\"], &["a"]),
            ("[ab", &["a"], &["c", "[ab"]),
        ] {
            for text in fits {
                assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
            }
            for text in fits_not {
                assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
            }
        }
    }

    /// Trying every star again for every other one would take longer than anybody waits.
    #[test]
    fn many_stars_cost_no_more_than_one() {
        let pattern = "a*".repeat(10_000) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(20_000).as_bytes()));
    }
}
