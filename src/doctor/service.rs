//! The service: whether a service manager or a logout would end the supervisor, or the tmux server with every agent in it.
//!
//! The control groups of both processes say where they belong (cgroup v2, or the `name=systemd` hierarchy of v1). Only then systemd
//! is asked, each question within a limit: for the unit's `KillMode`, for the user's linger, and whether a logout ends what it left.
//! What is in no unit and no login session is nobody's to end, and not mentioned. It must not start, stop or change a unit.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{task::spawn_blocking, time::timeout};

use super::finding::{Area, Finding};
use crate::{
    commands::{Command, Commands},
    deps::Deps,
    terminal,
};

/// The time limit of each question.
const LIMIT: Duration = Duration::from_millis(1500);

/// Where a process belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Group {
    /// A service, such as `gastown-supervisor.service`, of the user's manager or of the system's.
    Service(String, Manager),
    /// A login session, such as `session-3.scope`.
    Session(String),
    /// Another scope of the user's manager.
    UserScope(String),
    /// Nothing that systemd ends.
    None,
}

/// Which systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    /// The user's (`systemctl --user`).
    User,
    /// The system's.
    System,
}

/// What systemd says of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Unit {
    /// Its `KillMode`.
    kill_mode: String,
    /// Its file.
    file: Option<PathBuf>,
}

/// A process, and what is known of its unit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    group: Group,
    /// What systemd says of its service; an error says why that is not known.
    unit: Option<Result<Unit, String>>,
}

/// What was found out. An error says why that is not known.
#[derive(Debug, Clone)]
struct Observed {
    supervisor: Option<Place>,
    server: Option<Place>,
    /// Whether the user's manager stays after the last logout.
    linger: Result<bool, String>,
    /// Whether a logout ends what is left of the login session.
    kills: Result<bool, String>,
}

/// Checks the supervisor and the tmux server, as far as they run. `commands` are those of this shell.
pub async fn examine(
    deps: &Deps,
    commands: &dyn Commands,
    supervisor: Option<u32>,
    server: Option<u32>,
) -> Vec<Finding> {
    let asking = |pid: Option<u32>| async move { place(deps, commands, pid?).await };
    let (supervisor, server) = tokio::join!(asking(supervisor), asking(server));
    let all = || [&supervisor, &server].into_iter().flatten();
    let asks_linger = all().any(|place| is_of_user(&place.group));
    let asks_logout = all().any(|place| matches!(place.group, Group::Session(_)));
    let unasked = || Err("not asked".to_owned());
    let (linger, kills) =
        tokio::join!(async { if asks_linger { linger(deps, commands).await } else { unasked() } }, async {
            if asks_logout { kills(commands).await } else { unasked() }
        },);
    judge(&Observed { supervisor, server, linger, kills })
}

/// Where a process belongs; `None` when the system does not show it.
async fn place(deps: &Deps, commands: &dyn Commands, pid: u32) -> Option<Place> {
    let cgroup = deps.files.read(Path::new(&format!("/proc/{pid}/cgroup"))).await.ok()?;
    let group = group(&String::from_utf8_lossy(&cgroup));
    let unit = match &group {
        Group::Service(name, manager) => Some(unit(commands, name, *manager).await),
        _ => None,
    };
    Some(Place { group, unit })
}

/// Where a process belongs, by its `/proc/<pid>/cgroup`: lines of `<number>:<controllers>:<path>`.
fn group(cgroup: &str) -> Group {
    let lines = || cgroup.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let of = |wanted| lines().find(|(controllers, _)| *controllers == wanted).map(|(_, path)| path);
    // Where v1 and v2 are both mounted, systemd uses the one it has named.
    let path = of("name=systemd").or_else(|| of("")).unwrap_or_default();
    let mut manager = Manager::System;
    let mut found = Group::None;
    for name in path.split('/') {
        let is_manager = name.starts_with("user@") && name.ends_with(".service");
        if is_manager {
            manager = Manager::User;
        } else if name.ends_with(".service") {
            found = Group::Service(name.to_owned(), manager);
        } else if name.starts_with("session-") && name.ends_with(".scope") && manager == Manager::System {
            found = Group::Session(name.to_owned());
        } else if name.ends_with(".scope") && name != "init.scope" && manager == Manager::User {
            found = Group::UserScope(name.to_owned());
        }
    }
    found
}

