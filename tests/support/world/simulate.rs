//! Runs a simulation: one thread, paused clock, and the end of the trace when it fails.

use std::{
    panic,
    sync::{Arc, Mutex, Once, PoisonError},
};

use gastown_supervisor::{panics, town::log::line::LineFormat};
use jiff::Zoned;

use super::{World, clock::INJECTED, trace::LogWriter};

/// Runs a story on a world with this seed, and fails when the supervisor did what it must never do.
pub fn simulate<T, F: Future<Output = T>>(seed: u64, story: impl FnOnce(World) -> F) -> T {
    keep_injected_panics_quiet();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let told: Arc<Mutex<Option<World>>> = Arc::default();
    let teller = Teller { seed, world: told.clone() };
    let result = runtime.block_on(async {
        let world = World::new(seed);
        *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(world.clone());
        let _log = tracing::subscriber::set_default(
            tracing_subscriber::fmt()
                .with_writer(LogWriter(world.clone()))
                .with_ansi(false)
                .event_format(LineFormat::new(Arc::new(Zoned::default)))
                .finish(),
        );
        tokio::spawn(world.clone().live());
        let result = story(world.clone()).await;
        let violations = world.state().violations.clone();
        assert!(
            violations.is_empty(),
            "the supervisor did what it must never do:\n{}",
            violations.join("\n\n")
        );
        result
    });
    drop(teller);
    result
}

/// Prints the end of the trace when the test fails.
struct Teller {
    seed: u64,
    world: Arc<Mutex<Option<World>>>,
}

impl Drop for Teller {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        if let Some(world) = &*self.world.lock().unwrap_or_else(PoisonError::into_inner) {
            let count = std::env::var("TAIL").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
            let state = world.state();
            eprintln!("---- seed {}; the last lines of its trace (TAIL=n for more):", self.seed);
            eprintln!("{}", state.tail(count));
            eprintln!("---- once more: SEED={} cargo test --test scenarios <name of the test>", self.seed);
        }
    }
}

fn keep_injected_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let injected =
                info.payload().downcast_ref::<String>().is_some_and(|text| text.starts_with(INJECTED));
            if injected {
                panics::log(info);
            } else {
                usual(info);
            }
        }));
    });
}
