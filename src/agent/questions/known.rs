//! The known questions: a table of how each is recognised, and of the option that answers it. Pure.
//!
//! The first row that holds decides, so those that are never answered come first. An option is recognised by how it begins,
//! a text by what it contains, both in lower case; lines that the program wrapped count as one.

use super::Menu;
use crate::town::dialogs::Dialog;

/// One kind of question.
struct Row {
    kind: Dialog,
    /// How it is recognised.
    shows: Sign,
    /// How the option begins that answers it, the best first; none when it is never answered.
    choose: &'static [&'static str],
}

/// What a screen must show.
enum Sign {
    /// A text above the options.
    Says(&'static str),
    /// An option.
    Offers(&'static str),
    All(&'static [Sign]),
    Any(&'static [Sign]),
}

use Sign::{All, Any, Offers, Says};

const TABLE: [Row; 10] = [
    Row {
        kind: Dialog::ToolPermission,
        shows: Any(&[
            // Claude Code 1.0 to 2.1, Codex 0.23 to 0.155.
            Offers("no, and tell"),
            Offers("yes, and don't ask again"),
            // Gemini CLI 0.1 to 0.33.
            Offers("yes, allow once"),
            Offers("allow once"),
            Offers("no, suggest changes"),
            // The same programs where the options are shorter.
            All(&[
                Offers("yes"),
                Any(&[
                    Says("do you want to proceed?"),
                    Says("do you want to make this edit to"),
                    Says("do you want to create "),
                    Says("do you want to overwrite "),
                    Says("do you want to allow claude to"),
                    Says("would you like to run the following command"),
                    Says("would you like to make the following edits"),
                    Says("allow execution of"),
                    Says("apply this change?"),
                ]),
            ]),
        ]),
        choose: &[],
    },
    Row {
        kind: Dialog::Login,
        shows: Any(&[
            // Claude Code 1.0 to 2.1; Gemini CLI 0.1 to 0.33; Codex 0.23 to 0.155.
            Says("select login method"),
            Says("how would you like to authenticate"),
            Offers("sign in with chatgpt"),
        ]),
        choose: &[],
    },
    Row {
        kind: Dialog::ApiKey,
        // Claude Code 1.0 to 2.1.
        shows: All(&[Says("detected a custom api key in your environment"), Offers("no")]),
        choose: &["no"],
    },
    Row {
        kind: Dialog::UsageLimit,
        // Claude Code 2.1.
        shows: All(&[Says("what do you want to do"), Offers("stop and wait")]),
        choose: &["stop and wait"],
    },
    Row {
        kind: Dialog::BypassPermissions,
        // Claude Code 1.0 to 2.1.
        shows: All(&[Says("bypass permissions mode"), Offers("yes, i accept"), Offers("no, exit")]),
        choose: &["yes, i accept"],
    },
    Row {
        kind: Dialog::TrustFolder,
        shows: All(&[
            Any(&[
                // Claude Code 1.0 and 2.0, and 2.1; Gemini CLI 0.5 to 0.33; Codex 0.60 to 0.155.
                Says("do you trust the files in this folder?"),
                Says("is this a project you created or one you trust?"),
                Says("do you trust this folder?"),
                Says("do you trust the contents of this directory?"),
            ]),
            Any(&[
                Offers("yes, proceed"),
                Offers("yes, i trust this folder"),
                Offers("yes, continue"),
                Offers("trust folder"),
            ]),
            Any(&[Offers("no, exit"), Offers("no, quit"), Offers("don't trust")]),
        ]),
        choose: &["yes, proceed", "yes, i trust this folder", "yes, continue", "trust folder"],
    },
    Row {
        kind: Dialog::McpServers,
        // Claude Code 1.0 to 2.1. Several at once are check boxes, all of them checked: they have no safe option.
        shows: Any(&[Says("new mcp server found in .mcp.json"), Says("new mcp servers found in .mcp.json")]),
        choose: &["continue without"],
    },
    Row {
        kind: Dialog::Update,
        shows: All(&[
            // Codex 0.46 to 0.155; Gemini CLI 0.1 to 0.33; Claude Code 2.1. Their mere notices have no options.
            Any(&[Says("update available"), Says("new version available"), Says("new version of ")]),
            Any(&[Offers("skip"), Offers("not now"), Offers("remind me later"), Offers("later")]),
        ]),
        choose: &["skip", "not now", "remind me later", "later"],
    },
    Row {
        kind: Dialog::FullscreenRenderer,
        // Claude Code 2.1.187 to 2.1.281.
        shows: All(&[Says("fullscreen renderer?"), Offers("not now")]),
        choose: &["not now"],
    },
    Row {
        kind: Dialog::Theme,
        // Claude Code 1.0 to 2.1.
        shows: All(&[Says("choose the text style that looks best with your terminal"), Offers("dark mode")]),
        choose: &["auto", "dark mode"],
    },
];

/// The kind of the question with this text above these options.
pub(super) fn kind(above: &[&str], menu: &Menu) -> Option<Dialog> {
    let text = above.join(" ").to_lowercase().replace('’', "'");
    TABLE.iter().find(|row| row.shows.holds(&text, menu)).map(|row| row.kind)
}

/// The index of the option that answers a question of this kind; `None` when it is not to be answered.
pub(super) fn choice(kind: Dialog, menu: &Menu) -> Option<usize> {
    let row = TABLE.iter().find(|row| row.kind == kind)?;
    row.choose.iter().find_map(|label| {
        // "Skip" rather than "Skip until next version".
        let exact = menu.options.iter().position(|option| option.to_lowercase() == *label);
        exact.or_else(|| menu.options.iter().position(|option| begins(option, label)))
    })
}

impl Sign {
    fn holds(&self, text: &str, menu: &Menu) -> bool {
        match self {
            Says(words) => text.contains(words),
            Offers(label) => menu.options.iter().any(|option| begins(option, label)),
            All(signs) => signs.iter().all(|sign| sign.holds(text, menu)),
            Any(signs) => signs.iter().any(|sign| sign.holds(text, menu)),
        }
    }
}

/// Whether an option begins with these words, and not with a longer one.
fn begins(option: &str, label: &str) -> bool {
    let option = option.to_lowercase().replace('’', "'");
    option.strip_prefix(label).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_one_row_and_only_those_are_answered_that_may_be() {
        for dialog in Dialog::ALL {
            let rows: Vec<&Row> = TABLE.iter().filter(|row| row.kind == dialog).collect();
            assert_eq!(rows.len(), 1, "{dialog}");
            assert_eq!(!rows[0].choose.is_empty(), dialog.may_be_answered(), "{dialog}");
            assert!(rows[0].choose.iter().all(|label| *label == label.to_lowercase()), "{dialog}");
        }
        let answered = TABLE.iter().position(|row| !row.choose.is_empty()).unwrap();
        assert!(
            TABLE[answered..].iter().all(|row| row.kind.may_be_answered()),
            "those that are never answered come first"
        );
    }
}
