//! Tests of the search: which town is meant, by grids over disks of paper.

use super::*;

/// Files by path; their parents are directories.
struct Paper(&'static [&'static str]);

impl Status for Paper {
    fn kind(&self, path: &Path) -> io::Result<Kind> {
        if path.starts_with("/locked") {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(if self.0.iter().any(|file| Path::new(file) == path) {
            Kind::File
        } else if self.0.iter().any(|file| Path::new(file).starts_with(path)) {
            Kind::Directory
        } else {
            Kind::Missing
        })
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        // What is below `/link` is that of `/own`.
        let linked = path.strip_prefix("/link").map(|rest| Path::new("/own").join(rest));
        Ok(linked.unwrap_or_else(|_| path.to_owned()))
    }
}

/// The file of a town of one file, or the root of a Gas Town.
fn shown(town: &TownPaths) -> PathBuf {
    town.agents_file().unwrap_or_else(|| town.root().to_owned())
}

/// What the search must find: a path, or the beginning of an error.
fn assert_finds(name: &str, found: Result<TownPaths, RootError>, expected: Result<&str, &str>) {
    match (found, expected) {
        (Ok(town), Ok(expected)) => assert_eq!(shown(&town), Path::new(expected), "{name}"),
        (Err(error), Err(begin)) => assert!(error.to_string().starts_with(begin), "{name}: {error}"),
        (got, _) => panic!("{name}: {got:?}"),
    }
}

type Variables = &'static [(&'static str, &'static str)];

fn among(variables: Variables) -> impl Fn(&str) -> Option<String> {
    move |key: &str| variables.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned())
}

const DISK: Paper = Paper(&[
    "/gt/mayor/town.json",
    "/gt/r/polecats/Toast/r/mayor/town.json",
    "/gt/r/polecats/Toast/r/src/x",
    "/gt/r/crew/max/src/x",
    "/gt/inner/mayor/town.json",
    "/gt/inner/src/x",
    "/old/mayor/x",
    "/old/a/mayor/x",
    "/old/a/b/x",
    "/odd/mayor/town.json/x",
    "/file",
]);

struct Case {
    name: &'static str,
    town: Option<&'static str>,
    env: Variables,
    cwd: &'static str,
    expected: Result<&'static str, &'static str>,
}

fn case(
    name: &'static str,
    town: Option<&'static str>,
    env: Variables,
    cwd: &'static str,
    expected: Result<&'static str, &'static str>,
) -> Case {
    Case { name, town, env, cwd, expected }
}

#[test]
fn a_gas_town() {
    for Case { name, town, env, cwd, expected } in [
        case("the root itself", None, &[], "/gt", Ok("/gt")),
        case("below it", None, &[], "/gt/r", Ok("/gt")),
        case("the nearest wins", None, &[], "/gt/inner/src", Ok("/gt/inner")),
        case("inside a polecat the outermost", None, &[], "/gt/r/polecats/Toast/r/src", Ok("/gt")),
        case("inside crew the outermost", None, &[], "/gt/r/crew/max", Ok("/gt")),
        case(
            "the polecats directory itself is no worktree",
            None,
            &[],
            "/gt/inner/polecats",
            Ok("/gt/inner"),
        ),
        case("nothing", None, &[], "/else/where", Err("no town at or above /else/where")),
        case("a mayor directory will do", None, &[], "/old", Ok("/old")),
        case("the nearest mayor directory", None, &[], "/old/a/b", Ok("/old/a")),
        case("town.json must be a file", None, &[], "/odd/x", Ok("/odd")),
        case("--town", Some("/gt"), &[], "/old", Ok("/gt")),
        case("--town relative", Some("inner"), &[], "/gt", Ok("/gt/inner")),
        case("--town beats the environment", Some("/gt"), &[("GT_TOWN_ROOT", "/nope")], "/", Ok("/gt")),
        case("--town missing", Some("/nope"), &[], "/gt", Err("--town names /nope, which does not exist")),
        case("--town a file", Some("/file"), &[], "/gt", Err("--town names /file, which is not a directory")),
        case(
            "--town does not walk",
            Some("/gt/r"),
            &[],
            "/gt",
            Err("--town names /gt/r, which is not a town"),
        ),
        case(
            "--town takes no bare mayor",
            Some("/old"),
            &[],
            "/gt",
            Err("--town names /old, which is not a town"),
        ),
        case("GT_TOWN_ROOT", None, &[("GT_TOWN_ROOT", "/gt"), ("GT_ROOT", "/gt/inner")], "/old", Ok("/gt")),
        case("GT_ROOT", None, &[("GT_ROOT", "/gt/inner")], "/gt", Ok("/gt/inner")),
        case("an empty variable is unset", None, &[("GT_TOWN_ROOT", "")], "/gt", Ok("/gt")),
        case(
            "a wrong variable is an error",
            None,
            &[("GT_ROOT", "/nope")],
            "/gt",
            Err("GT_ROOT names /nope"),
        ),
        case("not to be examined", None, &[], "/locked", Err("/locked/mayor/town.json cannot be examined")),
    ] {
        let found = find(Named::directory(town.map(Path::new)), &among(env), Path::new(cwd), &DISK);
        assert_finds(name, found, expected);
    }
}

