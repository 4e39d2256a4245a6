//! What a command beside a server takes from the server's last start, and what it refuses to do otherwise than the server. Owns which keys these are; refuses
//! to know how they are kept.

use super::Config;
use anyhow::{Result, bail};
use figment::{Figment, Source};
use fleet::{
    devices::EnrolmentUrls,
    in_force::{InForce, Shared, other_domain},
    pki::TokenSettings,
};
use std::path::{Path, PathBuf};

/// What the file, the environment and flags have said; all the rest are defaults.
#[derive(Debug, Clone, Default)]
pub struct Said(Figment);

impl Said {
    pub(super) const fn of(layers: Figment) -> Self {
        Self(layers)
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains(key)
    }

    /// Where a key was said, in the words in which it can be looked for.
    fn place(&self, key: &str) -> String {
        match self.0.find_metadata(key) {
            Some(from) if let Some(Source::File(file)) = &from.source => format!("{key} in {}", file.display()),
            Some(from) if from.name.contains("environment") => format!("FLEETWARD_{}", key.to_uppercase()),
            _ => format!("--{}", key.replace('_', "-")),
        }
    }
}

fn whole(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether both lead to one file, which need not be there.
fn same(a: &Path, b: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| whole(path));
    real(a) == real(b)
}

fn named(url: Option<&str>) -> &str {
    url.map_or("none", |url| url.trim_end_matches('/'))
}

impl Config {
    /// The file in which revocations are kept beside the database.
    pub fn journal(&self) -> PathBuf {
        self.revocation_journal.clone().unwrap_or_else(|| self.data.join("revocations.log"))
    }

    /// What of it commands beside this server share. What lies in the data folder of an embedded database moves along with that.
    pub fn shared(&self, urls: &EnrolmentUrls) -> Shared {
        let kept = |path: &Path| {
            let path = whole(path);
            match path.strip_prefix(whole(&self.data)) {
                Ok(inside) if self.database_url_file.is_none() => inside.to_owned(),
                _ => path,
            }
        };
        Shared {
            journal: kept(&self.journal()),
            publish_url: self.publish_url.clone(),
            enrol_url: urls.enrol.clone(),
            device_url: urls.device.clone(),
            token: self.token().map(|t| TokenSettings { module: kept(&t.module), label: t.label, pin_file: kept(&t.pin_file) }),
            server_keygen: self.allow_server_keygen,
        }
    }

    /// Takes what is in force where nothing else was said. Refuses another trust domain, journal or token than the server's; what is otherwise said
    /// differently holds, and the lines that come back warn of it.
    pub fn take(&mut self, said: &Said, now: &InForce) -> Result<Vec<String>> {
        if let Some(domain) = &now.trust_domain {
            if !said.has("trust_domain") {
                self.trust_domain.clone_from(domain);
            } else if self.trust_domain != *domain {
                bail!("{}: {}", said.place("trust_domain"), other_domain(domain, &self.trust_domain));
            }
        }
        let Some(last) = &now.last else { return Ok(Vec::new()) };
        let journal = whole(&self.data).join(&last.journal);
        if !said.has("revocation_journal") {
            self.revocation_journal = Some(journal);
        } else if !same(&self.journal(), &journal) {
            bail!(
                "{} says {}, but the server keeps revocations in {}: what is written elsewhere is forgotten when a backup is put back. Leave it out here, or \
                 start the server with the other file first",
                said.place("revocation_journal"),
                self.journal().display(),
                journal.display()
            );
        }
        self.take_token(said, last)?;
        Ok(self.take_rest(said, last))
    }

    /// The token in whole: none of its three keys holds without the others. Another copy of the PIN is nobody else's business.
    fn take_token(&mut self, said: &Said, last: &Shared) -> Result<()> {
        let at = whole(&self.data);
        let Some(own) = self.token() else {
            if let Some(token) = &last.token {
                self.pkcs11_module = Some(at.join(&token.module));
                self.pkcs11_token = Some(token.label.clone());
                self.pkcs11_pin_file = Some(at.join(&token.pin_file));
            }
            return Ok(());
        };
        let Some(token) = &last.token else {
            bail!(
                "{} names the token {:?}, but the server runs without one and could not sign with what is made there. Leave it out here, or start the server \
                 with the token first",
                said.place("pkcs11_token"),
                own.label
            )
        };
        let module = at.join(&token.module);
        if !same(&own.module, &module) {
            bail!(
                "{} says {}, but the server's module is {}. Leave it out here, or start the server with the other one first",
                said.place("pkcs11_module"),
                own.module.display(),
                module.display()
            );
        }
        if own.label != token.label {
            bail!(
                "{} says {:?}, but the server's token is {:?}: the server could not sign with what is made on another one. Leave it out here, or start the \
                 server with the other token first",
                said.place("pkcs11_token"),
                own.label,
                token.label
            );
        }
        Ok(())
    }

    fn take_rest(&mut self, said: &Said, last: &Shared) -> Vec<String> {
        let mut warnings = Vec::new();
        let mut url = |key: &str, own: &mut Option<String>, last: Option<&str>| {
            if !said.has(key) {
                *own = last.map(str::to_owned);
            } else if named(own.as_deref()) != named(last) {
                let (place, here, there) = (said.place(key), named(own.as_deref()), named(last));
                warnings.push(format!("{place} says {here}, but the server was started with {there}; here {here} holds"));
            }
        };
        url("publish_url", &mut self.publish_url, last.publish_url.as_deref());
        url("enrol_url", &mut self.enrol_url, Some(&last.enrol_url));
        url("device_url", &mut self.device_url, Some(&last.device_url));
        if !said.has("allow_server_keygen") {
            self.allow_server_keygen = last.server_keygen;
        } else if self.allow_server_keygen != last.server_keygen {
            let (place, here, there) = (said.place("allow_server_keygen"), self.allow_server_keygen, last.server_keygen);
            warnings.push(format!("{place} says {here}, but the server was started with {there}; here {here} holds"));
        }
        warnings
    }

    /// How a start with this configuration would differ from the server's last one, a line a setting. Refuses what that start would refuse.
    pub fn against(&self, urls: &EnrolmentUrls, now: &InForce) -> Result<Vec<String>> {
        if let Some(domain) = &now.trust_domain
            && self.trust_domain != *domain
        {
            bail!(other_domain(domain, &self.trust_domain));
        }
        let Some(last) = &now.last else { return Ok(Vec::new()) };
        let here = self.shared(urls);
        let label = |token: &Option<TokenSettings>| token.as_ref().map_or_else(|| "none".to_owned(), |token| token.label.clone());
        let module = |token: &Option<TokenSettings>| token.as_ref().map_or_else(|| "none".to_owned(), |t| t.module.display().to_string());
        let both = [
            ("revocation_journal", here.journal.display().to_string(), last.journal.display().to_string()),
            ("pkcs11_module", module(&here.token), module(&last.token)),
            ("pkcs11_token", label(&here.token), label(&last.token)),
            ("publish_url", named(here.publish_url.as_deref()).to_owned(), named(last.publish_url.as_deref()).to_owned()),
            ("enrol_url", here.enrol_url, last.enrol_url.clone()),
            ("device_url", here.device_url, last.device_url.clone()),
            ("allow_server_keygen", here.server_keygen.to_string(), last.server_keygen.to_string()),
        ];
        let differ = both.into_iter().filter(|(_, here, last)| here != last);
        Ok(differ.map(|(key, here, last)| format!("{key} is {here}; the server was last started with {last}")).collect())
    }
}

#[cfg(test)]
mod tests;
