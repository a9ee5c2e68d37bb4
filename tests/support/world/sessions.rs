//! The sessions of the world, as tmux shows them.

use std::path::Path;

use async_trait::async_trait;
use gastown_supervisor::sessions::{
    Fact, Key, KeyBinding, NewSession, Pane, PaneTarget, Place, Session, Sessions, SessionsError,
};
use tokio::sync::{broadcast, oneshot, watch};

use super::{
    By, Condition, FakeSession, World, rules,
    weather::{SESSION_CAP, pause},
};

/// A session as it is listed.
pub fn shown(name: &str, session: &FakeSession) -> Session {
    let pane = |number: u64, pid| {
        let (id, window) = (format!("%{number}"), format!("@{}", session.id));
        let exit_status = match session.condition {
            Condition::Exited(code) if pid == session.pid => Some(code),
            _ => None,
        };
        let started_by_us = matches!(session.by, By::Supervisor | By::Orphan) && pid == session.pid;
        Pane { id, window, pid, dead: exit_status.is_some(), exit_status, started_by_us }
    };
    let mut panes = if session.removed { Vec::new() } else { vec![pane(session.id, session.pid)] };
    if let Some(shell) = session.persons_shell {
        panes.insert(0, pane(shell.into(), shell));
    }
    let named = |variable: &&str| session.environment.get(*variable).map(Into::into);
    let towns = ["GT_ROOT", "GT_TOWN_ROOT", "SUPERVISOR_TOWN"].iter().filter_map(named).collect();
    Session { name: name.to_owned(), id: format!("${}", session.id), created: session.created, towns, panes }
}

fn failed(command: &str) -> SessionsError {
    SessionsError::Failed { command: command.to_owned(), reason: "the server did not answer".to_owned() }
}

fn gone(name: &str) -> SessionsError {
    SessionsError::NoSuchSession(name.to_owned())
}

impl World {
    async fn tmux<T: Send>(
        &self,
        call: &'static str,
        about: &str,
        loud: bool,
        act: impl FnOnce(&World) -> Result<T, SessionsError> + Send,
    ) -> Result<T, SessionsError> {
        let probability = self.state().weather.fail;
        let fate = self.fate(call, SESSION_CAP, probability);
        self.arrive(call, &fate).await;
        let answer = if fate.fails { Err(failed(call)) } else { act(self) };
        let now = self.time();
        self.state().note(now, loud || fate.fails || !fate.after.is_zero(), || {
            let outcome = answer.as_ref().err().map_or_else(|| "ok".to_owned(), ToString::to_string);
            format!("{call} {about} -> {outcome} (+{:?})", fate.after)
        });
        pause(fate.after).await;
        answer
    }

    /// Acts on the session of a pane, when it is still that one.
    fn on_pane<T>(
        &self,
        pane: &PaneTarget,
        act: impl FnOnce(&mut FakeSession) -> T,
    ) -> Result<T, SessionsError> {
        let mut state = self.state();
        let there =
            state.sessions.get_mut(pane.session()).filter(|it| format!("${}", it.id) == pane.session_id());
        there.map(act).ok_or_else(|| gone(pane.session()))
    }

    fn on_session<T>(&self, name: &str, act: impl FnOnce(&mut FakeSession) -> T) -> Result<T, SessionsError> {
        self.state().sessions.get_mut(name).map(act).ok_or_else(|| gone(name))
    }
}

#[async_trait]
impl Sessions for World {
    async fn list(&self) -> Result<Vec<Session>, SessionsError> {
        let answer = |world: &World| {
            let state = world.state();
            Ok(state.sessions.iter().map(|(name, session)| shown(name, session)).collect())
        };
        self.tmux("list", "", false, answer).await
    }

    async fn find(&self, name: &str) -> Result<Option<Session>, SessionsError> {
        let answer = |world: &World| {
            let now = world.time();
            let mut state = world.state();
            state.answered_find(now, name);
            Ok(state.sessions.get(name).map(|session| shown(name, session)))
        };
        self.provoke_before_end(name);
        self.tmux("find", name, false, answer).await
    }

    /// A request to tmux takes effect even when the caller is gone before.
    async fn create(&self, new: &NewSession) -> Result<Session, SessionsError> {
        let probability = self.state().weather.fail;
        let fate = self.fate("create", SESSION_CAP, probability);
        let asked = self.time();
        self.state().may_create(asked, &new.name);
        self.state().check_asked_for(asked, &new.name);
        self.state()
            .note(asked, true, || format!("create {} (+{:?} +{:?})", new.name, fate.before, fate.after));
        let _in_flight = rules::InFlight::begin(self, &new.name);
        self.arrive(
            "create",
            &super::weather::Fate { before: super::Duration::ZERO, after: fate.after, fails: false },
        )
        .await;
        let (tell, told) = oneshot::channel();
        let (name, environment) = (new.name.clone(), new.environment.clone());
        let (directory, command) = (new.directory.clone(), shell_words::join(&new.command));
        let keep_exit = new.keep_exit;
        // A call that fails may have done its work all the same.
        let lost = fate.fails && self.state().rng.bool();
        self.after(fate.before, move |world| {
            let by = if tell.is_closed() { By::Orphan } else { By::Supervisor };
            let made = if lost { None } else { world.begin(&name, by, environment) };
            let now = world.time();
            let mut state = world.state();
            if let (Some(_), Some(session)) = (&made, state.sessions.get_mut(&name)) {
                (session.directory, session.command) = (directory, command);
                session.keep_exit = keep_exit;
            }
            match &made {
                Some(_) => state.deeds.push((now, rules::Deed::Created(name.clone()))),
                None => state.note(now, true, || format!("create {name}: nothing was made")),
            }
            state.check_storm(now, &name);
            drop(state);
            if let Some(session) = &made {
                world.converse(&name, session.id);
            }
            let _ = tell.send(made.map(|session| shown(&name, &session)));
        });
        let made = told.await.unwrap_or_default();
        pause(fate.after).await;
        match made {
            _ if fate.fails => Err(failed("new-session")),
            Some(session) => Ok(session),
            None => Err(SessionsError::Duplicate(new.name.clone())),
        }
    }