async fn unit(commands: &dyn Commands, name: &str, manager: Manager) -> Result<Unit, String> {
    let of_user = if manager == Manager::User { &["--user"][..] } else { &[] };
    let words = [of_user, &["show", "--property=KillMode,FragmentPath", "--", name]].concat();
    read_unit(&ask(commands, "systemctl", &words).await?)
}

/// A unit in what `systemctl show` prints: lines of `<property>=<value>`.
fn read_unit(printed: &str) -> Result<Unit, String> {
    let of = |name: &str| properties(printed).find(|(it, value)| *it == name && !value.is_empty());
    let kill_mode = of("KillMode").map(|(_, value)| value.to_owned());
    let kill_mode = kill_mode.ok_or("systemctl does not say its KillMode")?;
    Ok(Unit { kill_mode, file: of("FragmentPath").map(|(_, path)| PathBuf::from(path)) })
}

fn properties(printed: &str) -> impl Iterator<Item = (&str, &str)> {
    printed.lines().filter_map(|line| line.trim().split_once('='))
}

fn switch(printed: &str, name: &str) -> Result<bool, String> {
    match properties(printed).find(|(it, _)| *it == name) {
        Some((_, "yes")) => Ok(true),
        Some((_, "no")) => Ok(false),
        _ => Err(format!("loginctl does not say {name}")),
    }
}

/// Whether the user's manager stays after the last logout: as logind says, or by the file that it keeps for that.
async fn linger(deps: &Deps, commands: &dyn Commands) -> Result<bool, String> {
    let me = rustix::process::geteuid().as_raw();
    let asked = ask(commands, "loginctl", &["show-user", &me.to_string(), "--property=Linger"]).await;
    let said = asked.and_then(|printed| switch(&printed, "Linger"));
    let Err(why) = said else { return said };
    let directory = Path::new("/var/lib/systemd/linger");
    // A name service that hangs must not hold up the rest.
    let name = timeout(LIMIT, spawn_blocking(uzers::get_current_username)).await.ok().and_then(Result::ok);
    let name = name.flatten().ok_or_else(|| why.clone())?;
    match (deps.files.is_dir(directory).await, deps.files.exists(&directory.join(name)).await) {
        (Ok(true), Ok(there)) => Ok(there),
        _ => Err(why),
    }
}

async fn kills(commands: &dyn Commands) -> Result<bool, String> {
    let printed = ask(commands, "loginctl", &["show-session", "--property=KillUserProcesses"]).await?;
    switch(&printed, "KillUserProcesses")
}

async fn ask(commands: &dyn Commands, program: &str, arguments: &[&str]) -> Result<String, String> {
    let mut environment = BTreeMap::new();
    // A shell of cron or of su has no such variable, and systemctl finds the user's manager by it.
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        let runtime = format!("/run/user/{}", rustix::process::geteuid().as_raw());
        environment.insert("XDG_RUNTIME_DIR".to_owned(), runtime);
    }
    let command = Command {
        program: program.to_owned(),
        arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
        directory: PathBuf::from("/"),
        environment,
        input: None,
        limit: LIMIT,
    };
    let printed = commands.run(command).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&printed.stdout).into_owned())
}

fn is_of_user(group: &Group) -> bool {
    matches!(group, Group::Service(_, Manager::User) | Group::UserScope(_))
}

/// Whether a stop of a unit with this `KillMode` ends everything in its control group.
fn ends_all(kill_mode: &str) -> bool {
    matches!(kill_mode, "control-group" | "mixed")
}

