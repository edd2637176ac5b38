//! What a majority has. The only place that counts.

/// The largest value that a majority of `values` has reached: of the values in descending order,
/// the one in the middle (or just behind it when their number is even).
///
/// With match indices it is the index that may be committed (paper section 5.3); with the rounds
/// that were echoed it is the round that confirms reads; with the times at which members were
/// last heard it is since when the leader has been sure of a majority.
pub(crate) fn reached_by_majority<T: Ord + Copy>(values: &mut [T]) -> T {
    assert!(!values.is_empty(), "a group without members has no majority");
    values.sort_unstable_by(|a, b| b.cmp(a));
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    /// The definition, by brute force: the largest candidate that more than half have reached.
    fn by_definition(values: &[u64]) -> u64 {
        let majority = values.len() / 2 + 1;
        let reached = |x: u64| values.iter().filter(|&&v| v >= x).count() >= majority;
        values.iter().copied().filter(|&x| reached(x)).max().expect("the smallest is reached by all")
    }

    #[test]
    fn a_majority_of_even_groups_is_more_than_half() {
        assert_eq!(reached_by_majority(&mut [7, 9]), 7);
        assert_eq!(reached_by_majority(&mut [1, 2, 3, 4]), 2);
        assert_eq!(reached_by_majority(&mut [5]), 5);
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn agrees_with_the_definition(values in proptest::collection::vec(0u64..12, 1..8)) {
            prop_assert_eq!(reached_by_majority(&mut values.clone()), by_definition(&values));
        }
    }
}
