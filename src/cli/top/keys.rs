//! The keys of `top`: what each means. Pure.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::Mode;

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A character.
    Char(char),
    /// One row down.
    Down,
    /// One row up.
    Up,
    /// Half a screen down.
    PageDown,
    /// Half a screen up.
    PageUp,
    /// To the first row.
    Home,
    /// To the last row.
    End,
    /// Enter.
    Accept,
    /// Escape.
    Back,
    /// Deletes a character.
    Erase,
    /// Deletes all characters.
    EraseAll,
    /// Draws everything anew.
    Redraw,
    /// Ctrl-Z.
    Suspend,
    /// Ctrl-C.
    Interrupt,
}

/// The keys as help shows them: keys, and what they do.
pub const HELP: [(&str, &str); 18] = [
    ("up down, k j", "select an agent"),
    ("PgUp PgDn, Home End, g G", "further up and down"),
    ("enter, e", "explain: what happened to it, and why"),
    ("r", "restart it once it is idle"),
    ("R", "restart it now: what it is doing right now is lost"),
    ("h", "hold: stop it once it is idle, and leave it alone"),
    ("H", "hold it now: what it is doing right now is lost"),
    ("c", "clear its backoff, crash loop or hold; it is started now then"),
    ("a", "attach to its session; detach as always in tmux"),
    ("A", "the same, only watching"),
    ("/", "filter by name, state or activity; enter keeps it"),
    ("!", "only agents that are not as they should be"),
    ("esc", "show all agents again"),
    ("s", "sort by rig, state, newest change, restarts"),
    ("p", "all problems"),
    ("v", "what happened in the last hour"),
    ("ctrl-l, ctrl-z", "draw again; suspend"),
    ("q, ctrl-c", "quit; the supervisor keeps running"),
];

/// What this key asks for in this mode; `None` for the release of a key, and for keys that nothing here has.
pub fn action(key: KeyEvent, mode: &Mode) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return Some(match key.code {
            KeyCode::Char('c') => Action::Interrupt,
            KeyCode::Char('l') => Action::Redraw,
            KeyCode::Char('z') => Action::Suspend,
            KeyCode::Char('u') => Action::EraseAll,
            KeyCode::Char('h') => Action::Erase,
            KeyCode::Char('f' | 'd') => Action::PageDown,
            KeyCode::Char('b') => Action::PageUp,
            KeyCode::Char('n') => Action::Down,
            KeyCode::Char('p') => Action::Up,
            _ => return None,
        });
    }
    if key.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    let moves = matches!(mode, Mode::Town | Mode::Page(..));
    Some(match key.code {
        KeyCode::Char('j') if moves => Action::Down,
        KeyCode::Char('k') if moves => Action::Up,
        KeyCode::Char('g') if moves => Action::Home,
        KeyCode::Char('G') if moves => Action::End,
        KeyCode::Char(c) => Action::Char(c),
        KeyCode::Down => Action::Down,
        KeyCode::Up => Action::Up,
        KeyCode::PageDown => Action::PageDown,
        KeyCode::PageUp => Action::PageUp,
        KeyCode::Home => Action::Home,
        KeyCode::End => Action::End,
        KeyCode::Enter => Action::Accept,
        KeyCode::Esc => Action::Back,
        KeyCode::Backspace => Action::Erase,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keys_mean() {
        let key = |code, modifiers| KeyEvent::new(code, modifiers);
        let (plain, control) = (KeyModifiers::NONE, KeyModifiers::CONTROL);
        for (name, key, mode, expected) in [
            ("a letter that moves", key(KeyCode::Char('j'), plain), Mode::Town, Some(Action::Down)),
            ("the same in a filter", key(KeyCode::Char('j'), plain), Mode::Filter, Some(Action::Char('j'))),
            ("a capital", key(KeyCode::Char('R'), KeyModifiers::SHIFT), Mode::Town, Some(Action::Char('R'))),
            ("the interrupt", key(KeyCode::Char('c'), control), Mode::Filter, Some(Action::Interrupt)),
            ("no order", key(KeyCode::Char('r'), control), Mode::Town, None),
            ("nor with alt", key(KeyCode::Char('r'), KeyModifiers::ALT), Mode::Town, None),
            ("a key of later terminals", key(KeyCode::F(13), plain), Mode::Town, None),
        ] {
            assert_eq!(action(key, &mode), expected, "{name}");
        }
        let released = KeyEvent { kind: KeyEventKind::Release, ..key(KeyCode::Char('r'), plain) };
        assert_eq!(action(released, &Mode::Town), None);
    }
}
