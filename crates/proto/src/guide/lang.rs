//! The guide's languages, and which of them a reader gets.

/// Languages of the guide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// German.
    De,
    /// Greek.
    El,
    /// Spanish.
    Es,
    /// French.
    Fr,
}

/// Entries of an `Accept-Language` field that are looked at; what stands behind them is not read.
const ENTRIES_MAX: usize = 50;

impl Lang {
    /// All.
    pub const ALL: [Lang; 5] = [Lang::En, Lang::De, Lang::El, Lang::Es, Lang::Fr];

    /// `en`, `de` …
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::De => "de",
            Lang::El => "el",
            Lang::Es => "es",
            Lang::Fr => "fr",
        }
    }

    /// What its speakers call it, for a switch between languages.
    #[must_use]
    pub const fn own_name(self) -> &'static str {
        match self {
            Lang::En => "English",
            Lang::De => "Deutsch",
            Lang::El => "Ελληνικά",
            Lang::Es => "Español",
            Lang::Fr => "Français",
        }
    }

    /// The language of this code alone: `de`, in any letter case.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Lang> {
        Lang::ALL.into_iter().find(|lang| lang.code().eq_ignore_ascii_case(code))
    }

    /// The best for an `Accept-Language` field or a locale (`de_DE.UTF-8`); English if none fits.
    ///
    /// Only the primary subtag counts (RFC 4647 3.4, lookup that falls back to it): we have one
    /// text for all who read German. Of two with the same quality the earlier wins (RFC 9110 12.5.4).
    #[must_use]
    pub fn choose(wanted: &str) -> Lang {
        let mut best = (0, Lang::default());
        for entry in wanted.split([',', ':']).take(ENTRIES_MAX) {
            let mut parts = entry.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let quality = parts
                .find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")))
                .map_or(Some(1000), thousandths);
            let primary = tag.split(['-', '_', '.', '@']).next().unwrap_or_default();
            let lang = if tag == "*" { Some(Lang::default()) } else { Lang::from_code(primary) };
            if let (Some(quality), Some(lang)) = (quality, lang)
                && quality > best.0
            {
                best = (quality, lang);
            }
        }
        best.1
    }
}

/// A quality value in thousandths (RFC 9110 12.4.2: `0`, `0.5`, `1.000`); `None` if it is none.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: u32 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(digits),
        "1" if digits == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chooses_as_the_reader_wishes() {
        for (wanted, lang) in [
            ("", Lang::En),
            ("de", Lang::De),
            ("DE-at", Lang::De),
            ("de_DE.UTF-8", Lang::De),
            ("el_GR@euro", Lang::El),
            ("C.UTF-8", Lang::En),
            ("POSIX", Lang::En),
            ("fr_FR:de:en", Lang::Fr),
            ("it,pt;q=0.9", Lang::En),
            ("it, es-419;q=0.8, en;q=0.7", Lang::Es),
            ("en;q=0.5,fr;q=0.9,de;q=0.9", Lang::Fr),
            ("de;q=0, el;q=0.001", Lang::El),
            ("de;q=0", Lang::En),
            ("de;q=2, fr;q=0.1", Lang::Fr),
            ("de;q=0.1234, fr;q=0.1", Lang::Fr),
            ("*;q=0.5, fr;q=0.4", Lang::En),
            ("fr;q=0.6, *;q=0.5", Lang::Fr),
            ("den", Lang::En),
            (",;,;q=,\u{0},de", Lang::De),
        ] {
            assert_eq!(Lang::choose(wanted), lang, "{wanted:?}");
        }
    }

    #[test]
    fn reads_no_endless_field() {
        let long = "xx,".repeat(ENTRIES_MAX) + "de";
        assert_eq!(Lang::choose(&long), Lang::En);
        assert_eq!(Lang::choose(&long[3..]), Lang::De);
    }

    #[test]
    fn codes_and_names_are_distinct() {
        for lang in Lang::ALL {
            assert_eq!(Lang::from_code(&lang.code().to_uppercase()), Some(lang));
            assert_eq!(Lang::ALL.iter().filter(|l| l.own_name() == lang.own_name()).count(), 1);
        }
    }
}
