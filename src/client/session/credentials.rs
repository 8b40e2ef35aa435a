//! Who comes in and proves it, and what lets a key in that the server has not let in yet.

use jiff::Timestamp;

use super::{
    Now, Session,
    phase::{Kind, Phase},
    words::Fault,
};
use crate::{
    client::event::{Credential, Security, Wanted},
    protocol::{
        Binding, ClientFrame, DeviceCode, Fingerprint, Identity, Invite, InviteToken, Nonce,
        frame::{ErrorCode, Join},
        house::Password,
        wire::encode_client,
    },
    text::Line,
};

/// What a session comes in with.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The user's key; without one he is not verified.
    pub identity: Option<Identity>,
    /// An invite's token: sent until it has let us in.
    pub invite: Option<InviteToken>,
    /// The server's password: sent once the server asks for one.
    pub password: Option<Password>,
    /// The code of a device: sent until it has let us in.
    pub code: Option<DeviceCode>,
}

/// What is tried, and what comes of it.
#[derive(Debug, Default)]
pub(super) struct Entrance {
    credentials: Credentials,
    /// Whether the server has asked for the password that there is.
    password_due: bool,
}

impl Entrance {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            password_due: false,
        }
    }

    pub(super) fn has_key(&self) -> bool {
        self.credentials.identity.is_some()
    }

    /// Puts into a `join` what belongs there.
    pub(super) fn fill(&self, join: &mut Join) {
        let Credentials {
            identity,
            invite,
            password,
            code,
        } = &self.credentials;
        join.key = identity.as_ref().map(Identity::public);
        join.invite = *invite;
        join.password = password.clone().filter(|_| self.password_due);
        join.code = *code;
    }

    /// The server let us in: it knows the key from now on.
    pub(super) fn entered(&mut self) {
        let identity = self.credentials.identity.take();
        *self = Self::new(Credentials {
            identity,
            ..Credentials::default()
        });
    }

    /// Lets go of an invite that has expired; when it did.
    pub(super) fn drop_expired(&mut self, now: Timestamp) -> Option<Timestamp> {
        let expired = self
            .credentials
            .invite
            .and_then(|invite| expired(&invite, now));
        if expired.is_some() {
            self.credentials.invite = None;
        }
        expired
    }
}

/// When an invite expired, if it has.
fn expired(invite: &InviteToken, now: Timestamp) -> Option<Timestamp> {
    let at = i64::try_from(invite.expires()).ok()?;
    let at = Timestamp::from_second(at).ok()?;
    (at <= now).then_some(at)
}

impl Session {
    /// Says of an invite that it has expired; it may have let its bearer in before.
    pub(super) fn check_invite(&mut self, now: Now) {
        if let Some(expired) = self.entrance.drop_expired(now.wall) {
            let day = expired.to_zoned(self.config.zone.clone()).date();
            self.notice(&format!(
                "The invite expired on {day}: it lets in only whom it has let in before"
            ));
        }
    }

    /// The server wants to see that the key named in the `join` is held.
    pub(super) fn challenged(
        &mut self,
        nonce: &Nonce,
        fingerprint: Option<Fingerprint>,
    ) -> Result<(), Fault> {
        let Phase::Live(live) = &mut self.phase else {
            return Ok(());
        };
        let Some(identity) = &self.entrance.credentials.identity else {
            return Err(Fault::new("it asks for a proof of no key"));
        };
        if std::mem::replace(&mut live.challenged, true) {
            return Err(Fault::new("it asks for a second proof"));
        }
        let binding = match (live.exporter, fingerprint) {
            (Some(exporter), _) => Binding::Exporter(exporter),
            (None, Some(fingerprint)) => Binding::ServerKey(fingerprint),
            (None, None) => return Err(Fault::new("it asks for a proof of nothing")),
        };
        live.proof_due = Some(identity.prove(&binding, nonce));
        // No older server does that: this one only has to finish.
        self.kind = Kind::Modern;
        Ok(())
    }

    pub(super) fn write_proof(&mut self, out: &mut Vec<u8>) {
        if let Phase::Live(live) = &mut self.phase
            && let Some(signature) = live.proof_due.take()
        {
            encode_client(&ClientFrame::Proof { signature }, out);
        }
    }

    /// The server did not let us in for want of something: whether that was why.
    pub(super) fn credential_refused(&mut self, now: Now, code: ErrorCode, why: &Line) -> bool {
        let leaving = self.is_leaving();
        let entrance = &mut self.entrance;
        let wanted = match code {
            ErrorCode::PasswordRequired => {
                let tried = std::mem::replace(&mut entrance.password_due, true);
                if !tried && entrance.credentials.password.is_some() && !leaving {
                    self.hang_up();
                    self.connect(now);
                    return true;
                }
                entrance.credentials.password = None;
                Wanted::Password
            }
            ErrorCode::BadInvite => {
                entrance.credentials.invite = None;
                Wanted::Invite
            }
            ErrorCode::AccessDenied => Wanted::Invite,
            ErrorCode::BadCode => {
                entrance.credentials.code = None;
                Wanted::Code
            }
            _ => return false,
        };
        self.stop_wanting(now, why.clone(), wanted);
        true
    }

    /// The user has something that may let us in.
    pub(super) fn credential(&mut self, now: Now, credential: Credential) {
        let credentials = &mut self.entrance.credentials;
        match credential {
            Credential::Password(password) => {
                credentials.password = Some(password);
                self.entrance.password_due = true;
            }
            Credential::Code(code) => credentials.code = Some(code),
            Credential::Invite(invite) => {
                if let Err(why) = self.fits(now, &invite) {
                    return self.notice(why);
                }
                self.entrance.credentials.invite = Some(invite.token);
            }
        }
        if matches!(self.phase, Phase::Stopped { .. }) && self.holds_lease() {
            self.connect(now);
        }
    }

    /// Whether an invite is of the server that we talk to: no other may see it.
    fn fits(&self, now: Now, invite: &Invite) -> Result<(), &'static str> {
        if let Some(Security::Encrypted { fingerprint, .. }) = self.security
            && fingerprint != invite.fingerprint
        {
            return Err("That invite is for another server: leave, and start with it instead");
        }
        match expired(&invite.token, now.wall) {
            Some(_) => Err("That invite has expired: ask for a new one"),
            None => Ok(()),
        }
    }
}
