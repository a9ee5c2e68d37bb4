//! Orders: how the next starts by `gt` go wrong, and how long one takes.

use std::{env, thread, time::Duration};

use super::town::Town;

const FILE: &str = "demo/next-starts";

/// How a start goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As it should.
    Well,
    /// It says that it started the agent, and did not.
    Lie,
}

/// The order for a start of this session, which is used up by it. An error is the failure that was ordered.
pub fn next(town: &Town, session: &str) -> Result<Order, String> {
    let text = town.text(FILE);
    let words: Vec<&str> = text.split_whitespace().collect();
    let (what, count, of) = match words.as_slice() {
        [what, count] => (*what, *count, session),
        [what, count, of] => (*what, *count, *of),
        _ => return Ok(Order::Well),
    };
    let Some(count) = count.parse::<u32>().ok().filter(|count| *count > 0 && of == session) else {
        return Ok(Order::Well);
    };
    match count - 1 {
        0 => town.remove(FILE),
        left => town.write(FILE, &format!("{what} {left} {}", words.get(2).unwrap_or(&""))),
    }
    match what {
        "fail" => Err(format!("creating session {session}: exit status 1 (ordered by {FILE})")),
        "hang" => {
            thread::sleep(Duration::from_mins(10));
            Err("nobody waited so long".to_owned())
        }
        "lie" => Ok(Order::Lie),
        _ => Ok(Order::Well),
    }
}

/// How long `gt` takes to start an agent, besides what tmux takes.
pub fn takes(town: &Town) -> Duration {
    let variable = env::var("STANDIN_GT_START_MS").ok();
    let text = variable.unwrap_or_else(|| town.text("demo/gt-start-ms"));
    Duration::from_millis(text.trim().parse().unwrap_or(200))
}
