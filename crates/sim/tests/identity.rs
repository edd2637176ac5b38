//! A crash in the middle of writing down who the node is: the old or the new is there, whole.

use std::collections::BTreeMap;

use bowline_raft::NodeId;
use bowline_sim::SimDisk;
use bowline_storage::{DirectoryId, Identity};

#[test]
fn a_life_once_begun_never_comes_again() {
    let (mut old, mut new) = (0, 0);
    for stop in 0..8 {
        for seed in 0..50 {
            let disk = SimDisk::new(seed);
            let identity = |life| Identity {
                cluster: "shop".into(),
                node: NodeId(1),
                members: vec![NodeId(1)],
                directory: DirectoryId(9),
                life,
                peers: BTreeMap::new(),
            };
            identity(1).write(&disk).expect("nothing goes wrong");
            disk.stop_at(disk.operations() + stop);
            let result = identity(2).write(&disk);
            if seed % 2 == 0 {
                disk.kill();
            }
            disk.power_loss();
            let found = Identity::read(&disk).expect("readable").expect("one is there");
            assert!(found == identity(1) || found == identity(2), "{found:?}");
            assert!(result.is_err() || found.life == 2, "a life that was begun is forgotten");
            if result.is_err() {
                old += u64::from(found.life == 1);
                new += u64::from(found.life == 2);
            }
            identity(found.life + 1).write(&disk).expect("what the crash left is no obstacle");
            disk.power_loss();
            assert_eq!(Identity::read(&disk).expect("readable"), Some(identity(found.life + 1)));
        }
    }
    assert!(old > 50 && new > 10, "{old} {new}");
}
