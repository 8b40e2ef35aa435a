//! Proves the user's key, and provides the credentials that admit a new one.

use jiff::Timestamp;

use super::{
    Channel, Session,
    connection_state::{ConnectionState, ServerKind},
    types::Credentials,
    user_text::{self, ProtocolFault},
};
use crate::{
    client::event::{Credential, CredentialWanted},
    protocol::{
        Binding, ClientFrame, Fingerprint, Identity, Invite, Nonce,
        frame::{ErrorCode, Join},
        wire::encode_client,
    },
    text::Line,
    time::Now,
};

/// The credentials to try.
#[derive(Debug, Default)]
pub(super) struct CredentialState {
    credentials: Credentials,
    /// Whether the server has asked for the password that we have.
    password_due: bool,
    /// Whether the user was told that no credential is sent.
    told: bool,
}

impl CredentialState {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            password_due: false,
            told: false,
        }
    }

    /// The key to use on such a connection.
    pub(super) fn identity(&self, channel: Channel) -> Option<&Identity> {
        let identity = self.credentials.identity.as_ref();
        identity.filter(|_| !channel.is_exposed())
    }

    /// Adds the credentials to a `join`.
    pub(super) fn fill(&self, channel: Channel, join: &mut Join) {
        if channel.is_exposed() {
            return;
        }
        let Credentials {
            invite,
            password,
            code,
            ..
        } = &self.credentials;
        join.key = self.identity(channel).map(Identity::public);
        let invite = invite.as_ref().filter(|invite| is_for(invite, channel));
        join.invite = invite.map(|invite| invite.token);
        join.password = password.clone().filter(|_| self.password_due);
        join.code = *code;
    }

    /// The server admitted us: it knows the key from now on.
    pub(super) fn entered(&mut self) {
        self.credentials = Credentials {
            identity: self.credentials.identity.take(),
            ..Credentials::default()
        };
        self.password_due = false;
    }

    /// Discards an expired invite; returns when it expired.
    pub(super) fn drop_expired(&mut self, now: Timestamp) -> Option<Timestamp> {
        let expired = self
            .credentials
            .invite
            .as_ref()
            .and_then(|invite| expired(invite, now));
        if expired.is_some() {
            self.credentials.invite = None;
        }
        expired
    }
}

/// When an invite expired, if it has.
fn expired(invite: &Invite, now: Timestamp) -> Option<Timestamp> {
    let at = i64::try_from(invite.token.expires()).ok()?;
    let at = Timestamp::from_second(at).ok()?;
    (at <= now).then_some(at)
}

/// Whether the other end has the key that an invite names.
fn is_for(invite: &Invite, channel: Channel) -> bool {
    matches!(channel, Channel::Encrypted { fingerprint, .. } if fingerprint == invite.fingerprint)
}

/// The notice for an invite on a connection without its key.
const IN_THE_CLEAR: &str = "An invite is only sent over an encrypted connection: leave, and \
start with the invite instead";
/// The notice for a credential on a connection that others can read.
const EXPOSED: &str = "The connection is not encrypted, so no password, invite or code is sent: \
start without --plaintext";

impl Session {
    /// Tells the user that the invite has expired; it may have admitted its bearer before.
    pub(super) fn check_invite(&mut self, now: Now) {
        if let Some(expired) = self.credential_state.drop_expired(now.wall) {
            let day = expired.to_zoned(self.config.zone.clone()).date();
            self.notice(&format!(
                "The invite expired on {day}: it only works for a key that it admitted before"
            ));
        }
    }

    /// Withholds credentials that must not be sent on a connection that was just opened, and tells
    /// the user.
    pub(super) fn withhold(&mut self, channel: Channel) {
        let credential_state = &mut self.credential_state;
        let Credentials {
            identity,
            invite,
            password,
            code,
        } = &mut credential_state.credentials;
        let withheld = identity.is_some() || password.is_some() || code.is_some();
        let is_news = withheld && channel.is_exposed() && !credential_state.told;
        credential_state.told |= is_news;
        let others = invite.take_if(|invite| !is_for(invite, channel)).is_some();
        if is_news {
            self.notice(&format!(
                "The connection to {} is not encrypted, so you join without your key, and no \
                password or code is sent",
                self.server
            ));
        }
        match channel {
            Channel::Plain { .. } if others => self.notice(IN_THE_CLEAR),
            Channel::Encrypted { .. } if others => self.notice(&format!(
                "The invite names another key than {} has, so it was not sent: ask for a new \
                one",
                self.server
            )),
            _ => {}
        }
    }

