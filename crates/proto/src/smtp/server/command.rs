//! The commands, one function each, and the content that follows some of them.

use super::{Question, Server, State, Step};
use crate::login::{self, Turn};
use crate::sasl::Mechanism;
use crate::smtp::codec::{self, Terms};
use crate::smtp::gate::{self, Phase, Word};
use crate::smtp::receipt::{Got, Receipt};
use crate::smtp::{Body, Event, Refusal, Reply, Role, listing};

impl Server {
    pub(super) fn broken_line(&mut self) -> Event<'static> {
        let text = "Bad line: text in UTF-8 without control characters, ended by CR LF";
        self.refuse(&Reply::new(500, (5, 5, 2), text), Refusal::Syntax)
    }

    pub(super) fn command<'a>(&mut self, line: &'a str, used: usize) -> Step<'a> {
        let (word, args) = codec::split_word(line);
        let Some(row) = gate::find(word) else { return Step::Event(used, self.unknown(word)) };
        if let Err(denial) = gate::admit(row, &self.standing()) {
            let reply = denial.reply(self.offer.role, &self.offer.needs_tls_text);
            // The chunk behind a refused BDAT is still a chunk: its octets are never commands.
            if row.word == Word::Bdat {
                return self.unwanted_chunk(args, used, reply, denial.refusal(false));
            }
            let exposed = login::exposed(args.as_bytes());
            return Step::Event(used, self.refuse(&reply, denial.refusal(exposed)));
        }
        if !args.is_empty() && matches!(row.word, Word::StartTls | Word::Data | Word::Rset | Word::Quit) {
            let reply = Reply::new(501, (5, 5, 4), format!("{} takes no arguments", row.name));
            return Step::Event(used, self.refuse(&reply, Refusal::Syntax));
        }
        let moves_nothing = matches!(
            row.word,
            Word::Noop
                | Word::Rset
                | Word::Help
                | Word::Vrfy
                | Word::Expn
                | Word::Ehlo
                | Word::Helo
                | Word::Lhlo
        );
        if moves_nothing && !self.harmless() {
            return Step::Event(used, Event::Refused(Refusal::TooManyErrors));
        }
        let event = match row.word {
            Word::Ehlo | Word::Helo | Word::Lhlo => match codec::hello(args, row.name) {
                Ok(name) => self.hello(name, row.word != Word::Helo),
                Err(reply) => self.refuse(&reply, Refusal::Syntax),
            },
            Word::StartTls => self.ask(Question::StartTls, Event::StartTls),
            Word::Auth => self.auth(args),
            Word::Mail => return self.mail(args, used),
            Word::Rcpt => self.rcpt(args),
            Word::Data => self.ask(Question::Data, Event::BodyStart),
            Word::Bdat => return self.bdat(args, used),
            Word::Rset => {
                self.end_transaction(false);
                self.say(&Reply::new(250, (2, 0, 0), "Transaction forgotten"));
                Event::Reset
            }
            Word::Noop => {
                self.say(&Reply::new(250, (2, 0, 0), "OK"));
                return Step::Go(used);
            }
            Word::Help => {
                self.say(&listing::help(args, &self.standing(), &self.offer.host));
                return Step::Go(used);
            }
            Word::Vrfy => {
                // RFC 5321 3.5.3 and 7.3: neither yes nor no.
                self.say(&Reply::new(252, (2, 0, 0), "Not told here; send mail to the address and see"));
                Event::Refused(Refusal::Verify)
            }
            Word::Expn => self.refuse(&Reply::new(502, (5, 5, 1), "Not told here"), Refusal::Verify),
            Word::Quit => {
                self.say(&Reply::new(221, (2, 0, 0), format!("{} closes the connection", self.offer.host)));
                self.state = State::Ended;
                Event::Quit
            }
        };
        Step::Event(used, event)
    }

    /// Words that are not ours. The word is not repeated: a password can stand there.
    fn unknown(&mut self, word: &str) -> Event<'static> {
        // A browser can be made to post mail commands inside a request; its first line gives it away.
        const HTTP: [&str; 6] = ["GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS"];
        if HTTP.contains(&word) {
            self.farewell((4, 7, 0), "This is a mail server, not a web server");
            return Event::Refused(Refusal::Syntax);
        }
        let text = "Command not known; HELP lists those that are";
        self.refuse(&Reply::new(500, (5, 5, 2), text), Refusal::Syntax)
    }

    fn hello<'a>(&mut self, name: &'a str, extended: bool) -> Event<'a> {
        self.end_transaction(false);
        self.phase = Phase::Ready;
        self.extended = extended;
        let reply = if extended {
            listing::hello(name, &self.standing(), &self.offer, &self.limits)
        } else {
            Reply::plain(250, format!("{} greets {name}", self.offer.host))
        };
        self.say(&reply);
        Event::Hello { name }
    }

    fn auth(&mut self, args: &str) -> Event<'static> {
        let mut words = args.split_ascii_whitespace();
        let (name, initial, more) = (words.next(), words.next(), words.next());
        let (Some(name), None) = (name, more) else {
            let text = "Syntax: AUTH MECHANISM [initial-response in base64]";
            return self.refuse(&Reply::new(501, (5, 5, 4), text), Refusal::Syntax);
        };
        let Some(mechanism) = login::offered(name.as_bytes(), &self.offer.mechanisms) else {
            if Mechanism::from_name(name).is_some() && !self.security.is_encrypted() {
                // RFC 4954 6: known, but not without encryption.
                let reply = Reply::new(538, (5, 7, 11), self.offer.needs_tls_text.clone());
                let exposed = login::exposed(args.as_bytes());
                return self.refuse(&reply, Refusal::Login(login::Refusal::NeedsTls { exposed }));
            }
            let offered: Vec<_> = self.offer.mechanisms.iter().map(|m| m.name()).collect();
            let text = format!("Mechanism not offered; offered are {}", offered.join(" "));
            return self
                .refuse(&Reply::new(504, (5, 5, 4), text), Refusal::Login(login::Refusal::NotOffered));
        };
        let Ok(initial) = login::initial(initial.map(str::as_bytes)) else {
            let reply = Reply::new(501, (5, 5, 2), "The initial response is not valid base64");
            return self.refuse(&reply, Refusal::Syntax);
        };
        self.ask(Question::Auth, Event::Login(Turn::Start { mechanism, initial }))
    }

    pub(super) fn auth_message(&mut self, text: &str) -> Event<'static> {
        match login::message(text.as_bytes()) {
            Ok(Some(message)) => self.ask(Question::Auth, Event::Login(Turn::Message(message))),
            Ok(None) => self.cancel_auth((501, (5, 7, 0)), "Authentication cancelled"),
            Err(_) => self.cancel_auth((501, (5, 5, 2)), "Not valid base64"),
        }
    }

    pub(super) fn cancel_auth(&mut self, code: (u16, (u8, u16, u16)), text: &str) -> Event<'static> {
        self.state = State::ExpectCommand;
        self.say(&Reply::new(code.0, code.1, text));
        self.errors += 1;
        self.end_if_too_many_errors();
        Event::Login(Turn::Cancelled)
    }

    fn terms(&self) -> Terms {
        Terms {
            extended: self.extended,
            encrypted: self.security.is_encrypted(),
            message_bytes_max: self.limits.message_bytes_max,
            smtputf8: self.smtputf8,
        }
    }

    fn mail<'a>(&mut self, args: &str, used: usize) -> Step<'a> {
        if self.mails >= self.limits.mails_max {
            self.farewell((4, 7, 0), "Enough messages in one connection: send more in another");
            return Step::Go(used);
        }
        Step::Event(
            used,
            match codec::mail(args, &self.terms()) {
                Ok(mail) => {
                    let question =
                        Question::Mail { smtputf8: mail.smtputf8, binary: mail.body == Body::BinaryMime };
                    self.ask(question, Event::Mail(mail))
                }
                Err(reply) => self.refuse(&reply, Refusal::Syntax),
            },
        )
    }

    fn rcpt(&mut self, args: &str) -> Event<'static> {
        match codec::rcpt(args, &self.terms()) {
            Ok(_) if self.recipients >= self.limits.recipients_max => {
                let max = self.limits.recipients_max;
                // No error of the client's: it sends to these and comes again with the others (RFC 5321 4.5.3.1.10).
                self.say(&Reply::new(452, (4, 5, 3), format!("No more than {max} recipients at once")));
                Event::Refused(Refusal::TooManyRecipients)
            }
            Ok(rcpt) => self.ask(Question::Rcpt, Event::Rcpt(rcpt)),
            Err(reply) => self.refuse(&reply, Refusal::Syntax),
        }
    }

    fn bdat<'a>(&mut self, args: &str, used: usize) -> Step<'a> {
        match (codec::bdat(args), &mut self.receipt) {
            (Ok((octets, last)), Some(receipt)) => {
                receipt.next_chunk(octets, last);
                self.state = State::ExpectContent;
                Step::Go(used)
            }
            (Ok((octets, last)), None) => {
                Step::Event(used, self.ask(Question::Chunk { octets, last }, Event::BodyStart))
            }
            (Err(reply), receipt) => {
                let aborted = receipt.is_some();
                self.lost_chunk(&reply);
                let refused = Event::Refused(Refusal::Syntax);
                Step::Event(used, if aborted { Event::BodyAborted("a malformed BDAT") } else { refused })
            }
        }
    }

    fn unwanted_chunk<'a>(&mut self, args: &str, used: usize, reply: Reply, refusal: Refusal) -> Step<'a> {
        match codec::bdat(args) {
            Ok((octets, _)) => {
                self.read_away(octets, reply, Some(refusal));
                Step::Go(used)
            }
            Err(reply) => {
                self.lost_chunk(&reply);
                Step::Event(used, Event::Refused(Refusal::Syntax))
            }
        }
    }

    /// A BDAT whose count cannot be read: nobody can tell its content from commands any more.
    fn lost_chunk(&mut self, reply: &Reply) {
        self.say(reply);
        self.farewell((4, 7, 0), "The chunk has no end");
    }

    pub(super) fn read_away(&mut self, octets: u64, reply: Reply, refusal: Option<Refusal>) {
        // The same bound as for a message that outgrows the limit: once more its size.
        if octets > self.limits.message_bytes_max.saturating_mul(2) {
            self.farewell((4, 7, 0), "Too much unwanted content");
        } else {
            self.state = State::ExpectChunkEnd(octets, reply, refusal);
        }
    }

    pub(super) fn chunk_end<'a>(&mut self) -> Step<'a> {
        match std::mem::replace(&mut self.state, State::ExpectCommand) {
            State::ExpectChunkEnd(_, reply, Some(refusal)) => Step::Event(0, self.refuse(&reply, refusal)),
            State::ExpectChunkEnd(_, reply, None) => {
                self.say(&reply);
                Step::Go(0)
            }
            state => {
                self.state = state;
                Step::Need(0)
            }
        }
    }

    pub(super) fn content<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let Some(receipt) = &mut self.receipt else {
            self.state = State::ExpectCommand;
            return Step::Go(0);
        };
        match receipt.next(input) {
            Got::Need(used) => Step::Need(used),
            Got::Piece(used, piece) => Step::Event(used, Event::Body(piece)),
            Got::Aborted(used, why) => Step::Event(used, Event::BodyAborted(why)),
            Got::Excess(used) => {
                self.farewell((4, 7, 0), "Too much unwanted content");
                Step::Need(used)
            }
            Got::End(used, last) => self.content_end(used, last),
        }
    }

    fn content_end<'a>(&mut self, used: usize, last: bool) -> Step<'a> {
        self.state = State::ExpectCommand;
        let octets = self.receipt.as_ref().map_or(0, Receipt::octets);
        match self.receipt.as_ref().and_then(Receipt::refusal) {
            Some(reply) => {
                // RFC 2033 4.2: a reply for each recipient at the end of the message.
                let count = if last && self.offer.role == Role::Lmtp { self.recipients } else { 1 };
                for _ in 0..count {
                    self.say(&reply);
                }
                self.end_transaction(false);
                self.errors += 1;
                self.end_if_too_many_errors();
                Step::Go(used)
            }
            None if last => Step::Event(used, self.ask(Question::BodyEnd, Event::BodyEnd)),
            None => {
                self.say(&Reply::new(250, (2, 0, 0), format!("{octets} octets so far")));
                Step::Go(used)
            }
        }
    }
}