fn judge(observed: &Observed) -> Vec<Finding> {
    let Observed { supervisor, server, .. } = observed;
    let is_same = matches!((supervisor, server), (Some(a), Some(b)) if a.group == b.group);
    let mut findings: Vec<Finding> = server.iter().filter_map(of_server_unit).collect();
    findings.extend(supervisor.iter().filter(|_| !is_same).filter_map(of_supervisor_unit));
    findings.extend(of_linger(observed));
    findings.extend(of_logout(observed));
    if let (true, Some(Place { group: Group::Service(name, _), unit: Some(Ok(unit)) })) =
        (findings.is_empty(), supervisor)
    {
        let linger = if observed.linger == Ok(true) { ", and it outlives a logout (linger)" } else { "" };
        let what = format!("the supervisor runs in {name} (KillMode={}){linger}", unit.kill_mode);
        findings.push(Area::Service.ok(what));
    }
    findings
}

/// The finding about the unit in which the tmux server is.
fn of_server_unit(place: &Place) -> Option<Finding> {
    let Group::Service(name, manager) = &place.group else { return None };
    match place.unit.as_ref()? {
        Ok(unit) if ends_all(&unit.kill_mode) => {
            let what = format!(
                "the tmux server is in {name}, whose KillMode is {}: a stop of that unit ends every agent",
                unit.kill_mode
            );
            Some(Area::Service.wrong(what, set_kill_mode(unit, *manager)).about_unit(unit))
        }
        Ok(_) => None,
        Err(why) => Some(unknown(&format!("whether a stop of {name} ends the tmux server"), why)),
    }
}

/// The finding about the unit of a supervisor whose tmux server is elsewhere.
fn of_supervisor_unit(place: &Place) -> Option<Finding> {
    let Group::Service(name, manager) = &place.group else { return None };
    match place.unit.as_ref()? {
        Ok(unit) if ends_all(&unit.kill_mode) => {
            let what = format!(
                "the supervisor runs in {name}, whose KillMode is {}: a tmux server that it starts ends with that unit",
                unit.kill_mode
            );
            Some(Area::Service.note(what, set_kill_mode(unit, *manager)).about_unit(unit))
        }
        Ok(_) => None,
        Err(why) => Some(unknown(&format!("whether a stop of {name} ends what the supervisor starts"), why)),
    }
}

impl Finding {
    fn about_unit(self, unit: &Unit) -> Finding {
        match &unit.file {
            Some(file) => self.about(file),
            None => self,
        }
    }
}

fn set_kill_mode(unit: &Unit, manager: Manager) -> String {
    let file = match &unit.file {
        Some(file) => format!(" in {}", terminal::path(file)),
        None => String::new(),
    };
    let reload = if manager == Manager::User { "systemctl --user" } else { "systemctl" };
    format!(
        "set KillMode=process{file}, as `gastown-supervisor unit` prints it, and run `{reload} daemon-reload`"
    )
}

fn of_linger(Observed { supervisor, server, linger, .. }: &Observed) -> Option<Finding> {
    let of = |place: &Option<Place>| place.as_ref().is_some_and(|place| is_of_user(&place.group));
    let who = match (of(supervisor), of(server)) {
        (true, true) => "the supervisor and the tmux server with every agent",
        (true, false) => "the supervisor",
        (false, true) => "the tmux server with every agent",
        (false, false) => return None,
    };
    match linger {
        Ok(true) => None,
        Ok(false) => Some(Area::Service.note(
            format!("linger is off: {who} end at your last logout, and do not start at boot"),
            "run `loginctl enable-linger`",
        )),
        Err(why) => Some(unknown(&format!("whether a logout ends {who} (linger)"), why)),
    }
}

