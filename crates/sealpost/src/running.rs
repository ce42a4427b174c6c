//! From the settings file's words to what the service runs by.

use crate::settings::Settings;
use server::app::{self, MailSettings};
use server::auth;
use server::auth::password::Cost;

impl Settings {
    /// The service's settings.
    #[must_use]
    pub fn running(&self) -> app::Settings {
        let certificates = self.tls.certificates.iter();
        app::Settings {
            data: self.data.clone(),
            model: self.model.clone(),
            certificates: certificates
                .map(|(chain, key)| net::tls::Pair { chain: chain.clone(), key: key.clone() })
                .collect(),
            staple: self.tls.staple,
            acme: self.acme.as_ref().map(|acme| server::certificate::Settings {
                directory: acme.directory.clone(),
                contact: acme.contact.clone(),
                ca: acme.ca.clone(),
                names: acme.names.clone(),
                on_demand: acme.on_demand,
                renew_before_seconds: i64::from(acme.renew_before_seconds),
                keep_key: acme.keep_key,
                proof: acme.challenge.as_deref().map(|word| match word {
                    "tls-alpn-01" => net::acme::Proof::TlsAlpn,
                    _ => net::acme::Proof::Http,
                }),
            }),
            client_ca: self.tls.client_ca.clone(),
            handshake: net::tls::Limits {
                handshake_seconds_max: self.tls.handshake_seconds_max,
                ..net::tls::Limits::default()
            },
            drive: net::drive::Limits {
                stall_seconds_max: self.connections.stall_seconds_max,
                stop_seconds_max: self.shutdown_grace_seconds,
                ..net::drive::Limits::default()
            },
            connections: net::listen::Limits {
                connections_max: u32::try_from(self.connections.connections_max).unwrap_or(u32::MAX),
                network_connections_max: u32::try_from(self.connections.connections_per_network_max)
                    .unwrap_or(u32::MAX),
                ..net::listen::Limits::default()
            },
            smtp: self.smtp.limits.clone(),
            pop3: self.pop3.limits.clone(),
            imap: self.imap.clone(),
            mail: MailSettings {
                header_bytes_max: self.smtp.header_bytes_max,
                received_max: self.smtp.received_max as usize,
                normalise_newlines: self.smtp.normalise_newlines,
                from_must_match: self.smtp.require_from_match,
            },
            pop3_login_delay_seconds: self.pop3.login_delay_seconds,
            doctor: self.doctor,
            auth: auth::Settings {
                cost: Cost {
                    argon2_memory_kib: self.password.argon2_memory_kib,
                    argon2_passes: self.password.argon2_passes,
                    scram_iterations: self.password.scram_iterations,
                    ..Cost::default()
                },
                remember_seconds: self.password.remember_seconds_max,
                remembered_max: self.password.remember_count_max,
                ..auth::Settings::default()
            },
            store: self.store.clone(),
            web: self.web,
            promises: self.promises.clone(),
        }
    }
}
