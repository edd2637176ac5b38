use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Half of all numbers: the other bit says which path.
const MAX_NUMBER: u64 = u64::MAX >> 1;

fn path() -> impl Strategy<Value = Path> {
    prop_oneof![Just(Path::Log), Just(Path::Read)]
}

fn header() -> impl Strategy<Value = ForwardHeader> {
    any::<(u64, u64, u64, u64)>().prop_map(|(term, life, link, floor)| ForwardHeader {
        term,
        life,
        link,
        floor,
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let text = vec(any::<u8>(), 0..20).prop_map(Bytes::from);
    prop_oneof![
        Just(Outcome::LogFull),
        Just(Outcome::Done(Reply::Ok)),
        any::<i64>().prop_map(|n| Outcome::Done(Reply::Int(n))),
        text.clone().prop_map(|text| Outcome::Done(Reply::Bulk(text))),
        text.prop_map(|text| Outcome::Done(Reply::Array(vec![Reply::Nil, Reply::Error(text)]))),
    ]
}

fn read_forward(bytes: &[u8]) -> Result<Vec<(Path, u64, Vec<u8>)>, DecodeError> {
    let mut forward = Forward::decode(bytes)?;
    let mut requests = Vec::new();
    while let Some(Forwarded { path, number, command }) = forward.next_request()? {
        requests.push((path, number, command.to_vec()));
    }
    Ok(requests)
}

fn read_answers(bytes: &Bytes) -> Result<Vec<(Path, u64, Outcome)>, DecodeError> {
    let mut answers = Answers::decode(bytes)?;
    let mut all = Vec::new();
    while let Some(answer) = answers.next_answer()? {
        all.push(answer);
    }
    Ok(all)
}

proptest! {
    #![proptest_config(crate::fixed_cases())]

    #[test]
    fn a_forward_comes_back(
        header in header(),
        requests in vec((path(), 0..=MAX_NUMBER, vec(any::<u8>(), 0..20)), 0..20),
    ) {
        let mut bytes = Vec::new();
        begin_forward(header, &mut bytes);
        for (path, number, command) in &requests {
            put_request(&mut bytes, *path, *number, command);
        }
        prop_assert_eq!(Forward::decode(&bytes).expect("it was made here").header, header);
        prop_assert_eq!(read_forward(&bytes), Ok(requests));
    }

    #[test]
    fn answers_come_back(
        life: u64,
        answers in vec((path(), 0..=MAX_NUMBER, outcome()), 0..20),
    ) {
        let mut bytes = Vec::new();
        begin_answers(life, &mut bytes);
        for (path, number, outcome) in &answers {
            put_answer(&mut bytes, *path, *number, outcome);
        }
        let bytes = Bytes::from(bytes);
        prop_assert_eq!(Answers::decode(&bytes).expect("it was made here").life, life);
        prop_assert_eq!(read_answers(&bytes), Ok(answers));
    }

    #[test]
    fn hostile_bytes_make_no_panic(bytes in vec(any::<u8>(), 0..200)) {
        let mut versioned = vec![VERSION];
        versioned.extend_from_slice(&bytes);
        for bytes in [bytes, versioned] {
            let _ = read_forward(&bytes);
            let _ = read_answers(&Bytes::from(bytes));
        }
    }

    #[test]
    fn damaged_answers_make_no_panic(
        answers in vec((path(), 0..=MAX_NUMBER, outcome()), 1..20),
        at: prop::sample::Index,
        bit in 0..8,
    ) {
        let mut bytes = Vec::new();
        begin_answers(1, &mut bytes);
        for (path, number, outcome) in &answers {
            put_answer(&mut bytes, *path, *number, outcome);
        }
        let at = at.index(bytes.len());
        let _ = read_answers(&Bytes::copy_from_slice(&bytes[..at]));
        bytes[at] ^= 1u8 << bit;
        let _ = read_answers(&Bytes::from(bytes));
    }
}

#[test]
fn another_version_is_refused() {
    let error = Some(DecodeError::UnknownOpcode(VERSION + 1));
    assert_eq!(Forward::decode(&[VERSION + 1, 1, 1, 1, 1]).err(), error);
    assert_eq!(Answers::decode(&Bytes::from_static(&[VERSION + 1, 1])).err(), error);
}
