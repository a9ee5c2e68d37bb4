//! The herald: what the adapter tells unasked — that something changed, and what ended.
//!
//! It knows whose each process and window was when last listed, and sends one [`End`] for each that ends, as soon as the
//! kernel or the server tells. It must not judge whether two ends are one death: that is the
//! [`roster`](crate::sessions::roster)'s business.
//!
//! A server that ends is one end, not one for each session. Killed, it closes its terminals before it is gone; told to
//! end (`kill-server`), it ends its sessions one after the other, by name, which takes milliseconds for each, and then
//! itself. Our own session is the first by its name: once its process has ended, the ends of others are held back until
//! the server has ended too, or shows that it goes on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{broadcast, watch};

use super::{
    kernel,
    list::{Listed, Server},
};
use crate::sessions::{End, EndOf};

/// So many ends are kept for a listener that is busy; one that misses some looks at everything.
const ENDS_KEPT: usize = 1024;

/// Sessions: names by id. A process has several when its window is linked into several sessions.
type Owners = BTreeMap<String, String>;

#[derive(Debug, Default)]
struct PaneProcess {
    owners: Owners,
    window: String,
    /// Its end was told.
    ended: bool,
}

#[derive(Debug, Default)]
struct Known {
    server: Option<Server>,
    processes: BTreeMap<u32, PaneProcess>,
    windows: BTreeMap<String, Owners>,
    /// The process of our own session.
    own: Option<u32>,
    /// Ends that are held back.
    held: Option<Vec<End>>,
}

/// The herald. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Herald {
    changes: watch::Sender<u64>,
    ends: broadcast::Sender<End>,
    known: Arc<Mutex<Known>>,
}

impl Herald {
    /// A herald that knows nothing yet and has no listeners.
    pub fn new() -> Self {
        Herald {
            changes: watch::Sender::new(0),
            ends: broadcast::Sender::new(ENDS_KEPT),
            known: Arc::default(),
        }
    }

    /// The counter of changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The ends.
    pub fn ends(&self) -> broadcast::Receiver<End> {
        self.ends.subscribe()
    }

    /// Counts a change.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Takes over a list of all sessions. When another server answered than before, the end of the old one is told.
    pub fn know_exactly(&self, listed: &Listed) {
        let mut known = self.locked();
        self.know_server(&mut known, listed);
        // An answer without our own session was given after that ended, so the server goes on; one with it, before.
        if known.own != listed.own && listed.server.is_some() {
            self.release(&mut known);
        }
        known.own = listed.own.or(known.own.filter(|_| listed.server.is_none()));
        let mut before = std::mem::take(&mut known.processes);
        known.windows.clear();
        known.learn(listed);
        for (pid, process) in &mut known.processes {
            process.ended = before.remove(pid).is_some_and(|before| before.ended);
        }
    }

    /// Takes over a list of some sessions. When another server answered than before, the end of the old one is told.
    pub fn know_too(&self, listed: &Listed) {
        let mut known = self.locked();
        self.know_server(&mut known, listed);
        known.learn(listed);
    }

    /// The process of our own session, as far as is known.
    pub fn own(&self) -> Option<u32> {
        self.locked().own
    }

    /// The server whose end was not told yet.
    pub fn server(&self) -> Option<Server> {
        self.locked().server
    }

    /// The process of our own session has ended. [`Herald::go_on`] is to be called a while later.
    pub fn own_ended(&self, pid: u32) {
        let mut known = self.locked();
        if known.own == Some(pid) {
            known.held.get_or_insert_default();
        }
        drop(known);
        self.changed();
    }

    /// No end is held back any longer because this process of our own session ended.
    pub fn go_on(&self, pid: u32) {
        let mut known = self.locked();
        if known.own == Some(pid) {
            known.own = None;
            self.release(&mut known);
        }
    }

    /// A process of a pane has ended, with this exit status where it is known.
    pub fn process_ended(&self, pid: u32, exit: Option<i32>) {
        let mut known = self.locked();
        self.look_beneath(&mut known);
        if let Some(process) = known.processes.get_mut(&pid)
            && !std::mem::replace(&mut process.ended, true)
        {
            let owners = process.owners.clone();
            self.tell(&mut known, owners, &EndOf::Process { pid, exit });
        }
        drop(known);
        self.changed();
    }

    /// The server closed this window, or took it out of a session. Of one that is not known, or is in several sessions,
    /// only that something changed is told.
    pub fn window_closed(&self, window: &str) {
        let mut known = self.locked();
        let told_already = {
            let mut its = known.processes.values().filter(|process| process.window == window).peekable();
            its.peek().is_some() && its.all(|process| process.ended)
        };
        if known.windows.get(window).is_some_and(|owners| owners.len() == 1)
            && let Some(owners) = known.windows.remove(window)
            && !told_already
        {
            self.look_beneath(&mut known);
            self.tell(&mut known, owners, &EndOf::Window(window.to_owned()));
        }
        drop(known);
        self.changed();
    }

