//! Tests of what is written: it is read again, and means what it was made of.

use proptest::prelude::*;

use super::*;
use crate::agents_file::plan::Plan;

fn around() -> Around<'static> {
    Around { directory: Path::new("/town"), home: None }
}

fn plan(text: &str) -> Plan {
    read(Path::new("agents.toml"), text.as_bytes(), around())
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn session(name: &str, command: &str, dir: &str) -> FoundSession {
    FoundSession { name: name.to_owned(), command: command.to_owned(), dir: dir.into() }
}

/// A file without the `#` before its agents.
fn uncommented(text: &str) -> String {
    let is_toml = |line: &&str| {
        line.starts_with("# [") || line.split_once(" = ").is_some_and(|(key, _)| !key[2..].contains(' '))
    };
    text.lines()
        .map(|line| if line.starts_with("# ") && is_toml(&line) { &line[2..] } else { line })
        .map(|line| format!("{line}\n"))
        .collect()
}

#[test]
fn a_first_file() {
    let sessions = [session("work", "codex --yolo", "/town/src"), session("claude", "bash", "/town")];
    let programs = ["claude", "cursor-agent"].map(Kind::of_command);
    let text = init(&programs, &sessions, Path::new("/town"));
    assert_eq!(
        plan(&text).to_string(),
        "1 agent on its own tmux server, started in this order:\n  claude-2: claude in /town, restart unless-stopped",
        "the first program is to run, and nothing of what runs elsewhere: {text}"
    );
    let whole = plan(&uncommented(&text));
    assert_eq!(
        whole.to_string(),
        "4 agents on its own tmux server, started in this order:\n  \
         claude-2: claude in /town, restart unless-stopped\n  \
         cursor: cursor in /town, restart unless-stopped\n  \
         work: codex in /town/src, restart unless-stopped\n  \
         claude: plain in /town, restart unless-stopped",
        "{text}"
    );
    assert!(whole.agents[0].table.prompt.is_some() && whole.agents[1].table.prompt.is_some(), "{text}");
    assert!(plan(&init(&[], &[], Path::new("/town"))).agents.is_empty(), "nothing was found that could run");
}

#[test]
fn an_adopted_session_is_added_at_the_end() {
    let before = "# mine\nsocket = \"default\"   # keep\n[agents.b]\ncommand='x'";
    let work = session("my work", "claude --resume 'a b'", "/town/x");
    let adopted = adopt(Path::new("f"), before, &work, None, around()).unwrap();
    let added = "[agents.my-work]\nsession = \"my work\"\ncommand = \"claude --resume 'a b'\"\ndir = \"x\"\n";
    assert_eq!((&*adopted.added, &*adopted.name), (added, "my-work"));
    assert_eq!(adopted.whole, format!("{before}\n\n{added}"));
    let named = adopt(Path::new("f"), before, &work, Some("mine"), around()).unwrap();
    assert!(named.added.starts_with("[agents.mine]\nsession = \"my work\"\n"), "{named:?}");
    let tilde = adopt(Path::new("f"), "#\n", &session("t", "x", "/town/~/x"), None, around()).unwrap();
    assert_eq!(tilde.plan.agents[0].dir, Path::new("/town/~/x"), "no home of anybody");
    for (name, text, session, expected) in [
        ("there", before, session("b", "x", "/"), "the session \"b\" is that of the agent b"),
        ("mistakes", "[agents.b]\n", session("a", "x", "/"), "f:1:9: agents.b: it has no command"),
        (
            "agents in one line",
            "agents = {}\n",
            session("a", "x", "/"),
            "the session cannot be added to the file as it is: f:3:",
        ),
        (
            "a command that cannot be one",
            "#\n",
            session("a", "it's", "/"),
            "the session cannot be added to the file as it is: f:4:11: ",
        ),
    ] {
        let error = adopt(Path::new("f"), text, &session, None, around()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{name}: {error}");
    }
    let taken = "[agents.a]\ncommand = \"x\"\nsession = \"z\"\n";
    let adopted = adopt(Path::new("f"), taken, &session("a", "x", "/"), None, around()).unwrap();
    assert_eq!(adopted.name, "a-2", "the name is taken, and the session is not");
    let twice = adopt(Path::new("f"), taken, &session("b", "x", "/"), Some("a"), around());
    assert!(matches!(twice, Err(AdoptError::Impossible(_))), "{twice:?}");
}

proptest! {
    #[test]
    fn what_is_adopted_is_read_as_it_was(name in "[a-zA-Z0-9_][ -~]{0,20}", command in "\\PC{1,40}", dir in "(/[^/\\x00]{1,8}){0,3}") {
        let session = FoundSession { name: name.clone(), command: command.clone(), dir: format!("/town{dir}").into() };
        let before = "[agents.b]\ncommand = \"x\"\n[agents.a]\ncommand = \"x\"\n";
        match adopt(Path::new("f"), before, &session, None, around()) {
            Ok(Adopted { whole, name: agent, .. }) => {
                prop_assert!(can_be_named(&session) && whole.starts_with(before));
                let plan = plan(&whole);
                let found = plan.agents.iter().find(|it| it.name.as_str() == agent).unwrap();
                prop_assert_eq!((&found.session, found.table.command.as_ref()), (&name, Some(&command)));
                prop_assert_eq!(found.dir.components().collect::<PathBuf>(), session.dir.components().filter(|it| *it != std::path::Component::CurDir).collect::<PathBuf>());
            }
            Err(AdoptError::Mistakes(error)) => prop_assert!(false, "{}", error),
            Err(_) => {}
        }
    }
}
