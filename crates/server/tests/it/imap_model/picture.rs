//! What one client knows of its open mailbox, from nothing but what it is told.

use std::collections::{BTreeMap, BTreeSet};

pub type FlagSet = BTreeSet<String>;
/// UID to flags and MODSEQ.
pub type Rows = BTreeMap<u32, (FlagSet, u64)>;

/// One message.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Distinguishes rows while their numbers move.
    pub id: u64,
    pub uid: Option<u32>,
    pub flags: Option<FlagSet>,
    /// 0 until told.
    pub modseq: u64,
}

#[derive(Clone, Debug)]
pub struct Picture {
    pub mailbox: usize,
    pub read_only: bool,
    pub rows: Vec<Row>,
    pub validity: u64,
    /// HIGHESTMODSEQ as RFC 7162 section 6 tells clients to keep it.
    pub highest: u64,
    uid_only: bool,
    ids: u64,
    /// Since the last tagged answer: the highest MODSEQ, and the rows whose flags were told.
    seen_modseq: u64,
    code_modseq: Option<u64>,
    pub heard: BTreeSet<u64>,
}

/// What may come while a command runs.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// EXPUNGE and VANISHED are forbidden (RFC 9051 7.5.1).
    pub held: bool,
    /// VANISHED takes the place of EXPUNGE.
    pub vanished: bool,
    /// UID and MODSEQ have to be in what is told unasked.
    pub modseq: bool,
}

/// `5 FETCH (UID 7 FLAGS (\Seen) MODSEQ (12))` taken apart.
#[derive(Debug, Default)]
pub struct Fetched {
    pub number: u32,
    pub by_uid: bool,
    pub uid: Option<u32>,
    pub flags: Option<FlagSet>,
    pub modseq: Option<u64>,
}

impl Fetched {
    pub fn parse(line: &str) -> Option<Fetched> {
        let (number, rest) = line.split_once(' ')?;
        let (word, items) = rest.split_once(" (")?;
        let by_uid = word == "UIDFETCH";
        if !by_uid && word != "FETCH" {
            return None;
        }
        let mut fetched = Fetched { number: number.parse().ok()?, by_uid, ..Fetched::default() };
        fetched.uid = item(items, "UID ").and_then(digits);
        fetched.modseq = item(items, "MODSEQ (").and_then(digits);
        fetched.flags = item(items, "FLAGS (").map(flags);
        Some(fetched)
    }
}

fn item<'a>(items: &'a str, name: &str) -> Option<&'a str> {
    if let Some(rest) = items.strip_prefix(name) {
        return Some(rest);
    }
    items.split_once(&format!(" {name}")).map(|(_, rest)| rest)
}

fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// The flags up to the closing parenthesis.
pub fn flags(text: &str) -> FlagSet {
    let inner = &text[..text.find(')').expect("flags end")];
    inner.split_ascii_whitespace().map(str::to_owned).collect()
}

/// The UIDs of `3:5,9`.
pub fn uids(set: &str) -> Vec<u32> {
    let ranges = set.split(',').map(|range| range.split_once(':').unwrap_or((range, range)));
    let all = ranges.flat_map(|(a, b)| a.parse::<u32>().unwrap()..=b.parse().unwrap());
    all.collect()
}

impl Picture {
    pub fn new(mailbox: usize, read_only: bool, uid_only: bool) -> Picture {
        Picture {
            mailbox,
            read_only,
            rows: Vec::new(),
            validity: 0,
            highest: 0,
            uid_only,
            ids: 0,
            seen_modseq: 0,
            code_modseq: None,
            heard: BTreeSet::new(),
        }
    }

    /// Takes one untagged line; what is wrong with it otherwise.
    pub fn take(&mut self, line: &str, rules: Rules) -> Result<(), String> {
        if let Some(code) = line.strip_prefix("OK [HIGHESTMODSEQ ") {
            self.code(code);
        } else if let Some(number) = line.strip_suffix(" EXISTS") {
            self.exists(number.parse().map_err(|_| "EXISTS of what")?)?;
        } else if let Some(number) = line.strip_suffix(" EXPUNGE") {
            if rules.held || rules.vanished {
                return Err("EXPUNGE where it is forbidden".to_owned());
            }
            let at = number.parse::<usize>().map_err(|_| "EXPUNGE of what")?.wrapping_sub(1);
            if at >= self.rows.len() {
                return Err("EXPUNGE of a number that is none".to_owned());
            }
            self.rows.remove(at);
        } else if let Some(set) = line.strip_prefix("VANISHED ") {
            if !set.starts_with("(EARLIER)") {
                if rules.held || !rules.vanished {
                    return Err("VANISHED where it is forbidden".to_owned());
                }
                uids(set).into_iter().try_for_each(|uid| self.vanish(uid))?;
            }
        } else if let Some(fetched) = Fetched::parse(line) {
            self.fetched(fetched, rules)?;
        }
        Ok(())
    }

