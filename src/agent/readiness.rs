//! Readiness: what an agent's screen says about taking input.
//!
//! It judges as Gas Town 0.2.6 to 0.3 does (`internal/tmux/tmux.go`, `WaitForRuntimeReady`). A screen may show that
//! an agent is ready; it must never be used as a sign that one is dead.

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

/// Whether Escape is needed before Enter, and harmless: the last lines show that the program's editor is in vim's
/// insert mode, and no line says that work is in progress, which Escape would cancel.
pub fn wants_escape(screen: &[String]) -> bool {
    let lines: Vec<String> = screen.iter().map(|line| plain(line).to_lowercase()).collect();
    let written = lines.iter().filter(|line| !line.trim().is_empty());
    let insert_mode = written.rev().take(5).any(|line| line.contains("-- insert --"));
    insert_mode && !lines.iter().any(|line| AT_WORK.iter().any(|words| line.contains(words)))
}

/// How Claude Code, Codex and Gemini CLI say that work is in progress and Escape ends it.
const AT_WORK: [&str; 3] = ["to interrupt", "esc to cancel, ", "interrupt with esc"];

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
    fn escape_only_in_insert_mode_and_never_during_work() {
        let composer = |footer: &str| format!("────\n❯ [Pasted text #1 +2 lines]\n────\n  {footer}\n\n");
        let insert = "-- INSERT -- ⏵⏵ bypass permissions on (shift+tab to cycle)";
        let at_work = |line: &str| format!("{line}\n{}", composer(insert));
        let far = format!("-- INSERT --\n{}", "x\n".repeat(5));
        for (case, text, wanted) in [
            ("insert mode", composer(insert), true),
            ("no vim", composer("⏵⏵ bypass permissions on (shift+tab to cycle)"), false),
            ("normal mode", composer("-- NORMAL --"), false),
            ("claude at work", at_work("✽ Pondering… (12s · ↓ 2.1k tokens · esc to interrupt)"), false),
            ("at work, in the footer", composer("-- INSERT -- · esc to interrupt"), false),
            ("at work, upper case", at_work("• Working (3s • Esc to interrupt)"), false),
            ("gemini at work", at_work("⠏ Thinking... (esc to cancel, 5s)"), false),
            ("by another key", at_work("✽ Pondering… (ctrl+c to interrupt)"), false),
            ("said long ago", far, false),
            ("nothing", String::new(), false),
        ] {
            assert_eq!(wants_escape(&screen(&text)), wanted, "{case}");
        }
    }
}
