//! A throwaway town: a directory with two settings files, its rigs, the stand-ins' programs, and a tmux server. All
//! of it is removed on drop.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};
use gastown_supervisor::town::{dialect::socket::socket_name, environment::DROPPED};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{limits, tmux::Tmux};

/// The programs that this binary plays under these names.
const PROGRAMS: [&str; 4] = ["claude", "gt", "bd", "gastown-supervisor"];

/// The generation of Gas Town that a town belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// 0.2.6 to 0.3, of January 2026.
    January,
    /// 1.x.
    V1,
}

/// The town. On drop the tmux server ends first, then the directory is removed.
#[derive(Debug)]
pub struct Town {
    tmux: Tmux,
    directory: TempDir,
    generation: Generation,
}

impl Town {
    /// A town with these rigs and these settings (`settings/supervisor.json`; the tmux socket is added).
    pub fn build(rigs: &[&str], mut settings: Value) -> anyhow::Result<Town> {
        let directory = fresh()?;
        let tmux = Tmux::new(directory.path().join("tmux"));
        let town = Town { tmux, directory, generation: Generation::January };
        settings["tmux"]["socket_path"] = json!(town.tmux.socket());
        town.write("settings/supervisor.json", &settings)?;
        town.furnish(&rigs.iter().map(|rig| (*rig, *rig)).collect::<Vec<_>>())?;
        Ok(town)
    }

    /// The same of Gas Town 1.x, with the rigs' prefixes: its agents run on the server that `gt` uses in it, whose
    /// socket is in the town's directory, and a stand-in for Dolt runs.
    pub fn build_v1(rigs: &[(&str, &str)], settings: Value) -> anyhow::Result<Town> {
        let directory = fresh()?;
        let sockets = directory.path().join(format!("tmux-{}", rustix::process::getuid().as_raw()));
        let tmux = Tmux::new(sockets.join(socket_name(directory.path(), None)));
        let town = Town { tmux, directory, generation: Generation::V1 };
        town.write("settings/supervisor.json", &settings)?;
        town.furnish(rigs)?;
        town.write(
            ".beads/metadata.json",
            &json!({"backend": "dolt", "dolt_database": "hq", "dolt_mode": "server"}),
        )?;
        let routes = rigs.iter().copied().chain([(".", "hq"), (".", "hq-cv")]);
        let routes = routes
            .map(|(path, prefix)| format!("{}\n", json!({"prefix": format!("{prefix}-"), "path": path})));
        fs::write(town.root().join(".beads/routes.jsonl"), routes.collect::<String>())?;
        // Without an event that waits for it, no refinery is started.
        town.write("events/refinery/1.event", &json!({"type": "MERGE_READY"}))?;
        fs::create_dir_all(town.root().join(".dolt-data"))?;
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        fs::write(town.root().join(".dolt-data/config.yaml"), format!("listener:\n  port: {port}\n"))?;
        let dolt = town.command(".", "gt dolt start")?.spawn().context("gt cannot be run")?;
        let output = limits::try_output_of(dolt).context("gt dolt start does not end")?;
        if !output.status.success() {
            bail!("gt dolt start: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(town)
    }

    /// The files that both have.
    fn furnish(&self, rigs: &[(&str, &str)]) -> anyhow::Result<()> {
        self.write("mayor/town.json", &json!({"type": "town", "version": 1, "name": "demo"}))?;
        let entry = |(rig, prefix): &(&str, &str)| {
            ((*rig).to_owned(), json!({"git_url": "", "beads": {"prefix": prefix}}))
        };
        let listed: serde_json::Map<String, Value> = rigs.iter().map(entry).collect();
        self.write("mayor/rigs.json", &json!({"version": 1, "rigs": listed}))?;
        for (rig, _) in rigs {
            fs::create_dir_all(self.root().join(rig).join("witness"))?;
            fs::create_dir_all(self.root().join(rig).join("refinery/rig"))?;
            self.set_status(rig, None)?;
        }
        for directory in ["demo", "home", ".runtime/deacon", "daemon"] {
            fs::create_dir_all(self.root().join(directory))?;
        }
        // Without git no polecat can be started, which must show at once.
        self.repository("demo")?;
        self.link_programs()
    }

    /// The generation of Gas Town it belongs to.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// What the programs of the town must have in their environment, besides its `PATH`.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        match self.generation {
            Generation::January => Vec::new(),
            Generation::V1 => vec![("TMUX_TMPDIR", self.root().display().to_string())],
        }
    }

