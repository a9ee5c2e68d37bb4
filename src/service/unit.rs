//! Unit: the text of a systemd user unit, or of a launchd agent, that runs the supervisor of one town. Pure.
//!
//! `KillMode=process` and `AbandonProcessGroup` matter most: else a stop of the service would end the tmux server that the supervisor
//! started, and every agent in it. It must not ask systemd or launchd, or write anything.

use std::path::{Path, PathBuf};

use super::last_resort::DISORDERLY;
use crate::{terminal, town::paths::TownPaths};

/// The name that the unit has if it is given no other.
pub const NAME: &str = "gastown-supervisor";
/// The label of the launchd agent, before the name.
const LABEL: &str = "io.github.";

/// The service manager, which each has a format of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A systemd user unit, for this version of systemd; `None` where that is unknown.
    Systemd(Option<u32>),
    /// A launchd agent (macOS).
    Launchd,
}

/// What the service runs.
#[derive(Debug, Clone)]
pub struct Service {
    /// The name of the unit, without `.service`.
    pub name: String,
    /// Our program.
    pub program: PathBuf,
    /// The town.
    pub paths: TownPaths,
    /// The variables that the supervisor gets, and hands down to the agents that it starts. `PATH` must be among them.
    pub environment: Vec<(String, String)>,
}

/// Why there is no such unit.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{} cannot be named in a unit: it contains control characters, or is no UTF-8; rename it", terminal::path(.0))]
pub struct Unnameable(PathBuf);

/// What a unit says of one kind of town.
struct Words {
    /// How it goes together with other programs.
    beside: &'static str,
    /// Its description, before the town.
    whose: &'static str,
    /// Where its log is.
    log: &'static str,
    /// The programs that it needs.
    programs: &'static str,
}

const BESIDE_GT: &str = "\
# `gt up` starts the original daemon where no daemon runs. This unit starts first, at boot, and `gt up` leaves it alone. `gt down` stops
# this supervisor as well, and systemd does not start it again: run `systemctl --user start {name}` before `gt up`.
# `gastown-supervisor doctor` says which daemon runs, and whether KillMode and linger are as they should be.";

const BESIDE_GT_ON_A_MAC: &str = "
  `gt up` starts the original daemon where no daemon runs: this one starts first, at login. After `gt down`, which stops it as well:
";

/// The first version with delays that grow from restart to restart.
const GROWING_DELAYS: u32 = 254;

impl Service {
    /// The file of the unit, below the home directory.
    pub fn path(&self, kind: Kind) -> PathBuf {
        match kind {
            Kind::Systemd(_) => Path::new(".config/systemd/user").join(format!("{}.service", self.name)),
            Kind::Launchd => Path::new("Library/LaunchAgents").join(format!("{LABEL}{}.plist", self.name)),
        }
    }

    /// The text of the unit.
    pub fn text(&self, kind: Kind) -> Result<String, Unnameable> {
        match kind {
            Kind::Systemd(version) => self.systemd(version),
            Kind::Launchd => self.launchd(),
        }
    }

