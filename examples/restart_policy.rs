//! The restart policy over a list of deaths: which restart comes at once, which one waits, and when it becomes a
//! crash loop.
//!
//! Needs nothing: `cargo run --example restart_policy`. Other lives, in seconds: `cargo run --example restart_policy
//! -- 3 3 3 2400 3`

use std::time::Duration;

use gastown_supervisor::restart::{
    Policy, RestartHistory, Verdict, after_death, asked_for, restarted, without_death,
};
use jiff::Timestamp;

/// How long the process lives each time, in seconds.
const LIVES: [u64; 9] = [60, 5, 5, 5, 5, 5, 5, 2400, 5];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given = std::env::args().skip(1).map(|life| life.parse()).collect::<Result<Vec<u64>, _>>()?;
    let lives = if given.is_empty() { LIVES.to_vec() } else { given };
    let (policy, mut history) = (Policy::default(), RestartHistory::default());
    let mut now: Timestamp = "2026-01-01T12:00:00Z".parse()?;
    for life in lives {
        let lived = Duration::from_secs(life);
        now += lived;
        // The policy reads no clock and rolls no dice: it gets the time, and the jitter (0 to 1).
        let verdict = after_death(&mut history, now, lived, &policy, 0.0);
        println!("{} died after {life} s: {}", time(now), words(verdict));
        let start_at = match verdict {
            Verdict::Now | Verdict::Trial => now,
            Verdict::At(later) => later,
            Verdict::CrashLoop { trial_at, .. } => trial_at,
        };
        now = now.max(start_at);
        if let Verdict::CrashLoop { .. } = verdict {
            // Nothing died since: the same history is judged again when the trial is due.
            println!("{} nothing ran meanwhile: {}", time(now), words(without_death(&history, now, &policy)));
        }
        restarted(&mut history, now, &policy);
    }
    asked_for(&mut history);
    println!("{} somebody asks for it: {}", time(now), words(without_death(&history, now, &policy)));
    Ok(())
}

fn words(verdict: Verdict) -> String {
    match verdict {
        Verdict::Now => "restart now".to_owned(),
        Verdict::At(later) => format!("restart at {}", time(later)),
        Verdict::Trial => "held long enough, try once".to_owned(),
        Verdict::CrashLoop { trial_at, news: true } => {
            format!("a crash loop, next try at {}", time(trial_at))
        }
        Verdict::CrashLoop { trial_at, news: false } => {
            format!("still a crash loop, next try at {}", time(trial_at))
        }
    }
}

fn time(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}