    /// The process of this server has ended.
    pub fn server_ended(&self, server: Server) {
        self.over(&mut self.locked(), server);
        self.changed();
    }

    fn know_server(&self, known: &mut Known, listed: &Listed) {
        let Some(server) = listed.server else { return };
        if let Some(old) = known.server.filter(|old| *old != server) {
            self.over(known, old);
        }
        known.server = Some(server);
    }

    /// Tells the end of a server once. What ends with it, and is heard of later, belongs to nothing any more.
    fn over(&self, known: &mut Known, server: Server) {
        if known.server == Some(server) {
            let sessions = known.sessions();
            *known = Known::default();
            let nobody = Owners::from([Default::default()]);
            self.tell(known, nobody, &EndOf::Server(sessions));
        }
    }

    /// Looks whether it is the server that ends, before something in it is told to have ended.
    fn look_beneath(&self, known: &mut Known) {
        if let Some(server) = known.server.filter(|(server, _)| kernel::is_ending(*server)) {
            self.over(known, server);
        } else if known.held.is_none() && known.own.is_some_and(kernel::is_ending) {
            known.held = Some(Vec::new());
        }
    }

    fn tell(&self, known: &mut Known, owners: Owners, of: &EndOf) {
        let ends = owners.into_iter().map(|(id, session)| End { session, id, of: of.clone() });
        match &mut known.held {
            Some(held) => held.extend(ends),
            // Nobody may listen.
            None => ends.for_each(|end| drop(self.ends.send(end))),
        }
    }

    fn release(&self, known: &mut Known) {
        for end in known.held.take().into_iter().flatten() {
            let _ = self.ends.send(end);
        }
    }

