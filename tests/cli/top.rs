//! `top` in real tmux, as a person has it: in a shell in a pane of another server.

use rustix::process::Signal;

use crate::{
    among_others,
    support::{Server, limits, process, supervisor::binary, town::Town},
};

const WITNESS: &str = "gt-alpha-witness";

/// A person's pane of 80x24, with `top` of a town in its shell.
struct Pane<'a> {
    server: Server,
    town: &'a Town,
}

impl<'a> Pane<'a> {
    fn begin(town: &'a Town, variables: &[&str]) -> Pane<'a> {
        let server = Server::new();
        let path = format!("PATH={}", town.search_path());
        let mut words = vec![
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            "-e",
            &path,
            "-e",
            "TZ=UTC",
            "-e",
            "PS1=ready ",
        ];
        variables.iter().for_each(|variable| words.extend(["-e", variable]));
        words.push("sh");
        server.must(&words);
        let pane = Pane { server, town };
        pane.begin_top();
        pane
    }

    fn begin_top(&self) {
        let top = format!("{} top -t {}; echo ended=$?", binary(), self.town.root().display());
        self.server.must(&["send-keys", "-l", &top]);
        self.keys(&["Enter"]);
    }

    fn keys(&self, keys: &[&str]) {
        self.server.must(&[&["send-keys"], keys].concat());
    }

    fn text(&self) -> String {
        self.server.must(&["capture-pane", "-p"])
    }

    /// Waits until all of these are shown.
    fn shows(&self, texts: &[&str]) -> String {
        let mut last = String::new();
        let shown = limits::poll(limits::PATIENCE, || {
            last = self.text();
            texts.iter().all(|text| last.contains(text)).then(|| last.clone())
        });
        shown.unwrap_or_else(|| panic!("{texts:?} was not shown in time:\n{last}\n{}", self.town.log()))
    }

    /// Waits until the shell has its terminal again, as it was.
    fn is_given_back(&self, why: &str) {
        let is = || self.server.must(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]) == "0 1";
        limits::wait_for(&format!("the terminal is given back: {why}"), is);
    }

    /// The process that draws.
    fn pid(&self) -> u32 {
        let shell: u32 = self.server.must(&["display-message", "-p", "#{pane_pid}"]).parse().unwrap();
        let children = format!("/proc/{shell}/task/{shell}/children");
        let children = std::fs::read_to_string(children).unwrap();
        children.split_whitespace().next().unwrap().parse().unwrap()
    }
}

fn witness_town() -> Town {
    let town = Town::new(&["alpha", "beta"]);
    town.patrols(&["witness"]);
    town
}