    async fn kill(&self, name: &str) -> Result<(), SessionsError> {
        let asked = self.time();
        let act = |world: &World| {
            let now = world.time();
            world.state().may_kill_session(now, asked, name);
            world.end_session(name, "the supervisor killed it");
            Ok(())
        };
        self.tmux("kill", name, true, act).await
    }

    async fn paste(&self, pane: &PaneTarget, text: &str) -> Result<(), SessionsError> {
        let (asked, name) = (self.time(), pane.session());
        self.state().may_type(asked, pane, text);
        let act = |world: &World| {
            let now = world.time();
            world.on_pane(pane, |session| session.typed.push((now, text.to_owned())))
        };
        let short: String = text.chars().take(40).collect();
        let typed = self.tmux("paste", &format!("{name} {short:?}"), true, act).await;
        if typed.is_ok() {
            self.was_told(name, text);
        }
        typed
    }

    async fn press(&self, pane: &PaneTarget, key: Key) -> Result<(), SessionsError> {
        let asked = self.time();
        self.state().may_press(asked, pane, key);
        let about = format!("{} {key:?}", pane.session());
        self.tmux("press", &about, false, |world| {
            world.on_pane(pane, |_| ())?;
            world.was_pressed(pane.session(), key);
            Ok(())
        })
        .await
    }

    async fn capture(&self, pane: &PaneTarget, _: u16) -> Result<Vec<String>, SessionsError> {
        self.tmux("capture", pane.session(), false, |world| {
            let now = world.time();
            world.on_pane(pane, |session| {
                if session.persons_shell.is_some_and(|shell| shell == pane.pid()) {
                    return vec!["$ ".to_owned()];
                }
                session.screen(now)
            })
        })
        .await
    }

    async fn capture_with_attributes(
        &self,
        pane: &PaneTarget,
        lines: u16,
    ) -> Result<Vec<String>, SessionsError> {
        self.capture(pane, lines).await
    }

    async fn set_options(&self, name: &str, _: &[(&'static str, String)]) -> Result<(), SessionsError> {
        self.state().may_touch(self.time(), "set options of", name);
        self.tmux("set_options", name, false, |world| world.on_session(name, |_| ())).await
    }

    async fn keep_exit(&self, pane: &PaneTarget) -> Result<(), SessionsError> {
        let name = pane.session();
        self.state().may_touch(self.time(), "keep the exit status of", name);
        self.tmux("keep_exit", name, false, |world| world.on_pane(pane, |session| session.keep_exit = true))
            .await
    }

    async fn disarm(&self, name: &str) -> Result<(), SessionsError> {
        self.state().may_touch(self.time(), "disarm", name);
        self.tmux("disarm", name, false, |world| {
            world.on_session(name, |session| (session.keep_exit, session.respawns) = (false, false))
        })
        .await
    }

    async fn remove_dead_panes(&self, name: &str) -> Result<(), SessionsError> {
        self.state().may_touch(self.time(), "remove dead panes of", name);
        self.tmux("remove_dead_panes", name, true, |world| {
            world.remove_dead_pane(name);
            Ok(())
        })
        .await
    }

    async fn run_in_background(&self, _: &Path, command: &[String]) -> Result<(), SessionsError> {
        let line = command.join(" ");
        self.tmux("run_in_background", &line, true, |world| {
            world.runs_in_background(command);
            Ok(())
        })
        .await
    }

    async fn environment(&self, name: &str, variable: &str) -> Result<Option<String>, SessionsError> {
        self.tmux("environment", name, false, |world| {
            world.on_session(name, |session| session.environment.get(variable).cloned())
        })
        .await
    }

    async fn set_environment(&self, name: &str, variable: &str, value: &str) -> Result<(), SessionsError> {
        self.state().may_touch(self.time(), "set the environment of", name);
        self.tmux("set_environment", name, false, |world| {
            world.on_session(name, |session| {
                session.environment.insert(variable.to_owned(), value.to_owned());
            })
        })
        .await
    }

    async fn bind_keys(&self, _: &[KeyBinding]) -> Result<(), SessionsError> {
        self.tmux("bind_keys", "", false, |_| Ok(())).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.sessions_changed.subscribe()
    }

    fn facts(&self) -> broadcast::Receiver<Fact> {
        self.0.facts.subscribe()
    }

    fn server_generation(&self) -> u64 {
        self.state().generation
    }

    fn place(&self) -> Place {
        let state = self.state();
        let server = (!state.socket_deleted).then(|| super::processes::server(state.generation));
        Place { socket: "/tmux/own".into(), server }
    }

    async fn recreate_socket(&self, _: u32) {
        if self.state().socket_deleted {
            self.after(super::millis(50), World::find_server);
        }
    }

    async fn close(&self) {}
}
