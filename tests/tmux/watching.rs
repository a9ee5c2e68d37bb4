//! The session watch on a real tmux reports every kind of death once, soon.
//!
//! The watch's own scan comes once per minute, later than these tests wait: the deaths here were reported by the
//! kernel, by tmux's notices, or by a scan that one of them caused.

use std::sync::Arc;

use gastown_supervisor::{
    clock::SystemClock,
    commands::runner::Runner,
    deps::Deps,
    ledger::{convoys::SqliteConvoys, dolt_server::LocalDolt, sqlite::SqliteBeads},
    network::https::Https,
    ports::{Jitter, Ports, dolt::Dolt, problems::Problems, writes::Writes},
    processes::{exec_watcher::SystemExecWatcher, table::SystemProcesses},
    sessions::{Session, Sessions, death::Death, scan::Scan},
    town::{
        files::Disk, journal::disk::DiskJournals, paths::TownPaths, settings::Settings,
        socket::SocketListener,
    },
    watchers::sessions::{SessionWatch, WatchEvent, WatchMsg},
};
use ractor::{Actor, ActorRef};
use rustix::process::Signal;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use crate::support::{
    PATIENCE, Server, command,
    process::{self, Guarded},
    session, until,
};

/// A session watch on a server of its own, and its reports.
struct Watching {
    server: Server,
    sessions: Arc<dyn Sessions>,
    watch: ActorRef<WatchMsg>,
    told: mpsc::UnboundedReceiver<WatchEvent>,
    deaths: Vec<Death>,
    looks: u64,
}

impl Watching {
    async fn new() -> Self {
        Watching::over(true).await
    }

    /// Over a control connection, or without.
    async fn over(control: bool) -> Self {
        let server = Server::new();
        let sessions: Arc<dyn Sessions> = Arc::new(server.tmux(control));
        let (_, settings) = watch::channel(Arc::new(Settings::default()));
        let ports = Ports {
            sessions: sessions.clone(),
            processes: Arc::new(SystemProcesses::new()),
            commands: Arc::new(Runner::new(Default::default())),
            files: Arc::new(Disk),
            network: Arc::new(Https::default()),
            journals: Arc::new(DiskJournals::default()),
            clock: Arc::new(SystemClock::new()),
            transcripts: Arc::new(gastown_supervisor::transcripts::disk::DiskTranscripts::new()),
            exec_watcher: Arc::new(SystemExecWatcher::new()),
            conversation_files: Arc::new(
                gastown_supervisor::town::conversation_files::disk::DiskConversations,
            ),
            convoys: Arc::new(SqliteConvoys::new(server.dir().join(".beads/beads.db"))),
            beads: Arc::new(SqliteBeads::default()),
            dolt: Dolt::new(Arc::new(LocalDolt), Default::default()),
            control_listener: Arc::new(SocketListener),
            jitter: Jitter::seeded(1),
            paths: TownPaths::new(server.dir()),
            settings,
            standings: gastown_supervisor::town::standing::Standings::none(),
            gas_town: Default::default(),
            degraded: false,
            problems: Problems::default(),
            metrics: Default::default(),
            writes: Writes::default(),
        };
        let deps = Arc::new(Deps::new(ports));
        let (tell, told) = mpsc::unbounded_channel();
        let post: gastown_supervisor::supervision::work::ReplyTo<WatchEvent> =
            Arc::new(move |it| drop(tell.send(it)));
        let (watch, _) = Actor::spawn(None, SessionWatch, (deps, post)).await.unwrap();
        Watching { server, sessions, watch, told, deaths: Vec::new(), looks: 0 }
    }

