//! Command: a command line that a person wrote for `sh`, taken apart where no shell is needed to run it.
//!
//! Only a command of plain words takes more arguments behind them: the id of a conversation, and a prompt. Whatever else stands in
//! it, such as a pipe, a variable or a `;`, is the shell's to run, as it is written. Pure: it must not look for programs.

use super::provider::base_name;
use crate::agent::shells;

/// A command of plain words, the same that `sh` would make of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// What stands before its program: variables (`A=1`), and programs that run another one (`env`, `nohup`).
    pub before: Vec<String>,
    /// Its program: a bare name or a path.
    pub program: String,
    /// The arguments of its program.
    pub args: Vec<String>,
}

impl Words {
    /// The variables that it gives to its program, each with its value.
    pub fn variables(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        self.before.iter().filter(|word| is_assignment(word)).filter_map(|word| word.split_once('='))
    }

    /// The `PATH` that it gives to its program, if it does.
    pub fn search_path(&self) -> Option<&str> {
        self.variables().rev().find(|(name, _)| *name == "PATH").map(|(_, value)| value)
    }
}

/// Words that only a shell understands, in the place of a program.
const OF_SHELL: [&str; 39] = [
    "!", ".", ":", "[[", "alias", "bg", "break", "case", "cd", "command", "continue", "eval", "exit",
    "export", "fg", "for", "function", "getopts", "hash", "if", "jobs", "local", "read", "readonly",
    "return", "select", "set", "shift", "source", "time", "times", "trap", "type", "ulimit", "umask",
    "unset", "until", "wait", "while",
];

/// The words of this command; `None` when only a shell can run it.
pub fn words(command: &str) -> Option<Words> {
    if !is_plain(command) {
        return None;
    }
    let words = shell_words::split(command).ok()?;
    let mut rest = words.as_slice();
    let mut before = Vec::new();
    take(&mut rest, &mut before, is_assignment);
    if let [exec, tail @ ..] = rest
        && exec == "exec"
    {
        // It becomes the program in any case.
        rest = tail;
    }
    while let [word, tail @ ..] = rest {
        match base_name(word) {
            "nohup" => {
                before.push(word.clone());
                rest = tail;
            }
            "env" => {
                before.push(word.clone());
                rest = tail;
                options_of_env(&mut rest, &mut before)?;
                take(&mut rest, &mut before, is_assignment);
            }
            _ => break,
        }
    }
    let (program, args) = rest.split_first()?;
    // What begins with `-` or contains `=` would be an option or a variable for env(1).
    let is_program = !program.is_empty()
        && !program.starts_with('-')
        && !program.contains('=')
        && !OF_SHELL.contains(&program.as_str());
    is_program.then(|| Words { before, program: program.clone(), args: args.to_vec() })
}

/// Moves the words at the beginning of which this holds.
/// Whether a command is a shell that reads commands from its terminal: what is typed into it is meant for a shell.
pub fn is_a_shell(command: &str) -> bool {
    words(command).is_some_and(|it| shells::is_bare(&[vec![it.program], it.args].concat()))
}

/// Whether the last command of a line for the shell is such a shell (`agent; exec bash`): what is typed for the program before it may
/// arrive there.
pub fn ends_in_a_shell(line: &str) -> bool {
    let last = line.trim_end_matches([' ', '\t', '\n', ';']).rsplit([';', '|', '&', '\n']).next();
    last.is_some_and(is_a_shell)
}

fn take(rest: &mut &[String], before: &mut Vec<String>, is_one: impl Fn(&str) -> bool) {
    while let [word, tail @ ..] = *rest
        && is_one(word)
    {
        before.push(word.clone());
        *rest = tail;
    }
}

/// Moves the options of env(1) after which a program may follow; `None` when there is another one.
fn options_of_env(rest: &mut &[String], before: &mut Vec<String>) -> Option<()> {
    while let [word, tail @ ..] = *rest
        && word.starts_with('-')
    {
        let taken = match (word.as_str(), tail) {
            ("-u" | "--unset", [_, ..]) => 2,
            ("-" | "-i" | "--ignore-environment" | "--", _) => 1,
            (word, _) if word.starts_with("--unset=") => 1,
            _ => return None,
        };
        before.extend_from_slice(&rest[..taken]);
        *rest = &rest[taken..];
        if word == "--" {
            break;
        }
    }
    Some(())
}

fn is_assignment(word: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    word.split_once('=').is_some_and(|(name, _)| is_name(name))
}

