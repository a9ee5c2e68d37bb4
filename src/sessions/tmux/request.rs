//! Requests: the tmux commands we send, in their two forms. Pure.
//!
//! Over the control connection a request is one line of tmux's command language; without it, words of a subprocess's
//! argument list. Pasted text cannot be a word there (tmux accepts 16 KB of arguments), so it is sent to standard input.

use std::path::Path;

use super::{
    list::MARK,
    quote::{literal, quote, word},
};
use crate::sessions::{Key, NewSession};

/// The longest part of a command shown in an error, in characters.
const SHOWN: usize = 120;

/// One tmux command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A command and its arguments.
    Command(Vec<String>),
    /// Sets a paste buffer of this name to this text.
    Buffer {
        /// Its name.
        name: String,
        /// Its new content.
        text: String,
    },
    /// Commands that no other may interrupt; those after a refused one are not run.
    Together(Vec<Request>),
    /// Makes the pane of this target leave copy mode, or any mode a user left it in.
    LeaveMode {
        /// The pane's exact target.
        target: String,
    },
}

impl Request {
    /// A command from these words.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Request {
        Request::Command(words.into_iter().map(str::to_owned).collect())
    }

    /// The request as one line for the control connection, without a newline.
    pub fn line(&self) -> String {
        let words = |words: &[&str]| words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        match self {
            Request::Command(all) => words(&all.iter().map(String::as_str).collect::<Vec<_>>()),
            Request::Buffer { name, text } => words(&["set-buffer", "-b", name, "--", text]),
            Request::Together(all) => all.iter().map(Request::line).collect::<Vec<_>>().join(" ; "),
            // One line must have one answer: no `if-shell`, whose inner command answers too.
            Request::LeaveMode { target } => words(&["copy-mode", "-q", "-t", target]),
        }
    }

    /// How many answers its line gets; a refusal is the last.
    pub fn answers(&self) -> usize {
        match self {
            Request::Together(all) => all.iter().map(Request::answers).sum(),
            _ => 1,
        }
    }

    /// The request as words of an argument list.
    pub fn words(&self) -> Vec<String> {
        match self {
            Request::Command(words) => words.iter().map(|text| word(text)).collect(),
            Request::Buffer { name, .. } => ["load-buffer", "-b", name, "-"].map(str::to_owned).into(),
            Request::Together(all) => {
                all.iter().map(Request::words).collect::<Vec<_>>().join(&";".to_owned())
            }
            // tmux before 3.2 has no `copy-mode -q`.
            Request::LeaveMode { target } => {
                let leave = format!("send-keys -t {} -X cancel", quote(target));
                ["if-shell", "-F", "-t", target, "#{pane_in_mode}", &leave].map(str::to_owned).into()
            }
        }
    }

    /// The text for standard input when the request is sent as words.
    pub fn input(&self) -> Option<String> {
        match self {
            Request::Buffer { text, .. } => Some(text.clone()),
            Request::Together(all) => all.iter().find_map(Request::input),
            Request::Command(_) | Request::LeaveMode { .. } => None,
        }
    }

    /// The request for messages, cut to a readable length.
    pub fn shown(&self) -> String {
        let line = match self {
            Request::Buffer { name, text } => format!("set-buffer -b {name} ({} bytes)", text.len()),
            other => other.line(),
        };
        match line.char_indices().nth(SHOWN) {
            Some((at, _)) => format!("tmux {}…", &line[..at]),
            None => format!("tmux {line}"),
        }
    }
}

