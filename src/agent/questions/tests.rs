//! Screens as the programs draw them, and what they ask.

use super::*;
use crate::town::settings::Settings;

fn screen(text: &str) -> Vec<String> {
    text.split('\n').map(str::to_owned).collect()
}

#[test]
fn a_title_holds_no_secret_and_nothing_for_a_terminal() {
    for (name, asked, title) in [
        (
            "a secret",
            "Run the deploy with MY_API_KEY=abcdef1234567890secret now?",
            "Run the deploy with MY_API_KEY=[masked] now?",
        ),
        (
            "one that begins in the line above",
            " Do you want to run the deploy with MY_API_KEY=\n abcdef1234567890abcdef1234567890secret now?",
            "[masked] now?",
        ),
        ("an escape sequence", "Really\u{9b}31m?", "Really\\u{9b}31m?"),
    ] {
        let question = shown(&screen(&format!("{asked}\n ❯ 1. Yes\n   2. No"))).unwrap();
        assert_eq!(question.title, title, "{name}");
    }
}

const BYPASS: &str = " WARNING: Claude Code running in Bypass Permissions mode

 In Bypass Permissions mode, Claude Code will not ask for your approval before running potentially dangerous commands.
 This mode should only be used in a sandboxed container/VM that has restricted internet access.

 By proceeding, you accept all responsibility for actions taken while running in Bypass Permissions mode.

 https://code.claude.com/docs/en/security

 ❯ 1. No, exit
   2. Yes, I accept

 Enter to confirm · Esc to cancel";

const BYPASS_BOXED: &str = "╭──────────────────────────────────────────────────────────────╮
│ WARNING: Claude Code running in Bypass Permissions mode      │
│                                                              │
│ By proceeding, you accept all responsibility for actions.    │
│                                                              │
│   1. No, exit                                                │
│ ❯ 2. Yes, I accept                                           │
╰──────────────────────────────────────────────────────────────╯
   Enter to confirm · Esc to exit";

const UPDATE: &str = "  ✨ Update available! 0.39.0 -> 0.46.0

  Release notes: https://github.com/openai/codex/releases/latest

› 1. Update now (runs `npm install -g @openai/codex`)
  2. Skip
  3. Skip until next version

  Press enter to continue";

