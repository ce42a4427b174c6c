//! SPF records (RFC 7208) as far as advice needs them: terms, mistakes, look-ups.

use std::net::IpAddr;

/// Look-ups that an SPF check may cost (RFC 7208 4.6.4).
pub(super) const LOOKUPS_MAX: usize = 10;

/// What a record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spf {
    /// Mechanisms with their qualifiers, in order, in lower case.
    pub(super) terms: Vec<Term>,
    /// Target of `redirect=`.
    pub(super) redirect: Option<String>,
    /// What is wrong with its syntax, each a sentence.
    pub(super) mistakes: Vec<String>,
}

/// One mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    /// `+`, `-`, `~` or `?`.
    pub(super) qualifier: char,
    /// `a`, `mx`, `include` and so on.
    pub(super) name: String,
    /// What stands behind the colon, or behind the name for a prefix length alone.
    pub(super) value: Option<String>,
}

/// Is this text an SPF record at all (4.5)?
pub(super) fn is_spf(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower == "v=spf1" || lower.starts_with("v=spf1 ")
}

/// Reads a record; what is wrong is told and skipped.
pub(super) fn read(text: &str) -> Spf {
    let mut spf = Spf::default();
    for term in text.split(' ').skip(1).filter(|term| !term.is_empty()) {
        if let Some(at) = term.find('=').filter(|at| !term[..*at].contains([':', '/'])) {
            modifier(&mut spf, &term[..at], &term[at + 1..]);
        } else {
            mechanism(&mut spf, term);
        }
    }
    if let Some(at) = spf.terms.iter().position(|term| term.name == "all") {
        if at + 1 < spf.terms.len() {
            spf.mistakes.push("What stands behind \"all\" is never looked at.".to_owned());
        }
        if spf.terms[at].qualifier == '+' {
            spf.mistakes.push("\"+all\" lets everybody send mail of the domain.".to_owned());
        }
    } else if spf.redirect.is_none() {
        spf.mistakes.push("It has no \"all\" at its end, so that it forbids nobody anything.".to_owned());
    }
    spf
}

fn modifier(spf: &mut Spf, name: &str, value: &str) {
    if name.eq_ignore_ascii_case("redirect") {
        if spf.redirect.is_some() {
            spf.mistakes.push("It has several redirects.".to_owned());
        }
        spf.redirect = Some(value.trim_end_matches('.').to_ascii_lowercase());
    }
}

fn mechanism(spf: &mut Spf, term: &str) {
    let (qualifier, rest) = match term.chars().next() {
        Some(c @ ('+' | '-' | '~' | '?')) => (c, &term[1..]),
        _ => ('+', term),
    };
    let at = rest.find([':', '/']).unwrap_or(rest.len());
    let name = rest[..at].to_ascii_lowercase();
    let value = rest[at..].strip_prefix(':').unwrap_or(&rest[at..]);
    let value = (!value.is_empty()).then(|| value.trim_end_matches('.').to_ascii_lowercase());
    let wrong = match name.as_str() {
        "all" => value.is_some(),
        "a" | "mx" | "ptr" => false,
        "include" | "exists" => value.is_none(),
        "ip4" => !network(value.as_deref(), 32, |text| text.parse::<std::net::Ipv4Addr>().is_ok()),
        "ip6" => !network(value.as_deref(), 128, |text| text.parse::<std::net::Ipv6Addr>().is_ok()),
        _ => true,
    };
    if wrong {
        let shown = crate::discovery::shown(term);
        return spf
            .mistakes
            .push(format!("{shown} is no term of SPF, so receivers ignore the whole record."));
    }
    spf.terms.push(Term { qualifier, name, value });
}

fn network(value: Option<&str>, length_max: u8, address: impl Fn(&str) -> bool) -> bool {
    let Some(value) = value else { return false };
    match value.split_once('/') {
        Some((host, length)) => address(host) && length.parse::<u8>().is_ok_and(|n| n <= length_max),
        None => address(value),
    }
}

/// Names that are looked into at most, so that circles and trees of includes end.
const NAMES_MAX: usize = 2 * LOOKUPS_MAX;

/// What a record amounts to with all that it includes, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Mechanisms that let somebody send, with the name of the record in which they stand.
    pub(super) terms: Vec<(String, Term)>,
    /// Look-ups that a check costs.
    pub(super) lookups: usize,
    /// Names whose records are not known yet.
    pub(super) open: Vec<String>,
    /// Names that are included and have no (single) record.
    pub(super) broken: Vec<String>,
}

/// Goes through a record and what it includes. `record` gives a name's record: `None` if nobody
/// knows, `Some(None)` if there is none or several.
pub(super) fn walk(name: &str, record: impl Fn(&str) -> Option<Option<String>>) -> Walked {
    let mut out = Walked::default();
    let mut seen: Vec<String> = vec![name.to_owned()];
    let mut at = 0;
    while at < seen.len() {
        let name = seen[at].clone();
        at += 1;
        let spf = match record(&name) {
            None => {
                out.open.push(name);
                continue;
            }
            Some(None) => {
                if at > 1 {
                    out.broken.push(name);
                }
                continue;
            }
            Some(Some(text)) => read(&text),
        };
        out.lookups += spf.lookups();
        let included =
            spf.terms.iter().filter(|term| term.name == "include").filter_map(|t| t.value.as_ref());
        // Macros are not followed: what they become depends on the sender.
        for target in included.chain(&spf.redirect).filter(|target| !target.contains('%')) {
            if !seen.contains(target) && seen.len() < NAMES_MAX {
                seen.push(target.clone());
            }
        }
        let positive = spf.terms.into_iter().filter(|term| term.qualifier == '+');
        out.terms.extend(positive.map(|term| (name.clone(), term)));
    }
    out
}

