//! `ONCE` by hand, as a program does it that has no clerk.
//!
//! It appends elements to a list that it alone writes, each under a number of a session; sends a number again, to any
//! node, when it has heard nothing, and also when it has; sends lower numbers, which must have no effect, and numbers
//! of sessions that are over.

use std::collections::{BTreeMap, BTreeSet};

use bowline_kv::Reply;
use bowline_kv::command::{Command, SessionCommand};
use bowline_kv::session::once::Limits;
use rand::RngExt;

use super::{Scene, Todo, is_refusal, says};
use crate::history::list;

/// How long the text of an element of the list is.
const ELEMENT_BYTES: usize = 6;

pub(super) struct OnceClient {
    key: String,
    /// Whether it sets limits now and then.
    sets_limits: bool,
    session: Option<Session>,
    /// A session that it has closed.
    closed: Option<u64>,
    elements: Vec<Element>,
    asked: Option<Asked>,
    /// What it sends again next: an element, and so many times at most.
    again: Option<(usize, u32)>,
    /// The list in the end.
    list: Option<Vec<usize>>,
}

struct Session {
    id: u64,
    /// The last number that was sent.
    number: u64,
    /// The last number that was answered, with the element that it appended and the reply.
    answered: Option<(u64, usize, Reply)>,
}

struct Element {
    session: u64,
    number: u64,
    /// Whether a sending of it was met by silence, or by an answer that says nothing.
    is_uncertain: bool,
    /// The length of the list with it, says its reply, in bytes.
    length: Option<usize>,
    /// Whether it was sent under a number that must have no effect.
    is_void: bool,
}

enum Asked {
    Open,
    /// A new element, or one that was not answered.
    Append(usize),
    /// One that was answered so.
    Repeat(Reply),
    /// One that must be refused: the words that may say so.
    Void(&'static [&'static [u8]]),
    Close,
    Limits,
    List,
}

impl OnceClient {
    pub(super) fn new(number: u64, sets_limits: bool) -> Self {
        Self {
            key: format!("o{number}"),
            sets_limits,
            session: None,
            closed: None,
            elements: Vec::new(),
            asked: None,
            again: None,
            list: None,
        }
    }

    pub(super) fn next(&mut self, scene: &mut Scene<'_>) -> Todo {
        if self.list.is_some() {
            return Todo::Nothing;
        }
        if scene.have_stopped {
            self.asked = Some(Asked::List);
            return scene.ask(&Command::Get { key: self.key.as_bytes() });
        }
        if let Some((element, left)) = self.again.take() {
            self.again = left.checked_sub(1).map(|left| (element, left));
            return self.append(element, Asked::Append(element), scene);
        }
        // After every other answer it thinks.
        if self.asked.take().is_some() && scene.rng.random() {
            return scene.think();
        }
        if self.session.is_none() && scene.rng.random_ratio(9, 10) {
            self.asked = Some(Asked::Open);
            return scene.ask(&Command::Session(SessionCommand::Open));
        }
        match scene.rng.random_range(0..20) {
            0 => self.close(scene),
            1..5 => self.repeat(scene),
            5..7 => self.send_stale(scene),
            7 => self.send_without_session(scene),
            8 if self.sets_limits => self.set_limits(scene),
            _ => self.send_new(scene),
        }
    }

    fn element(&mut self, session: u64, number: u64, is_void: bool) -> usize {
        self.elements.push(Element { session, number, is_uncertain: false, length: None, is_void });
        self.elements.len() - 1
    }

    fn append(&mut self, element: usize, asked: Asked, scene: &mut Scene<'_>) -> Todo {
        let Element { session, number, .. } = self.elements[element];
        let text = format!("{element:0width$},", width = ELEMENT_BYTES - 1);
        let append = Command::Append { key: self.key.as_bytes(), value: text.as_bytes() };
        let todo =
            scene.ask(&Command::Session(SessionCommand::Run { session, number, command: Box::new(append) }));
        self.asked = Some(asked);
        todo
    }

    fn send_new(&mut self, scene: &mut Scene<'_>) -> Todo {
        let Some(session) = &mut self.session else { return scene.think() };
        session.number += scene.rng.random_range(1..=3);
        let (id, number) = (session.id, session.number);
        let element = self.element(id, number, false);
        self.append(element, Asked::Append(element), scene)
    }

    fn repeat(&mut self, scene: &mut Scene<'_>) -> Todo {
        let Some((_, element, reply)) = self.session.as_ref().and_then(|session| session.answered.clone())
        else {
            return self.send_new(scene);
        };
        self.append(element, Asked::Repeat(reply), scene)
    }

    /// Another element under a number below one that was answered.
    fn send_stale(&mut self, scene: &mut Scene<'_>) -> Todo {
        let answered =
            self.session.as_ref().and_then(|session| Some((session.id, session.answered.as_ref()?.0)));
        let Some((id, last)) = answered.filter(|(_, last)| *last > 1) else { return self.send_new(scene) };
        let number = scene.rng.random_range(1..last);
        let element = self.element(id, number, true);
        self.append(element, Asked::Void(&[b"ONCESTALE ", b"NOSESSION "]), scene)
    }

    /// In a session that was closed, or one that nobody has opened.
    fn send_without_session(&mut self, scene: &mut Scene<'_>) -> Todo {
        let element = self.element(self.closed.unwrap_or(1 << 40), 1_000_000, true);
        self.append(element, Asked::Void(&[b"NOSESSION "]), scene)
    }

    fn close(&mut self, scene: &mut Scene<'_>) -> Todo {
        let Some(Session { id, .. }) = self.session else { return scene.think() };
        self.asked = Some(Asked::Close);
        scene.ask(&Command::Session(SessionCommand::Close { session: id }))
    }

