//! Commands within sessions, and about them: what is executed, and what is only answered.

use bowline_raft::Index;

use super::Replica;
use crate::command::{Command, SessionCommand};
use crate::direct::Served;
use crate::forward::Path;
use crate::reply::Reply;
use crate::session::Origin;
use crate::session::once::Judgement;
use crate::slot::Slots;

/// What stands for the client where there is none: no connection has this number.
const DIRECT: u64 = u64::MAX;

impl Replica {
    /// A request that may not be forwarded. There will be one answer with this token in
    /// [`Output::served`](super::Output::served); at the next [`ready`](Replica::ready), if this node does not
    /// lead.
    pub fn serve_here(&mut self, token: u64, command: &Command<'_>) {
        self.follow_leadership();
        if !self.serving.leads() {
            self.direct.served.push((token, Served::NotLeader(self.node.leader())));
            return;
        }
        let (number, mut encoded) = (self.direct.take(token), Vec::new());
        self.drawn(command, DIRECT, number).encode(&mut encoded);
        let path = if command.is_write() { Path::Log } else { Path::Read };
        self.serve(Origin::NONE, 0, path, number, encoded.into());
    }

    /// Carries out a command of the log, of whatever kind.
    pub(super) fn carry_out(&mut self, command: &Command<'_>, index: Index) -> Reply {
        let Command::Session(command) = command else { return self.store.execute(command, index) };
        let stamp_ms = self.applied_stamp_ms;
        match command {
            SessionCommand::Open => {
                let id = self.sessions.once.open(stamp_ms);
                Reply::Int(i64::try_from(id).expect("fewer sessions than 2^63"))
            }
            SessionCommand::Close { session } if self.sessions.once.close(*session) => Reply::Ok,
            SessionCommand::Close { session } => no_session(*session),
            SessionCommand::SetLimits(limits) => {
                self.sessions.once.set_limits(*limits);
                Reply::Ok
            }
            SessionCommand::Run { session, number, command } => self.run(*session, *number, command, index),
        }
    }

    /// Carries out a command as a session's request, unless that was done.
    fn run(&mut self, session: u64, number: u64, command: &Command<'_>, index: Index) -> Reply {
        let once = &mut self.sessions.once;
        match once.judge(session, number) {
            Judgement::Fresh => {
                let reply = self.store.execute(command, index);
                once.touch(session, self.applied_stamp_ms);
                if command.is_write() {
                    once.complete(session, number, reply.clone(), Slots::of(command));
                }
                reply
            }
            Judgement::Done(reply) => {
                let reply = reply.clone();
                once.touch(session, self.applied_stamp_ms);
                self.duplicates += 1;
                reply
            }
            Judgement::Stale(last) => stale(session, number, last),
            Judgement::NoSession => no_session(session),
        }
    }

    /// Answers a command that does not write, from the state as it is, at `clock_ms`; see [`Store::read`]. What it
    /// has cost is added to `steps`.
    ///
    /// [`Store::read`]: crate::Store::read
    pub(super) fn look_up(&self, command: &Command<'_>, clock_ms: u64, steps: &mut u64) -> Reply {
        match command {
            Command::Session(SessionCommand::Run { session, number, command }) => {
                match self.sessions.once.judge(*session, *number) {
                    Judgement::Fresh => self.store.read_counted(command, clock_ms, steps),
                    Judgement::Done(reply) => reply.clone(),
                    Judgement::Stale(last) => stale(*session, *number, last),
                    Judgement::NoSession => no_session(*session),
                }
            }
            command => self.store.read_counted(command, clock_ms, steps),
        }
    }
}

fn stale(session: u64, number: u64, last: u64) -> Reply {
    Reply::error(format!(
        "ONCESTALE session {session} has answered request {last} already; this sending of {number} was not executed, \
         an earlier one may have been"
    ))
}

fn no_session(session: u64) -> Reply {
    Reply::error(format!(
        "NOSESSION session {session} was never opened, or was closed, or has expired; this sending was not executed, \
         an earlier one may have been"
    ))
}