    fn systemd(&self, version: Option<u32>) -> Result<String, Unnameable> {
        let (option, town) = self.paths.named();
        let (program, town) = (plain(&self.program)?, plain(&town)?.to_owned());
        let (name, shown) = (&self.name, town.replace('%', "%%"));
        let Words { beside, whose, log, programs } = self.words();
        let beside = beside.replace("{name}", name);
        // Variables are not expanded in the first word.
        let (program, town) = (quoted(program), quoted(&town.replace('$', "$$")));
        let environment = self
            .variables()?
            .map(|(name, value)| format!("Environment={}\n", quoted(&format!("{name}={value}"))));
        let environment: String = environment.collect();
        let delays = match version {
            Some(version) if version >= GROWING_DELAYS => {
                "RestartSec=2s\nRestartSteps=6\nRestartMaxDelaySec=5min\n"
            }
            _ => "RestartSec=10s\n",
        };
        Ok(format!(
            "\
# Made by `gastown-supervisor unit`; `gastown-supervisor unit --install` installs it. Then:
#
#   loginctl enable-linger                  # it starts at boot and outlives your login; agents do, too
#   systemctl --user daemon-reload
#   gastown-supervisor stop                 # if one runs already; the agents keep running
#   systemctl --user enable --now {name}
#
# Use `systemctl --user start|stop|restart|reload {name}` from then on; `gastown-supervisor start` and `restart` would run it
# outside of this unit. Its log: `journalctl --user -u {name}`, and {log}.
#
{beside}

[Unit]
Description={whose} {shown}
# It is never given up: the delay between two tries is below.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={program} run {option} {town}
# Returns when the settings are in force, and fails when they are refused.
ExecReload={program} reload {option} {town}
# Ready after the first heartbeat, and after 30 s at the latest.
TimeoutStartSec=2min
# It stops within 0.4 s.
TimeoutStopSec=5s
# Fed only while every actor answers.
WatchdogSec=1min
WatchdogSignal=SIGKILL
# A stop that was requested is no failure, even when it took too long; nor does a wrong command line become right.
Restart=on-failure
RestartPreventExitStatus=2 {DISORDERLY}
{delays}\
# Only the supervisor is stopped: by default systemd ends the whole control group, with the tmux server and every agent in it.
KillMode=process
# An agent that is killed for lack of memory does not stop the others.
OOMPolicy=continue
TasksMax=infinity
# The supervisor and its agents find their programs here: {programs} must be on PATH. Keys belong into a file that only
# you can read, with lines like ANTHROPIC_API_KEY=…
EnvironmentFile=-%h/.config/{name}.env
{environment}
[Install]
WantedBy=default.target
"
        ))
    }

    fn launchd(&self) -> Result<String, Unnameable> {
        let string = |text: &str| format!("<string>{}</string>", in_xml(text));
        let (option, town) = self.paths.named();
        let (program, town) = (plain(&self.program)?, plain(&town)?);
        // Only what prevents a start goes to standard error.
        let words =
            [program, "run", "--detached", option, town].map(|word| format!("        {}\n", string(word)));
        let environment = self
            .variables()?
            .map(|(name, value)| format!("        <key>{}</key>{}\n", in_xml(name), string(value)));
        let log = self.paths.daemon_dir().join("launchd.log");
        let beside = match self.paths.agents_file() {
            Some(_) => "\n  After a stop:\n",
            None => BESIDE_GT_ON_A_MAC,
        };
        Ok(format!(
            "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">
<!--
  Made by `gastown-supervisor unit` with launchd as its target. Once it is installed, load it:
  launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/{label}.plist
{beside}  launchctl kickstart gui/$(id -u)/{label}
-->
<plist version=\"1.0\">
<dict>
    <key>Label</key>{label_string}
    <key>ProgramArguments</key>
    <array>
{words}    </array>
    <key>EnvironmentVariables</key>
    <dict>
{environment}    </dict>
    <key>RunAtLoad</key><true/>
    <key>KeepAlive</key>
    <dict>
        <key>SuccessfulExit</key><false/>
    </dict>
    <key>ThrottleInterval</key><integer>10</integer>
    <key>ExitTimeOut</key><integer>5</integer>
    <key>AbandonProcessGroup</key><true/>
    <key>StandardErrorPath</key>{log}
</dict>
</plist>
",
            label = format_args!("{LABEL}{}", self.name),
            label_string = string(&format!("{LABEL}{}", self.name)),
            words = words.concat(),
            environment = environment.collect::<String>(),
            log = string(plain(&log)?),
        ))
    }

    /// What it says of this kind of town.
    fn words(&self) -> Words {
        match self.paths.agents_file() {
            Some(_) => Words {
                beside: "# `gastown-supervisor doctor` says whether KillMode and linger are as they should be.",
                whose: "Supervisor of the agents in",
                log: ".supervisor/supervisor.log beside the file",
                programs: "tmux and the agents' programs",
            },
            None => Words {
                beside: BESIDE_GT,
                whose: "Gas Town supervisor of",
                log: "daemon/daemon.log in the town",
                programs: "claude, bd, gt, git and tmux",
            },
        }
    }

