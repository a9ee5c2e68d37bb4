//! Requests: the tmux commands we give, in the two forms they are given in. Pure.
//!
//! Over the control connection a request is one line of tmux's command language; without it, words of a subprocess's
//! argument list. Text of a paste cannot be a word there (tmux takes 16 KB of arguments), so it goes in by standard
//! input.

use super::{
    list::MARK,
    quote::{literal, quote, word},
};
use crate::sessions::{Key, NewSession};

/// How much of a command is shown in an error.
const SHOWN: usize = 120;

/// One tmux command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A command and its arguments.
    Command(Vec<String>),
    /// A paste buffer of this name gets this text.
    Buffer {
        /// Its name.
        name: String,
        /// What it holds from now on.
        text: String,
    },
    /// Commands of which nothing comes between two; what follows a refused one is not carried out.
    Together(Vec<Request>),
    /// The pane of this target leaves copy mode or whatever mode a user left it in.
    LeaveMode {
        /// The pane's exact target.
        target: String,
    },
}

impl Request {
    /// A command of these words.
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
            // One answer to one line: no `if-shell`, whose inner command answers too.
            Request::LeaveMode { target } => words(&["copy-mode", "-q", "-t", target]),
        }
    }

    /// How many answers its line gets, unless one is a refusal, which is the last.
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
            // `copy-mode -q` is not there before tmux 3.2.
            Request::LeaveMode { target } => {
                let leave = format!("send-keys -t {} -X cancel", quote(target));
                ["if-shell", "-F", "-t", target, "#{pane_in_mode}", &leave].map(str::to_owned).into()
            }
        }
    }

    /// What goes into standard input when the request is given as words.
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

/// Enters the directory and becomes the program. Given several words, tmux executes them itself; given one, it has the
/// user's own shell read it, whose start-up files may go anywhere. Where tmux cannot enter a directory, it goes on in
/// the home directory.
const ENTER: [&str; 4] = ["/bin/sh", "-c", r#"cd -- "$1" || exit 126; shift; exec "$@""#, "sh"];

/// Creates a detached session; `format` tells what to print of it. Detached sessions are 80x24 by default, too narrow
/// for the screens of agents, whose prompts and dialogs are read back line by line: 200x50, until somebody attaches.
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

/// Creates a detached session where `new-session -e` is missing (before tmux 3.2): the first process gets its variables
/// from `env`, later ones from the session, which learns them right after.
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

/// Has a session, and its server, go on when no client is attached, whatever the user's options are
/// (`destroy-unattached`, `exit-unattached`). To be given together with its creation: the next client that leaves ends it.
pub fn lasting(target: &str) -> [Request; 2] {
    [Request::of(["set-option", "-t", target, "destroy-unattached", "off"]), lasting_server()]
}

/// Has the server go on when no client is attached.
pub fn lasting_server() -> Request {
    Request::of(["set-option", "-s", "exit-unattached", "off"])
}

/// Prints `on` when the server ends as soon as no client is attached.
pub fn ends_unattached() -> Request {
    Request::of(["show-options", "-s", "-v", "exit-unattached"])
}

/// Marks the only pane of a new session as one whose present process was started by a supervisor. To be given together with its
/// creation.
pub fn mark(target: &str) -> Request {
    Request::of(["set-option", "-p", "-F", "-t", target, MARK, "#{pane_pid}"])
}

/// Has a session's pane stay when its process ends. To be given together with its creation: that may be at once.
pub fn keep_exit(target: &str) -> Request {
    Request::of(["set-option", "-p", "-t", target, "remain-on-exit", "on"])
}

/// A text as it is typed: without control characters but newline and tab. In a terminal they are keys — an interrupt, the
/// end of the input, a sequence that the program obeys — and never part of what we have to say.
fn typeable(text: &str) -> String {
    text.chars().filter(|it| !it.is_control() || matches!(it, '\n' | '\t')).collect()
}

/// Types a text into a pane by way of a buffer of this name; no request when there is nothing to type, as tmux has no
/// empty buffers. What is typed needs no `paste-buffer -S`: since 3.7 tmux itself passes control characters through vis(3).
/// `-p`: as a bracketed paste where the program asked
/// for it; `-r`: newlines stay newlines; `-d`: the buffer goes away.
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

/// Makes sure that no pane comes back or stays after its process ended. The pane's own option beats whatever window,
/// session or server say.
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
