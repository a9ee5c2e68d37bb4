//! Listening: what of the control actor is about the endpoint on the network: it listens where the settings say, and again when they,
//! or the token, change.
//!
//! What prevents that is an open problem, and tried again at each heartbeat; the socket is served in any case. This must not know what
//! is answered.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::AbortHandle};

use super::{Plan, router, token::Token};
use crate::{
    control::{actor::ControlMsg, connections, reporter::Reporter},
    deps::Deps,
    ports::problems::ProblemKey,
    supervision::work::Work,
    terminal,
};

/// The key of the problem with it.
const PROBLEM: ProblemKey = ProblemKey::named("control/http").critical();

/// The endpoint, as the control actor keeps it.
#[derive(Default)]
pub struct Endpoint {
    /// What is served, and the task that serves it.
    serving: Option<(Plan, AbortHandle)>,
    /// A step of it is being done.
    is_busy: bool,
    /// The settings may have changed meanwhile.
    again: bool,
}

impl Endpoint {
    /// Finds out what is to be served.
    pub fn check(&mut self, deps: &Arc<Deps>, work: &mut Work<ControlMsg>) {
        if std::mem::replace(&mut self.is_busy, true) {
            self.again = true;
            return;
        }
        let deps = deps.clone();
        let planning = async move { ControlMsg::HttpPlanned(plan(&deps).await) };
        work.spawn(planning, ControlMsg::HttpPlanned(Err("reading the settings panicked".to_owned())));
    }

    /// Serves this from now on, and nothing else.
    pub fn planned(
        &mut self,
        planned: Result<Option<Plan>, String>,
        deps: &Arc<Deps>,
        work: &mut Work<ControlMsg>,
    ) {
        let wanted = planned.as_ref().ok().and_then(Option::as_ref);
        let is_served =
            |(plan, serving): &(Plan, AbortHandle)| wanted == Some(plan) && !serving.is_finished();
        if self.serving.as_ref().is_some_and(is_served) {
            let closed = wanted.and_then(|plan| plan.closed.clone());
            return self.done(closed, deps, work);
        }
        if let Some((_, serving)) = self.serving.take() {
            serving.abort();
        }
        match planned {
            Err(why) => self.done(Some(why), deps, work),
            Ok(None) => self.done(None, deps, work),
            Ok(Some(plan)) => {
                let (listener, address) = (deps.control_listener.clone(), plan.listen);
                let opening = async move { ControlMsg::HttpOpened(plan, listener.listen(address).await) };
                work.spawn(opening, ControlMsg::HttpPlanned(Err("listening panicked".to_owned())));
            }
        }
    }

    /// Serves what was planned, if there is a listener.
    pub fn opened(
        &mut self,
        plan: Plan,
        opened: io::Result<TcpListener>,
        reporter: &Arc<Reporter>,
        work: &mut Work<ControlMsg>,
    ) {
        let deps = reporter.deps();
        match opened {
            Ok(listener) => {
                let closed = plan.closed.clone();
                if closed.is_none() {
                    tracing::info!("http://{}/ has a page and read-only answers", plan.listen);
                }
                let routes = router(reporter.clone(), plan.clone());
                self.serving = Some((plan, work.run(connections::serve(listener, routes))));
                self.done(closed, deps, work);
            }
            Err(error) => self.done(Some(why_not(plan.listen, &error)), deps, work),
        }
    }

    fn done(&mut self, problem: Option<String>, deps: &Arc<Deps>, work: &mut Work<ControlMsg>) {
        match problem {
            Some(why) => deps.problems.report(PROBLEM, why),
            None => deps.problems.clear(&PROBLEM),
        }
        self.is_busy = false;
        if std::mem::take(&mut self.again) {
            self.check(deps, work);
        }
    }
}

/// What the settings want to be served; or why it must not be.
async fn plan(deps: &Deps) -> Result<Option<Plan>, String> {
    let http = deps.settings().http.clone();
    let Some(listen) = http.listen else { return Ok(None) };
    let token = match &http.token_file {
        Some(path) => {
            let read = deps.control_listener.token(path).await.map_err(|error| error.to_string());
            match read.and_then(|content| Token::parse(&content)) {
                Ok(token) => Some(token),
                Err(why) => {
                    let path = terminal::path(path);
                    let why = format!(
                        "http.token_file: {path}: {why}; every request is refused until it is usable"
                    );
                    return Ok(Some(Plan { listen, token: None, closed: Some(why), hosts: http.hosts }));
                }
            }
        }
        None => match http.refusal() {
            Some(why) => return Err(format!("http.listen: {why}")),
            None => None,
        },
    };
    Ok(Some(Plan { listen, token, closed: None, hosts: http.hosts }))
}

/// Why nothing listens there, and what to do.
fn why_not(address: SocketAddr, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => "another program listens there: end it, or choose another port",
        io::ErrorKind::AddrNotAvailable => "this machine does not have this address: choose one that it has",
        io::ErrorKind::PermissionDenied => "choose a port from 1024 on",
        _ => "choose another address",
    };
    format!("http.listen: nothing listens on {address}: {error}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_is_said() {
        for (kind, advice) in [
            (io::ErrorKind::AddrInUse, "another program listens there: end it, or choose another port"),
            (io::ErrorKind::PermissionDenied, "choose a port from 1024 on"),
            (io::ErrorKind::OutOfMemory, "choose another address"),
        ] {
            let said = why_not("127.0.0.1:80".parse().unwrap(), &kind.into());
            assert_eq!(said, format!("http.listen: nothing listens on 127.0.0.1:80: {kind}; {advice}"));
        }
    }
}
