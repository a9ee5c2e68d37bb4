//! The file system below the supervisor's directory (`daemon/` or `.supervisor/`): which one it is, how much room it has, and whether files and locks work there.
//!
//! A town that another machine writes to, or whose locks nobody honours, gets two supervisors. Slowness alone is no fault, but
//! beyond a second it is worth knowing: every state file is synced. What cannot be found out is said to be unknown.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    disk::{self, Entry, Kind, Room},
    finding::{Area, Finding},
    trial::{self, Failed, Tried},
};
use crate::{deps::Deps, terminal};

/// With fewer free bytes than this the supervisor cannot write its files.
const NO_ROOM: u64 = 16 << 20;
/// With fewer free bytes than this, that point is near.
const LITTLE_ROOM: u64 = 256 << 20;
/// With fewer files left than this, that point is near, too.
const FEW_FILES: u64 = 1000;
/// A step that takes longer than this is worth knowing.
const SLOW: Duration = Duration::from_secs(1);

/// File systems that other machines write to: no change there is noticed at once, and locks may be another machine's matter.
const REMOTE: [&str; 13] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse.glusterfs",
    "fuse.s3fs",
    "fuse.sshfs",
    "lustre",
    "nfs",
    "nfs4",
    "smb3",
    "virtiofs",
];

/// What is mounted at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    /// The type of the file system, such as `ext4`.
    kind: String,
    /// Where it is mounted.
    at: PathBuf,
}

/// Measures the file system of that directory; of the town while there is no such directory.
pub async fn examine(deps: &Deps) -> Vec<Finding> {
    let (root, daemon) = (deps.paths.root(), deps.paths.daemon_dir());
    let [of_root, of_daemon] = [disk::entry(root).await, disk::entry(&daemon).await];
    let name = format!("{}/", terminal::path(deps.paths.shown(&daemon)));
    let is_there = matches!(&of_daemon, Ok(Some(entry)) if entry.kind == Kind::Directory);
    let (measured, shown) = if is_there { (daemon.as_path(), &*name) } else { (root, "the town") };
    let mounts = deps.files.read(Path::new("/proc/self/mountinfo")).await.unwrap_or_default();
    let mount = mount_of(&String::from_utf8_lossy(&mounts), &disk::canonical(measured).await);
    let mut findings: Vec<Finding> = mount.iter().map(|mount| of_mount(shown, mount)).collect();
    findings.push(of_room("the town's disk", room(root).await));
    let device = |entry: &io::Result<Option<Entry>>| entry.as_ref().ok()?.map(|entry| entry.device);
    if is_there && device(&of_root) != device(&of_daemon) {
        findings.push(of_room(&format!("the disk of {name}"), room(&daemon).await));
    }
    // What may not be written to is reported with the permissions.
    if matches!(&of_daemon, Ok(Some(entry)) if entry.kind == Kind::Directory && entry.writable) {
        findings.extend(of_trial(&name, trial::examine(&daemon).await));
    }
    findings
}

async fn room(path: &Path) -> Result<Room, String> {
    disk::room(path).await.map_err(|error| error.to_string())
}

