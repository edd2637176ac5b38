//! Whether two replies say the same.

use crate::differences::is_listed;
use crate::rows::{ROWS, Rule, TRANSACTIONS};
use crate::wire::Reply;

/// How far two times may be apart, in milliseconds, when they were asked for at the same time by a busy machine.
/// Far less than what is between two times that are drawn.
const TOLERANCE_MS: u64 = 8_000;

/// How replies to the command of this name are compared.
fn rule_of(name: &[u8]) -> Rule {
    let rows = ROWS.iter().chain(TRANSACTIONS);
    let row = rows.into_iter().find(|row| row.name.as_bytes().eq_ignore_ascii_case(name));
    row.map_or(Rule::Exact, |row| row.rule)
}

/// Whether two replies to the command of this name say the same, or what is known to be otherwise.
pub(crate) fn are_alike(name: &[u8], ours: &Reply, theirs: &Reply) -> bool {
    are_same(rule_of(name), ours, theirs) || is_listed(name, ours, theirs)
}

/// Whether two replies are the same, as far as the rule says.
fn are_same(rule: Rule, ours: &Reply, theirs: &Reply) -> bool {
    if ours == theirs {
        return true;
    }
    match rule {
        Rule::Exact => false,
        Rule::Seconds => are_near(ours, theirs, TOLERANCE_MS / 1000),
        Rule::Milliseconds => are_near(ours, theirs, TOLERANCE_MS),
        Rule::Unordered => ours.head == theirs.head && sorted(&ours.items, 1) == sorted(&theirs.items, 1),
        Rule::UnorderedPairs => {
            ours.head == theirs.head && sorted(&ours.items, 2) == sorted(&theirs.items, 2)
        }
        Rule::Shape => have_same_shape(ours, theirs),
        Rule::AtMost => ours.number().zip(theirs.number()).is_some_and(|(ours, theirs)| ours <= theirs),
        Rule::Errors => ours.kind() != b'-' && theirs.kind() != b'-',
    }
}

fn are_near(ours: &Reply, theirs: &Reply, tolerance: u64) -> bool {
    let (Some(ours), Some(theirs)) = (ours.number(), theirs.number()) else { return false };
    // What is negative is no time.
    ours >= 0 && theirs >= 0 && ours.abs_diff(theirs) <= tolerance
}

fn sorted(items: &[Reply], size: usize) -> Vec<&[Reply]> {
    let mut groups: Vec<_> = items.chunks(size).collect();
    groups.sort();
    groups
}

/// Chosen at random: texts may differ, and nothing else.
fn have_same_shape(ours: &Reply, theirs: &Reply) -> bool {
    let is_text = |reply: &Reply| reply.kind() == b'$' && reply.head != b"$-1";
    if is_text(ours) && is_text(theirs) {
        return true;
    }
    ours.head == theirs.head
        && ours.bytes == theirs.bytes
        && ours.items.iter().zip(&theirs.items).all(|(ours, theirs)| have_same_shape(ours, theirs))
}

/// The names of what a connection has queued.
#[derive(Default)]
pub(crate) struct Queue(Vec<Vec<u8>>);

