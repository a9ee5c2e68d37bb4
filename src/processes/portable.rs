//! The process table of any system, through the `sysinfo` crate; used where there is no `/proc` like Linux's.
//!
//! It stores nothing between two readings.

use std::{collections::BTreeMap, path::Path, time::Duration};

use parking_lot::Mutex;

use sysinfo::{
    Pid, Process as Entry, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System, UpdateKind,
};

use super::{Details, ProcessesError, Resident, base_name, invocation::Invocation, tree::Row};

fn read(which: ProcessesToUpdate<'_>, what: ProcessRefreshKind) -> Result<System, ProcessesError> {
    let mut system = System::new().map_err(|error| ProcessesError(format!("{error:?}")))?;
    system.refresh_processes_specifics(which, true, what);
    Ok(system)
}

fn cheap() -> ProcessRefreshKind {
    ProcessRefreshKind::nothing().without_tasks()
}

/// All running processes.
pub fn survey() -> Result<Vec<Row>, ProcessesError> {
    Ok(read(ProcessesToUpdate::All, cheap())?.processes().values().map(row).collect())
}

/// The parent and the kernel session of this process.
pub fn parent_and_session(pid: u32) -> Option<(u32, u32)> {
    let pid = Pid::from_u32(pid);
    let system = read(ProcessesToUpdate::Some(&[pid]), cheap()).ok()?;
    system.process(pid).map(row).map(|row| (row.parent, row.session))
}

/// Stores nothing between two readings here.
#[derive(Debug, Default)]
pub struct Newcomers;

/// The processes that run this program, without their ancestors; with `young`, those that started within this time,
/// to the second.
pub fn invocations(
    program: &str,
    young: Option<Duration>,
    _: &Mutex<Newcomers>,
) -> Result<Vec<Invocation>, ProcessesError> {
    let what = cheap().with_exe(UpdateKind::Always).with_cmd(UpdateKind::Always).with_cwd(UpdateKind::Always);
    let system = read(ProcessesToUpdate::All, what)?;
    let living = system.processes().values().filter(|entry| !has_ended(entry));
    let wanted =
        living.filter(|entry| young.is_none_or(|young| Duration::from_secs(entry.run_time()) <= young));
    Ok(wanted.map(invocation).filter(|invocation| invocation.given_to(program).is_some()).collect())
}

/// The process that has the terminal of this one, as far as that can be seen: the youngest that it started, or this one itself. `None`
/// when it has ended.
pub fn foreground(of: u32) -> Option<Invocation> {
    let what = cheap().with_exe(UpdateKind::Always).with_cmd(UpdateKind::Always).with_cwd(UpdateKind::Always);
    let system = read(ProcessesToUpdate::All, what).ok()?;
    let of = Pid::from_u32(of);
    let living = || system.processes().values().filter(|entry| !has_ended(entry));
    let started = living().filter(|entry| entry.parent() == Some(of));
    let youngest = started.max_by_key(|entry| (entry.start_time(), entry.pid()));
    youngest.or_else(|| living().find(|entry| entry.pid() == of)).map(invocation)
}

/// One process; `None` when it has ended.
pub fn details(pid: u32, variables: &[&str]) -> Result<Option<Details>, ProcessesError> {
    let what = cheap().with_cwd(UpdateKind::Always).with_environ(UpdateKind::Always).with_cpu();
    let pid = Pid::from_u32(pid);
    let system = read(ProcessesToUpdate::Some(&[pid]), what)?;
    Ok(system.process(pid).filter(|entry| !has_ended(entry)).map(|entry| Details {
        // One that may not be read is empty, too.
        environment: (!entry.environ().is_empty()).then(|| environment(entry, variables)),
        directory: entry.cwd().map(Path::to_owned),
        is_stopped: entry.status() == ProcessStatus::Stop,
        cpu: Duration::from_millis(entry.accumulated_cpu_time()),
    }))
}

fn environment(entry: &Entry, variables: &[&str]) -> BTreeMap<String, String> {
    let given = entry.environ().iter().filter_map(|pair| {
        let pair = pair.to_string_lossy();
        let (name, value) = pair.split_once('=')?;
        variables.contains(&name).then(|| (name.to_owned(), value.to_owned()))
    });
    given.collect()
}