    fn locked(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The sessions in which something runs, as far as was told: what is held back was not.
    fn sessions(&self) -> Owners {
        let running = self.processes.values().filter(|process| !process.ended);
        let held = self.held.iter().flatten().map(|end| (end.id.clone(), end.session.clone()));
        running.flat_map(|process| process.owners.clone()).chain(held).collect()
    }

    fn learn(&mut self, listed: &Listed) {
        for session in &listed.sessions {
            for pane in &session.panes {
                let owners = self.windows.entry(pane.window.clone()).or_default();
                owners.insert(session.id.clone(), session.name.clone());
                if !pane.dead {
                    let process = self.processes.entry(pane.pid).or_default();
                    process.owners.insert(session.id.clone(), session.name.clone());
                    process.window.clone_from(&pane.window);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::tmux::list::parse;

    /// A process id that no process has.
    const NOBODY: u32 = u32::MAX >> 1;

    fn listed(server: u32, lines: &[&str]) -> Listed {
        let line = |line: &&str| format!("{server}:1:{line}\n");
        parse(&lines.iter().map(line).collect::<String>())
    }

    /// A list by a server that lives: this process.
    fn lives(lines: &[&str]) -> Listed {
        listed(std::process::id(), lines)
    }

    fn heard(ends: &mut broadcast::Receiver<End>) -> Vec<String> {
        let mut heard = Vec::new();
        while let Ok(End { session, id, of }) = ends.try_recv() {
            heard.push(match of {
                EndOf::Process { pid, exit } => format!("{session} {id} {pid} {exit:?}"),
                EndOf::Window(window) => format!("{session} {id} {window}"),
                EndOf::Server(sessions) => {
                    let names: Vec<String> = sessions.into_values().collect();
                    format!("server {}", names.join(" ")).trim().to_owned()
                }
            });
        }
        heard
    }

    const A: &str = "$1:1:@1:%1:71:0::: // :gt-a";
    const B: &str = "$2:1:@2:%2:72:0::: // :gt-b";

    #[test]
    fn what_ends_is_told_once_with_whose_it_was() {
        type Does = fn(&Herald);
        #[rustfmt::skip]
        let cases: [(&str, &[&str], Does, &[&str]); 10] = [
            ("a process", &[A, B], |it| it.process_ended(72, Some(3)), &["gt-b $2 72 Some(3)"]),
            ("twice", &[A], |it| { it.process_ended(71, None); it.process_ended(71, None) }, &["gt-a $1 71 None"]),
            ("still listed", &[A], |it| { it.process_ended(71, None); it.know_exactly(&lives(&[A])); it.process_ended(71, None) }, &["gt-a $1 71 None"]),
            ("one nobody knows", &[A], |it| { it.process_ended(99, None); it.window_closed("@9") }, &[]),
            ("one that is not listed any more", &[A, B], |it| { it.know_exactly(&lives(&[B])); it.process_ended(71, None); it.window_closed("@1") }, &[]),
            ("a window", &[A, B], |it| { it.window_closed("@1"); it.window_closed("@1") }, &["gt-a $1 @1"]),
            ("a window after its processes", &[A, "$1:1:@1:%3:73:0::: // :gt-a"], |it| { it.process_ended(71, None); it.process_ended(73, None); it.window_closed("@1") },
                &["gt-a $1 71 None", "gt-a $1 73 None"]),
            ("a window with one that lives", &[A, "$1:1:@1:%3:73:0::: // :gt-a"], |it| { it.process_ended(71, None); it.window_closed("@1") }, &["gt-a $1 71 None", "gt-a $1 @1"]),
            ("a window in two sessions may stay in one", &[A, "$2:1:@1:%1:71:0::: // :view"], |it| { it.window_closed("@1"); it.process_ended(71, None) },
                &["gt-a $1 71 None", "view $2 71 None"]),
            ("renamed", &[A], |it| { it.know_too(&lives(&["$1:1:@1:%1:71:0::: // :gt-c"])); it.process_ended(71, None) }, &["gt-c $1 71 None"]),
        ];
        for (name, known, does, wanted) in cases {
            let herald = Herald::new();
            let (mut ends, changes) = (herald.ends(), herald.changes());
            herald.know_exactly(&lives(known));
            does(&herald);
            assert_eq!(heard(&mut ends), wanted, "{name}");
            assert!(changes.has_changed().unwrap(), "{name}: a hint in any case");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_server_that_ends_is_one_end() {
        type Does = fn(&Herald);
        let me = std::process::id();
        let own = "$0:1:@0:%0:2147483647:0::: // :_supervisor";
        let own_lives = format!("$0:1:@0:%0:{me}:0::: // :_supervisor");
        #[rustfmt::skip]
        let cases: [(&str, Listed, Does, &[&str]); 10] = [
            ("it lives", lives(&[A, &own_lives]), |it| it.process_ended(71, None), &["gt-a $1 71 None"]),
            ("told by the kernel", lives(&[A]), |it| { let me = (std::process::id(), 1); it.server_ended(me); it.server_ended(me); it.process_ended(71, None); it.window_closed("@1") }, &["server gt-a"]),
            ("another one ended", lives(&[A]), |it| it.server_ended((NOBODY, 1)), &[]),
            ("gone when a process in it ends", listed(NOBODY, &[A, B]), |it| { it.process_ended(71, None); it.process_ended(72, None) }, &["server gt-a gt-b"]),
            ("one was made since the last list", lives(&[A]), |it| { it.know_too(&lives(&[B])); it.server_ended((std::process::id(), 1)) }, &["server gt-a gt-b"]),
            ("one had ended before", lives(&[A, B]), |it| { it.process_ended(71, None); it.server_ended((std::process::id(), 1)) }, &["gt-a $1 71 None", "server gt-b"]),
            ("another answers", lives(&[A]), |it| { it.know_too(&listed(NOBODY, &[B])); it.know_exactly(&listed(NOBODY, &[B])) }, &["server gt-a"]),
            ("our own session ended before: held back", lives(&[A, own]), |it| it.process_ended(71, None), &[]),
            ("and then the server", lives(&[A, own]), |it| { it.window_closed("@1"); it.know_exactly(&Listed::default()); it.server_ended((std::process::id(), 1)) }, &["server gt-a"]),
            ("and then it answers without it", lives(&[A, own]), |it| { it.process_ended(71, None); it.know_exactly(&lives(&[B])); it.process_ended(72, None) },
                &["gt-a $1 71 None", "gt-b $2 72 None"]),
        ];
        for (name, known, does, wanted) in cases {
            let herald = Herald::new();
            let mut ends = herald.ends();
            herald.know_exactly(&known);
            does(&herald);
            assert_eq!(heard(&mut ends), wanted, "{name}");
        }
    }

    #[test]
    fn what_was_held_back_is_told_in_the_end() {
        let herald = Herald::new();
        let mut ends = herald.ends();
        let own = format!("$0:1:@0:%0:{NOBODY}:0::: // :_supervisor");
        herald.know_exactly(&lives(&[A, &own]));
        herald.own_ended(NOBODY);
        herald.window_closed("@1");
        // A list that was made before.
        herald.know_exactly(&lives(&[A, &own]));
        herald.go_on(1);
        assert_eq!(heard(&mut ends), Vec::<String>::new());
        herald.go_on(NOBODY);
        assert_eq!(heard(&mut ends), ["gt-a $1 @1"]);
    }
}
