//! The work of the service: sessions, authentication, delivery, session facts,
//! and the operator's commands. Knows no HTML, makes no socket calls (that is
//! `net`), sees no engine (that is `store`).

pub mod app;
pub mod auth;
pub mod certificate;
pub mod clock;
pub mod control;
pub mod deliver;
pub mod demo;
pub mod dkim;
pub mod facts;
pub mod imap;
pub mod import;
pub mod language;
pub mod maildrop;
pub mod publish;
pub mod run;
pub mod session;
pub mod tasks;
