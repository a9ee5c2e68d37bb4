//! Secrets: masks what looks like a key, a token or a password in lines of text. Pure.
//!
//! A secret is recognised by its own form (`sk-ant-…`, a JWT, a private key in PEM) or by what stands before it (`TOKEN=`,
//! `Bearer `). Where lines are as long as the longest around them, they may be parts of a longer line that was wrapped: they are
//! read alone and joined, so that the break hides nothing. In doubt more is masked. What has neither form nor name cannot be
//! recognised: this makes text safer to keep, not safe to publish.

use std::{iter::once, ops::Range, sync::LazyLock};

use regex::Regex;

use crate::width;

/// What replaces a secret.
pub const MASK: &str = "[masked]";

/// A form of secrets: what is masked is the group `secret` of the pattern.
struct Form {
    pattern: Regex,
    /// Whether a text that matches is a secret.
    is_secret: fn(&str) -> bool,
}

/// The forms, each with whose secrets they are.
static FORMS: LazyLock<Vec<Form>> = LazyLock::new(|| {
    let form = |pattern, is_secret| Form { pattern: constant(pattern), is_secret };
    let named = r#"(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)"#;
    let password = r"(?:password|passwd|passphrase|secret)";
    let variable =
        r"[A-Z0-9_]*(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|APIKEY|CREDENTIALS|_KEY|_PWD|_PASS|_PAT)";
    vec![
        // PEM, as far as it is in one line.
        form(
            r"(?<secret>-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|$))",
            always,
        ),
        // The rest of one whose beginning is out of sight.
        form(
            r"(?<secret>(?:[A-Za-z0-9+/=]|\\[nr]){16,}-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)",
            always,
        ),
        // Anthropic, also as Claude Code shortens it.
        form(r"(?<secret>sk-ant-(?:\.{3}|…)?[A-Za-z0-9_-]{8,})", always),
        // OpenAI and others.
        form(r"(?-u:\b)(?<secret>sk-[A-Za-z0-9_-]{16,})", has_digit),
        // GitHub and GitLab.
        form(r"(?<secret>(?:gh[pousr]_|github_pat_)[A-Za-z0-9_]{10,}|glpat-[A-Za-z0-9_-]{16,})", always),
        // AWS.
        form(r"(?<secret>(?:AKIA|ASIA)[A-Z0-9]{12,})", always),
        // Google: keys, OAuth access and refresh tokens, client secrets.
        form(r"(?<secret>AIza[A-Za-z0-9_-]{20,})", always),
        form(r"(?<secret>ya29\.[A-Za-z0-9_.-]{8,}|1//0[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{8,})", always),
        // Slack, and the addresses of webhooks, which are secrets.
        form(r"(?<secret>(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{8,})", always),
        form(
            r"(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks)/(?<secret>[A-Za-z0-9_/-]{6,})",
            always,
        ),
        // Stripe, npm, PyPI, Hugging Face, SendGrid.
        form(r"(?<secret>(?:[sr]k_(?:live|test)|whsec)_[A-Za-z0-9]{8,})", always),
        form(
            r"(?<secret>(?:npm|hf)_[A-Za-z0-9]{16,}|pypi-[A-Za-z0-9_-]{16,}|SG\.[A-Za-z0-9_.-]{20,})",
            always,
        ),
        // JWT.
        form(r"(?<secret>eyJ[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*){0,2})", always),
        // HTTP.
        form(r"(?i)bearer\s*(?<secret>[A-Za-z0-9._~+/=-]{8,})", |it| has_digit(it) || it.len() >= 24),
        form(r#"(?i)authorization["']?\s*[:=]\s*["']?(?:basic|token)\s+(?<secret>[^\s"']{6,})"#, always),
        // A password may have `/` and `@`; a port is none.
        form(r#"://[^\s/:@]*:(?<secret>[^\s"'<>]+)@"#, |it| is_value(it) && !is_port(it)),
        // Variables of an environment, also in files with spaces around `=`, and as fish sets them.
        form(
            &format!(r#"(?-u:\b){variable}(?:=|\s+=\s*)(?<secret>"[^"]*"?|'[^']*'?|[^\s"';&|]+)"#),
            is_value,
        ),
        form(
            &format!(r#"(?-u:\b)set\s+(?:-\S+\s+)*{variable}\s+(?<secret>"[^"]*"?|'[^']*'?|[^\s"';&|]+)"#),
            is_value,
        ),
        // Named in JSON, TOML and code; in a URL, a command line or an INI file; in YAML or a header.
        form(&format!(r#"(?i){named}["']?\s*(?:=>|:=|:|=)\s*["'](?<secret>[^"'\s]{{4,}})"#), is_value),
        form(&format!(r#"(?i){named}(?:=|\s+=\s*)(?<secret>[^\s"'&;]{{4,}})"#), |it| {
            is_value(it) && !it.contains('(')
        }),
        form(&format!(r#"(?i){named}:\s*(?<secret>[^\s"',]{{6,}})"#), |it| is_value(it) && is_mixed(it)),
        form(&format!(r#"(?i){password}:\s*(?<secret>[^\s"',]{{6,}})"#), is_value),
        form(&format!(r#"(?i)--{named}\s+["']?(?<secret>[^\s"'-][^\s"']{{3,}})"#), |it| {
            is_value(it) && has_digit(it)
        }),
        // `.netrc`.
        form(&format!(r#"(?i)(?-u:\b){password}\s+(?<secret>[^\s"',;]{{6,}})"#), |it| {
            is_value(it) && is_mixed(it)
        }),
        form(r"(?i)(?-u:\b)(?:machine|login|default)\s.*?\bpassword\s+(?<secret>\S+)", is_value),
        form(r"(?i)^\s*password\s+(?<secret>\S{4,})$", is_value),
    ]
});

static BEGIN: LazyLock<Regex> =
    LazyLock::new(|| constant(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"));
static END: LazyLock<Regex> = LazyLock::new(|| constant(r"-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"));

/// A name with a value, which begins a line of its own.
static ASSIGNMENT: LazyLock<Regex> =
    LazyLock::new(|| constant(r#"^(?:export\s+)?["']?[A-Za-z_][A-Za-z0-9_.-]*["']?\s*[:=]\s*[^\s=]"#));

/// The beginning of a secret at the end of a line, too short to be one, and the least length of the rest in the next line.
static BEGUN: LazyLock<Regex> = LazyLock::new(|| {
    constant(r"(?:sk-ant-|gh[pousr]_|github_pat_|glpat-|AKIA|ASIA|AIza|xox[abeoprs]-|eyJ)[A-Za-z0-9_-]*$")
});
const BEGUN_REST: usize = 12;

/// Compiles a constant pattern; the tests compile them all.
#[allow(clippy::expect_used, reason = "constants that the tests compile")]
fn constant(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern that the tests compile")
}

/// The same lines with [`MASK`] in place of what looks like a secret. A line may become longer than it was.
pub fn mask(lines: &[String]) -> Vec<String> {
    let bodies: Vec<&str> = lines.iter().map(|line| &line[body(line)]).collect();
    let in_pem = in_pem(&bodies);
    let across = across(lines);
    let mut is_cut = false;
    let masked = lines.iter().enumerate().map(|(at, line)| {
        let body = body(line);
        let mut secrets =
            if in_pem[at] && !body.is_empty() { once(0..body.len()).collect() } else { secrets(bodies[at]) };
        secrets.extend(across[at].iter().cloned());
        let rest = rest_of_a_secret(bodies[at]);
        if is_cut && let Some(rest) = rest {
            secrets.push(rest);
        }
        let goes_on = bodies
            .get(at + 1)
            .and_then(|next| rest_of_a_secret(next))
            .is_some_and(|rest| rest.len() >= BEGUN_REST);
        secrets.extend(BEGUN.find(bodies[at]).filter(|_| goes_on).map(|begun| begun.range()));
        let is_pem = in_pem[at] || BEGIN.is_match(bodies[at]);
        is_cut = !is_pem && secrets.iter().any(|secret| secret.end == body.len() && !secret.is_empty());
        let shown = replaced(bodies[at], secrets);
        format!("{}{shown}{}", &line[..body.start], &line[body.end..])
    });
    masked.collect()
}

/// The part of a line within its frame.
fn body(line: &str) -> Range<usize> {
    let frame = |c: char| c.is_whitespace() || c == '|' || ('\u{2500}'..='\u{259f}').contains(&c);
    let start = line.len() - line.trim_start_matches(frame).len();
    start..line.trim_end_matches(frame).len().max(start)
}

/// A line this much shorter than the longest may have been wrapped at spaces, which are not captured.
const SPACES: usize = 2;

/// The secrets in lines that may be parts of a longer one, as they are in each line.
fn across(lines: &[String]) -> Vec<Vec<Range<usize>>> {
    let mut found = vec![Vec::new(); lines.len()];
    let end = |line: &String| width::of(&line[..body(line).end]);
    let mut at = 0;
    while at < lines.len() {
        let is_written = |line: &&String| !body(line).is_empty();
        let count = lines[at..].iter().take_while(is_written).count();
        let paragraph = &lines[at..at + count];
        let longest = paragraph.iter().map(end).max().unwrap_or(0);
        let indents: Vec<usize> = paragraph.iter().map(|line| body(line).start).collect();
        let common = indents.iter().copied().min().unwrap_or(0);
        let mut joined: [(String, Vec<(usize, usize)>); 3] = Default::default();
        for (index, line) in paragraph.iter().enumerate() {
            let body = body(line);
            for (text, parts) in &mut joined {
                parts.push((text.len(), at + index));
                text.push_str(&line[body.clone()]);
            }
            let is_full = end(line) + SPACES >= longest;
            if is_full && let Some(indent) = indents.get(index + 1) {
                // Whether there was a space at the break is not certain: where it seems so, nowhere, and everywhere.
                if end(line) < longest || *indent > common {
                    joined[0].0.push(' ');
                }
                joined[2].0.push(' ');
                continue;
            }
            let mut done: Vec<String> = Vec::new();
            for (text, parts) in std::mem::take(&mut joined) {
                if parts.len() > 1 && !done.contains(&text) {
                    divide(&secrets(&text), &parts, text.len(), &mut found);
                    done.push(text);
                }
            }
        }
        at += count.max(1);
    }
    found
}

/// Divides secrets of a joined text among its parts, each with its start in the text and the line that it is.
fn divide(secrets: &[Range<usize>], parts: &[(usize, usize)], end: usize, found: &mut [Vec<Range<usize>>]) {
    for (index, (start, line)) in parts.iter().enumerate() {
        let end = parts.get(index + 1).map_or(end, |next| next.0);
        let here =
            |secret: &Range<usize>| secret.start.max(*start) - start..secret.end.min(end).max(*start) - start;
        found[*line].extend(secrets.iter().map(here).filter(|part| part.start < part.end));
    }
}

/// The secrets in a text, in no order; they may overlap.
fn secrets(text: &str) -> Vec<Range<usize>> {
    let of_form = |form: &Form| {
        let found = form.pattern.captures_iter(text).filter_map(|found| found.name("secret"));
        found
            .filter(|secret| (form.is_secret)(secret.as_str()))
            .map(|secret| secret.range())
            .collect::<Vec<_>>()
    };
    FORMS.iter().flat_map(of_form).collect()
}

/// What continues a secret at the end of the line above: a word that no sentence has.
fn rest_of_a_secret(text: &str) -> Option<Range<usize>> {
    if ASSIGNMENT.is_match(text) {
        return None;
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_+/=.~".contains(c);
    let word = &text[..text.find(|c| !is_part(c)).unwrap_or(text.len())];
    let is_rest = word.len() == text.len() || word.len() >= 20 || word.len() >= 6 && is_mixed(word);
    (!word.is_empty() && is_rest).then_some(0..word.len())
}

fn replaced(text: &str, mut secrets: Vec<Range<usize>>) -> String {
    secrets.sort_by_key(|secret| secret.start);
    let (mut shown, mut done) = (String::with_capacity(text.len()), 0);
    for secret in secrets {
        let secret = secret.start.min(text.len())..secret.end.min(text.len());
        if secret.start >= done && !secret.is_empty() {
            shown.push_str(&text[done..secret.start]);
            shown.push_str(MASK);
        }
        done = done.max(secret.end);
    }
    shown + &text[done..]
}

/// Which lines are part of a private key in PEM, but for one that begins it. Its beginning or its end may be out of sight.
fn in_pem(lines: &[&str]) -> Vec<bool> {
    let mut is_part = vec![false; lines.len()];
    let mut inside = false;
    for at in 0..lines.len() {
        let line = lines[at];
        let (begin, end) = (BEGIN.find_iter(line).last(), END.find_iter(line).last());
        match (begin, end) {
            (Some(begin), Some(end)) if begin.start() < end.start() => inside = false,
            (Some(_), _) => inside = true,
            (None, Some(_)) => {
                inside = false;
                let above = lines[..at].iter().rev().take_while(|line| is_base64(line, 16)).count();
                is_part[at - above..=at].fill(true);
            }
            (None, None) if inside => {
                inside = line.is_empty() || is_base64(line, 16) || is_header(line) || is_last(line);
                is_part[at] = inside;
            }
            (None, None) => {}
        }
    }
    is_part
}

/// Whether a line ends in this many characters of base64 or more. Line numbers and the marks of a diff may precede them; in
/// JSON and source, `\n`, quotes and what joins strings are around them.
fn is_base64(line: &str, least: usize) -> bool {
    let line = line.replace("\\n", "").replace("\\r", "");
    let line = line.trim_end_matches(|c: char| c.is_whitespace() || "\"'`,;+\\.)".contains(c));
    let last = line.rsplit(|c: char| c.is_whitespace() || c == '→').next().unwrap_or_default();
    let last = last.trim_start_matches(['"', '\'', '`', '(']);
    last.len() >= least && last.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
}

/// Whether a line is the last of base64: one short word.
fn is_last(line: &str) -> bool {
    let line = line.trim_end_matches(['+', '\\', ' ']);
    !line.contains(char::is_whitespace) && is_base64(line, 1)
}

fn is_header(line: &str) -> bool {
    ["Proc-Type:", "DEK-Info:", "Comment:", "Version:"].iter().any(|name| line.contains(name))
}

fn always(_: &str) -> bool {
    true
}

fn has_digit(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
}

fn is_mixed(text: &str) -> bool {
    has_digit(text) && text.contains(|c: char| c.is_ascii_alphabetic())
}

/// Whether this begins with the port of a URL and its path.
fn is_port(text: &str) -> bool {
    text.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with('/') && !text.starts_with('/')
}

/// Whether the text after a name is a value, and neither a reference to one nor a placeholder.
fn is_value(text: &str) -> bool {
    let text = text.trim_matches(['"', '\'']);
    let is_none =
        matches!(text.to_ascii_lowercase().as_str(), "null" | "none" | "true" | "false" | "undefined");
    let is_placeholder = text.chars().all(|c| "xX*.…-_".contains(c));
    !text.starts_with(['$', '<', '{', '[', '%', '`']) && !is_none && !is_placeholder
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
