//! Versions: what the program can do according to `tmux -V`. Pure.

/// The abilities of a version of tmux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// 3.2 and later: a control connection that never starts a server (`-N`) and carries no output.
    Control,
    /// 3.0 and 3.1: everything, by one subprocess per request.
    Subprocess,
    /// Older: exact targets do not work everywhere, and there are no pane options.
    TooOld,
}

/// Parses the line of `tmux -V`: `tmux 3.3a`, `tmux next-3.5`, `tmux 3.0-rc2`, `tmux master`, `tmux openbsd-7.4`. A
/// development or distribution version without a release number counts as recent.
pub fn ability(line: &str) -> Ability {
    let version = line.trim().strip_prefix("tmux").unwrap_or(line).trim();
    let Some(numbers) = release(version.strip_prefix("next-").unwrap_or(version)) else {
        return Ability::Control;
    };
    match numbers {
        (3.., 2..) | (4.., _) => Ability::Control,
        (3.., _) => Ability::Subprocess,
        _ => Ability::TooOld,
    }
}

fn release(version: &str) -> Option<(u32, u32)> {
    let (major, rest) = version.split_once('.')?;
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ability_grid() {
        #[rustfmt::skip]
        let cases = [
            ("tmux 3.3a\n", Ability::Control), ("tmux 3.2", Ability::Control), ("tmux 3.10", Ability::Control),
            ("tmux 4.0", Ability::Control), ("tmux next-3.5", Ability::Control), ("tmux master", Ability::Control),
            ("tmux openbsd-7.4", Ability::Control), ("tmux 3.2-rc3", Ability::Control),
            ("tmux 3.1c", Ability::Subprocess), ("tmux 3.0a", Ability::Subprocess), ("tmux next-3.1", Ability::Subprocess),
            ("tmux 2.9a", Ability::TooOld), ("tmux 1.8", Ability::TooOld),
            ("", Ability::Control), ("tmux 99999999999.1", Ability::Control), ("tmux 3.", Ability::Control),
        ];
        for (line, wanted) in cases {
            assert_eq!(ability(line), wanted, "{line:?}");
        }
    }
}