fn of_logout(Observed { supervisor, server, kills, .. }: &Observed) -> Vec<Finding> {
    let of = |place: &Option<Place>| match place.as_ref().map(|place| &place.group) {
        Some(Group::Session(name)) => Some(name.clone()),
        _ => None,
    };
    let finding = |who: &str, name: String, area: fn(String, &'static str) -> Finding| match kills {
        Ok(false) => None,
        Ok(true) => {
            let what = format!("{who} in the login session {name}, and a logout ends it (KillUserProcesses)");
            Some(area(
                what,
                "run the supervisor as a service (`gastown-supervisor unit`) that starts before the agents",
            ))
        }
        Err(why) => {
            Some(unknown(&format!("whether the logout of {name} ends what is in it: {who} in it"), why))
        }
    };
    let wrong = |what, hint| Area::Service.wrong(what, hint);
    let note = |what, hint| Area::Service.note(what, hint);
    match (of(supervisor), of(server)) {
        (_, Some(name)) => finding("the tmux server with every agent is", name, wrong),
        (Some(name), None) => finding("the supervisor is", name, note),
        (None, None) => None,
    }
    .into_iter()
    .collect()
}

fn unknown(what: &str, why: &str) -> Finding {
    Area::Service.note(format!("not checked: {what}: {why}"), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity::{self, Note, Ok as Well, Wrong};

    const APP: &str = "/user.slice/user-1000.slice/user@1000.service/app.slice";

    #[test]
    fn where_a_process_belongs() {
        let service = |name: &str, manager| Group::Service(name.to_owned(), manager);
        for (cgroup, expected) in [
            (
                format!("0::{APP}/gastown-supervisor.service\n"),
                service("gastown-supervisor.service", Manager::User),
            ),
            (format!("0::{APP}/gt.service/agents\n"), service("gt.service", Manager::User)),
            ("0::/system.slice/gt.service\n".into(), service("gt.service", Manager::System)),
            (
                "8:memory:/x.service\n1:name=systemd:/system.slice/y.service\n0::/\n".into(),
                service("y.service", Manager::System),
            ),
            (
                "1:name=systemd:/user.slice/user-1000.slice/session-3.scope\n".into(),
                Group::Session("session-3.scope".into()),
            ),
            (format!("0::{APP}/tmux-spawn-1.scope\n"), Group::UserScope("tmux-spawn-1.scope".into())),
            ("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n".into(), Group::None),
            ("0::/init.scope\n".into(), Group::None),
            ("9:name=systemd:/\n4:memory:/a.service\n0::/\n".into(), Group::None),
            ("0::/docker/abc\n".into(), Group::None),
            ("8:memory:/x.service\n".into(), Group::None),
            (String::new(), Group::None),
            ("junk".into(), Group::None),
        ] {
            assert_eq!(group(&cgroup), expected, "{cgroup}");
        }
    }

    #[test]
    fn what_systemd_prints() {
        let unit = |mode: &str, file: Option<&str>| {
            Ok(Unit { kill_mode: mode.to_owned(), file: file.map(PathBuf::from) })
        };
        for (printed, expected) in [
            ("KillMode=process\nFragmentPath=/u/x.service\n", unit("process", Some("/u/x.service"))),
            ("FragmentPath=\nKillMode=control-group\n", unit("control-group", None)),
            ("", Err("systemctl does not say its KillMode".to_owned())),
            ("KillMode=\n", Err("systemctl does not say its KillMode".to_owned())),
        ] {
            assert_eq!(read_unit(printed), expected, "{printed}");
        }
        for (printed, expected) in
            [("Linger=yes\n", Some(true)), ("Linger=no", Some(false)), ("", None), ("Linger=", None)]
        {
            assert_eq!(switch(printed, "Linger").ok(), expected, "{printed}");
        }
    }

    fn service(name: &str, manager: Manager, mode: &str) -> Place {
        let unit = Unit { kill_mode: mode.to_owned(), file: Some("/u/x.service".into()) };
        Place { group: Group::Service(name.to_owned(), manager), unit: Some(Ok(unit)) }
    }

    #[test]
    fn what_is_said() {
        let none = || Place { group: Group::None, unit: None };
        let session = || Place { group: Group::Session("session-3.scope".into()), unit: None };
        let mine = |mode| service("gs.service", Manager::User, mode);
        let unasked = || Place { unit: Some(Err("no bus".into())), ..mine("") };
        let (on, off, lost) = (Ok(true), Ok(false), || Err::<bool, String>("no bus".into()));
        type Case<'a> = (&'a str, Place, Place, [Result<bool, String>; 2], &'a [(Severity, &'a str)]);
        #[rustfmt::skip]
        let cases: [Case<'_>; 14] = [
            ("by hand", none(), none(), [lost(), lost()], &[]),
            ("as it should be", mine("process"), mine("process"), [on.clone(), lost()],
                &[(Well, "the supervisor runs in gs.service (KillMode=process), and it outlives a logout (linger)")]),
            ("without linger", mine("process"), mine("process"), [off.clone(), lost()], &[(Note, "linger is off: the supervisor and the tmux server")]),
            ("linger is not known", mine("process"), none(), [lost(), lost()], &[(Note, "not checked: whether a logout ends the supervisor (linger): no bus")]),
            ("the default KillMode", mine("control-group"), mine("control-group"), [on.clone(), lost()],
                &[(Wrong, "the tmux server is in gs.service, whose KillMode is control-group: a stop of that unit ends every agent")]),
            ("mixed", mine("mixed"), mine("mixed"), [on.clone(), lost()], &[(Wrong, "the tmux server is in gs.service, whose KillMode is mixed")]),
            ("the server is elsewhere", mine("control-group"), none(), [on.clone(), lost()], &[(Note, "the supervisor runs in gs.service, whose KillMode is control-group")]),
            ("the server is in the original's unit", none(), service("gastown-daemon.service", Manager::System, "control-group"), [lost(), lost()],
                &[(Wrong, "the tmux server is in gastown-daemon.service")]),
            ("systemd does not answer", unasked(), unasked(), [on.clone(), lost()], &[(Note, "not checked: whether a stop of gs.service ends the tmux server: no bus")]),
            ("a system's service", service("gs.service", Manager::System, "process"), none(), [lost(), lost()],
                &[(Well, "the supervisor runs in gs.service (KillMode=process)")]),
            ("a login session that is cleaned", none(), session(), [lost(), on.clone()],
                &[(Wrong, "the tmux server with every agent is in the login session session-3.scope, and a logout ends it")]),
            ("one that is not", session(), session(), [lost(), off.clone()], &[]),
            ("nobody knows", none(), session(), [lost(), lost()], &[(Note, "not checked: whether the logout of session-3.scope ends what is in it")]),
            ("the supervisor alone", session(), none(), [lost(), on.clone()], &[(Note, "the supervisor is in the login session session-3.scope")]),
        ];
        for (name, supervisor, server, [linger, kills], expected) in cases {
            let (supervisor, server) = (Some(supervisor), Some(server));
            let findings = judge(&Observed { supervisor, server, linger, kills });
            assert_eq!(findings.len(), expected.len(), "{name}: {findings:#?}");
            for (finding, (severity, begin)) in findings.iter().zip(expected) {
                assert_eq!(finding.severity, *severity, "{name}");
                assert!(finding.what.starts_with(begin), "{name}: {}", finding.what);
            }
        }
        let finding = of_server_unit(&service("x.service", Manager::User, "control-group")).unwrap();
        assert_eq!(finding.path.as_deref(), Some(Path::new("/u/x.service")), "the file at fault");
        let hint = finding.hint.unwrap();
        assert!(
            hint.contains("KillMode=process in /u/x.service")
                && hint.contains("`systemctl --user daemon-reload`"),
            "{hint}"
        );
    }
}