    pub fn code(&mut self, code: &str) {
        self.code_modseq = digits(code);
    }

    /// At a tagged answer: RFC 7162 section 6.
    pub fn tagged(&mut self, end: &str) {
        if let Some((_, code)) = end.split_once("[HIGHESTMODSEQ ") {
            self.code(code);
        }
        self.highest = match self.code_modseq.take() {
            Some(code) => code,
            None => self.highest.max(self.seen_modseq),
        };
        self.seen_modseq = 0;
    }

    fn exists(&mut self, count: usize) -> Result<(), String> {
        if count < self.rows.len() {
            return Err(format!("EXISTS shrinks from {}", self.rows.len()));
        }
        while self.rows.len() < count {
            self.push(None);
        }
        Ok(())
    }

    pub fn push(&mut self, uid: Option<u32>) {
        self.ids += 1;
        self.rows.push(Row { id: self.ids, uid, flags: None, modseq: 0 });
    }

    /// The UID of a message that was announced is gone; that of another must not be said.
    fn vanish(&mut self, uid: u32) -> Result<(), String> {
        if let Some(at) = self.rows.iter().position(|row| row.uid == Some(uid)) {
            self.rows.remove(at);
            return Ok(());
        }
        let at = self.unknown_for(uid).ok_or_else(|| format!("VANISHED {uid} that was never announced"))?;
        self.rows.remove(at);
        Ok(())
    }

    /// A row whose UID is not known and may be this one.
    fn unknown_for(&self, uid: u32) -> Option<usize> {
        if self.uid_only {
            return self.rows.iter().rposition(|row| row.uid.is_none());
        }
        let from = self.rows.iter().rposition(|row| row.uid.is_some_and(|u| u < uid)).map_or(0, |at| at + 1);
        let rest = self.rows[from..].iter();
        let here = rest.take_while(|row| row.uid.is_none()).count();
        (here > 0).then_some(from)
    }

    fn fetched(&mut self, fetched: Fetched, rules: Rules) -> Result<(), String> {
        if fetched.by_uid != self.uid_only {
            return Err("FETCH and UIDFETCH mixed up".to_owned());
        }
        let at = if fetched.by_uid { self.row_of(fetched.number)? } else { fetched.number as usize - 1 };
        let row = self.rows.get_mut(at).ok_or("FETCH of a number that is none")?;
        if let Some(uid) = fetched.uid {
            if row.uid.is_some_and(|known| known != uid) {
                return Err(format!("message {} had UID {:?}", fetched.number, row.uid));
            }
            row.uid = Some(uid);
        }
        let whole = fetched.modseq.is_some() && (fetched.uid.is_some() || fetched.by_uid);
        if rules.modseq && !whole {
            return Err("no UID or MODSEQ though CONDSTORE is enabled".to_owned());
        }
        if let Some(modseq) = fetched.modseq {
            if modseq < row.modseq {
                return Err(format!("MODSEQ fell from {}", row.modseq));
            }
            row.modseq = modseq;
            self.seen_modseq = self.seen_modseq.max(modseq);
        }
        if let Some(flags) = fetched.flags {
            self.heard.insert(row.id);
            row.flags = Some(flags);
        }
        if self.uid_only {
            self.rows.sort_by_key(|row| row.uid.unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// With UIDONLY: where a UID stands, or will stand.
    fn row_of(&mut self, uid: u32) -> Result<usize, String> {
        if let Some(at) = self.rows.iter().position(|row| row.uid == Some(uid)) {
            return Ok(at);
        }
        let at = self.unknown_for(uid).ok_or_else(|| format!("UIDFETCH {uid} that was never announced"))?;
        self.rows[at].uid = Some(uid);
        Ok(at)
    }

    /// Everything is known of every message.
    pub fn complete(&self) -> bool {
        self.rows.iter().all(|row| row.uid.is_some() && row.flags.is_some())
    }

    /// One message a line.
    pub fn text(&self) -> String {
        let mut text = format!("mailbox {}, highest {}\n", self.mailbox, self.highest);
        for (at, row) in self.rows.iter().enumerate() {
            text += &format!("{} UID {:?} {:?} {}\n", at + 1, row.uid, row.flags, row.modseq);
        }
        text
    }

    pub fn rows(&self) -> Rows {
        let known = self.rows.iter().filter_map(|row| Some((row.uid?, (row.flags.clone()?, row.modseq))));
        known.collect()
    }
}
