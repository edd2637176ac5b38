//! The example `counter`, as an engineer would run it: three nodes over TCP, one of them killed.

#[path = "../examples/counter/nodes.rs"]
mod nodes;

#[test]
fn the_nodes_that_live_agree_on_every_increment() {
    let (killed, counts) = nodes::run().expect("the count");
    for (node, count) in counts.into_iter().enumerate() {
        if node == killed {
            assert!(count <= 50, "node {node} was killed at 50, and counted to {count}");
        } else {
            assert_eq!(count, 100, "node {node}; {killed} was killed");
        }
    }
}
