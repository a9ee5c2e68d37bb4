//! Own: the first instruction of an agent in a town of one file: the prompt that the file gives, or that its conversation goes on.
//!
//! It must not say anything of Gas Town.

use super::{Site, Start, conversation::Talk, newer::FirstWords};
use crate::agent::program::{AgentProgram, Prompt};

/// The text for an agent that continues its conversation: without one it would wait.
const RESUMED: &str = "Your session ended and was started again with this conversation. If you were in the middle of something, go \
                       on with it.";

/// What goes where: on the command line if the program takes a prompt there, else it is typed. What begins with `-` is typed: it
/// would be taken for an option.
fn first_words(prompt: Option<&str>, takes_prompt: bool, is_resumed: bool) -> FirstWords {
    let prompt = if is_resumed { Some(RESUMED) } else { prompt };
    let is_argument = takes_prompt && !is_resumed && prompt.is_some_and(|prompt| !prompt.starts_with('-'));
    let prompt = prompt.map(str::to_owned);
    match is_argument {
        true => FirstWords { argument: prompt, typed: None },
        false => FirstWords { argument: None, typed: prompt },
    }
}

impl Start<'_> {
    /// Its first instruction, if it gets one.
    pub(super) fn own_first_words(&self, program: &AgentProgram, site: &Site, talk: &Talk) -> FirstWords {
        let said = self.deps.standing(&self.spec.identity);
        let prompt = said.as_ref().and_then(|said| said.prompt.as_deref());
        let takes_prompt = program.prompt != Prompt::None && site.instead.is_none();
        first_words(prompt, takes_prompt, talk.is_resumed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_where() {
        for (case, prompt, takes_prompt, is_resumed, argument, typed) in [
            ("an argument", Some("go"), true, false, Some("go"), None),
            ("typed", Some("go"), false, false, None, Some("go")),
            ("what would be an option", Some("- go"), true, false, None, Some("- go")),
            ("none", None, true, false, None, None),
            ("none to type", None, false, false, None, None),
            ("resumed", Some("go"), true, true, None, Some(RESUMED)),
            ("resumed, and has no prompt", None, false, true, None, Some(RESUMED)),
        ] {
            let words = first_words(prompt, takes_prompt, is_resumed);
            assert_eq!((words.argument.as_deref(), words.typed.as_deref()), (argument, typed), "{case}");
        }
        assert!(!RESUMED.contains("GAS TOWN"));
    }
}
