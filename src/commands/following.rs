//! Following: reading a program line by line for as long as it runs.
//!
//! It must not hold more than one line, nor let a program that prints without end take the processor from everybody else.
#![allow(clippy::disallowed_methods, reason = "part of the adapter that runs commands")]

use std::{pin::pin, process::ExitStatus, time::Duration};

use futures::future::maybe_done;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Child,
    time::{sleep, timeout},
};

use super::{
    Heard, Printed,
    group::Group,
    lines::Lines,
    runner::{AFTER_EXIT, STDERR_SHOWN},
};

/// After so many bytes
const GULP: usize = 256 << 10;
/// reading rests for so long, while the program waits.
const REST: Duration = Duration::from_millis(50);

/// Reads until the program ends, or closes its standard output; it is not left alive then. Of standard error the end is
/// returned. An error says what was wrong with how it ended.
pub(super) async fn complete(
    child: &mut Child,
    group: &mut Group,
    mut heard: Heard,
) -> Result<(ExitStatus, Printed), &'static str> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut last_words = Vec::new();
    let mut lines = Lines::default();
    let status = {
        let mut out = pin!(maybe_done(pour(stdout, |piece| lines.take(piece, &mut *heard))));
        let mut err = pin!(maybe_done(pour(stderr, |piece| keep_end(&mut last_words, piece))));
        let errors = async {
            err.as_mut().await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = out.as_mut() => {}
            _ = child.wait() => {}
            () = errors => {}
        }
        // The rest of it comes in a moment, unless something it started holds its output open.
        let rest = async { tokio::join!(out, err, child.wait()).2 };
        let status = timeout(AFTER_EXIT, rest).await;
        if status.is_ok() {
            group.let_go();
        }
        status.map(|status| status.ok()).unwrap_or_else(|_| child.try_wait().ok().flatten())
    };
    lines.finish(&mut *heard);
    let status = status.ok_or("it closed its output and went on")?;
    Ok((status, Printed { stdout: Vec::new(), stderr: last_words }))
}

/// Reads a stream to its end, piece by piece; one that cannot be read has ended.
async fn pour(stream: Option<impl AsyncRead + Unpin>, mut piece: impl FnMut(&[u8])) {
    let Some(mut stream) = stream else { return };
    let mut chunk = vec![0; 16 << 10];
    let mut since_rest = 0;
    while let Ok(more @ 1..) = stream.read(&mut chunk).await {
        piece(&chunk[..more]);
        since_rest += more;
        if since_rest >= GULP {
            since_rest = 0;
            sleep(REST).await;
        }
    }
}

fn keep_end(kept: &mut Vec<u8>, piece: &[u8]) {
    kept.extend_from_slice(piece);
    let most = 4 * STDERR_SHOWN;
    kept.drain(..kept.len().saturating_sub(most));
}
