//! Standstill: why a process that exists does nothing, as the kernel says. It must not touch the process.

/// Why it does nothing, and what to do; `None` when the kernel knows no reason, or cannot be asked.
pub fn of(pid: u32) -> Option<String> {
    words(state(pid)?, pid)
}

/// The same, only where signals wait until somebody continues it.
pub fn of_stopped(pid: u32) -> Option<String> {
    let state = state(pid).filter(|state| ['T', 't'].contains(state))?;
    words(state, pid)
}

#[cfg(target_os = "linux")]
fn state(pid: u32) -> Option<char> {
    let process = procfs::process::Process::new(i32::try_from(pid).ok()?).ok()?;
    Some(process.stat().ok()?.state)
}

#[cfg(not(target_os = "linux"))]
fn state(_: u32) -> Option<char> {
    None
}

fn words(state: char, pid: u32) -> Option<String> {
    match state {
        'T' => Some(format!("it is stopped (SIGSTOP); `kill -CONT {pid}` continues it")),
        't' => Some("a debugger stops it".to_owned()),
        'D' => Some("it waits for a disk or another device that does not answer".to_owned()),
        'Z' | 'X' => Some("it has ended, and its parent has not noticed yet".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_states_are_standstills() {
        for (state, says) in
            [('T', Some("kill -CONT 7")), ('D', Some("disk")), ('Z', Some("ended")), ('S', None), ('R', None)]
        {
            let words = words(state, 7);
            assert_eq!(words.is_some(), says.is_some(), "{state}");
            assert!(says.is_none_or(|says| words.is_some_and(|it| it.contains(says))), "{state}");
        }
        assert_eq!(of(std::process::id()), None, "this one runs");
    }
}
