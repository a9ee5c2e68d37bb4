//! The imports of the library: whether each points to its own layer or one below, and which files form an import circle.
//!
//! Documents that name files must name files that exist; that is tested here too.
//!
//! A circle can only be understood as a whole, so its size is limited. Test modules and the command line are left out.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test that reads the source")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The layers, from the top to the bottom, each with the modules in it. A module imports from its own layer and from those below.
const LAYERS: [(&str, &[&str]); 11] = [
    ("one process for one town", &["service", "control", "doctor"]),
    ("the tree of actors", &["tree"]),
    ("actors that keep no agent", &["watchers"]),
    ("what a role adds to an agent", &["roles"]),
    ("one agent, whatever its role", &["agent", "deps"]),
    ("what actors are made of", &["supervision"]),
    (
        "what is known of the ledger, of commands, of deaths and of alerts",
        &["ledger", "operator", "deaths", "alerts"],
    ),
    ("ports, and what is behind them", &["ports"]),
    (
        "sessions, processes, commands, databases, transcripts, the network",
        &["sessions", "processes", "commands", "sqlite", "transcripts", "network"],
    ),
    ("a town on disk: a Gas Town, or one file", &["town", "agents_file"]),
    (
        "the ground",
        &[
            "bytes",
            "clock",
            "go_duration",
            "local_time",
            "nearest",
            "panics",
            "quotation",
            "secrets",
            "signals",
            "stopping",
            "terminal",
            "turns",
            "width",
        ],
    ),
];

/// The largest circle there may be.
const LARGEST: usize = 9;

type Module = Vec<String>;

/// The modules, each with its text; a file `a/b.rs` and a file `a/b/mod.rs` are the module `a::b`.
fn modules() -> BTreeMap<Module, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeMap::new();
    let mut directories = vec![source.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !["cli", "tests"].iter().any(|name| path.ends_with(name)) {
                    directories.push(path);
                }
            } else if path.extension().is_some_and(|it| it == "rs") && !is_test(&path) {
                let text = fs::read_to_string(&path).unwrap();
                let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
                found.insert(module(path.strip_prefix(&source).unwrap()), code.to_owned());
            }
        }
    }
    found
}

fn is_test(path: &Path) -> bool {
    path.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("tests"))
        || path.ends_with("main.rs")
}

fn module(path: &Path) -> Module {
    let path: PathBuf = path.with_extension("");
    let mut parts: Module = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod" || last == "lib") {
        parts.pop();
    }
    parts
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn paths(tree: &str) -> Vec<Vec<String>> {
    let segments = |text: &str| -> Vec<String> {
        let text = text.split(" as ").next().unwrap_or_default();
        text.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    };
    let Some((before, rest)) = tree.split_once('{') else { return vec![segments(tree)] };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut depth, mut begin, mut branches) = (0, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                branches.push(&inner[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    branches.push(&inner[begin..]);
    let branches = branches.into_iter().filter(|branch| !branch.trim().is_empty()).flat_map(paths);
    branches.map(|path| [segments(before), path].concat()).collect()
}

/// The modules that this one imports from.
fn imports(of: &Module, text: &str, all: &BTreeMap<Module, String>) -> BTreeSet<Module> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut found: Vec<Vec<String>> = Vec::new();
    for statement in code.split(';') {
        let at = statement.rfind("\nuse ").map(|at| at + 5);
        let at = at.or_else(|| statement.rfind("\npub use ").map(|at| at + 9));
        let at = at.or_else(|| statement.starts_with("use ").then_some(4));
        found.extend(at.into_iter().flat_map(|at| paths(&statement[at..])));
    }
    let named = code.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        paths(&format!("crate::{}", &rest[..end])).remove(0)
    });
    found.extend(named);
    let absolute = found.into_iter().filter_map(|path| {
        let supers = path.iter().take_while(|part| *part == "super").count();
        match path.first().map(String::as_str) {
            Some("crate") => Some(path[1..].to_vec()),
            Some("self") => Some([of.clone(), path[1..].to_vec()].concat()),
            Some("super") => Some([&of[..of.len() - supers], &path[supers..]].concat()),
            Some(first) if all.contains_key(&[of.clone(), vec![first.to_owned()]].concat()) => {
                Some([of.clone(), path].concat())
            }
            _ => None,
        }
    });
    let modules = absolute.filter_map(|path| {
        (1..=path.len()).rev().map(|length| path[..length].to_vec()).find(|part| all.contains_key(part))
    });
    modules.filter(|module| module != of).collect()
}

