use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn name(number: usize) -> Vec<u8> {
    format!("field{number}").into_bytes()
}

fn filled(numbers: impl Iterator<Item = usize>) -> Hash {
    let mut hash = Hash::default();
    for number in numbers {
        assert!(hash.set(&name(number), Bytes::from(number.to_string())));
    }
    hash
}

fn names(hash: &Hash) -> Vec<Vec<u8>> {
    hash.fields().map(|field| field.name().to_vec()).collect()
}

fn leaves(hash: &Hash) -> &[Arc<Leaf>] {
    match &hash.form {
        Form::Ordered(leaves) => leaves,
        Form::Listed(_) => panic!("the hash is not in order"),
    }
}

/// What must be true of every hash.
fn check(hash: &Hash) {
    assert_eq!(hash.fields().count(), hash.len());
    assert_eq!(hash.fields().map(Field::bytes).sum::<usize>(), hash.bytes());
    assert!(hash.has_each_name_once());
    if hash.is_ordered() {
        let placed: Vec<_> = leaves(hash).iter().flat_map(|leaf| leaf.iter()).collect();
        assert!(placed.iter().all(|(place, field)| *place == place_of(field.name())));
        assert!(placed.windows(2).all(|pair| (pair[0].0, pair[0].1.name()) < (pair[1].0, pair[1].1.name())));
        assert!(leaves(hash).iter().all(|leaf| (1..=LEAF_FIELDS).contains(&leaf.len())));
    } else {
        assert!(hash.len() <= MAX_LISTED_FIELDS);
    }
}

#[test]
fn a_small_hash_keeps_the_order_in_which_its_fields_came() {
    let mut hash = filled((0..MAX_LISTED_FIELDS).rev());
    assert_eq!(names(&hash), (0..MAX_LISTED_FIELDS).rev().map(name).collect::<Vec<_>>());
    assert!(!hash.set(&name(3), Bytes::new()) && hash.remove(&name(5)) && hash.set(&name(5), Bytes::new()));
    let last: Vec<_> = names(&hash).into_iter().rev().take(3).collect();
    assert_eq!(last, [name(5), name(0), name(1)]);
    check(&hash);
}

#[test]
fn a_hash_that_has_been_long_stays_in_order() {
    let mut hash = filled(0..MAX_LISTED_FIELDS);
    assert!(!hash.is_ordered());
    hash.set(b"one more", Bytes::new());
    assert!(hash.is_ordered());
    check(&hash);
    for number in 0..MAX_LISTED_FIELDS {
        assert!(hash.remove(&name(number)));
        check(&hash);
    }
    assert!(hash.is_ordered());
    assert_eq!(names(&hash), [b"one more"]);
}

/// The order is in images, and cursors that clients hold are made of places.
#[test]
fn places_stay_as_they_are() {
    let places = [&b""[..], b"a", b"b", b"field", b"a name of more than eight bytes"].map(place_of);
    assert_eq!(
        places,
        [7388120807022986, 2267781828907875, 4895411856760684, 7914747215876376, 7161979561831697]
    );
    assert!(places.iter().all(|place| *place < 1 << PLACE_BITS));
}

#[test]
fn the_order_of_a_large_hash_depends_on_the_names_alone() {
    let one = filled(0..5000);
    let mut other = filled((1000..20_000).rev());
    for number in 5000..20_000 {
        assert!(other.remove(&name(number)));
    }
    for number in 0..1000 {
        other.set(&name(number), Bytes::from(number.to_string()));
    }
    check(&one);
    check(&other);
    assert_eq!(names(&one), names(&other));
    assert_eq!(one.memory_bytes(), other.memory_bytes());
    assert_eq!(one.digest(Digest::new(0)).finish(), other.digest(Digest::new(0)).finish());
    assert!(leaves(&other).len() < 80, "{} leaves", leaves(&other).len());
}

#[test]
fn a_write_copies_one_leaf_only() {
    let snapshot = filled(0..100_000);
    let mut hash = snapshot.clone();
    hash.set(&name(77), Bytes::from_static(b"new"));
    let shared = leaves(&hash).iter().zip(leaves(&snapshot)).filter(|(new, old)| Arc::ptr_eq(new, old));
    assert_eq!(shared.count(), leaves(&hash).len() - 1);
    assert!(leaves(&hash).len() > 300);
    assert_eq!(snapshot.get(&name(77)).unwrap(), "77");
}

#[test]
fn the_digest_sees_order_form_names_and_values() {
    let hash = |fields: &[(&str, &str)], ordered| {
        let mut hash = if ordered { Hash::ordered() } else { Hash::default() };
        for (name, value) in fields {
            hash.set(name.as_bytes(), Bytes::copy_from_slice(value.as_bytes()));
        }
        hash.digest(Digest::new(0)).finish()
    };
    let digests = [
        hash(&[("a", "1"), ("b", "2")], false),
        hash(&[("b", "2"), ("a", "1")], false),
        hash(&[("a", "1"), ("b", "2")], true),
        hash(&[("a", "1"), ("b", "3")], false),
        hash(&[("a", "1"), ("c", "2")], false),
        hash(&[("a", "1")], false),
        hash(&[("a1", ""), ("b", "2")], false),
    ];
    assert_eq!(digests.iter().collect::<BTreeSet<_>>().len(), digests.len());
}

#[test]
fn fields_out_of_order_are_not_taken() {
    let ordered = names(&filled(0..1000));
    let mut hash = Hash::ordered();
    for name in &ordered {
        assert!(hash.push(name, Bytes::new()));
    }
    check(&hash);
    assert!(!hash.clone().push(&ordered[999], Bytes::new()), "twice the same");
    assert!(!hash.push(&ordered[998], Bytes::new()), "in front of the last");
    let mut listed = Hash::default();
    assert!(listed.push(b"b", Bytes::new()) && listed.push(b"a", Bytes::new()));
    assert!(listed.has_each_name_once());
    assert!(listed.push(b"b", Bytes::new()) && !listed.has_each_name_once());
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 40, ..crate::fixed_cases() })]

    #[test]
    fn a_hash_does_what_a_map_does(
        steps in vec((0..3000usize, 0..8u8), 1..4000),
        beginning in prop_oneof![Just(0usize), Just(500), Just(3000)],
    ) {
        let mut hash = filled(0..beginning);
        let mut model: BTreeMap<_, _> = (0..beginning).map(|number| (name(number), number.to_string())).collect();
        for (step, (number, kind)) in steps.into_iter().enumerate() {
            let name = name(number);
            if kind < 4 {
                let new = model.insert(name.clone(), step.to_string()).is_none();
                prop_assert_eq!(hash.set(&name, Bytes::from(step.to_string())), new);
            } else {
                prop_assert_eq!(hash.remove(&name), model.remove(&name).is_some());
            }
            prop_assert_eq!(hash.get(&name).map(|value| &value[..]), model.get(&name).map(String::as_bytes));
        }
        check(&hash);
        let mut fields: Vec<_> = hash.fields().map(|field| (field.name(), &field.value[..])).collect();
        fields.sort_unstable();
        let expected: Vec<_> = model.iter().map(|(name, value)| (name.as_slice(), value.as_bytes())).collect();
        prop_assert_eq!(fields, expected);
        for skipped in [0, 1, 255, 256, 257, model.len(), model.len() + 1] {
            let rest: Vec<_> = hash.fields_from(skipped).map(Field::name).collect();
            let all: Vec<_> = hash.fields().map(Field::name).skip(skipped).collect();
            prop_assert_eq!(rest, all);
        }
    }
}
