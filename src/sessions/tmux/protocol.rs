//! The control-mode protocol: what a `tmux -C` client prints, as events. Pure and incremental.
//!
//! As observed with tmux 3.3a: the answer to each command is between `%begin TIME NUMBER FLAGS` and `%end` or
//! `%error` with the same three numbers; flag 1 marks an answer to a command of ours, blocks without it come from
//! hooks and from attaching. All other lines that begin with `%` are notices. Nothing here may fail: unknown lines
//! are ignored, and an answer that is too long is truncated and marked.

/// The most bytes of an answer; the rest is dropped and the answer marked as cut.
pub const MAX_ANSWER: usize = 16 << 20;
/// The maximum length of a notice that is parsed.
const MAX_NOTICE: usize = 4 << 10;

/// An answer of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// True when it answers a command we sent; false for the first block and for what hooks print.
    pub ours: bool,
    /// `Ok` for `%end`, `Err` for `%error`: the lines in between.
    pub text: Result<String, String>,
    /// True when the lines exceeded [`MAX_ANSWER`] and the rest was dropped.
    pub cut: bool,
}

/// An event from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An answer.
    Answer(Answer),
    /// Sessions or windows were created, renamed or ended.
    Changed,
    /// The window with this id (`@3`) was closed, or removed from a session.
    WindowClosed(String),
    /// The connection ends, for this reason (often empty).
    Exit(String),
}

#[derive(Debug)]
struct Block {
    guard: [u64; 3],
    text: Vec<u8>,
    cut: bool,
}

/// The parser: takes bytes in any chunks and returns events.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    line_cut: bool,
    block: Option<Block>,
}

impl Parser {
    /// A parser at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and returns what they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(end) => {
                    self.extend(end);
                    events.extend(self.finish_line());
                }
                None => self.extend(part),
            }
        }
        events
    }

    fn extend(&mut self, part: &[u8]) {
        let limit = if self.block.is_some() { MAX_ANSWER } else { MAX_NOTICE };
        let room = limit.saturating_sub(self.line.len());
        self.line_cut |= part.len() > room;
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn finish_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let cut = std::mem::take(&mut self.line_cut);
        let Some(block) = &mut self.block else {
            return self.outside(&line);
        };
        if !cut
            && let Some((ok, guard)) = end_of_block(&line)
            && guard == block.guard
        {
            return self.block.take().map(|block| finish_block(block, ok));
        }
        block.cut |= cut || block.text.len() + line.len() >= MAX_ANSWER;
        if !block.cut {
            block.text.extend_from_slice(&line);
            block.text.push(b'\n');
        }
        None
    }

    fn outside(&mut self, line: &[u8]) -> Option<Event> {
        let (word, rest) = split_word(line);
        match word {
            b"%begin" => {
                self.block = guard(rest).map(|guard| Block { guard, text: Vec::new(), cut: false });
                None
            }
            b"%exit" => Some(Event::Exit(String::from_utf8_lossy(rest).trim().to_owned())),
            b"%window-close" | b"%unlinked-window-close" => Some(match window_id(rest) {
                Some(window) => Event::WindowClosed(window),
                None => Event::Changed,
            }),
            b"%sessions-changed" | b"%session-renamed" | b"%window-add" | b"%unlinked-window-add" => {
                Some(Event::Changed)
            }
            _ => None,
        }
    }
}

/// The id at the start of a notice's arguments.
fn window_id(rest: &[u8]) -> Option<String> {
    let (id, _) = split_word(rest);
    let number = id.strip_prefix(b"@").filter(|number| !number.is_empty())?;
    number.iter().all(u8::is_ascii_digit).then(|| String::from_utf8_lossy(id).into_owned())
}

fn finish_block(block: Block, ok: bool) -> Event {
    let mut text = String::from_utf8_lossy(&block.text).into_owned();
    // The last newline ends the last line; it is not part of the text.
    text.pop();
    Event::Answer(Answer {
        ours: block.guard[2] & 1 == 1,
        text: if ok { Ok(text) } else { Err(text) },
        cut: block.cut,
    })
}

fn end_of_block(line: &[u8]) -> Option<(bool, [u64; 3])> {
    let (word, rest) = split_word(line);
    let ok = match word {
        b"%end" => true,
        b"%error" => false,
        _ => return None,
    };
    Some((ok, guard(rest)?))
}

fn split_word(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[]),
    }
}