/// Enters the directory and executes the program. Several words are executed by tmux itself; a single one is run by
/// the user's own shell, whose start-up files may change the directory. When tmux cannot enter a directory, it uses
/// the home directory.
const ENTER: [&str; 4] = ["/bin/sh", "-c", r#"cd -- "$1" || exit 126; shift; exec "$@""#, "sh"];

/// Creates a detached session; `format` is what to print of it. Detached sessions are 80x24 by default, too narrow
/// for agents, whose prompts and dialogs are read line by line: so 200x50, until a client attaches.
pub fn new_session(new: &NewSession, format: &str) -> Request {
    let directory = literal(&new.directory.to_string_lossy());
    let name = literal(&new.name);
    let mut words: Vec<String> =
        ["new-session", "-d", "-P", "-F", format, "-x", "200", "-y", "50", "-s", &name, "-c", &directory]
            .map(str::to_owned)
            .into();
    for (variable, value) in &new.environment {
        words.extend(["-e".to_owned(), format!("{variable}={value}")]);
    }
    words.extend(ENTER.map(str::to_owned));
    words.push(new.directory.to_string_lossy().into_owned());
    words.extend_from_slice(&new.command);
    Request::Command(words)
}

/// Creates a detached session for tmux without `new-session -e` (before 3.2): the first process gets its variables
/// from `env`, later ones from the session, where they are set right after.
pub fn new_session_without_e(new: &NewSession, format: &str, target: &str) -> Vec<Request> {
    let pairs = new.environment.iter().map(|(variable, value)| format!("{variable}={value}"));
    let words = ["/usr/bin/env".to_owned()].into_iter().chain(pairs);
    let command = words.chain(new.command.iter().cloned()).collect();
    let bare = NewSession { environment: Default::default(), command, ..new.clone() };
    let set = |(variable, value): (&String, &String)| {
        Request::of(["set-environment", "-t", target, variable.as_str(), value.as_str()])
    };
    std::iter::once(new_session(&bare, format)).chain(new.environment.iter().map(set)).collect()
}

/// Makes a session and its server continue when no client is attached, whatever the user's options are
/// (`destroy-unattached`, `exit-unattached`). To be sent together with its creation: the next client that leaves
/// would end it.
pub fn lasting(target: &str) -> [Request; 2] {
    [Request::of(["set-option", "-t", target, "destroy-unattached", "off"]), lasting_server()]
}

/// Makes the server continue when no client is attached.
pub fn lasting_server() -> Request {
    Request::of(["set-option", "-s", "exit-unattached", "off"])
}

/// Prints `on` when the server ends as soon as no client is attached.
pub fn ends_unattached() -> Request {
    Request::of(["show-options", "-s", "-v", "exit-unattached"])
}

/// Marks the current process of a new session's only pane as started by a supervisor. To be sent together with the
/// session's creation.
pub fn mark(target: &str) -> Request {
    Request::of(["set-option", "-p", "-F", "-t", target, MARK, "#{pane_pid}"])
}

/// Makes a session's pane stay when its process ends. To be sent together with the session's creation, as the process
/// may end at once.
pub fn keep_exit(target: &str) -> Request {
    Request::of(["set-option", "-p", "-t", target, "remain-on-exit", "on"])
}

/// A text as typed: without control characters except newline and tab. A terminal treats them as keys (an interrupt,
/// the end of the input, a sequence that the program obeys), and our texts need none.
fn typeable(text: &str) -> String {
    text.chars().filter(|it| !it.is_control() || matches!(it, '\n' | '\t')).collect()
}

/// Types a text into a pane through a buffer of this name; no request when the text is empty, as tmux has no empty
/// buffers. `paste-buffer -S` is not needed: since 3.7 tmux itself passes control characters through vis(3). `-p`: a
/// bracketed paste if the program asked for it; `-r`: newlines stay newlines; `-d`: the buffer is deleted.
pub fn paste(target: &str, buffer: &str, text: &str) -> Vec<Request> {
    let text = typeable(text);
    if text.is_empty() {
        return Vec::new();
    }
    vec![
        Request::LeaveMode { target: target.to_owned() },
        Request::Buffer { name: buffer.to_owned(), text },
        Request::of(["paste-buffer", "-p", "-r", "-d", "-b", buffer, "-t", target]),
    ]
}

/// Presses a key in a pane. In copy mode the key would go to the mode and be lost.
pub fn press(target: &str, key: Key) -> Vec<Request> {
    let key = match key {
        Key::Enter => "Enter",
        Key::Escape => "Escape",
        Key::Up => "Up",
        Key::Down => "Down",
    };
    vec![Request::LeaveMode { target: target.to_owned() }, Request::of(["send-keys", "-t", target, key])]
}

/// Makes sure that no pane comes back or stays after its process ended. The pane's own option beats those of window,
/// session and server.
pub fn disarm<'a>(panes: impl IntoIterator<Item = &'a str>) -> Vec<Request> {
    let one = |pane: &str| {
        [
            Request::of(["set-option", "-p", "-t", pane, "remain-on-exit", "off"]),
            Request::of(["set-hook", "-u", "-p", "-t", pane, "pane-died"]),
            Request::of(["set-hook", "-u", "-w", "-t", pane, "pane-died"]),
        ]
    };
    panes.into_iter().flat_map(one).collect()
}