const CLAUDE_TRUST: &str = "────────────────────────────────────────
 Do you trust the files in this folder?

 /town/deacon

 Claude Code may read, write, or execute files contained in this directory.

 Learn more ( https://docs.anthropic.com/s/claude-code-security )

 ❯ 1. Yes, proceed
   2. No, exit

 Enter to confirm · Esc to cancel";

const CODEX_TRUST: &str = "> You are running Codex in /town/r/refinery/rig

  Since this folder is version controlled, you may wish to allow Codex to work in this folder without asking for
  approval.

› 1. Yes, allow Codex to work in this folder without asking for approval
  2. No, ask me to approve edits and commands

  Press enter to continue";

const GEMINI_TRUST: &str = "╭────────────────────────────────────────────────────────────────╮
│ Do you trust this folder?                                      │
│                                                                │
│ Trusting a folder allows Gemini to execute commands it suggests.│
│                                                                │
│ ● 1. Trust folder (rig)                                        │
│   2. Trust parent folder (refinery)                            │
│   3. Don't trust                                               │
╰────────────────────────────────────────────────────────────────╯";

const GEMINI_LOGIN: &str = "╭──────────────────────────────────────────────╮
│ Get started                                  │
│                                              │
│ How would you like to authenticate for this project? │
│                                              │
│ ● 1. Login with Google                       │
│   2. Use Gemini API Key                      │
│   3. Vertex AI                               │
│                                              │
│ (Use Enter to select)                        │
╰──────────────────────────────────────────────╯";

const THEME: &str = " Let's get started.

 Choose the text style that looks best with your terminal
 To change this later, run /theme

   1. Auto (match terminal)
 ❯ 2. Dark mode ✔
   3. Light mode

 ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
  1  function greet() {
  2 -  console.log(\"Hello, World!\");
  2 +  console.log(\"Hello, Claude!\");
  3  }
 ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌";

const LOGIN: &str = " Select login method:

 ❯ 1. Claude account with subscription · Pro, Max, Team, or Enterprise

   2. Anthropic Console account · API usage billing
";

const API_KEY: &str = " Detected a custom API key in your environment

 ANTHROPIC_API_KEY: sk-ant-...abc

 Do you want to use this API key?

   1. Yes
 ❯ 2. No (recommended) ✔

 Enter to confirm · Esc to cancel";

const LIMIT: &str = "❯ go on
  ⎿  You've hit your limit · resets 2pm (America/New_York)

────────────────────────────
 What do you want to do?

 ❯ 1. Stop and wait for limit to reset
   2. Upgrade your plan

 Enter to confirm · Esc to cancel";

const PERMISSION: &str = "● Bash(rm -rf build)
  ⎿  Running…
╭───────────────────────────────────────────────╮
│ Bash command                                   │
│   rm -rf build                                 │
│ Do you want to proceed?                        │
│ ❯ 1. Yes                                       │
│   2. Yes, and don't ask again for rm commands  │
│   3. No, and tell Claude what to do differently (esc) │
╰───────────────────────────────────────────────╯";

const CODEX_APPROVAL: &str = "  Would you like to run the following command?

  $ git push

› 1. Yes, proceed (y)
  2. Yes, and don't ask again for commands that start with `git push` (p)
  3. No, and tell Codex what to do differently (esc)

  Press enter to confirm or esc to cancel";

const CODEX_MODEL: &str = "  Codex just got an upgrade: meet gpt-5.1-codex-max.

  Choose how you'd like Codex to proceed.

› 1. Try new model
  2. Use existing model

  Use ↑/↓ to move, press enter to confirm";

const CHECKBOXES: &str = " 2 new MCP servers found in .mcp.json

 Select any you wish to enable.

 ❯ [✔] github
   [✔] linear

 Space to select · Enter to confirm · Esc to reject all";

const UNNUMBERED: &str = "Claude Code running in Bypass Permissions mode

❯ No, exit
  Yes, I accept";

#[test]
fn what_the_programs_ask() {
    use Dialog::{
        ApiKey, BypassPermissions, Login, McpServers, Theme, ToolPermission, TrustFolder, Update, UsageLimit,
    };
    type Case<'a> = (&'a str, &'a str, &'a str, Option<Dialog>, Option<(usize, usize)>);
    let cases: [Case<'_>; 17] = [
        (
            "claude: permissions",
            BYPASS,
            "WARNING: Claude Code running in Bypass Permissions mode",
            Some(BypassPermissions),
            Some((2, 0)),
        ),
        (
            "claude: permissions in a box, on yes",
            BYPASS_BOXED,
            "WARNING: Claude Code running in Bypass Permissions mode",
            Some(BypassPermissions),
            Some((2, 1)),
        ),
        (
            "claude: without numbers",
            UNNUMBERED,
            "Claude Code running in Bypass Permissions mode",
            Some(BypassPermissions),
            Some((2, 0)),
        ),
        (
            "claude: trust",
            CLAUDE_TRUST,
            "Do you trust the files in this folder?",
            Some(TrustFolder),
            Some((2, 0)),
        ),
        (
            "claude: theme, above a preview",
            THEME,
            "Choose the text style that looks best with your terminal",
            Some(Theme),
            Some((3, 1)),
        ),
        ("claude: login", LOGIN, "Select login method:", Some(Login), Some((2, 0))),
        ("claude: API key", API_KEY, "Do you want to use this API key?", Some(ApiKey), Some((2, 1))),
        ("claude: usage limit", LIMIT, "What do you want to do?", Some(UsageLimit), Some((2, 0))),
        (
            "claude: permission of a tool",
            PERMISSION,
            "Do you want to proceed?",
            Some(ToolPermission),
            Some((3, 0)),
        ),
        (
            "claude: MCP servers",
            CHECKBOXES,
            "2 new MCP servers found in .mcp.json",
            Some(McpServers),
            Some((2, 0)),
        ),
        (
            "claude: go on",
            " Login successful. Press Enter to continue…",
            "Login successful. Press Enter to continue…",
            None,
            None,
        ),
        ("codex: update", UPDATE, "✨ Update available! 0.39.0 -> 0.46.0", Some(Update), Some((3, 0))),
        (
            "codex: trust",
            CODEX_TRUST,
            "Since this folder is version controlled, you may wish to allow Codex to work in this folder without asking for",
            None,
            Some((2, 0)),
        ),
        (
            "codex: approval",
            CODEX_APPROVAL,
            "Would you like to run the following command?",
            Some(ToolPermission),
            Some((3, 0)),
        ),
        ("codex: model", CODEX_MODEL, "Choose how you'd like Codex to proceed.", None, Some((2, 0))),
        ("gemini: trust", GEMINI_TRUST, "Do you trust this folder?", Some(TrustFolder), Some((3, 0))),
        (
            "gemini: login",
            GEMINI_LOGIN,
            "How would you like to authenticate for this project?",
            Some(Login),
            Some((3, 0)),
        ),
    ];
    for (name, text, title, known, menu) in cases {
        let question = shown(&screen(text)).unwrap_or_else(|| panic!("{name}: no question"));
        let options = question.menu.as_ref().map(|menu| (menu.options.len(), menu.cursor));
        assert_eq!((question.title.as_str(), question.known, options), (title, known, menu), "{name}");
        // A shell below the rest of it changes nothing, nor do blank lines.
        assert!(shown(&screen(&format!("{text}\n\n"))).is_some(), "{name}");
    }
}

#[test]
fn what_is_no_question() {
    let composer =
        "────────────────────\n❯ \n────────────────────\n  ⏵⏵ bypass permissions on (shift+tab to cycle)";
    let said = format!("● The screen says:\n{BYPASS}\n{composer}");
    let echo =
        format!("❯ 1. read it\n  2. fix it\n\n● On it.\n\n✻ Cooking… (esc to interrupt)\n\n{composer}");
    let list = format!("● 1. First I read it.\n  2. Then I fix it.\n\n{composer}");
    let menu_over = format!("{CLAUDE_TRUST}\n\n● Trusted. I begin with the hook.");
    let at_work = format!("{CLAUDE_TRUST}\n\n✻ Cooking… (12s · esc to interrupt)");
    let quoted = format!("> 1. one\n> 2. two\n\nPress Enter to continue\n{composer}");
    for (name, text) in [
        ("claude's prompt", "❯ Try \"fix lint errors\"\n──────\n  ? for shortcuts"),
        ("claude's empty prompt", composer),
        ("claude 1.0", "╭──────╮\n│ >    │\n╰──────╯\n  ? for shortcuts"),
        ("claude at work", "✽ Pondering… (12s · esc to interrupt)\n──────\n❯ \n──────\n  -- INSERT --"),
        ("codex's prompt", "› Ask Codex to do anything\n\n  100% context left · ? for shortcuts"),
        (
            "codex at work",
            "• Working (3s • esc to interrupt)\n\n› Find and fix a bug in @filename\n\n  ? for shortcuts",
        ),
        (
            "gemini's prompt",
            "╭─────╮\n│ >   Type your message or @path/to/file │\n╰─────╯\n ~/t  no sandbox  gemini-2.5-pro",
        ),
        ("gemini at work", "⠏ Thinking... (esc to cancel, 5s)\n│ >   Type your message │\n ~/t  no sandbox"),
        ("gemini at work, no prompt", "⠏ Thinking... (esc to cancel, 5s)"),
        ("an agent of one's own", "agent% "),
        ("a question said, answered long ago", said.as_str()),
        ("what was said to it", echo.as_str()),
        ("a list it says", list.as_str()),
        ("a list in a quotation", quoted.as_str()),
        ("a menu with a message of the agent below it", menu_over.as_str()),
        ("a menu with an agent at work below it", at_work.as_str()),
        ("one option is none", "❯ 1. only"),
        ("a line of prose", "Do you want to go on? I think we should."),
        ("blank", "\n\n"),
        ("nothing", ""),
    ] {
        assert_eq!(shown(&screen(text)), None, "{name}");
    }
}

#[test]
fn what_recorded_screens_ask_and_how_it_is_answered() {
    use Dialog::{
        ApiKey, BypassPermissions, FullscreenRenderer, Login, McpServers, Theme, ToolPermission, TrustFolder,
        Update,
    };
    const BYPASS_TITLE: &str = "WARNING: Claude Code running in";
    const MCP: &str = "New MCP server found in .mcp.json: github";
    const FULLSCREEN: &str = "Try the new fullscreen renderer?";
    const STYLE: &str = "Choose the text style that looks best with your terminal";
    const EDIT: &str = "Do you want to make this edit to limits.rs?";
    const UPDATED: &str = "✨ Update available! 0.142.0 -> 0.142.5";
    let all: BTreeSet<Dialog> = Dialog::ALL.into();
    type Case<'a> = (&'a str, Option<&'a str>, Option<Dialog>, usize, Option<&'a str>);
    let cases: [Case<'_>; 18] = [
        (
            "claude-1.0-trust",
            Some("Do you trust the files in this folder?"),
            Some(TrustFolder),
            0,
            Some("Yes, proceed"),
        ),
        ("claude-2.1-trust", None, Some(TrustFolder), 0, Some("Yes, I trust this folder")),
        ("claude-2.1-trust-reversed", None, Some(TrustFolder), 0, Some("Yes, I trust this folder")),
        ("codex-trust", None, Some(TrustFolder), 0, Some("Yes, continue")),
        ("gemini-trust-reversed", None, Some(TrustFolder), 0, Some("Trust folder (rig)")),
        ("claude-bypass-narrow", Some(BYPASS_TITLE), Some(BypassPermissions), 0, Some("Yes, I accept")),
        ("claude-mcp-one", Some(MCP), Some(McpServers), 0, Some("Continue without using this MCP server")),
        ("claude-mcp-two", Some("2 new MCP servers found in .mcp.json"), Some(McpServers), 0, None),
        ("claude-fullscreen", Some(FULLSCREEN), Some(FullscreenRenderer), 0, Some("Not now")),
        ("claude-theme", Some(STYLE), Some(Theme), 1, Some("Auto (match terminal)")),
        ("claude-login", Some("Select login method:"), Some(Login), 0, None),
        ("codex-login", None, Some(Login), 0, None),
        (
            "claude-api-key",
            Some("Do you want to use this API key?"),
            Some(ApiKey),
            1,
            Some("No (recommended) ✔"),
        ),
        ("codex-update", Some(UPDATED), Some(Update), 1, Some("Skip")),
        ("claude-tool-edit", Some(EDIT), Some(ToolPermission), 0, None),
        ("claude-tool-fullscreen", Some("Do you want to proceed?"), Some(ToolPermission), 0, None),
        ("gemini-tool", Some("Allow execution of: 'rm'?"), Some(ToolPermission), 0, None),
        ("claude-imports", Some("Allow external CLAUDE.md file imports?"), None, 0, None),
    ];
    for (name, title, known, cursor, chosen) in cases {
        let text = talk_tests::RECORDED.iter().find(|(file, _)| *file == name).unwrap().1;
        let question = shown(&screen(text)).unwrap_or_else(|| panic!("{name}: no question"));
        if let Some(title) = title {
            assert_eq!(question.title, title, "{name}");
        }
        let menu = question.menu.as_ref().unwrap_or_else(|| panic!("{name}: no options"));
        let choice = answer(&question, &all).map(|at| menu.options[at].as_str());
        assert_eq!((question.known, menu.cursor, choice), (known, cursor, chosen), "{name}");
        let others = Dialog::ALL.into_iter().filter(|kind| Some(*kind) != known).collect();
        assert_eq!(answer(&question, &others), None, "{name}: where only others are answered");
    }
    assert_eq!(cases.len(), talk_tests::RECORDED.len(), "each recorded screen is a case");
}

#[test]
fn only_what_is_allowed_is_answered_and_the_safe_way() {
    let default = Settings::default().answered(true);
    let (none, all) = (BTreeSet::new(), BTreeSet::from(Dialog::ALL));
    for (name, text, by_default, when_all) in [
        ("permissions", BYPASS, Some("Yes, I accept"), Some("Yes, I accept")),
        ("permissions, without numbers", UNNUMBERED, Some("Yes, I accept"), Some("Yes, I accept")),
        ("update", UPDATE, None, Some("Skip")),
        ("trust", CLAUDE_TRUST, None, Some("Yes, proceed")),
        ("trust of gemini", GEMINI_TRUST, None, Some("Trust folder (rig)")),
        ("theme", THEME, None, Some("Auto (match terminal)")),
        ("API key", API_KEY, None, Some("No (recommended) ✔")),
        ("check boxes", CHECKBOXES, None, None),
        ("login", LOGIN, None, None),
        ("permission of a tool", PERMISSION, None, None),
        ("permission of a tool of codex", CODEX_APPROVAL, None, None),
        (
            "usage limit",
            LIMIT,
            Some("Stop and wait for limit to reset"),
            Some("Stop and wait for limit to reset"),
        ),
    ] {
        let question = shown(&screen(text)).unwrap();
        let chosen = |allowed| {
            answer(&question, allowed).map(|at| question.menu.as_ref().unwrap().options[at].clone())
        };
        assert_eq!(chosen(&default).as_deref(), by_default, "{name}");
        assert_eq!(chosen(&all).as_deref(), when_all, "{name}");
        assert_eq!(chosen(&none), None, "{name}");
        let unasked = Settings::default().answered(false);
        let expected = by_default.filter(|_| question.known != Some(Dialog::BypassPermissions));
        assert_eq!(chosen(&unasked).as_deref(), expected, "{name}: its command does not ask for the mode");
    }
}

#[test]
fn what_was_asked_before_is_not_the_title_of_what_is_asked_now() {
    // A program that clears its screen leaves it in the history of the pane.
    for (name, before) in
        [("a warning", BYPASS), ("in a box", BYPASS_BOXED), ("without a footer", UNNUMBERED)]
    {
        let question = shown(&screen(&format!("{before}\n\n{CLAUDE_TRUST}"))).unwrap();
        let expected = ("Do you trust the files in this folder?", Some(Dialog::TrustFolder));
        assert_eq!((question.title.as_str(), question.known), expected, "{name}");
        let other = " Do you accept the terms?\n\n ❯ 1. No, exit\n   2. Yes, I accept\n\n Enter to confirm";
        let question = shown(&screen(&format!("{before}\n\n{other}"))).unwrap();
        assert_eq!((question.title.as_str(), question.known), ("Do you accept the terms?", None), "{name}");
    }
}

#[test]
fn one_step_at_a_time() {
    let menu = |cursor| Menu { options: ["a", "b", "c"].map(str::to_owned).into(), cursor };
    for (cursor, target, key) in
        [(0, 1, Key::Down), (0, 2, Key::Down), (1, 1, Key::Enter), (2, 1, Key::Up), (2, 0, Key::Up)]
    {
        assert_eq!(next_key(&menu(cursor), target), key, "from {cursor} to {target}");
    }
}

proptest::proptest! {
    #[test]
    fn any_screen_is_survived(lines in proptest::collection::vec("([❯>│●] )?([0-9]{1,11}[.)] )?\\PC{0,40}", 0..20)) {
        let _ = shown(&lines);
    }
}
