//! Stop: ends an agent on request.
//!
//! The hold is saved to disk before the agent is ended, so that the next supervisor does not start it if this one ends in
//! between. It must not decide whether to stop.

use super::{
    confirmation::Permission,
    idleness, kill,
    lifecycle::{StopEnd, StopOrder},
    permission,
    spec::AgentSpec,
};
use crate::deps::Deps;

/// Ends an agent. Takes little longer than `kill.grace`; may be dropped at any point.
pub async fn stop(deps: &Deps, spec: &AgentSpec, order: &StopOrder) -> StopEnd {
    // `save` reports a disk that cannot be written; a requested stop is carried out all the same.
    deps.records.save(deps).await;
    match permission::ask_but_for_the_account(deps, spec).await {
        Permission::Allowed => {}
        Permission::Denied(why) => return StopEnd::Refused(why),
        Permission::Unknown(why) => return StopEnd::Unclear(why),
    }
    if order.when_idle
        && let Some(denial) = idleness::busy(deps, spec, &order.session).await
    {
        return StopEnd::Refused(denial);
    }
    match kill::kill(deps, spec, &order.session).await {
        Ok(true) => StopEnd::Ended,
        Ok(false) => StopEnd::Gone,
        Err(why) => StopEnd::Unclear(format!("{} could not be ended: {why}", spec.session)),
    }
}