    fn variables(&self) -> Result<impl Iterator<Item = (&str, &str)>, Unnameable> {
        for (_, value) in &self.environment {
            plain(Path::new(value))?;
        }
        Ok(self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// The text of a path in which nothing ends a line.
fn plain(path: &Path) -> Result<&str, Unnameable> {
    let text = path.to_str().filter(|text| !text.contains(char::is_control));
    text.ok_or_else(|| Unnameable(path.to_owned()))
}

/// A word of a unit: quoted where that is needed, without specifiers.
fn quoted(word: &str) -> String {
    let escaped = word.replace('%', "%%");
    let needs_quotes =
        escaped.is_empty() || escaped.contains(|c: char| c.is_whitespace() || "\"'\\;".contains(c));
    if needs_quotes { format!("\"{}\"", escaped.replace('\\', "\\\\").replace('"', "\\\"")) } else { escaped }
}

fn in_xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The version in what `systemctl --version` prints: `systemd 252 (252.38-1~deb12u1)`.
pub fn version(printed: &str) -> Option<u32> {
    let number = printed.strip_prefix("systemd ")?.split(|c: char| !c.is_ascii_digit()).next()?;
    number.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(town: &str) -> Service {
        of(TownPaths::new(town))
    }

    fn of(paths: TownPaths) -> Service {
        let environment = vec![("PATH".to_owned(), "/bin:/opt/a b".to_owned())];
        Service { name: NAME.into(), program: "/opt/bin/gs".into(), paths, environment }
    }

    #[test]
    fn a_town_of_one_file_names_it_and_nothing_of_gas_town() {
        let service = of(TownPaths::of_file(Path::new("/srv/a b/agents.toml")).unwrap());
        let unit = service.text(Kind::Systemd(None)).unwrap();
        for line in [
            "Description=Supervisor of the agents in /srv/a b/agents.toml",
            "ExecStart=/opt/bin/gs run --file \"/srv/a b/agents.toml\"",
            "ExecReload=/opt/bin/gs reload --file \"/srv/a b/agents.toml\"",
        ] {
            assert!(unit.lines().any(|it| it == line), "{line}\n{unit}");
        }
        let plist = service.text(Kind::Launchd).unwrap();
        let arguments = ["run", "--detached", "--file", "/srv/a b/agents.toml"];
        let arguments = arguments.map(|word| format!("        <string>{word}</string>\n")).concat();
        assert!(plist.contains(&arguments), "{plist}");
        assert!(plist.contains("<string>/srv/a b/.supervisor/launchd.log</string>"), "{plist}");
        for text in [unit, plist] {
            assert!(
                !text.contains("gt ") && !text.contains("daemon/") && !text.contains("Gas Town"),
                "{text}"
            );
        }
    }

    #[test]
    fn words_of_a_unit() {
        for (word, expected) in [
            ("/home/me/gt", "/home/me/gt"),
            ("/a b", "\"/a b\""),
            ("100%", "100%%"),
            ("/a'b", "\"/a'b\""),
            ("/a\"b\\c", r#""/a\"b\\c""#),
            ("", "\"\""),
        ] {
            assert_eq!(quoted(word), expected, "{word}");
        }
    }

    #[test]
    fn a_unit_has_the_delays_that_systemd_knows() {
        for (printed, version_is, grows) in [
            ("systemd 252 (252.38-1~deb12u1)\n+PAM", Some(252), false),
            ("systemd 254 (254)", Some(254), true),
            ("systemd 257.4", Some(257), true),
            ("", None, false),
            ("runit", None, false),
        ] {
            assert_eq!(version(printed), version_is, "{printed}");
            let text = service("/t").text(Kind::Systemd(version(printed))).unwrap();
            assert_eq!(text.contains("RestartSteps="), grows, "{printed}");
        }
    }

    #[test]
    fn odd_towns() {
        let text = |town: &str, kind| service(town).text(kind);
        let unit = text("/home/a b/$gt%", Kind::Systemd(None)).unwrap();
        assert!(unit.contains("\nExecStart=/opt/bin/gs run --town \"/home/a b/$$gt%%\"\n"), "{unit}");
        assert!(unit.contains("\nEnvironment=\"PATH=/bin:/opt/a b\"\n"), "{unit}");
        let plist = text("/home/<a>&b", Kind::Launchd).unwrap();
        assert!(plist.contains("<string>/home/&lt;a&gt;&amp;b</string>"), "{plist}");
        for kind in [Kind::Systemd(None), Kind::Launchd] {
            assert_eq!(text("/a\nExecStart=/bin/rm", kind), Err(Unnameable("/a\nExecStart=/bin/rm".into())));
        }
    }
}