    /// The next report; a death is stored too.
    async fn next(&mut self, what: &str) -> WatchEvent {
        let told = timeout(PATIENCE, self.told.recv()).await;
        let told = told.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}")).unwrap();
        if let WatchEvent::Died(death) = &told {
            self.deaths.push(death.clone());
        }
        told
    }

    /// Requests a scan.
    async fn look(&mut self) -> Arc<Scan> {
        self.looks += 1;
        self.watch.cast(WatchMsg::ScanFor(self.looks)).unwrap();
        loop {
            if let WatchEvent::Seen(seen) = self.next("a look").await
                && seen.for_heartbeat == Some(self.looks)
            {
                return seen.scan;
            }
        }
    }

    /// Waits until this session is seen with a process other than this; without a request, as other programs may
    /// have created it.
    async fn seen(&mut self, name: &str, before: u32) -> Session {
        loop {
            if let WatchEvent::Seen(seen) = self.next(&format!("{name} to be seen")).await
                && let Some(session) = seen.scan.sessions.as_ref().unwrap().get(name)
                && session.panes.iter().any(|pane| !pane.dead && pane.pid != before)
            {
                return Session::clone(session);
            }
        }
    }

    /// Our own session `gt-a`, seen to run this, and one beside it that nothing happens to.
    async fn running(&mut self, script: &str) -> Session {
        self.sessions.create(&session("gt-a-b")).await.unwrap();
        let made = self.sessions.create(&command("gt-a", script)).await.unwrap();
        self.look().await;
        made
    }

    /// Waits for the death of this number, and makes sure that it is the last: scans until `over` holds, and once
    /// more, as tmux's reports come before that.
    async fn death(&mut self, number: usize, over: impl Fn(&Scan) -> bool) -> Death {
        while self.deaths.len() < number {
            self.next(&format!("death {number}")).await;
        }
        while !over(&*self.look().await) {}
        self.look().await;
        assert_eq!(self.deaths.len(), number, "{:?}", self.deaths);
        self.deaths[number - 1].clone()
    }

    /// As [`Watching::death`], of the first in session `gt-a`.
    async fn only_death(&mut self, of: &Session, over: impl Fn(&Scan) -> bool) -> Death {
        let death = self.death(1, over).await;
        assert_eq!((&death.session, &death.id, death.with_server), (&of.name, &of.id, false));
        assert!(death.panes.contains(&of.panes[0].pid), "{death:?}");
        death
    }
}

fn gone(scan: &Scan) -> bool {
    !scan.sessions.as_ref().unwrap().contains_key("gt-a")
}

/// It exists, with nothing alive in it.
fn kept(scan: &Scan) -> bool {
    scan.sessions.as_ref().unwrap()["gt-a"].panes.iter().all(|pane| pane.dead)
}

fn anyway(_: &Scan) -> bool {
    true
}

/// The kernel shows how a process ended until it is reaped, for which tmux does not wait: so it may not be known.
fn known_or_not(death: &Death, exit: i32) {
    assert!([None, Some(exit)].contains(&death.exit), "{death:?}");
}

const ENTER: [&str; 4] = ["send-keys", "-t", "=gt-a:", "Enter"];

#[tokio::test]
async fn it_exits() {
    let mut it = Watching::new().await;
    let made = it.running("read line; exit 3").await;
    it.server.must(&ENTER);
    known_or_not(&it.only_death(&made, gone).await, 3);
}

#[tokio::test]
async fn its_process_is_killed() {
    let mut it = Watching::new().await;
    let made = it.running("exec sleep 600").await;
    process::signal(made.panes[0].pid, Signal::KILL);
    known_or_not(&it.only_death(&made, gone).await, 137);
}

#[tokio::test]
async fn its_session_is_killed() {
    let mut it = Watching::new().await;
    let made = it.running("exec sleep 600").await;
    it.server.must(&["kill-session", "-t", "=gt-a:"]);
    known_or_not(&it.only_death(&made, gone).await, 129);
}

#[tokio::test]
async fn its_process_is_killed_and_only_the_kernel_reports_it() {
    let mut it = Watching::over(false).await;
    let made = it.running("exec sleep 600").await;
    process::signal(made.panes[0].pid, Signal::KILL);
    known_or_not(&it.only_death(&made, gone).await, 137);
}

/// Control mode does not report it.
#[tokio::test]
async fn its_pane_is_kept() {
    let mut it = Watching::new().await;
    let made = it.running("exec sleep 600").await;
    it.server.must(&["set-option", "-w", "-t", "=gt-a:", "remain-on-exit", "on"]);
    process::signal(made.panes[0].pid, Signal::KILL);
    known_or_not(&it.only_death(&made, kept).await, 137);
    // What is dead does not die when it is cleared away.
    it.server.must(&["kill-session", "-t", "=gt-a:"]);
    it.death(1, gone).await;
}

/// Control mode does not report it.
#[tokio::test]
async fn one_of_its_panes_ends_and_later_all() {
    let mut it = Watching::new().await;
    let made = it.running("exec sleep 600").await;
    let second =
        it.server.must(&["split-window", "-P", "-F", "#{pane_pid}", "-t", "=gt-a:", "exec sleep 600"]);
    let second: u32 = second.parse().unwrap();
    it.look().await;
    process::signal(second, Signal::KILL);
    let one_left = |scan: &Scan| scan.sessions.as_ref().unwrap()["gt-a"].panes.len() == 1;
    let death = it.only_death(&made, one_left).await;
    known_or_not(&death, 137);
    assert!(death.panes.contains(&second));
    it.server.must(&["kill-session", "-t", "=gt-a:"]);
    assert_eq!(it.death(2, gone).await.id, made.id);
}

