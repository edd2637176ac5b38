//! Numbers with a fraction, as INCRBYFLOAT has them.
//!
//! Redis calculates with C's `long double` and prints 17 decimals. On x86-64 that is the 80-bit format of the
//! x87: a significand of 64 bits. Replicas must come to the same bytes on every machine, so the same
//! arithmetic is done here with whole numbers: a text is rounded to the nearest such number, ties to the
//! even one; a sum is exact and then rounded so; and what is printed is the exact value, rounded so at the 17th
//! decimal. So the texts are those of Redis on x86-64, for every number. (Redis on other processors has other
//! formats, and other last digits.)

use std::cmp::Ordering;
use std::fmt;

use crate::natural::Natural;

/// How many bits a significand has.
const SIGNIFICAND_BITS: i32 = 64;
/// The lowest exponent: with a significand of 1 that is the smallest number above 0.
const LEAST_EXPONENT: i32 = -16445;
/// Numbers from 2 to this power on are infinite.
const END_EXPONENT: i32 = 16384;

/// The first power of ten that is infinite, whatever stands in front of it, and the last below which all is 0.
const END_DECIMAL: i64 = 4934;
const LEAST_DECIMAL: i64 = -4952;

/// The longest text that Redis takes for a number, in bytes.
pub(crate) const MAX_TEXT_BYTES: usize = 5 * 1024 - 1;

const DECIMALS: usize = 17;
const DECIMALS_SCALE: u128 = 10u128.pow(17);

/// A number as a text spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LongDouble {
    Finite(Finite),
    /// Of either sign.
    Infinite,
}

/// `significand` times 2 to the power of `exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finite {
    is_negative: bool,
    /// Its highest bit is 1, unless the exponent is the lowest.
    significand: u64,
    exponent: i32,
}

impl LongDouble {
    pub(crate) const ZERO: Self =
        Self::Finite(Finite { is_negative: false, significand: 0, exponent: LEAST_EXPONENT });

    /// The number that `text` spells, as C's `strtold` reads it: decimal or, behind `0x`, hexadecimal, with or
    /// without a point and an exponent; or `inf`. No space, nothing behind it, nothing that is too large or,
    /// without being 0, too small.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > MAX_TEXT_BYTES {
            return None;
        }
        let (is_negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            text => (false, text),
        };
        if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
            return Some(Self::Infinite);
        }
        let number = match text {
            [b'0', b'x' | b'X', digits @ ..] => Spelled::parse(digits, 16)?.hexadecimal(),
            digits => Spelled::parse(digits, 10)?.decimal(),
        };
        match number {
            // Written out, it is not infinite but too large,
            Self::Infinite => None,
            // and not 0 but too small, unless each digit is 0.
            Self::Finite(Finite { significand: 0, .. }) if !is_zero(text) => None,
            Self::Finite(finite) => Some(Self::Finite(Finite { is_negative, ..finite })),
        }
    }

    /// The sum, unless it is infinite or no number.
    pub(crate) fn plus(self, other: Self) -> Option<Finite> {
        let (Self::Finite(a), Self::Finite(b)) = (self, other) else { return None };
        let exponent = a.exponent.min(b.exponent);
        let (mut sum, less) = (a.shifted_to(exponent), b.shifted_to(exponent));
        let mut is_negative = a.is_negative;
        if a.is_negative == b.is_negative {
            sum.add(&less);
        } else if sum.cmp(&less) == Ordering::Less {
            let more = std::mem::replace(&mut sum, less);
            sum.subtract(&more);
            is_negative = b.is_negative;
        } else {
            sum.subtract(&less);
        }
        match rounded(&sum, false, i64::from(exponent)) {
            Self::Finite(finite) => Some(Finite { is_negative, ..finite }),
            Self::Infinite => None,
        }
    }
}

impl Finite {
    /// How often the number has 2 to the power of `exponent` in it. That is not above its own.
    fn shifted_to(self, exponent: i32) -> Natural {
        let mut natural = Natural::from(self.significand);
        natural.shift_left((self.exponent - exponent).unsigned_abs() as usize);
        natural
    }
}

