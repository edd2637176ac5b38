//! Redis's patterns: `*`, `?`, `[a-z]`, `[^a]`, and a backslash before what is meant literally. (Redis 7
//! documentation, "KEYS", and its `stringmatchlen`.)

/// Whether letters of either case are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// They are not: keys.
    Sensitive,
    /// They are, in ASCII: names of commands and settings.
    Insensitive,
}

impl Case {
    fn fold(self, byte: u8) -> u8 {
        match self {
            Self::Sensitive => byte,
            Self::Insensitive => byte.to_ascii_lowercase(),
        }
    }
}

/// A form that texts are compared with.
#[derive(Clone, Copy, Debug)]
pub struct Glob<'a> {
    pattern: &'a [u8],
    case: Case,
}

impl<'a> Glob<'a> {
    /// The texts of the form of `pattern`.
    pub fn new(pattern: &'a [u8], case: Case) -> Self {
        Self { pattern, case }
    }

    /// Whether `text` as a whole is of this form.
    ///
    /// Takes at most `pattern.len() * text.len()` steps: only the last `*` is ever tried again.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.matches_in(text, &mut 0)
    }

    /// The same; how many steps it has taken is added to `steps`.
    pub fn matches_in(&self, text: &[u8], steps: &mut u64) -> bool {
        let pattern = self.pattern;
        if text.is_empty() {
            // As Redis has it: of an empty text no pattern but these is the form.
            return matches!(pattern, b"" | b"*");
        }
        let (mut pattern_at, mut text_at) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            *steps += 1;
            if pattern.get(pattern_at) == Some(&b'*') {
                pattern_at += 1;
                if pattern_at == pattern.len() {
                    return true;
                }
                retry = Some((pattern_at, text_at));
                continue;
            }
            let Some(&byte) = text.get(text_at) else {
                return pattern_at == pattern.len();
            };
            match self.one(&pattern[pattern_at..], byte, steps) {
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
    fn one(&self, pattern: &[u8], byte: u8, steps: &mut u64) -> Option<usize> {
        let is = |literal: u8| self.case.fold(literal) == self.case.fold(byte);
        match pattern {
            [] => None,
            [b'?', ..] => Some(1),
            [b'[', set @ ..] => {
                let (is_in, length) = self.class(set, byte);
                *steps += length as u64;
                is_in.then_some(1 + length)
            }
            [b'\\', literal, ..] => is(*literal).then_some(2),
            [literal, ..] => is(*literal).then_some(1),
        }
    }

    /// Whether `byte` is in the class that `set` begins with, behind its bracket, and the length of the class
    /// with the closing bracket. One that is not closed goes to the end of the pattern.
    fn class(&self, set: &[u8], byte: u8) -> (bool, usize) {
        let fold = |byte: u8| self.case.fold(byte);
        let byte = fold(byte);
        let is_negated = set.first() == Some(&b'^');
        let mut at = usize::from(is_negated);
        let mut is_in = false;
        loop {
            match &set[at..] {
                [] => return (is_in != is_negated, at),
                [b']', ..] => return (is_in != is_negated, at + 1),
                [b'\\', literal, ..] => {
                    is_in |= fold(*literal) == byte;
                    at += 2;
                }
                [from, b'-', to, ..] => {
                    let (from, to) = (fold(*from.min(to)), fold(*from.max(to)));
                    is_in |= (from..=to).contains(&byte);
                    at += 3;
                }
                [literal, ..] => {
                    is_in |= fold(*literal) == byte;
                    at += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        Glob::new(pattern, Case::Insensitive).matches(text)
    }

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

    #[test]
    fn keys_fit_by_their_very_bytes() {
        let matches = |pattern: &str, text: &str| {
            Glob::new(pattern.as_bytes(), Case::Sensitive).matches(text.as_bytes())
        };
        assert!(matches("a[B-D]?", "aCx") && matches(r"\A*", "Ab"));
        for (pattern, text) in [("a[B-D]?", "acx"), ("A*", "ab"), (r"\A", "a"), (r"[\A]", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        for pattern in ["**", "?", "[^a]", "a"] {
            assert!(!matches(pattern, ""), "{pattern}");
        }
        assert!(matches("**", "a") && matches("*", "") && matches("a**", "a"));
    }

    /// Trying every star again for every other one would take longer than anybody waits.
    #[test]
    fn many_stars_cost_no_more_than_one() {
        let (pattern, text) = ("a*".repeat(10_000) + "b", "a".repeat(20_000));
        let mut steps = 0;
        assert!(!Glob::new(pattern.as_bytes(), Case::Sensitive).matches_in(text.as_bytes(), &mut steps));
        assert!(steps > 20_000 && steps <= 3 * 20_000, "{steps}");
        let set = format!("*[{}]y", "x".repeat(1000));
        assert!(!Glob::new(set.as_bytes(), Case::Sensitive).matches_in(text.as_bytes(), &mut steps));
        assert!(steps > 20_000_000, "each class is paid for: {steps}");
    }
}