    /// Answers the server's challenge to prove the key named in the `join`.
    pub(super) fn challenged(
        &mut self,
        nonce: &Nonce,
        fingerprint: Option<Fingerprint>,
    ) -> Result<(), ProtocolFault> {
        let ConnectionState::Live(live) = &mut self.state else {
            return Ok(());
        };
        let Some(identity) = self.credential_state.identity(live.channel) else {
            return Err(ProtocolFault::new("it asks for a proof of no key"));
        };
        if std::mem::replace(&mut live.challenged, true) {
            return Err(ProtocolFault::new("it asks for a second proof"));
        }
        let binding = match (live.channel, fingerprint) {
            (Channel::Encrypted { exporter, .. }, _) => Binding::Exporter(exporter),
            (Channel::Plain { server: address }, Some(server)) => {
                Binding::Plain { server, address }
            }
            (Channel::Plain { .. }, None) => {
                return Err(ProtocolFault::new("it asks for a proof of nothing"));
            }
        };
        live.proof_due = Some(identity.prove(&binding, nonce));
        // No legacy server does that: this one only has to finish.
        self.kind = ServerKind::Modern;
        Ok(())
    }

    pub(super) fn write_proof(&mut self, out: &mut Vec<u8>) {
        if let ConnectionState::Live(live) = &mut self.state
            && let Some(signature) = live.proof_due.take()
        {
            encode_client(&ClientFrame::Proof { signature }, out);
        }
    }

    /// Handles a refused join; returns whether a credential was missing or wrong.
    pub(super) fn credential_refused(&mut self, now: Now, code: ErrorCode, why: &Line) -> bool {
        let leaving = self.is_leaving();
        let exposed = self.is_exposed();
        let credential_state = &mut self.credential_state;
        let wanted = match code {
            ErrorCode::PasswordRequired => {
                let tried = std::mem::replace(&mut credential_state.password_due, true);
                let has_password = credential_state.credentials.password.is_some();
                if !tried && has_password && !leaving && !exposed {
                    self.hang_up();
                    self.connect(now);
                    return true;
                }
                credential_state.credentials.password = None;
                CredentialWanted::Password
            }
            ErrorCode::BadInvite => {
                credential_state.credentials.invite = None;
                CredentialWanted::Invite
            }
            ErrorCode::AccessDenied => CredentialWanted::Invite,
            ErrorCode::BadCode => {
                credential_state.credentials.code = None;
                CredentialWanted::Code
            }
            _ => return false,
        };
        if exposed {
            // The user is not asked for a credential that can't be sent.
            self.notice(EXPOSED);
            self.stop(now, why.clone(), user_text::NOT_IN);
        } else {
            self.stop_wanting(now, why.clone(), wanted);
        }
        true
    }

    /// Whether others could read the last connection.
    fn is_exposed(&self) -> bool {
        self.channel.is_some_and(|channel| channel.is_exposed())
    }

    /// Takes a credential from the user.
    pub(super) fn credential(&mut self, now: Now, credential: Credential) {
        if self.is_exposed() {
            return self.notice(EXPOSED);
        }
        let credentials = &mut self.credential_state.credentials;
        match credential {
            Credential::Password(password) => {
                credentials.password = Some(password);
                self.credential_state.password_due = true;
            }
            Credential::Code(code) => credentials.code = Some(code),
            Credential::Invite(invite) => {
                if let Err(why) = self.fits(now, &invite) {
                    return self.notice(why);
                }
                self.credential_state.credentials.invite = Some(invite);
            }
        }
        if matches!(self.state, ConnectionState::Stopped { .. }) && self.holds_lease() {
            self.connect(now);
        }
    }

    /// Whether an invite is for the last server we were connected to: no other may see it.
    fn fits(&self, now: Now, invite: &Invite) -> Result<(), &'static str> {
        match self.channel {
            Some(Channel::Plain { .. }) => return Err(IN_THE_CLEAR),
            Some(channel @ Channel::Encrypted { .. }) if !is_for(invite, channel) => {
                return Err("That invite is for another server: leave, and start with it instead");
            }
            _ => {}
        }
        match expired(invite, now.wall) {
            Some(_) => Err("That invite has expired: ask for a new one"),
            None => Ok(()),
        }
    }
}
