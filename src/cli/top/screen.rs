//! The terminal that `top` draws on: taken when it begins, and given back on every way out.
//!
//! It knows nothing of what is drawn.

use std::{
    io::{self, BufWriter, Stdout, Write},
    panic,
};

use crossterm::{
    cursor::{Hide, Show},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    layout::{Position, Rect},
    text::Line,
    widgets::Paragraph,
};

/// The terminal of this process. Dropping it gives the terminal back.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Screen {
    /// Takes the terminal. A panic gives it back before it is reported.
    pub fn open() -> io::Result<Screen> {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back();
            report(info);
        }));
        // In one piece, as a line may be slow.
        let screen = Screen {
            terminal: Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(
                64 * 1024,
                io::stdout(),
            )))?,
        };
        take()?;
        Ok(screen)
    }

    /// Its size, in columns and lines.
    pub fn size(&self) -> io::Result<(usize, usize)> {
        let size = self.terminal.size()?;
        Ok((usize::from(size.width), usize::from(size.height)))
    }

    /// Writes what differs from what is there.
    pub fn draw(&mut self, lines: Vec<Line<'static>>) -> io::Result<()> {
        self.terminal.draw(|frame| frame.render_widget(Paragraph::new(lines), frame.area()))?;
        self.terminal.backend_mut().flush()
    }

    /// Gives the terminal to another program.
    pub fn leave(&self) {
        give_back();
    }

    /// Takes it again; the next picture is drawn whole.
    pub fn take_again(&mut self) -> io::Result<()> {
        take()?;
        // Not `clear`: that asks the terminal where its cursor is, and waits for the answer among the keys.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    execute!(io::stdout(), EnterAlternateScreen, Hide)
}

fn give_back() {
    // There is nobody left to report a failure to.
    let _ = execute!(io::stdout(), Show, LeaveAlternateScreen);
    let _ = disable_raw_mode();
}