/// What is mounted at this absolute path, by the lines of `/proc/self/mountinfo` (proc(5)):
/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw`. The last of those at the longest path is on top.
fn mount_of(mountinfo: &str, path: &Path) -> Option<Mount> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        let at = unescaped(head.split(' ').nth(4)?);
        Some(Mount { kind: tail.split(' ').next()?.to_owned(), at })
    });
    mounts.filter(|mount| path.starts_with(&mount.at)).max_by_key(|mount| mount.at.components().count())
}

/// A path in which space, tab, newline and backslash are octal: `\040`.
fn unescaped(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) => {
                path.push(char::from(code));
                path.push_str(&part[3..]);
            }
            None => {
                path.push('\\');
                path.push_str(part);
            }
        }
    }
    PathBuf::from(path)
}

fn of_mount(shown: &str, Mount { kind, at }: &Mount) -> Finding {
    let place = format!("{shown} is on {kind} (mounted at {})", terminal::path(at));
    match kind.as_str() {
        kind if REMOTE.contains(&kind) => Area::Disk.note(
            format!("{place}: changes by another machine are seen at heartbeats only, and its locks may not count here"),
            "keep the town on a local disk, or let one machine alone use it",
        ),
        "tmpfs" | "ramfs" => Area::Disk.ok(format!("{place}, which a restart of the machine empties")),
        "overlay" => Area::Disk.ok(format!("{place}, which ends with its container")),
        _ => Area::Disk.ok(place),
    }
}

fn of_room(disk: &str, room: Result<Room, String>) -> Finding {
    let full = |what: String| Area::Disk.wrong(what, "free some space: the supervisor cannot save its state");
    let room = match room {
        Ok(room) => room,
        Err(why) => return Area::Disk.note(format!("the free space of {disk} is not known: {why}"), ""),
    };
    let left = match room.bytes >> 30 {
        0 => format!("{} MiB left", room.bytes >> 20),
        gib => format!("{gib} GiB left"),
    };
    match room.files {
        Some(0) => full(format!("{disk} has no inodes left: no file can be created")),
        _ if room.bytes < NO_ROOM => full(format!("{disk} is full: {left}")),
        Some(files) if files < FEW_FILES => {
            Area::Disk.note(format!("{disk} is nearly full: {files} inodes left"), "remove files")
        }
        _ if room.bytes < LITTLE_ROOM => {
            Area::Disk.note(format!("{disk} is nearly full: {left}"), "free some space")
        }
        _ => Area::Disk.ok(format!("{disk} has {left}")),
    }
}

fn of_trial(shown: &str, tried: Result<Tried, Failed>) -> Vec<Finding> {
    let place = Path::new(shown.trim_end_matches('/'));
    let tried = match tried {
        Ok(tried) => tried,
        Err(Failed { step, error }) if error.kind() == io::ErrorKind::AlreadyExists => {
            return vec![
                Area::Disk.note(format!("whether {shown} can be used is not known: {step}: {error}"), ""),
            ];
        }
        Err(Failed { step, error }) => {
            let what = format!("{step} in {shown} fails: {error}");
            let hint = "repair the disk, free some space, or move the town: no state can be saved there";
            return vec![Area::Disk.wrong(what, hint).about(place)];
        }
    };
    let mut findings = Vec::new();
    if !tried.excludes {
        let what = format!("locks keep nobody out in {shown}: two supervisors could run this town at once");
        let hint =
            "move the town to a local disk, or mount its file system with locks (nfs: without `nolock`)";
        findings.push(Area::Disk.wrong(what, hint).about(place));
    }
    let took = |what: &str, time: Duration| format!("{what} a file in {shown} takes {} ms", time.as_millis());
    let slow = [("syncing", tried.sync), ("replacing", tried.rename)];
    let slow = slow.into_iter().filter(|(_, time)| *time > SLOW);
    findings.extend(slow.map(|(what, time)| {
        Area::Disk.note(took(what, time), "the disk is slow or busy: heartbeats wait for it, too")
    }));
    if findings.is_empty() {
        let rename = tried.rename.as_millis();
        let what = took("syncing", tried.sync);
        findings.push(Area::Disk.ok(format!("{what}, replacing it {rename} ms; locks keep others out")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Severity::{self, Note, Ok as Well, Wrong};

    #[test]
    fn what_is_mounted() {
        let mounts = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                      30 22 0:25 / /home/a\\040b rw shared:1 master:2 - nfs4 server:/x rw,vers=4.2\n\
                      31 22 0:26 / /mnt rw - tmpfs tmpfs rw\n\
                      32 22 0:27 / /mnt rw - overlay overlay rw\n\
                      33 22 0:28 / /mnt2 rw - 9p share rw\njunk\n";
        for (path, expected) in [
            ("/t/daemon", Some(("ext4", "/"))),
            ("/home/a b/gt/daemon", Some(("nfs4", "/home/a b"))),
            ("/home/a", Some(("ext4", "/"))),
            ("/mnt", Some(("overlay", "/mnt"))),
            ("/mnt2/x", Some(("9p", "/mnt2"))),
            ("/mnt22", Some(("ext4", "/"))),
        ] {
            let found = mount_of(mounts, Path::new(path));
            let found = found.as_ref().map(|mount| (&*mount.kind, mount.at.to_str().unwrap()));
            assert_eq!(found, expected, "{path}");
        }
        assert_eq!(mount_of("", Path::new("/")), None, "a system that does not say");
        assert_eq!(unescaped("/a\\134b\\x\\"), Path::new("/a\\b\\x\\"));
    }

    #[test]
    fn which_file_systems() {
        for (kind, severity, begin) in [
            ("ext4", Well, "daemon/ is on ext4 (mounted at /m)"),
            ("tmpfs", Well, "daemon/ is on tmpfs (mounted at /m), which a restart"),
            ("overlay", Well, "daemon/ is on overlay (mounted at /m), which ends"),
            ("nfs4", Note, "daemon/ is on nfs4 (mounted at /m): changes by another machine"),
            ("9p", Note, "daemon/ is on 9p"),
            ("fuse.sshfs", Note, "daemon/ is on fuse.sshfs"),
        ] {
            let finding = of_mount("daemon/", &Mount { kind: kind.into(), at: "/m".into() });
            assert_eq!(finding.severity, severity, "{kind}");
            assert!(finding.what.starts_with(begin), "{}", finding.what);
        }
    }

    #[test]
    fn how_much_room() {
        let room = |bytes, files| Ok(Room { bytes, files });
        for (room, severity, begin) in [
            (room(1 << 30, None), Well, "the town's disk has 1 GiB left"),
            (room(LITTLE_ROOM - 1, Some(7000)), Note, "the town's disk is nearly full: 255 MiB"),
            (room(1 << 30, Some(7)), Note, "the town's disk is nearly full: 7 inodes left"),
            (room(NO_ROOM - 1, Some(7)), Wrong, "the town's disk is full: 15 MiB"),
            (room(1 << 30, Some(0)), Wrong, "the town's disk has no inodes left"),
            (Err("denied".to_owned()), Note, "the free space of the town's disk is not known: denied"),
        ] {
            let finding = of_room("the town's disk", room);
            assert_eq!(finding.severity, severity);
            assert!(finding.what.starts_with(begin), "{}", finding.what);
        }
    }

    #[test]
    fn what_the_trial_says() {
        let tried = |sync, rename, excludes| {
            let [sync, rename] = [sync, rename].map(Duration::from_millis);
            Ok(Tried { sync, rename, excludes })
        };
        let failed = |error: io::Error| Err(Failed { step: "syncing a file", error });
        type Case<'a> = (Result<Tried, Failed>, &'a [(Severity, &'a str)]);
        #[rustfmt::skip]
        let cases: [Case<'_>; 6] = [
            (tried(3, 0, true), &[(Well, "syncing a file in daemon/ takes 3 ms, replacing it 0 ms; locks keep others out")]),
            (tried(1001, 0, true), &[(Note, "syncing a file in daemon/ takes 1001 ms")]),
            (tried(1, 2000, true), &[(Note, "replacing a file in daemon/ takes 2000 ms")]),
            (tried(1, 1, false), &[(Wrong, "locks keep nobody out in daemon/")]),
            (failed(io::ErrorKind::StorageFull.into()), &[(Wrong, "syncing a file in daemon/ fails: no storage space")]),
            (failed(io::ErrorKind::AlreadyExists.into()), &[(Note, "whether daemon/ can be used is not known")]),
        ];
        for (tried, expected) in cases {
            let findings = of_trial("daemon/", tried);
            assert_eq!(findings.len(), expected.len(), "{findings:#?}");
            for (finding, (severity, begin)) in findings.iter().zip(expected) {
                assert_eq!(finding.severity, *severity, "{finding:?}");
                assert!(finding.what.starts_with(begin), "{}", finding.what);
            }
        }
    }
}
