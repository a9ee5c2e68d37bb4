//! The model of `top`: the last report, what happened in the last hour, and what the person at the keys chose. Pure.
//!
//! [`Model::update`] takes one input and returns what is to be done. The selected agent is known by its identity, never by its row:
//! an order is for the agent that the question named. This module draws nothing and asks nobody.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::keys::Action;
use crate::{
    agent::requests,
    control::{
        acting::At,
        following::{Change, Followed},
        histories::Happened,
        report::{AgentReport, StatusReport},
        summary::Condition,
    },
};

/// What happened within this time is kept.
pub const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// The most that is kept of what happened.
const MOST: usize = 10_000;

/// Something that came.
#[derive(Debug)]
pub enum Input {
    /// A key.
    Key(Action),
    /// The supervisor's stream.
    Followed(Followed),
    /// What happened in the last hour, asked for once.
    History(Vec<Happened>),
    /// The stream ended, or there is none, for this reason.
    Gone(String),
    /// What the last supervisor left behind; only shown while there is nothing else.
    LeftBehind(Box<StatusReport>),
    /// The lines of a page that was asked for, by the agent's identity.
    Explained(String, Vec<String>),
    /// Where an order is.
    OrderIs(u64, At),
    /// What became of an order: a line for people.
    Done(u64, String),
    /// A line for people about anything else.
    Said(String),
    /// Nothing but time.
    Passed,
}

/// Something that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Ask what happened in the last hour.
    AskHistory,
    /// Ask what the last supervisor left behind.
    AskLeftBehind,
    /// Ask for the history of this agent.
    Explain(String),
    /// Carry out an order.
    Order(u64, Order),
    /// Put the terminal into this agent's session.
    Attach {
        /// The agent.
        identity: String,
        /// Without passing on keys.
        read_only: bool,
    },
    /// Draw everything anew.
    Redraw,
    /// Stop this process, as Ctrl-Z does.
    Suspend,
    /// End.
    Quit,
}

/// What is asked of one agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The agent.
    pub identity: String,
    /// What is to be done with it.
    pub what: What,
    /// Also when it is not idle.
    pub now: bool,
}

/// What can be done with an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// End it and start it again.
    Restart,
    /// End it and hold it.
    Hold,
    /// Clear what delays its start.
    Clear,
}

impl What {
    /// The action of a command for one agent; `None` for what is none.
    pub fn action(self) -> Option<requests::Action> {
        match self {
            What::Restart => Some(requests::Action::Restart),
            What::Hold => Some(requests::Action::Stop),
            What::Clear => None,
        }
    }
}

/// Whether the supervisor answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It was not heard yet.
    Connecting,
    /// It answers.
    Live,
    /// It does not, since then and in this way.
    Gone {
        /// Since when.
        since: Timestamp,
        /// In which way.
        why: String,
    },
}

/// The order of the agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// By rig and name, under the name of each rig.
    Rig,
    /// Those that are not as they should be first.
    State,
    /// What changed last first.
    Newest,
    /// The most restarts first.
    Restarts,
}

impl Sort {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Sort::Rig => "rig",
            Sort::State => "state",
            Sort::Newest => "newest",
            Sort::Restarts => "restarts",
        }
    }

    fn next(self) -> Sort {
        match self {
            Sort::Rig => Sort::State,
            Sort::State => Sort::Newest,
            Sort::Newest => Sort::Restarts,
            Sort::Restarts => Sort::Rig,
        }
    }
}

/// What the keys are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// The town.
    Town,
    /// The filter is typed.
    Filter,
    /// A question that `y` answers.
    Sure(Question),
    /// A page, from this line on.
    Page(Page, usize),
}

/// What has to be confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// This order.
    Order(Order),
    /// To quit while orders wait until their agents are idle.
    Quit,
}

/// A page over the town.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// The keys.
    Help,
    /// All problems.
    Problems,
    /// What happened in the last hour.
    Events,
    /// The history of this agent; `None` until it is there.
    Explain(String, Option<Vec<String>>),
}

/// One row of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row<'a> {
    /// The agents of this rig follow.
    Rig(&'a str, Vec<&'a AgentReport>),
    /// An agent.
    Agent(&'a AgentReport),
}

/// An order that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its number.
    pub number: u64,
    /// The order.
    pub order: Order,
    /// Where it is.
    pub at: Option<At>,
}

