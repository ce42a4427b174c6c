//! The way to the point where TLS begins, and through it, for further connections to a port that was probed.

use super::context::{Connected, Context, Target};
use super::knock::{TAG_TLS, ask, capabilities};
use super::notes::Notes;
use super::trust::Verified;
use super::wire::Wire;
use proto::knock::{Awaited, Language, Offered, Verdict};

/// A server that proved who it is, ready for a sign-in.
pub(super) struct Ready {
    pub(super) wire: Wire,
    pub(super) language: Language,
    pub(super) offered: Offered,
    pub(super) verified: Verified,
}

/// Connects and, where TLS does not begin at once, goes as far as the command that asks for it.
pub(super) async fn before_tls(
    context: &Context<'_>,
    target: &Target,
    starttls: bool,
    notes: &Notes,
) -> Result<(Wire, Option<Language>), String> {
    let connected = context.connect(target, notes).await;
    let Connected { mut wire, .. } = connected.map_err(|_| "no connection".to_owned())?;
    if !starttls {
        return Ok((wire, None));
    }
    let greeted = wire.greeting(notes, context.answer()).await;
    let (language, greeting) = greeted.map_err(|trouble| trouble.words())?;
    if greeting.verdict == Verdict::Bye {
        return Err("the greeting refuses".to_owned());
    }
    if language == Language::Smtp {
        // STARTTLS before EHLO is out of order (RFC 3207 4).
        let listed = capabilities(context, notes, &mut wire, language).await;
        listed.map_err(|trouble| trouble.words())?;
    }
    Ok((wire, Some(language)))
}

/// Connects as far as the octets of TLS.
pub(super) async fn at_tls(
    context: &Context<'_>,
    target: &Target,
    starttls: bool,
    notes: &Notes,
) -> Result<(Wire, Option<Language>), String> {
    let (mut wire, language) = before_tls(context, target, starttls, notes).await?;
    if let Some(language) = language {
        let line = language.ask_tls(TAG_TLS);
        let answer = ask(context, notes, &mut wire, language, &line, Awaited::Reply(TAG_TLS)).await;
        let answer = answer.map_err(|trouble| trouble.words())?;
        if answer.verdict != Verdict::Ok {
            return Err("STARTTLS was refused".to_owned());
        }
    }
    Ok((wire, language))
}

/// Connects under TLS to a server whose certificate is verified on this very connection.
pub(super) async fn verified(
    context: &Context<'_>,
    target: &Target,
    starttls: bool,
    notes: &Notes,
) -> Result<Ready, String> {
    let (wire, language) = at_tls(context, target, starttls, notes).await?;
    let host = &target.place.host;
    let shaken = wire.shake(&context.trust, host, context.answer()).await;
    let (mut wire, shaken) = shaken.map_err(|failed| failed.why)?;
    let certificate = context.trust.certificate(host, &shaken.chain, shaken.proven);
    let verified = certificate.and_then(|seen| context.trust.verified(&seen));
    let verified = verified.ok_or_else(|| "the certificate does not prove who the server is".to_owned())?;
    let language = match language {
        Some(language) => language,
        None => {
            let greeted = wire.greeting(notes, context.answer()).await;
            let (language, greeting) = greeted.map_err(|trouble| trouble.words())?;
            if greeting.verdict == Verdict::Bye {
                return Err("the greeting refuses".to_owned());
            }
            language
        }
    };
    let offered = capabilities(context, notes, &mut wire, language).await;
    let offered = offered.map_err(|trouble| trouble.words())?;
    Ok(Ready { wire, language, offered, verified })
}