#[test]
fn the_town_is_watched_and_its_agents_are_acted_on() {
    let _among = among_others();
    let town = witness_town();
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness", "beta/witness"]);
    let before = town.incarnation(WITNESS).unwrap();
    let pane = Pane::begin(&town, &[]);
    pane.shows(&[
        "running (PID ",
        "6 agents: 2 ",
        "> deacon ",
        "alpha: 2 agents: 1 ",
        "beta: 2 agents: 1 ",
        "0 deaths",
        "started in ",
    ]);

    pane.keys(&["/"]);
    pane.server.must(&["send-keys", "-l", "alpha/w"]);
    pane.shows(&["filter: alpha/w_"]);
    pane.keys(&["Enter"]);
    limits::wait_for("the other is hidden", || !pane.text().contains("beta: "));
    pane.keys(&["e"]);
    pane.shows(&["── alpha/witness (", "alpha/witness is alive", "q back"]);
    pane.keys(&["q"]);
    pane.shows(&["> "]);

    pane.keys(&["R"]);
    pane.shows(&["Restart alpha/witness NOW, losing what it does? y/n"]);
    pane.keys(&["n"]);
    pane.shows(&["nothing was done"]);
    assert_eq!(town.incarnation(WITNESS).unwrap(), before, "who does not confirm ends nothing");
    pane.keys(&["R", "y"]);
    pane.shows(&["alpha/witness: restarted in "]);
    assert!(town.incarnation(WITNESS).is_some_and(|now| now != before));

    pane.keys(&["a"]);
    town.wait("the client", || {
        let clients = town.tmux(&["list-clients", "-F", "#{session_name} #{client_control_mode}"]);
        clients.lines().any(|line| line == format!("{WITNESS} 0"))
    });
    let killed = town.incarnation("gt-beta-witness").unwrap();
    process::signal(killed.1, Signal::KILL);
    town.wait_replaced("gt-beta-witness", &killed);
    town.tmux(&["detach-client", "-s", WITNESS]);
    pane.shows(&["back from alpha/witness", "1 death", "beta/witness: died: crashed", "alpha: "]);

    supervisor.stop(Signal::TERM);
    pane.shows(&["NO SUPERVISOR ANSWERS since ", "what is shown is old", "alpha: ", "witness"]);
    let mut supervisor = town.start_and_beat();
    pane.shows(&["another supervisor runs now (PID ", "running (PID "]);

    pane.keys(&["H"]);
    pane.shows(&["Stop alpha/witness NOW, losing what it does? y/n"]);
    pane.keys(&["y"]);
    pane.shows(&["alpha/witness: stopped, held until"]);
    pane.keys(&["c", "y"]);
    pane.shows(&["alpha/witness: cleared: alpha/witness", "alive"]);
    pane.keys(&["q"]);
    pane.shows(&["ended=0"]);
    pane.is_given_back("it ended");
    supervisor.stop(Signal::TERM);
}

#[test]
fn the_terminal_is_given_back_and_it_begins_without_a_supervisor() {
    let _among = among_others();
    let town = witness_town();
    let pane = Pane::begin(&town, &["NO_COLOR=1"]);
    pane.shows(&["NO SUPERVISOR ANSWERS since ", "no supervisor runs in"]);
    let mut supervisor = town.start();
    town.wait_started(&["alpha/witness"]);
    pane.shows(&["running (PID ", "alpha: ", "alive"]);
    let drawn = pane.server.must(&["capture-pane", "-p", "-e"]);
    let is_coloured = |attributes: &str| {
        attributes.split(';').any(|it| it.len() == 2 && (it.starts_with('3') || it.starts_with('4')))
    };
    let mut attributes =
        drawn.split("\u{1b}[").skip(1).filter_map(|rest| rest.split_once('m')).map(|(it, _)| it);
    assert!(!attributes.any(|it| is_coloured(it) && !["39", "49"].contains(&it)), "{drawn:?}");

    pane.server.must(&["resize-window", "-x", "60", "-y", "15"]);
    pane.shows(&["q quit"]);
    assert!(pane.text().lines().all(|line| line.chars().count() <= 60));
    pane.keys(&["C-z"]);
    pane.is_given_back("it is stopped");
    pane.server.must(&["send-keys", "-l", "fg"]);
    pane.keys(&["Enter"]);
    limits::wait_for("it draws again", || {
        pane.server.must(&["display-message", "-p", "#{alternate_on}"]) == "1"
            && pane.text().contains("running (PID ")
    });
    pane.keys(&["C-l", "?"]);
    pane.shows(&["select an agent"]);
    for (name, signal) in [("TERM", Signal::TERM), ("INT", Signal::INT), ("HUP", Signal::HUP)] {
        process::signal(pane.pid(), signal);
        pane.is_given_back(name);
        pane.keys(&["C-l"]);
        pane.server.must(&["send-keys", "-l", "clear"]);
        pane.keys(&["Enter"]);
        pane.begin_top();
        pane.shows(&["running (PID "]);
    }
    pane.keys(&["C-c"]);
    pane.is_given_back("Ctrl-C");
    supervisor.stop(Signal::TERM);
    let refused = town.ask(&["top"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("top needs a terminal; `gastown-supervisor status` "), "{refused:?}");
}
