//! Amounts of bytes as people write them: `1.5 GiB`. Pure.

/// The units, each 1024 times the one before.
const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// This many bytes, in the largest unit of which they are a whole number.
pub fn exact(bytes: u64) -> String {
    let at = (0..UNITS.len()).rev().find(|at| bytes.is_multiple_of(1 << (10 * at))).unwrap_or(0);
    format!("{}{}", bytes >> (10 * at), UNITS[at])
}

/// This many bytes, in the largest unit of which there is at least one, with one digit behind the point.
pub fn format(bytes: u64) -> String {
    let mut unit = 0;
    while unit + 1 < UNITS.len() && bytes >> (10 * unit) >= 1024 {
        unit += 1;
    }
    let amount = bytes as f64 / f64::from(1_u32 << 10).powi(i32::try_from(unit).unwrap_or(0));
    let text = format!("{amount:.1}");
    format!("{} {}", text.trim_end_matches('0').trim_end_matches('.'), UNITS[unit])
}

/// Reads a number with a unit (`2GiB`, `512 MiB`) or with the letter of one, as systemd takes it (`2G`): all of them powers
/// of 1024. `None`: it is none, has no unit, or is zero, or more than 16 EiB.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit = unit.trim();
    // A forgotten unit, or a forgotten `%`, would make almost nothing of much.
    let power = UNITS.iter().position(|it| *it == unit || *it != "B" && it[..1] == *unit)?;
    let number: f64 = number.parse().ok()?;
    let bytes = number * 1024_f64.powi(i32::try_from(power).ok()?);
    (bytes >= 1.0 && bytes < u64::MAX as f64).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (500 << 20, "500 MiB"),
            (1 << 30, "1 GiB"),
            (1_288_490_189, "1.2 GiB"),
            (64 << 30, "64 GiB"),
            (3 << 40, "3 TiB"),
            (5000 << 40, "5000 TiB"),
        ] {
            assert_eq!(format(bytes), text);
        }
    }

    #[test]
    fn written_amounts() {
        for (text, bytes) in [
            ("1", None),
            ("99.5", None),
            ("1B", Some(1)),
            ("2GiB", Some(2 << 30)),
            (" 512 MiB ", Some(512 << 20)),
            ("1.5G", Some(3 << 29)),
            ("4K", Some(4096)),
            ("2T", Some(2 << 40)),
            ("10B", Some(10)),
            ("0", None),
            ("0.5", None),
            ("", None),
            ("GiB", None),
            ("-1GiB", None),
            ("2GB", None),
            ("1e9", None),
            ("1.2.3M", None),
            ("99999999TiB", None),
        ] {
            assert_eq!(parse(text), bytes, "{text:?}");
        }
    }
}