/// Starts a program in this directory, whose parent is neither us nor the server. tmux shows output and a bad exit status of
/// what it runs itself in the pane of a session, so that it gets neither; and it may run the user's own shell, so that this
/// one only executes `/bin/sh`.
pub fn run_in_background(directory: &Path, command: &[String]) -> Request {
    let directory = shell_words::quote(&directory.to_string_lossy()).into_owned();
    let inner = format!(
        "{{ cd -- {directory} && exec {}; }} </dev/null >/dev/null 2>&1 &",
        shell_words::join(command)
    );
    let whole = format!("exec /bin/sh -c {}", shell_words::quote(&inner));
    Request::of(["run-shell", "-b", &literal(&whole)])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn new() -> NewSession {
        NewSession {
            name: "gt-a".into(),
            directory: "/t/#(x)".into(),
            environment: BTreeMap::from([("A".into(), "1 ;".into()), ("B".into(), "".into())]),
            command: ["agent", "x;"].map(str::to_owned).into(),
            keep_exit: false,
        }
    }

    #[test]
    fn lines_grid() {
        let paste = paste("$1:.%7", "b1", "$x\n;");
        #[rustfmt::skip]
        let cases = [
            (new_session(&new(), "#{pid}"), r##"new-session -d -P -F "#{pid}" -x 200 -y 50 -s gt-a -c "/t/##(x)" -e "A=1 ;" -e B= /bin/sh -c "cd -- \042\0441\042 || exit 126; shift; exec \042\044@\042" sh "/t/#(x)" agent "x;""##),
            (paste[0].clone(), r#"copy-mode -q -t "\0441:.%7""#),
            (paste[1].clone(), r#"set-buffer -b b1 -- "\044x\012;""#),
            (paste[2].clone(), r#"paste-buffer -p -r -d -b b1 -t "\0441:.%7""#),
            (press("$1:.%7", Key::Down)[1].clone(), r#"send-keys -t "\0441:.%7" Down"#),
            (Request::Together(lasting("=gt-a:").into()), "set-option -t =gt-a: destroy-unattached off ; set-option -s exit-unattached off"),
            (mark("=gt-a:"), r##"set-option -p -F -t =gt-a: @gastown_supervisor "#{pane_pid}""##),
            (disarm(["%1"])[0].clone(), r#"set-option -p -t "%1" remain-on-exit off"#),
        ];
        for (request, wanted) in cases {
            assert_eq!(request.line(), wanted);
        }
    }

    #[test]
    fn words_grid() {
        let paste = paste("$1:.%7", "b1", "$x\n\0;");
        assert_eq!(paste[0].words()[5], r#"send-keys -t "\0441:.%7" -X cancel"#);
        assert_eq!(paste[1].words(), ["load-buffer", "-b", "b1", "-"]);
        assert_eq!(paste[1].input().as_deref(), Some("$x\n;"));
        assert_eq!(Request::Together(lasting("=a:").into()).words()[4..8], ["off", ";", "set-option", "-s"]);
        assert!(new_session(&new(), "").words().contains(&"A=1 \\;".to_owned()));
    }

    #[test]
    fn what_runs_in_the_background_is_quoted_for_three_readers() {
        let command = ["env", "K=a b", "gt"].map(str::to_owned);
        let Request::Command(words) = run_in_background(Path::new("/t/#x"), &command) else { panic!() };
        let expanded = words[2].replace("##", "#"); // by tmux
        let outer = shell_words::split(&expanded).unwrap(); // by the user's shell
        assert_eq!(outer[..3], ["exec", "/bin/sh", "-c"]);
        let inner = "{ cd -- '/t/#x' && exec env 'K=a b' gt; } </dev/null >/dev/null 2>&1 &";
        assert_eq!(outer[3], inner);
    }

    #[test]
    fn only_what_is_text_is_typed() {
        for (text, typed) in [
            ("a\tb\nc é ❯ 🎩 \\ \\n", Some("a\tb\nc é ❯ 🎩 \\ \\n")),
            ("\u{1b}[2J\u{3}\r\u{4}\u{7f}\u{85}\u{9b}x\0", Some("[2Jx")),
            ("\0\u{3}", None),
            ("", None),
        ] {
            let requests = paste("=a:", "b", text);
            let buffered = requests.iter().find_map(Request::input);
            assert_eq!(buffered.as_deref(), typed, "{text:?}");
        }
    }

    #[test]
    fn before_3_2_the_environment_goes_another_way() {
        let requests = new_session_without_e(&new(), "f", "=gt-a:");
        let Request::Command(words) = &requests[0] else { panic!("{requests:?}") };
        assert_eq!(words[words.len() - 5..], ["/usr/bin/env", "A=1 ;", "B=", "agent", "x;"]);
        assert!(!words.contains(&"-e".to_owned()));
        assert_eq!(requests[1].line(), r#"set-environment -t =gt-a: A "1 ;""#);
        assert_eq!(requests.len(), 3);
    }

    #[test]
    fn long_requests_are_shown_short() {
        let shown = Request::of(["display-message", &"é".repeat(500)]).shown();
        assert!(shown.ends_with('…') && shown.chars().count() < 140);
        assert_eq!(paste("=a:", "b", "secret")[1].shown(), "tmux set-buffer -b b (6 bytes)");
    }
}
