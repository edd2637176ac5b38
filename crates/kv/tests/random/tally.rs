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
    /// Those of a later value that had the time of an earlier one.
    seen_gone_in_its_place,
    /// Keys that had a time once, and then none.
    seen_lasting,
    transactions,
    /// Requests of clients that go from node to node to which nobody answered in time.
    silences,
    clerk_calls,
    /// Clerks were told so.
    calls_unknown,
    calls_not_executed,
    sessions_opened,
    sessions_closed,
    /// Ended by their time, or to make room.
    sessions_lost,
    /// Answered after a sending to which nobody answered.
    once_sent_again,
    /// Answered a second time, as the first time.
    once_repeated,
    /// Stale numbers, and those of sessions that are over.
    once_refused,
    execs_done,
    execs_refused,
    hashes_read,
    /// Of those, with more fields than a small one may have.
    large_hashes_read,
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
