//! Rows of domains with their rules about connecting, and of the exceptions of accounts.
//!
//! What is spoken where, and mechanisms, are kept by their words (`proto::service`, `proto::sasl`), so that
//! neither order nor number of them is a matter of the format.

use super::V1;
use crate::Error;
use crate::codec::{Put, Take};
use crate::system::directory::Domain;
use proto::proof::TlsVersion;
use proto::sasl::Mechanism;
use proto::service::Protocol;
use proto::service::policy::{ClearLogin, DomainPolicy, Exception, Stage, Way};

/// The version of a domain's row with its rules.
const V2: u8 = 2;

pub(crate) fn encode_domain(d: &Domain) -> Vec<u8> {
    let mut p = Put::version(V2);
    p.text(&d.name)
        .option(d.catch_all.as_deref(), |p, a| p.text(a))
        .flag(d.case_sensitive)
        .option(d.separator, |p, c| p.num(u64::from(u32::from(c))));
    put_policy(&mut p, &d.policy).done()
}

pub(crate) fn decode_domain(bytes: &[u8]) -> Result<Domain, Error> {
    let (mut t, version) = Take::versions("domain", bytes, V2)?;
    let (name, catch_all) = (t.text()?, t.option(|t| t.text())?);
    // The first version knew one rule, the keeping of CRAM-MD5 verifiers.
    let cram_md5 = version == V1 && t.flag()?;
    let case_sensitive = t.flag()?;
    let separator = t.option(|t| {
        let code = t.num32()?;
        char::from_u32(code)
            .ok_or_else(|| Error::Damaged(format!("domain: separator {code} is no character")))
    })?;
    let policy = if version == V1 {
        DomainPolicy { cram_md5, ..DomainPolicy::default() }
    } else {
        take_policy(&mut t)?
    };
    let domain = Domain { name, catch_all, case_sensitive, separator, policy };
    t.end()?;
    Ok(domain)
}

fn put_policy<'p>(p: &'p mut Put, policy: &DomainPolicy) -> &'p mut Put {
    p.option(policy.host.as_deref(), |p, host| p.text(host))
        .option(policy.provider.as_deref(), |p, provider| p.text(provider))
        .flag(policy.clear_login == ClearLogin::Staged)
        .byte(match policy.stage {
            Stage::Observe => 1,
            Stage::Deny => 4,
        })
        .option(policy.mechanisms.as_deref(), put_mechanisms)
        .flag(policy.cram_md5)
        .text(policy.tls_min.name())
        .option(policy.ways.as_deref(), put_ways)
}

fn take_policy(t: &mut Take<'_>) -> Result<DomainPolicy, Error> {
    Ok(DomainPolicy {
        host: t.option(Take::text)?,
        provider: t.option(Take::text)?,
        clear_login: if t.flag()? { ClearLogin::Staged } else { ClearLogin::Never },
        // 2 and 3 are left for the stages between the two.
        stage: match t.byte()? {
            1 => Stage::Observe,
            4 => Stage::Deny,
            other => return Err(Error::Damaged(format!("domain: stage {other} is not known"))),
        },
        mechanisms: t.option(take_mechanisms)?,
        cram_md5: t.flag()?,
        tls_min: {
            let name = t.text()?;
            TlsVersion::from_name(&name)
                .ok_or_else(|| Error::Damaged(format!("domain: TLS version {name} is not known")))?
        },
        ways: t.option(take_ways)?,
    })
}

pub(crate) fn encode_exception(exception: &Exception) -> Vec<u8> {
    let mut p = Put::version(V1);
    p.text(&exception.reason).int(exception.until).flag(exception.clear);
    put_ways(&mut p, &exception.ways);
    put_mechanisms(&mut p, &exception.mechanisms).done()
}

pub(crate) fn decode_exception(bytes: &[u8]) -> Result<Exception, Error> {
    let mut t = Take::version("exception", bytes)?;
    let (reason, until, clear) = (t.text()?, t.int()?, t.flag()?);
    let exception =
        Exception { reason, until, ways: take_ways(&mut t)?, mechanisms: take_mechanisms(&mut t)?, clear };
    t.end()?;
    Ok(exception)
}

fn put_mechanisms<'p>(p: &'p mut Put, list: &[Mechanism]) -> &'p mut Put {
    p.num(list.len() as u64).each(list.iter(), |p, mechanism| p.text(mechanism.name()))
}

fn take_mechanisms(t: &mut Take<'_>) -> Result<Vec<Mechanism>, Error> {
    let one = |t: &mut Take<'_>| {
        let name = t.text()?;
        Mechanism::from_name(&name)
            .ok_or_else(|| Error::Damaged(format!("rules: mechanism {name} is not known")))
    };
    (0..t.count()?).map(|_| one(t)).collect()
}

fn put_ways<'p>(p: &'p mut Put, ways: &[Way]) -> &'p mut Put {
    p.num(ways.len() as u64).each(ways.iter(), |p, way| p.text(way.protocol.word()).num(way.port.into()))
}

fn take_ways(t: &mut Take<'_>) -> Result<Vec<Way>, Error> {
    let one = |t: &mut Take<'_>| {
        let (word, port) = (t.text()?, t.num()?);
        let protocol = Protocol::from_word(&word);
        protocol
            .zip(u16::try_from(port).ok())
            .map(|(protocol, port)| Way { protocol, port })
            .ok_or_else(|| Error::Damaged(format!("rules: there is no way {word} {port}")))
    };
    (0..t.count()?).map(|_| one(t)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_rows_of_rules() {
        let way = Way { protocol: Protocol::Submission, port: 465 };
        let exception = Exception {
            reason: "scanner".to_owned(),
            until: 3,
            ways: vec![way],
            mechanisms: vec![Mechanism::CramMd5],
            clear: true,
        };
        let bytes = b"\x01\x07scanner\x06\x01\x01\x0asubmission\xd1\x03\x01\x08CRAM-MD5";
        assert_eq!(encode_exception(&exception), bytes);
        assert_eq!(decode_exception(bytes).unwrap(), exception);
        let policy = DomainPolicy {
            host: Some("m.test".to_owned()),
            provider: None,
            clear_login: ClearLogin::Staged,
            stage: Stage::Observe,
            mechanisms: Some(vec![Mechanism::Plain]),
            cram_md5: true,
            tls_min: TlsVersion::Tls13,
            ways: Some(vec![way]),
        };
        let row = put_policy(&mut Put::default(), &policy).done();
        let golden =
            b"\x01\x06m.test\0\x01\x01\x01\x01\x05PLAIN\x01\x07TLSv1.3\x01\x01\x0asubmission\xd1\x03";
        assert_eq!(row, golden);
        assert_eq!(take_policy(&mut Take::unversioned("test", &row)).unwrap(), policy);
    }

    #[test]
    fn what_is_not_known_is_damage_and_no_panic() {
        let row = put_policy(&mut Put::default(), &DomainPolicy::default()).done();
        for at in 0..row.len() {
            for octet in [0, 2, 9, 0x7f, 0xff] {
                let mut row = row.clone();
                row[at] = octet;
                let _ = take_policy(&mut Take::unversioned("test", &row));
            }
            assert!(take_policy(&mut Take::unversioned("test", &row[..at])).is_err());
        }
        assert!(decode_exception(b"\x01\0\0\0\x01\x03xyz\x01\0").is_err(), "no such way");
        assert!(decode_exception(b"\x01\0\0\0\0\x01\x03xyz").is_err(), "no such mechanism");
    }
}