    /// The processes that run outside the tmux server, and end soon after the town: Dolt, and those that type nudges.
    pub fn background(&self) -> Vec<u32> {
        let pollers = fs::read_dir(self.root().join(".runtime/nudge_poller"));
        let pollers = pollers.into_iter().flatten().flatten().map(|entry| entry.path());
        let files = pollers.chain([self.root().join("daemon/dolt.pid")]);
        files.filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).collect()
    }

    /// The town's directory.
    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// Its tmux server.
    pub fn tmux(&self) -> &Tmux {
        &self.tmux
    }

    /// The directory that comes first on the `PATH` of everything in the town.
    pub fn bin(&self) -> PathBuf {
        self.root().join("bin")
    }

    /// `PATH` in the town.
    pub fn path(&self) -> String {
        format!("{}:{}", self.bin().display(), env::var("PATH").unwrap_or_default())
    }

    /// Notes a rig's status as `gt rig park` and `gt rig unpark` do.
    pub fn set_status(&self, rig: &str, status: Option<&str>) -> anyhow::Result<()> {
        let values = status.map_or(json!({}), |status| json!({ "status": status }));
        let wisp = json!({"rig": rig, "values": values, "blocked": []});
        self.write(&format!(".beads-wisp/config/{rig}.json"), &wisp)
    }

    /// Creates a polecat with work: a worktree without a remote, its agent bead, and the bead `hook` on its hook. It
    /// does not run yet.
    pub fn employ(&self, rig: &str, name: &str, hook: &str) -> anyhow::Result<()> {
        self.repository(&format!("{rig}/polecats/{name}/{rig}"))?;
        let bead = |id: &str, kind: &str| {
            json!({
                "id": id, "title": id, "status": "open", "priority": 2, "issue_type": kind, "owner": "demo",
                "created_at": "2026-01-05T08:00:00Z", "created_by": "demo", "updated_at": "2026-01-05T08:00:00Z",
            })
        };
        // The rigs' prefixes are their names, which `gt` repeats.
        let id = format!("{rig}-{rig}-polecat-{name}");
        let mut agent = bead(&id, "agent");
        agent["description"] =
            json!(format!("{id}\n\nrole_type: polecat\nrig: {rig}\nagent_state: working\nhook_bead: {hook}"));
        agent["hook_bead"] = json!(hook);
        self.write(&format!("demo/beads/{id}.json"), &agent)?;
        self.write(&format!("demo/beads/{hook}.json"), &bead(hook, "task"))
    }

    /// Starts a polecat in its worktree, as `gt sling` and `gt session start` do.
    pub fn begin_polecat(&self, rig: &str, name: &str) -> anyhow::Result<()> {
        let session = format!("gt-{rig}-{name}");
        let directory = self.root().join(format!("{rig}/polecats/{name}/{rig}")).display().to_string();
        let variables = [
            "GT_ROLE=polecat".to_owned(),
            format!("BD_ACTOR={rig}/polecats/{name}"),
            format!("GT_ROOT={}", self.root().display()),
        ];
        let command = format!("exec {}", self.bin().join("claude").display());
        let mut words = vec!["new-session", "-d", "-s", &session, "-c", &directory];
        words.extend(variables.iter().flat_map(|variable| ["-e", variable]));
        words.push(&command);
        self.tmux.run(&words).map(drop)
    }

    /// Runs a command of the stand-in `gt` in the town. January's is one that ends a session 0.25 s after its start, as
    /// observed for the real `gt session stop`, and exits then.
    pub async fn gt(&self, line: &str) -> anyhow::Result<()> {
        if self.generation == Generation::January {
            let session = line.rsplit(' ').next().unwrap_or_default().replace('/', "-");
            let recording = format!("1 runs 270 . {line}\n277 dies gt-{session}\n");
            let path = self.root().join("demo/recordings/stop.txt");
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&path, recording).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        self.run(".", line).await
    }

    /// Runs a command of the stand-in `gt` or `bd` in a directory of the town.
    pub async fn run(&self, directory: &str, line: &str) -> anyhow::Result<()> {
        let mut command = tokio::process::Command::from(self.command(directory, line)?);
        let child = command.kill_on_drop(true).spawn();
        let child = child.with_context(|| format!("{line} cannot be run"))?;
        let ended = tokio::time::timeout(limits::PATIENCE, child.wait_with_output()).await; // limited: by the timeout
        let output = ended.with_context(|| format!("{line} does not end"))??;
        if !output.status.success() {
            bail!("{line}: {} {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// The command, as an operator runs it.
    fn command(&self, directory: &str, line: &str) -> anyhow::Result<Command> {
        let words = shell_words::split(line)?;
        let (program, words) = words.split_first().context("no command")?;
        let mut command = Command::new(self.bin().join(program));
        for variable in DROPPED.iter().chain(&["GT_TOWN_ROOT", "GT_TMUX_SOCKET"]) {
            command.env_remove(variable);
        }
        command.args(words).current_dir(self.root().join(directory)).env("PATH", self.path());
        command.env("GT_ROOT", self.root()).env("SHELL", "/bin/sh").envs(self.variables());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(command)
    }

    /// Makes a directory of the town a git repository without a remote, as a polecat's must be.
    pub fn repository(&self, name: &str) -> anyhow::Result<()> {
        let path = self.root().join(name);
        fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        let mut git = Command::new("git");
        git.args(["init", "-q"]).current_dir(&path).stdin(Stdio::null()).stdout(Stdio::piped());
        let git = git.stderr(Stdio::piped()).spawn();
        let git = git.context(
            "git cannot be run: install it (apt-get install git, or brew install git) and run this again",
        )?;
        let output = limits::try_output_of(git)
            .with_context(|| format!("git init in {} does not end", path.display()))?;
        if !output.status.success() {
            bail!("git init in {}: {}", path.display(), String::from_utf8_lossy(&output.stderr).trim())
        }
        Ok(())
    }

    /// Writes a file of the town as Gas Town's tools do: whole, or not at all.
    pub fn write(&self, name: &str, content: &Value) -> anyhow::Result<()> {
        let path = self.root().join(name);
        let half = path.with_extension("half");
        let write = || {
            path.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&half, format!("{content:#}\n"))?;
            fs::rename(&half, &path)
        };
        write().with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Leaves everything as it is, and returns the directory.
    pub fn keep(self) -> PathBuf {
        std::mem::forget(self.tmux);
        self.directory.keep()
    }

    fn link_programs(&self) -> anyhow::Result<()> {
        let program = env::current_exe().context("the path of this program cannot be found out")?;
        fs::create_dir_all(self.bin())?;
        for name in PROGRAMS {
            symlink(&program, self.bin().join(name))?;
        }
        Ok(())
    }
}

/// A directory for a town. Not the user's temporary directory: the path of a socket is limited to about 100 bytes.
fn fresh() -> anyhow::Result<TempDir> {
    let directory = tempfile::Builder::new().prefix("demo-town-").tempdir_in("/tmp");
    directory.context("no directory can be made in /tmp")
}