/// With at most 17 decimals, none of them a needless 0.
impl fmt::Display for Finite {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exponent >= 0 {
            let sign = if self.is_negative { "-" } else { "" };
            return write!(out, "{sign}{}", self.shifted_to(0).print());
        }
        // Below 2^121.
        let scaled = u128::from(self.significand) * DECIMALS_SCALE;
        let shown = divide_by_power(scaled, false, self.exponent.unsigned_abs());
        let (whole, decimals) = (shown / DECIMALS_SCALE, shown % DECIMALS_SCALE);
        // What is shown as 0 has no sign, though it may be a little less.
        let sign = if self.is_negative && shown > 0 { "-" } else { "" };
        let decimals = format!("{decimals:0DECIMALS$}");
        match decimals.trim_end_matches('0') {
            "" => write!(out, "{sign}{whole}"),
            decimals => write!(out, "{sign}{whole}.{decimals}"),
        }
    }
}

/// What stands in a text: digits, and how far the point is behind them.
struct Spelled<'a> {
    whole: &'a [u8],
    fraction: &'a [u8],
    /// What stands behind `e` or `p`, or one of its sign that is farther than any number goes.
    exponent: i64,
}

impl<'a> Spelled<'a> {
    fn parse(text: &'a [u8], base: u32) -> Option<Self> {
        let (whole, rest) = digits(text, base);
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => digits(rest, base),
            rest => (&[][..], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mark = if base == 10 { b'e' } else { b'p' };
        let exponent = match rest {
            [] => 0,
            [letter, rest @ ..] if letter.to_ascii_lowercase() == mark => exponent(rest)?,
            _ => return None,
        };
        Some(Self { whole, fraction, exponent })
    }

    /// The digits without needless ones, and the exponent that belongs to the last.
    fn significant(&self, digit_weight: i64) -> (Vec<u8>, i64) {
        let mut digits: Vec<u8> =
            self.whole.iter().chain(self.fraction).copied().skip_while(|digit| *digit == b'0').collect();
        let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        digits.truncate(digits.len() - zeros);
        let point = i64::try_from(zeros).ok().zip(i64::try_from(self.fraction.len()).ok());
        let (zeros, fraction) = point.expect("a text is short");
        (digits, self.exponent + (zeros - fraction) * digit_weight)
    }

    fn hexadecimal(&self) -> LongDouble {
        let (digits, exponent) = self.significant(4);
        let mut natural = Natural::from(0);
        for digit in digits {
            natural.multiply_add(16, char::from(digit).to_digit(16).expect("it was looked at"));
        }
        rounded(&natural, false, exponent)
    }

    fn decimal(&self) -> LongDouble {
        let (digits, exponent) = self.significant(1);
        // It is below 10 to this power, and not below a tenth of that.
        let above = exponent + i64::try_from(digits.len()).expect("a text is short");
        if digits.is_empty() || above < LEAST_DECIMAL {
            return LongDouble::ZERO;
        }
        if above > END_DECIMAL {
            return LongDouble::Infinite;
        }
        let mut natural = Natural::from(0);
        for group in digits.chunks(9) {
            let number = group.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
            let power = group.iter().fold(1, |power, _| power * 10);
            natural.multiply_add(power, number);
        }
        let power =
            usize::try_from(exponent.unsigned_abs()).expect("it is near what a text and a number can have");
        if exponent >= 0 {
            natural.scale(power);
            return rounded(&natural, false, 0);
        }
        let mut divisor = Natural::from(1);
        divisor.scale(power);
        quotient(natural, divisor)
    }
}

/// The digits in front, and what follows them.
fn digits(text: &[u8], base: u32) -> (&[u8], &[u8]) {
    let end = text.iter().position(|&byte| !char::from(byte).is_digit(base));
    text.split_at(end.unwrap_or(text.len()))
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (is_negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        text => (false, text),
    };
    let (given, []) = digits(text, 10) else { return None };
    if given.is_empty() {
        return None;
    }
    let far = 1_000_000;
    let exponent = given.iter().fold(0, |sum: i64, digit| (sum * 10 + i64::from(digit - b'0')).min(far));
    Some(if is_negative { -exponent } else { exponent })
}

/// Whether the digits of a number, behind its sign, are all 0.
fn is_zero(text: &[u8]) -> bool {
    let (digits, marks): (&[u8], _) = match text {
        [b'0', b'x' | b'X', digits @ ..] => (digits, b"pP"),
        digits => (digits, b"eE"),
    };
    digits.iter().take_while(|byte| !marks.contains(byte)).all(|byte| matches!(byte, b'0' | b'.'))
}

/// The number next to `dividend / divisor`, neither of which is 0.
fn quotient(mut dividend: Natural, mut divisor: Natural) -> LongDouble {
    // Of the same length, their quotient is above 1/2 and below 2.
    let (more, less) = (dividend.bits(), divisor.bits());
    dividend.shift_left(less.saturating_sub(more));
    divisor.shift_left(more.saturating_sub(less));
    let exponent = i64::try_from(more).ok().zip(i64::try_from(less).ok());
    let (more, less) = exponent.expect("a text is short");
    let (mut bits, steps) = (0u128, SIGNIFICAND_BITS + 3);
    for _ in 0..steps {
        bits <<= 1;
        if dividend >= divisor {
            dividend.subtract(&divisor);
            bits |= 1;
        }
        dividend.shift_left(1);
    }
    fitted(bits, !dividend.is_zero(), more - less - i64::from(steps - 1))
}

/// The number next to `natural` times 2 to the power of `exponent`; there is a little more to it if `has_rest`.
fn rounded(natural: &Natural, has_rest: bool, exponent: i64) -> LongDouble {
    let (top, below, has_more) = natural.top();
    let below = i64::try_from(below).expect("it fits into memory");
    fitted(top, has_rest || has_more, exponent + below)
}

/// The same for what is at most 128 bits long; with a rest, longer than a significand.
fn fitted(bits: u128, has_rest: bool, exponent: i64) -> LongDouble {
    if bits == 0 {
        return LongDouble::ZERO;
    }
    let length = i64::from(u128::BITS - bits.leading_zeros());
    if exponent + length > i64::from(END_EXPONENT) {
        return LongDouble::Infinite;
    }
    let excess = (length - i64::from(SIGNIFICAND_BITS)).max(i64::from(LEAST_EXPONENT) - exponent);
    let significand = match u32::try_from(excess) {
        Ok(excess) => divide_by_power(bits, has_rest, excess),
        // Shorter than a significand, so that it still fits.
        Err(_) => bits << excess.unsigned_abs(),
    };
    let exponent = i32::try_from(exponent + excess).expect("it is near those of a number");
    match u64::try_from(significand) {
        Ok(significand) => LongDouble::Finite(Finite { is_negative: false, significand, exponent }),
        // Rounded up to 2^64.
        Err(_) if exponent + 1 + SIGNIFICAND_BITS > END_EXPONENT => LongDouble::Infinite,
        Err(_) => {
            LongDouble::Finite(Finite { is_negative: false, significand: 1 << 63, exponent: exponent + 1 })
        }
    }
}

/// The whole number next to `bits`, and a little more if `has_rest`, divided by 2 to the power of `power`; of
/// two that are as near the even one.
fn divide_by_power(bits: u128, has_rest: bool, power: u32) -> u128 {
    let half = match power {
        0 => return bits,
        1..=128 => 1 << (power - 1),
        // Not even half of 1.
        _ => return 0,
    };
    let quotient = bits.checked_shr(power).unwrap_or(0);
    let left = bits & (half | (half - 1));
    let is_odd = quotient & 1 == 1;
    let goes_up = left > half || left == half && (has_rest || is_odd);
    quotient + u128::from(goes_up)
}

#[cfg(test)]
mod tests;
