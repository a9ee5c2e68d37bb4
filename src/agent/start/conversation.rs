//! The conversation of a start: chosen and made safe before its session exists, and on disk by then.
//!
//! What cannot be continued without a risk to its transcript is not continued: the agent begins a new conversation, and the
//! old one stays as it is, for people. It must not change a transcript.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{Start, Step};
use crate::{
    agent::{
        conversation::{
            Begun, Conversation, Copied, Fresh, WAITING, checking,
            choice::{self, Choice, Known},
            following::{self, Candidate, Ended},
            places::{self, Homes, Says},
            short,
        },
        history::Entry,
        lifecycle::StartEnd,
        program::{AgentProgram, provider::Resuming},
        restart::later,
        start_slots::{Rank, Slot},
        starts,
    },
    terminal,
    town::settings::Resume,
};

/// The problem that a role's conversation was to be continued, and its program has no known way.
const PROBLEM: &str = "resume";
/// How long an agent may have lived since it was last seen: scans are at least this frequent, and its end is noticed at once.
const UNSEEN: Duration = Duration::from_secs(90);

/// The conversation that a start begins or continues.
#[derive(Debug, Default)]
pub(super) struct Talk {
    /// Which one; `None` where nothing is kept.
    pub(super) begun: Option<Begun>,
    /// The arguments that say so.
    pub(super) words: Vec<String>,
    way: Option<&'static Resuming>,
    /// What to note before the session exists.
    now: Option<Conversation>,
    copied: Option<Copied>,
    turn: Option<Slot>,
}

impl Talk {
    /// Whether it continues one.
    pub(super) fn is_resumed(&self) -> bool {
        matches!(self.begun, Some(Begun::Resumes(_)))
    }

    /// Whether a screen says that the program does not know the conversation that it was to continue.
    pub(super) fn is_unknown_by(&self, screen: &[String]) -> bool {
        self.is_resumed() && self.way.is_some_and(|way| choice::is_unknown(way, screen))
    }
}

/// What a conversation is chosen by.
pub(super) struct About<'a> {
    pub(super) program: &'a AgentProgram,
    pub(super) directory: PathBuf,
    homes: Homes,
    way: Option<&'static Resuming>,
}

