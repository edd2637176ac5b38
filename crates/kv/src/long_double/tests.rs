use super::*;

/// What redis-server would answer to INCRBYFLOAT by `more` of a key that holds `held`.
fn sum(held: &str, more: &str) -> String {
    let parse = |text: &str| LongDouble::parse(text.as_bytes());
    let Some((held, more)) = parse(held).zip(parse(more)) else { return "invalid".into() };
    held.plus(more).map_or_else(|| "infinite".into(), |sum| sum.to_string())
}

/// Two numbers a line, and the sum as a program in C prints it that calculates as Redis does, on x86-64.
#[test]
fn sums_are_those_of_a_long_double() {
    for line in include_str!("sums.txt").lines() {
        let words: Vec<_> = line.split(' ').collect();
        let [held, more, expected] = words[..] else { panic!("{line}") };
        assert_eq!(sum(held, more), expected, "{line}");
        assert_eq!(sum(more, held), expected, "{line}");
    }
}

#[test]
fn long_texts_are_numbers_up_to_the_limit_of_redis() {
    let zeros = "0".repeat(MAX_TEXT_BYTES - 1);
    assert_eq!(sum(&format!("{zeros}1"), "0"), "1");
    assert_eq!(sum(&format!("{zeros}11"), "0"), "invalid");
    assert_eq!(sum(&format!("1{zeros}"), "0"), "invalid", "it is too large");
    let nines = "9".repeat(4933);
    assert_eq!(sum(&nines, "0"), "invalid");
    assert_eq!(sum(&nines[1..], "0").len(), 4933, "it is rounded up");
    let small = format!("0.{}1", "0".repeat(5000));
    assert_eq!(sum(&small, "0"), "invalid");
    assert_eq!(sum(&format!("{small}e5000"), "0"), "0.1");
    assert_eq!(sum(&format!("{small}e-99999999999999999999999"), "0"), "invalid");
    assert_eq!(sum(&format!("0.{}e-99999999999999999999999", "0".repeat(4000)), "5"), "5");
}

#[test]
fn spaces_and_zero_bytes_are_no_part_of_a_number() {
    for text in [&b""[..], b" 1", b"1 ", b"1\n", b"1\0", b"\x001", b"\xff", b"1\xc3\xa9"] {
        assert_eq!(LongDouble::parse(text), None, "{text:?}");
    }
}
