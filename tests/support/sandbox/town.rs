//! A throwaway town: a directory with two settings files, its rigs, the stand-ins' programs, and a tmux server. All
//! of it is removed on drop.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{limits, tmux::Tmux};

/// The programs that this binary plays under these names.
const PROGRAMS: [&str; 4] = ["claude", "gt", "bd", "gastown-supervisor"];

/// The town. On drop the tmux server ends first, then the directory is removed.
#[derive(Debug)]
pub struct Town {
    tmux: Tmux,
    directory: TempDir,
}

impl Town {
    /// A town with these rigs and these settings (`settings/supervisor.json`; the tmux socket is added).
    pub fn build(rigs: &[&str], mut settings: Value) -> anyhow::Result<Town> {
        // Not the user's temporary directory: the path of a socket is limited to about 100 bytes.
        let directory = tempfile::Builder::new().prefix("demo-town-").tempdir_in("/tmp");
        let directory = directory.context("no directory can be made in /tmp")?;
        let town = Town { tmux: Tmux::new(directory.path().join("tmux")), directory };
        settings["tmux"]["socket_path"] = json!(town.tmux.socket());
        town.write("settings/supervisor.json", &settings)?;
        town.write("mayor/town.json", &json!({"type": "town", "version": 1, "name": "demo"}))?;
        let entry = |rig: &&str| ((*rig).to_owned(), json!({"git_url": "", "beads": {"prefix": rig}}));
        let listed: serde_json::Map<String, Value> = rigs.iter().map(entry).collect();
        town.write("mayor/rigs.json", &json!({"version": 1, "rigs": listed}))?;
        for rig in rigs {
            fs::create_dir_all(town.root().join(rig).join("witness"))?;
            fs::create_dir_all(town.root().join(rig).join("refinery/rig"))?;
            town.set_status(rig, None)?;
        }
        for directory in ["demo", "home", ".runtime/deacon"] {
            fs::create_dir_all(town.root().join(directory))?;
        }
        // Without git no polecat can be started, which must show at once.
        town.repository("demo")?;
        town.link_programs()?;
        Ok(town)
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

    /// Runs a command of the stand-in `gt` in the town, which ends a session 0.25 s after its start, as observed for
    /// the real `gt session stop`, and exits then.
    pub async fn gt(&self, line: &str) -> anyhow::Result<()> {
        let session = line.rsplit(' ').next().unwrap_or_default().replace('/', "-");
        let recording = format!("1 runs 270 . {line}\n277 dies gt-{session}\n");
        let path = self.root().join("demo/recordings/stop.txt");
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(&path, recording).with_context(|| format!("{} cannot be written", path.display()))?;
        let mut words = line.split(' ').skip(1);
        let mut gt = tokio::process::Command::new(self.bin().join("gt"));
        gt.args(&mut words).current_dir(self.root()).env("PATH", self.path()).env("GT_ROOT", self.root());
        let mut gt = gt.stdin(Stdio::null()).kill_on_drop(true).spawn().context("gt cannot be run")?;
        let ended = tokio::time::timeout(limits::PATIENCE, gt.wait()).await;
        let status = ended.with_context(|| format!("{line} does not end"))??;
        if !status.success() {
            bail!("{line}: {status}");
        }
        Ok(())
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
