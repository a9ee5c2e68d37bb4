//! The notifier: reports changes in the server, as facts and as a counter.
//!
//! It knows the process of the server and that of our own session, so that the exit of the server is reported once,
//! and before the exits that follow from it. It must not judge which agent an exit concerns or what is a death: the
//! [`table`](crate::sessions::table) does.
//!
//! A killed server closes its terminals before it is gone. On `kill-server`, it ends its sessions one by one, in the
//! order of their names, which takes milliseconds each, and then exits. Our own session is the first by name: once
//! its process has exited, the server may be ending, until it has ended or shows that it continues.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};

use super::{
    kernel,
    list::{Listed, Server},
};
use crate::sessions::Fact;

/// The number of facts queued for a busy receiver; one that misses some scans everything.
const FACTS_KEPT: usize = 1024;

/// The processes on which all sessions depend: the server, and that of our own session.
#[derive(Debug, Default)]
struct BaseProcesses {
    /// The server whose end was not reported yet.
    server: Option<Server>,
    /// The process of our own session.
    own: Option<u32>,
}

/// Sends facts and counts changes; clones are the same notifier.
#[derive(Debug, Clone)]
pub struct Notifier {
    changes: watch::Sender<u64>,
    facts: broadcast::Sender<Fact>,
    base: Arc<Mutex<BaseProcesses>>,
}

impl Notifier {
    /// A notifier without known processes and without listeners.
    pub fn new() -> Self {
        Notifier {
            changes: watch::Sender::new(0),
            facts: broadcast::Sender::new(FACTS_KEPT),
            base: Arc::default(),
        }
    }

    /// The counter of changes.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The facts.
    pub fn facts(&self) -> broadcast::Receiver<Fact> {
        self.facts.subscribe()
    }

    /// Counts a change.
    pub fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Takes a list of some sessions, or of all. When another server answered than before, the end of the old one is
    /// reported; a list of a server that has ended meanwhile is ignored.
    pub fn listed(&self, listed: &Listed, all: bool) {
        let Some(server) = listed.server.filter(|(pid, _)| !kernel::is_ending(*pid)) else { return };
        let mut base = self.base.lock();
        if let Some(old) = base.server.filter(|old| *old != server) {
            self.over(&mut base, old);
        }
        base.server = Some(server);
        if all {
            // An answer without our own session was given after that ended, so the server continues; one with it,
            // before.
            if base.own.is_some() && base.own != listed.own {
                self.send(Fact::ServerLasts);
            }
            base.own = listed.own;
        }
        self.send(Fact::Listed(listed.sessions.as_slice().into()));
    }

    /// The process of our own session, as far as is known.
    pub fn own(&self) -> Option<u32> {
        self.base.lock().own
    }

    /// The server whose end was not reported yet.
    pub fn server(&self) -> Option<u32> {
        self.base.lock().server.map(|(pid, _)| pid)
    }

    /// Reports the end of a process or a window. If the server is ending, that is reported first.
    pub fn ended(&self, end: Fact) {
        let mut base = self.base.lock();
        let ends = |it| matches!(end, Fact::Exited { pid, .. } if pid == it) || kernel::is_ending(it);
        if let Some(server) = base.server.filter(|(pid, _)| ends(*pid)) {
            self.over(&mut base, server);
        } else if base.own.is_some_and(ends) {
            self.send(Fact::ServerEnding);
        }
        self.send(end);
        self.changed();
    }

    /// The process of our own session ended so long ago that a server ending with it would have ended too: the server
    /// continues.
    pub fn own_ended_long_ago(&self, pid: u32) {
        if self.base.lock().own.take_if(|own| *own == pid).is_some() {
            self.send(Fact::ServerLasts);
        }
    }

    /// Reports the end of a server once.
    fn over(&self, base: &mut BaseProcesses, server: Server) {
        if base.server == Some(server) {
            *base = BaseProcesses::default();
            self.send(Fact::ServerExited);
        }
    }

