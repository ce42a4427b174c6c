//! Finding mailboxes and files below a path.
//!
//! Links are not followed, so that nothing is read twice and no circle is
//! walked; only regular files are opened, so that no pipe blocks the run.

use super::{Error, Kind, MailboxSource, mbox, names};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Levels below the root.
const DEPTH_MAX: usize = 32;
/// Mailboxes of one run.
const BOXES_MAX: usize = 100_000;
/// Files that are looked at to find out what a directory holds.
const DETECT_FILES_MAX: usize = 10_000;

/// What a path holds, if anything tells.
pub fn detect(path: &Path) -> Result<Option<Kind>, Error> {
    let metadata = fs::metadata(path).map_err(|e| Error::Io(path.to_owned(), e))?;
    if metadata.is_file() {
        let is_mbox = mbox::looks_like_mbox(path).map_err(|e| Error::Io(path.to_owned(), e))?;
        return Ok(match (is_mbox, has_extension(path, "eml")) {
            // A single message saved with its `From ` line is still one message, but an mbox of one reads it well.
            (true, _) => Some(Kind::Mbox),
            (false, true) => Some(Kind::Folder),
            (false, false) => None,
        });
    }
    if is_maildir(path) {
        return Ok(Some(Kind::Maildir));
    }
    let mut waiting = vec![(path.to_owned(), 0)];
    let mut looked_at = 0;
    while let Some((directory, depth)) = waiting.pop() {
        for (entry, is_dir) in entries(&directory)? {
            looked_at += 1;
            if looked_at > DETECT_FILES_MAX {
                return Ok(None);
            }
            if is_dir && is_maildir(&entry) {
                return Ok(Some(Kind::Maildir));
            }
            if is_dir && depth < DEPTH_MAX {
                waiting.push((entry, depth + 1));
            } else if !is_dir && has_extension(&entry, "eml") {
                return Ok(Some(Kind::Folder));
            } else if !is_dir && mbox::looks_like_mbox(&entry).unwrap_or(false) {
                return Ok(Some(Kind::Mbox));
            }
        }
    }
    Ok(None)
}

/// All mailboxes of that kind below the path, the root first.
pub fn boxes(path: &Path, kind: Kind) -> Result<Vec<MailboxSource>, Error> {
    let mut found = Vec::new();
    let metadata = fs::metadata(path).map_err(|e| Error::Io(path.to_owned(), e))?;
    if metadata.is_file() {
        let fits = match kind {
            Kind::Mbox => true,
            Kind::Folder => has_extension(path, "eml"),
            Kind::Maildir => false,
        };
        if fits {
            found.push(MailboxSource { path: path.to_owned(), levels: Vec::new() });
        }
    } else {
        collect(path, path, kind, &[], &mut found)?;
    }
    Ok(found)
}

/// The message files of one mailbox, in the order of their names, which is that
/// of delivery in a Maildir. One mailbox' names are held in memory.
pub fn files(path: &Path, kind: Kind) -> Result<Vec<PathBuf>, Error> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    match kind {
        Kind::Maildir => {
            for part in ["cur", "new"] {
                let part = path.join(part);
                if part.is_dir() {
                    found.extend(entries(&part)?.into_iter().filter(|(_, is_dir)| !is_dir).map(|(p, _)| p));
                }
            }
            found.retain(|file| !is_hidden(file));
            // `cur` and `new` together in the order of delivery.
            found.sort_by_cached_key(|file| delivery_order(file));
        }
        Kind::Folder | Kind::Mbox => {
            let all = entries(path)?.into_iter().filter(|(_, is_dir)| !is_dir).map(|(p, _)| p);
            found.extend(all.filter(|file| has_extension(file, "eml") && !is_hidden(file)));
        }
    }
    Ok(found)
}

fn collect(
    root: &Path,
    path: &Path,
    kind: Kind,
    levels: &[String],
    found: &mut Vec<MailboxSource>,
) -> Result<(), Error> {
    if levels.len() > DEPTH_MAX || found.len() >= BOXES_MAX {
        return Err(Error::TooManyFolders(root.to_owned()));
    }
    let source =
        |path: &Path, levels: &[String]| MailboxSource { path: path.to_owned(), levels: levels.to_vec() };
    match kind {
        Kind::Maildir if is_maildir(path) => found.push(source(path, levels)),
        Kind::Folder if !files(path, kind)?.is_empty() => found.push(source(path, levels)),
        _ => {}
    }
    for (entry, is_dir) in entries(path)? {
        let name = entry.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let mut below = levels.to_vec();
        if is_dir {
            match kind {
                Kind::Maildir if matches!(name.as_str(), "cur" | "new" | "tmp") => continue,
                Kind::Maildir => below.extend(maildir_levels(&name)),
                // Thunderbird keeps the mailboxes below `Work` in `Work.sbd`.
                Kind::Mbox => below.push(names::level(name.strip_suffix(".sbd").unwrap_or(&name))),
                Kind::Folder => below.push(names::level(&name)),
            }
            collect(root, &entry, kind, &below, found)?;
        } else if kind == Kind::Mbox && mbox::looks_like_mbox(&entry).unwrap_or(false) {
            below.push(names::level(name.strip_suffix(".mbox").unwrap_or(&name)));
            if below.len() == 1 && below[0].eq_ignore_ascii_case("inbox") {
                below.clear();
            }
            found.push(source(&entry, &below));
        }
    }
    Ok(())
}

/// Levels of a Maildir's directory name: `.Work.Bills` is two (Maildir++), `Work` is one.
fn maildir_levels(name: &str) -> Vec<String> {
    let Some(name) = name.strip_prefix('.') else { return vec![names::level(&names::decode_utf7(name))] };
    name.split('.')
        .filter(|part| !part.is_empty())
        .map(|part| names::level(&names::decode_utf7(part)))
        .collect()
}

fn is_maildir(path: &Path) -> bool {
    path.join("cur").is_dir() || (path.join("new").is_dir() && path.join("tmp").is_dir())
}

/// Names begin with the second of delivery and then go on as the writer likes.
fn delivery_order(path: &Path) -> (u64, String) {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
    (name[..digits].parse().unwrap_or(u64::MAX), name)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted))
}

/// Directories and regular files, by name; true for a directory.
fn entries(path: &Path) -> Result<Vec<(PathBuf, bool)>, Error> {
    let read = || -> io::Result<Vec<(PathBuf, bool)>> {
        let mut out = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() || kind.is_file() {
                out.push((entry.path(), kind.is_dir()));
            }
        }
        out.sort();
        Ok(out)
    };
    read().map_err(|e| Error::Io(path.to_owned(), e))
}