/// The processes that have one of these variables or work in this directory, without their ancestors: neither can be
/// read of other users.
pub fn residents(variables: &[&str], below: &Path) -> Result<Vec<Resident>, ProcessesError> {
    let what = cheap().with_exe(UpdateKind::Always).with_cmd(UpdateKind::Always);
    let what = what.with_cwd(UpdateKind::Always).with_environ(UpdateKind::Always);
    let system = read(ProcessesToUpdate::All, what)?;
    let one = |entry: &Entry| {
        let environment = environment(entry, variables);
        let is_below = entry.cwd().is_some_and(|at| at.starts_with(below));
        let command = invocation(entry);
        let is_one = (is_below || !environment.is_empty()) && !command.arguments.is_empty();
        is_one.then_some(Resident { command, environment })
    };
    Ok(system.processes().values().filter(|entry| !has_ended(entry)).filter_map(one).collect())
}

fn invocation(entry: &Entry) -> Invocation {
    Invocation {
        pid: entry.pid().as_u32(),
        born: entry.start_time(),
        ancestors: Vec::new(),
        comm: entry.name().to_string_lossy().into_owned(),
        executable: entry.exe().map(Path::to_owned),
        arguments: entry.cmd().iter().map(|word| word.to_string_lossy().into_owned()).collect(),
        directory: entry.cwd().map(Path::to_owned),
    }
}

fn row(entry: &Entry) -> Row {
    Row {
        pid: entry.pid().as_u32(),
        parent: entry.parent().map_or(0, Pid::as_u32),
        session: entry.session_id().map_or(0, Pid::as_u32),
        born: entry.start_time(),
        age: Duration::from_secs(entry.run_time()),
        comm: entry.name().to_string_lossy().into_owned(),
        ended: has_ended(entry),
    }
}

fn has_ended(entry: &Entry) -> bool {
    matches!(entry.status(), ProcessStatus::Zombie | ProcessStatus::Dead)
}

/// Whether this process has exactly this file open: unknown on this system.
#[cfg(not(target_os = "linux"))]
pub fn has_open(_pid: u32, _file: &std::fs::Metadata) -> Option<bool> {
    None
}

/// When the running process of this id started, in the unit of [`Row::born`]; `None` when there is none.
pub fn born(pid: u32) -> Option<u64> {
    let pid = Pid::from_u32(pid);
    let system = read(ProcessesToUpdate::Some(&[pid]), cheap()).ok()?;
    system.process(pid).filter(|entry| !has_ended(entry)).map(Entry::start_time)
}

/// Base names of executable and `argv[0]` of these processes, if they may be read.
pub fn names(pids: &[u32]) -> BTreeMap<u32, Vec<String>> {
    let wanted: Vec<Pid> = pids.iter().copied().map(Pid::from_u32).collect();
    let what = cheap().with_exe(UpdateKind::Always).with_cmd(UpdateKind::Always);
    let Ok(system) = read(ProcessesToUpdate::Some(&wanted), what) else {
        return BTreeMap::new();
    };
    system.processes().iter().map(|(pid, entry)| (pid.as_u32(), names_of(entry))).collect()
}

