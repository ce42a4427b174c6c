//! The shape of every conversation.
//!
//! A [`Machine`] is one side of one connection. It is given bytes and the time;
//! it gives back events for the session above it, bytes to send, and the moment
//! by which it wants to be woken. It frames, decodes and answers what it can
//! answer by itself; what needs a decision or data goes up as an event, and the
//! machine takes no further command until that event has been answered.
//!
//! What must hold for every machine: input in any fragmentation gives the same
//! conversation; memory is bounded by the machine's limits whatever the peer
//! sends; nothing panics on input.

/// Monotonic time in milliseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

impl Tick {
    /// The moment `seconds` after this one.
    #[must_use]
    pub fn plus_seconds(self, seconds: u32) -> Tick {
        Tick(self.0.saturating_add(u64::from(seconds) * 1000))
    }

    /// Milliseconds from `earlier` until this moment; 0 if it lies ahead.
    #[must_use]
    pub fn millis_since(self, earlier: Tick) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One side of one conversation.
pub trait Machine {
    /// What the session above has to decide; may borrow from the input.
    type Event<'a>;

    /// Takes bytes from the front of `input`. Returns how many were used up and
    /// at most one event. `(0, None)` means that nothing can be done before more
    /// bytes come, or before the pending event has been answered.
    fn receive<'a>(&mut self, input: &'a [u8], now: Tick) -> (usize, Option<Self::Event<'a>>);

    /// Called when [`Machine::deadline`] has passed: writes the farewell and ends.
    fn timeout(&mut self, now: Tick);

    /// When the peer's silence ends the conversation.
    fn deadline(&self) -> Tick;

    /// Bytes waiting to be sent. The caller drains them.
    fn output(&mut self) -> &mut Vec<u8>;

    /// True when nothing more will be read: flush the output, then close.
    fn ended(&self) -> bool;

    /// True between commands: nothing half-read, no event unanswered. A graceful
    /// stop waits for this.
    fn idle(&self) -> bool;

    /// The service stops: says so in the protocol's words and ends.
    fn shutdown(&mut self);

    /// Answers a STARTTLS command with the go-ahead. The caller flushes it and
    /// then lets TLS take the connection.
    fn tls_go_ahead(&mut self);

    /// Answers a STARTTLS command behind which clear bytes had already arrived
    /// (an injection, CVE-2011-0411): refuses and ends the conversation.
    fn tls_early_bytes(&mut self);
}