/// All that is shown. Texts in it are harmless for a terminal.
#[derive(Debug, Clone)]
pub struct Model {
    /// The last report; `None` until there is one.
    pub report: Option<StatusReport>,
    /// Whether the supervisor answers.
    pub link: Link,
    /// What happened in the last hour, oldest first.
    pub happened: Vec<Happened>,
    /// The identity of the selected agent.
    pub selected: Option<String>,
    /// The number of its row among the agents when it was last shown.
    place: usize,
    /// Only agents with this in their name, state or activity.
    pub filter: String,
    /// Only agents that are not as they should be.
    pub only_unwell: bool,
    /// The order.
    pub sort: Sort,
    /// What the keys are for.
    pub mode: Mode,
    /// What is not done yet.
    pub orders: Vec<Pending>,
    /// The last line for people.
    pub message: Option<String>,
    /// The height of the terminal.
    pub height: usize,
    numbers: u64,
}

impl Model {
    /// Nothing is known yet.
    pub fn new() -> Model {
        Model {
            report: None,
            link: Link::Connecting,
            happened: Vec::new(),
            selected: None,
            place: 0,
            filter: String::new(),
            only_unwell: false,
            sort: Sort::Rig,
            mode: Mode::Town,
            orders: Vec::new(),
            message: None,
            height: 24,
            numbers: 0,
        }
    }

    /// Takes one input; returns what is to be done, in this order.
    pub fn update(&mut self, input: Input, now: Timestamp) -> Vec<Effect> {
        let effects = match input {
            Input::Key(action) => self.key(action),
            Input::Followed(Followed::Snapshot(report)) => self.begins(*report),
            Input::Followed(Followed::Change(change)) => self.changes(*change),
            Input::History(happened) => {
                self.add(happened);
                Vec::new()
            }
            Input::Gone(why) => self.gone(why, now),
            Input::LeftBehind(report) => {
                self.report.get_or_insert(*report);
                Vec::new()
            }
            Input::Explained(identity, lines) => {
                if let Mode::Page(Page::Explain(shown, text), _) = &mut self.mode
                    && *shown == identity
                {
                    *text = Some(lines);
                }
                Vec::new()
            }
            Input::OrderIs(number, at) => {
                let order = self.orders.iter_mut().find(|it| it.number == number);
                order.into_iter().for_each(|order| order.at = Some(at.clone()));
                Vec::new()
            }
            Input::Done(number, text) => {
                self.orders.retain(|it| it.number != number);
                self.message = Some(text);
                Vec::new()
            }
            Input::Said(text) => {
                self.message = Some(text);
                Vec::new()
            }
            Input::Passed => Vec::new(),
        };
        self.happened.retain(|it| now.duration_since(it.entry.latest()) <= KEPT);
        self.remember_place();
        effects
    }

    fn begins(&mut self, report: StatusReport) -> Vec<Effect> {
        if self.link != Link::Connecting
            && let Some(before) = self.report.as_ref().filter(|before| before.pid.is_some())
            && (before.pid, before.started_at) != (report.pid, report.started_at)
        {
            let version = match before.version == report.version {
                true => String::new(),
                false => format!(" of version {} (it was {})", report.version, before.version),
            };
            let pid = report.pid.map(|pid| format!(" (PID {pid})")).unwrap_or_default();
            self.message = Some(format!("another supervisor runs now{pid}{version}"));
        }
        (self.link, self.report) = (Link::Live, Some(report));
        if self.selected.is_none() {
            self.select_one();
        }
        let mut effects = vec![Effect::AskHistory];
        if let Mode::Page(Page::Explain(identity, _), _) = &self.mode {
            effects.push(Effect::Explain(identity.clone()));
        }
        effects
    }

    fn changes(&mut self, mut change: Change) -> Vec<Effect> {
        let happened = std::mem::take(&mut change.happened);
        let concerned: BTreeSet<&str> = change
            .agents
            .iter()
            .map(|agent| agent.identity.as_str())
            .chain(happened.iter().map(|it| it.identity.as_str()))
            .collect();
        let effects = match &self.mode {
            Mode::Page(Page::Explain(identity, _), _) if concerned.contains(identity.as_str()) => {
                vec![Effect::Explain(identity.clone())]
            }
            _ => Vec::new(),
        };
        if let Some(report) = &mut self.report {
            change.apply(report);
        }
        self.add(happened);
        effects
    }

    fn gone(&mut self, why: String, now: Timestamp) -> Vec<Effect> {
        let since = match self.link {
            Link::Gone { since, .. } => since,
            _ => now,
        };
        self.link = Link::Gone { since, why };
        if self.report.is_none() { vec![Effect::AskLeftBehind] } else { Vec::new() }
    }