/// Whether nothing in it but words and quotes means anything to a shell.
fn is_plain(command: &str) -> bool {
    let mut quote = None;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('\''), _) => {}
            (Some(_), '$' | '`') => return false,
            (_, '\\') => match chars.next() {
                None | Some('\n') => return false,
                Some(_) => {}
            },
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, c) if "|;&<>$`*?[](){}~#\n\r".contains(c) => return false,
            (None, _) => {}
        }
    }
    quote.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command as `before | program | args`, or `shell`.
    fn shown(command: &str) -> String {
        words(command).map_or_else(
            || "shell".to_owned(),
            |it| {
                // `shell_words` quotes more than it must, such as each `=`.
                let is_special = |c: char| c.is_whitespace() || "'\"$\\~;|&?*#".contains(c);
                let word = |word: &String| match word.is_empty() || word.contains(is_special) {
                    true => shell_words::quote(word).into_owned(),
                    false => word.clone(),
                };
                let join = |words: &[String]| words.iter().map(word).collect::<Vec<_>>().join(" ");
                format!("{}|{}|{}", join(&it.before), it.program, join(&it.args))
            },
        )
    }

    #[test]
    fn where_a_shell_takes_what_is_typed() {
        for (command, is_one, ends_in_one) in [
            ("bash", true, true),
            ("/bin/bash -l -i", true, true),
            ("A=1 exec zsh", true, true),
            ("bash run.sh", false, false),
            ("sh -c 'x; y'", false, false),
            ("agent; exec bash", false, true),
            ("agent --go || bash -i ;", false, true),
            ("cd x && sh", false, true),
            ("agent; exec bash run.sh", false, false),
            ("bash; agent", false, false),
            ("agent", false, false),
            ("", false, false),
            (";", false, false),
        ] {
            assert_eq!((is_a_shell(command), ends_in_a_shell(command)), (is_one, ends_in_one), "{command:?}");
        }
    }

    #[test]
    fn what_needs_no_shell() {
        for (command, expected) in [
            ("claude", "|claude|"),
            (
                "claude --dangerously-skip-permissions --model opus",
                "|claude|--dangerously-skip-permissions --model opus",
            ),
            ("  ./run.sh\t-x  ", "|./run.sh|-x"),
            ("claude 'a b' \"c d\" e\\ f", "|claude|'a b' 'c d' 'e f'"),
            ("claude 'what? $HOME; | & # ~'", "|claude|'what? $HOME; | & # ~'"),
            ("claude \"what? ; | & # ~ *\"", "|claude|'what? ; | & # ~ *'"),
            ("claude \"\\$HOME\" \\$HOME \\~", "|claude|'$HOME' '$HOME' '~'"),
            ("claude ''", "|claude|''"),
            ("claude 'two\nlines'", "|claude|'two\nlines'"),
            ("A=1 B='2 3' claude -x", "A=1 'B=2 3'|claude|-x"),
            ("claude A=1", "|claude|A=1"),
            ("exec claude -x", "|claude|-x"),
            ("A=1 exec claude", "A=1|claude|"),
            ("env claude", "env|claude|"),
            ("/usr/bin/env -u B -i --unset=C A=1 claude -x", "/usr/bin/env -u B -i --unset=C A=1|claude|-x"),
            ("env -- A=1 claude", "env -- A=1|claude|"),
            ("nohup env A=1 claude", "nohup env A=1|claude|"),
            ("PATH=/x PATH=/y claude", "PATH=/x PATH=/y|claude|"),
            ("sh -c 'while true; do x; done'", "|sh|-c 'while true; do x; done'"),
            ("a^b %c @d +e x:y,z", "|a^b|%c @d +e x:y,z"),
        ] {
            assert_eq!(shown(command), expected, "{command:?}");
        }
        assert_eq!(words("PATH=/x env PATH=/y claude").unwrap().search_path(), Some("/y"));
        assert_eq!(words("claude PATH=/x").unwrap().search_path(), None);
    }

    #[test]
    fn what_is_a_shells_to_run() {
        for command in [
            "a; b",
            "a && b",
            "a | b",
            "a &",
            "a > f",
            "a < f",
            "a $HOME",
            "a \"$HOME\"",
            "a `b`",
            "a \"`b`\"",
            "a *",
            "a ?",
            "a [b]",
            "(a)",
            "{ a; }",
            "a {b,c}",
            "a ~/b",
            "~/a",
            "a # b",
            "a\nb",
            "a \\\nb",
            "a \"\\\nb\"",
            "a\rb",
            "if a",
            "while a",
            "cd /x",
            ". ./a",
            "command a",
            "time a",
            "! a",
            "exec -a b c",
            "exec A=1 b",
            "env",
            "A=1",
            "exec",
            "nohup",
            "env -S 'a b'",
            "env -C /x a",
            "env -u",
            "-a",
            "a=b/c d=e -f",
            "",
            "  ",
            "a 'b",
            "a \\",
            "''",
        ] {
            assert_eq!(shown(command), "shell", "{command:?}");
        }
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a test that asks a real shell")]
    fn sh_makes_the_same_words_of_them() {
        let commands = [
            "claude -x",
            "a 'b c' \"d e\" f\\ g",
            "a \"\\$x \\\" \\\\ \\n\" \\$x",
            "a 'it'\\''s' \"it's\"",
            "a '' \"\"",
            "a b'c'\"d\"e",
            "a \t b",
            "a^b %c @d +e x:y,z",
            "a 'two\nlines'",
            "a é 'ü ü'",
            "a !b c=d",
        ];
        for command in commands {
            let it = words(command).unwrap();
            let printed = std::process::Command::new("/bin/sh")
                .args(["-c", &format!("printf '%s\\001' {command}")])
                .output() // limited: it prints and ends
                .unwrap();
            let printed = String::from_utf8(printed.stdout).unwrap();
            let ours: String =
                [vec![it.program], it.args].concat().iter().map(|word| format!("{word}\u{1}")).collect();
            assert_eq!(printed, ours, "{command:?}");
        }
    }
}
