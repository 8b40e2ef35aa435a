//! Every store's records of the server's state.

use super::*;

#[test]
fn of_each_record_the_last_value_is_kept() {
    each(|store| {
        assert_eq!(store.state().unwrap(), []);
        let other = StateRecord {
            kind: "account".into(),
            ..fact("b", Some("9"))
        };
        let long = StateRecord {
            kind: "k".repeat(STATE_KIND_BYTES_MAX).into(),
            key: "é".repeat(STATE_KEY_BYTES_MAX / 2),
            value: Some("v".repeat(STATE_VALUE_BYTES_MAX)),
        };
        let gone = |key| fact(key, None);
        let is = |key, value| fact(key, Some(value));
        for (changes, left) in [
            (
                vec![is("b", "1"), is("a", "2")],
                vec![is("a", "2"), is("b", "1")],
            ),
            // The same key, but another kind.
            (
                vec![other.clone(), is("b", "\"'\\")],
                vec![other.clone(), is("a", "2"), is("b", "\"'\\")],
            ),
            (
                vec![is("a", "3"), gone("a"), is("c", ""), gone("nobody")],
                vec![other.clone(), is("b", "\"'\\"), is("c", "")],
            ),
            (
                vec![gone("b"), gone("c"), is("c", "4"), long.clone()],
                vec![other.clone(), is("c", "4"), long.clone()],
            ),
            (vec![], vec![other, is("c", "4"), long]),
        ] {
            let committed = append(store, 1, [Operation::PutState(changes)]);
            assert_eq!(committed.results, [OpResult::StatePut]);
            assert_eq!(store.state().unwrap(), left);
        }
    });
}

#[test]
fn records_and_messages_go_in_one_batch() {
    each(|store| {
        let remember = |key| Operation::PutState(vec![fact(key, Some("1"))]);
        let batch = [message(1, 1), remember("a"), message(1, 2), remember("b")];
        let committed = append(store, 1, batch);
        assert_eq!(
            committed.results,
            [
                OpResult::Done(stored(1, 1)),
                OpResult::StatePut,
                OpResult::Done(stored(2, 1)),
                OpResult::StatePut,
            ]
        );
        assert_eq!(store.state().unwrap().len(), 2);
        assert_eq!(extent(store, LOBBY).head, 2);
    });
}

#[test]
#[should_panic(expected = "too long")]
fn a_record_that_is_too_long_is_a_bug() {
    let long = "x".repeat(STATE_KEY_BYTES_MAX + 1);
    append(
        &mut memory(),
        1,
        [Operation::PutState(vec![fact(&long, None)])],
    );
}
