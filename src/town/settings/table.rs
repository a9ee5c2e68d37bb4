//! The table of settings: one line per key, with its meaning, type, default and allowed values.
//!
//! serde's derive is not enough here: it stops at the first mistake, knows where a value ends but not where it begins,
//! and cannot merge two files key by key. This must not know any key; the table itself is in [`settings`](super).

use super::document::Entry;

/// One section of the settings, as the reader of our own file sees it.
pub trait Section {
    /// All its keys.
    fn keys(&self) -> &'static [&'static str];

    /// Sets the value of an entry, or refuses it with what is expected; an unknown key changes nothing.
    fn set(&mut self, entry: &Entry<'_>) -> Result<(), String>;

    /// Two keys in the wrong order: the first must not be less than the second, but is.
    fn crossed(&self) -> Option<[&'static str; 2]>;
}

/// Declares `Settings` and a type for each of its sections:
/// `section: Type where key >= key { key: type = default, reader; … }`, a reader being one of [`values`](super::values).
macro_rules! settings_table {
    ($($(#[$about:meta])* $section:ident: $Section:ident $(where $more:ident >= $less:ident)? {
        $($(#[$meaning:meta])* $key:ident: $type:ty = $default:expr, $reader:expr;)*
    })*) => {
        $(
            $(#[$about])*
            #[derive(Debug, Clone, PartialEq)]
            pub struct $Section {
                $($(#[$meaning])* pub $key: $type,)*
            }

            impl Default for $Section {
                fn default() -> Self {
                    $Section { $($key: $default,)* }
                }
            }

            impl Section for $Section {
                fn keys(&self) -> &'static [&'static str] {
                    &[$(stringify!($key)),*]
                }

                fn set(&mut self, entry: &Entry<'_>) -> Result<(), String> {
                    match entry.key() {
                        $(stringify!($key) => self.$key = $reader(&entry.value()?)?,)*
                        _ => {}
                    }
                    Ok(())
                }

                fn crossed(&self) -> Option<[&'static str; 2]> {
                    $(if self.$more < self.$less {
                        return Some([stringify!($more), stringify!($less)]);
                    })?
                    None
                }
            }
        )*

        /// The settings in force. Replaced as a whole when the files change.
        #[derive(Debug, Clone, PartialEq, Default)]
        pub struct Settings {
            $($(#[$about])* pub $section: $Section,)*
            /// Which patrols run where (`mayor/daemon.json`, `patrols`).
            pub patrols: Patrols,
            /// Variables exported to the commands we run (`mayor/daemon.json`, `env`).
            pub env: BTreeMap<String, String>,
        }

        impl Settings {
            /// The sections of our own file.
            const SECTIONS: &[&str] = &[$(stringify!($section)),*];

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

pub(super) use settings_table;