fn guard(text: &[u8]) -> Option<[u64; 3]> {
    let mut numbers = std::str::from_utf8(text).ok()?.split(' ').map(|number| number.parse().ok());
    let guard = [numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(guard)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn answer(ours: bool, text: Result<&str, &str>) -> Event {
        let text = text.map(str::to_owned).map_err(str::to_owned);
        Event::Answer(Answer { ours, text, cut: false })
    }

    fn all(stream: &str) -> Vec<Event> {
        Parser::new().feed(stream.as_bytes())
    }

    #[test]
    fn streams_grid() {
        #[rustfmt::skip]
        let cases: [(&str, &str, Vec<Event>); 11] = [
            ("as tmux 3.3a begins", "%begin 1795389906 259 0\n%end 1795389906 259 0\n%window-add @0\n%sessions-changed\n%session-changed $0 _supervisor\n",
                vec![answer(false, Ok("")), Event::Changed, Event::Changed]),
            ("an answer", "%begin 1 2 1\na\n\nb\n%end 1 2 1\n", vec![answer(true, Ok("a\n\nb"))]),
            ("a refusal", "%begin 1 2 1\ncan't find session: x\n%error 1 2 1\n", vec![answer(true, Err("can't find session: x"))]),
            ("another block's end inside", "%begin 1 2 1\n%end 1 3 1\n%end 2 2 1\n%end 1 2 0\n%error 1 2\n%end 1 2 1 1\n%end 1 2 1\n",
                vec![answer(true, Ok("%end 1 3 1\n%end 2 2 1\n%end 1 2 0\n%error 1 2\n%end 1 2 1 1"))]),
            ("notices inside are text", "%begin 1 2 1\n%exit\n%begin 1 2 1\n%end 1 2 1\n", vec![answer(true, Ok("%exit\n%begin 1 2 1"))]),
            ("what a hook prints", "%begin 1 2 0\nhooked\n%end 1 2 0\n", vec![answer(false, Ok("hooked"))]),
            ("ends that nothing began", "%end 1 2 1\n%error 1 2 1\n", vec![]),
            ("a broken begin", "%begin x 2 1\n%exit\n", vec![Event::Exit(String::new())]),
            ("exit with a reason", "%exit server exited unexpectedly\n", vec![Event::Exit("server exited unexpectedly".into())]),
            ("unknown lines and output", "%output %1 abc\nhello\n\n%new-thing 1\n%unlinked-window-renamed @1 sh\n%unlinked-window-close @1\n", vec![Event::WindowClosed("@1".into())]),
            ("windows that close", "%window-close @12\n%unlinked-window-close @3 x\n%window-close\n%window-close 3\n%window-close @\n%window-close @x\n",
                vec![Event::WindowClosed("@12".into()), Event::WindowClosed("@3".into()), Event::Changed, Event::Changed, Event::Changed, Event::Changed]),
        ];
        for (name, stream, wanted) in cases {
            assert_eq!(all(stream), wanted, "{name}");
        }
    }

    #[test]
    fn an_answer_too_long_is_cut_and_the_next_is_whole() {
        let mut parser = Parser::new();
        parser.feed(b"%begin 1 2 1\n");
        for _ in 0..40 {
            assert!(parser.feed(&vec![b'x'; 1 << 20]).is_empty());
            assert!(parser.line.len() <= MAX_ANSWER, "memory is bounded");
        }
        let events = parser.feed(b"\n%end 1 2 1\n%begin 1 3 1\nok\n%end 1 3 1\n");
        assert!(matches!(&events[0], Event::Answer(Answer { cut: true, .. })));
        assert_eq!(events[1], answer(true, Ok("ok")));
    }

    #[test]
    fn a_notice_without_end_is_bounded() {
        let mut parser = Parser::new();
        for _ in 0..100 {
            assert!(parser.feed(&[b'%'; 4096]).is_empty());
        }
        assert!(parser.line.len() <= MAX_NOTICE);
    }

    /// A piece of a valid stream, and the expected event.
    fn piece() -> impl Strategy<Value = (String, Option<Event>)> {
        let line = "[ -~]{0,20}|%(begin|end|error) [0-9] [0-9]|%exit x";
        let block = (any::<u64>(), any::<u64>(), 0u64..2, vec(line, 0..5), any::<bool>());
        prop_oneof![
            block.prop_map(|(time, number, flags, lines, ok)| {
                let guard = format!("{time} {number} {flags}");
                let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
                let end = if ok { "%end" } else { "%error" };
                let text = lines.join("\n");
                let text = if ok { Ok(text.as_str()) } else { Err(text.as_str()) };
                (format!("%begin {guard}\n{body}{end} {guard}\n"), Some(answer(flags == 1, text)))
            }),
            Just(("%sessions-changed\n".to_owned(), Some(Event::Changed))),
            Just(("%layout-change @1 x\n".to_owned(), None)),
        ]
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_survived(portions in vec(vec(any::<u8>(), 0..200), 0..20)) {
            let mut parser = Parser::new();
            for portion in portions {
                parser.feed(&portion);
            }
        }

        #[test]
        fn lines_of_the_protocol_in_any_order_are_survived(lines in vec("%(begin|end|error|exit)( [0-9]){0,4}\n", 0..50)) {
            all(&lines.concat());
        }

        #[test]
        fn portions_do_not_matter(pieces in vec(piece(), 0..10), size in 1usize..40) {
            let stream: String = pieces.iter().map(|(text, _)| text.as_str()).collect();
            let wanted: Vec<Event> = pieces.into_iter().filter_map(|(_, event)| event).collect();
            let mut parser = Parser::new();
            let found: Vec<Event> = stream.as_bytes().chunks(size).flat_map(|part| parser.feed(part)).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
