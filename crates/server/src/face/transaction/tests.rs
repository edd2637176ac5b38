use super::*;

/// Watches these keys, none of which is there, at an index of the log that takes four bytes.
fn watch(transaction: &mut Transaction, keys: &[Vec<u8>]) -> Result<(), Value> {
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    match transaction.watch(&keys) {
        Action::Await(_) => {
            let seen = keys.iter().map(|_| Reply::Int(0));
            let answer =
                transaction.answered(Reply::Array([Reply::Int(1 << 24)].into_iter().chain(seen).collect()));
            assert!(matches!(answer, Err(value) if value == Value::ok()));
            Ok(())
        }
        Action::Reply(error) => Err(error),
        other => panic!("{other:?}"),
    }
}

fn keys(count: usize, bytes: usize) -> Vec<Vec<u8>> {
    let key = |number| format!("{number:06}{}", "x".repeat(bytes - 6)).into_bytes();
    (0..count).map(key).collect()
}

#[test]
fn what_exec_asks_of_the_store_can_be_decoded() {
    for (count, bytes, fits) in [(520_000, 32, false), (MAX_CONDITIONS / 2, 500, true)] {
        let mut transaction = Transaction::default();
        for _ in 0..2 {
            assert_eq!(watch(&mut transaction, &keys(count, bytes)).is_ok(), fits);
        }
        transaction.multi();
        assert_eq!(transaction.queue_data(&[b"SET", b"a", b"1"]), QUEUED);
        match transaction.exec() {
            Action::Exec(bytes) if fits => assert!(Command::decode(&bytes).is_ok()),
            other => assert!(!fits && matches!(other, Action::Reply(Value::Error(_))), "{other:?}"),
        }
    }
}

/// Keys that are not watched might change: what stands behind the refusal in a pipeline must not run all the same.
#[test]
fn behind_a_watch_that_was_refused_nothing_is_executed() {
    for refused in [keys(1, command::MAX_KEY_BYTES + 1), keys(MAX_CONDITIONS + 1, 6), keys(513, 65_536)] {
        let mut transaction = Transaction::default();
        watch(&mut transaction, &refused).unwrap_err();
        transaction.multi();
        transaction.queue_data(&[b"SET", b"a", b"1"]);
        let Action::Reply(Value::Error(error)) = transaction.exec() else { panic!("it was executed") };
        assert!(error.starts_with(b"EXECABORT"));
        // Only that one.
        transaction.multi();
        transaction.queue_data(&[b"SET", b"a", b"1"]);
        assert!(matches!(transaction.exec(), Action::Exec(_)));
    }
}
