//! Dialogs: the kinds of questions that agents' programs are known to ask on their screens. Pure.
//!
//! Settings name them, and what reads screens recognises them. Nothing here may look at a screen.

use std::fmt;

/// A kind of question. The order is that of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialog {
    /// Claude warns of its mode without permissions: accepted.
    BypassPermissions,
    /// Whether the directory it was started in is trusted: yes.
    TrustFolder,
    /// A server in `.mcp.json` that is not approved: continued without.
    McpServers,
    /// A newer version of the program exists: skipped.
    Update,
    /// The colours of the program: those that fit any terminal.
    Theme,
    /// Another way to draw the program's screen: not now.
    FullscreenRenderer,
    /// An API key in the environment that may be used in place of the account: not used.
    ApiKey,
    /// What to do at a usage limit: stop and wait for its end.
    UsageLimit,
    /// How to log in: never answered.
    Login,
    /// Whether a tool may do what it is about to do: never answered.
    ToolPermission,
}

impl Dialog {
    /// All kinds.
    pub const ALL: [Dialog; 10] = [
        Dialog::BypassPermissions,
        Dialog::TrustFolder,
        Dialog::McpServers,
        Dialog::Update,
        Dialog::Theme,
        Dialog::FullscreenRenderer,
        Dialog::ApiKey,
        Dialog::UsageLimit,
        Dialog::Login,
        Dialog::ToolPermission,
    ];

    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Dialog::BypassPermissions => "bypass_permissions",
            Dialog::TrustFolder => "trust_folder",
            Dialog::McpServers => "mcp_servers",
            Dialog::Update => "update",
            Dialog::Theme => "theme",
            Dialog::FullscreenRenderer => "fullscreen_renderer",
            Dialog::ApiKey => "api_key",
            Dialog::UsageLimit => "usage_limit",
            Dialog::Login => "login",
            Dialog::ToolPermission => "tool_permission",
        }
    }

    /// Whether settings may allow to answer it. Who logs in, and what a tool does, is up to people.
    pub fn may_be_answered(self) -> bool {
        !matches!(self, Dialog::Login | Dialog::ToolPermission)
    }
}

impl fmt::Display for Dialog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
