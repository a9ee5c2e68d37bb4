//! Claiming: removes requests from the deacon's inbox, so that each is carried out once.
//!
//! The deacon reads the same inbox, a delete may fail, and this process may be killed at any point. So a request is
//! saved to disk first, then its message is deleted, and only then is it due. It must not carry anything out.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::rules::{self, Verdict};
use crate::{
    agent::{
        identify::{Unidentified, identify},
        requests::{Action, Request, Stage},
    },
    clock::Now,
    deps::Deps,
    ledger::inbox::{self, Message, Removal},
    town::{
        identity::{Identity, RigName},
        reading,
    },
};

/// What could not be handled and stays in the inbox: message ids and why.
pub type Left = BTreeMap<String, String>;

/// For this long a reading of the inbox counts as current. The deacon may delete a message meanwhile, and `gt`
/// deletes one a second time without an error.
const FRESH: Duration = Duration::from_secs(1);

/// The number of processed messages removed with each reading of the inbox: each takes a run of `gt`, and the inbox
/// is not read meanwhile.
pub const REMOVED: usize = 50;

/// The state of one pass over the inbox.
struct Claiming<'a> {
    deps: &'a Deps,
    rigs: Vec<RigName>,
    /// The unread messages at the last reading of the inbox, and the time of that.
    there: BTreeSet<String>,
    read: Now,
    /// The number of processed messages that were removed.
    removed: usize,
}

/// Processes the inbox as of `read`, oldest message first, and claims the requests in it. Calls `claimed` with each
/// agent for which a request became due. Returns what was left in the inbox.
pub async fn claim(
    deps: &Deps,
    (messages, read): (&[Message], Now),
    rigs: &BTreeSet<RigName>,
    claimed: &impl Fn(Identity),
) -> Left {
    let there: BTreeSet<&str> = messages.iter().map(|message| message.id.as_str()).collect();
    deps.records.forget_requests(deps, |id, stage| *stage == Stage::Done && !there.contains(id)).await;
    let mut claiming =
        Claiming { deps, rigs: rigs.iter().cloned().collect(), there: unread(messages), read, removed: 0 };
    // The last supervisor noted these, and may have deleted the message but got no further.
    for request in deps.records.noted_requests() {
        take(deps, request, claimed).await;
    }
    let mut left = Left::new();
    for message in messages {
        if let Err(why) = deal_with(&mut claiming, message, claimed).await {
            left.insert(message.id.clone(), why);
        }
    }
    left
}

/// Processes one message. An error says why it is left in the inbox.
async fn deal_with(
    claiming: &mut Claiming<'_>,
    message: &Message,
    claimed: &impl Fn(Identity),
) -> Result<(), String> {
    let deps = claiming.deps;
    if deps.records.request_stage(&message.id).is_some() {
        return claiming.discard(&message.id, "it is claimed").await; // it could not be deleted then
    }
    match rules::judge(message, deps.now().wall, deps.settings().lifecycle.max_age) {
        Verdict::Ignore => Ok(()),
        Verdict::NotUnderstood(why) => Err(why),
        Verdict::TooOld => {
            let (id, from) = (&message.id, reading::shorten(&message.from));
            if claiming.may_remove() {
                tracing::info!("request by mail {id} from {from:?} is too old, deleted");
            }
            claiming.discard(id, "it is too old").await
        }
        Verdict::Request(action) => request(claiming, message, action, claimed).await,
    }
}

async fn request(
    claiming: &mut Claiming<'_>,
    message: &Message,
    action: Action,
    claimed: &impl Fn(Identity),
) -> Result<(), String> {
    let deps = claiming.deps;
    claiming.freshen().await?;
    if !claiming.there.contains(&message.id) {
        return Ok(()); // somebody removed it meanwhile
    }
    let identity = match identify(deps, &message.from, &claiming.rigs).await {
        Ok(identity) if identity.facts().address.is_some() => identity,
        // Boot has no mailbox of its own, and lives for minutes only.
        Ok(_) | Err(Unidentified::Nobody(_)) => {
            let (id, from) = (&message.id, reading::shorten(&message.from));
            if claiming.may_remove() {
                tracing::warn!(
                    "request by mail {id} is not carried out: {from:?} is not an agent of this town; deleted"
                );
            }
            return claiming.discard(id, "it is not carried out").await;
        }
        Err(unclear @ Unidentified::Unclear { .. }) => return Err(unclear.to_string()),
    };
    let request = Request { id: message.id.clone(), identity, action, by: None };
    deps.records.note_request(deps, &request).await.map_err(|why| format!("it cannot be claimed: {why}"))?;
    take(deps, request, claimed).await;
    Ok(())
}

impl Claiming<'_> {
    /// Reads the inbox again when the last reading is too old.
    async fn freshen(&mut self) -> Result<(), String> {
        let now = self.deps.now();
        if now.since(self.read) > FRESH {
            let messages = inbox::read(self.deps).await;
            let messages = messages.map_err(|why| format!("the inbox cannot be read again: {why}"))?;
            (self.there, self.read) = (unread(&messages), now);
        }
        Ok(())
    }

    /// Whether more may be removed now; the rest is removed with the next readings.
    fn may_remove(&self) -> bool {
        self.removed < REMOVED
    }

    /// Deletes a processed message; `done_with` says why.
    async fn discard(&mut self, id: &str, done_with: &str) -> Result<(), String> {
        if !self.may_remove() {
            return Ok(());
        }
        self.removed += 1;
        match inbox::delete(self.deps, id).await {
            Removal::Done | Removal::NotFound => Ok(()),
            Removal::Failed(why) => Err(format!("{done_with}, but cannot be deleted: {why}")),
        }
    }
}

fn unread(messages: &[Message]) -> BTreeSet<String> {
    messages.iter().filter(|message| !message.read).map(|message| message.id.clone()).collect()
}

/// Removes a noted request's message from the inbox; unless somebody else did, the request is due.
async fn take(deps: &Deps, request: Request, claimed: &impl Fn(Identity)) {
    let Request { id, identity, action, .. } = &request;
    match inbox::delete(deps, id).await {
        Removal::NotFound => {
            tracing::info!(agent = %identity, "request by mail {id} was taken by the deacon itself; no action");
            deps.records.forget_requests(deps, |other, _| other == id).await;
            return;
        }
        Removal::Done => {}
        // Because it is noted on disk, it is carried out once all the same.
        Removal::Failed(why) => {
            tracing::warn!(
                agent = %identity, "request by mail {id} cannot be deleted, and is carried out anyway: {why}"
            );
        }
    }
    tracing::info!(agent = %identity, "requested by mail {id}: {}", action.by_mail());
    deps.records.advance(deps, &request, Stage::Due).await;
    claimed(request.identity);
}
