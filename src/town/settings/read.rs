//! Reading the two settings files into [`Settings`].
//!
//! `settings/supervisor.json` is ours: every mistake in it is an error that names key, line and column, and none of it
//! takes effect. `mayor/daemon.json` belongs to Gas Town (0.2.6 to 0.3): what is wrong there is reported and the default
//! applies to that key. It must not look at the disk.

use std::{fmt, path::Path};

use super::{
    Patrol, Settings,
    document::{self, Section, Strictness},
    values::{
        factor, gt_interval, interval, level, listen, naming, optional_word, optional_words, pause,
        socket_name, socket_path, switch, usage_limits, whole, word,
    },
};
use crate::town::reading::FileProblem;

/// The settings in force, and what was wrong with the shared file.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// What to go by.
    pub settings: Settings,
    /// What is wrong in `mayor/daemon.json`; those keys have their defaults.
    pub problems: Vec<FileProblem>,
}

/// Everything that is wrong in our own settings file, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(pub Vec<FileProblem>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}

/// Merges both files, each given with the path to name it by, or absent: ours beats the shared one, which beats the
/// default, for each key on its own. Any mistake in ours is an error.
pub fn resolve(
    ours: Option<(&Path, &[u8])>,
    shared: Option<(&Path, &[u8])>,
) -> Result<Resolved, SettingsError> {
    let mut settings = Settings::default();
    let problems = shared.map_or_else(Vec::new, |(path, bytes)| read_shared(path, bytes, &mut settings));
    if let Some((path, bytes)) = ours {
        let mistakes = read_ours(path, bytes, &mut settings);
        if !mistakes.is_empty() {
            return Err(SettingsError(mistakes));
        }
    }
    Ok(Resolved { settings, problems })
}

fn read_ours(path: &Path, bytes: &[u8], settings: &mut Settings) -> Vec<FileProblem> {
    let mut file = match document::open(path, bytes, Strictness::Strict) {
        Ok(file) => file,
        Err(problem) => return vec![problem],
    };
    process(&mut file, settings);
    agents(&mut file, settings);
    roles(&mut file, settings);
    restarts(&mut file, settings);
    reports(&mut file, settings);
    let mut mistakes = file.finish();
    mistakes.sort_by_key(|problem| problem.place);
    mistakes
}

fn process(file: &mut Section<'_>, settings: &mut Settings) {
    file.section("heartbeat", |s| {
        s.read("interval", interval, &mut settings.heartbeat.interval);
        s.read("deadline", interval, &mut settings.heartbeat.deadline);
    });
    file.section("tmux", |s| {
        s.read("socket_name", socket_name, &mut settings.tmux.socket_name);
        s.read("socket_path", socket_path, &mut settings.tmux.socket_path);
        s.read("sweep", interval, &mut settings.tmux.sweep);
        s.read("naming", naming, &mut settings.tmux.naming);
    });
    file.section("commands", |s| {
        s.read("bd", word, &mut settings.commands.bd);
        s.read("gt", word, &mut settings.commands.gt);
        s.read("git", word, &mut settings.commands.git);
        s.read("tmux", word, &mut settings.commands.tmux);
        s.read("timeout", interval, &mut settings.commands.timeout);
    });
    file.section("http", |s| {
        s.read("listen", listen, &mut settings.http.listen);
    });
    file.section("log", |s| {
        s.read("level", level, &mut settings.log.level);
        s.read("max_bytes", whole(1, u64::MAX), &mut settings.log.max_bytes);
        s.read("keep", whole(0, 1000), &mut settings.log.keep);
    });
}

