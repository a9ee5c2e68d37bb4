//! What is masked, and what is not.

use proptest::prelude::*;

use super::*;

fn masked(text: &str) -> String {
    mask(&text.split('\n').map(str::to_owned).collect::<Vec<_>>()).join("\n")
}

/// Secrets of each form, made up.
const SECRETS: [(&str, &str); 22] = [
    ("Anthropic", "sk-ant-api03-Zk3vQ9xW1mT7bN5cR8dF2gH4jK6lP0qS-aB1cD2eF3gH4_iJ5kL6mN7oP8qR9sT0uV"),
    ("Anthropic, OAuth", "sk-ant-oat01-Zk3vQ9xW1mT7bN5cR8dF2gH4jK6lP0qS"),
    ("OpenAI", "sk-proj-4tQm8VbX2nLc7ZrK9wYp3sDf6gHj1aEu"),
    ("OpenAI, older", "sk-4tQm8VbX2nLc7ZrK9wYp3sDf6gHj1aEu"),
    ("GitHub", "ghp_4tQm8VbX2nLc7ZrK9wYp3sDf6gHj1aEuQ1w2"),
    ("GitHub, OAuth", "gho_4tQm8VbX2nLc7ZrK9wYp3sDf6gHj1aEuQ1w2"),
    ("GitHub, fine-grained", "github_pat_11AAAAAAA0aBcDeFgHiJkL_mNoPqRsTuVwXyZ0123456789"),
    ("GitLab", "glpat-xY3zW9vU7tS5rQ1pO8nM"),
    ("AWS", "AKIAQ3EXAMPLE7ZK2MNB"),
    ("Google", "AIzaSyD4tQm8VbX2nLc7ZrK9wYp3sDf6gHj1aEu"),
    ("Slack, bot", "xoxb-123456789012-1234567890123-4tQm8VbX2nLc7ZrK9wYp"),
    ("Slack, app", "xoxa-2-4tQm8VbX2nLc7ZrK"),
    ("Slack, person", "xoxp-123456789012-123456789012"),
    ("JWT", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"),
    ("JWT, cut", "eyJhbGciOiJIUzI1NiJ9"),
    ("Slack, app level", "xapp-1-A0123456789-1234567890123-4tQm8VbX2nLc7ZrK9wYp"),
    ("Google, access token", "ya29.a0AfH6SMBx4tQm8VbX2nLc7ZrK9wYp3sDf6gHj1aEu"),
    ("Google, client secret", "GOCSPX-4tQm8VbX2nLc7ZrK9wYp3sDf6g"),
    ("Google, refresh token", "1//0gXy4tQm8VbX2nLc7ZrK9wYp3sDf6gHj1aEu"),
    ("Stripe", "sk_live_4tQm8VbX2nLc7ZrK9wYp3sDf"),
    ("npm", "npm_4tQm8VbX2nLc7ZrK9wYp3sDf6gHj1aEuQ1w2"),
    ("Hugging Face", "hf_4tQm8VbX2nLc7ZrK9wYp3sDf6gHj1aEuQ1"),
];

/// What gives a secret away, and the secret.
const NAMED: [(&str, &str); 22] = [
    ("export AWS_SECRET_ACCESS_KEY=", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYq2ZZaa01bb"),
    ("aws_secret_access_key = ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYq2ZZaa01bb"),
    ("password = ", "hunter2hunter2"),
    ("export MY_TOKEN = ", "abc123abc123"),
    ("curl -H 'Authorization: Bearer ", "a1b2c3d4e5f6g7h8"),
    ("TOKEN=", "abc4tQm8VbX2"),
    ("deploy with MY_API_KEY=", "abcdef1234567890secret"),
    ("curl -H 'X-API-Key:", "abc123def456ghi7"),
    ("curl -H 'X-API-Key: ", "abc123def456ghi7"),
    ("set -x OPENAI_API_KEY ", "q4tQm8VbX2nLc7Zr"),
    ("set -gx GH_TOKEN ", "q4tQm8VbX2nLc7Zr"),
    ("machine example.org login me password ", "correcthorsebattery"),
    ("password ", "s3cr3tw0rd9z"),
    ("password: ", "correcthorsebattery"),
    ("  passphrase: ", "correcthorsebattery"),
    ("curl https://hooks.slack.com/services/", "T0AAAAAAA/B0BBBBBBB/4tQm8VbX2nLc7ZrK"),
    ("psql postgres://user:", "p@ss/w0rd9z"),
    ("git clone https://me:", "s3cr3tw0rd9z"),
    ("{\"access_token\": \"", "abcdef4tQm8VbX2"),
    ("mysql --password=", "letmein4tQm8VbX"),
    ("gt up --token ", "letmein4tQm8VbX"),
    ("token: ", "4tQm8VbX2nLc7ZrK"),
];

/// What follows each of [`NAMED`].
fn after(before: &str) -> &'static str {
    match before {
        _ if before.contains("://") && before.ends_with(':') => "@host/db and more",
        _ if before.contains('\'') => "' https://host/path",
        _ if before.contains('"') => "\", \"n\": 1}",
        _ => "",
    }
}

/// The parts of a secret that are left in a text: each of this many characters.
fn left(secret: &str, shown: &str, size: usize) -> Option<String> {
    let shown: String = shown.chars().filter(|c| *c != '\n').collect();
    let all: Vec<char> = secret.chars().collect();
    all.windows(size.min(all.len()))
        .map(|part| part.iter().collect::<String>())
        .find(|part| shown.contains(part))
}

/// As a terminal of this width shows it, in the captured lines of which no spaces are at the end.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    all.chunks(width).map(|part| part.iter().collect::<String>().trim_end().to_owned()).collect()
}

