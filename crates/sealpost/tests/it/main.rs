//! The whole program, judged by clients that are not ours.

mod acme;
mod curl;
mod dns;
mod doctor_servers;
mod durable;
mod durable_imap;
mod fetchers;
mod gsasl;
mod guide;
mod harness;
mod imap_programs;
mod imap_python;
mod openssl;
mod operator;
mod presets;
mod python;
mod senders;
mod skips;
mod staple;
mod thunderbird;
mod web_curl;
mod web_pages;
mod wire;
