//! The adapter that asks Dolt for a sign of life, with real servers.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test with servers of its own")]

use gastown_supervisor::{
    ledger::dolt_server::LocalDolt,
    ports::dolt::{DoltServer, NoAnswer},
};
use tokio::{io::AsyncWriteExt, net::TcpListener};

#[path = "support/limits.rs"]
mod limits;

/// A server that says this to whoever connects, and its port.
async fn server(says: &'static [u8]) -> (TcpListener, u16, &'static [u8]) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port, says)
}

/// Asks while the server takes one connection and closes it.
async fn asked((listener, port, says): &(TcpListener, u16, &'static [u8])) -> Result<(), NoAnswer> {
    let serve = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        connection.write_all(says).await.unwrap();
    };
    tokio::join!(LocalDolt.greet(*port), serve).0
}

#[tokio::test]
async fn a_server_that_greets_and_dies() {
    limits::watched();
    // As Dolt 2.1 greets: length, number, protocol 10, version.
    let dolt = server(b"\x08\0\0\0\x0a8.0.33\0").await;
    assert_eq!(asked(&dolt).await, Ok(()));
    assert_eq!(asked(&dolt).await, Ok(()), "again");
    let (listener, port, _) = dolt;
    drop(listener);
    assert_eq!(LocalDolt.greet(port).await, Err(NoAnswer::Refused));
}

#[tokio::test]
async fn what_is_no_greeting() {
    limits::watched();
    for (name, says, is_there) in [
        ("too many connections", &b"\x03\0\0\0\xff\x10\x04"[..], true),
        ("another protocol", b"SSH-2.0-OpenSSH_9.6\r\n", false),
        ("half of one", b"\x08\0\0\0\x0a", false),
        ("nothing", b"", false),
        ("an empty packet", b"\0\0\0\0", false),
    ] {
        let answer = asked(&server(says).await).await;
        assert_eq!(answer.is_ok(), is_there, "{name}: {answer:?}");
        assert!(!matches!(answer, Err(NoAnswer::Refused)), "{name}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for_long() {
    limits::watched();
    let (_listener, port, _) = server(b"").await; // the kernel takes the connection
    let answer = LocalDolt.greet(port).await;
    assert_eq!(answer, Err(NoAnswer::Silent("no greeting within 2s".to_owned())));
}