/// No process ends.
#[tokio::test]
async fn its_session_is_killed_around_a_process_that_ignores_it() {
    let mut it = Watching::new().await;
    let ready = it.server.dir().join("ready");
    let script = format!("trap '' HUP; touch {}; exec sleep 600", ready.display());
    let made = it.running(&script).await;
    let survivor = Guarded::of(made.panes[0].pid);
    until("it ignores HUP", async || ready.exists().then_some(())).await;
    it.server.must(&["kill-session", "-t", "=gt-a:"]);
    assert_eq!(it.only_death(&made, gone).await.exit, None);
    assert!(survivor.lives());
    // Its end, much later, is of no session any more.
    process::signal(made.panes[0].pid, Signal::KILL);
    until("its end", async || (!survivor.lives()).then_some(())).await;
    it.death(1, gone).await;
}

/// No process ends. Since 3.8 tmux keeps the session until it does, and reports nothing: then the next scan sees
/// it.
#[tokio::test]
async fn its_process_closes_its_terminal() {
    let mut it = Watching::new().await;
    let made = it.running("read line; trap '' HUP; exec sleep 600 <&- >&- 2>&-").await;
    let survivor = Guarded::of(made.panes[0].pid);
    it.server.must(&ENTER);
    let pid = made.panes[0].pid.to_string();
    let panes = async || {
        let all = it.server.must(&["list-panes", "-a", "-F", "#{session_name} #{pane_pid}"]);
        let of_it: Vec<_> =
            all.lines().filter_map(|line| Some(line.strip_prefix("gt-a ")?.to_owned())).collect();
        (!of_it.contains(&pid)).then_some(of_it)
    };
    let closed = until("the server sees its terminal closed", panes).await;
    let over = if closed.is_empty() { gone } else { kept };
    if !closed.is_empty() {
        it.look().await;
    }
    assert_eq!(it.only_death(&made, over).await.exit, None);
    assert!(survivor.lives());
}

/// Control mode does not report it.
#[tokio::test]
async fn its_session_is_killed_inside_a_hook() {
    let mut it = Watching::new().await;
    let made = it.running("exec sleep 600").await;
    it.server.must(&["set-hook", "-g", "after-display-message", "kill-session -t =gt-a:"]);
    it.server.must(&["display-message", "-p", "now"]);
    it.only_death(&made, gone).await;
}

#[tokio::test]
async fn its_process_is_killed_by_a_shell_that_a_hook_runs() {
    let mut it = Watching::new().await;
    let made = it.running("exec sleep 600").await;
    // In the background: tmux 3.3a may miss the end of such a shell, and would wait for it until another child ends.
    let kill = format!("run-shell -b 'kill -9 {}'", made.panes[0].pid);
    it.server.must(&["set-hook", "-g", "after-display-message", &kill]);
    it.server.must(&["display-message", "-p", "now"]);
    known_or_not(&it.only_death(&made, gone).await, 137);
}

/// As `gt` 1.x makes a session: with a shell, whose pane is then given to the agent.
#[tokio::test]
async fn its_session_is_made_in_two_steps() {
    let mut it = Watching::new().await;
    it.running("exec sleep 600").await;
    let pane = ["-P", "-F", "#{session_id} #{pane_id} #{pane_pid}"];
    let made = it.server.must(&[&["new-session", "-d", "-s", "gt-two"][..], &pane, &["exec sh"]].concat());
    let words: Vec<&str> = made.split(' ').collect();
    let [id, pane, shell] = words[..] else { panic!("{made}") };
    let shell: u32 = shell.parse().unwrap();
    it.look().await;
    it.server.must(&["set-option", "-w", "-t", "=gt-two:", "remain-on-exit", "on"]);
    it.server.must(&["respawn-pane", "-k", "-t", "=gt-two:", "exec sleep 600"]);
    it.server.must(&["set-option", "-w", "-t", "=gt-two:", "remain-on-exit", "off"]);
    let second = it.seen("gt-two", shell).await;
    it.look().await;
    // The same session and pane; all that was reported is the end of the shell.
    assert_eq!((second.id.as_str(), second.panes[0].id.as_str(), second.panes.len()), (id, pane, 1));
    assert!(it.deaths.iter().all(|death| death.id == id && death.panes.contains(&shell)), "{:?}", it.deaths);
    let before = it.deaths.len();
    assert!(before <= 1, "{:?}", it.deaths);
    // The agent is watched from then on.
    process::signal(second.panes[0].pid, Signal::KILL);
    let over = |scan: &Scan| !scan.sessions.as_ref().unwrap().contains_key("gt-two");
    let death = it.death(before + 1, over).await;
    assert_eq!((death.id.as_str(), death.panes.as_slice()), (id, &[second.panes[0].pid][..]));
    known_or_not(&death, 137);
}