const BOTH_KINDS: Paper = Paper(&[
    "/own/agents.toml",
    "/own/src/deep/x",
    "/own/inner/agents.toml",
    "/own/mayor/notes",
    "/own/app/mayor/x",
    "/own/app/src/x",
    "/own/other.toml",
    "/own/odd/agents.toml/x",
    "/link/agents.toml",
    "/link/mayor/x",
    "/both/agents.toml",
    "/both/mayor/town.json",
    "/both/src/x",
    "/gt/mayor/town.json",
    "/gt/notes.toml",
    "/gt/rig/x",
    "/gt/rig/app/agents.toml",
    "/gt/r/crew/max/agents.toml",
    "/gt/r/polecats/Toast/r/mayor/town.json",
    "/gt/r/polecats/Toast/r/agents.toml",
    "/home/agents.toml",
    "/home/gt/mayor/town.json",
    "/home/gt/rig/x",
    "/home/gt/r/crew/max/x",
    "/none/x",
]);

const GT_ROOT: Variables = &[("GT_ROOT", "/gt"), ("SUPERVISOR_TOWN", "/own")];

/// A name, `--file` and `--town`, variables, the working directory, and what is found.
type Row =
    (&'static str, [Option<&'static str>; 2], Variables, &'static str, Result<&'static str, &'static str>);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("here", [None, None], &[], "/own", Ok("/own/agents.toml")),
    ("above; a directory of the name mayor beside it is no Gas Town", [None, None], &[], "/own/src/deep", Ok("/own/agents.toml")),
    ("inside such a directory", [None, None], &[], "/own/mayor", Ok("/own/agents.toml")),
    ("above one further down", [None, None], &[], "/own/app/src", Ok("/own/agents.toml")),
    ("the nearest", [None, None], &[], "/own/inner", Ok("/own/inner/agents.toml")),
    ("a directory of that name", [None, None], &[], "/own/odd", Ok("/own/agents.toml")),
    ("by a link", [None, None], &[], "/link", Ok("/own/agents.toml")),
    ("none", [None, None], &[], "/else", Err("no town at or above /else (no mayor/town.json and no agents.toml); go into one")),
    ("both", [None, None], &[], "/both", Err("/both has both agents.toml and mayor/town.json")),
    ("both, from below", [None, None], &[], "/both/src", Err("/both has both")),
    ("a Gas Town", [None, None], &[], "/gt/rig", Ok("/gt")),
    ("in a Gas Town", [None, None], &[], "/gt/rig/app", Err("/gt/rig/app/agents.toml is inside the Gas Town /gt: ")),
    ("in a worktree of a Gas Town", [None, None], &[], "/gt/r/crew/max", Err("/gt/r/crew/max/agents.toml is inside the Gas Town /gt: ")),
    ("in a worktree of Gas Town's source", [None, None], &[], "/gt/r/polecats/Toast/r", Err("/gt/r/polecats/Toast/r/agents.toml is inside the Gas Town /gt: ")),
    ("a Gas Town below a file", [None, None], &[], "/home/gt/rig", Ok("/home/gt")),
    ("its worktree", [None, None], &[], "/home/gt/r/crew/max", Ok("/home/gt")),
    ("not to be examined", [None, None], &[], "/locked", Err("/locked/mayor/town.json cannot be examined")),

    ("a named file", [Some("other.toml"), None], &[], "/own", Ok("/own/other.toml")),
    ("by its whole path", [Some("/own/other.toml"), None], &[], "/gt", Ok("/own/other.toml")),
    ("in a Gas Town, but not in its root", [Some("app/agents.toml"), None], &[], "/gt/rig", Ok("/gt/rig/app/agents.toml")),
    ("in the root of a Gas Town", [Some("/gt/notes.toml"), None], &[], "/", Err("/gt has both notes.toml and mayor/town.json")),
    ("a link to a directory", [Some("/link/agents.toml"), None], &[], "/", Ok("/own/agents.toml")),
    ("missing", [Some("x.toml"), None], &[], "/own", Err("--file names /own/x.toml, which does not exist")),
    ("a directory", [Some("src"), None], &[], "/own", Err("--file names /own/src, which is a directory; name the file in it")),
    ("both, named", [Some("/both/agents.toml"), None], &[], "/", Err("/both has both")),
    ("--file beats the variables", [Some("/own/agents.toml"), None], GT_ROOT, "/gt", Ok("/own/agents.toml")),
    ("two towns", [Some("/own/agents.toml"), Some("/gt")], &[], "/", Err("--file and --town each name a town")),

    ("--town", [None, Some("/own")], &[], "/gt", Ok("/own/agents.toml")),
    ("--town, a Gas Town", [None, Some("/gt")], &[], "/own", Ok("/gt")),
    ("--town beats the variables", [None, Some("/own/inner")], GT_ROOT, "/gt", Ok("/own/inner/agents.toml")),
    ("--town by a link", [None, Some("/link")], &[], "/gt", Ok("/own/agents.toml")),
    ("--town, both", [None, Some("/both")], &[], "/gt", Err("/both has both agents.toml and mayor/town.json")),
    ("--town does not walk", [None, Some("/own/src")], &[], "/own", Err("--town names /own/src, which is not a town: it has no mayor/town.json (`gt install` makes a town), and no agents.toml")),
    ("--town names no file", [None, Some("/own/agents.toml")], &[], "/own", Err("--town names /own/agents.toml, which is not a directory; name the directory that holds mayor/town.json or agents.toml")),

    ("an agent of a Gas Town", [None, None], GT_ROOT, "/own", Ok("/gt")),
    ("its variable names no town of one file", [None, None], &[("GT_ROOT", "/own")], "/own", Err("GT_ROOT names /own, which is not a town: it has no mayor/town.json (`gt install` makes a town)")),
    ("its variable, both", [None, None], &[("GT_TOWN_ROOT", "/both")], "/own", Err("/both has both")),
    ("an agent of a town of one file", [None, None], &[("SUPERVISOR_TOWN", "/own")], "/gt", Ok("/own/agents.toml")),
    ("of a file of another name", [None, None], &[("SUPERVISOR_TOWN", "/own/other.toml")], "/gt", Ok("/own/other.toml")),
    ("an empty variable", [None, None], &[("SUPERVISOR_TOWN", "")], "/gt", Ok("/gt")),
    ("a variable that names nothing", [None, None], &[("SUPERVISOR_TOWN", "/nope")], "/gt", Err("SUPERVISOR_TOWN names /nope, which does not exist")),
    ("a directory without a file", [None, None], &[("SUPERVISOR_TOWN", "/none")], "/own", Err("SUPERVISOR_TOWN names /none/agents.toml, which does not exist")),
    ("a Gas Town", [None, None], &[("SUPERVISOR_TOWN", "/gt")], "/own", Err("SUPERVISOR_TOWN names /gt/agents.toml, which does not exist")),
    ("a variable, both", [None, None], &[("SUPERVISOR_TOWN", "/both")], "/own", Err("/both has both")),
];

#[test]
fn either_kind_of_town() {
    for (name, [file, town], env, cwd, expected) in ROWS.iter().copied() {
        let named = Named { file: file.map(Path::new), town: town.map(Path::new) };
        assert_finds(name, find(named, &among(env), Path::new(cwd), &BOTH_KINDS), expected);
    }
}

#[test]
fn who_named_it_is_said() {
    for (named, env, by) in [
        (Named::directory(Some(Path::new("/gt"))), &[][..], Some("--town")),
        (Named::file(Path::new("/own/other.toml")), &[], Some("--file")),
        (Named::default(), GT_ROOT, Some("GT_ROOT")),
        (Named::default(), &[("SUPERVISOR_TOWN", "/own")], Some("SUPERVISOR_TOWN")),
        (Named::default(), &[], None),
    ] {
        let (_, said) = find_and_say(named, &among(env), Path::new("/own"), &BOTH_KINDS).unwrap();
        assert_eq!(said, by, "{named:?} {env:?}");
    }
}