    /// Adds what happened; what was repeated takes the place of its first occurrence.
    fn add(&mut self, happened: Vec<Happened>) {
        let key =
            |it: &Happened| (it.identity.clone(), it.entry.at, it.entry.kind as u8, it.entry.reason.clone());
        let new: BTreeSet<_> = happened.iter().map(key).collect();
        self.happened.retain(|it| !new.contains(&key(it)));
        self.happened.extend(happened.into_iter().map(|mut it| {
            // How it died is on the page of the agent.
            if let Some(death) = &mut it.entry.death {
                death.last_screen.clear();
            }
            it
        }));
        self.happened.sort_by_key(|it| it.entry.latest());
        let spare = self.happened.len().saturating_sub(MOST);
        self.happened.drain(..spare);
    }

    /// The agents that the filter lets through, in their order.
    pub fn agents(&self) -> Vec<&AgentReport> {
        let filter = self.filter.to_lowercase();
        let has = |text: &str| text.to_lowercase().contains(&filter);
        let is_shown = |agent: &&AgentReport| {
            let named =
                has(&agent.identity) || has(&agent.state) || agent.activity.as_deref().is_some_and(has);
            named && !(self.only_unwell && Condition::of(agent).is_well())
        };
        let all = self.report.iter().flat_map(|report| &report.agents);
        let mut agents: Vec<&AgentReport> = all.filter(is_shown).collect();
        // Agents of the town, then rig by rig.
        agents.sort_by(|a, b| (&a.rig, &a.identity).cmp(&(&b.rig, &b.identity)));
        match self.sort {
            Sort::Rig => {}
            Sort::State => agents.sort_by_key(|agent| {
                let condition = Condition::of(agent);
                (condition.is_well(), condition)
            }),
            Sort::Newest => agents.sort_by_key(|agent| std::cmp::Reverse(agent.since)),
            Sort::Restarts => agents.sort_by_key(|agent| std::cmp::Reverse(agent.restarts)),
        }
        agents
    }

    /// The rows of the table, and which of them is selected.
    pub fn rows(&self) -> (Vec<Row<'_>>, Option<usize>) {
        let agents = self.agents();
        let (mut rows, mut selected) = (Vec::new(), None);
        for (at, agent) in agents.iter().enumerate() {
            let begins = at == 0 || agents[at - 1].rig != agent.rig;
            if let (Sort::Rig, true, Some(rig)) = (self.sort, begins, &agent.rig) {
                let of_it = agents[at..].iter().take_while(|it| it.rig == agent.rig);
                rows.push(Row::Rig(rig, of_it.copied().collect()));
            }
            if self.selected.as_ref() == Some(&agent.identity) {
                selected = Some(rows.len());
            }
            rows.push(Row::Agent(agent));
        }
        (rows, selected)
    }

    /// Whether nobody chose which agents are shown.
    pub fn shows_all(&self) -> bool {
        self.filter.is_empty() && !self.only_unwell
    }

    /// The selected agent, if it is shown.
    fn chosen(&self) -> Option<String> {
        let selected = self.selected.as_ref()?;
        self.agents().iter().any(|agent| agent.identity == *selected).then(|| selected.clone())
    }

    fn remember_place(&mut self) {
        let found = self
            .selected
            .as_ref()
            .and_then(|selected| self.agents().iter().position(|agent| agent.identity == *selected));
        if let Some(place) = found {
            self.place = place;
        }
    }

    /// Selects the first that is shown, unless the selected one is.
    fn select_one(&mut self) {
        if self.chosen().is_none() {
            self.selected =
                self.agents().first().map(|agent| agent.identity.clone()).or(self.selected.take());
        }
    }

    /// The first line of the page that is shown: there are no lines beyond.
    pub fn page_is_at(&mut self, line: usize) {
        if let Mode::Page(_, from) = &mut self.mode {
            *from = line;
        }
    }

    /// Selects the agent this many rows away. When the selected one is not shown any more, it is the one at its place.
    fn move_by(&mut self, by: isize) {
        let chosen = self.chosen().is_some();
        let agents = self.agents();
        let Some(last) = agents.len().checked_sub(1) else { return };
        let to = match chosen {
            true => self.place.saturating_add_signed(by),
            false => self.place,
        };
        self.selected = Some(agents[to.min(last)].identity.clone());
    }