/// Is the address in the network (`192.0.2.0/24`, `2001:db8::1`)?
pub(super) fn covers(network: &str, address: IpAddr) -> bool {
    let (base, length) = match network.split_once('/') {
        Some((base, length)) => (base, length.parse::<u32>().ok()),
        None => (network, None),
    };
    match (base.parse::<IpAddr>(), address) {
        (Ok(IpAddr::V4(base)), IpAddr::V4(address)) => {
            let mask = mask(32, length.unwrap_or(32));
            (u128::from(u32::from(base)) & mask) == (u128::from(u32::from(address)) & mask)
        }
        (Ok(IpAddr::V6(base)), IpAddr::V6(address)) => {
            let mask = mask(128, length.unwrap_or(128));
            (u128::from(base) & mask) == (u128::from(address) & mask)
        }
        _ => false,
    }
}

/// The high `length` bits of `bits`.
fn mask(bits: u32, length: u32) -> u128 {
    let rest = bits.saturating_sub(length);
    u128::MAX.checked_shl(rest).unwrap_or(0)
}

impl Spf {
    /// Look-ups that this record costs by itself, without those of what it includes.
    fn lookups(&self) -> usize {
        let costly = ["a", "mx", "ptr", "include", "exists"];
        self.terms.iter().filter(|term| costly.contains(&term.name.as_str())).count()
            + usize::from(self.redirect.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognised_by_its_beginning() {
        assert!(is_spf("v=spf1") && is_spf("V=SPF1 -all"));
        assert!(!is_spf("v=spf10 -all") && !is_spf(" v=spf1 -all") && !is_spf("v=spf2.0/pra"));
    }

    #[test]
    fn mistakes_are_told() {
        for good in [
            "v=spf1 -all",
            "v=spf1  a mx/24 a:x.test/24//64 ip4:192.0.2.0/24 ip6:2001:db8::/32 include:y.test ~all",
            "v=spf1 redirect=_spf.x.test",
            "v=spf1 exists:%{i}.x.test exp=e.test foo=bar ?all",
            "v=spf1 ptr -all",
        ] {
            assert_eq!(read(good).mistakes, Vec::<String>::new(), "{good}");
        }
        for (bad, why) in [
            ("v=spf1", "no \"all\""),
            ("v=spf1 mx", "no \"all\""),
            ("v=spf1 +all", "lets everybody"),
            ("v=spf1 all", "lets everybody"),
            ("v=spf1 -all mx", "never looked at"),
            ("v=spf1 ipv4:192.0.2.1 -all", "no term of SPF"),
            ("v=spf1 ip4:192.0.2.300 -all", "no term of SPF"),
            ("v=spf1 ip4:192.0.2.0/33 -all", "no term of SPF"),
            ("v=spf1 ip6:192.0.2.0 -all", "no term of SPF"),
            ("v=spf1 include -all", "no term of SPF"),
            ("v=spf1 include:x -all:y", "no term of SPF"),
            ("v=spf1 redirect=a redirect=b", "several redirects"),
        ] {
            let mistakes = read(bad).mistakes;
            assert!(mistakes.iter().any(|m| m.contains(why)), "{bad}: {mistakes:?}");
        }
    }

    #[test]
    fn look_ups_are_counted_through_includes() {
        let table = |name: &str| -> Option<Option<String>> {
            Some(Some(match name {
                "a.test" => "v=spf1 mx a include:b.test include:c.test include:gone.test -all".into(),
                "b.test" => "v=spf1 a ip4:192.0.2.1 include:a.test -all".into(),
                "c.test" => "v=spf1 -exists:x redirect=d.test".into(),
                "gone.test" => return Some(None),
                _ => return None,
            }))
        };
        let walked = walk("a.test", table);
        assert_eq!(walked.lookups, 5 + 2 + 2);
        assert_eq!(walked.open, ["d.test"]);
        assert_eq!(walked.broken, ["gone.test"]);
        assert!(walked.terms.iter().all(|(_, term)| term.qualifier == '+'));
        // A tree without end ends.
        let many = walk("0", |name| Some(Some(format!("v=spf1 include:{name}0 include:{name}1 -all"))));
        assert_eq!(many.lookups, 2 * NAMES_MAX);
    }

    #[test]
    fn networks() {
        let covers = |network, address: &str| covers(network, address.parse().unwrap());
        assert!(covers("192.0.2.1", "192.0.2.1") && !covers("192.0.2.1", "192.0.2.2"));
        assert!(covers("192.0.2.0/24", "192.0.2.255") && !covers("192.0.2.0/24", "192.0.3.0"));
        assert!(covers("0.0.0.0/0", "203.0.113.1") && !covers("0.0.0.0/0", "2001:db8::1"));
        assert!(covers("2001:db8::/32", "2001:db8:ffff::1") && !covers("2001:db8::/32", "2001:db9::1"));
        assert!(covers("::/0", "2001:db8::1") && !covers("x", "192.0.2.1"));
    }
}
