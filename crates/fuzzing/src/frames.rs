//! Commands and replies as bytes.

/// A command as libraries send it.
pub(crate) fn command(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// What is behind the first reply in `bytes`.
///
/// # Panics
///
/// If they begin with no whole reply of RESP2 or RESP3.
pub(crate) fn behind_reply(bytes: &[u8]) -> &[u8] {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n").expect("a line");
    let (line, rest) = (&bytes[..end], &bytes[end + 2..]);
    let (kind, text) = line.split_first().expect("a type");
    assert!(!text.contains(&b'\n') && !text.contains(&b'\r'), "a line end in a line");
    let number = || -> i64 { std::str::from_utf8(text).expect("digits").parse().expect("a number") };
    let items = |count: i64| (0..count).fold(rest, |rest, _| behind_reply(rest));
    match kind {
        b'+' | b'-' => rest,
        b':' => {
            number();
            rest
        }
        b'_' => {
            assert!(text.is_empty(), "nil with a text");
            rest
        }
        b'$' | b'=' => match usize::try_from(number()) {
            Ok(length) => {
                assert_eq!(&rest[length..length + 2], b"\r\n", "the end of a text");
                &rest[length + 2..]
            }
            Err(_) => rest,
        },
        b'*' | b'~' | b'>' => items(number()),
        b'%' => items(2 * number()),
        _ => panic!("no reply: {}", line.escape_ascii()),
    }
}
