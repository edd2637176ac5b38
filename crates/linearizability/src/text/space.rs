//! The search through sketches.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::fit::{Fit, Fits, fits};
use super::outlook::Outlook;
use super::sketch::{Setting, Sketch};
use super::values::{Prefix, Values};
use super::{Answered, TextCall, Texts};
use crate::redis::{Action, Answer, Condition, Reply, Text, apply};
use crate::search::Space;

/// The states of one key.
pub(crate) struct TextSpace<'a> {
    calls: &'a [TextCall],
    notes: Vec<Note>,
    setting: Setting,
    texts: Texts,
    outlook: Outlook,
    /// Whether a hidden text stays one and the same until another begins: no answer tells its length or number, and
    /// nothing removes it.
    is_forgetful: bool,
    /// Whether the key always has a value, or no answer tells whether it has one that is hidden.
    is_presence_known: bool,
}

/// What is known of a call.
struct Note {
    /// The value that its answer shows.
    shows: Option<usize>,
    /// The text that it can begin anew with.
    begins: Option<Prefix>,
    /// Where it fits, if it is an append.
    fit: Fit,
    /// Whether whatever shows the text that ends with it there needs it there.
    is_needed: bool,
    /// Whether it does the same whatever there was, as far as it is answered.
    is_blind: bool,
}

impl<'a> TextSpace<'a> {
    pub(crate) fn new(calls: &'a [TextCall], texts: Texts) -> Self {
        let values = Values::new(calls.iter().filter_map(shown).cloned());
        let has = |wanted: fn(&Action) -> bool| calls.iter().any(|call| wanted(&call.action));
        let can_be_missing = texts.initial.is_none() || has(|action| *action == Action::Del);
        let keeps_number = has(|action| matches!(action, Action::IncrBy(_)));
        let keeps_length = has(|action| *action == Action::StrLen)
            || texts.is_length_told && has(|action| matches!(action, Action::Append(_)));
        let is_forgetful = !keeps_number && !keeps_length && !has(|action| *action == Action::Del);
        let is_presence_known = texts.initial.is_some() || !has(tells_presence);
        let begins = calls.iter().map(|call| begins(&values, call, can_be_missing)).collect();
        let notes = notes(&values, calls, texts.initial.as_ref(), begins);
        let mut outlook = Outlook::new(values.sorted().len());
        for note in &notes {
            note.count(&mut outlook, 1);
        }
        let setting = Setting { values, keeps_length, keeps_number };
        Self { calls, notes, setting, texts, outlook, is_forgetful, is_presence_known }
    }

    /// Whether the call leads to a hidden text from now on, wherever it is placed.
    fn is_never_shown(&self, call: usize) -> bool {
        let note = &self.notes[call];
        let fit = match self.calls[call].action {
            Action::Append(_) => note.fit,
            _ => note.begins.map_or(Fit::Nowhere, Fit::Once),
        };
        match fit {
            Fit::Nowhere => true,
            Fit::Once(text) => !self.outlook.is_awaited(text.range()),
            Fit::Often => false,
        }
    }

    fn fits(&self, answer: &Answer<Sketch>, call: usize) -> bool {
        let Answered::With(reply) = &self.calls[call].answered else {
            return true;
        };
        match (answer, reply) {
            (Answer::Ok, Reply::Ok) | (Answer::Nil, Reply::Nil) => true,
            (Answer::Int(number), Reply::Int(told)) => number == told,
            (Answer::Simple(text), Reply::Simple(told)) => text.as_bytes() == told,
            (Answer::Error(text), Reply::Error(told)) => text.as_bytes() == told,
            (Answer::Value(Sketch::Seen(prefix)), Reply::Value(_)) => {
                self.notes[call].shows.is_some_and(|place| self.setting.values.is(*prefix, place))
            }
            _ => false,
        }
    }
}

impl Note {
    fn count(&self, outlook: &mut Outlook, change: i32) {
        if let Some(place) = self.shows {
            outlook.show(place, change);
        }
        if let Some(text) = self.begins {
            outlook.begin(text, change);
        }
    }
}