    fn set_limits(&mut self, scene: &mut Scene<'_>) -> Todo {
        scene.records.are_limited = true;
        self.asked = Some(Asked::Limits);
        let most = scene.rng.random_range(1..8);
        let idle_ms = if scene.rng.random() { 3_600_000 } else { scene.rng.random_range(50..2000) };
        scene.ask(&Command::Session(SessionCommand::SetLimits(Limits { most, idle_ms })))
    }

    pub(super) fn told(&mut self, reply: Option<Reply>, scene: &mut Scene<'_>) {
        let unclear = reply.as_ref().is_none_or(|reply| says(reply, b"UNCERTAIN "));
        let executed = reply.as_ref().filter(|reply| !unclear && !is_refusal(reply));
        let is_gone = reply.as_ref().is_some_and(|reply| says(reply, b"NOSESSION "));
        match self.asked.as_ref().expect("something was asked") {
            Asked::Open => {
                if let Some(reply) = executed {
                    let id = u64::try_from(integer(reply)).expect("an id is positive");
                    assert!(scene.records.sessions.insert(id), "session {id} was opened twice");
                    scene.tally.sessions_opened += 1;
                    self.session = Some(Session { id, number: 0, answered: None });
                }
            }
            Asked::Append(element) => self.appended(*element, reply.as_ref(), unclear, scene),
            Asked::Repeat(first) => {
                if let Some(reply) = executed {
                    assert_eq!(reply, first, "the same number again");
                    scene.tally.once_repeated += 1;
                }
                let is_stale = reply.is_some_and(|reply| says(&reply, b"ONCESTALE "));
                assert!(!is_stale || self.has_given_up(), "stale, and no later number was sent");
                self.lose_session_if(is_gone, scene);
            }
            Asked::Void(words) => {
                assert!(executed.is_none(), "{reply:?} to what must be refused");
                let is_judged = reply.is_some_and(|reply| words.iter().any(|word| says(&reply, word)));
                scene.tally.once_refused += u64::from(is_judged);
            }
            Asked::Close => {
                if let Some(reply) = executed {
                    assert_eq!(*reply, Reply::Ok);
                    self.closed = self.session.take().map(|session| session.id);
                    scene.tally.sessions_closed += 1;
                } else if unclear {
                    self.session = None;
                }
                self.lose_session_if(is_gone, scene);
            }
            Asked::Limits => {}
            Asked::List => self.list = executed.map(list),
        }
    }

    fn appended(&mut self, at: usize, reply: Option<&Reply>, unclear: bool, scene: &mut Scene<'_>) {
        let element = &mut self.elements[at];
        element.is_uncertain |= unclear;
        match reply {
            Some(reply) if !unclear && !is_refusal(reply) => {
                element.length = Some(usize::try_from(integer(reply)).expect("a length"));
                scene.tally.once_sent_again += u64::from(element.is_uncertain);
                self.again = None;
                let session = self.session.as_mut().expect("it was sent in it");
                session.answered = Some((session.number, at, reply.clone()));
            }
            Some(reply) if says(reply, b"NOSESSION ") => {
                self.again = None;
                self.lose_session_if(true, scene);
            }
            Some(reply) if says(reply, b"ONCESTALE ") => panic!("no later number was sent: {reply:?}"),
            _ if self.again.is_none() && scene.rng.random_ratio(4, 5) => {
                self.again = Some((at, scene.rng.random_range(0..4)));
            }
            _ => {}
        }
    }

    /// Whether a number was sent behind the last one that was answered: it may have been executed meanwhile.
    fn has_given_up(&self) -> bool {
        let session = self.session.as_ref();
        session
            .is_some_and(|session| session.answered.as_ref().is_none_or(|(last, ..)| session.number > *last))
    }

    fn lose_session_if(&mut self, is_gone: bool, scene: &mut Scene<'_>) {
        if is_gone && let Some(session) = self.session.take() {
            assert!(scene.records.are_limited, "session {} is gone, and nobody has ended it", session.id);
            scene.tally.sessions_lost += 1;
        }
    }

    /// The list in the end has each element once that was acknowledged, where its reply said; perhaps those of which
    /// nobody knows; and no others.
    pub(super) fn check(&self) {
        let list = self.list.as_ref().expect("it was read");
        let mut places = BTreeMap::new();
        for (place, element) in list.iter().enumerate() {
            assert_eq!(places.insert(element, place), None, "{element} is there twice: {list:?}");
        }
        for (at, element) in self.elements.iter().enumerate() {
            let place = places.get(&at).copied();
            match element.length {
                Some(length) => {
                    assert_eq!(
                        place.map(|place| (place + 1) * ELEMENT_BYTES),
                        Some(length),
                        "{at}: {list:?}"
                    );
                }
                None if element.is_void || !element.is_uncertain => {
                    assert_eq!(place, None, "{at} was refused, and is there: {list:?}");
                }
                None => {}
            }
        }
        self.check_order(list);
    }

    /// A number of a session takes effect behind all lower ones, or never.
    fn check_order(&self, list: &[usize]) {
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for &element in list {
            let Element { session, number, .. } = self.elements[element];
            let before = last.insert(session, number);
            assert!(
                before.is_none_or(|before| before < number),
                "{element} stands behind {before:?}: {list:?}"
            );
            assert!(seen.insert((session, number)), "number {number} of session {session} twice: {list:?}");
        }
    }
}

fn integer(reply: &Reply) -> i64 {
    match reply {
        Reply::Int(number) => *number,
        other => panic!("not a number: {other:?}"),
    }
}
