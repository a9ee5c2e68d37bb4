//! The story: what happened in one step of an agent's lifecycle, as one entry of its history. Pure.

use super::{Entry, Kind};
use crate::{
    agent::{
        lifecycle::Lifecycle,
        phase::{self, Phase},
        reason::Reason,
    },
    clock::Now,
};

/// The entry for what happened in a step that led to how `after` is. `request` is who asks for what is attended to.
pub fn entry(after: &Lifecycle, reasons: &[Reason], request: Option<&str>, now: Now) -> Option<Entry> {
    let mut step = StepInWords::default();
    for reason in reasons {
        step.add(reason, request.unwrap_or("by mail"));
    }
    let kind = step.kind?;
    let entry = Entry::new(kind, now.wall, &step.seen, &step.done).because(step.code);
    Some(entry.leading_to(Phase::of(after), phase::until(after.state())))
}

#[derive(Default)]
struct StepInWords {
    seen: String,
    done: String,
    /// What it is about; `None` while there is nothing to say.
    kind: Option<Kind>,
    /// The code of what happened first.
    code: &'static str,
}

impl StepInWords {
    fn add(&mut self, reason: &Reason, request: &str) {
        let mut words = reason.words();
        match reason {
            // What was carried out was reported already, if there was something to do.
            Reason::RequestCarriedOut if self.kind.is_some() => return,
            Reason::RequestCarriedOut => words.seen = format!("request {request} {}", words.seen),
            Reason::RequestPostponed(_) => words.seen = format!("request {request} {}", words.seen),
            Reason::RequestRefused(_) => words.seen = format!("request {request}: {}", words.seen),
            // What was observed before says why.
            Reason::Starting { .. } if self.kind.is_some() => words.seen.clear(),
            _ => {}
        }
        if self.kind.is_none() {
            self.kind = Some(kind(reason));
            self.code = reason.code();
        }
        join(&mut self.seen, &words.seen);
        join(&mut self.done, &words.done);
    }
}

fn kind(reason: &Reason) -> Kind {
    match reason {
        Reason::RequestCarriedOut | Reason::RequestRefused(_) | Reason::RequestPostponed(_) => Kind::Request,
        Reason::Unclear { .. } => Kind::Unclear,
        _ => Kind::Change,
    }
}

fn join(text: &mut String, more: &str) {
    if !text.is_empty() && !more.is_empty() {
        text.push_str("; ");
    }
    text.push_str(more);
}