/// Twenty sessions end with their server; returns the reports.
async fn with_the_server(end: impl FnOnce(&Server)) -> Vec<Death> {
    let mut it = Watching::new().await;
    for number in 0..20 {
        it.sessions.create(&session(&format!("gt-{number:02}"))).await.unwrap();
    }
    it.look().await;
    end(&it.server);
    it.death(20, |scan| scan.sessions.as_ref().unwrap().is_empty()).await;
    it.deaths
}

/// The terminals close, and processes in them end, before it has ended itself.
#[tokio::test]
async fn the_server_is_killed_hard() {
    let deaths = with_the_server(Server::kill_hard).await;
    assert!(deaths.iter().all(|death| death.with_server && death.exit.is_none()), "{deaths:?}");
    assert!(deaths.iter().all(|death| death.noticed == deaths[0].noticed), "{deaths:?}");
    assert!(deaths.is_sorted_by(|one, other| one.session < other.session));
}

/// It ends its sessions one by one, and then exits: ends that come before any report about the server have no such
/// cause.
#[tokio::test]
async fn the_server_is_told_to_end() {
    let deaths = with_the_server(|server| drop(server.must(&["kill-server"]))).await;
    assert!(deaths.iter().any(|death| death.with_server), "{deaths:?}");
    let names: std::collections::BTreeSet<&str> = deaths.iter().map(|death| death.session.as_str()).collect();
    assert_eq!((deaths.len(), names.len()), (20, 20), "each once: {deaths:?}");
}

/// So that the server might be about to end, but it continues.
#[tokio::test]
async fn our_own_session_is_killed_and_then_another() {
    let mut it = Watching::new().await;
    let made = it.running("exec sleep 600").await;
    // Before our own session exists again, the end of the last one would end the server.
    it.server.must(&["set-option", "-s", "exit-empty", "off"]);
    it.server.must(&["kill-session", "-t", "=_supervisor:", ";", "kill-session", "-t", "=gt-a:"]);
    it.only_death(&made, gone).await;
    let sleeper = it.sessions.find("gt-a-b").await.unwrap().unwrap();
    process::signal(sleeper.panes[0].pid, Signal::KILL);
    let death = it.death(2, |scan| scan.sessions.as_ref().unwrap().is_empty()).await;
    assert_eq!((death.session.as_str(), death.with_server), ("gt-a-b", false));
}

#[tokio::test]
async fn somebody_else_made_it() {
    let mut it = Watching::new().await;
    it.running("exec sleep 600").await;
    it.server.must(&["new-session", "-d", "-s", "hq-theirs", "exec sleep 600"]);
    let theirs = it.seen("hq-theirs", 0).await;
    process::signal(theirs.panes[0].pid, Signal::KILL);
    let over = |scan: &Scan| !scan.sessions.as_ref().unwrap().contains_key("hq-theirs");
    let death = it.death(1, over).await;
    assert_eq!(
        (&death.session, &death.id, &death.panes),
        (&theirs.name, &theirs.id, &vec![theirs.panes[0].pid])
    );
    known_or_not(&death, 137);
}

/// A person attaches through a session of their own that shows the same windows, and leaves.
#[tokio::test]
async fn a_second_session_with_its_windows_is_killed() {
    let mut it = Watching::new().await;
    it.running("exec sleep 600").await;
    it.server.must(&["new-session", "-d", "-s", "view", "-t", "=gt-a:"]);
    it.seen("view", 0).await;
    it.server.must(&["kill-session", "-t", "=view:"]);
    let over = |scan: &Scan| !scan.sessions.as_ref().unwrap().contains_key("view");
    let death = it.death(1, over).await;
    assert_eq!(death.session, "view", "the agent's session goes on");
}

#[tokio::test]
async fn it_is_respawned_and_dies_again() {
    let mut it = Watching::new().await;
    let made = it.running("exec sleep 600").await;
    let mut before = made.panes[0].pid;
    for number in 1..=2 {
        it.server.must(&["respawn-pane", "-k", "-t", "=gt-a:", "exec sleep 600"]);
        let death = it.death(number, anyway).await;
        assert_eq!(death.id, made.id);
        let now = it.sessions.find("gt-a").await.unwrap().unwrap();
        assert_eq!(now.id, made.id, "the same session");
        assert_ne!(now.panes[0].pid, before);
        before = now.panes[0].pid;
    }
    it.server.must(&["kill-session", "-t", "=gt-a:"]);
    assert_eq!(it.death(3, gone).await.id, made.id);
}
