//! The people of the world and their `gt`: what they do to a town, in the order the real commands do it.
//!
//! Offsets as they were measured with Gas Town 0.2.6; `pace` stretches them for a slow machine.

use std::{path::Path, time::Duration};

use async_trait::async_trait;
use gastown_supervisor::processes::{Invocation, exec_watcher::ExecWatcher};
use serde_json::json;
use tokio::sync::watch;

use super::{By, Condition, State, World, millis, mins, rules, secs};

/// The supervisor's own process id.
pub const OWN: u32 = 4242;

/// A command that runs for a while.
#[derive(Debug, Clone)]
pub struct FakeInvocation {
    /// Its entry in the process table.
    pub invocation: Invocation,
    /// When it starts (monotonic).
    pub begins: Duration,
    /// When it ends by itself.
    pub ends: Duration,
    /// The pane process of its session, if it runs in one: it ends with that.
    pub inside: Option<u32>,
}

impl FakeInvocation {
    /// Whether it is running.
    pub fn runs(&self, state: &State, now: Duration) -> bool {
        let outlived = self.inside.is_none_or(|pane| state.sessions.values().any(|it| it.pid == pane));
        self.begins <= now && now < self.ends && outlived
    }
}

#[async_trait]
impl ExecWatcher for World {
    fn begun(&self) -> watch::Receiver<u64> {
        self.0.gt_begun.subscribe()
    }

    async fn watch(&self, programs: Vec<std::path::PathBuf>) -> Option<String> {
        let state = self.state();
        state
            .failing
            .contains("beginnings")
            .then(|| format!("{programs:?} cannot be watched (no watches left)"))
    }
}

const ROUTES: &str = ".beads/routes.jsonl";

impl State {
    /// The rigs that ever had a database of their own.
    pub fn routed_rigs(&self) -> Vec<String> {
        let bytes = self.files.get(&super::path(ROUTES)).map(Vec::as_slice).unwrap_or_default();
        let routes = gastown_supervisor::town::routes::parse(bytes).routes;
        routes.into_iter().map(|route| route.prefix).collect()
    }
}

