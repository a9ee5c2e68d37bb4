//! Stepper: which key is pressed next at a question, and whether one is pressed at all. Pure.
//!
//! A program may show the effect of a key late, or draw its screen anew meanwhile. So one key is on its way at a time: after a key
//! nothing is pressed until the screen shows that it arrived, with the cursor on the expected option, or with the question gone
//! after Enter. Enter is pressed only where the screen that was just read has the cursor on the wanted option, and once for one
//! appearance of a question. What does not show in time never arrived as far as anybody can tell: then nothing more is pressed, and the
//! question is left to people. It must not read a screen or press a key itself.

use std::{collections::BTreeSet, time::Duration};

use super::{Menu, Question, answer, next_key};
use crate::{sessions::Key, town::dialogs::Dialog};

/// What was pressed at the questions of one incarnation of a session since its program last took a text at its prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answering {
    /// The key that is on its way.
    sent: Option<Sent>,
    /// The questions at which Enter was pressed, by kind and by title.
    entered: Vec<(Dialog, String)>,
    /// The arrow keys that arrived at the question that shows.
    arrows: usize,
    /// A key did not show in time.
    lost: bool,
}

/// A key on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sent {
    key: Key,
    /// The question as the key should change it; with Enter, as it was.
    expected: Question,
    kind: Dialog,
    /// The option that is wanted.
    option: String,
    /// When it was pressed (monotonic).
    at: Duration,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Press this key, on the way to this option; it is noted as pressed, whatever comes of it.
    Press(Key, String),
    /// Nothing, and read the screen again: a key is on its way.
    Wait,
    /// No question shows: nothing is to be answered.
    Over,
    /// Nothing is pressed: the question is left to people.
    Leave,
    /// The same, as of now: this key did not show in time.
    GiveUp(Key),
}

impl Answering {
    /// The next step, where the screen that was just read shows this question and questions of these kinds are answered.
    /// Beside it the title and option of a question that is gone since Enter was pressed.
    pub fn step(
        &mut self,
        shown: Option<&Question>,
        answered: &BTreeSet<Dialog>,
        now: Duration,
        patience: Duration,
    ) -> (Step, Option<(String, String)>) {
        let mut gone = None;
        if let Some(sent) = self.sent.take() {
            if !sent.arrived(shown) {
                let in_time = now.saturating_sub(sent.at) < patience;
                // Without a question there is nothing to press, but the key may still be on its way.
                let step = match shown {
                    None => Step::Over,
                    Some(_) if in_time => Step::Wait,
                    Some(_) => Step::GiveUp(sent.key),
                };
                self.lost |= matches!(step, Step::GiveUp(_));
                self.sent = (!self.lost).then_some(sent);
                return (step, None);
            }
            match sent.key {
                Key::Enter => {
                    self.arrows = 0;
                    gone = Some((sent.expected.title, sent.option));
                }
                _ => self.arrows += 1,
            }
        }
        (self.next(shown, answered, now), gone)
    }

    fn next(&mut self, shown: Option<&Question>, answered: &BTreeSet<Dialog>, now: Duration) -> Step {
        let Some(question) = shown else { return Step::Over };
        let Some(target) = answer(question, answered).filter(|_| !self.lost) else { return Step::Leave };
        let (Some(menu), Some(kind)) = (&question.menu, question.known) else { return Step::Leave };
        // One that shows again may be drawn anew by a program that has not taken the first Enter yet. Somebody else moves a cursor
        // that has to be moved more often than there are options.
        let is_known = |(its, title): &(Dialog, String)| *its == kind || *title == question.title;
        if self.entered.iter().any(is_known) || self.arrows > menu.options.len() {
            return Step::Leave;
        }
        let (key, option) = (next_key(menu, target), menu.options[target].clone());
        let cursor = match key {
            Key::Up => menu.cursor - 1,
            Key::Down => menu.cursor + 1,
            _ => menu.cursor,
        };
        if key == Key::Enter {
            self.entered.push((kind, question.title.clone()));
        }
        let expected = Question { menu: Some(Menu { cursor, ..menu.clone() }), ..question.clone() };
        self.sent = Some(Sent { key, expected, kind, option: option.clone(), at: now });
        Step::Press(key, option)
    }
}

impl Sent {
    fn arrived(&self, shown: Option<&Question>) -> bool {
        let Some(shown) = shown else { return self.key == Key::Enter };
        let (is_kind, is_title) = (shown.known == Some(self.kind), shown.title == self.expected.title);
        match self.key {
            // One that is drawn in part is still this one.
            Key::Enter => shown.menu.is_some() && !is_kind && !is_title,
            // A program may mark the option under the cursor.
            _ => {
                let place = |question: &Question| {
                    question.menu.as_ref().map(|menu| (menu.options.len(), menu.cursor))
                };
                is_kind && is_title && place(shown) == place(&self.expected)
            }
        }
    }
}

#[cfg(test)]
#[path = "stepper_tests.rs"]
mod tests;