#[test]
fn no_secret_survives_at_any_width() {
    for width in (8..=48).chain([64, 80, 120]) {
        let named =
            NAMED.iter().map(|(before, secret)| (format!("{before}{secret}{}", after(before)), *secret));
        let forms = SECRETS.iter().filter(|(name, _)| *name != "JWT, cut");
        let forms = forms.map(|(_, secret)| (format!("the key is {secret}"), *secret));
        for (text, secret) in named.chain(forms) {
            let shown = mask(&wrapped(&text, width)).join("\n");
            assert_eq!(left(secret, &shown, 5), None, "{width}: {text}\n{shown}");
        }
    }
}

#[test]
fn a_key_below_another_is_masked_and_its_name_is_not() {
    let text =
        "aws_access_key_id = AKIAQ3EXAMPLE7ZK2MNB\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY";
    assert_eq!(masked(text), "aws_access_key_id = [masked]\naws_secret_access_key = [masked]");
}

#[test]
fn a_private_key_in_a_string_is_masked() {
    let part = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let parts: String = (0..12).map(|n| format!("{part}{n:02}\\n")).collect();
    let json = format!(
        "  \"private_key\": \"-----BEGIN PRIVATE KEY-----\\n{parts}Qw==\\n-----END PRIVATE KEY-----\\n\","
    );
    for width in [20, 80, 199, 200] {
        let whole = wrapped(&json, width);
        for (name, lines) in
            [("all", &whole[..]), ("its end", &whole[2..]), ("its begin", &whole[..whole.len() - 1])]
        {
            let shown = mask(lines).join("\n");
            assert!(
                !shown.contains(&part[20..36]) && !shown.contains(&part[..12]),
                "{name} at {width}: {shown}"
            );
        }
    }
    let source = format!(
        "key := \"-----BEGIN PRIVATE KEY-----\\n\" +\n  \"{part}\\n\" +\n  \"Qw9z==\\n\" +\n  \"-----END PRIVATE KEY-----\"\ndone"
    );
    let shown = masked(&source);
    assert!(!shown.contains(&part[..12]) && !shown.contains("Qw9z") && shown.ends_with("\ndone"), "{shown}");
}

#[test]
fn known_forms_are_masked_wherever_they_stand() {
    for (name, secret) in SECRETS {
        for (before, after) in [
            ("", ""),
            ("key ", " is used"),
            ("│ > ", "   │"),
            ("'", "',"),
            ("é", "é"),
            ("x=", ";"),
            ("\u{1f3a9}", "."),
        ] {
            let shown = masked(&format!("{before}{secret}{after}"));
            // A sentence's full stop may belong to a JWT.
            let wanted = format!("{before}{MASK}{after}");
            let is_it =
                shown == wanted || shown == wanted.trim_end_matches('.') || shown == format!("{MASK}{after}");
            assert!(is_it, "{name} in {before:?} {after:?}: {shown}");
        }
    }
}