impl Start<'_> {
    /// What decides about its conversation, given the variables of its session.
    pub(super) async fn about<'a>(
        &self,
        program: &'a AgentProgram,
        environment: &BTreeMap<String, String>,
        directory: &Path,
    ) -> About<'a> {
        let variable = |name: &str| {
            environment.get(name).cloned().or_else(|| self.deps.conversation_files.variable(name))
        };
        // Programs name their directory without links.
        let real = self.deps.files.real_path(directory).await;
        About {
            program,
            directory: real.unwrap_or_else(|_| directory.to_owned()),
            homes: Homes::of(variable),
            way: choice::way(self.deps.dialect(), program),
        }
    }

    /// Whether its role continues conversations. What was noted of one that does not is forgotten.
    pub(super) fn keeps_conversation(&self) -> bool {
        let keeps = match self.deps.standing(&self.spec.identity) {
            // A program of which nothing is known has none.
            Some(said) => said.keeps_conversation && said.preset.is_some(),
            None => self.deps.settings().resume.of(self.spec.identity.role()) == Resume::Same,
        };
        if !keeps {
            self.deps.problems.clear(&self.spec.problem_key(PROBLEM));
            self.deps.records.change_conversations(&self.spec.identity, |kept| kept.now = None);
        }
        keeps
    }

    /// Chooses the conversation. One that is continued waits for its turn, and its transcript is copied: the agent must not run
    /// any more, and no slot should be held. `says_itself`: whether its role has a command of its own.
    pub(super) async fn talk(&self, about: &About<'_>, says_itself: bool) -> Step<Talk> {
        self.report_way(about);
        let unsettled = checking::compare(self.deps, self.spec).await;
        self.follow(about).await;
        let kept = self.deps.records.conversations(&self.spec.identity);
        let own_words = about.way.is_some_and(|way| choice::says_itself(way, &about.program.args));
        let choice = choice::choose(Known {
            wanted: Resume::Same,
            attempt: self.order.attempt,
            way: about.way,
            says_itself: says_itself || own_words,
            last: kept.now.as_ref(),
            program: about.program.provider.name(),
            directory: &about.directory,
        });
        let last = match choice {
            Choice::AsEver => return Ok(Talk::default()),
            Choice::Fresh(Fresh::OwnArguments) if says_itself && !self.has_gt() => {
                return Ok(self.fresh(about, Fresh::NeedsShell));
            }
            Choice::Fresh(why) => return Ok(self.fresh(about, why)),
            Choice::Continue(last) => last,
        };
        let (Some(id), Some(transcript), Some(way)) = (&last.id, &last.transcript, about.way) else {
            return Ok(self.fresh(about, Fresh::NoTranscript));
        };
        if let Some(why) = unsettled.get(transcript) {
            return Ok(self.fresh(about, Fresh::NotSafe(why.clone())));
        }
        let turn = self.turn_to_resume().await?;
        match self.copy(id, transcript, kept.copied.len()).await {
            Ok(copied) => Ok(Talk {
                begun: Some(Begun::Resumes(id.clone())),
                words: choice::resume(way, id),
                way: Some(way),
                now: Some(last.clone()),
                copied: Some(copied),
                turn: Some(turn),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(self.fresh(about, Fresh::NoTranscript))
            }
            Err(error) => {
                let transcript = terminal::path(transcript);
                self.passed_over(&format!(
                    "conversation {id} is not resumed; {transcript} stays as it is: {error}"
                ));
                Ok(self.fresh(about, Fresh::NotSafe(error.to_string())))
            }
        }
    }

    /// Reports that its conversation was to be continued, and its program has no known way.
    fn report_way(&self, about: &About<'_>) {
        let (role, key) = (self.spec.identity.role(), self.spec.problem_key(PROBLEM));
        if about.way.is_some() || self.deps.settings().resume.set_for(role).is_none() {
            return self.deps.problems.clear(&key);
        }
        let text = format!(
            "resume.{role} is \"same\", but no way is known in which {} continues a conversation: {} begins a new one at each \
             start",
            about.program.name, self.spec.identity
        );
        self.deps.problems.report(key, text);
    }

    /// A new conversation.
    pub(super) fn fresh(&self, about: &About<'_>, why: Fresh) -> Talk {
        let mut talk = Talk { begun: Some(Begun::Fresh(why.clone())), way: about.way, ..Talk::default() };
        let takes_none = matches!(why, Fresh::OwnArguments | Fresh::NeedsShell);
        let Some(way) = about.way.filter(|_| !takes_none) else { return talk };
        let id = way.begin.map(|_| self.deps.jitter.uuid());
        let provider = about.program.provider;
        talk.words = id.iter().flat_map(|id| choice::begin(way, id)).collect();
        talk.now = Some(Conversation {
            transcript: id.as_ref().and_then(|id| about.homes.transcript(provider, &about.directory, id)),
            id,
            program: provider.name().to_owned(),
            directory: about.directory.clone(),
            started: Timestamp::UNIX_EPOCH,
        });
        talk
    }

    /// Notes the conversation on disk. To be called right before the session is created.
    pub(super) async fn note(&self, talk: &mut Talk) {
        if talk.begun.is_none() {
            return;
        }
        let now = self.deps.now();
        self.deps.records.change_conversations(&self.spec.identity, |kept| {
            kept.now = talk.now.clone().map(|it| Conversation { started: now.wall, ..it });
            kept.copied.extend(talk.copied.take());
        });
        self.deps.records.save(self.deps).await;
        if let Some(turn) = &mut talk.turn {
            // Also of a session whose creation is not seen to its end.
            turn.rest_until(self.deps.now().mono + starts::RESUMES_PER);
        }
    }

    /// Its session was created: the next conversation may be resumed after the rest from now on.
    pub(super) fn was_resumed(&self, talk: &mut Talk) {
        if let Some(mut turn) = talk.turn.take() {
            turn.rest_until(self.deps.now().mono + starts::RESUMES_PER);
        }
    }

    /// Nothing of its conversation is continued: it is to be ended on request. On disk before that happens.
    pub(super) async fn ends_conversation(&self) {
        self.deps.records.change_conversations(&self.spec.identity, |kept| kept.now = None);
        self.deps.records.save(self.deps).await;
    }

    async fn turn_to_resume(&self) -> Step<Slot> {
        let asked = self.is_asked();
        let rank = Rank::of(self.deps, &self.spec.identity);
        let turn = self.deps.starts.turn_to_resume(rank, asked, &*self.deps.clock);
        let mut turn = std::pin::pin!(turn);
        loop {
            tokio::select! {
                biased;
                turn = &mut turn => return Ok(turn),
                () = self.pulse.notified() => {}
            }
            if let Some(request) = self.makes_way_for() {
                return Err(StartEnd::Unwanted(request));
            }
        }
    }

    async fn copy(&self, id: &str, transcript: &Path, waiting: usize) -> io::Result<Copied> {
        if waiting >= WAITING {
            return Err(io::Error::other(format!("{waiting} of its transcripts wait to be put back")));
        }
        checking::make_room(self.deps).await?;
        let agent = self.spec.identity.actor_name().replace('/', "-");
        let name = format!("{:013}.{agent}.{id}.jsonl", self.deps.now().wall.as_millisecond());
        let copy = self.deps.paths.transcript_copies().join(name);
        let records = self.deps.conversation_files.copy(transcript, &copy).await?;
        if records == 0 {
            self.deps.conversation_files.remove_copy(&copy).await?;
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Copied { id: id.to_owned(), transcript: transcript.to_owned(), copy, records, cut: false })
    }

    /// Finds out in which conversation its program ended, and notes that.
    async fn follow(&self, about: &About<'_>) {
        let Some(last) = self.deps.records.conversations(&self.spec.identity).now else { return };
        let provider = about.program.provider;
        if last.program != provider.name() || last.directory != about.directory {
            return;
        }
        // What began after its end is not its own.
        let now = self.deps.now().wall;
        let to = self.seen_alive.map_or(now, |seen| later(seen, UNSEEN).min(now));
        let life = (last.started, to);
        let found = match self.candidates(about, life).await {
            Ok(found) => found,
            Err(error) => {
                return self.passed_over(&format!(
                    "its transcripts cannot be read, its conversation is taken as noted: {error}"
                ));
            }
        };
        match following::ended(last.id.as_deref(), &about.directory, life, &found) {
            Ended::Same => {}
            Ended::Ambiguous => {
                let kept = last.id.as_deref().map_or("none", short);
                self.passed_over(&format!(
                    "several programs wrote transcripts in its directory; conversation {kept} is taken as its own"
                ));
            }
            Ended::In(it) => {
                let seen = format!("its program went on in conversation {}", short(&it.id));
                tracing::info!(agent = %self.spec.identity, reason = "conversation_followed", "{seen} ({})", it.id);
                let entry = Entry::word(now, "conversation_followed", &seen, "");
                self.deps.records.happened(&self.spec.identity, entry);
                let (id, transcript) = (Some(it.id.clone()), Some(it.path.clone()));
                self.deps.records.change_conversations(&self.spec.identity, |kept| {
                    kept.now = Some(Conversation { id, transcript, ..last });
                });
            }
        }
    }

    /// The transcripts that may be its own: not those of other agents in the same directory.
    async fn candidates(
        &self,
        about: &About<'_>,
        life: (Timestamp, Timestamp),
    ) -> io::Result<Vec<Candidate>> {
        let provider = about.program.provider;
        let of_others = self.deps.records.conversations_of_others(&self.spec.identity);
        let mut found = Vec::new();
        for directory in about.homes.directories(provider, &about.directory, life) {
            for listed in self.deps.conversation_files.list(&directory).await? {
                let Some(id) = places::id_of(provider, &listed.path) else { continue };
                if listed.modified < life.0 || of_others.contains(&id) {
                    continue;
                }
                let says = Says::of(&self.deps.conversation_files.edges(&listed.path).await?);
                found.push(Candidate {
                    id,
                    path: listed.path,
                    began: listed.born.or(says.first),
                    written: listed.modified,
                    directory: says.directory,
                });
            }
        }
        Ok(found)
    }
}
