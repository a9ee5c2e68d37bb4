//! What `top` does besides drawing: it follows the supervisor, asks it, and gives it orders, each in a task of its own.
//!
//! Each answer is an input of the model. Every text passes `terminal` here, so that all that is shown is harmless. Nothing here ends
//! or starts an agent itself.

use std::{env, io, path::Path, process::Command, time::Duration};

use jiff::tz::TimeZone;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{JoinError, JoinSet},
    time::sleep,
};

use super::model::{Effect, Input, KEPT, Order};
use crate::{
    Client,
    cli::{acting, clear_backoff, explain},
    clock::{Clock, SystemClock},
    control::{
        acting::{At, Order as Asked},
        client::Answer,
        following::Followed,
    },
    sessions::tmux::attaching,
    terminal,
};

/// The pauses between tries to reach a supervisor: from the first up to the last.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// What is being done.
pub struct Doing {
    client: Client,
    inputs: UnboundedSender<Input>,
    tasks: JoinSet<()>,
}

impl Doing {
    /// Follows the supervisor from now on. Dropping it ends everything.
    pub fn begin(client: Client) -> (Doing, UnboundedReceiver<Input>) {
        let (inputs, received) = unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(follow(client.clone(), inputs.clone()));
        (Doing { client, inputs, tasks }, received)
    }

    /// The first panic of a task; never, while there is none.
    pub async fn crash(&mut self) -> anyhow::Error {
        loop {
            match self.tasks.join_next().await {
                Some(Err(crash)) if JoinError::is_panic(&crash) => return crash.into(),
                Some(_) => {}
                // Not reached: the supervisor is followed all the time.
                None => std::future::pending().await,
            }
        }
    }

    /// Begins with this. What is not to be done here is ignored.
    pub fn start(&mut self, effect: Effect) {
        let (client, inputs) = (self.client.clone(), self.inputs.clone());
        self.tasks.spawn(async move {
            let input = match effect {
                Effect::AskHistory => history(&client).await,
                Effect::AskLeftBehind => left_behind(&client).await,
                Effect::Explain(identity) => Some(explained(&client, identity).await),
                Effect::Order(number, order) => {
                    Some(Input::Done(number, ordered(&client, number, &order, &inputs).await))
                }
                Effect::Attach { .. } | Effect::Redraw | Effect::Suspend | Effect::Quit => None,
            };
            // Nobody listens any more at the end.
            input.into_iter().for_each(|input| drop(inputs.send(input)));
        });
    }

    /// The tmux client that attaches to an agent's session, or why there is none.
    pub async fn client_of(&self, identity: &str, read_only: bool) -> Result<Command, String> {
        let found =
            self.client.session(identity, 0).await.map_err(|error| terminal::one_line(&error.to_string()))?;
        if !found.exists {
            return Err(format!("{identity} has no session; e says why"));
        }
        let inside = env::var("TMUX").ok();
        let socket = Path::new(&found.socket);
        let command = attaching::command(&found.tmux, socket, &found.session, read_only, inside.as_deref());
        command.map_err(|error: io::Error| error.to_string())
    }
}

/// Follows one supervisor after the other. That none answers is said when it begins, and when the reason changes.
async fn follow(client: Client, inputs: UnboundedSender<Input>) {
    let (mut tries, mut said) = (0, None);
    loop {
        let why = client
            .follow(|followed| {
                (tries, said) = (0, None);
                if let Some(followed) = harmless(followed) {
                    let _ = inputs.send(Input::Followed(followed));
                }
            })
            .await;
        let why = Some(terminal::one_line(&why.to_string()));
        if why != said {
            said.clone_from(&why);
            why.into_iter().for_each(|why| drop(inputs.send(Input::Gone(why))));
        }
        sleep(PAUSES[tries.min(PAUSES.len() - 1)]).await;
        tries += 1;
    }
}

fn harmless(followed: Followed) -> Option<Followed> {
    Some(match followed {
        Followed::Snapshot(report) => Followed::Snapshot(shown(&*report)?.into()),
        Followed::Change(change) => Followed::Change(shown(&*change)?.into()),
    })
}

/// The same with harmless texts; it was read from JSON, so it can be again.
fn shown<T: Serialize + DeserializeOwned>(of: &T) -> Option<T> {
    terminal::report(of).ok()
}

async fn history(client: &Client) -> Option<Input> {
    let since = SystemClock::new().now().wall.checked_sub(KEPT).ok()?;
    // Without an answer what happens from now on is shown.
    let happened = client.history(since).await.ok()?.into_inner();
    Some(Input::History(shown(&happened)?))
}

async fn left_behind(client: &Client) -> Option<Input> {
    match client.status().await {
        // The stream says it.
        Answer::Live(_) => None,
        Answer::Unresponsive(report, _) | Answer::Offline(report) => {
            Some(Input::LeftBehind(shown(&report)?.into()))
        }
    }
}

async fn explained(client: &Client, identity: String) -> Input {
    let text = match client.explain(&identity).await {
        Ok(explanation) => match shown(&explanation.into_inner()) {
            Some(explanation) => {
                explain::text(&explanation, SystemClock::new().now().wall, &TimeZone::system())
            }
            None => "the answer cannot be read".to_owned(),
        },
        Err(error) => terminal::lines(&error.to_string()),
    };
    Input::Explained(identity, text.lines().map(str::to_owned).collect())
}

/// Carries out an order; returns what became of it.
async fn ordered(client: &Client, number: u64, order: &Order, inputs: &UnboundedSender<Input>) -> String {
    let done = match order.what.action() {
        Some(action) => {
            let asked = Asked { action, now: order.now, time: None, patience: acting::IDLE_WITHIN };
            let report = |at: &At| {
                let at = match at {
                    At::Busy(why) => At::Busy(terminal::one_line(why)),
                    At::Progress(why) => At::Progress(terminal::one_line(why)),
                };
                let _ = inputs.send(Input::OrderIs(number, at));
            };
            client.act(&order.identity, &asked, report).await.map(|acted| acting::in_words(&acted))
        }
        None => {
            let cleared = client.clear_backoff(Some(&order.identity)).await;
            cleared.map(|cleared| {
                format!("{}: {}", order.identity, clear_backoff::in_words(&cleared).join("; "))
            })
        }
    };
    terminal::one_line(&done.unwrap_or_else(|error| format!("{}: {error}", order.identity)))
}
