//! At work: whether anything of a start of this agent by `gt` may still be at work.
//!
//! A `gt` that hung was killed, but what it started may go on. Before an agent is started without a `gt` that failed to start it
//! again and again, nothing of that may be left: no session, no process of the agent, no `gt` that starts or ends it. What could
//! not be found out counts as left. It must not end anything.

use std::time::Duration;

use super::{Start, Step};
use crate::{
    agent::{elsewhere, lifecycle::StartEnd},
    operator::{register, rules::Operation},
};

/// The longest that the process table may take.
const LIMIT: Duration = Duration::from_secs(5);

impl Start<'_> {
    /// Checks that `gt` does nothing for it any more and that it runs nowhere; its session was looked for.
    pub(super) async fn nothing_of_gt_is_at_work(&self) -> Step<()> {
        match tokio::time::timeout(LIMIT, self.gt_at_work()).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(line))) => {
                return Err(StartEnd::Unclear(format!("`{line}` is still running")));
            }
            Ok(Err(why)) => return Err(StartEnd::Unclear(why)),
            Err(_) => {
                let why = format!("the process table could not be read: no answer within {LIMIT:?}");
                return Err(StartEnd::Unclear(why));
            }
        }
        match elsewhere::why_not(self.deps, self.spec, Duration::ZERO).await {
            None => Ok(()),
            Some(why) => Err(StartEnd::Unclear(why)),
        }
    }

    /// A command that starts this agent, or may end it, whoever runs it.
    async fn gt_at_work(&self) -> Result<Option<String>, String> {
        let (identity, town) = (&self.spec.identity, self.deps.paths.root());
        let words = identity.gt_start();
        for program in register::programs(self.deps) {
            let running = self.deps.processes.invocations(&program, None).await;
            for it in running.map_err(|error| error.to_string())? {
                if it.given_to(&program) == Some(words.as_slice()) {
                    return Ok(Some(format!("{program} {}", words.join(" "))));
                }
                let operation = Operation::by(&program, &it, town);
                if let Some(operation) = operation.filter(|it| it.may_end(identity, false)) {
                    return Ok(Some(operation.line));
                }
            }
        }
        Ok(None)
    }
}