#[test]
fn named_secrets_are_masked() {
    for (name, text, shown) in [
        ("variable", "export DB_PASSWORD=hunter", "export DB_PASSWORD=[masked]"),
        ("variable in quotes", "GITHUB_TOKEN=\"a b\" gt up", "GITHUB_TOKEN=[masked] gt up"),
        ("two", "TOKEN=abcd;API_KEY=efgh", "TOKEN=[masked];API_KEY=[masked]"),
        ("a key of AWS", "AWS_SECRET_ACCESS_KEY=wJalr/bPx", "AWS_SECRET_ACCESS_KEY=[masked]"),
        ("in a URL", "https://x/y?token=abcdef&page=2", "https://x/y?token=[masked]&page=2"),
        ("of a URL", "git clone https://me:s3cr3t@host/r.git", "git clone https://me:[masked]@host/r.git"),
        ("JSON", r#"{"access_token": "abcdef", "n": 1}"#, r#"{"access_token": "[masked]", "n": 1}"#),
        ("TOML", "password = 'abcdef'", "password = '[masked]'"),
        ("YAML", "  password: hunter2", "  password: [masked]"),
        ("an option", "curl --token abc123 x", "curl --token [masked] x"),
        ("an option with =", "mysql --password=letmein db", "mysql --password=[masked] db"),
        ("bearer", "-H 'Authorization: Bearer abc.def-123'", "-H 'Authorization: Bearer [masked]'"),
        ("bearer, lower case", "authorization: bearer 0123456789", "authorization: bearer [masked]"),
        ("basic", "Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic [masked]"),
        ("as Claude Code shortens it", "ANTHROPIC_KEY: sk-ant-...b7Qx-0aZkQAAAA", "ANTHROPIC_KEY: [masked]"),
    ] {
        assert_eq!(masked(text), shown, "{name}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    for (name, text) in [
        ("prose", "The token is missing; the password prompt waits. Bearer of bad news."),
        ("a scheme", "Use Bearer authentication here"),
        ("counts", "↓ 1.2k tokens · max_tokens=4096 · TOKENS=12"),
        ("a setting in JSON", r#""max_tokens": "4096""#),
        ("a reference", "TOKEN=$GITHUB_TOKEN PASSWORD=${PASS} API_KEY=$(pass show key)"),
        ("an empty one", "PASSWORD= gt up"),
        ("a placeholder", "TOKEN=<your token> API_KEY=xxxxxxxx password: ********"),
        ("a call", "token=read_token(path)"),
        ("none", "token: null, secret=None"),
        ("a question", "Password: "),
        ("the working directory", "PWD=/town OLDPWD=/town/gastown"),
        ("words that contain sk-", "task-0123456789abcdef0123 disk-0123456789abcdef012 risk-free"),
        ("a package", "sk-learn-contrib-estimators"),
        ("prefixes alone", "keys begin with sk-ant-, ghp_, AKIA, AIza, xoxb- or sk-ant-api03-"),
        ("a commit", "069cf7a4b1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6"),
        ("a UUID", "6f1c0e7a-1b2c-4d3e-8f90-a1b2c3d4e5f6"),
        ("a bead", "hook gt-o78, hq-9f3"),
        ("a certificate", "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQ2\n-----END CERTIFICATE-----"),
        ("a public key", "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKo\n-----END PUBLIC KEY-----"),
        ("a URL", "https://host:8080/a@b and ssh://git@host:22/r.git"),
        ("a frame", "│  │\n├──┤\n|  |"),
        ("nothing", ""),
    ] {
        assert_eq!(masked(text), text, "{name}");
    }
}

#[test]
fn a_wrapped_secret_is_masked_on_all_its_lines() {
    for (name, text, shown) in [
        (
            "over three lines of a box",
            "│ use sk-ant-api03-Zk3vQ9xW1mT7 │\n│ bN5cR8dF2gH4jK6lP0qSaB1cD2eF │\n│ gH4 and go on                │",
            "│ use [masked] │\n│ [masked] │\n│ [masked] and go on                │",
        ),
        ("its rest alone in a line", "TOKEN=4tQm8VbX2nLc7ZrK9wYp\n3sDf", "TOKEN=[masked]\n[masked]"),
        ("its mark alone in a line", "use sk-ant-api03-\nZk3vQ9xW1mT7bN5cR8", "use [masked]\n[masked]"),
        (
            "marks in sentences",
            "begin with ghp_\nor with github_pat_",
            "begin with ghp_\nor with github_pat_",
        ),
        (
            "a sentence below",
            "a line as wide as the terminal\nTOKEN=4tQm8VbX2nLc7ZrK\nThe token is set.",
            "a line as wide as the terminal\nTOKEN=[masked]\nThe token is set.",
        ),
        ("text after it", "see ghp_4tQm8VbX2nLc7ZrK now\n3sDf6gHj1aEu", "see [masked] now\n3sDf6gHj1aEu"),
    ] {
        assert_eq!(masked(text), shown, "{name}");
    }
}

#[test]
fn a_private_key_is_masked_as_far_as_it_is_seen() {
    let (begin, end) = ("-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----");
    let (one, two, last) = (
        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAA",
        "AAABAAAAMwAAAAtzc2gtZWQyNTUxOQAAACDm5v0y",
        "Qw==",
    );
    for (name, text, shown) in [
        (
            "all of it",
            format!("a\n{begin}\n{one}\n{two}\n{last}\n{end}\nb"),
            "a\n[masked]\n[masked]\n[masked]\n[masked]\n[masked]\nb",
        ),
        ("its end", format!("{one}\n{two}\n{end}\nb"), "[masked]\n[masked]\n[masked]\nb"),
        ("its beginning", format!("a\n{begin}\n{one}\nI stop here."), "a\n[masked]\n[masked]\nI stop here."),
        (
            "with a header",
            format!("{begin}\nProc-Type: 4,ENCRYPTED\n\n{one}\n{end}"),
            "[masked]\n[masked]\n\n[masked]\n[masked]",
        ),
        ("in one line", format!("key: {begin}\\n{one}\\n{end} ok"), "key: [masked] ok"),
        (
            "with line numbers",
            format!("  1→{begin}\n  2→{one}\n  3→{two}\n  4→{end}"),
            "  1→[masked]\n  [masked]\n  [masked]\n  [masked]",
        ),
        ("in a diff", format!("+{begin}\n+{one}\n+{end}\n+done"), "+[masked]\n[masked]\n[masked]\n+done"),
        (
            "in a box",
            format!("│ {begin} │\n│ {one} │\n│ {end} │"),
            "│ [masked] │\n│ [masked] │\n│ [masked] │",
        ),
    ] {
        assert_eq!(masked(&text), shown, "{name}");
    }
}

proptest! {
    #[test]
    fn any_lines_are_survived(lines in proptest::collection::vec("\\PC{0,60}|[ -~│─]{0,90}", 0..12)) {
        prop_assert_eq!(mask(&lines).len(), lines.len());
    }

    #[test]
    fn no_secret_is_left_in_any_text(
        which in 0..SECRETS.len(), before in "[ a-z│é\u{1f3a9}'\"(:,]{0,20}", after in "[ │,)'\"é\u{1f3a9}]{0,20}",
    ) {
        let secret = SECRETS[which].1;
        let shown = masked(&format!("{before} {secret}{after}"));
        prop_assert!(!shown.contains(&secret[8..]), "{}", shown);
    }

    #[test]
    fn no_part_of_a_wrapped_secret_is_left(which in 0..2usize, width in 24..60usize) {
        let secret: Vec<char> = format!("the key is {}", SECRETS[which].1).chars().collect();
        let lines: Vec<String> = secret.chunks(width).map(|part| part.iter().collect()).collect();
        let shown = mask(&lines).join("\n");
        prop_assert!(!shown.contains(&SECRETS[which].1[14..22]), "{}", shown);
        // The rest of it stands alone in its line.
        prop_assert!(mask(&lines)[1..].iter().all(|line| line == MASK), "{}", shown);
    }
}