    fn send(&self, fact: Fact) {
        // There may be no listener.
        let _ = self.facts.send(fact);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::tmux::list::parse;

    /// A process id that no process has.
    const NOBODY: u32 = u32::MAX >> 1;

    const A: &str = "$1:1:@1:%1:71:0::: // :gt-a";
    const B: &str = "$2:1:@2:%2:72:0::: // :gt-b";

    fn listed(server: u32, lines: &[&str]) -> Listed {
        let line = |line: &&str| format!("{server}:1:{line}\n");
        parse(&lines.iter().map(line).collect::<String>())
    }

    /// A list from a running server: this process.
    fn lives(lines: &[&str]) -> Listed {
        listed(std::process::id(), lines)
    }

    /// Our own session, with this process.
    fn own(pid: u32) -> String {
        format!("$0:1:@0:%0:{pid}:0::: // :_supervisor")
    }

    fn exit(pid: u32) -> Fact {
        Fact::Exited { pid, exit: None }
    }

    fn heard(facts: &mut broadcast::Receiver<Fact>) -> Vec<String> {
        let mut heard = Vec::new();
        while let Ok(fact) = facts.try_recv() {
            heard.push(match fact {
                Fact::Listed(sessions) => {
                    let names: Vec<&str> = sessions.iter().map(|session| session.name.as_str()).collect();
                    format!("listed {}", names.join(" ")).trim().to_owned()
                }
                Fact::Exited { pid, exit } => format!("{pid} {exit:?}"),
                Fact::WindowClosed(window) => window,
                Fact::ServerEnding => "ending".to_owned(),
                Fact::ServerLasts => "lasts".to_owned(),
                Fact::ServerExited => "server".to_owned(),
            });
        }
        heard
    }

    #[test]
    fn an_end_is_reported_as_it_is_and_is_a_hint() {
        let notifier = Notifier::new();
        let (mut facts, mut changes) = (notifier.facts(), notifier.changes());
        for (does, wanted) in [
            ((|it| it.ended(Fact::Exited { pid: 71, exit: Some(3) })) as fn(&Notifier), &["71 Some(3)"][..]),
            (|it| it.ended(Fact::WindowClosed("@1".to_owned())), &["@1"]),
            (Notifier::changed, &[]),
        ] {
            does(&notifier);
            assert_eq!(heard(&mut facts), wanted);
            assert!(changes.has_changed().unwrap(), "{wanted:?}");
            changes.mark_unchanged();
        }
    }

    #[test]
    fn a_list_says_which_server_answered() {
        let another = |lines: &[&str]| listed(std::os::unix::process::parent_id(), lines);
        #[rustfmt::skip]
        let cases: [(&str, Vec<(Listed, bool)>, &[&str]); 7] = [
            ("all, then some", vec![(lives(&[A, B]), true), (lives(&[B]), false)], &["listed gt-a gt-b", "listed gt-b"]),
            ("nobody answered", vec![(lives(&[A]), true), (Listed::default(), true)], &["listed gt-a"]),
            ("another answers", vec![(lives(&[A]), true), (another(&[B]), false), (another(&[B]), true)], &["listed gt-a", "server", "listed gt-b", "listed gt-b"]),
            ("and then the first one", vec![(lives(&[A]), true), (another(&[B]), true), (lives(&[A]), true)], &["listed gt-a", "server", "listed gt-b", "server", "listed gt-a"]),
            ("our own session is there", vec![(lives(&[A, &own(7)]), true), (lives(&[A, &own(7)]), true)], &["listed gt-a", "listed gt-a"]),
            ("and then it is gone", vec![(lives(&[A, &own(7)]), true), (lives(&[A]), false), (lives(&[A]), true)], &["listed gt-a", "listed gt-a", "lasts", "listed gt-a"]),
            ("and then it is another", vec![(lives(&[A, &own(7)]), true), (lives(&[A, &own(8)]), true)], &["listed gt-a", "lasts", "listed gt-a"]),
        ];
        for (name, lists, wanted) in cases {
            let notifier = Notifier::new();
            let mut facts = notifier.facts();
            lists.iter().for_each(|(listed, all)| notifier.listed(listed, *all));
            assert_eq!(heard(&mut facts), wanted, "{name}");
        }
    }

    #[test]
    fn from_the_end_of_our_own_session_the_server_may_be_ending_for_a_while() {
        let notifier = Notifier::new();
        let mut facts = notifier.facts();
        notifier.listed(&lives(&[A, &own(NOBODY)]), true);
        assert_eq!(heard(&mut facts), ["listed gt-a"]);
        notifier.ended(exit(NOBODY));
        // A list that was made before.
        notifier.listed(&lives(&[A, &own(NOBODY)]), true);
        notifier.own_ended_long_ago(1);
        assert_eq!(heard(&mut facts), ["ending", "2147483647 None", "listed gt-a"]);
        notifier.own_ended_long_ago(NOBODY);
        notifier.own_ended_long_ago(NOBODY);
        assert_eq!(heard(&mut facts), ["lasts"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a process that ends, in place of a server")]
    fn the_end_of_the_server_is_reported_once_and_before_what_follows_from_it() {
        type Does = fn(&Notifier, u32);
        let me = std::process::id();
        #[rustfmt::skip]
        let cases: [(&str, u32, bool, Does, &[&str]); 8] = [
            ("it lives", me, false, |it, _| it.ended(exit(71)), &["71 None"]),
            ("reported by the kernel", me, false, |it, server| { it.ended(exit(server)); it.ended(exit(71)) }, &["server", "server's", "71 None"]),
            ("another one ended", me, false, |it, _| it.ended(exit(NOBODY)), &["2147483647 None"]),
            ("our own session ended before", NOBODY, false, |it, _| it.ended(exit(71)), &["ending", "71 None"]),
            ("and then the server", NOBODY, false, |it, server| { it.ended(Fact::WindowClosed("@1".into())); it.listed(&Listed::default(), true); it.ended(exit(server)) }, &["ending", "@1", "server", "server's"]),
            ("and then it answers without it", NOBODY, false, |it, _| { it.ended(exit(71)); it.listed(&lives(&[B]), true); it.ended(exit(72)) },
                &["ending", "71 None", "lasts", "listed gt-b", "72 None"]),
            ("gone when a process in it ends", me, true, |it, server| { it.ended(exit(71)); it.ended(exit(72)); it.ended(exit(server)) }, &["server", "71 None", "72 None", "server's"]),
            ("its last list arrives late", me, true, |it, server| { it.ended(exit(server)); it.listed(&listed(server, &[A]), true) }, &["server", "server's"]),
        ];
        for (name, own_pid, ends, does, wanted) in cases {
            let mut server = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
            let notifier = Notifier::new();
            let mut facts = notifier.facts();
            let pid = if ends { server.id() } else { me };
            notifier.listed(&listed(pid, &[A, &own(own_pid)]), true);
            crate::limits::kill_and_wait(&mut server);
            assert_eq!(heard(&mut facts), ["listed gt-a"], "{name}");
            does(&notifier, pid);
            let its = format!("{pid} None");
            let named = |it: String| if it == its { "server's".to_owned() } else { it };
            let heard: Vec<String> = heard(&mut facts).into_iter().map(named).collect();
            assert_eq!(heard, wanted, "{name}");
        }
    }
}