impl World {
    /// The town has exactly these rigs, all operational unless they were parked before.
    pub fn set_rigs(&self, rigs: &[&str]) {
        let entries: Vec<String> =
            rigs.iter().map(|rig| format!(r#""{rig}":{{"beads":{{"prefix":"{rig}-"}}}}"#)).collect();
        for rig in rigs {
            self.directory(&format!("{rig}/witness"));
            self.directory(&format!("{rig}/refinery/rig"));
            let wisp = format!(".beads-wisp/config/{rig}.json");
            if self.text(&wisp).is_none() {
                self.write(&wisp, &format!(r#"{{"rig":"{rig}","values":{{}},"blocked":[]}}"#));
            }
        }
        // A rig that is removed and added again starts afresh.
        let before = self.text("mayor/rigs.json").unwrap_or_default();
        let stay: Vec<&str> =
            rigs.iter().copied().filter(|rig| before.contains(&format!("\"{rig}\""))).collect();
        self.state().unhold_but(&stay);
        let now = self.time();
        for rig in rigs.iter().filter(|rig| !stay.is_empty() && !stay.contains(rig)) {
            self.state().rigs_came.insert((*rig).to_owned(), now);
        }
        // A route stays when its rig is removed.
        let mut routed = self.state().routed_rigs();
        routed.extend(
            rigs.iter().map(|rig| (*rig).to_owned()).filter(|rig| !routed.contains(rig)).collect::<Vec<_>>(),
        );
        let route = |rig: &String| format!("{{\"prefix\":\"{rig}-\",\"path\":\"{rig}/mayor/rig\"}}\n");
        self.write(ROUTES, &routed.iter().map(route).collect::<String>());
        self.write("mayor/rigs.json", &format!(r#"{{"version":1,"rigs":{{{}}}}}"#, entries.join(",")));
        for rig in rigs {
            let id = format!("{rig}-rig-{rig}");
            let is_new = self.state().is_v1() && !self.state().beads.contains_key(&id);
            if is_new {
                self.put_bead(json!({"id": id, "status": "open", "issue_type": "rig", "labels": ["gt:rig"]}));
            }
        }
    }

    /// `mayor/rigs.json` is being written: for a while only half of it is there.
    pub fn write_rigs_slowly(&self, time: Duration) {
        let whole = self.text("mayor/rigs.json").unwrap_or_default();
        self.write("mayor/rigs.json", &whole[..whole.len() / 2]);
        self.after(time, move |world| world.write("mayor/rigs.json", &whole));
    }

    /// Notes what `gt` notes about a witness or refinery.
    pub fn write_agent_state(&self, session: &str, to: &str) {
        // Gas Town 1.x notes nothing.
        let is_noted = !self.state().is_v1();
        if let Some(rig) = rules::rig_of(session).filter(|_| is_noted) {
            let role = if session.ends_with("-witness") { "witness" } else { "refinery" };
            self.write(
                &format!("{rig}/.runtime/{role}.json"),
                &format!(r#"{{"rig_name":"{rig}","state":"{to}"}}"#),
            );
        }
        if to == "running" {
            self.state().unhold(session);
        }
    }

    /// Writes the `values` of a rig's wisp file.
    pub fn write_wisp(&self, rig: &str, values: &str) {
        self.write(
            &format!(".beads-wisp/config/{rig}.json"),
            &format!(r#"{{"rig":"{rig}","values":{{{values}}},"blocked":[]}}"#),
        );
    }

    fn say(&self, what: &str) {
        let now = self.time();
        self.state().note(now, true, || format!("OPERATOR {what}"));
    }

    /// Runs this command line here for `lasts`; returns its process id. Its effect on the town is not simulated by this.
    pub fn gt(&self, line: &str, directory: impl AsRef<Path>, lasts: Duration) -> u32 {
        self.run(line, directory.as_ref(), lasts, None)
    }

    /// Like [`gt`](Self::gt), typed in a session: it ends with the session at the latest. Without the session there
    /// is no command.
    pub fn gt_in(
        &self,
        session: &str,
        line: &str,
        directory: impl AsRef<Path>,
        lasts: Duration,
    ) -> Option<u32> {
        let pane = self.state().sessions.get(session).map(|it| it.pid)?;
        Some(self.run(line, directory.as_ref(), lasts, Some(pane)))
    }

    /// A command that the supervisor runs itself.
    pub fn gt_of_ours(&self, line: &str, directory: impl AsRef<Path>, lasts: Duration) -> u32 {
        self.run(line, directory.as_ref(), lasts, Some(OWN))
    }

    /// A command that this command of the supervisor's runs.
    pub fn gt_below(&self, above: u32, line: &str, directory: impl AsRef<Path>, lasts: Duration) -> u32 {
        let pid = self.run(line, directory.as_ref(), lasts, Some(OWN));
        for it in self.state().invocations.iter_mut().filter(|it| it.invocation.pid == pid) {
            it.invocation.ancestors.insert(0, above);
        }
        pid
    }

    fn run(&self, line: &str, directory: &Path, lasts: Duration, below: Option<u32>) -> u32 {
        let begins = self.time();
        let mut state = self.state();
        let shell = u32::try_from(state.number()).unwrap();
        let pid = u32::try_from(state.number()).unwrap();
        state.note(begins, true, || format!("OPERATOR `{line}` (PID {pid}) for {lasts:?}"));
        let (leader, inside) = (below.unwrap_or(shell), below.filter(|pane| *pane != OWN));
        let arguments = shell_words::split(line).unwrap();
        let program = arguments[0].clone();
        let invocation = Invocation {
            pid,
            born: u64::try_from(begins.as_millis()).unwrap() / 10,
            ancestors: vec![leader, 1, leader],
            comm: program.clone(),
            executable: Some(Path::new("/bin").join(program)),
            arguments,
            directory: Some(directory.to_owned()),
        };
        state.invocations.retain(|it| it.ends > begins);
        state.invocations.push(FakeInvocation { invocation, begins, ends: begins + lasts, inside });
        let hints = state.weather.hints;
        let lost = state.chance(hints);
        drop(state);
        if !lost {
            self.0.gt_begun.send_modify(|count| *count += 1);
        }
        pid
    }

    /// `gt` starts with a command that does not matter, as it does all the time.
    pub fn gt_begins(&self) {
        self.0.gt_begun.send_modify(|count| *count += 1);
    }

    /// `gt rig park`: kills first and notes it afterwards.
    pub fn park(&self, rig: &str, pace: u32) {
        self.say(&format!("gt rig park {rig}"));
        let step = |at: u64| millis(at) * pace;
        self.gt(&format!("gt rig park {rig}"), super::TOWN, step(77));
        for (session, dies, noted) in [(self.witness(rig), 50, 54), (self.refinery(rig), 71, 78)] {
            let name = session.clone();
            self.after(step(dies), move |world| world.end_session(&name, "gt rig park"));
            self.after(step(noted), move |world| world.write_agent_state(&session, "stopped"));
        }
        let rig = rig.to_owned();
        self.after(step(78), move |world| world.write_wisp(&rig, r#""status":"parked""#));
    }

    /// `gt rig unpark`; it leaves `stopped` behind.
    pub fn unpark(&self, rig: &str) {
        self.say(&format!("gt rig unpark {rig}"));
        self.write_wisp(rig, "");
    }

    /// `gt witness stop` and its like: kills, and notes `stopped` this long before (or after) it.
    pub fn stop_agent(&self, session: &str, noted_before: Duration, noted_after: Duration) {
        self.say(&format!("stops {session} by hand"));
        let (stopped, name) = (session.to_owned(), session.to_owned());
        let held = session.to_owned();
        let role = if session.ends_with("-witness") { "witness" } else { "refinery" };
        let rig = rules::rig_of(session).unwrap_or_default();
        self.gt(&format!("gt {role} stop {rig}"), super::TOWN, noted_before + millis(8));
        let run_on = self.text(&state_file(session)).is_none_or(|text| !text.contains("stopped"));
        self.after(noted_before, move |world| {
            let there = world.state().lives(&name);
            // A report of a new session may be lost; the scan of each minute finds it at the latest.
            let found = {
                let (state, now) = (world.state(), world.time());
                let told = state.weather.hints == 0.0;
                state.sessions.get(&name).is_some_and(|it| told || now - it.born > secs(70))
            };
            world.end_session(&name, "stopped by hand");
            // A supervisor that has not probed the rig yet cannot know that the agent was alive before.
            let came = rules::rig_of(&held).and_then(|rig| world.state().rigs_came.get(rig).copied());
            let known = came.is_none_or(|came| world.time() - came > mins(4));
            // Only the running command shows it in 1.x.
            let shown = {
                let state = world.state();
                !state.is_v1() || state.is_seen_by_all(world.time())
            };
            if there && run_on && known && found && shown {
                let until = world.time() + rules::HOLD;
                world.state().hold(&held, until);
            }
        });
        let noted = if noted_before.is_zero() { noted_after } else { Duration::ZERO };
        self.after(noted, move |world| world.write_agent_state(&stopped, "stopped"));
    }

    /// `gt witness restart`: notes `stopped`, kills, starts again.
    pub fn restart_agent(&self, session: &str) {
        self.say(&format!("restarts {session}"));
        let name = || session.to_owned();
        let (a, b, c, d) = (name(), name(), name(), name());
        self.after(millis(55), move |world| world.write_agent_state(&a, "stopped"));
        self.after(millis(63), move |world| world.end_session(&b, "restarted by hand"));
        self.after(millis(195), move |world| world.start_agent(&c));
        self.after(millis(250), move |world| world.write_agent_state(&d, "running"));
    }

    /// `gt up`, for one agent: starts it unless its session is there.
    pub fn start_agent(&self, session: &str) {
        let environment = [("GT_PROCESS_NAMES".to_owned(), "claude".to_owned())].into();
        if self.begin(session, By::Operator, environment).is_some() {
            self.state().unhold(session);
        }
    }

    /// Another town's agent comes up in a session of this name, unless there is one.
    pub fn start_foreign(&self, session: &str) {
        self.write("/other/mayor/town.json", "{}");
        let environment = [("GT_ROOT".to_owned(), "/other".to_owned())].into();
        self.begin(session, By::Operator, environment);
    }

    /// `gt down` takes its lock, or releases it.
    pub fn hold_lock(&self, held: bool) {
        self.say(if held { "gt down takes its lock" } else { "gt down lets its lock go" });
        let now = self.time();
        let mut state = self.state();
        state.lock_held = held;
        state.look_at_gates(now);
    }

    /// `gt down`: all sessions end while the lock is held.
    pub fn take_down(&self, time: Duration) {
        self.hold_lock(true);
        let names: Vec<String> = self.state().sessions.keys().cloned().collect();
        for (name, at) in names.into_iter().zip(1..) {
            self.after(millis(40 * at), move |world| world.end_session(&name, "gt down"));
        }
        self.after(time, |world| world.hold_lock(false));
    }

    /// `gt deacon pause`, or `resume`.
    pub fn pause_deacon(&self, paused: bool) {
        self.say(if paused { "gt deacon pause" } else { "gt deacon resume" });
        let file = ".runtime/deacon/paused.json";
        self.write(file, &format!(r#"{{"paused":{paused},"reason":"maintenance"}}"#));
    }

    /// An operator who acts at the worst time: while a start brings its worktree up to date.
    pub(super) fn provoke(&self, directory: &Path) {
        let now = self.time();
        let mut state = self.state();
        let rig = directory.strip_prefix(super::TOWN).ok().and_then(|it| it.components().next());
        let Some(rig) = rig.map(|it| it.as_os_str().to_string_lossy().into_owned()) else { return };
        let until = now + state.git_takes.max(secs(120));
        state.was_busy(&rig, until);
        if state.adversary && state.chance(0.15) {
            drop(state);
            self.close_soon(rig);
        }
    }

    /// An operator who acts while the rest of an agent, or a deacon without progress, is about to be ended.
    pub(super) fn provoke_before_end(&self, session: &str) {
        let mut state = self.state();
        if !state.adversary {
            return;
        }
        let condition = state.sessions.get(session).map(|it| it.condition);
        match (condition, state.rig_of(session)) {
            (Some(Condition::Zombie | Condition::Never), Some(rig)) if state.chance(0.1) => {
                drop(state);
                self.close_soon(rig);
            }
            (Some(Condition::Hung), None) if state.chance(0.02) => {
                let (soon, later) = (state.some(&(0..6_000)), state.some(&(20_000..200_000)));
                let wakes = state.rng.bool();
                drop(state);
                if wakes {
                    self.after(soon, |world| {
                        world.hang_agent(super::DEACON, false);
                        world.beat();
                    });
                } else {
                    self.after(soon, |world| world.pause_deacon(true));
                    self.after(soon + later, |world| world.pause_deacon(false));
                }
            }
            _ => {}
        }
    }

    fn close_soon(&self, rig: String) {
        let mut state = self.state();
        let (soon, later) = (state.some(&(0..2_000)), state.some(&(20_000..200_000)));
        let locks = state.rng.bool();
        drop(state);
        if locks {
            self.after(soon, |world| world.hold_lock(true));
            self.after(soon + later, |world| world.hold_lock(false));
        } else {
            let again = rig.clone();
            self.after(soon, move |world| world.park(&rig, 1));
            self.after(soon + later, move |world| world.unpark(&again));
        }
    }

    /// An operator who starts an agent in the instant in which the supervisor has ended its session.
    pub(super) fn provoke_after_end(&self, session: &str) {
        let mut state = self.state();
        if !state.adversary || !state.chance(0.3) {
            return;
        }
        let soon = state.some(&(0..3_000));
        drop(state);
        let session = session.to_owned();
        self.after(soon, move |world| world.start_agent(&session));
    }
}

fn state_file(session: &str) -> String {
    let role = if session.ends_with("-witness") { "witness" } else { "refinery" };
    rules::rig_of(session).map(|rig| format!("{rig}/.runtime/{role}.json")).unwrap_or_default()
}
