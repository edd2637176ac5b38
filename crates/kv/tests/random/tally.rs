//! What really happened. A fault that was meant to happen and never did has tested nothing.

macro_rules! tally {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[derive(Debug, Default)]
        pub(crate) struct Tally {
            $($(#[$doc])* pub(crate) $name: u64,)*
        }

        impl Tally {
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// What did not happen once.
            pub(crate) fn never(&self) -> Vec<&'static str> {
                let mut never = Vec::new();
                $(if self.$name == 0 { never.push(stringify!($name)); })*
                never
            }
        }
    };
}

tally! {
    messages_lost,
    messages_repeated,
    messages_overtaken,
    partitions,
    one_way_partitions,
    isolations,
    pauses,
    power_losses,
    writes_lost,
    slow_disks,
    streams_broken,
    /// Carried by a connection that broke, and never arrived.
    frames_lost,
    /// Arrived on a connection after the next one was there.
    frames_late,
    /// Arrived after their sender had begun another life.
    frames_of_earlier_lives,
    clients_gone,
    clocks_spoiled,
    /// Keys that had expired when they were read, and keys that had not.
    seen_gone,
    seen_in_time,
    transactions,
    commands,
    answered,
    uncertain,
    cluster_down,
    log_full,
    /// Came up in the log again, and were answered from their record.
    duplicates,
    leaders,
    snapshots_made,
    /// Ready when one from the leader had gone farther.
    snapshots_outrun,
    snapshots_installed,
    /// Sent here, and replaced by a newer one before their image was ready.
    snapshots_overtaken,
    /// Did not arrive, which was noticed.
    snapshots_failed,
    starts_from_snapshots,
    /// Commands that were carried out in a snapshot.
    answered_from_snapshots,
}