fn agents(file: &mut Section<'_>, settings: &mut Settings) {
    file.section("start", |s| {
        s.read("max_concurrent", whole(1, 10_000), &mut settings.start.max_concurrent);
        s.read("timeout", interval, &mut settings.start.timeout);
        s.read("settle", pause, &mut settings.start.settle);
        s.read("dialog_wait", pause, &mut settings.start.dialog_wait);
    });
    file.section("nudge", |s| {
        s.read("paste_settle", pause, &mut settings.nudge.paste_settle);
        s.read("escape_settle", pause, &mut settings.nudge.escape_settle);
    });
    file.section("kill", |s| {
        s.read("grace", pause, &mut settings.kill.grace);
    });
}

fn roles(file: &mut Section<'_>, settings: &mut Settings) {
    file.section("deacon", |s| {
        let deacon = &mut settings.deacon;
        s.read("stale_after", interval, &mut deacon.stale_after);
        s.read("stuck_after", interval, &mut deacon.stuck_after);
        s.read("grace", pause, &mut deacon.grace);
        s.read("nudge_every", interval, &mut deacon.nudge_every);
        if deacon.stuck_after < deacon.stale_after {
            refuse_either(s, ["stuck_after", "stale_after"], "stuck_after must not be less than stale_after");
        }
    });
    file.section("boot", |s| {
        s.read("enabled", switch, &mut settings.boot.enabled);
        s.read("cooldown", pause, &mut settings.boot.cooldown);
        s.read("max_age", interval, &mut settings.boot.max_age);
        s.read("skip_when_fresher_than", pause, &mut settings.boot.skip_when_fresher_than);
    });
    file.section("polecats", |s| {
        s.read("confirm", pause, &mut settings.polecats.confirm);
        s.read("spawning_guard", pause, &mut settings.polecats.spawning_guard);
        s.read("gupp_after", interval, &mut settings.polecats.gupp_after);
    });
    file.section("spawns", |s| {
        s.read("ready_within", interval, &mut settings.spawns.ready_within);
        s.read("prune_after", interval, &mut settings.spawns.prune_after);
    });
    file.section("lifecycle", |s| {
        s.read("max_age", interval, &mut settings.lifecycle.max_age);
        s.read("pause", pause, &mut settings.lifecycle.pause);
    });
}

fn restarts(file: &mut Section<'_>, settings: &mut Settings) {
    file.section("deaths", |s| {
        s.read("window", interval, &mut settings.deaths.window);
        s.read("threshold", count, &mut settings.deaths.threshold);
        s.read("paced_restart", pause, &mut settings.deaths.paced_restart);
    });
    file.section("restart", |s| {
        let restart = &mut settings.restart;
        s.read("confirm", pause, &mut restart.confirm);
        s.read("deliberate_hold", pause, &mut restart.deliberate_hold);
        s.read("initial_backoff", interval, &mut restart.initial_backoff);
        s.read("multiplier", factor, &mut restart.multiplier);
        s.read("max_backoff", interval, &mut restart.max_backoff);
        s.read("crash_loop_count", count, &mut restart.crash_loop_count);
        s.read("crash_loop_window", interval, &mut restart.crash_loop_window);
        s.read("stable_after", interval, &mut restart.stable_after);
        s.read("retry_crash_loop_after", interval, &mut restart.retry_crash_loop_after);
        if restart.max_backoff < restart.initial_backoff {
            let keys = ["max_backoff", "initial_backoff"];
            refuse_either(s, keys, "max_backoff must not be less than initial_backoff");
        }
    });
    file.section("questions", |s| {
        s.read("bypass_permissions", switch, &mut settings.questions.bypass_permissions);
        s.read("update", switch, &mut settings.questions.update);
        s.read("trust_folder", switch, &mut settings.questions.trust_folder);
    });
    file.section("usage_limit", |s| {
        s.read("patterns", usage_limits, &mut settings.usage_limit.patterns);
        s.read("retry_every", interval, &mut settings.usage_limit.retry_every);
    });
}

