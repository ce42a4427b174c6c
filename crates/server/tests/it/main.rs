//! The real sessions above a real store, over real sockets on loopback, with our own
//! client machines at the other end.

mod house;
mod logins;
mod maildrop;
mod receive;
mod submit;
mod wire;