impl Queue {
    /// Whether the replies to this command are the same; notes what it does to the queue.
    pub(crate) fn are_same(&mut self, name: &[u8], ours: &Reply, theirs: &Reply) -> bool {
        if ours.is("+QUEUED") && theirs.is("+QUEUED") {
            self.0.push(name.to_vec());
            return true;
        }
        let ends = [&b"exec"[..], b"discard", b"reset"].iter().any(|end| name.eq_ignore_ascii_case(end));
        if !ends {
            return are_alike(name, ours, theirs);
        }
        // An EXEC of too many arguments ends nothing when nothing is open; a DISCARD of too many never does.
        if ours.kind() == b'-' && !name.eq_ignore_ascii_case(b"exec") {
            return ours == theirs;
        }
        let names = std::mem::take(&mut self.0);
        let is_whole = |reply: &Reply| reply.kind() == b'*' && reply.items.len() == names.len();
        if is_whole(ours) && is_whole(theirs) && ours.head == theirs.head {
            let mut pairs = ours.items.iter().zip(&theirs.items).zip(names);
            return pairs.all(|((ours, theirs), name)| are_alike(&name, ours, theirs));
        }
        ours == theirs
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    fn line(head: &str) -> Reply {
        Reply { head: head.into(), bytes: Vec::new(), items: Vec::new() }
    }

    fn text(bytes: &str) -> Reply {
        Reply { head: format!("${}", bytes.len()).into(), bytes: bytes.into(), items: Vec::new() }
    }

    fn array(items: &[Reply]) -> Reply {
        Reply { head: format!("*{}", items.len()).into(), bytes: Vec::new(), items: items.to_vec() }
    }

    #[test]
    fn times_may_be_a_little_apart_and_nothing_else() {
        let near = |rule, ours, theirs| are_same(rule, &line(ours), &line(theirs));
        assert!(near(Rule::Seconds, ":1000", ":1001"));
        assert!(!near(Rule::Seconds, ":1000", ":1020"));
        assert!(near(Rule::Milliseconds, ":1000000", ":1007000"));
        assert!(!near(Rule::Milliseconds, ":1000000", ":1020000"));
        assert!(!near(Rule::Seconds, ":-1", ":0"), "no expiry is no time");
        assert!(!near(Rule::Seconds, ":-1", ":-2"));
        assert!(!near(Rule::Seconds, "-ERR a", "-ERR b"));
        assert!(!near(Rule::Exact, ":1000", ":1001"));
    }

    #[test]
    fn an_order_that_means_nothing_may_differ() {
        let [a, b, c] = ["a", "b", "c"].map(text);
        let (ab, ba) = (array(&[a.clone(), b.clone()]), array(&[b.clone(), a.clone()]));
        assert!(are_same(Rule::Unordered, &ab, &ba));
        assert!(!are_same(Rule::Exact, &ab, &ba));
        assert!(!are_same(Rule::Unordered, &ab, &array(&[a.clone(), c.clone()])));
        let pairs = |pairs: [&Reply; 4]| array(&pairs.map(Clone::clone));
        assert!(are_same(Rule::UnorderedPairs, &pairs([&a, &b, &c, &a]), &pairs([&c, &a, &a, &b])));
        assert!(!are_same(Rule::UnorderedPairs, &pairs([&a, &b, &c, &a]), &pairs([&a, &a, &c, &b])));
    }

    #[test]
    fn what_is_random_has_the_same_shape() {
        let [a, bc] = ["a", "bc"].map(text);
        assert!(are_same(Rule::Shape, &a, &bc));
        assert!(!are_same(Rule::Shape, &a, &line("$-1")));
        let (one, other, two) =
            (array(slice::from_ref(&a)), array(slice::from_ref(&bc)), array(&[a.clone(), bc]));
        assert!(are_same(Rule::Shape, &one, &other));
        assert!(!are_same(Rule::Shape, &one, &two));
        assert!(!are_same(Rule::Errors, &a, &line("-ERR invalid cursor")));
        assert!(are_same(Rule::Errors, &a, &text("x")));
        assert!(are_same(Rule::AtMost, &line(":3"), &line(":4")));
        assert!(!are_same(Rule::AtMost, &line(":4"), &line(":3")));
    }

    #[test]
    fn each_part_of_a_transaction_has_its_own_rule() {
        let (queued, number) = (line("+QUEUED"), |n: i64| line(&format!(":{n}")));
        let exec = |ours: &[Reply], theirs: &[Reply]| {
            let mut queue = Queue::default();
            assert!(queue.are_same(b"TTL", &queued, &queued) && queue.are_same(b"incr", &queued, &queued));
            queue.are_same(b"EXEC", &array(ours), &array(theirs))
        };
        assert!(exec(&[number(1000), number(7)], &[number(1001), number(7)]));
        assert!(!exec(&[number(1000), number(7)], &[number(1000), number(8)]));
        assert!(!exec(&[number(1000)], &[number(1000), number(7)]));
    }
}