fn reports(file: &mut Section<'_>, settings: &mut Settings) {
    file.section("feed", |s| {
        s.read("enabled", switch, &mut settings.feed.enabled);
        s.read("done_window", pause, &mut settings.feed.done_window);
        s.read("sling_window", pause, &mut settings.feed.sling_window);
        s.read("sling_count", count, &mut settings.feed.sling_count);
        s.read("max_bytes", whole(1, u64::MAX), &mut settings.feed.max_bytes);
    });
    file.section("convoy", |s| {
        let convoy = &mut settings.convoy;
        s.read("enabled", switch, &mut convoy.enabled);
        s.read("retry_after", interval, &mut convoy.retry_after);
        s.read("retry_max", interval, &mut convoy.retry_max);
        s.read("check_every", interval, &mut convoy.check_every);
        if convoy.retry_max < convoy.retry_after {
            refuse_either(s, ["retry_max", "retry_after"], "retry_max must not be less than retry_after");
        }
    });
    file.section("notify", |s| {
        s.read("command", optional_word, &mut settings.notify.command);
        s.read("timeout", interval, &mut settings.notify.timeout);
    });
}

fn count(value: &serde_json::Value) -> Result<u32, String> {
    whole(1, 1_000_000)(value)
}

/// Refuses a pair of keys at the first of them that is given; a pair that is not is not this file's mistake.
fn refuse_either(section: &mut Section<'_>, keys: [&'static str; 2], reason: &str) {
    let _ = section.refuse(keys[0], reason) || section.refuse(keys[1], reason);
}

fn read_shared(path: &Path, bytes: &[u8], settings: &mut Settings) -> Vec<FileProblem> {
    let mut file = match document::open(path, bytes, Strictness::Lenient) {
        Ok(file) => file,
        Err(problem) => return vec![problem.advise("correct it; until then nothing in it counts")],
    };
    file.section("heartbeat", |s| {
        s.read("interval", interval, &mut settings.heartbeat.interval);
    });
    file.section("patrols", |patrols| {
        patrols.section("deacon", |s| patrol(s, &mut settings.patrols.deacon));
        patrols.section("witness", |s| patrol(s, &mut settings.patrols.witness));
        patrols.section("refinery", |s| patrol(s, &mut settings.patrols.refinery));
        patrols.section("restart_tracker", |s| restart_tracker(s, settings));
    });
    file.section("env", |s| {
        s.each(|name, value| {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err("this cannot be the name of a variable".to_owned());
            }
            match value.as_str() {
                Some(text) if !text.contains('\0') => settings.env.insert(name.to_owned(), text.to_owned()),
                _ => return Err("expected a string".to_owned()),
            };
            Ok(())
        });
    });
    let advise = |problem: FileProblem| problem.advise("correct it; until then its default applies");
    file.finish().into_iter().map(advise).collect()
}

fn patrol(section: &mut Section<'_>, patrol: &mut Patrol) {
    section.read("enabled", switch, &mut patrol.enabled);
    if section.read("rigs", optional_words, &mut patrol.rigs) {
        patrol.rigs = patrol.rigs.take().filter(|rigs| !rigs.is_empty());
    }
}

fn restart_tracker(section: &mut Section<'_>, settings: &mut Settings) {
    let restart = &mut settings.restart;
    let before = (restart.initial_backoff, restart.max_backoff);
    section.read("initial_backoff", gt_interval, &mut restart.initial_backoff);
    section.read("max_backoff", gt_interval, &mut restart.max_backoff);
    section.read("backoff_multiplier", factor, &mut restart.multiplier);
    section.read("crash_loop_window", gt_interval, &mut restart.crash_loop_window);
    section.read("crash_loop_count", count, &mut restart.crash_loop_count);
    section.read("stability_period", gt_interval, &mut restart.stable_after);
    if restart.max_backoff < restart.initial_backoff {
        let keys = ["max_backoff", "initial_backoff"];
        refuse_either(section, keys, "max_backoff must not be less than initial_backoff");
        (restart.initial_backoff, restart.max_backoff) = before;
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
