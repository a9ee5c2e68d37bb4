//! The adapter that asks a Dolt server for a sign of life.
//!
//! Dolt speaks the protocol of MySQL, in which the server greets whoever connects. The greeting is read to its end, so that the
//! server sees a connection that was closed, and not one that was reset, which it would log. It must not log in.

use std::{io, time::Duration};

use async_trait::async_trait;
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use crate::ports::dolt::{DoltServer, NoAnswer};

/// How long a greeting may take.
const LIMIT: Duration = Duration::from_secs(2);
/// The longest greeting, in bytes.
const LONGEST: usize = 4096;
/// The first byte of a greeting (protocol 10), and of an error such as "too many connections": a server is there in both cases.
const KINDS: [u8; 2] = [10, 255];

/// Asks servers on this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDolt;

#[async_trait]
impl DoltServer for LocalDolt {
    async fn greet(&self, port: u16) -> Result<(), NoAnswer> {
        match timeout(LIMIT, greeting(port)).await {
            Ok(Ok(greeting)) if greeting.first().is_some_and(|kind| KINDS.contains(kind)) => Ok(()),
            Ok(Ok(_)) => Err(NoAnswer::Silent("another program listens there".to_owned())),
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err(NoAnswer::Refused),
            Ok(Err(error)) => Err(NoAnswer::Silent(error.to_string())),
            Err(_) => Err(NoAnswer::Silent(format!("no greeting within {LIMIT:?}"))),
        }
    }
}

/// The first packet, without its header: three bytes with its length, the lowest first, and its number.
async fn greeting(port: u16) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let length = usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
    let mut packet = vec![0; length.min(LONGEST)];
    stream.read_exact(&mut packet).await?;
    Ok(packet)
}
