//! `top`: the town, live, on the whole terminal.
//!
//! This loop waits for what comes (keys, the supervisor's stream of changes, signals, answers), gives it to the [`model`], does what
//! that asks for ([`doing`]), and draws the [`view`]. It draws when something came, never in a loop; only ages make it draw by
//! themselves. It decides nothing, and adds no state to the supervisor.

use std::{
    io::{self, IsTerminal},
    process::ExitStatus,
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use crossterm::event::{self, Event, EventStream};
use futures::{StreamExt, future::select_all};
use jiff::{Timestamp, tz::TimeZone};
use rustix::process::{Pid, kill_process};
use signal_hook::{
    consts::{SIGCONT, SIGSTOP, SIGTSTP},
    low_level::emulate_default_handler,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::UnboundedReceiver,
    time::sleep,
};

use self::{
    doing::Doing,
    model::{Effect, Input, Model},
    screen::Screen,
};
use super::town::{TownArgument, asked, plain};
use crate::{
    Client,
    clock::{Clock, SystemClock},
    local_time::LocalTime,
};

mod doing;
mod keys;
mod last_hour;
mod model;
mod screen;
mod table;
mod view;

/// How often ages, which are in minutes, are drawn again while nothing comes.
const AGES: Duration = Duration::from_secs(10);

/// Shows the town live: agents, the last hour, problems and events.
///
/// It draws whenever something changes. Agents are restarted, held, cleared and attached to by keys; ? shows them. What ends an agent
/// asks first. It keeps the last picture while no supervisor answers, says since when, and goes on with the next one.
///
/// With NO_COLOR it draws without colours. Ages are in minutes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  gastown-supervisor top\n  gastown-supervisor top --town ~/gt")]
pub struct TopArguments {
    #[command(flatten)]
    town: TownArgument,
}

/// Shows it until somebody quits.
pub fn top(arguments: &TopArguments) -> anyhow::Result<()> {
    let client = arguments.town.client()?;
    anyhow::ensure!(
        std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
        "top needs a terminal; `gastown-supervisor status` prints the same, `events -f` follows what happens"
    );
    asked(async { Top::begin(client)?.run().await })
}

struct Top {
    model: Model,
    plain: bool,
    screen: Screen,
    /// `None` while another program reads them.
    keys: Option<EventStream>,
    signals: Signals,
    inputs: UnboundedReceiver<Input>,
    doing: Doing,
}

/// What the loop waits for.
enum Came {
    Input(Input),
    Resized,
    Ends,
    Stops,
    Continues,
}

impl Top {
    fn begin(client: Client) -> anyhow::Result<Top> {
        let signals = Signals::new().context("signals cannot be received")?;
        let (doing, inputs) = Doing::begin(client);
        let screen = Screen::open().context("the terminal cannot be drawn on")?;
        let (model, keys, plain) = (Model::new(), Some(EventStream::new()), plain());
        Ok(Top { model, plain, screen, keys, signals, inputs, doing })
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        loop {
            self.draw().context("the terminal cannot be drawn on")?;
            let mut effects = match self.came().await? {
                Came::Input(input) => self.model.update(input, now()),
                Came::Resized => Vec::new(),
                Came::Ends => return Ok(()),
                Came::Stops => vec![Effect::Suspend],
                Came::Continues => vec![Effect::Redraw],
            };
            // What came at the same time is one picture.
            while let Ok(input) = self.inputs.try_recv() {
                effects.extend(self.model.update(input, now()));
            }
            for effect in effects {
                if self.ends_with(effect).await? {
                    return Ok(());
                }
            }
        }
    }

    fn draw(&mut self) -> io::Result<()> {
        let (width, height) = self.screen.size()?;
        self.model.height = height;
        let local = LocalTime::new(now(), &TimeZone::system()).in_minutes();
        let picture = view::picture(&self.model, (width, height), &local, self.plain);
        self.model.page_is_at(picture.page_from);
        self.screen.draw(picture.lines)
    }

    async fn came(&mut self) -> anyhow::Result<Came> {
        loop {
            let key = async {
                match &mut self.keys {
                    Some(keys) => keys.next().await,
                    None => std::future::pending().await,
                }
            };
            return Ok(tokio::select! {
                signal = self.signals.next() => signal,
                key = key => match key {
                    Some(Ok(Event::Key(key))) => match keys::action(key, &self.model.mode) {
                        Some(action) => Came::Input(Input::Key(action)),
                        None => continue,
                    },
                    Some(Ok(Event::Resize(..))) => Came::Resized,
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => return Err(error).context("the keys cannot be read"),
                    None => Came::Ends,
                },
                Some(input) = self.inputs.recv() => Came::Input(input),
                crash = self.doing.crash() => return Err(crash),
                () = sleep(AGES) => Came::Input(Input::Passed),
            });
        }
    }

    /// Does this; returns whether it was the last.
    async fn ends_with(&mut self, effect: Effect) -> anyhow::Result<bool> {
        match effect {
            Effect::Quit => return Ok(true),
            Effect::Redraw => self.screen.take_again()?,
            Effect::Suspend => {
                self.screen.leave();
                emulate_default_handler(SIGSTOP).context("this process cannot be stopped")?;
                self.screen.take_again()?;
            }
            Effect::Attach { identity, read_only } => {
                match self.doing.client_of(&identity, read_only).await {
                    Ok(command) => return self.attach(&identity, command).await,
                    Err(why) => drop(self.model.update(Input::Said(why), now())),
                }
            }
            effect => self.doing.start(effect),
        }
        Ok(false)
    }

    /// Gives the terminal to a tmux client until that ends; meanwhile the model hears what happens. Returns whether this process
    /// is to end.
    async fn attach(&mut self, identity: &str, command: std::process::Command) -> anyhow::Result<bool> {
        drop(self.keys.take());
        // What was typed ahead was meant for another picture, and must reach neither the agent nor the next one.
        forget_keys()?;
        self.screen.leave();
        let ended = self.attached(command).await;
        let said = match ended {
            Ok(None) => return Ok(true),
            Ok(Some(status)) if status.success() => format!("back from {identity}"),
            Ok(Some(status)) => format!("tmux ended with {status}"),
            Err(error) => format!("tmux cannot be run: {error}"),
        };
        self.screen.take_again()?;
        forget_keys()?;
        self.keys = Some(EventStream::new());
        self.model.update(Input::Said(said), now());
        Ok(false)
    }

    /// How the client ended; `None` when this process is to end.
    async fn attached(&mut self, command: std::process::Command) -> io::Result<Option<ExitStatus>> {
        let mut client = tokio::process::Command::from(command).spawn()?;
        loop {
            tokio::select! {
                ended = client.wait() => return Ok(Some(ended?)),
                Some(input) = self.inputs.recv() => {
                    for effect in self.model.update(input, now()) {
                        self.doing.start(effect);
                    }
                }
                signal = self.signals.next() => if matches!(signal, Came::Ends) {
                    // It gives the terminal back, too.
                    if let Some(pid) = client.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
                        let _ = kill_process(pid, rustix::process::Signal::TERM);
                        client.wait().await?;
                    }
                    return Ok(None);
                },
            }
        }
    }
}

struct Signals {
    ending: [Signal; 4],
    stop: Signal,
    go_on: Signal,
}

impl Signals {
    fn new() -> io::Result<Signals> {
        use SignalKind as Kind;
        let ending = [Kind::terminate(), Kind::interrupt(), Kind::hangup(), Kind::quit()];
        let [terminate, interrupt, hangup, quit] = ending.map(signal);
        Ok(Signals {
            ending: [terminate?, interrupt?, hangup?, quit?],
            stop: signal(Kind::from_raw(SIGTSTP))?,
            go_on: signal(Kind::from_raw(SIGCONT))?,
        })
    }

    async fn next(&mut self) -> Came {
        let ends = select_all(self.ending.iter_mut().map(|signal| Box::pin(signal.recv())));
        tokio::select! {
            _ = ends => Came::Ends,
            _ = self.stop.recv() => Came::Stops,
            _ = self.go_on.recv() => Came::Continues,
        }
    }
}

/// Drops the keys that were pressed and not read. Nothing else may read them meanwhile.
fn forget_keys() -> io::Result<()> {
    while event::poll(Duration::ZERO)? {
        drop(event::read()?);
    }
    Ok(())
}

fn now() -> Timestamp {
    SystemClock::new().now().wall
}
