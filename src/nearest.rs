//! Nearest: which of the known words somebody may have meant. Pure.

/// The longest word that is compared, in characters.
const LONGEST: usize = 200;

/// In how many letters two words differ, upper and lower case being the same; `None` when they are not alike: one letter in
/// three may differ.
pub fn distance(one: &str, other: &str) -> Option<usize> {
    let lower = |text: &str| text.chars().take(LONGEST).collect::<String>().to_lowercase();
    let (one, other) = (lower(one), lower(other));
    let distance = strsim::osa_distance(&one, &other);
    (distance * 3 <= other.chars().count()).then_some(distance)
}

/// The known word that is most like this one, the first of those that are equally so; `None` when none is like it.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let alike = known.into_iter().filter_map(|it| Some((distance(word, it)?, it)));
    alike.min_by_key(|(distance, _)| *distance).map(|(_, it)| it)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_meant() {
        let known = ["command", "dir", "env", "restart", "replicas", "resume"];
        for (word, meant) in [
            ("comand", Some("command")),
            ("Command", Some("command")),
            ("dri", Some("dir")),
            ("restrat", Some("restart")),
            ("resume", Some("resume")),
            ("replica", Some("replicas")),
            ("", None),
            ("x", None),
            ("memory", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word:?}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), known), None);
    }
}
