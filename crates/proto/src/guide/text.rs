//! A page as plain text, for terminals: wrapped, without colour.
//!
//! Values may come from strangers (a host in somebody's discovery document), so
//! no control character of a page reaches the terminal.

use super::{Block, Lang, Page, Span};

/// Narrower than this nothing can be read; a smaller width is taken as this.
const WIDTH_MIN: usize = 20;

/// The page in lines of at most `width` characters (a word that is longer stands alone); ends with a line break.
#[must_use]
pub fn text(page: &Page, width: usize) -> String {
    let mut writer = Writer { out: String::new(), width: width.max(WIDTH_MIN), lang: page.lang };
    writer.underlined(&page.title, '=');
    for block in &page.blocks {
        writer.block(block);
    }
    writer.out
}

struct Writer {
    out: String,
    width: usize,
    lang: Lang,
}

impl Writer {
    fn block(&mut self, block: &Block) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        match block {
            Block::Heading(2, words) => self.underlined(words, '-'),
            Block::Heading(_, words) => self.wrapped("", "", words),
            Block::Paragraph(spans) => self.wrapped("", "", &self.words(spans)),
            Block::Note(spans) => self.wrapped("  ! ", "    ", &self.words(spans)),
            Block::Steps(steps) => {
                for (index, step) in steps.iter().enumerate() {
                    self.wrapped(&format!("{:>3}. ", index + 1), "     ", &self.words(step));
                }
            }
            Block::List(items) => {
                for item in items {
                    self.wrapped("  * ", "    ", &self.words(item));
                }
            }
            Block::Values(values) => self.values(values),
            Block::Table(head, rows) => self.table(head, rows),
        }
    }

    fn underlined(&mut self, words: &str, with: char) {
        let start = self.out.len();
        self.wrapped("", "", words);
        let longest = self.out[start..].lines().map(|line| line.chars().count()).max().unwrap_or_default();
        self.out.extend(std::iter::repeat_n(with, longest));
        self.out.push('\n');
    }

    /// Names in one column, values in the next; a value is never broken, since it is there to be copied.
    fn values(&mut self, values: &[(String, String)]) {
        let longest = values.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
        for (name, value) in values {
            let gap = " ".repeat(longest - name.chars().count() + 2);
            let line = format!("    {name}:{gap}{value}");
            self.out.extend(line.chars().filter(|c| !c.is_control()));
            self.out.push('\n');
        }
    }

    /// One paragraph a row, since cells are sentences: columns of them could not be read at 80 characters.
    fn table(&mut self, head: &[String], rows: &[Vec<String>]) {
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                self.out.push('\n');
            }
            for (column, cell) in row.iter().enumerate() {
                match head.get(column).filter(|_| column > 0) {
                    Some(name) => self.wrapped("    ", "      ", &format!("{name}: {cell}")),
                    None => self.wrapped("", "  ", cell),
                }
            }
        }
    }

    fn words(&self, spans: &[Span]) -> String {
        let (open, close) = quotes(self.lang);
        let mut out = String::new();
        for span in spans {
            match span {
                Span::Text(text) | Span::Value(text) => out.push_str(text),
                Span::Label(label) => {
                    out.push_str(open);
                    // A label is not torn at the end of a line: one can look for it as the client shows it.
                    out.extend(label.chars().map(|c| if c == ' ' { '\u{a0}' } else { c }));
                    out.push_str(close);
                }
                Span::Link(words, to) if to.starts_with("http") => out.push_str(&format!("{words} ({to})")),
                Span::Link(words, _) => out.push_str(words),
            }
        }
        out
    }

    fn wrapped(&mut self, first: &str, rest: &str, words: &str) {
        let mut line = first.to_owned();
        let mut used = first.chars().count();
        let mut fresh = true;
        for word in words.split([' ', '\n', '\t']).filter(|word| !word.is_empty()) {
            let length = word.chars().count();
            if !fresh && used + 1 + length > self.width {
                self.out.push_str(line.trim_end());
                self.out.push('\n');
                rest.clone_into(&mut line);
                used = rest.chars().count();
                fresh = true;
            }
            if !fresh {
                line.push(' ');
                used += 1;
            }
            line.extend(
                word.chars().filter(|c| !c.is_control()).map(|c| if c == '\u{a0}' { ' ' } else { c }),
            );
            used += length;
            fresh = false;
        }
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }
}

/// Quotation marks as the language sets them.
fn quotes(lang: Lang) -> (&'static str, &'static str) {
    match lang {
        Lang::En => ("“", "”"),
        Lang::De => ("„", "“"),
        Lang::El | Lang::Es => ("«", "»"),
        Lang::Fr => ("«\u{a0}", "\u{a0}»"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(blocks: Vec<Block>) -> Page {
        Page { title: "A title of words".into(), lang: Lang::En, blocks }
    }

    #[test]
    fn every_block() {
        let words = |text: &str| vec![Span::Text(text.into())];
        let page = page(vec![
            Block::Heading(2, "Two".into()),
            Block::Heading(3, "Three".into()),
            Block::Paragraph(vec![
                Span::Text("Open ".into()),
                Span::Label("File".into()),
                Span::Text(", type ".into()),
                Span::Value("a.test".into()),
                Span::Text(", see ".into()),
                Span::Link("this".into(), "failures".into()),
                Span::Text(" and ".into()),
                Span::Link("that".into(), "https://a.test/x".into()),
                Span::Text(".".into()),
            ]),
            Block::Steps(vec![words("one two three four five six seven"), words("two")]),
            Block::List(vec![words("item")]),
            Block::Values(vec![("Server".into(), "a.test".into()), ("Port".into(), "1".into())]),
            Block::Table(vec!["X".into(), "Y".into()], vec![vec!["1".into(), "one".into()]]),
            Block::Note(words("careful")),
        ]);
        insta::assert_snapshot!(text(&page, 30));
    }

    #[test]
    fn no_line_is_longer_and_no_control_character_passes() {
        let nasty = "a\u{1b}[31mb\u{7}\rc \u{9b}d";
        let shown = text(
            &page(vec![
                Block::Paragraph(vec![Span::Text("word ".repeat(100)), Span::Value(nasty.into())]),
                Block::Values(vec![(nasty.into(), nasty.into())]),
                Block::Table(vec![nasty.into()], vec![vec![nasty.into(), nasty.into()]]),
            ]),
            0,
        );
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
        assert!(shown.lines().filter(|l| l.contains("word")).all(|l| l.chars().count() <= WIDTH_MIN));
    }

    #[test]
    fn a_label_stays_whole() {
        let spans = vec![Span::Text("Choose the one ".into()), Span::Label("More settings".into())];
        let shown = text(&page(vec![Block::Paragraph(spans)]), 22);
        assert!(shown.ends_with("Choose the one\n“More settings”\n"), "{shown}");
    }
}