    fn key(&mut self, action: Action) -> Vec<Effect> {
        self.message = None;
        match action {
            Action::Redraw => return vec![Effect::Redraw],
            Action::Suspend => return vec![Effect::Suspend],
            // The second time in any case.
            Action::Interrupt if self.orders.is_empty() || self.mode == Mode::Sure(Question::Quit) => {
                return vec![Effect::Quit];
            }
            _ => {}
        }
        match &mut self.mode {
            Mode::Town => self.key_in_town(action),
            Mode::Filter => {
                match action {
                    Action::Char(c) => self.filter.push(c),
                    Action::Erase => drop(self.filter.pop()),
                    Action::EraseAll => self.filter.clear(),
                    Action::Accept => {
                        self.mode = Mode::Town;
                        self.select_one();
                    }
                    Action::Back | Action::Interrupt => {
                        self.filter.clear();
                        self.mode = Mode::Town;
                    }
                    _ => {}
                }
                Vec::new()
            }
            Mode::Sure(question) => {
                let question = question.clone();
                self.mode = Mode::Town;
                match (action, question) {
                    (Action::Char('y' | 'Y'), Question::Quit) => vec![Effect::Quit],
                    (Action::Char('y' | 'Y'), Question::Order(order)) => {
                        self.numbers += 1;
                        let pending = Pending { number: self.numbers, order: order.clone(), at: None };
                        self.orders.push(pending);
                        vec![Effect::Order(self.numbers, order)]
                    }
                    _ => {
                        self.message = Some("nothing was done".to_owned());
                        Vec::new()
                    }
                }
            }
            Mode::Page(_, from) => {
                let half = (self.height / 2).max(1);
                match action {
                    Action::Down => *from += 1,
                    Action::Up => *from = from.saturating_sub(1),
                    Action::PageDown | Action::Char(' ') => *from += half,
                    Action::PageUp => *from = from.saturating_sub(half),
                    Action::Home => *from = 0,
                    Action::End => *from = usize::MAX / 2,
                    _ => self.mode = Mode::Town,
                }
                Vec::new()
            }
        }
    }

    fn key_in_town(&mut self, action: Action) -> Vec<Effect> {
        let half = isize::try_from(self.height / 2).unwrap_or(1).max(1);
        let many = isize::MAX / 2;
        match action {
            Action::Down => self.move_by(1),
            Action::Up => self.move_by(-1),
            Action::PageDown | Action::Char(' ') => self.move_by(half),
            Action::PageUp => self.move_by(-half),
            Action::Home => self.move_by(-many),
            Action::End => self.move_by(many),
            Action::Interrupt | Action::Char('q') => match self.orders.is_empty() {
                true => return vec![Effect::Quit],
                false => self.mode = Mode::Sure(Question::Quit),
            },
            Action::Back => {
                self.filter.clear();
                self.only_unwell = false;
            }
            Action::Char('/') => self.mode = Mode::Filter,
            Action::Char('!') => self.only_unwell = !self.only_unwell,
            Action::Char('s') => self.sort = self.sort.next(),
            Action::Char('?') => self.mode = Mode::Page(Page::Help, 0),
            Action::Char('p') => self.mode = Mode::Page(Page::Problems, 0),
            // The newest are at the end.
            Action::Char('v') => self.mode = Mode::Page(Page::Events, usize::MAX / 2),
            Action::Accept | Action::Char('e') => {
                return self.with_chosen(|model, identity| {
                    model.mode = Mode::Page(Page::Explain(identity.clone(), None), usize::MAX / 2);
                    vec![Effect::Explain(identity)]
                });
            }
            Action::Char(c @ ('a' | 'A')) => {
                return self
                    .with_chosen(|_, identity| vec![Effect::Attach { identity, read_only: c == 'A' }]);
            }
            Action::Char('r') => return self.ask_to(What::Restart, false),
            Action::Char('R') => return self.ask_to(What::Restart, true),
            Action::Char('h') => return self.ask_to(What::Hold, false),
            Action::Char('H') => return self.ask_to(What::Hold, true),
            Action::Char('c') => return self.ask_to(What::Clear, false),
            _ => self.message = Some("? shows the keys".to_owned()),
        }
        Vec::new()
    }

    fn ask_to(&mut self, what: What, now: bool) -> Vec<Effect> {
        self.with_chosen(|model, identity| {
            if model.orders.iter().any(|pending| pending.order.identity == identity) {
                model.message = Some(format!("{identity}: an order for it is not done yet"));
            } else {
                model.mode = Mode::Sure(Question::Order(Order { identity, what, now }));
            }
            Vec::new()
        })
    }

    fn with_chosen(&mut self, then: impl FnOnce(&mut Model, String) -> Vec<Effect>) -> Vec<Effect> {
        match self.chosen() {
            Some(identity) => then(self, identity),
            None => {
                self.message = Some("no agent is selected: choose one with the arrow keys".to_owned());
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
