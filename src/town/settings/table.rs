//! The table of settings: one line per key, with its meaning, type, default and allowed values.
//!
//! serde's derive is not enough here: it stops at the first mistake, knows where a value ends but not where it begins,
//! and cannot merge two files key by key. This must not know any key; the table itself is in [`settings`](super).

use serde_json::Value;

use super::document::Entry;

/// One section of the settings, as the reader of our own file sees it.
pub trait Section {
    /// All its keys.
    fn keys(&self) -> &'static [&'static str];

    /// Sets the value of an entry, or refuses it with what is expected; an unknown key changes nothing.
    fn set(&mut self, entry: &Entry<'_>) -> Result<(), String>;

    /// The value of a key as it is written in the file; `None` for a section in it, and for an unknown key.
    fn value(&self, key: &str) -> Option<Value>;

    /// Two keys in the wrong order: the first must not be less than the second, but is.
    fn crossed(&self) -> Option<[&'static str; 2]>;

    /// The section in it of this name.
    fn section(&mut self, name: &str) -> Option<&mut dyn Section>;
}

/// Declares the type of a section: `Section where key >= key with section: Section { key: type = default, reader; … }`, a
/// reader being one of [`values`](super::values). `with` names a section in it; there may be several.
macro_rules! section {
    ($(#[$about:meta])* $Section:ident $(where $more:ident >= $less:ident)? $(with $inner:ident: $Inner:ident)* {
        $($(#[$meaning:meta])* $key:ident: $type:ty = $default:expr, $reader:expr;)*
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $Section {
            $($(#[$meaning])* pub $key: $type,)*
            $(#[doc = "The section in it."] pub $inner: $Inner,)*
        }

        impl Default for $Section {
            fn default() -> Self {
                $Section { $($key: $default,)* $($inner: $Inner::default(),)* }
            }
        }

        #[cfg(feature = "test-support")]
        impl $Section {
            /// Its JSON schema.
            pub(crate) fn schema() -> serde_json::Value {
                schema::section(
                    &[$(stringify!($about)),*],
                    &[$((stringify!($key), &[$(stringify!($meaning)),*], stringify!($reader)),)*],
                    vec![$((stringify!($inner), $Inner::schema()),)*],
                )
            }
        }

        impl Section for $Section {
            fn keys(&self) -> &'static [&'static str] {
                &[$(stringify!($key),)* $(stringify!($inner),)*]
            }

            fn set(&mut self, entry: &Entry<'_>) -> Result<(), String> {
                match entry.key() {
                    $(stringify!($key) => self.$key = $reader(&entry.value()?)?,)*
                    _ => {}
                }
                Ok(())
            }

            fn value(&self, key: &str) -> Option<Value> {
                match key {
                    $(stringify!($key) => Some(self.$key.shown()),)*
                    _ => None,
                }
            }

            fn crossed(&self) -> Option<[&'static str; 2]> {
                $(if self.$more < self.$less {
                    return Some([stringify!($more), stringify!($less)]);
                })?
                None
            }

            fn section(&mut self, name: &str) -> Option<&mut dyn Section> {
                match name {
                    $(stringify!($inner) => Some(&mut self.$inner),)*
                    _ => None,
                }
            }
        }
    };
}

/// Declares `Settings` and a type for each of its sections: `section: ` and what [`section!`] takes.
macro_rules! settings_table {
    ($($(#[$about:meta])* $section:ident: $Section:ident $(where $more:ident >= $less:ident)?
        $(with $inner:ident: $Inner:ident)* { $($keys:tt)* })*) => {
        $(section! {
            $(#[$about])* $Section $(where $more >= $less)? $(with $inner: $Inner)* { $($keys)* }
        })*

        /// The settings in force. Replaced as a whole when the files change.
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct Settings {
            $($(#[$about])* pub $section: $Section,)*
            /// Which patrols run where (`mayor/daemon.json`, `patrols`).
            pub patrols: Patrols,
            /// Variables exported to the commands we run (`mayor/daemon.json`, `env`).
            pub env: BTreeMap<String, String>,
        }

        #[cfg(feature = "test-support")]
        impl Settings {
            /// The JSON schema of our own file.
            pub fn schema() -> serde_json::Value {
                schema::file(vec![$((stringify!($section), $Section::schema()),)*])
            }
        }

        impl Settings {
            /// The sections of our own file.
            pub const SECTIONS: &[&str] = &[$(stringify!($section)),*];

            /// The section of this name.
            fn section(&mut self, name: &str) -> Option<&mut dyn Section> {
                match name {
                    $(stringify!($section) => Some(&mut self.$section),)*
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use section;
pub(super) use settings_table;
