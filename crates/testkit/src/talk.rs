//! A machine with a small fixed session above it, fed with bytes and time: for the protocols whose machines
//! keep half lines themselves.

use crate::script::Peer;
use proto::machine::{Machine, Tick};

/// The session, and how a connection of its protocol is set up.
pub trait Stage: Sized {
    /// How a connection is set up.
    type Setup;
    /// The machine.
    type Server: Machine;

    /// Begins, or begins anew when TLS came up.
    fn new(setup: &Self::Setup) -> Self;

    /// Answers an event. True: it was the wish for TLS, which whoever moves the bytes answers.
    fn answer(&mut self, server: &mut Self::Server, event: <Self::Server as Machine>::Event<'_>) -> bool;

    /// What it was told.
    fn events(&mut self) -> &mut Vec<String>;

    /// The machine of a connection as it is set up now.
    fn server(setup: &Self::Setup, now: Tick) -> Self::Server;

    /// TLS comes up; false: bytes in clear are taken to have come behind the wish for it.
    fn secure(setup: &mut Self::Setup) -> bool;
}

/// A machine, the fixed session above it, and what the machine said.
pub struct Talk<S: Stage> {
    setup: S::Setup,
    /// The machine.
    pub server: S::Server,
    above: S,
    now: Tick,
    /// What the machine said and was not taken yet.
    pub said: Vec<u8>,
    /// The most octets of output that lay about at one time, beside the fixed messages.
    pub held_max: usize,
}

impl<S: Stage> Talk<S> {
    /// A fresh connection.
    #[must_use]
    pub fn new(setup: S::Setup) -> Talk<S> {
        let server = S::server(&setup, Tick(0));
        let above = S::new(&setup);
        Talk { setup, server, above, now: Tick(0), said: Vec::new(), held_max: 0 }
    }

    /// What the session was told.
    pub fn events(&mut self) -> &[String] {
        self.above.events()
    }

    fn secure(&mut self) {
        if !S::secure(&mut self.setup) {
            return self.server.tls_early_bytes();
        }
        self.server.tls_go_ahead();
        self.said.append(self.server.output());
        self.server = S::server(&self.setup, self.now);
        let events = std::mem::take(self.above.events());
        self.above = S::new(&self.setup);
        *self.above.events() = events;
    }
}

impl<S: Stage> Peer for Talk<S> {
    fn feed(&mut self, bytes: &[u8]) {
        let mut input = bytes;
        self.said.append(self.server.output());
        while !self.server.ended() {
            let (used, event) = self.server.receive(input, self.now);
            assert!(used <= input.len(), "more was used up than there was");
            input = &input[used..];
            self.held_max = self.held_max.max(self.server.output().len());
            let starts_tls = match event {
                Some(event) => self.above.answer(&mut self.server, event),
                None if used == 0 => break,
                None => false,
            };
            if starts_tls {
                self.secure();
            }
            self.said.append(self.server.output());
        }
        assert!(self.server.ended() || input.is_empty(), "the machine keeps half lines itself");
    }

    fn take_said(&mut self) -> Vec<u8> {
        self.said.append(self.server.output());
        std::mem::take(&mut self.said)
    }

    fn take_events(&mut self) -> Vec<String> {
        std::mem::take(self.above.events())
    }

    fn pass(&mut self, seconds: u32) {
        self.now = self.now.plus_seconds(seconds);
        if self.server.deadline() <= self.now {
            self.server.timeout(self.now);
        }
    }

    fn shutdown(&mut self) {
        self.server.shutdown();
    }

    fn ended(&self) -> bool {
        self.server.ended()
    }
}
