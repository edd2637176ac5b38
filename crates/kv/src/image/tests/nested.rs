//! Replies of transactions.

use super::*;

#[test]
fn a_reply_with_arrays_in_it_comes_back() {
    let text = |bytes: usize| Reply::Bulk(vec![7; bytes].into());
    let long = text(100_000);
    let inner = [
        vec![],
        vec![Reply::Array(vec![])],
        vec![Reply::Array(vec![Reply::Nil]), Reply::Ok],
        vec![text(3), Reply::Array(vec![text(5), long.clone(), Reply::Int(4)]), long.clone()],
        vec![Reply::Array(vec![text(60_000), text(60_000)]), Reply::Array(vec![long.clone(); 3])],
        vec![Reply::Array(vec![Reply::Int(1); 30_000]); 3],
        vec![Reply::Pairs(vec![]), Reply::Pairs(vec![text(3), long.clone()]), Reply::Ok],
        vec![Reply::Map(vec![]), Reply::Map(vec![text(3), long.clone()]), Reply::Ok],
        vec![Reply::Map(vec![text(9); 30_000]), Reply::Map(vec![text(60_000); 4])],
        vec![Reply::Array(vec![text(1), Reply::Array(vec![]), Reply::Array(vec![long.clone(); 2])])],
        vec![
            Reply::Array(vec![Reply::Array(vec![text(9); 30_000]), Reply::Map(vec![text(2); 2]), text(1)]);
            2
        ],
    ];
    let mut image = Image::empty(1);
    let origin = Origin { node: 1, life: 1 };
    image.sessions.begin(origin, 1);
    for (number, replies) in (1..).zip(inner) {
        image.sessions.complete(origin, number, Reply::Array(replies), Slots::All);
    }
    image.sessions.complete(origin, 90, Reply::Array(vec![Reply::Nil; 3]), Slots::All);
    image.sessions.complete(origin, 91, Reply::Map(vec![text(1), long]), Slots::All);
    image.sessions.complete(origin, 92, Reply::Map(vec![]), Slots::All);
    image.sessions.complete(origin, 93, Reply::Pairs(vec![text(1), text(70_000)]), Slots::All);
    let restored = Image::decode(&image.clone().encode(), 2).unwrap();
    assert_eq!(restored.digest(), image.digest());
    let replies = |image: &Image| {
        image.sessions.done_by(origin).map(|(number, reply)| (number, reply.clone())).collect::<Vec<_>>()
    };
    assert_eq!(replies(&restored), replies(&image));
}
