//! The keys that a stand-in agent gets, as bytes of its terminal.

/// The meaning of the keys.
pub enum Event {
    /// Enter, and what was typed before it.
    Message(Vec<u8>),
    /// Cursor down, or up.
    Move(bool),
    /// Ctrl-C.
    Interrupt,
}

/// Parses the bytes of a terminal, one by one.
#[derive(Default)]
pub struct Keys {
    typed: Vec<u8>,
    state: KeyState,
}

#[derive(Default)]
enum KeyState {
    #[default]
    Plain,
    /// After an escape: the Escape key, or the start of a sequence.
    Escape,
    /// Inside `ESC [ …` or `ESC O …`.
    Sequence(Vec<u8>),
    /// Between the marks of a bracketed paste: everything is text.
    Paste,
}

const PASTE_END: &[u8] = b"\x1b[201~";

impl Keys {
    /// Takes one byte; the key or message that it completes.
    pub fn take(&mut self, byte: u8) -> Option<Event> {
        match &mut self.state {
            KeyState::Paste => {
                self.typed.push(byte);
                if self.typed.ends_with(PASTE_END) {
                    self.typed.truncate(self.typed.len() - PASTE_END.len());
                    self.state = KeyState::Plain;
                }
                None
            }
            KeyState::Sequence(sequence) => {
                sequence.push(byte);
                if !(0x40..=0x7e).contains(&byte) {
                    return None;
                }
                let moved = matches!(byte, b'A' | b'B').then_some(Event::Move(byte == b'B'));
                self.state = if sequence == b"200~" { KeyState::Paste } else { KeyState::Plain };
                moved
            }
            KeyState::Escape if matches!(byte, b'[' | b'O') => {
                self.state = KeyState::Sequence(Vec::new());
                None
            }
            KeyState::Escape | KeyState::Plain => {
                self.state = KeyState::Plain;
                self.plain(byte)
            }
        }
    }

    fn plain(&mut self, byte: u8) -> Option<Event> {
        match byte {
            b'\r' => return Some(Event::Message(std::mem::take(&mut self.typed))),
            0x03 => return Some(Event::Interrupt),
            0x1b => self.state = KeyState::Escape,
            0x7f => {
                self.typed.pop();
            }
            byte => self.typed.push(byte),
        }
        None
    }
}
