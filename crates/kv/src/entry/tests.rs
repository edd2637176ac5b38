use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Few origins and floors, so that requests share groups.
fn requests() -> impl Strategy<Value = Vec<(Origin, u64, u64, Vec<u8>)>> {
    let origin = (1..4u64, 1..3u64).prop_map(|(node, life)| Origin { node, life });
    let number = prop_oneof![0..5u64, any::<u64>()];
    vec((origin, 0..3u64, number, vec(any::<u8>(), 0..20)), 1..30)
}

fn built(requests: &[(Origin, u64, u64, Vec<u8>)], stamp_ms: u64) -> Bytes {
    let mut builder = Builder::default();
    for (origin, floor, number, command) in requests {
        builder.push(&Request { origin: *origin, floor: *floor, number: *number, command });
    }
    stamped(builder.finish(), stamp_ms)
}

/// Everything that can be read, however it ends.
fn read_all(payload: &[u8]) -> Result<usize, DecodeError> {
    let mut count = 0;
    for request in Requests::decode(payload)? {
        request?;
        count += 1;
    }
    Ok(count)
}

proptest! {
    #![proptest_config(crate::fixed_cases())]

    #[test]
    fn what_was_put_in_comes_out_in_its_order(requests in requests(), stamp_ms: u64) {
        let payload = built(&requests, stamp_ms);
        let decoded = Requests::decode(&payload).expect("it was built here");
        prop_assert_eq!(decoded.stamp_ms(), stamp_ms);
        let decoded: Vec<_> = decoded
            .map(|request| request.expect("it was built here"))
            .map(|r| (r.origin, r.floor, r.number, r.command.to_vec()))
            .collect();
        prop_assert_eq!(decoded, requests);
    }

    #[test]
    fn a_builder_is_empty_after_it_was_finished(first in requests(), second in requests()) {
        let mut builder = Builder::default();
        for requests in [&first, &second] {
            prop_assert!(builder.is_empty());
            for (origin, floor, number, command) in requests {
                builder.push(&Request { origin: *origin, floor: *floor, number: *number, command });
            }
            let length = builder.len();
            let payload = stamped(builder.finish(), 7);
            prop_assert_eq!(payload.len(), length);
            prop_assert_eq!(payload, built(requests, 7));
        }
    }

    #[test]
    fn a_cut_entry_is_refused_or_ends_between_groups(requests in requests(), at: prop::sample::Index) {
        let payload = built(&requests, 1);
        let cut = &payload[..at.index(payload.len())];
        if let Ok(count) = read_all(cut) {
            prop_assert!(count < requests.len(), "{count} of {}", requests.len());
        }
    }

    #[test]
    fn hostile_bytes_are_refused(bytes in vec(any::<u8>(), 0..200)) {
        let mut versioned = vec![VERSION];
        versioned.extend_from_slice(&bytes);
        // At most one request for each byte, and no panic.
        for bytes in [bytes, versioned] {
            if let Ok(count) = read_all(&bytes) {
                prop_assert!(count <= bytes.len());
            }
        }
    }

    #[test]
    fn a_flipped_bit_makes_no_panic(requests in requests(), at: prop::sample::Index, bit in 0..8) {
        let mut payload = built(&requests, 1).to_vec();
        let at = at.index(payload.len());
        payload[at] ^= 1u8 << bit;
        let _ = read_all(&payload);
    }
}

#[test]
fn after_an_error_nothing_follows() {
    let mut payload = vec![VERSION];
    payload.resize(HEADER_BYTES, 0);
    // A group of two whose first request has a condition, which this version does not know.
    payload.extend_from_slice(&[1, 1, 1, 2, 0, 0, 0, 9, 1, 0]);
    let mut requests = Requests::decode(&payload).expect("the header is fine");
    assert!(matches!(requests.next(), Some(Err(DecodeError::TooLarge { what: "conditions", .. }))));
    assert_eq!(requests.next(), None);
}

#[test]
fn an_unknown_version_is_refused() {
    let payload = [VERSION + 1, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(Requests::decode(&payload).err(), Some(DecodeError::UnknownOpcode(VERSION + 1)));
}
