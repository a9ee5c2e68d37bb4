//! Readiness: what an agent's screen says about taking input.
//!
//! Judged as Gas Town 0.2.6 to 0.3 does (`internal/tmux/tmux.go`, `WaitForRuntimeReady`). A screen may show that an
//! agent is ready; it must never be read as a sign that one is dead.

/// Whether one of the last 10 lines of a screen shows one of these prompts: trimmed, with no-break spaces taken for
/// spaces, it begins with the prompt, or equals the trimmed prompt (tmux strips trailing blanks).
pub fn shows_prompt(screen: &[String], prompts: &[String]) -> bool {
    let last = &screen[screen.len().saturating_sub(10)..];
    let prompts: Vec<String> = prompts.iter().map(|prompt| plain(prompt)).collect();
    last.iter().any(|line| {
        let line = plain(line);
        let line = line.trim();
        prompts.iter().any(|prompt| {
            let bare = prompt.trim();
            !bare.is_empty() && (line.starts_with(prompt.as_str()) || line == bare)
        })
    })
}

/// Whether a screen shows claude's question about its permissions mode, answered by Down and Enter.
pub fn shows_permissions_dialog(screen: &[String]) -> bool {
    screen.iter().any(|line| plain(line).contains("Bypass Permissions mode"))
}

fn plain(text: &str) -> String {
    text.replace('\u{a0}', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(text: &str) -> Vec<String> {
        text.split('\n').map(str::to_owned).collect()
    }

    #[test]
    fn prompts() {
        let eleven_back = format!("> {}", "\nx".repeat(10));
        let ten_back = format!("> {}", "\nx".repeat(9));
        for (case, text, prompts, shown) in [
            ("with a suggestion", "hello\n> Try \"fix it\"\n", &["> "][..], true),
            ("trailing blank stripped", "hello\n>", &["> "], true),
            ("no-break space on the screen", ">\u{a0}Try", &["> "], true),
            ("no-break space alone", "❯\u{a0}", &["> ", "❯ "], true),
            ("no-break space in the prompt", "> x", &[">\u{a0}"], true),
            ("indented", "   > x", &["> "], true),
            ("the 1.0 prompt", "❯ Try", &["> ", "❯ "], true),
            ("the 1.0 prompt, stripped", "❯", &["> ", "❯ "], true),
            ("an own prompt", "agent% ", &["agent%"], true),
            ("not at the beginning", "a > b", &["> "], false),
            ("without its blank", ">>> python", &["> "], false),
            ("quoted text", ">quoted", &["> "], false),
            ("ten lines back", ten_back.as_str(), &["> "], true),
            ("eleven lines back", eleven_back.as_str(), &["> "], false),
            ("blank screen", "\n\n\n", &["> "], false),
            ("a blank prompt is none", "\n\n", &[" "], false),
            ("no prompts", "> ", &[], false),
            ("nothing at all", "", &["> "], false),
        ] {
            let prompts: Vec<String> = prompts.iter().map(|prompt| (*prompt).to_owned()).collect();
            assert_eq!(shows_prompt(&screen(text), &prompts), shown, "{case}");
        }
        assert!(!shows_prompt(&[], &["> ".to_owned()]));
    }

    #[test]
    fn the_permissions_dialog() {
        for (case, text, shown) in [
            ("the dialog", "WARNING: Claude Code running in Bypass Permissions mode\n\n❯ 1. No, exit", true),
            ("with no-break spaces", "Bypass\u{a0}Permissions\u{a0}mode", true),
            ("the status line of an accepted one", "⏵⏵ bypass permissions on", false),
            ("anything else", "> ", false),
        ] {
            assert_eq!(shows_permissions_dialog(&screen(text)), shown, "{case}");
        }
    }
}
