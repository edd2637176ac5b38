//! Figures as people read them.

use std::time::Duration;

/// With a comma before each three digits.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The same, rounded; with one digit behind the point when there are few.
#[expect(
    clippy::cast_possible_truncation,
    reason = "rounded on purpose; what is too large becomes the largest"
)]
pub(super) fn count_f64(number: f64) -> String {
    if number < 99.95 { format!("{number:.1}") } else { count(number.round() as u64) }
}

/// Nothing in no time is nothing.
pub(super) fn per_second(number: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { number as f64 / time.as_secs_f64() }
}

/// Nanoseconds as milliseconds, to a microsecond.
pub(super) fn ms(nanos: u64) -> String {
    let micros = nanos.saturating_add(500) / 1000;
    format!("{}.{:03}", count(micros / 1000), micros % 1000)
}

/// A length of time in seconds, or in milliseconds below one.
pub(super) fn time(time: Duration) -> String {
    if time < Duration::from_secs(1) && !time.is_zero() {
        return format!("{} ms", time.as_millis());
    }
    format!("{:.1} s", time.as_secs_f64())
}

/// A share of a hundred.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_in_threes() {
        let said = [0, 7, 999, 1000, 123_456, 1_234_567].map(count);
        assert_eq!(said, ["0", "7", "999", "1,000", "123,456", "1,234,567"]);
        assert_eq!(
            [0.0, 12.34, 99.94, 99.96, 1499.6].map(count_f64),
            ["0.0", "12.3", "99.9", "100", "1,500"]
        );
    }

    #[test]
    fn times_are_in_milliseconds() {
        assert_eq!(
            [0, 499, 500, 71_234, 1_234_567_890].map(ms),
            ["0.000", "0.000", "0.001", "0.071", "1,234.568"]
        );
        let said = [0, 20, 999, 1000, 61_500].map(|ms| time(Duration::from_millis(ms)));
        assert_eq!(said, ["0.0 s", "20 ms", "999 ms", "1.0 s", "61.5 s"]);
    }

    #[test]
    fn nothing_in_no_time_is_nothing() {
        assert_eq!((per_second(5, Duration::ZERO), percent(0, 0)), (0.0, 0.0));
        assert_eq!((per_second(5, Duration::from_millis(500)), percent(1, 4)), (10.0, 25.0));
    }
}