/// Everything that can be reached from here.
fn reached<'a>(from: &'a Module, graph: &'a BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<&'a Module> {
    let (mut found, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(module) = next.pop() {
        next.extend(graph[module].iter().filter(|module| found.insert(*module)));
    }
    found
}

/// The imports of each module.
fn graph() -> BTreeMap<Module, BTreeSet<Module>> {
    let all = modules();
    let graph: BTreeMap<Module, BTreeSet<Module>> =
        all.iter().map(|(module, text)| (module.clone(), imports(module, text, &all))).collect();
    assert!(graph.values().map(BTreeSet::len).sum::<usize>() > 1000, "the imports are seen");
    graph
}

#[test]
fn imports_point_downwards() {
    let layer = |module: &Module| {
        let folder = module.first()?.as_str();
        let found = LAYERS.iter().position(|(_, folders)| folders.contains(&folder));
        Some(found.unwrap_or_else(|| panic!("{folder} is in no layer: add it to LAYERS")))
    };
    let graph = graph();
    let pairs = graph.iter().flat_map(|(module, imports)| imports.iter().map(move |other| (module, other)));
    let upwards = pairs.filter_map(|(module, other)| {
        let (from, to) = (layer(module)?, layer(other)?);
        let (module, other) = (module.join("::"), other.join("::"));
        (to < from)
            .then(|| format!("{module} ({}) imports {other} ({}), above it\n", LAYERS[from].0, LAYERS[to].0))
    });
    let upwards: String = upwards.collect();
    assert!(upwards.is_empty(), "{upwards}");
}

/// A town of one file is another source of what the core asks about: nothing that keeps or watches agents learns where it came from.
#[test]
fn only_what_reads_the_agents_file_knows_it() {
    // The command line is not in the graph: what it reads it only shows.
    let readers = ["agents_file", "doctor", "service", "tree"];
    let mut seen = 0;
    for (module, imports) in graph() {
        let file = imports.iter().find(|other| other.first().is_some_and(|folder| folder == "agents_file"));
        let reads = module.first().is_some_and(|folder| readers.contains(&folder.as_str()));
        seen += usize::from(file.is_some());
        assert!(reads || file.is_none(), "{} imports {file:?}", module.join("::"));
    }
    assert!(seen > 3, "the graph has lost the file");
}

#[test]
fn no_circle_of_imports_is_large() {
    let graph = graph();
    let reach: BTreeMap<&Module, BTreeSet<&Module>> =
        graph.keys().map(|module| (module, reached(module, &graph))).collect();
    for module in graph.keys() {
        let circle: BTreeSet<&Module> =
            reach[module].iter().copied().filter(|other| reach[*other].contains(module)).collect();
        let lines = circle.iter().map(|module| {
            let within = graph[*module].iter().filter(|other| circle.contains(other));
            let within: Vec<String> = within.map(|other| other.join("::")).collect();
            format!("{} imports {}\n", module.join("::"), within.join(", "))
        });
        assert!(
            circle.len() <= LARGEST,
            "{} files form a circle, and {LARGEST} may:\n{}",
            circle.len(),
            lines.collect::<String>()
        );
    }
}

/// `a/{b,c}.rs` as `a/b.rs`, `a/c.rs`.
fn files(named: &str) -> Vec<String> {
    match named.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?))) {
        Some((before, (names, after))) => {
            names.split(',').map(|name| format!("{before}{}{after}", name.trim())).collect()
        }
        None => vec![named.to_owned()],
    }
}

/// The role that ARCHITECTURE adds to show where a role goes.
const MADE_UP: &str = "src/roles/dog.rs";

#[test]
fn documents_name_files_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let exists =
        |file: &str| file == MADE_UP || root.join(file).exists() || root.join("src").join(file).exists();
    let mut seen = 0;
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "README.md", "BENCHMARKS.md"] {
        let text = fs::read_to_string(root.join(document)).unwrap();
        let named = text.split('`').skip(1).step_by(2).filter(|it| !it.contains([' ', '\n', '*']));
        let sources = named.filter(|it| it.contains('/') && (it.ends_with(".rs") || it.starts_with("src/")));
        for file in sources.flat_map(files) {
            seen += 1;
            assert!(exists(&file), "{document} names {file}, which does not exist");
        }
    }
    assert!(seen > 50, "the documents name only {seen} files");
}
