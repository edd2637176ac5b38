//! Natural numbers of any size: as much of their arithmetic as exact rounding takes.

use std::cmp::Ordering;

/// A natural number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Natural {
    /// 32 bits each, the lowest first, the last one not 0.
    digits: Vec<u32>,
}

impl From<u64> for Natural {
    fn from(number: u64) -> Self {
        let mut natural = Self { digits: vec![low(number), low(number >> 32)] };
        natural.trim();
        natural
    }
}

impl Natural {
    pub(crate) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// How many bits it has; 0 has none.
    pub(crate) fn bits(&self) -> usize {
        self.digits.last().map_or(0, |last| 32 * self.digits.len() - last.leading_zeros() as usize)
    }

    /// Makes it `factor` times as large, and `addend` larger.
    pub(crate) fn multiply_add(&mut self, factor: u32, addend: u32) {
        let mut carry = u64::from(addend);
        for digit in &mut self.digits {
            carry += u64::from(*digit) * u64::from(factor);
            *digit = low(carry);
            carry >>= 32;
        }
        self.digits.push(low(carry));
        self.trim();
    }

    /// Makes it 10 to the power of `exponent` times as large.
    pub(crate) fn scale(&mut self, exponent: usize) {
        for _ in 0..exponent / 9 {
            self.multiply_add(1_000_000_000, 0);
        }
        for _ in 0..exponent % 9 {
            self.multiply_add(10, 0);
        }
    }

    /// Makes it 2 to the power of `bits` times as large.
    pub(crate) fn shift_left(&mut self, bits: usize) {
        let part = bits % 32;
        if part > 0 {
            self.multiply_add(1 << part, 0);
        }
        if !self.is_zero() {
            self.digits.splice(0..0, std::iter::repeat_n(0, bits / 32));
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let length = self.digits.len().max(other.digits.len()) + 1;
        self.digits.resize(length, 0);
        let mut carry = 0;
        let others = other.digits.iter().copied().chain(std::iter::repeat(0));
        for (digit, more) in self.digits.iter_mut().zip(others) {
            carry += u64::from(*digit) + u64::from(more);
            *digit = low(carry);
            carry >>= 32;
        }
        self.trim();
    }

    /// # Panics
    ///
    /// If `other` is larger.
    pub(crate) fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        let others = other.digits.iter().copied().chain(std::iter::repeat(0));
        for (digit, less) in self.digits.iter_mut().zip(others) {
            let (rest, first) = digit.overflowing_sub(less);
            let (rest, second) = rest.overflowing_sub(borrow.into());
            (*digit, borrow) = (rest, first || second);
        }
        assert!(!borrow && other.digits.len() <= self.digits.len(), "a difference below zero");
        self.trim();
    }

    /// Makes it as small as its `divisor`th part; returns what is left over.
    pub(crate) fn divide(&mut self, divisor: u32) -> u32 {
        let mut rest = 0;
        for digit in self.digits.iter_mut().rev() {
            let number = rest << 32 | u64::from(*digit);
            *digit = low(number / u64::from(divisor));
            rest = number % u64::from(divisor);
        }
        self.trim();
        low(rest)
    }

    /// Its highest bits, 96 or more if it has so many; how many there are below them; and whether one of
    /// those is 1.
    pub(crate) fn top(&self) -> (u128, usize, bool) {
        let below = self.digits.len().saturating_sub(4);
        let (rest, top) = self.digits.split_at(below);
        let top = top.iter().rev().fold(0, |number, digit| number << 32 | u128::from(*digit));
        (top, 32 * below, rest.iter().any(|digit| *digit > 0))
    }

    /// In decimal.
    pub(crate) fn print(mut self) -> String {
        let mut groups = Vec::new();
        while !self.is_zero() {
            groups.push(self.divide(1_000_000_000));
        }
        let first = groups.pop().unwrap_or(0).to_string();
        groups.iter().rev().fold(first, |text, group| format!("{text}{group:09}"))
    }

    fn trim(&mut self) {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
        }
    }
}

impl PartialOrd for Natural {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Natural {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_length = self.digits.len().cmp(&other.digits.len());
        by_length.then_with(|| self.digits.iter().rev().cmp(other.digits.iter().rev()))
    }
}

/// The low half.
fn low(number: u64) -> u32 {
    (number & u64::from(u32::MAX)).try_into().expect("it has 32 bits")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn natural(number: u128) -> Natural {
        let mut natural = Natural::from(u64::try_from(number >> 64).unwrap());
        natural.shift_left(64);
        natural.add(&Natural::from(u64::try_from(number & u128::from(u64::MAX)).unwrap()));
        natural
    }

    proptest! {
        #![proptest_config(crate::fixed_cases())]

        #[test]
        fn it_calculates_as_the_machine_does(a: u128, b: u128, by in 1u32.., shift in 0usize..128, cut in 0u32..128) {
            let (a, b) = (a >> cut, b >> cut);
            let (large, small) = (natural(a.max(b)), natural(a.min(b)));
            prop_assert_eq!(large.cmp(&small), a.max(b).cmp(&a.min(b)));
            prop_assert_eq!(large.bits(), 128 - a.max(b).leading_zeros() as usize);
            prop_assert_eq!(large.clone().print(), a.max(b).to_string());
            let mut difference = large.clone();
            difference.subtract(&small);
            prop_assert_eq!(difference, natural(a.max(b) - a.min(b)));
            let mut half = natural(a >> 1);
            half.add(&natural(b >> 1));
            prop_assert_eq!(half, natural((a >> 1) + (b >> 1)));
            let mut quotient = natural(a);
            prop_assert_eq!(u128::from(quotient.divide(by)), a % u128::from(by));
            prop_assert_eq!(&quotient, &natural(a / u128::from(by)));
            quotient.multiply_add(by, u32::try_from(a % u128::from(by)).unwrap());
            prop_assert_eq!(&quotient, &natural(a));
            quotient.shift_left(shift);
            let (top, below, rest) = quotient.top();
            prop_assert_eq!(quotient.bits(), if a == 0 { 0 } else { natural(a).bits() + shift });
            prop_assert!(a == 0 || below == 0 || top >= 1 << 96);
            prop_assert_eq!(rest, below > shift && a & ((1 << (below - shift)) - 1) > 0);
            prop_assert_eq!(top, if below > shift { a >> (below - shift) } else { a << (shift - below) });
        }
    }

    #[test]
    fn powers_of_ten_are_printed() {
        for exponent in [0, 1, 8, 9, 10, 17, 18, 400] {
            let mut natural = Natural::from(7);
            natural.scale(exponent);
            assert_eq!(natural.print(), format!("7{}", "0".repeat(exponent)));
        }
        assert_eq!(Natural::from(0).print(), "0");
    }
}
