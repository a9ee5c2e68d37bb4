//! Settings as they would be written in `settings/supervisor.json`, key by key. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use serde_json::{Map, Value, json};

use super::{
    LogLevel, Naming, Resume, Settings,
    amount::{Amount, MemoryMax},
    table::Section,
    url::{SecretUrl, WebhookShape},
    values::Quiet,
};
use crate::{
    bytes, go_duration,
    town::{dialect::Dialect, dialogs::Dialog, identity::Role, usage_limit::UsageLimits},
};

/// A value that can be written in the file.
pub trait Shown {
    /// The value as it is written; reading it gives the same again, but for a URL, of which only scheme and host are shown.
    fn shown(&self) -> Value;
}

macro_rules! as_json {
    ($($type:ty),*) => {
        $(impl Shown for $type {
            fn shown(&self) -> Value {
                json!(self)
            }
        })*
    };
}

as_json!(bool, u32, u64, usize, f64, String);

macro_rules! as_text {
    ($($type:ty: $text:expr),* $(,)?) => {
        $(impl Shown for $type {
            fn shown(&self) -> Value {
                let text: fn(&$type) -> String = $text;
                Value::String(text(self))
            }
        })*
    };
}

as_text! {
    Duration: |it| go_duration::short(*it),
    PathBuf: |it| it.to_string_lossy().into_owned(),
    SocketAddr: SocketAddr::to_string,
    Amount: |it| match it {
        Amount::Bytes(bytes) => bytes::exact(*bytes),
        Amount::Percent(_) => it.to_string(),
    },
    Quiet: Quiet::to_string,
    Dialect: |it| it.facts().name.to_owned(),
    Dialog: |it| it.name().to_owned(),
    SecretUrl: SecretUrl::to_string,
    WebhookShape: |it| match it {
        WebhookShape::Json => "json".to_owned(),
        WebhookShape::Slack => "slack".to_owned(),
        WebhookShape::Discord => "discord".to_owned(),
    },
    Role: |it| it.as_str().to_owned(),
    Naming: |it| match it {
        Naming::Rig => "rig".to_owned(),
        Naming::Prefix => "prefix".to_owned(),
    },
    Resume: |it| match it {
        Resume::Same => "same".to_owned(),
        Resume::Fresh => "fresh".to_owned(),
    },
    LogLevel: |it| match it {
        LogLevel::Error => "error".to_owned(),
        LogLevel::Warn => "warn".to_owned(),
        LogLevel::Info => "info".to_owned(),
        LogLevel::Debug => "debug".to_owned(),
    },
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::shown)
    }
}

impl<T: Shown> Shown for BTreeSet<T> {
    fn shown(&self) -> Value {
        self.iter().map(T::shown).collect()
    }
}

impl<T: Shown> Shown for Vec<T> {
    fn shown(&self) -> Value {
        self.iter().map(T::shown).collect()
    }
}

impl<T: Shown> Shown for BTreeMap<String, T> {
    fn shown(&self) -> Value {
        Value::Object(self.iter().map(|(name, value)| (name.clone(), value.shown())).collect())
    }
}

impl Shown for UsageLimits {
    fn shown(&self) -> Value {
        json!(self.patterns())
    }
}

impl Shown for MemoryMax {
    fn shown(&self) -> Value {
        if self.by_role.is_empty() {
            return self.all.shown();
        }
        let roles = self.by_role.iter().map(|(role, amount)| (role.as_str().to_owned(), amount.shown()));
        let all = self.all.map(|amount| ("all".to_owned(), amount.shown()));
        Value::Object(all.into_iter().chain(roles).collect::<Map<_, _>>())
    }
}

impl Settings {
    /// Each key of our own file with its value, in the order of the table: `heartbeat.interval`, `"3m"`.
    pub fn shown(&self) -> Vec<(String, Value)> {
        let (mut settings, mut shown) = (self.clone(), Vec::new());
        for name in Settings::SECTIONS {
            let Some(section) = settings.section(name) else { continue };
            shown.extend(keys_of(section).into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
        }
        shown
    }
}

/// Each key of a section with its value, and of the sections in it: `memory.max`, `"2GiB"`.
pub fn keys_of(section: &mut dyn Section) -> Vec<(String, Value)> {
    let mut shown = Vec::new();
    for key in section.keys() {
        if let Some(value) = section.value(key) {
            shown.push(((*key).to_owned(), value));
        } else if let Some(inner) = section.section(key) {
            shown.extend(keys_of(inner).into_iter().map(|(it, value)| (format!("{key}.{it}"), value)));
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::town::settings::read::{Sources, resolve};

    /// A file with these keys.
    fn file(shown: &[(String, Value)]) -> String {
        let mut file = json!({});
        for (path, value) in shown {
            let pointer = path.split('.').fold(&mut file, |at, key| &mut at[key]);
            *pointer = value.clone();
        }
        file.to_string()
    }

    #[test]
    fn what_is_shown_is_read_as_the_same() {
        let ours = |text: &str, dialect| {
            let ours = Some((Path::new("settings/supervisor.json"), text.as_bytes()));
            resolve(dialect, Sources { ours, ..Sources::default() }).unwrap().settings
        };
        let changed = json!({
            "start": {"memory": {"max": {"all": "2GiB", "polecat": "512MiB"}, "min_available": "1GiB"}},
            "resume": {"witness": "same"},
            "dialogs": {"answer": ["trust_folder"]},
            "usage_limit": {"quiet": "23:00-07:05", "patterns": ["limit reached"], "wake_except": []},
            "tmux": {"socket_path": "/tmp/x", "naming": "prefix"},
            "http": {"listen": "[::1]:8642", "token_file": "/etc/token", "hosts": ["town.example:8443"]},
            "log": {"level": "debug"},
        });
        for dialect in Dialect::ALL {
            for settings in [Settings::of(dialect), ours(&changed.to_string(), dialect)] {
                assert_eq!(ours(&file(&settings.shown()), dialect), settings, "{dialect:?}");
            }
        }
    }
}