impl Space for TextSpace<'_> {
    /// The value; none if the key is missing.
    type State = Option<Sketch>;

    fn initial(&self) -> Self::State {
        self.texts.initial.as_ref().map(|text| Sketch::new(&self.setting, text))
    }

    fn step(&self, state: &Self::State, call: usize) -> Option<Self::State> {
        let mut after = state.clone();
        let answer = apply(&self.setting, self.texts.max_bytes, &mut after, &self.calls[call].action);
        self.fits(&answer, call).then_some(after)
    }

    /// A call that changes nothing is free. So is, in a forgetful space and while the text is hidden, a blind one that can
    /// only hide it: wherever it stands later, up to there nothing changes if it stands here, and behind it come
    /// only blind calls until a new text begins.
    fn is_free(&self, state: &Self::State, call: usize) -> bool {
        let is_hidden = matches!(state, Some(Sketch::Hidden { .. }));
        let is_lost =
            || is_hidden && self.is_forgetful && self.notes[call].is_blind && self.is_never_shown(call);
        (self.calls[call].is_read || is_lost()) && self.step(state, call).is_some()
    }

    /// Without an answer a question does not matter, nor what no answer shows, if none tells either that something is there.
    fn can_matter(&self, call: usize) -> bool {
        let is_question =
            matches!(self.calls[call].action, Action::Get | Action::StrLen | Action::Exists | Action::Type);
        let is_lost = self.is_forgetful && self.is_presence_known && self.notes[call].is_blind;
        !(is_question || is_lost && self.is_never_shown(call))
    }

    fn place(&mut self, call: usize) {
        self.notes[call].count(&mut self.outlook, -1);
    }

    fn take_back(&mut self, call: usize) {
        self.notes[call].count(&mut self.outlook, 1);
    }

    fn settle(&self, state: Self::State) -> Self::State {
        match state {
            Some(Sketch::Seen(prefix)) if !self.outlook.is_awaited(prefix.range()) => {
                Some(self.setting.hidden(self.setting.values.text(prefix)))
            }
            other => other,
        }
    }

    fn is_hopeless(&self, before: &Self::State, after: &Self::State, call: usize) -> bool {
        let seen = |state: &Self::State| match state {
            Some(Sketch::Seen(prefix)) => Some(*prefix),
            _ => None,
        };
        let after = seen(after);
        let has_strayed = match (&self.calls[call].action, self.notes[call].fit) {
            (Action::Append(_), Fit::Once(text)) if self.notes[call].is_needed && after != Some(text) => {
                self.outlook.is_awaited(text.range()) && !self.outlook.can_begin_within(text)
            }
            _ => false,
        };
        has_strayed || seen(before).is_some_and(|before| self.outlook.forbids(before, after))
    }
}

/// Whether an answer may tell that a key has a value without telling which.
fn tells_presence(action: &Action) -> bool {
    !matches!(action, Action::Get | Action::Set { condition: Condition::Always, .. })
}

/// The value that the answer of a call shows.
fn shown(call: &TextCall) -> Option<&Bytes> {
    match &call.answered {
        Answered::With(Reply::Value(value)) => Some(value),
        _ => None,
    }
}

/// The text that a call can begin anew with, if answers show values that begin so.
fn begins(values: &Values, call: &TextCall, can_be_missing: bool) -> Option<Prefix> {
    match &call.action {
        Action::Set { value, .. } | Action::SetNx(value) => values.prefix(value),
        Action::Append(more) if can_be_missing => values.prefix(more),
        Action::IncrBy(_) => match &call.answered {
            Answered::With(Reply::Int(number)) => values.prefix(number.to_string().as_bytes()),
            Answered::With(_) => None,
            // Any number.
            Answered::No | Answered::Silently => values.prefix(b""),
        },
        _ => None,
    }
}

fn notes(
    values: &Values,
    calls: &[TextCall],
    initial: Option<&Bytes>,
    begins: Vec<Option<Prefix>>,
) -> Vec<Note> {
    let mut pieces: HashMap<&Bytes, u32> = HashMap::new();
    for call in calls {
        if let Action::Append(more) = &call.action {
            *pieces.entry(more).or_default() += 1;
        }
    }
    let first = initial.and_then(|initial| values.prefix(initial));
    let bases: Vec<_> = begins.iter().copied().flatten().chain(first).collect();
    let distinct: BTreeSet<Bytes> = pieces.keys().map(|piece| (*piece).clone()).collect();
    // A number that nobody has told may begin anything.
    let is_guess =
        |call: &TextCall| matches!(call.action, Action::IncrBy(_)) && call.answered == Answered::No;
    let fits = if calls.iter().any(is_guess) { Fits::unknown() } else { fits(values, &bases, &distinct) };
    let note = |(call, begins): (&TextCall, Option<Prefix>)| {
        let (fit, is_needed) = match &call.action {
            Action::Append(more) => (fits.of(more), fits.is_plain && pieces[more] == 1),
            _ => (Fit::Often, false),
        };
        let is_set = matches!(call.action, Action::Set { condition: Condition::Always, get: false, .. });
        // In a forgetful space no append tells a length.
        let is_blind = is_set || matches!(call.action, Action::Append(_));
        Note { shows: shown(call).and_then(|value| values.place(value)), begins, fit, is_needed, is_blind }
    };
    calls.iter().zip(begins).map(note).collect()
}
