//! The token: what a request must show where the settings name a file with one (`http.token_file`). Pure.
//!
//! How long a comparison takes says nothing about the token: digests are compared, all of their bytes. The token itself is kept
//! nowhere, and shown nowhere.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The fewest characters of a token: one that is shorter could be guessed.
const SHORTEST: usize = 16;
/// The most.
const LONGEST: usize = 256;
/// What is hashed with the token for the cookie, which so is another secret: a browser also sends it to other ports of the host.
const COOKIE: &[u8] = b"gastown-supervisor cookie\0";

/// A token, as its digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    digest: [u8; 32],
    cookie: String,
}

impl Token {
    /// The token in a file, without the white space around it. An error says what is wrong with it, and repeats nothing of it.
    pub fn parse(content: &[u8]) -> Result<Token, String> {
        let text = content.trim_ascii();
        if !text.iter().all(u8::is_ascii_graphic) {
            return Err("it must hold one word of visible ASCII characters".to_owned());
        }
        if !(SHORTEST..=LONGEST).contains(&text.len()) {
            return Err(format!(
                "it must hold {SHORTEST} to {LONGEST} characters, at random: `openssl rand -hex 32` prints some"
            ));
        }
        let cookie = Sha256::new().chain_update(COOKIE).chain_update(text).finalize();
        let cookie = cookie.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Token { digest: Sha256::digest(text).into(), cookie })
    }

    /// Whether this text is the token.
    pub fn is(&self, text: &[u8]) -> bool {
        self.digest.ct_eq(Sha256::digest(text).as_slice()).into()
    }

    /// Whether this text is the value of its cookie.
    pub fn is_cookie(&self, text: &str) -> bool {
        Sha256::digest(&self.cookie).as_slice().ct_eq(Sha256::digest(text).as_slice()).into()
    }

    /// The value of the cookie for a browser that showed the token.
    pub fn cookie(&self) -> &str {
        &self.cookie
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_token() {
        let long = "x".repeat(LONGEST + 1);
        for (content, is_one) in [
            ("0123456789abcdef", true),
            ("  0123456789abcdef\r\n", true),
            ("0123456789abcde", false),
            ("0123456789 abcdef", false),
            ("0123456789\nabcdef", false),
            ("0123456789abcdéf", false),
            (&long, false),
            ("", false),
        ] {
            let token = Token::parse(content.as_bytes());
            assert_eq!(token.is_ok(), is_one, "{content:?}");
            assert!(!format!("{token:?}").contains("0123"), "{token:?}");
        }
        let token = Token::parse(b"0123456789abcdef\n").unwrap();
        for (text, is_it) in [
            ("0123456789abcdef", true),
            ("0123456789abcdeg", false),
            ("0123456789abcdef\n", false),
            ("", false),
        ] {
            assert_eq!(token.is(text.as_bytes()), is_it, "{text:?}");
        }
        assert!(
            token.is_cookie(token.cookie()) && !token.is_cookie("") && !token.is(token.cookie().as_bytes())
        );
        assert!(!token.is_cookie("0123456789abcdef") && !token.cookie().contains("0123456789abcdef"));
    }
}