fn names_of(entry: &Entry) -> Vec<String> {
    let program = entry.exe().and_then(|path| base_name(&path.to_string_lossy()));
    let called = entry.cmd().first().and_then(|word| base_name(&word.to_string_lossy()));
    program.into_iter().chain(called).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::super::linux;
    use super::*;

    #[test]
    fn sees_ourselves_as_proc_does() {
        let me = std::process::id();
        let find = |rows: Vec<Row>| rows.into_iter().find(|row| row.pid == me).expect("we run");
        let (here, there) = (find(survey().expect("survey")), find(linux::survey().expect("survey")));
        assert_eq!((here.parent, here.session, here.ended), (there.parent, there.session, there.ended));
        assert_eq!(here.comm, there.comm);
        assert_eq!(names(&[me])[&me], linux::names(&[me])[&me]);
        assert_eq!(born(me), Some(here.born));
        assert_eq!(linux::born(me), Some(there.born));
        assert_eq!(parent_and_session(me), linux::parent_and_session(me));
        assert!(born(u32::MAX / 2).is_none());
    }

    #[test]
    fn sees_who_is_where_as_proc_does() {
        let me = std::process::id();
        let at = std::env::current_dir().expect("we are somewhere");
        let own = |found: Result<Vec<Resident>, ProcessesError>| {
            found.expect("survey").into_iter().find(|it| it.command.pid == me).expect("we run")
        };
        for (variables, below, count) in [(&["PATH"][..], "/nowhere", 1), (&["PATH"], "/", 1), (&[], "/", 0)]
        {
            let (here, there) =
                (own(residents(variables, Path::new("/"))), own(linux::residents(variables, &at)));
            // Each reader has a unit of its own for the start time.
            let there =
                Resident { command: Invocation { born: here.command.born, ..there.command }, ..there };
            assert_eq!((here.environment.len(), &here), (count, &there), "{variables:?} {below}");
        }
        for found in [residents(&[], Path::new("/nowhere")), linux::residents(&[], Path::new("/nowhere"))] {
            assert_eq!(found.expect("survey"), []);
        }
    }

    #[test]
    fn sees_the_details_of_a_process_as_proc_does() {
        let me = std::process::id();
        let (here, there) = (details(me, &["PATH"]), linux::details(me, &["PATH"]));
        // The CPU time grows between the two.
        let still = |read: Result<Option<Details>, ProcessesError>| Details {
            cpu: Duration::ZERO,
            ..read.expect("readable").expect("we run")
        };
        let (here, there) = (still(here), still(there));
        assert_eq!(here, there);
        assert_eq!((here.environment.map(|it| it.len()), here.is_stopped), (Some(1), false));
        assert_eq!(here.directory, std::env::current_dir().ok());
        for nobody in [details(u32::MAX / 2, &[]), linux::details(u32::MAX / 2, &[])] {
            assert_eq!(nobody.expect("readable"), None);
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test that starts a process")]
    fn sees_who_has_a_terminal_as_proc_does() {
        // It starts nothing, and has no terminal of its own.
        let mut child = std::process::Command::new("setsid").args(["sleep", "60"]).spawn().expect("setsid");
        let pid = |found: Option<Invocation>| found.map(|it| it.pid);
        let (here, there) = (pid(foreground(child.id())), pid(linux::foreground(child.id())));
        child.kill().expect("it is killed");
        child.wait().expect("it ends"); // limited: it was killed
        assert_eq!((here, there), (Some(child.id()), Some(child.id())));
        assert_eq!(foreground(u32::MAX / 2), None);
        assert_eq!(linux::foreground(u32::MAX / 2), None);
    }

    #[test]
    fn sees_commands_as_proc_does() {
        let me = std::process::id();
        let own = |found: Result<Vec<Invocation>, ProcessesError>| {
            found.expect("survey").into_iter().filter(|it| it.pid == me).collect::<Vec<_>>()
        };
        let (ours, theirs) = (Mutex::new(Newcomers), Mutex::new(linux::Newcomers::default()));
        let called = std::env::current_exe().expect("our path");
        let name = called.file_name().expect("its name").to_str().expect("text");
        let (here, there) =
            (own(invocations(name, None, &ours)), own(linux::invocations(name, None, &theirs)));
        assert_eq!(here[0].directory, std::env::current_dir().ok());
        // Each reader has a unit of its own for the start time.
        let there: Vec<_> = there.into_iter().map(|it| Invocation { born: here[0].born, ..it }).collect();
        assert_eq!(here, there);
        for (program, young, count) in
            [("gt", None, 0), (name, Some(Duration::from_secs(3600)), 1), (name, Some(Duration::ZERO), 0)]
        {
            assert_eq!(own(linux::invocations(program, young, &theirs)).len(), count, "{program} {young:?}");
        }
        assert_eq!(own(invocations(name, Some(Duration::from_secs(3600)), &ours)).len(), 1);
    }
}
